"""Cells of a column to values: numbers, booleans, levels, times and texts, as a person would read them.

Nothing here warns: what could not be parsed is returned with the values, and the reader of a table warns once.
"""

import datetime as dt
import reprlib
from decimal import Decimal
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import numpy as np
import pandas as pd

from tabattn.errors import ColumnError, UnparsedCellsWarning, in_one_line
from tabattn.table.dates import (
    DateFormat,
    DateUnit,
    infer_date_format,
    is_duration,
    parse_counts,
    parse_dates,
    plain_date,
    plain_duration,
)
from tabattn.table.numbers import (
    MAX_EXACT_INTEGER,
    MAX_INTEGER,
    NumberFormat,
    is_number,
    parse_boolean,
    parse_integer,
    parse_number,
)

AnySeries: TypeAlias = "pd.Series[Any]"
Floats: TypeAlias = np.ndarray[tuple[int], np.dtype[np.float64]]
Positions: TypeAlias = np.ndarray[tuple[int], np.dtype[np.intp]]
Mask: TypeAlias = np.ndarray[tuple[int], np.dtype[np.bool_]]
Values = TypeVar("Values")
MISSING_WORDS = frozenset(
    {
        *("", "-", "--", "?", ".", "na", "n/a", "n.a.", "n.a", "#n/a", "<na>", "nan", "-nan", "nat"),
        *("null", "none", "nil", "missing"),
        *("#value!", "#ref!", "#div/0!", "#name?", "#num!", "#null!"),
        *("없음", "결측", "결측치", "해당없음", "해당 없음", "미측정"),
    }
)
BOOLEAN_NAMES = ("False", "True")
INFERRED_NUMBERS = frozenset(
    {"integer", "floating", "mixed-integer-float", "decimal"}
)  # of pandas.api.types.infer_dtype
BEYOND_INTEGERS = 2**64


class Parsed(NamedTuple, Generic[Values]):
    """Cells as values.

    Args:
        values: One for each cell.
        warning: What to warn of, if some cells could not be parsed and count as missing.
    """

    values: Values
    warning: UnparsedCellsWarning | None = None


def is_missing(column: AnySeries) -> Mask:
    """Return which cells are missing: empty, blank, NaN, None, or a word such as "-", "N/A" or "없음".

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
        except ColumnError:  # refused where the cells are parsed
            return missing
        missing |= np.array([*(isinstance(value, str) and is_missing_word(value) for value in values), True])[positions]
    return missing


def is_missing_word(text: str) -> bool:
    """Return whether a text is blank, or a word for a missing value."""
    return text.strip().casefold() in MISSING_WORDS


def holds_strings(column: AnySeries) -> bool:
    """Return whether a column may hold strings."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return holds_strings(column.cat.categories.to_series())
    return bool(pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column))


def parse_numbers(column: AnySeries, name: str, number_format: NumberFormat | None = None) -> Parsed[Floats]:
    """Return a numeric column as floats minus the offset of its format, NaN where missing.

    Args:
        column: The cells.
        name: Name of the column, for errors and warnings.
        number_format: How strings among the cells are written; None for decimal points.

    Returns:
        Array of the same length.

    Raises:
        ColumnError: A cell is infinite, or no cell is a number.
    """
    number_format = number_format or NumberFormat()
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    if holds_strings(column):
        parsed = _parse_objects(column, name, number_format)
    else:
        if _is_not_numeric(column):
            raise _not_numbers(name, column.dtype)
        try:
            cells = pd.to_numeric(column)
        except (ValueError, TypeError) as error:
            raise _not_numbers(name, column.dtype) from error
        if number_format.offset and pd.api.types.is_integer_dtype(cells):
            parsed = _parse_objects(cells.astype(object), name, number_format)
        else:
            parsed = Parsed(cells.to_numpy(dtype=np.float64, na_value=np.nan) - number_format.offset)
    _refuse_infinite(parsed.values, name)
    return parsed


def integer_offset(column: AnySeries) -> int:
    """Return what to subtract from integers before conversion to float64, so that they stay distinct: the smallest.

    Args:
        column: A column of numbers, perhaps as strings.

    Returns:
        0 if no integer is beyond 2**53, up to which floats hold all of them.

    Example:
        >>> integer_offset(pd.Series([2**60 + 1, 2**60 + 2])) == 2**60 + 1, integer_offset(pd.Series([1, 2]))
        (True, 0)
    """
    present = column.dropna()
    if pd.api.types.is_integer_dtype(column) and len(present):
        integers = [int(present.min()), int(present.max())]
    elif holds_strings(column):
        parsed = (parse_integer(cell) if isinstance(cell, str) else _integer(cell) for cell in pd.unique(present))
        integers = [each for each in parsed if each is not None and abs(each) <= MAX_INTEGER]
    else:
        return 0
    return min(integers) if integers and max(map(abs, integers)) > MAX_EXACT_INTEGER else 0


