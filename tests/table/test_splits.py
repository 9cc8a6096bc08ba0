from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabattn.errors import ParameterError, TableError
from tabattn.table.links import RowLinks, row_links, times_in, units_in
from tabattn.table.rules import CellRules
from tabattn.table.splits import Split, fold_rows, split_rows


@st.composite
def linked(draw: Any) -> tuple[Any, RowLinks, str]:
    sizes = draw(st.lists(st.integers(1, 12), min_size=4, max_size=30))
    seed = draw(st.integers(0, 999))
    random = np.random.default_rng(seed)
    unit = random.permutation(np.repeat(np.arange(len(sizes)), sizes))
    time = random.permutation(len(unit)).astype(float) if draw(st.booleans()) else None
    task = draw(st.sampled_from(["regression", "classification"]))
    y = random.normal(size=len(unit)) if task == "regression" else random.integers(0, 2, len(unit))
    has_units = draw(st.booleans())
    return y, RowLinks(unit if has_units else None, time, draw(st.integers(0, 3)) if time is not None else 0), task


def check(split: Split, y: Any, links: RowLinks, task: str) -> None:
    assert len(split.train) >= 2
    assert len(split.held_out) >= 1
    assert not set(split.train) & set(split.held_out)
    assert (np.diff(split.train) > 0).all()
    assert (np.diff(split.held_out) > 0).all()
    if links.unit is not None:
        assert not set(links.unit[split.train]) & set(links.unit[split.held_out])
    if not links.gap:
        assert len(split.train) + len(split.held_out) == len(y)
    if task == "classification":
        assert set(y[split.held_out]) <= set(y[split.train])


@settings(max_examples=80, deadline=None)
@given(linked(), st.floats(0.05, 0.6), st.integers(0, 99))
def test_units_stay_together_and_something_is_held_out(case: Any, fraction: float, seed: int) -> None:
    y, links, task = case
    try:
        split = split_rows(y, task, links, fraction, seed)
    except TableError:
        assert task == "classification" or links.gap
        return
    check(split, y, links, task)
    again = split_rows(y, task, links, fraction, seed)
    assert all((one == other).all() for one, other in zip(split, again, strict=True))
    if links.time is not None and links.unit is None:
        assert links.time[split.held_out].min() > links.time[split.train].max() + links.gap


@settings(max_examples=60, deadline=None)
@given(linked(), st.integers(2, 4), st.integers(0, 99))
def test_every_row_is_held_out_once(case: Any, n_folds: int, seed: int) -> None:
    y, links, _ = case
    try:
        folds = list(fold_rows(np.zeros(len(y)), "regression", links, n_folds, seed))
    except TableError:
        assert links.gap
        return
    assert sorted(np.concatenate([fold.held_out for fold in folds]).tolist()) == list(range(len(y)))
    for fold in folds:
        check(fold, y, links, "regression")


def test_units_are_held_out_to_about_the_fraction_and_in_proportion_to_the_classes() -> None:
    unit = np.repeat(np.arange(50), 10)
    y = (unit < 10).astype(int)
    split = split_rows(y, "classification", RowLinks(unit), 0.2, 0)
    assert len(split.held_out) == 100
    assert y[split.held_out].sum() == 20


def test_without_links_the_split_is_that_of_scikit_learn() -> None:
    y = np.repeat([0, 1], [80, 20])
    split = split_rows(y, "classification", RowLinks(), 0.25, 3)
    assert (len(split.held_out), y[split.held_out].sum()) == (25, 5)


def test_units_later_in_time_are_held_out() -> None:
    unit = np.repeat(np.arange(10), 4)
    time = np.random.default_rng(0).permutation(10)[unit].astype(float)
    split = split_rows(np.zeros(40), "regression", RowLinks(unit, time, gap=4), 0.2, 0)
    assert sorted(set(time[split.held_out])) == [8, 9]
    assert sorted(set(time[split.train])) == list(range(7))


def test_more_folds_than_units_are_refused() -> None:
    with pytest.raises(ParameterError, match="folds must not be more than the 3 units that stay together"):
        list(fold_rows(np.zeros(9), "regression", RowLinks(np.repeat([0, 1, 2], 3)), 4, 0))


def test_a_class_that_comes_last_only_is_refused() -> None:
    y = np.repeat([0, 1, 2], [40, 40, 20])
    with pytest.raises(TableError, match="got class '2' in the last rows only"):
        split_rows(y, "classification", RowLinks(time=np.arange(100.0)), 0.2, 0)


def test_columns_name_units() -> None:
    table = pd.DataFrame({"lot": ["A", "A ", "B", None], "line": [1, 1, 1, 1.0], "row": range(4)})
    assert units_in(table, ["lot"]).tolist() == [0, 0, 1, 2]
    assert units_in(table, ["lot", "line"]).tolist() == [0, 0, 1, 2]
    with pytest.raises(TableError, match="got 'line' with one"):
        units_in(table, ["line"])
    with pytest.raises(TableError, match="got 'row' with another in every row"):
        units_in(table, ["row"])
    with pytest.raises(ParameterError, match=r"got 'Lot'\. Did you mean 'lot'"):
        units_in(table, ["Lot"])


@pytest.mark.parametrize("cells", [[3, 1, 2], ["2024-04-13", "2024-04-01", "2024-04-02"], [2.5, -1e9, 0]])
def test_a_column_gives_the_order(cells: list[Any]) -> None:
    assert times_in(pd.DataFrame({"t": cells}), "t", CellRules()).tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["red", "blue", "red"] * 9, "must hold numbers or dates"),
        ([1, None, 2], "in every row, got"),
        ([1, 1, 1], "at least two values"),
    ],
)
def test_what_gives_no_order_is_refused(cells: list[Any], message: str) -> None:
    with pytest.raises(TableError, match=message):
        times_in(pd.DataFrame({"t": cells}), "t", CellRules())


@pytest.mark.parametrize(
    ("groups", "order", "message"),
    [
        (["a", "a"], None, "at least two groups"),
        (["a", None], None, "1 missing of 2"),
        ([["a", "b"], ["a", "c"]], None, "one value for each row"),
        (None, ["mon", "tue"], "numbers or times"),
    ],
)
def test_wrong_groups_and_orders_are_refused(groups: Any, order: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        row_links(groups, order)


def test_equal_rows_are_units_only_where_some_are_equal_and_some_differ() -> None:
    assert RowLinks().with_equal_rows(np.array([7, 5, 7])).unit.tolist() == [0, 1, 0]  # type: ignore[union-attr]
    assert RowLinks().with_equal_rows(np.array([1, 2, 3])).unit is None
    assert RowLinks().with_equal_rows(np.array([1, 1, 1])).unit is None
    known = RowLinks(np.array([4, 4, 9]), is_asked=True)
    assert known.with_equal_rows(np.array([1, 2, 3])).unit.tolist() == [0, 0, 1]  # type: ignore[union-attr]
