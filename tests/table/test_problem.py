from typing import Any

import numpy as np
import pandas as pd
import pytest

from tabattn.choices import TaskChoice
from tabattn.errors import ColumnError, DroppedRowsWarning, ParameterError, TabAttnError, TableError, TargetError
from tabattn.table.problem import split_target

N = 40


def table_with(target: object) -> pd.DataFrame:
    return pd.DataFrame({"x": np.arange(N, dtype=float), "두께": target})


@pytest.mark.parametrize(
    ("target", "asked", "task"),
    [
        (np.linspace(0, 1, N), "auto", "regression"),
        (np.arange(N), "auto", "regression"),
        (np.arange(N) % 2, "auto", "classification"),
        (np.arange(N) % 2, "regression", "regression"),
        (np.arange(N) % 10, "auto", "classification"),
        (np.arange(N) % 11, "auto", "regression"),
        (np.arange(N) % 11, "classification", "classification"),
        (np.arange(N) % 2 + 0.5, "auto", "regression"),
        (["a", "b"] * 20, "auto", "classification"),
        ([1e20, 2e20] * 20, "auto", "classification"),
        ([True, False] * 20, "auto", "classification"),
        (pd.Categorical([1, 2] * 20), "auto", "classification"),
        (pd.array([1, 2] * 20, dtype="Int64"), "auto", "classification"),
    ],
)
def test_task(target: object, asked: TaskChoice, task: str) -> None:
    problem = split_target(table_with(target), "두께", task=asked)
    assert problem.task == task
    assert problem.y.dtype == float if task == "regression" else problem.y.nunique() == len(set(problem.y))


def test_names_may_be_numbers() -> None:
    problem = split_target(pd.DataFrame({0: range(N), 1: range(N), 2: range(N)}), 2, drop=[0])  # type: ignore[arg-type, list-item]
    assert list(problem.X) == ["1"]


def test_rows_without_a_target_are_left_out_and_counted() -> None:
    target = pd.Series([None, "  ", np.nan, *["a", "b"] * 18, "a"], dtype=object)
    with pytest.warns(DroppedRowsWarning, match=r"3 row\(s\) left out of the ranking because '두께' is missing; 37"):
        problem = split_target(table_with(target), "두께")
    assert (len(problem.X), len(problem.y), len(problem.unlabelled)) == (37, 37, 3)
    assert problem.X["x"].tolist() == list(range(3, 40))


def test_dropped_columns_are_gone_and_the_table_is_left_alone() -> None:
    table = table_with(np.arange(N)).assign(z=1.0)
    before = table.copy()
    assert list(split_target(table, "두께", drop=["z"]).X) == ["x"]
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize(
    ("table", "arguments", "error", "message"),
    [
        (table_with(range(N)), {"target": "두깨"}, TargetError, "got '두깨'. Did you mean '두께'"),
        (table_with(range(N)), {"target": "X"}, TargetError, "got 'X'. Did you mean 'x'"),
        (table_with(range(N)), {"target": "qqq"}, TargetError, "The columns are 'x', '두께'"),
        (table_with([3.0] * N), {}, TargetError, "at least two values, got '두께' with one value: '3.0'"),
        (table_with(["a"] * N), {"task": "classification"}, TargetError, "with one class: 'a'"),
        (table_with([None] * N), {}, TargetError, "all 40 cells missing"),
        (table_with(["a", "b"] * 19 + ["a", "c"]), {}, TargetError, "at least two rows, got '두께' with 'c' in one"),
        (table_with([0, 1] * 19 + [0, 7]), {}, TargetError, r"'7' in one.*or use regression"),
        (table_with([0.5] * 39 + [np.inf]), {}, TargetError, r"must be finite, got '두께' with 1 infinite"),
        (table_with([1e200, 2e200] * 20), {}, TargetError, "must lie between"),
        (table_with(range(N)).assign(x=[np.inf, *range(39)]), {}, ColumnError, "'x' must hold finite numbers"),
        (table_with(["a", "b"] * 20), {"task": "regression"}, TargetError, "must be numeric, got '두께'"),
        (table_with(pd.date_range("2024", periods=N)), {}, TargetError, "datetime64 values"),
        (table_with(range(N)).head(19), {}, TableError, "at least 20 rows with a target, got 19"),
        (table_with(range(N))[["두께"]], {}, TableError, "at least one feature column"),
        (table_with(range(N)), {"drop": ["x"]}, TableError, "at least one feature column"),
        (table_with(range(N)), {"drop": ["zz"]}, ParameterError, "column to drop must be a feature.*'zz'"),
        (table_with(range(N)), {"drop": ["두께"]}, ParameterError, "It is the target"),
        (table_with(range(N)).set_axis(["a", "a"], axis=1), {}, TableError, "unique, got 'a' more than once"),
    ],
)
def test_what_cannot_be_ranked_is_refused(
    table: pd.DataFrame, arguments: dict[str, Any], error: type[TabAttnError], message: str
) -> None:
    with pytest.raises(error, match=message):
        split_target(table, **({"target": "두께"} | arguments))


@pytest.mark.parametrize("values", [[1e20, 2e20], [2.0**53, 2.0**53 + 2], [-1e20, 1e20], ["1e20", "3e20"]])
def test_classes_that_no_integer_type_holds_keep_their_names(values: list[Any]) -> None:
    table = pd.DataFrame({"x": range(30), "y": values * 15})
    y = split_target(table, "y", task="classification").y
    assert sorted({float(each) for each in y}) == sorted(map(float, values))
    assert all(isinstance(each, str) for each in y)


def test_small_integers_are_classes_of_integers() -> None:
    y = split_target(pd.DataFrame({"x": range(30), "y": [0.0, 3.0] * 15}), "y").y
    assert sorted(set(y)) == [0, 3]
    assert y.dtype == np.int64