def parse_booleans(column: AnySeries, name: str) -> Parsed[Positions]:
    """Return a boolean column as 0 (false) and 1 (true), -1 where missing.

    Args:
        column: The cells: booleans, 1 and 0, or words such as "TRUE", "no" and "t".
        name: Name of the column, for errors and warnings.

    Raises:
        ColumnError: No cell is true or false.

    Example:
        >>> parse_booleans(pd.Series([True, "FALSE", 1, None], dtype=object), "x").values.tolist()
        [1, 0, 1, -1]
    """
    missing = is_missing(column)
    column = column.astype(object) if isinstance(column.dtype, pd.CategoricalDtype) else column
    positions, values = factorized(column)
    parsed = [parse_boolean(value) for value in values]
    booleans: Positions = np.array([*(-1 if each is None else int(each) for each in parsed), -1], dtype=np.intp)[
        positions
    ]
    booleans[missing] = -1
    return Parsed(booleans, _unparsed(column, (booleans < 0) & ~missing, missing, name, "true or false"))


def parse_levels(column: AnySeries) -> tuple[Positions, list[str]]:
    """Return a categorical column as positions in a list of level names; 1, 1.0 and "1" are one level.

    Args:
        column: The cells.

    Returns:
        The position of each cell's level, -1 where missing, and the names of the levels.

    Example:
        >>> positions, names = parse_levels(pd.Series(["B", None, " ", "A"], dtype=object))
        >>> positions.tolist(), names
        ([0, -1, -1, 1], ['B', 'A'])
    """
    missing = is_missing(column)
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    if pd.api.types.is_object_dtype(column):  # 1 and True are equal, but distinct levels
        factorized(column)  # refuses lists and the like
        column = column.mask(missing, None).map(level_name, na_action="ignore")
    positions, values = factorized(column)
    position_of: dict[str, int] = {}
    present = np.unique(positions[~missing])
    renumbered = np.full(len(values) + 1, -1, dtype=np.intp)
    for position in present:
        renumbered[position] = position_of.setdefault(level_name(values[position]), len(position_of))
    return np.where(missing, -1, renumbered[positions]), list(position_of)


def parse_times(column: AnySeries, name: str, how: DateFormat | DateUnit | None = None) -> Parsed[AnySeries]:
    """Return a column of dates as time stamps without a time zone, NaT where missing; zones become UTC.

    Args:
        column: The cells.
        name: Name of the column, for errors and warnings.
        how: How strings or numbers among the cells are written; None for a column that holds times and neither strings
            nor numbers: strings are then read by the format that all of them together have.

    Raises:
        ColumnError: No cell is a date.
    """
    missing = is_missing(column)
    if isinstance(column.dtype, pd.PeriodDtype):
        column = pd.Series(column.dt.to_timestamp(), index=column.index)
    cells = column.astype(object).reset_index(drop=True).mask(missing)
    is_text = cells.map(lambda cell: isinstance(cell, str)).to_numpy(dtype=bool)
    is_numeric = cells.map(is_real_number).to_numpy(dtype=bool)
    times: AnySeries = pd.to_datetime(cells.mask(is_text | is_numeric), errors="coerce", utc=True)
    if isinstance(how, DateUnit):
        counts = pd.to_numeric(cells.where(is_text | is_numeric), errors="coerce").astype(np.float64)
        times = times.where(times.notna(), parse_counts(counts, how))
    else:
        if is_text.any():
            plain = cells.where(is_text).map(_date_text, na_action="ignore")
            strings = parse_dates(plain, how or infer_date_format(plain.dropna().unique().tolist()) or DateFormat())
            others = plain[strings.isna()].dropna()
            if len(others) and (other := infer_date_format(others.unique().tolist())):
                strings = strings.where(strings.notna(), parse_dates(plain, other))
            times = times.where(~is_text, strings)
        if is_numeric.any() and how is not None:
            digits = cells.where(is_numeric).map(_digits, na_action="ignore")
            times = times.where(~is_numeric, parse_dates(digits, how))
    warning = _unparsed(column, times.isna().to_numpy() & ~missing, missing, name, "dates")
    return Parsed(times.dt.tz_localize(None).set_axis(column.index), warning)


