import datetime as dt
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabattn.encoding.blocks import BlockEncoder
from tabattn.errors import ColumnError, UnparsedCellsWarning
from tabattn.table.cells import distinct_numbers, integer_offset, is_missing, parse_levels, parse_texts
from tabattn.table.columns import Times
from tabattn.table.dates import infer_date_format, infer_numeric_date_format
from tabattn.table.durations import is_duration
from tabattn.table.inference import infer_table
from tabattn.table.numbers import (
    FALSE_WORDS,
    TRUE_WORDS,
    ambiguous_number,
    are_codes,
    infer_decimal,
    infer_number_format,
)
from tabattn.table.schema import Kind
from tests.table.formats import date, number, parse_booleans, parse_numbers, parse_seconds, parse_times


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["1", "2.5", "-3e2", ".5", "+7"], [1, 2.5, -300, 0.5, 7]),
        (["1,234", "12", "1,234,567.5"], [1234, 12, 1234567.5]),
        (["3,14", "2", "-0,5"], [3.14, 2, -0.5]),
        (["1.234,5", "7"], [1234.5, 7]),
        (["1 234,5", "7"], [1234.5, 7]),
        (["1\u202f234.5", "\u22127"], [1234.5, -7]),
        (["1'234.5", "7"], [1234.5, 7]),
        (["12%", "7.5 %"], [12, 7.5]),
        (["0,100", "0,250"], [0.1, 0.25]),
        (["n.a.", "#VALUE!", "<NA>", "NaT", "결측치", "해당없음", "8"], [*[np.nan] * 6, 8]),
        ([" 12 ", "-", "N/A", "없음", None, "7"], [12, np.nan, np.nan, np.nan, np.nan, 7]),
    ],
)
def test_numbers_are_read_as_a_person_would(cells: list[str | None], numbers: list[float]) -> None:
    column = pd.Series(cells, dtype=object)
    number_format = infer_number_format([str(cell) for cell in column[~is_missing(column)]])
    assert number_format is not None
    np.testing.assert_allclose(parse_numbers(column, "x", number_format), numbers)


def test_a_mark_that_may_mean_either_is_read_by_the_decimal_mark_of_the_table() -> None:
    cells = ["17.027", "237", "2.309"]
    assert [infer_number_format(cells), infer_number_format(cells, ",")] == [number("."), number(",.")]
    assert ambiguous_number(cells) == "17.027"
    assert [ambiguous_number([*cells, other]) for other in ("0.5", "1234", "2,309", "1.234.567")] == [None] * 4
    assert infer_decimal([*cells, "A", "0,5"]) == ","
    assert infer_decimal([*cells, "1,234.5"]) == "."
    assert infer_decimal(cells) is None


def test_codes_are_numbers_where_they_are_said_to_be() -> None:
    assert infer_number_format(["007", "012,5"], are_numbers=True) == number(",")


@pytest.mark.parametrize("cells", [["007", "012"], ["1", "b"], ["1,23,4"], ["1.2.3"], ["0x10", "1"], ["a"], []])
def test_codes_are_no_numbers(cells: list[str]) -> None:
    assert infer_number_format(cells) is None


def test_one_bad_cell_among_many_numbers_is_missing_and_named() -> None:
    column = pd.Series([*map(str, range(40)), "error"])
    number_format = infer_number_format(list(column))
    assert number_format == number(".")
    with pytest.warns(UnparsedCellsWarning, match=r"Column 'x' holds numbers, and 1 cell.* such as 'error'"):
        numbers = parse_numbers(column, "x", number_format)
    assert np.isnan(numbers[-1])
    assert not np.isnan(numbers[:-1]).any()
    with pytest.raises(ColumnError, match=r"'x' must hold numbers.*'error'"):
        parse_numbers(column.tail(1), "x", number_format)


@pytest.mark.parametrize("cells", [["inf", "1"], [np.inf, 1.0], ["-Infinity", "1"]])
def test_infinite_numbers_are_refused(cells: list[object]) -> None:
    with pytest.raises(ColumnError, match="finite numbers, got 1 infinite"):
        parse_numbers(pd.Series(cells, dtype=object), "x")


