"""Cells of a column to values: numbers, levels, times and texts, as a person would read them."""

import re
import reprlib
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from tabattn.errors import ColumnError, UnreadCellsWarning

AnySeries: TypeAlias = "pd.Series[Any]"
Numbers: TypeAlias = np.ndarray[tuple[int], np.dtype[np.float64]]
MISSING_MARKS = frozenset(
    {"", "-", "--", "?", ".", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "missing", "없음", "결측"}
)
BEYOND_INTEGERS = 2**64
MIN_READ_SHARE = 0.95
MIN_READ_NUMBERS = 10
_SIGN, _EXPONENT = r"[+\-\u2212]?", r"(?:[eE][+-]?\d+)?"
_NUMBER_PATTERNS = {
    marks: re.compile(rf"{_SIGN}(?:{pattern}){_EXPONENT}%?")
    for marks, pattern in {
        ".": r"\d+\.?\d*|\.\d+",
        ".,": r"\d{1,3}(?:,\d{3})+(?:\.\d*)?|\d+\.?\d*|\.\d+",
        ",": r"\d+,?\d*|,\d+",
        ",.": r"\d{1,3}(?:\.\d{3})+(?:,\d*)?|\d+,?\d*|,\d+",
        ". ": r"\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?:\.\d*)?|\d+\.?\d*|\.\d+",
        ", ": r"\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?:,\d*)?|\d+,?\d*|,\d+",
        ".'": r"\d{1,3}(?:['\u2019]\d{3})+(?:\.\d*)?|\d+\.?\d*|\.\d+",
    }.items()
}
_LEADING_ZERO = re.compile(r"0\d+")
_CLOCK = re.compile(r"\d{1,3}:\d{2}(?::\d{2}(?:\.\d+)?)?")
_DATE = re.compile(
    r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}|\d{1,2}[ -][A-Za-z]{3,9}\.?[ -]\d{4})([T\s].*)?"
)
MIXED_DATES = "mixed"


@contextmanager
def unread_cells_ignored() -> Iterator[None]:
    """Leave out warnings of unread cells that have been given already."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnreadCellsWarning)
        yield


def is_missing(column: AnySeries) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Say which cells are missing: empty, blank, NaN, None, or a mark of it such as "-", "N/A" or "없음".

    Args:
        column: The cells.

    Example:
        >>> is_missing(pd.Series(["a", None, " - ", "없음", 0], dtype=object)).tolist()
        [False, True, True, True, False]
    """
    missing: np.ndarray[tuple[int], np.dtype[np.bool_]] = column.isna().to_numpy(dtype=bool).copy()
    if holds_strings(column):
        try:
            positions, values = pd.factorize(column, use_na_sentinel=True)
        except TypeError:  # lists and other things that are no cells, to be refused by name
            return missing
        is_mark = [isinstance(value, str) and value.strip().casefold() in MISSING_MARKS for value in values]
        missing |= np.array([*is_mark, True])[positions]
    return missing


def holds_strings(column: AnySeries) -> bool:
    """Say whether a column may hold strings."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return holds_strings(column.cat.categories.to_series())
    return bool(pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column))


def number_marks(strings: Sequence[str]) -> str | None:
    """Find out how a column writes its numbers.

    Args:
        strings: Its different cells, none missing.

    Returns:
        The decimal mark and, where there is one, the mark between thousands; None if these are no numbers. One cell in
        twenty may be something else, where there are more than ten numbers.

    Example:
        >>> number_marks(["1,234.5", "7"]), number_marks(["1.234,5", "7"]), number_marks(["0,5", "7"])
        ('.,', ',.', ',')
        >>> number_marks(["007", "012"]), number_marks(["1", "b"])
        (None, None)
    """
    stripped = [string.strip() for string in strings]
    if not stripped or any(_LEADING_ZERO.fullmatch(string) for string in stripped):
        return None
    best, n_best = None, 0
    for marks, pattern in _NUMBER_PATTERNS.items():
        n_read = sum(pattern.fullmatch(string) is not None for string in stripped)
        if n_read > n_best:
            best, n_best = marks, n_read
    is_enough = n_best == len(stripped) or (n_best > MIN_READ_NUMBERS and n_best >= MIN_READ_SHARE * len(stripped))
    return best if is_enough else None


def as_numbers(column: AnySeries, name: str, marks: str = ".") -> Numbers:
    """Return a numeric column as floats, NaN where missing.

    Args:
        column: The cells.
        name: Name of the column, for errors and warnings.
        marks: What `number_marks` returned.

    Returns:
        Array of the same length.

    Raises:
        ColumnError: A cell is infinite, or none is a number.

    Warns:
        UnreadCellsWarning: Some cells are no numbers; they count as missing.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    if holds_strings(column):
        numbers = _read_strings(column, name, marks)
    else:
        try:
            numbers = pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan)
        except (ValueError, TypeError) as error:
            raise _no_numbers(name, column.dtype) from error
    if np.isinf(numbers).any():
        raise ColumnError(
            f"Column {name!r} must hold finite numbers, got {int(np.isinf(numbers).sum())} infinite value(s). "
            "Replace them by a number or leave the cells empty."
        )
    return numbers


