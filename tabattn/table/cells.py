"""Cells of a column to values: numbers, levels, times and texts, as a person would read them."""

import datetime as dt
import reprlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from tabattn.errors import ColumnError, UnreadCellsWarning, in_one_line
from tabattn.table.notation import (
    EXCEL_DAYS,
    FIRST_EXCEL_DAY,
    MAX_WHOLE,
    MIXED_DATES,
    UNITS_SINCE_1970,
    date_format,
    is_number,
    is_span,
    plain_date,
    read_dates,
    read_flag,
    read_number,
    span_text,
    whole_number,
)

AnySeries: TypeAlias = "pd.Series[Any]"
Numbers: TypeAlias = np.ndarray[tuple[int], np.dtype[np.float64]]
Mask: TypeAlias = np.ndarray[tuple[int], np.dtype[np.bool_]]
MISSING_MARKS = frozenset(
    {
        *("", "-", "--", "?", ".", "na", "n/a", "n.a.", "n.a", "#n/a", "<na>", "nan", "-nan", "nat"),
        *("null", "none", "nil", "missing"),
        *("#value!", "#ref!", "#div/0!", "#name?", "#num!", "#null!"),
        *("없음", "결측", "결측치", "해당없음", "해당 없음", "미측정"),
    }
)
FLAG_NAMES = ("False", "True")
BEYOND_INTEGERS = 2**64
MAX_EXACT_WHOLE = 2**53
_is_told: ContextVar[bool] = ContextVar("tabattn_unread_cells_told", default=False)


@contextmanager
def unread_cells_ignored() -> Iterator[None]:
    """Leave out warnings of cells that have been given already; other threads go on to give theirs."""
    token = _is_told.set(True)
    try:
        yield
    finally:
        _is_told.reset(token)


def warn_of_cells(message: str, category: type[Warning] = UnreadCellsWarning) -> None:
    """Warn of what cells hold, where it has not been told already.

    Args:
        message: What to say.
        category: Kind of warning.
    """
    if not _is_told.get():
        warnings.warn(message, category, stacklevel=3)


def is_missing(column: AnySeries) -> Mask:
    """Say which cells are missing: empty, blank, NaN, None, or a mark of it such as "-", "N/A" or "없음".

    Args:
        column: The cells.

    Example:
        >>> is_missing(pd.Series(["a", None, " - ", "없음", 0], dtype=object)).tolist()
        [False, True, True, True, False]
    """
    missing: Mask = column.isna().to_numpy(dtype=bool).copy()
    if holds_strings(column):
        try:
            positions, values = factorized(column)
        except ColumnError:  # whoever reads the cells refuses them
            return missing
        missing |= np.array([*(isinstance(value, str) and is_mark(value) for value in values), True])[positions]
    return missing


def is_mark(text: str) -> bool:
    """Say whether a text is blank, or a mark of what is missing."""
    return text.strip().casefold() in MISSING_MARKS


def holds_strings(column: AnySeries) -> bool:
    """Say whether a column may hold strings."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return holds_strings(column.cat.categories.to_series())
    return bool(pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column))


def as_numbers(column: AnySeries, name: str, marks: str = ".", origin: int = 0) -> Numbers:
    """Return a numeric column as floats, NaN where missing.

    Args:
        column: The cells.
        name: Name of the column, for errors and warnings.
        marks: What `tabattn.table.notation.number_marks` returned.
        origin: What `exact_origin` returned: taken from whole numbers before they become floats.

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
        numbers = _read_cells(column, name, marks, origin)
    else:
        if _is_no_number_dtype(column):
            raise _no_numbers(name, column.dtype)
        try:
            cells = pd.to_numeric(column)
        except (ValueError, TypeError) as error:
            raise _no_numbers(name, column.dtype) from error
        if origin and pd.api.types.is_integer_dtype(cells):
            numbers = _read_cells(cells.astype(object), name, marks, origin)
        else:
            numbers = cells.to_numpy(dtype=np.float64, na_value=np.nan) - origin
    _refuse_infinite(numbers, name)
    return numbers


def exact_origin(column: AnySeries) -> int:
    """Return what to take from whole numbers that floats can't tell apart, so that they can: the smallest.

    Args:
        column: A column of numbers, perhaps as strings.

    Returns:
        0 if no whole number is beyond 2^53, up to which floats hold all of them.

    Example:
        >>> exact_origin(pd.Series([2**60 + 1, 2**60 + 2])) == 2**60 + 1, exact_origin(pd.Series([1, 2]))
        (True, 0)
    """
    present = column.dropna()
    if pd.api.types.is_integer_dtype(column) and len(present):
        wholes = [int(present.min()), int(present.max())]
    elif holds_strings(column):
        read = (whole_number(cell) if isinstance(cell, str) else _integer(cell) for cell in pd.unique(present))
        wholes = [whole for whole in read if whole is not None and abs(whole) <= MAX_WHOLE]
    else:
        return 0
    return min(wholes) if wholes and max(map(abs, wholes)) > MAX_EXACT_WHOLE else 0