@pytest.mark.parametrize(
    ("cells", "written"),
    [
        (["2024-01-05", "2024-12-31"], "none"),
        (["05.01.2024", "31.12.2024"], "dmy"),
        (["01/05/2024", "12/31/2024"], "mdy"),
        (["2024-01-05T00:00:00Z", "2024-12-31T00:00:00Z"], "none+zone"),
        (["2024/01/05", "2024-12-31 00:00"], "none"),
        (["2024년 1월 5일", "2024년 12월 31일"], "none"),
        (["2024. 1. 5.", "2024. 12. 31."], "none"),
    ],
)
def test_dates_are_read_by_the_format_that_fits_all_cells(cells: list[str], written: str) -> None:
    assert infer_date_format(cells) == date(written)
    times = parse_times(pd.Series([*cells, None], index=[3, 3, 1], dtype=object), "t", date(written))
    assert times.index.tolist() == [3, 3, 1]
    assert times.tolist()[:2] == [pd.Timestamp(2024, 1, 5), pd.Timestamp(2024, 12, 31)]
    assert times.isna().tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("cells", "first"),
    [
        (["2024-03", "2024-12"], pd.Timestamp(2024, 3, 1)),
        (["2024년 3월", "2024년 4월"], pd.Timestamp(2024, 3, 1)),
        (["2024-03-05 오후 3:10:00", "2024-03-05 오전 3:10:00"], pd.Timestamp(2024, 3, 5, 15, 10)),
        (["2024年3月5日", "2024年4月5日"], pd.Timestamp(2024, 3, 5)),
    ],
)
def test_months_and_east_asian_dates(cells: list[str], first: pd.Timestamp) -> None:
    written = infer_date_format(cells)
    assert written is not None
    assert parse_times(pd.Series(cells), "t", written).iloc[0] == first


@pytest.mark.parametrize(
    ("cells", "written"),
    [
        ([20240305, 20231231], "none"),
        (["20240305", None], "none"),
        ([202403050000, 202403050000], "none"),
        ([20240305.0, np.nan], "none"),
        ([20240305000000, 20240305000000], "none"),
        ([1709596800, 1709596801.5], "s"),
        (["1709596800", "1709596801"], "s"),
        ([1709596800000, 1709596801000], "ms"),
        ([1709596800000000, 1709596801000000], "us"),
        ([1709596800000000000, 1709596801000000000], "ns"),
    ],
)
def test_numbers_that_are_said_to_be_dates(cells: list[object], written: str) -> None:
    column = pd.Series(cells)
    numbers = distinct_numbers(column)
    assert numbers is not None
    assert infer_numeric_date_format(numbers.tolist()) == date(written)
    assert parse_times(column, "t", date(written)).iloc[0] == pd.Timestamp(2024, 3, 5)


def test_numbers_among_dates_are_no_nanoseconds() -> None:
    cells = pd.Series([dt.datetime(2024, 1, 5), 7], dtype=object)
    with pytest.warns(UnparsedCellsWarning, match="holds dates, and 1 cell.* such as '7'"):
        assert parse_times(cells, "t").isna().tolist() == [False, True]


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(pd.to_datetime(["2024-01-05", "2024-12-31"])),
        pd.Series(pd.to_datetime(["2024-01-05", "2024-12-31"])).dt.tz_localize("UTC"),
        pd.Series([dt.date(2024, 1, 5), dt.datetime(2024, 12, 31)], dtype=object),
        pd.Series(pd.PeriodIndex(["2024-01-05", "2024-12-31"], freq="D")),
    ],
)
def test_dates_of_any_type(column: "pd.Series[pd.Timestamp]") -> None:
    assert parse_times(column, "t").tolist() == [pd.Timestamp(2024, 1, 5), pd.Timestamp(2024, 12, 31)]


def test_letters_that_no_text_can_hold_are_no_dates_and_no_durations() -> None:
    dates, spans = (pd.Series([good, "\ud800"], dtype=object) for good in ("2024-01-05", "08:30"))
    with pytest.warns(UnparsedCellsWarning, match="such as"):
        assert parse_times(dates, "t", date("none")).isna().tolist() == [False, True]
    with pytest.warns(UnparsedCellsWarning, match="such as"):
        assert np.isnan(parse_seconds(spans, "t")).tolist() == [False, True]


