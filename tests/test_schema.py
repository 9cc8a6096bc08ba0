import datetime as dt
import decimal

import numpy as np
import pandas as pd
import pytest

from tabattn.errors import ColumnError
from tabattn.schema import Kind, as_levels, as_numbers, infer_schema


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ([1, 2, 3], "numeric"),
        ([1.5, None, 3.0], "numeric"),
        (pd.array([1, None, 3], dtype="Int64"), "numeric"),
        (pd.array([1.0, None, 3], dtype="Float64"), "numeric"),
        (pd.Series([1, 2.5, None], dtype=object), "numeric"),
        (pd.Series([decimal.Decimal("1.5"), decimal.Decimal(2), None], dtype=object), "numeric"),
        (pd.Series([1, " ", 3], dtype=object), "numeric"),
        ([None, None, None], "numeric"),
        (["a", "b", None], "categorical"),
        ([True, False, True], "categorical"),
        (pd.array([True, None, False], dtype="boolean"), "categorical"),
        (pd.Series([True, None, False], dtype=object), "categorical"),
        (pd.Categorical([1, 2, 1]), "categorical"),
        (pd.Series([1, "a", 2.0], dtype=object), "categorical"),
    ],
)
def test_kind_of_column(cells: object, kind: str) -> None:
    assert infer_schema(pd.DataFrame({"x": cells})).columns[0].kind == kind


@pytest.mark.parametrize(
    "cells",
    [
        pd.date_range("2024-01-01", periods=3),
        pd.to_timedelta([1, 2, 3], unit="s"),
        pd.Series([dt.date(2024, 1, 1), None, dt.date(2024, 1, 3)], dtype=object),
        ["2024-01-01", None, "2024-02-03"],
        ["2024-01-01 10:00:00", "2024-02-03T11:00", "2024/02/03"],
        ["08:30", "09:15:00", "10:00"],
        [1j, 2j, 3j],
        pd.Series([[1], [2], [3]], dtype=object),
        [1.0, np.inf, 2.0],
    ],
)
def test_refused_columns_are_named(cells: object) -> None:
    with pytest.raises(ColumnError, match="'기록 x'"):
        infer_schema(pd.DataFrame({"기록 x": cells}))


def test_free_text_is_refused_and_codes_are_not() -> None:
    sentences = [f"operator {i} saw a scratch on panel {i}" for i in range(50)]
    with pytest.raises(ColumnError, match="free text"):
        infer_schema(pd.DataFrame({"remark": sentences}))
    codes = infer_schema(pd.DataFrame({"lot": [f"LOT-{i}" for i in range(50)], "few": ["a long label here"] * 50}))
    assert [column.kind for column in codes.columns] == [Kind.CATEGORICAL, Kind.CATEGORICAL]


def test_levels_seen_once_are_pooled() -> None:
    column = infer_schema(pd.DataFrame({"x": ["b", "a", "b", "a", "rare"]})).columns[0]
    assert (column.categories, column.width) == (("a", "b"), 3)


@pytest.mark.parametrize(
    ("cells", "is_constant"),
    [
        ([1, 1, 1], True),
        ([None, None, None], True),
        ([1, 1, None], False),
        (["a", "a", "a"], True),
        (["a", None, "a"], False),
        ([" ", "", None], True),
        ([1, 1, 2], False),
    ],
)
def test_constant_columns(cells: object, is_constant: bool) -> None:
    assert infer_schema(pd.DataFrame({"x": pd.Series(cells, dtype=object)})).columns[0].is_constant is is_constant


def test_positions_leave_constant_columns_out() -> None:
    schema = infer_schema(pd.DataFrame({"c": [1, 1], "s": ["a", "b"], "n": [1, 2]}))
    assert (schema.token_positions, schema.of_kind(Kind.NUMERIC), schema.of_kind(Kind.CATEGORICAL)) == (
        (1, 2),
        (2,),
        (1,),
    )
    assert (schema.names, schema.constant_names) == (("c", "s", "n"), ("c",))


def test_one_level_whatever_its_type() -> None:
    positions, names = as_levels(pd.Series([1.0, "1", True, "True", np.nan, "  "], dtype=object))
    assert [names[i] if i >= 0 else None for i in positions] == ["1", "1", "1", "True", None, None]


def test_a_word_among_numbers_is_shown() -> None:
    with pytest.raises(ColumnError, match=r"Column 'x' must hold numbers.*'abc'"):
        as_numbers(pd.Series([1, "abc"], dtype=object), "x")
