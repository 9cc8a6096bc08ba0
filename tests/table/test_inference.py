import datetime as dt
import decimal

import numpy as np
import pandas as pd
import pytest

from tabattn.errors import AmbiguousNumbersWarning, ColumnError, ParameterError
from tabattn.table.inference import infer_schema, infer_table
from tabattn.table.schema import Kind
from tests.table.formats import date, number, parse_times


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
        ([True, False, True], "boolean"),
        (pd.array([True, None, False], dtype="boolean"), "boolean"),
        (pd.Series([True, None, False], dtype=object), "boolean"),
        (["TRUE", "false", None], "boolean"),
        (["yes", "no", None], "categorical"),
        (pd.arrays.IntervalArray.from_breaks([0, 1, 2, 3]), "categorical"),
        (pd.Categorical([1, 2, 1]), "categorical"),
        (pd.Series([1, "a", 2.0], dtype=object), "categorical"),
    ],
)
def test_kind_of_column(cells: object, kind: str) -> None:
    assert infer_schema(pd.DataFrame({"x": cells})).columns[0].kind == kind


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2.5", None], "numeric"),
        (["1,234", "12", "-"], "numeric"),
        (["007", "012", "007"], "categorical"),
        (pd.date_range("2024-01-01", periods=3), "datetime"),
        (pd.period_range("2024-01", periods=3, freq="M"), "datetime"),
        (pd.Series([dt.date(2024, 1, 1), None, dt.date(2024, 1, 3)], dtype=object), "datetime"),
        (["2024-01-01", None, "2024-02-03"], "datetime"),
        (["2024-01-01 10:00:00", "2024-02-03T11:00", "2024/02/03"], "datetime"),
        (pd.to_timedelta([1, 2, 3], unit="s"), "duration"),
        (pd.Series([dt.time(8), dt.time(9), None], dtype=object), "duration"),
        (["08:30", "09:15:00", "10:00"], "duration"),
        (["3 days 02:00:00", "1 day", "-03:30"], "duration"),
        (["2024년 3월 5일", "2024년 3월 6일"], "datetime"),
    ],
)
def test_strings_and_times(cells: object, kind: str) -> None:
    assert infer_schema(pd.DataFrame({"x": cells})).columns[0].kind == kind


@pytest.mark.parametrize("cells", [[1j, 2j, 3j], pd.Series([[1], [2], [3]], dtype=object), [1.0, np.inf, 2.0]])
def test_refused_columns_are_named(cells: object) -> None:
    with pytest.raises(ColumnError, match="'기록 x'"):
        infer_schema(pd.DataFrame({"기록 x": cells}))


def test_free_text_is_text_and_codes_are_not() -> None:
    remark = [f"operator {i} saw a scratch on panel {i}" for i in range(50)]
    table = {"remark": remark, "code": [f"LOT-{i}" for i in range(50)], "few": ["a long label here"] * 50}
    kinds = [column.kind for column in infer_schema(pd.DataFrame(table)).columns]
    assert kinds == [Kind.TEXT, Kind.CATEGORICAL, Kind.CATEGORICAL]


def test_given_kinds_take_the_place_of_inferred_ones() -> None:
    X = pd.DataFrame({"zip": [1, 2, 2], "when": ["20240101", "20240102", "20240103"], "word": ["a", "b", "a"]})
    schema = infer_schema(X, {"zip": "categorical", "word": "text"})
    assert [column.kind for column in schema.columns] == [Kind.CATEGORICAL, Kind.NUMERIC, Kind.TEXT]
    with pytest.raises(ParameterError, match="must name columns of the table, got 'zap'"):
        infer_schema(X, {"zap": "numeric"})
    with pytest.raises(
        ParameterError, match=r"one of the kinds numeric, boolean, categorical, .* got 'number' for 'zip'"
    ):
        infer_schema(X, {"zip": "number"})
    with pytest.raises(ColumnError, match="Column 'word' must hold numbers"):
        infer_schema(X, {"word": "numeric"})
    with pytest.raises(ColumnError, match="Column 'word' must hold dates"):
        infer_schema(X, {"word": "datetime"})


def test_given_kinds_of_numbers_are_what_a_person_would_read() -> None:
    X = pd.DataFrame(
        {
            "day": [20240101, 20240102, 20240131],
            "clock": [1704067200, 1704153600, 1706659200],
            "age": [30, 90, 3600],
            "flag": [0, 1, 1],
            "code": ["007", "012,5", "8"],
        }
    )
    given = {"day": "datetime", "clock": "datetime", "age": "duration", "flag": "boolean", "code": "numeric"}
    schema = infer_schema(X, given)
    assert [column.format for column in schema.columns] == [date("none"), date("s"), None, None, number(",")]
    assert [column.kind for column in schema.columns] == list(given.values())
    days = [
        parse_times(X[name], name, schema.columns[i].format).dt.day.tolist() for i, name in enumerate(X.columns[:2])
    ]
    assert days == [[1, 2, 31]] * 2


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("cells", [[None] * 3, ["-", "", " "], [np.nan] * 3])
def test_a_column_without_a_value_may_be_said_to_be_anything(kind: Kind, cells: list[object]) -> None:
    X = pd.DataFrame({"x": pd.Series(cells, dtype=object)})
    assert infer_schema(X, {"x": str(kind)}).columns[0].is_constant


@pytest.mark.parametrize("kind", list(Kind))
def test_lists_are_refused_whatever_they_are_said_to_be(kind: Kind) -> None:
    with pytest.raises(ColumnError, match="'x' must hold"):
        infer_schema(pd.DataFrame({"x": pd.Series([[1]] * 20, dtype=object)}), {"x": str(kind)})


def test_numbers_that_are_no_dates_are_refused_as_such() -> None:
    with pytest.raises(ColumnError, match=r"'x' must hold dates, got numbers such as 1, which are not dates"):
        infer_schema(pd.DataFrame({"x": [1, 2, 3]}), {"x": "datetime"})
    schema = infer_schema(pd.DataFrame({"x": ["0,5", "1,5"]}), {"x": "duration"})
    assert schema.columns[0].format == number(",")


def test_numbers_that_may_be_either_are_told() -> None:
    with pytest.warns(
        AmbiguousNumbersWarning, match=r"'x' holds numbers such as '17\.027'.*one of decimals or of thousands"
    ):
        infer_schema(pd.DataFrame({"x": ["17.027", "237"]}))
    assert infer_table(pd.DataFrame({"x": ["17.027", "237"]})).schema.columns[0].format == number(".")


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