@pytest.mark.parametrize(
    ("cells", "first"),
    [
        (["01/02/24", "13/02/24", "05/03/24"], pd.Timestamp(2024, 2, 1)),
        (["01.02.24", "13.02.24", "05.03.24"], pd.Timestamp(2024, 2, 1)),
        (["01.02.24", "03.02.24", "05.03.24"], pd.Timestamp(2024, 2, 1)),
        (["02/01/24", "02/13/24", "03/05/24"], pd.Timestamp(2024, 2, 1)),
        (["24-02-01", "24-02-13", "23-03-05"], pd.Timestamp(2024, 2, 1)),
        (["24.02.01", "24.12.13", "23.03.31"], pd.Timestamp(2024, 2, 1)),
        (["01.02.2024", "13.02.2024 10:00", "05.03.2024"], pd.Timestamp(2024, 2, 1)),
        (["1.2.2024", "3.2.2024", "5.3.2024"], pd.Timestamp(2024, 2, 1)),
    ],
)
def test_day_and_month_are_told_apart_by_all_cells(cells: list[str], first: pd.Timestamp) -> None:
    written = infer_date_format(cells)
    assert written is not None
    times = parse_times(pd.Series(cells), "t", written)
    assert times.iloc[0] == first
    assert times.is_monotonic_increasing or times.iloc[0].year == 2024


def test_what_has_the_form_of_a_date_and_is_none() -> None:
    assert infer_date_format(["1001-05", "9912-12"]) is None
    assert infer_date_format(["08:30", "09:30"]) is None


def test_new_rows_may_write_their_dates_in_another_way() -> None:
    assert parse_times(pd.Series(["2024-01-05"]), "t", date("none")).iloc[0] == pd.Timestamp(2024, 1, 5)
    with pytest.raises(ColumnError, match="must hold dates"):
        parse_times(pd.Series(["08:30", "09:30"]), "t")


def test_numbers_beyond_floats_are_no_dates_and_no_durations() -> None:
    column = pd.Series([10**400, 10**400], dtype=object)
    assert distinct_numbers(column) is None
    with pytest.raises(ColumnError, match="must hold dates"):
        parse_times(column, "t", date("none"))
    with pytest.raises(ColumnError, match="2 infinite"):
        parse_seconds(column, "t")


def test_a_word_among_dates_is_missing_and_named() -> None:
    with pytest.warns(UnparsedCellsWarning, match="'t' holds dates, and 1 cell.* such as 'soon'"):
        times = parse_times(pd.Series(["2024-01-05", "soon"]), "t", date("none"))
    assert times.isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("cells", "seconds"),
    [
        (["08:30", "26:15:30", None], [30600, 94530, np.nan]),
        (pd.to_timedelta([1.5, 60], unit="s"), [1.5, 60]),
        ([dt.time(8, 30), dt.timedelta(hours=1)], [30600, 3600]),
        (["3 days 02:00:00", "3 days, 2:00:00", "1 day", "-03:30"], [266400, 266400, 86400, -12600]),
        ([90, 1.5, "90", None], [90, 1.5, 90, np.nan]),
    ],
)
def test_durations_are_seconds(cells: object, seconds: list[float]) -> None:
    np.testing.assert_allclose(parse_seconds(pd.Series(cells, dtype=object), "t"), seconds)


def test_words_for_durations_are_told_from_others() -> None:
    assert is_duration(["3 days 02:00:00", "1 day", "-03:30", "08:30", "3 days, 2:00:00"])
    assert not any(is_duration([text]) for text in ("3", "A", "1:2:3:4", "12 months"))


@pytest.mark.parametrize(
    "cells",
    [
        [True, False],
        [1, 0],
        [1.0, 0.0],
        ["TRUE", "false"],
        ["yes", "No"],
        ["1", "0"],
        ["WAHR", "FALSCH"],
        ["예", "아니오"],
    ],
)
def test_truth_has_many_words(cells: list[object]) -> None:
    assert parse_booleans(pd.Series([*cells, None], dtype=object), "x").tolist() == [1, 0, -1]
    with pytest.warns(UnparsedCellsWarning, match="holds true or false, and 1 cell.* such as 'maybe'"):
        assert parse_booleans(pd.Series([*cells, "maybe"], dtype=object), "x").tolist() == [1, 0, -1]
    with pytest.raises(ColumnError, match=r"'x' must hold true or false.*'maybe'"):
        parse_booleans(pd.Series(["maybe"]), "x")


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([2**60 + 1, 2**60 + 2, 2**60 + 4]),
        pd.Series([2**63 + 1, 2**63 + 2, 2**63 + 4], dtype="UInt64"),
        pd.Series([10**18 + 1, None, 10**18 + 2, 10**18 + 4], dtype="Int64").dropna(),
        pd.Series([10**30 + 1, 10**30 + 2, 10**30 + 4], dtype=object),
        pd.Series(["1000000000000000001", "1000000000000000002", "1000000000000000004"]),
    ],
)
def test_whole_numbers_beyond_doubles_are_told_apart(column: "pd.Series[int]") -> None:
    number_format = number(".", integer_offset(column))
    assert parse_numbers(column, "x", number_format).tolist() == [0, 1, 3]
    assert np.isnan(parse_numbers(pd.Series([None, 1.5]), "x", number_format)[0])