def as_flags(column: AnySeries, name: str) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return a column of truths as 0 (false) and 1 (true), -1 where missing.

    Args:
        column: The cells: booleans, 1 and 0, or words such as "TRUE", "no" and "t".
        name: Name of the column, for errors and warnings.

    Raises:
        ColumnError: No cell says true or false.

    Warns:
        UnreadCellsWarning: Some cells say neither; they count as missing.

    Example:
        >>> as_flags(pd.Series([True, "FALSE", 1, None], dtype=object), "x").tolist()
        [1, 0, 1, -1]
    """
    missing = is_missing(column)
    column = column.astype(object) if isinstance(column.dtype, pd.CategoricalDtype) else column
    positions, values = factorized(column)
    read = [read_flag(value) for value in values]
    flags: np.ndarray[tuple[int], np.dtype[np.intp]] = np.array(
        [*(-1 if flag is None else int(flag) for flag in read), -1], dtype=np.intp
    )[positions]
    flags[missing] = -1
    _warn_unread(column, (flags < 0) & ~missing, missing, name, "true or false")
    return flags


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
        factorized(column)  # refuses what is no cell
        column = column.mask(missing, None).map(level_name, na_action="ignore")
    positions, values = factorized(column)
    position_of: dict[str, int] = {}
    present = np.unique(positions[~missing])
    renumbered = np.full(len(values) + 1, -1, dtype=np.intp)
    for position in present:
        renumbered[position] = position_of.setdefault(level_name(values[position]), len(position_of))
    return np.where(missing, -1, renumbered[positions]), list(position_of)


def as_times(column: AnySeries, name: str, written: str) -> AnySeries:
    """Return a column of dates as time stamps without a time zone, NaT where missing; zones become UTC.

    Args:
        column: The cells.
        name: Name of the column, for errors and warnings.
        written: What `date_format` or `number_date_format` returned, "" for a column that holds times and neither
            strings nor numbers; strings are then read as all of them together say.

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
    is_numeric = cells.map(is_real_number).to_numpy(dtype=bool)
    times: AnySeries = pd.to_datetime(cells.mask(is_text | is_numeric), errors="coerce", utc=True)
    if written == EXCEL_DAYS or written in UNITS_SINCE_1970:
        counts = pd.to_numeric(cells.where(is_text | is_numeric), errors="coerce").astype(np.float64)
        times = times.where(times.notna(), _counted(counts, written))
    else:
        if is_text.any():
            plain = cells.where(is_text).map(_date_text, na_action="ignore")
            way = written or date_format(plain.dropna().unique().tolist()) or MIXED_DATES
            strings = read_dates(plain, way)
            others = plain[strings.isna()].dropna()
            if len(others) and (other_way := date_format(others.unique().tolist())):
                strings = strings.where(strings.notna(), read_dates(plain, other_way))
            times = times.where(~is_text, strings)
        if is_numeric.any() and written:
            digits = cells.where(is_numeric).map(_digits, na_action="ignore")
            times = times.where(~is_numeric, read_dates(digits, written))
    _warn_unread(column, times.isna().to_numpy() & ~missing, missing, name, "dates")
    stamps: AnySeries = times.dt.tz_localize(None).set_axis(column.index)
    return stamps


def real_numbers(column: AnySeries) -> Numbers | None:
    """Return the different numbers of a column of numbers, perhaps as strings; None if it holds something else too.

    Args:
        column: The cells.

    Example:
        >>> real_numbers(pd.Series(["20240105", None])), real_numbers(pd.Series(["A"]))
        (array([20240105.]), None)
    """
    cells = column[~is_missing(column)]
    if isinstance(cells.dtype, pd.CategoricalDtype):
        cells = cells.astype(object)
    if not cells.map(lambda cell: is_real_number(cell) or isinstance(cell, str)).all():
        return None
    try:
        numbers = pd.to_numeric(cells, errors="coerce").astype(np.float64).to_numpy()
    except OverflowError:
        return None
    return np.unique(numbers) if len(numbers) and np.isfinite(numbers).all() else None


def as_seconds(column: AnySeries, name: str, marks: str = ".") -> Numbers:
    """Return a column of durations or times of day in seconds, NaN where missing; numbers are seconds.

    Args:
        column: The cells.
        name: Name of the column, for errors and warnings.
        marks: How numbers are written in it, see `tabattn.table.notation.number_marks`.

    Raises:
        ColumnError: No cell is a duration, or one is infinite.

    Warns:
        UnreadCellsWarning: Some cells are no durations; they count as missing.
    """
    missing = is_missing(column)
    cells = column.astype(object).reset_index(drop=True).mask(missing)
    seconds = np.array([_plain_seconds(cell, marks) for cell in cells], dtype=np.float64)
    seconds[missing] = np.nan
    _refuse_infinite(seconds, name)
    is_other = np.isnan(seconds) & ~missing
    spans = pd.to_timedelta(cells.where(is_other).map(_span, na_action="ignore"), errors="coerce")
    seconds[is_other] = spans.dt.total_seconds()[is_other]
    _warn_unread(column, np.isnan(seconds) & ~missing, missing, name, "durations")
    return seconds