def as_levels(column: AnySeries) -> tuple[np.ndarray[tuple[int], np.dtype[np.intp]], list[str]]:
    """Return a categorical column as positions in a list of level names; 1, 1.0 and "1" are one level.

    Args:
        column: The cells.

    Returns:
        The position of each cell's level, -1 where missing, and the names of the levels.

    Example:
        >>> positions, names = as_levels(pd.Series(["B", None, " ", "A"], dtype=object))
        >>> positions.tolist(), names
        ([0, -1, -1, 1], ['B', 'A'])
    """
    missing = is_missing(column)
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    if pd.api.types.is_object_dtype(column):  # equal cells of two types, 1 and True, are named each for itself
        column = column.mask(missing, None).map(level_name, na_action="ignore")
    positions, values = pd.factorize(column, use_na_sentinel=True)
    position_of: dict[str, int] = {}
    present = np.unique(positions[~missing])
    renumbered = np.full(len(values) + 1, -1, dtype=np.intp)
    for position in present:
        renumbered[position] = position_of.setdefault(level_name(values[position]), len(position_of))
    return np.where(missing, -1, renumbered[positions]), list(position_of)


def is_clock(strings: Sequence[str]) -> bool:
    """Say whether all strings are times of day or durations, such as 08:30 or 26:15:00."""
    return bool(strings) and all(_CLOCK.fullmatch(string.strip()) for string in strings)


def date_format(strings: Sequence[str]) -> str | None:
    """Find out how a column writes its dates.

    Args:
        strings: Its different cells, none missing.

    Returns:
        A format for `strptime`; "mixed" if there are several; None if these are no dates.

    Source: skrub's `ToDatetime`, which tells day and month apart by all cells.

    Example:
        >>> date_format(["13/02/2024", "01/02/2024"]), date_format(["lot 1", "lot 2"])
        ('%d/%m/%Y', None)
    """
    if not strings or not all(_DATE.fullmatch(string.strip()) for string in strings):
        return None
    from skrub import ToDatetime  # half a second that tables without dates don't pay

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        series = pd.Series([string.strip() for string in strings], dtype="str")
        try:
            reader = ToDatetime().fit(series)
        except ValueError:
            return (
                MIXED_DATES if pd.to_datetime(series, errors="coerce", format="mixed", utc=True).notna().all() else None
            )
    return str(reader.format_)