def test_whole_numbers_beyond_floats_are_infinite_beside_others() -> None:
    column = pd.Series(["1000000000000000001", "9" * 400, "7"])
    assert integer_offset(column) == 7
    with pytest.raises(ColumnError, match="1 infinite value"):
        parse_numbers(column, "x", number(".", 7))


def test_decimal_number_format_of_durations_are_those_of_numbers() -> None:
    column = pd.Series(["0,5", "1,5", "12,25", "08:30"])
    assert parse_seconds(column, "t", number(",")).tolist() == [0.5, 1.5, 12.25, 30600]
    with pytest.warns(UnparsedCellsWarning, match="3 cell"):
        assert np.isnan(parse_seconds(column, "t", number("."))).tolist() == [True, True, True, False]


@pytest.mark.parametrize("cells", [[[1], [2]], [{"a": 1}, "b"], [True, False], [pd.Period("2024"), pd.Period("2025")]])
def test_what_is_no_duration_is_refused(cells: list[object]) -> None:
    with pytest.raises(ColumnError, match="'t' must hold durations"):
        parse_seconds(pd.Series(cells, dtype=object), "t")
    with pytest.raises(ColumnError, match="1 infinite"):
        parse_seconds(pd.Series([np.inf, 1.0]), "t")


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([pd.Timestamp(2024, 1, 5), pd.NaT]),
        pd.Series([pd.Timedelta(1), pd.NaT]),
        pd.Series(pd.period_range("2024", periods=2, freq="D")),
        pd.Series([1j, 2.0]),
    ],
)
def test_times_are_no_numbers(column: "pd.Series[float]") -> None:
    with pytest.raises(ColumnError, match="'x' must hold numbers"):
        parse_numbers(column, "x")


@pytest.mark.parametrize(
    "read", [parse_levels, parse_texts, lambda c: parse_booleans(c, "x"), lambda c: parse_numbers(c, "x")]
)
@pytest.mark.parametrize("cell", [[1], {"a": 1}, {1}, np.ones(2)])
def test_lists_and_the_like_are_refused_by_name(read: Any, cell: object) -> None:
    with pytest.raises(ColumnError, match="'x' must hold numbers, strings, booleans or times"):
        read(pd.Series([cell, cell], dtype=object, name="x"))


def test_strings_for_a_column_of_times_are_read_by_the_format_that_fits_all() -> None:
    cells = pd.Series(["10.02.2024", "13.02.2024"])
    assert parse_times(cells, "t").dt.month.tolist() == [2, 2]


@pytest.mark.parametrize(
    ("cells", "first"),
    [
        (["31.01.24", "01.02.24"], pd.Timestamp(2024, 1, 31)),
        (["Jan 03, 2024", "Feb 04, 2024"], pd.Timestamp(2024, 1, 3)),
        ([*(f"2024-01-{day:02}" for day in range(1, 29)), "unknown"], pd.Timestamp(2024, 1, 1)),
        ([*(f"2024-01-{day:02}" for day in range(1, 29)), "2024-02-30"], pd.Timestamp(2024, 1, 1)),
    ],
)
@pytest.mark.filterwarnings("ignore::tabattn.errors.UnparsedCellsWarning")
def test_dates_of_other_forms_and_with_a_bad_cell(cells: list[str], first: pd.Timestamp) -> None:
    written = infer_date_format(cells)
    assert written is not None
    assert parse_times(pd.Series(cells), "t", written).iloc[0] == first
    assert infer_date_format([*cells[:3], "unknown"]) is None


@pytest.mark.parametrize(
    ("cells", "written", "first"),
    [
        ([2000, 2019], "none", pd.Timestamp(2000, 1, 1)),
        ([202401, 202312], "none", pd.Timestamp(2024, 1, 1)),
        ([45296, 45300.5], "days of Excel", pd.Timestamp(2024, 1, 5)),
        ([*range(20240101, 20240129), 0], "none", pd.Timestamp(2024, 1, 1)),
    ],
)
@pytest.mark.filterwarnings("ignore::tabattn.errors.UnparsedCellsWarning")
def test_years_months_and_days_of_excel(cells: list[float], written: str, first: pd.Timestamp) -> None:
    assert infer_numeric_date_format(cells) == date(written)
    assert parse_times(pd.Series(cells), "t", date(written)).iloc[0] == first
    assert infer_numeric_date_format([1.0, 12.0]) is None


