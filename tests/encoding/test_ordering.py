from typing import Any

import numpy as np
import pandas as pd
import pytest

from tabattn.encoding.ordering import OrderedRows, ordered_rows
from tabattn.table.problem import MAX_REPEATED_ROWS


def test_rows_have_the_same_order_however_the_table_is_written() -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "n": rng.integers(0, 50, 200),
            "c": rng.choice(list("abc"), 200),
            "m": np.where(rng.random(200) < 0.5, 1.0, np.nan),
        }
    )
    X["when"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 3, 200), unit="D")
    y = rng.normal(size=200).round()
    order = rng.permutation(200)
    same: list[tuple[pd.DataFrame, np.ndarray[Any, np.dtype[Any]]]] = [
        (X, y),
        (X.iloc[order], y[order]),
        (X.astype({"n": "int32", "c": "category", "m": "Float64"}), y.astype(np.float32)),
        (X.astype({"n": "float64", "c": object, "m": object}), y),
        (X.assign(same="s", empty=None), y),
    ]
    found = []
    for table, target in same:
        positions, weight = ordered_rows(table, target, np.ones(200))
        assert sorted(positions) == list(range(200))
        assert (weight == 1).all()
        rows = table.iloc[positions]
        found.append((rows["n"].astype(float).tolist(), rows["c"].astype(str).tolist(), target[positions].tolist()))
    assert all(each == found[0] for each in found)
    assert found[0][0] != X["n"].tolist()


def test_missing_cells_are_equal_and_zero_has_no_sign() -> None:
    X = pd.DataFrame({"x": [0.0, np.nan, -0.0, np.nan, 0.0], "c": ["a", None, "a", np.nan, "a"]})
    positions, _ = ordered_rows(X, np.zeros(5), np.ones(5))
    assert positions.tolist() in ([0, 2, 4, 1, 3], [1, 3, 0, 2, 4])


@pytest.mark.parametrize(
    ("weight", "n_written"), [([1, 2, 3], 6), ([0.5, 2, 3], 3), ([1, 1, MAX_REPEATED_ROWS], 3), ([1, 1, 1], 3)]
)
def test_rows_of_whole_weights_are_written_out(weight: list[float], n_written: int) -> None:
    X = pd.DataFrame({"x": [1.0, 2.0, 3.0]})
    positions, written = ordered_rows(X, np.zeros(3), np.array(weight, dtype=float))
    assert len(positions) == len(written) == n_written
    np.testing.assert_allclose(np.bincount(positions, weights=written), weight)


def test_numbers_beyond_all_floats_are_ordered() -> None:
    X = pd.DataFrame({"x": [10**400, 3, None]}, dtype=object)
    assert sorted(ordered_rows(X, np.zeros(3), np.ones(3))[0]) == [0, 1, 2]


def test_rows_are_written_out_up_to_the_limit_and_not_beyond() -> None:
    X, y = pd.DataFrame({"x": [1.0, 2.0]}), np.zeros(2)
    most = np.array([MAX_REPEATED_ROWS - 1.0, 1.0])
    positions, written = ordered_rows(X, y, most)
    assert len(positions) == MAX_REPEATED_ROWS
    assert (written == 1).all()
    for more in (np.add(most, [0, 1]), most * 2, most * 1e300):
        positions, written = ordered_rows(X, y, more)
        assert sorted(positions) == [0, 1]
        assert sorted(written) == sorted(more)


def test_a_table_longer_than_the_limit_keeps_its_rows() -> None:
    n_rows = MAX_REPEATED_ROWS + 1
    X = pd.DataFrame({"x": np.arange(n_rows) % 7.0})
    positions, written = ordered_rows(X, np.zeros(n_rows), np.ones(n_rows))
    assert len(np.unique(positions)) == n_rows
    assert (written == 1).all()


def test_rows_without_weight_are_left_out_and_the_others_know_where_they_were() -> None:
    X, y = pd.DataFrame({"x": np.arange(6.0)}), np.array(["a", "b", "c", "a", "b", "c"])
    ordered = OrderedRows.weighted(X, y, [1, 2, 3, 0, 1, 1], {"a": 1.0, "b": 0.0, "c": 0.5})
    assert sorted(ordered.positions) == [0, 2, 2, 2, 5]
    assert (ordered.X["x"].to_numpy() == ordered.positions).all()
    assert (ordered.y == y[ordered.positions]).all()
    assert (ordered.weight == 1).all()
    assert (ordered.loss_weight == np.where(ordered.y == "a", 1.0, 0.5)).all()