def as_texts(column: AnySeries) -> AnySeries:
    """Return a column of texts as strings, None where missing."""
    factorized(column)  # refuses what is no cell
    return column.astype(object).map(level_name, na_action="ignore").mask(is_missing(column), None).astype("str")


def is_real_number(cell: object) -> bool:
    """Say whether a cell is a number by its type; True and False are none."""
    return isinstance(cell, int | float | np.integer | np.floating | Decimal) and not isinstance(cell, bool)


def _refuse_infinite(numbers: Numbers, name: str) -> None:
    if np.isinf(numbers).any():
        raise ColumnError(
            f"Column {name!r} must hold finite numbers, got {int(np.isinf(numbers).sum())} infinite value(s). "
            "Replace them by a number or leave the cells empty."
        )


def _read_cells(column: AnySeries, name: str, marks: str, origin: int) -> Numbers:
    missing = is_missing(column)
    positions, values = factorized(column)
    read = np.array([*(_number(value, marks, origin) for value in values), np.nan])
    numbers: Numbers = np.where(missing, np.nan, read[positions])
    _warn_unread(column, np.isnan(numbers) & ~missing, missing, name, "numbers")
    return numbers


def _number(value: object, marks: str, origin: int) -> float:
    if isinstance(value, str):
        return read_number(value, marks, origin)
    whole = _integer(value) if origin else None
    try:
        return float(value) - origin if whole is None else float(whole - origin)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def _integer(value: object) -> int | None:
    if isinstance(value, Decimal):
        return int(value) if value.is_finite() and value == value.to_integral_value() else None
    return int(value) if isinstance(value, int | np.integer) and not isinstance(value, bool) else None


def _is_no_number_dtype(column: AnySeries) -> bool:
    """Say whether these are times, which pandas turns into numbers of whatever unit they have, or complex numbers."""
    is_time = pd.api.types.is_datetime64_any_dtype(column) or pd.api.types.is_timedelta64_dtype(column)
    return is_time or isinstance(column.dtype, pd.PeriodDtype) or pd.api.types.is_complex_dtype(column)


def factorized(column: AnySeries) -> tuple[Any, Any]:
    """Return the position of each cell's value among all different ones, -1 where missing, and these.

    Raises:
        ColumnError: Some cells are lists or other things that are no cells.
    """
    try:
        return pd.factorize(column, use_na_sentinel=True)
    except (TypeError, NotImplementedError) as error:  # Python's and PyArrow's words for lists and structures
        raise ColumnError(
            f"Column {str(column.name)!r} must hold numbers, strings, booleans or times, got {in_one_line(error)}. "
            "Drop the column."
        ) from error


def _date_text(cell: object) -> str:
    """Return a date without East Asian words; a time of day alone is none, though pandas takes it for one of today."""
    text = plain_date(level_name(cell))
    return "" if is_span([text]) else text


def _digits(number: object) -> str:
    try:
        return f"{number:.0f}"
    except OverflowError:
        return ""


def _counted(counts: AnySeries, unit: str) -> AnySeries:
    """Return the times that are so many units after 1970, or days after the first of Excel."""
    since: dict[str, Any] = {"unit": "D", "origin": FIRST_EXCEL_DAY} if unit == EXCEL_DAYS else {"unit": unit}
    times: AnySeries = pd.to_datetime(counts, errors="coerce", utc=True, **since)
    return times


def _plain_seconds(cell: object, marks: str) -> float:
    if isinstance(cell, str):
        return read_number(cell, marks) if is_number(cell) else float("nan")
    try:
        return float(cell) if is_real_number(cell) else float("nan")  # type: ignore[arg-type]
    except OverflowError:
        return float("inf")


def _span(cell: object) -> object:
    """Return what pandas reads as a duration, None for all that is none: it takes bare digits for nanoseconds."""
    if isinstance(cell, str):
        text = level_name(cell).strip()
        return span_text(text) if is_span([text]) or any(map(str.isalpha, text)) else None
    if isinstance(cell, dt.time):
        return str(cell)
    return cell if isinstance(cell, dt.timedelta | np.timedelta64) else None


def _warn_unread(
    column: AnySeries,
    is_unread: Mask,
    missing: Mask,
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
    warn_of_cells(
        f"Column {name!r} holds {what}, and {int(is_unread.sum())} cell(s) that are none, such as {first}: "
        "they count as missing."
    )


def _no_numbers(name: str, got: object) -> ColumnError:
    return ColumnError(
        f"Column {name!r} must hold numbers, as when the model was fitted, got {got}. "
        "Correct the cells or leave them empty."
    )


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