def test_one_level_whatever_its_type() -> None:
    positions, names = parse_levels(pd.Series([1.0, "1", True, "True", np.nan, "  ", "N/A"], dtype=object))
    assert [names[i] if i >= 0 else None for i in positions] == ["1", "1", "True", "True", None, None, None]


def test_texts_hold_any_letters() -> None:
    assert parse_texts(pd.Series(["a\udc80b", "a\0b"], dtype=object)).tolist() == ["a\\udc80b", "a\0b"]


def test_texts_are_strings_or_missing() -> None:
    assert parse_texts(pd.Series(["a b", None, "-", 3], dtype=object)).isna().tolist() == [False, True, True, False]


@pytest.mark.parametrize(
    ("good", "bad"),
    [([f"{i}.5" for i in range(200)], "broken"), ([f"{1 + i % 28:02}.03.{1900 + i}" for i in range(200)], "soon")],
    ids=["numbers", "dates"],
)
def test_one_cell_in_twenty_may_be_something_else_and_not_more(good: list[str], bad: str) -> None:
    infer: Any = infer_number_format if bad == "broken" else infer_date_format

    def column(n_good: int, n_bad: int) -> list[str]:
        return [*good[:n_good], *(f"{bad} {i}" for i in range(n_bad))]

    assert infer(column(190, 10)) is not None
    assert infer(column(95, 5)) is not None
    for n_good, n_bad in ((189, 11), (94, 6), (180, 20), (160, 40)):
        assert infer(column(n_good, n_bad)) is None, (n_good, n_bad)
    assert infer(column(10, 1)) is None, "few cells are all of one form, or of none"


@given(st.lists(st.integers(0, 999), min_size=2, max_size=60, unique=True))
def test_digits_of_one_length_are_codes_if_one_begins_with_0(numbers: list[int]) -> None:
    padded = [f"{number:03}" for number in numbers]
    assert are_codes(padded) == any(number < 100 for number in numbers)
    assert (infer_number_format(padded) is None) == are_codes(padded)
    assert infer_number_format(padded, are_numbers=True) == number(".")


def test_one_zero_among_digits_of_many_lengths_is_no_code() -> None:
    assert infer_number_format(["07", *map(str, range(200))]) == number(".")
    of_one_length = list(map(str, range(100, 300)))
    assert infer_number_format(["007", *of_one_length]) is None, "007 among 123 is a code"
    assert infer_number_format(of_one_length) == number(".")
    assert infer_table(pd.DataFrame({"code": ["007", *of_one_length]})).schema.columns[0].kind is Kind.CATEGORICAL


@settings(deadline=None, max_examples=60)
@given(st.lists(st.dates(dt.date(1800, 1, 1), dt.date(2200, 1, 1)), min_size=2, max_size=20, unique=True))
def test_dates_of_any_century_keep_their_order_and_their_distance(days: list[dt.date]) -> None:
    """Also those before 1970, from which seconds are counted: they are negative."""
    stamps = pd.Series(pd.to_datetime(days).astype("datetime64[us]"))
    written = {
        "iso": (stamps.dt.strftime("%Y-%m-%d"), date("none")),
        "digits": (stamps.dt.strftime("%Y%m%d").astype(int), date("none")),
        "seconds": (stamps.astype("int64") // 10**6, date("s")),
        "times": (stamps, None),
    }
    for name, (cells, how) in written.items():
        times = Times(parse_times(cells, name, how))
        elapsed = BlockEncoder.learned(times)[1][:, 0]
        assert np.diff(elapsed).tolist() == [86_400.0 * (b - a).days for a, b in pairwise(days)], name


PROMISED = {
    True: ["true", "t", "yes", "y", "on", "1", "wahr", "ja", "예", "네"],
    False: ["false", "f", "no", "n", "off", "0", "falsch", "nein", "아니오", "아니요"],
}


@pytest.mark.parametrize("truth", PROMISED)
def test_every_promised_word_for_true_and_false_is_read_in_any_case(truth: bool) -> None:
    words = PROMISED[truth]
    cells = [change(word) for word in words for change in (str, str.upper, str.title, " {} ".format)]
    assert set(parse_booleans(pd.Series([*cells, truth, int(truth), float(truth)], dtype=object), "x")) == {int(truth)}
    assert words == sorted(TRUE_WORDS if truth else FALSE_WORDS, key=words.index)