def as_times(column: AnySeries, name: str, date_format: str) -> AnySeries:
    """Return a column of dates as time stamps without a time zone, NaT where missing; zones become UTC.

    Args:
        column: The cells.
        name: Name of the column, for errors and warnings.
        date_format: What `date_format` returned, "" for a column that holds times and not strings.

    Raises:
        ColumnError: No cell is a date.

    Warns:
        UnreadCellsWarning: Some cells are no dates; they count as missing.
    """
    missing = is_missing(column)
    if isinstance(column.dtype, pd.PeriodDtype):
        column = pd.Series(column.dt.to_timestamp(), index=column.index)
    cells = column.astype(object).reset_index(drop=True).mask(missing)
    is_text = cells.map(lambda cell: isinstance(cell, str)).to_numpy(dtype=bool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        times: AnySeries = pd.to_datetime(cells.mask(is_text), errors="coerce", utc=True)
        if is_text.any():
            written = date_format or MIXED_DATES
            strings = pd.to_datetime(cells.where(is_text).str.strip(), errors="coerce", utc=True, format=written)
            times = times.where(~is_text, strings)
    _warn_unread(column, times.isna().to_numpy() & ~missing, missing, name, "dates")
    stamps: AnySeries = times.dt.tz_localize(None).set_axis(column.index)
    return stamps


def as_seconds(column: AnySeries, name: str) -> Numbers:
    """Return a column of durations or times of day in seconds, NaN where missing.

    Args:
        column: The cells.
        name: Name of the column, for errors and warnings.

    Raises:
        ColumnError: No cell is a duration.

    Warns:
        UnreadCellsWarning: Some cells are no durations; they count as missing.
    """
    missing = is_missing(column)
    cells = column.astype(object).mask(missing).map(_clock_text, na_action="ignore")
    spans = pd.to_timedelta(cells.reset_index(drop=True), errors="coerce")
    seconds = np.asarray(spans.dt.total_seconds(), dtype=np.float64)
    _warn_unread(column, np.isnan(seconds) & ~missing, missing, name, "durations")
    return seconds


def as_texts(column: AnySeries) -> AnySeries:
    """Return a column of texts as strings, None where missing."""
    return column.astype(object).map(str, na_action="ignore").mask(is_missing(column), None).astype("str")


def _read_strings(column: AnySeries, name: str, marks: str) -> Numbers:
    missing = is_missing(column)
    positions, values = pd.factorize(column, use_na_sentinel=True)
    read = np.array([*(_read_number(value, marks) for value in values), np.nan])
    numbers: Numbers = np.where(missing, np.nan, read[positions])
    _warn_unread(column, np.isnan(numbers) & ~missing, missing, name, "numbers")
    return numbers


def _read_number(value: object, marks: str) -> float:
    if isinstance(value, str):
        text = value.strip()
        if not _NUMBER_PATTERNS[marks].fullmatch(text):
            return float("inf") if text.casefold().lstrip("+-") in {"inf", "infinity"} else float("nan")
        text = text.rstrip("%").replace("\u2212", "-")
        for mark in "\u00a0\u202f \u2019'":
            text = text.replace(mark, "")
        if marks[1:] in {",", "."}:
            text = text.replace(marks[1], "")
        return float(text.replace(marks[0], "."))
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def _warn_unread(
    column: AnySeries,
    is_unread: np.ndarray[tuple[int], np.dtype[np.bool_]],
    missing: np.ndarray[tuple[int], np.dtype[np.bool_]],
    name: str,
    what: str,
) -> None:
    if not is_unread.any():
        return
    first = reprlib.repr(level_name(column[is_unread].iloc[0]))
    if (is_unread | missing).all():
        raise ColumnError(
            f"Column {name!r} must hold {what}, as when the model was fitted, got {first}. "
            "Correct the cells or leave them empty."
        )
    warnings.warn(
        f"Column {name!r} holds {what}, and {int(is_unread.sum())} cell(s) that are none, such as {first}: "
        "they count as missing.",
        UnreadCellsWarning,
        stacklevel=2,
    )


def _no_numbers(name: str, got: object) -> ColumnError:
    return ColumnError(
        f"Column {name!r} must hold numbers, as when the model was fitted, got {got}. "
        "Correct the cells or leave them empty."
    )


def _clock_text(cell: object) -> object:
    if isinstance(cell, str) and cell.count(":") == 1:
        return f"{cell.strip()}:00"
    return str(cell) if hasattr(cell, "isoformat") and hasattr(cell, "microsecond") else cell


def level_name(cell: object) -> str:
    """Return the name of the level that a cell stands for: "1" for 1, 1.0 and "1".

    Args:
        cell: Not missing.

    Returns:
        Text that UTF-8 can hold.
    """
    if isinstance(cell, float | np.floating) and float(cell).is_integer():
        return str(int(cell))
    if isinstance(cell, int) and abs(cell) >= BEYOND_INTEGERS:
        return hex(cell)  # str() refuses thousands of digits
    return str(cell).encode("utf-8", "backslashreplace").decode()