def distinct_numbers(column: AnySeries) -> Floats | None:
    """Return the distinct numbers of a column of numbers, perhaps as strings; None if it holds something else too.

    Args:
        column: The cells.

    Example:
        >>> distinct_numbers(pd.Series(["20240105", None])), distinct_numbers(pd.Series(["A"]))
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


def parse_seconds(column: AnySeries, name: str, number_format: NumberFormat | None = None) -> Parsed[Floats]:
    """Return a column of durations or times of day in seconds, NaN where missing; numbers are seconds.

    Args:
        column: The cells.
        name: Name of the column, for errors and warnings.
        number_format: How numbers among strings are written; None for decimal points.

    Raises:
        ColumnError: No cell is a duration, or one is infinite.
    """
    number_format = number_format or NumberFormat()
    missing = is_missing(column)
    cells = column.astype(object).reset_index(drop=True).mask(missing)
    seconds = np.array([_plain_seconds(cell, number_format) for cell in cells], dtype=np.float64)
    seconds[missing] = np.nan
    _refuse_infinite(seconds, name)
    is_other = np.isnan(seconds) & ~missing
    durations = pd.to_timedelta(cells.where(is_other).map(_duration, na_action="ignore"), errors="coerce")
    seconds[is_other] = durations.dt.total_seconds()[is_other]
    return Parsed(seconds, _unparsed(column, np.isnan(seconds) & ~missing, missing, name, "durations"))


def parse_texts(column: AnySeries) -> AnySeries:
    """Return a column of texts as strings, None where missing."""
    factorized(column)  # refuses lists and the like
    return column.astype(object).map(level_name, na_action="ignore").mask(is_missing(column), None).astype("str")


def is_real_number(cell: object) -> bool:
    """Return whether a cell is a number by its type; True and False are not."""
    return isinstance(cell, int | float | np.integer | np.floating | Decimal) and not isinstance(cell, bool)


def factorized(column: AnySeries) -> tuple[Any, Any]:
    """Return the position of each cell's value among the distinct ones, -1 where missing, and these.

    Raises:
        ColumnError: Some cells are lists or other objects that can't be compared.
    """
    try:
        return pd.factorize(column, use_na_sentinel=True)
    except (TypeError, NotImplementedError) as error:  # raised for lists and structures by Python and PyArrow
        raise ColumnError(
            f"Column {str(column.name)!r} must hold numbers, strings, booleans or times, got {in_one_line(error)}. "
            "Drop the column."
        ) from error


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


def _refuse_infinite(numbers: Floats, name: str) -> None:
    if np.isinf(numbers).any():
        raise ColumnError(
            f"Column {name!r} must hold finite numbers, got {int(np.isinf(numbers).sum())} infinite value(s). "
            "Replace them by a number or leave the cells empty."
        )


def _parse_objects(column: AnySeries, name: str, number_format: NumberFormat) -> Parsed[Floats]:
    missing = is_missing(column)
    positions, values = factorized(column)
    parsed = np.array([*(_number(value, number_format) for value in values), np.nan])
    numbers: Floats = np.where(missing, np.nan, parsed[positions])
    return Parsed(numbers, _unparsed(column, np.isnan(numbers) & ~missing, missing, name, "numbers"))


def _number(value: object, number_format: NumberFormat) -> float:
    if isinstance(value, str):
        return parse_number(value, number_format)
    offset = number_format.offset
    integer = _integer(value) if offset else None
    try:
        return float(value) - offset if integer is None else float(integer - offset)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def _integer(value: object) -> int | None:
    if isinstance(value, Decimal):
        return int(value) if value.is_finite() and value == value.to_integral_value() else None
    return int(value) if isinstance(value, int | np.integer) and not isinstance(value, bool) else None


def _is_not_numeric(column: AnySeries) -> bool:
    """Return whether these are times, which pandas turns into numbers of some unit, or complex numbers."""
    is_time = pd.api.types.is_datetime64_any_dtype(column) or pd.api.types.is_timedelta64_dtype(column)
    return is_time or isinstance(column.dtype, pd.PeriodDtype) or pd.api.types.is_complex_dtype(column)


def _date_text(cell: object) -> str:
    """Return a date without East Asian words, and "" for a time of day, which pandas reads as today."""
    text = plain_date(level_name(cell))
    return "" if is_duration([text]) else text


def _digits(number: object) -> str:
    try:
        return f"{number:.0f}"
    except OverflowError:
        return ""


def _plain_seconds(cell: object, number_format: NumberFormat) -> float:
    if isinstance(cell, str):
        return parse_number(cell, number_format) if is_number(cell) else float("nan")
    try:
        return float(cell) if is_real_number(cell) else float("nan")  # type: ignore[arg-type]
    except OverflowError:
        return float("inf")


def _duration(cell: object) -> object:
    """Return what pandas reads as a duration, None for all else: it reads bare digits as nanoseconds."""
    if isinstance(cell, str):
        text = level_name(cell).strip()
        return plain_duration(text) if is_duration([text]) or any(map(str.isalpha, text)) else None
    if isinstance(cell, dt.time):
        return str(cell)
    return cell if isinstance(cell, dt.timedelta | np.timedelta64) else None


def _unparsed(column: AnySeries, is_unparsed: Mask, missing: Mask, name: str, what: str) -> UnparsedCellsWarning | None:
    """Return what to warn of if some cells were not parsed, and refuse a column in which no cell was."""
    if not is_unparsed.any():
        return None
    first = reprlib.repr(level_name(column[is_unparsed].iloc[0]))
    if (is_unparsed | missing).all():
        raise ColumnError(
            f"Column {name!r} must hold {what}, as when the model was fitted, got {first}. "
            "Correct the cells or leave them empty."
        )
    return UnparsedCellsWarning(
        f"Column {name!r} holds {what}, and {int(is_unparsed.sum())} cell(s) that are not, such as {first}: "
        "they count as missing."
    )


def _not_numbers(name: str, got: object) -> ColumnError:
    return ColumnError(
        f"Column {name!r} must hold numbers, as when the model was fitted, got {got}. "
        "Correct the cells or leave them empty."
    )
