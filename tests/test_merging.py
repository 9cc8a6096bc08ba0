import numpy as np
import pandas as pd
import pytest

from tabattn.merging import merge_rows, whole_counts


def merged_rows(X: pd.DataFrame, y: object, weight: object = None) -> list[tuple[object, ...]]:
    values = np.asarray(y)
    merged = merge_rows(X, values, np.ones(len(X)) if weight is None else np.asarray(weight, dtype=float))
    rows = X.iloc[merged.positions].itertuples(index=False, name=None)
    return [(*row, y, w) for row, y, w in zip(rows, values[merged.positions], merged.weight, strict=True)]


def test_equal_rows_are_one_and_their_weights_are_added() -> None:
    X = pd.DataFrame({"line": ["A", "B", "A", "A"], "speed": [1.0, 2.0, 1.0, 1.0]})
    assert sorted(merged_rows(X, [0, 0, 0, 1], [1, 2, 3, 4])) == [("A", 1, 0, 4), ("A", 1, 1, 4), ("B", 2, 0, 2)]


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
    same = [
        (X, y),
        (X.iloc[order], y[order]),
        (X.astype({"n": "int32", "c": "category", "m": "Float64"}), y.astype(np.float32)),
        (X.astype({"n": "float64", "c": object, "m": object}), y),
    ]
    first, *others = [[(float(str(n)), c) for n, c, *_ in merged_rows(*table)] for table in same]
    assert len(first) < 200
    assert all(other == first for other in others)


def test_missing_cells_are_equal_and_zero_has_no_sign() -> None:
    X = pd.DataFrame({"x": [np.nan, np.nan, 0.0, -0.0], "c": [None, np.nan, "a", "a"]})
    assert [w for *_, w in merged_rows(X, [1, 1, 1, 1])] == [2.0, 2.0]


@pytest.mark.parametrize(
    ("weight", "counts"),
    [([1, 2, 3], [1, 2, 3]), ([0.5, 2, 3], [1, 1, 1]), ([1, 2e6, 1e6], [1, 666_667, 333_334])],
)
def test_whole_weights_are_counts(weight: list[float], counts: list[int]) -> None:
    assert whole_counts(np.array(weight, dtype=float)).tolist() == counts
