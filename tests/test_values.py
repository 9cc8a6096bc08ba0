import datetime as dt

import numpy as np
import pandas as pd
import pytest

from tabattn.errors import ColumnError, UnreadCellsWarning
from tabattn.values import as_levels, as_numbers, as_seconds, as_texts, as_times, date_format, is_missing, number_marks


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
        (["12%", "7.5%"], [12, 7.5]),
        ([" 12 ", "-", "N/A", "없음", None, "7"], [12, np.nan, np.nan, np.nan, np.nan, 7]),
    ],
)
def test_numbers_are_read_as_a_person_would(cells: list[str | None], numbers: list[float]) -> None:
    column = pd.Series(cells, dtype=object)
    marks = number_marks([str(cell) for cell in column[~is_missing(column)]])
    assert marks is not None
    np.testing.assert_allclose(as_numbers(column, "x", marks), numbers)


@pytest.mark.parametrize("cells", [["007", "012"], ["1", "b"], ["1,23,4"], ["1.2.3"], ["0x10", "1"], ["a"], []])
def test_codes_are_no_numbers(cells: list[str]) -> None:
    assert number_marks(cells) is None


def test_one_bad_cell_among_many_numbers_is_missing_and_named() -> None:
    column = pd.Series([*map(str, range(40)), "error"])
    marks = number_marks(list(column))
    assert marks == "."
    with pytest.warns(UnreadCellsWarning, match=r"Column 'x' holds numbers, and 1 cell.* such as 'error'"):
        numbers = as_numbers(column, "x", marks)
    assert np.isnan(numbers[-1])
    assert not np.isnan(numbers[:-1]).any()
    with pytest.raises(ColumnError, match=r"'x' must hold numbers.*'error'"):
        as_numbers(column.tail(1), "x", marks)


@pytest.mark.parametrize("cells", [["inf", "1"], [np.inf, 1.0], ["-Infinity", "1"]])
def test_infinite_numbers_are_refused(cells: list[object]) -> None:
    with pytest.raises(ColumnError, match="finite numbers, got 1 infinite"):
        as_numbers(pd.Series(cells, dtype=object), "x")


@pytest.mark.parametrize(
    ("cells", "written"),
    [
        (["2024-01-05", "2024-12-31"], "%Y-%m-%d"),
        (["05.01.2024", "31.12.2024"], "%d.%m.%Y"),
        (["01/05/2024", "12/31/2024"], "%m/%d/%Y"),
        (["2024-01-05T00:00:00Z", "2024-12-31T00:00:00Z"], "%Y-%m-%dT%H:%M:%S%z"),
        (["2024/01/05", "2024-12-31 00:00"], "mixed"),
    ],
)
def test_dates_are_read_by_the_format_that_fits_all_cells(cells: list[str], written: str) -> None:
    assert date_format(cells) == written
    times = as_times(pd.Series([*cells, None], index=[3, 3, 1], dtype=object), "t", written)
    assert times.index.tolist() == [3, 3, 1]
    assert times.tolist()[:2] == [pd.Timestamp(2024, 1, 5), pd.Timestamp(2024, 12, 31)]
    assert times.isna().tolist() == [False, False, True]


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
    assert as_times(column, "t", "").tolist() == [pd.Timestamp(2024, 1, 5), pd.Timestamp(2024, 12, 31)]


def test_a_word_among_dates_is_missing_and_named() -> None:
    with pytest.warns(UnreadCellsWarning, match="'t' holds dates, and 1 cell.* such as 'soon'"):
        times = as_times(pd.Series(["2024-01-05", "soon"]), "t", "%Y-%m-%d")
    assert times.isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("cells", "seconds"),
    [
        (["08:30", "26:15:30", None], [30600, 94530, np.nan]),
        (pd.to_timedelta([1.5, 60], unit="s"), [1.5, 60]),
        ([dt.time(8, 30), dt.timedelta(hours=1)], [30600, 3600]),
    ],
)
def test_durations_are_seconds(cells: object, seconds: list[float]) -> None:
    np.testing.assert_allclose(as_seconds(pd.Series(cells, dtype=object), "t"), seconds)


def test_one_level_whatever_its_type() -> None:
    positions, names = as_levels(pd.Series([1.0, "1", True, "True", np.nan, "  ", "N/A"], dtype=object))
    assert [names[i] if i >= 0 else None for i in positions] == ["1", "1", "True", "True", None, None, None]


def test_texts_are_strings_or_missing() -> None:
    assert as_texts(pd.Series(["a b", None, "-", 3], dtype=object)).isna().tolist() == [False, True, True, False]
