from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tabattn.diagnostics.findings import Finding
from tabattn.diagnostics.leaks import SplitRows
from tabattn.diagnostics.linked_rows import linked_row_findings
from tabattn.encoding.preprocessing import Preprocessor
from tabattn.table.inference import infer_table
from tabattn.table.links import RowLinks
from tabattn.table.problem import split_target


def found(table: pd.DataFrame, links: RowLinks | None = None) -> list[Finding]:
    problem = split_target(table, "y")
    typed = infer_table(problem.X)
    preprocessor, raw = Preprocessor.learned(typed)
    rows = np.arange(len(table))
    return linked_row_findings(
        SplitRows(typed, raw.design, problem, rows, rows[:0]), preprocessor.layout, links or RowLinks(), 0
    )


def lots(random: Any, n_lots: int = 32, size: int = 12, share: float = 0.9) -> pd.DataFrame:
    """Settings of lots, idle, beside one of rows; most of the variance is between lots."""
    lot = np.repeat(np.arange(n_lots), size)
    settings = random.normal(size=(n_lots, 3))[lot]
    y = share**0.5 * random.normal(size=n_lots)[lot] + (1 - share) ** 0.5 * random.normal(size=len(lot))
    table = pd.DataFrame(settings, columns=["heat", "flow", "time on"])
    return table.assign(lot=[f"L{each:02d}" for each in lot], dose=random.normal(size=len(lot)), y=y)


def test_lots_are_named_with_the_option_to_type_and_both_scores() -> None:
    (finding,) = found(lots(np.random.default_rng(0)).sample(frac=1, random_state=0, ignore_index=True))
    assert (finding.code, finding.severity, finding.columns) == ("rows_in_blocks", "serious", ("lot",))
    assert "--split-by lot" in finding.message
    assert finding.numbers["random"] > 0.6 > 0.2 > finding.numbers["by_block"]


def test_without_a_label_the_settings_name_the_blocks() -> None:
    (finding,) = found(lots(np.random.default_rng(1)).drop(columns="lot"))
    assert finding.columns[0] in {"heat", "flow", "time on"}


def test_blocks_that_the_split_respects_are_not_reported() -> None:
    table = lots(np.random.default_rng(0))
    assert found(table, RowLinks(pd.factorize(table["lot"])[0], is_asked=True)) == []


def test_runs_of_rounded_settings_are_found_by_several_columns() -> None:
    random = np.random.default_rng(2)
    table = lots(random, n_lots=60, size=8).drop(columns="lot")
    table[["heat", "flow", "time on"]] = table[["heat", "flow", "time on"]].round(0)
    (finding,) = found(table)
    assert finding.code == "rows_in_blocks"
    assert len(finding.columns) >= 2


def test_near_copies_are_found() -> None:
    random = np.random.default_rng(3)
    X = pd.DataFrame(random.normal(size=(80, 6)), columns=list("abcdef")).assign(y=random.normal(size=80))
    copies = pd.concat([X] * 4, ignore_index=True)
    copies += 1e-3 * random.normal(size=copies.shape)
    (finding,) = found(copies.sample(frac=1, random_state=0, ignore_index=True))
    assert (finding.code, finding.columns) == ("rows_in_blocks", ())
    assert "near copies" in finding.message


@pytest.mark.parametrize("has_time", [True, False])
def test_random_walks_are_found_in_time_and_in_the_order_of_the_file(has_time: bool) -> None:
    random = np.random.default_rng(4)
    table = pd.DataFrame(random.normal(size=(300, 4)).cumsum(axis=0), columns=["a", "b", "c", "y"])
    if has_time:
        table["day"] = pd.date_range("2024-01-01", periods=300)
        table = table.sample(frac=1, random_state=0, ignore_index=True)
    (finding,) = found(table)
    assert finding.code == "rows_in_time"
    assert finding.columns == (("day",) if has_time else ())
    assert ("--order-by day" in finding.message) == has_time
    assert found(table, RowLinks(time=np.arange(300.0))) == []


def independent(random: Any) -> pd.DataFrame:
    n_rows = 240
    X = pd.DataFrame(random.normal(size=(n_rows, 4)), columns=list("abcd"))
    X["line"] = random.choice(list("ABCDEFGHIJKLMNOP"), n_rows)
    X["count"] = random.integers(0, 40, n_rows)
    X["grade"] = X["a"].round(1)
    effect = dict(zip("ABCDEFGHIJKLMNOP", random.normal(size=16), strict=True))
    return X.assign(y=X["a"] + X["b"] * X["c"] + 0.5 * X["line"].map(effect) + random.normal(size=n_rows))


def with_idle_lots(random: Any) -> pd.DataFrame:
    return lots(random, share=0.0)


def sorted_by_a_driver(random: Any) -> pd.DataFrame:
    return independent(random).sort_values("a", ignore_index=True)


def sorted_by_the_target(random: Any) -> pd.DataFrame:
    return independent(random).sort_values("y", ignore_index=True)


@pytest.mark.parametrize("make", [independent, with_idle_lots, sorted_by_a_driver, sorted_by_the_target])
def test_independent_rows_are_not_warned_of(make: Callable[[Any], pd.DataFrame]) -> None:
    assert [found(make(np.random.default_rng(seed))) for seed in range(8)] == [[]] * 8


def test_classes_in_lots_are_found() -> None:
    table = lots(np.random.default_rng(5), share=0.95)
    table["y"] = np.where(table["y"] > 0, "scrap", "good")
    (finding,) = found(table)
    assert finding.columns == ("lot",)


def test_lots_are_found_among_many_columns() -> None:
    random = np.random.default_rng(6)
    table = lots(random)
    others = pd.DataFrame(random.normal(size=(len(table), 150)), columns=[f"x{i}" for i in range(150)])
    (finding,) = found(pd.concat([others, table], axis=1))
    assert finding.columns == ("lot",)
    assert found(pd.concat([others, with_idle_lots(random)], axis=1)) == []


def test_large_tables_are_looked_at_in_part_and_their_order_is_found() -> None:
    random = np.random.default_rng(7)
    walks = pd.DataFrame(random.normal(size=(30_000, 4)).cumsum(axis=0), columns=["a", "b", "c", "y"])
    (finding,) = found(walks)
    assert finding.code == "rows_in_time"
    (finding,) = found(lots(random, n_lots=400, size=20).sample(frac=1, random_state=0, ignore_index=True))
    assert finding.columns == ("lot",)
