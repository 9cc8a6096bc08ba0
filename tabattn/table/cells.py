"""Cells of a column to values: numbers, booleans, levels, times and texts, as a person would read them.

Nothing here warns: what could not be parsed is returned with the values, and the reader of a table warns once.
"""

import datetime as dt
import reprlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import numpy as np
import pandas as pd

from tabattn.choices import Censored
from tabattn.errors import (
    AmbiguousNumbersWarning,
    CensoredCellsWarning,
    ColumnError,
    OtherFormatWarning,
    TabAttnWarning,
    UnparsedCellsWarning,
    in_one_line,
)
from tabattn.table.dates import (
    MAX_EXCEL_DAYS,
    MIN_EXCEL_DAYS,
    ORDERS,
    DateFormat,
    DateUnit,
    Order,
    date_parts,
    infer_dates,
    parse_counts,
    parse_dates,
    plain_digits,
)
from tabattn.table.durations import is_duration, plain_duration
from tabattn.table.numbers import (
    MAX_EXACT_INTEGER,
    MAX_INTEGER,
    NumberFormat,
    is_enough,
    is_limit,
    is_number,
    number_parts,
    parse_boolean,
    parse_integer,
    parse_number,
)
from tabattn.table.units import half_width

AnySeries: TypeAlias = "pd.Series[Any]"
Floats: TypeAlias = np.ndarray[tuple[int], np.dtype[np.float64]]
Positions: TypeAlias = np.ndarray[tuple[int], np.dtype[np.intp]]
Mask: TypeAlias = np.ndarray[tuple[int], np.dtype[np.bool_]]
Values = TypeVar("Values")
MISSING_WORDS = frozenset(
    {
        *(
            "",
            "-",
            "--",
            "---",
            "–",
            "—",
            "―",
            "ー",
            "?",
            ".",
            "na",
            "n/a",
            "n.a.",
            "n.a",
            "#n/a",
            "#na",
            "<na>",
            "nan",
        ),
        *("-nan", "nat", "null", "none", "nil", "missing", "nd", "n.d.", "n.d", "n/d", "not detected", "no data"),
        *("not available", "not measured", "bdl", "bql", "blq", "<lod", "< lod", "<loq", "< loq", "<lloq", "< lloq"),
        *("#value!", "#ref!", "#div/0!", "#name?", "#num!", "#null!", "#n/a!", "#spill!", "#calc!", "#####"),
        *("#nv", "#wert!", "#bezug!", "#zahl!", "1.#qnan", "1.#ind", "-1.#ind", "0000-00-00", "0000-00-00 00:00:00"),
        *(
            "없음",
            "결측",
            "결측치",
            "해당없음",
            "해당 없음",
            "해당사항없음",
            "해당사항 없음",
            "미측정",
            "미입력",
            "미기재",
            "자료없음",
        ),
        *(
            "자료 없음",
            "데이터없음",
            "데이터 없음",
            "측정불가",
            "측정 불가",
            "판정불가",
            "판정 불가",
            "불검출",
            "미검출",
            "검출안됨",
        ),
        *(
            "無",
            "无",
            "缺失",
            "欠測",
            "欠損",
            "なし",
            "データなし",
            "該当なし",
            "不検出",
            "検出せず",
            "未検出",
            "未測定",
            "測定不可",
            "未検査",
        ),
        *(
            "无数据",
            "未检出",
            "未检测",
            "未測",
            "未测",
            "k.a.",
            "k. a.",
            "keine angabe",
            "n.b.",
            "fehlt",
            "nicht gemessen",
        ),
    }
)
MAX_WORD_LENGTH = max(map(len, MISSING_WORDS))
BOOLEAN_NAMES = ("False", "True")
INFERRED_NUMBERS = frozenset(
    {"integer", "floating", "mixed-integer-float", "decimal"}
)  # of pandas.api.types.infer_dtype
BEYOND_INTEGERS = 2**64
SECONDS_PER_DAY = 86_400
N_SHOWN = 3
FIRST_YEAR = 1900
FIRST_DAY_OF_DURATIONS, LONGEST_DURATION = dt.datetime(1899, 12, 31), dt.timedelta(days=60)  # Excel knows a February 29
_ORDER_WORDS = {"dmy": "day, month, year", "mdy": "month, day, year", "ymd": "year, month, day"}


class Parsed(NamedTuple, Generic[Values]):
    """Cells as values.

    Args:
        values: One for each cell.
        warnings: What to warn of: cells that could not be parsed and count as missing, and what was read with a doubt.
    """

    values: Values
    warnings: tuple[TabAttnWarning, ...] = ()


def is_missing(column: AnySeries, *, keep_words: bool = False) -> Mask:
    """Return which cells are missing: empty, blank, NaN, None, or a word such as "-", "N/A" or "없음".

    Args:
        column: The cells.
        keep_words: Whether words are not missing.

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
        is_missing_text = _is_blank if keep_words else is_missing_word
        missing |= np.array([*(isinstance(value, str) and is_missing_text(value) for value in values), True])[positions]
    return missing


def _is_blank(text: str) -> bool:
    return not text.strip()


def is_missing_word(text: str) -> bool:
    """Return whether a text is blank, or a word for a missing value."""
    text = text.strip()
    return len(text) <= MAX_WORD_LENGTH and half_width(text).casefold() in MISSING_WORDS


def holds_strings(column: AnySeries) -> bool:
    """Return whether a column may hold strings."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return holds_strings(column.cat.categories.to_series())
    return bool(pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column))


def parse_numbers(
    column: AnySeries, name: str, number_format: NumberFormat | None = None, censored: Censored = "limit"
) -> Parsed[Floats]:
    """Return a numeric column as floats minus the offset of its format, NaN where missing.

    Args:
        column: The cells.
        name: Name of the column, for errors and warnings.
        number_format: How strings among the cells are written; None for decimal points.
        censored: Whether a limit such as "<0.03" is the number behind the sign, or missing.

    Returns:
        Array of the same length.

    Raises:
        ColumnError: A cell is infinite, or no cell is a number.
    """
    number_format = number_format or NumberFormat()
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    if holds_strings(column):
        parsed = _parse_objects(column, name, number_format, censored)
    else:
        if _is_not_numeric(column):
            raise _not_numbers(name, column.dtype)
        try:
            cells = pd.to_numeric(column)
        except (ValueError, TypeError) as error:
            raise _not_numbers(name, column.dtype) from error
        if number_format.offset and pd.api.types.is_integer_dtype(cells):
            parsed = _parse_objects(cells.astype(object), name, number_format, censored)
        else:
            warnings: tuple[TabAttnWarning, ...] = ()
            if number_format.unit and len(cells):
                warnings = (_bare_numbers(name, number_format.unit, len(cells), str(cells.iloc[0])),)
            parsed = Parsed(cells.to_numpy(dtype=np.float64, na_value=np.nan) - number_format.offset, warnings)
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


def parse_levels(column: AnySeries, *, keep_na: bool = False) -> tuple[Positions, list[str]]:
    """Return a categorical column as positions in a list of level names; 1, 1.0, "1" and "1 " are one level.

    Args:
        column: The cells.
        keep_na: Whether words for a missing value are levels.

    Returns:
        The position of each cell's level, -1 where missing, and the names of the levels.

    Example:
        >>> positions, names = parse_levels(pd.Series(["B", None, " ", "A"], dtype=object))
        >>> positions.tolist(), names
        ([0, -1, -1, 1], ['B', 'A'])
    """
    missing = is_missing(column, keep_words=keep_na)
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
        renumbered[position] = position_of.setdefault(level_name(values[position]).strip(), len(position_of))
    return np.where(missing, -1, renumbered[positions]), list(position_of)


def parse_times(column: AnySeries, name: str, how: DateFormat | DateUnit | None = None) -> Parsed[AnySeries]:
    """Return a column of dates as time stamps without a time zone, NaT where missing; zones become UTC.

    Args:
        column: The cells.
        name: Name of the column, for errors and warnings.
        how: How strings or numbers among the cells are written; None for a column that holds times and neither strings
            nor numbers: strings are then read by the format that all of them together have.

    Raises:
        ColumnError: No cell is a date, or the order of day and month differs from cell to cell.
    """
    missing = is_missing(column)
    if isinstance(column.dtype, pd.PeriodDtype):
        column = pd.Series(column.dt.to_timestamp(), index=column.index)
    cells = column.astype(object).reset_index(drop=True).mask(missing)
    is_text = cells.map(lambda cell: isinstance(cell, str)).to_numpy(dtype=bool)
    is_numeric = cells.map(is_real_number).to_numpy(dtype=bool)
    times: AnySeries = pd.to_datetime(cells.mask(is_text | is_numeric), errors="coerce", utc=True)
    other: OtherFormatWarning | None = None
    zones: OtherFormatWarning | None = None
    if isinstance(how, DateUnit):
        counts = pd.to_numeric(cells.where(is_text | is_numeric), errors="coerce").astype(np.float64)
        times = times.where(times.notna(), parse_counts(counts, how))
    else:
        if is_text.any():
            texts = cells.where(is_text).map(lambda cell: plain_digits(level_name(cell).strip()), na_action="ignore")
            distinct = texts.dropna().unique().tolist()
            known = how or _new_format(distinct)
            how, other = _order_of(distinct, known, name)
            zones = _zones(distinct, known, name)
            times = times.where(~is_text, parse_dates(texts, how))
        if is_numeric.any() and how is not None:
            digits = cells.where(is_numeric).map(_digits, na_action="ignore")
            times = times.where(~is_numeric, parse_dates(digits, how))
            is_count = [
                each and MIN_EXCEL_DAYS <= cell < MAX_EXCEL_DAYS for each, cell in zip(is_numeric, cells, strict=True)
            ]
            counts = cells.where(np.array(is_count) & times.isna()).astype(np.float64)
            times = times.where(times.notna(), parse_counts(counts, DateUnit.EXCEL_DAYS))
    warnings = _unparsed(column, times.isna().to_numpy() & ~missing, missing, name, "dates")
    times = times.dt.tz_localize(None).set_axis(column.index)
    return Parsed(times, (*(each for each in (other, zones) if each is not None), *warnings))


def _zones(texts: Sequence[str], how: DateFormat, name: str) -> OtherFormatWarning | None:
    """Return what to warn of if some times name a time zone and others do not, here or in the fit."""
    dates = date_parts(texts)
    is_date = dates.orders.any(axis=1)
    bare = np.flatnonzero(is_date & ~dates.has_zone)
    if not is_date.any() or (how.has_zone and len(bare) == 0) or (not how.has_zone and not dates.has_zone.any()):
        return None
    example = texts[int(bare[0] if len(bare) else np.flatnonzero(dates.has_zone)[0])]
    return OtherFormatWarning(
        f"Column {name!r} holds times with a time zone and others without, such as {example!r}, here or in the fit: "
        "those without are read as UTC. Name the zone everywhere, or nowhere."
    )


def _new_format(texts: Sequence[str]) -> DateFormat:
    """Return the format of strings beside times that need none; of order "none" if they can be read in two ways."""
    found, example = infer_dates(texts, lambda times: times)
    if found is None or example is not None:
        return DateFormat(has_zone=bool(date_parts(texts).has_zone.any()))
    return found


def _order_of(texts: Sequence[str], how: DateFormat, name: str) -> tuple[DateFormat, OtherFormatWarning | None]:
    """Return the order of day and month in which all dates of a column are read, the expected one where possible.

    A date that the expected order can't read proves another one: then all are read by it, or none.
    """
    dates = date_parts(texts)
    is_open = dates.is_open
    if not is_open.any():
        return how, None
    if how.order == "none":  # the fit has seen no such dates
        found, example = infer_dates(texts, lambda times: times)
        order: Order = "ymd" if found is None or found.order == "none" else found.order
        doubt = "" if example is None else f", though {example!r} may be read in another order"
        message = (
            f"Column {name!r} holds dates such as {texts[int(np.flatnonzero(is_open)[0])]!r}, written in another way "
            f"than those of the fit: read as {_ORDER_WORDS[order]}{doubt}."
        )
        return DateFormat(order, how.has_zone), OtherFormatWarning(message)
    unread = is_open & dates.times(how.order).isna().to_numpy()
    if not unread.any():
        return how, None
    example = texts[int(np.flatnonzero(unread)[0])]
    for order in ORDERS:
        if order != how.order and dates.times(order)[is_open].notna().all():
            message = (
                f"Column {name!r} holds dates such as {example!r}, written in another order than those of the fit: "
                f"all are read as {_ORDER_WORDS[order]}."
            )
            return DateFormat(order, how.has_zone), OtherFormatWarning(message)
    if is_enough(int((is_open & ~unread).sum()), int(is_open.sum())):
        return how, None
    raise ColumnError(
        f"Column {name!r} must hold dates in one order of day and month, got {example!r} beside dates that can only be "
        f"read as {_ORDER_WORDS[how.order]}. Write all dates as year-month-day, such as 2024-03-05."
    )


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
    was_timed = number_format is None
    fractions: tuple[OtherFormatWarning, ...] = ()
    number_format = number_format or NumberFormat()
    missing = is_missing(column)
    cells = column.astype(object).reset_index(drop=True).mask(missing)
    seconds = np.array([_plain_seconds(cell, number_format) for cell in cells], dtype=np.float64)
    seconds[missing] = np.nan
    counted = seconds[~np.isnan(seconds)]
    if len(counted) and was_timed and (counted >= 0).all() and (counted < 1).all():  # as Excel stores times
        seconds *= SECONDS_PER_DAY
        message = f"Column {name!r} holds times as fractions of a day, such as {counted[0]:g}: read as times."
        fractions = (OtherFormatWarning(message),)
    _refuse_infinite(seconds, name)
    is_other = np.isnan(seconds) & ~missing
    durations = pd.to_timedelta(cells.where(is_other).map(_duration, na_action="ignore"), errors="coerce")
    seconds[is_other] = durations.dt.total_seconds()[is_other]
    unparsed = _unparsed(column, np.isnan(seconds) & ~missing, missing, name, "durations")
    return Parsed(seconds, (*fractions, *unparsed))


def parse_texts(column: AnySeries, *, keep_na: bool = False) -> AnySeries:
    """Return a column of texts as strings, None where missing.

    Args:
        column: The cells.
        keep_na: Whether words for a missing value are texts.
    """
    factorized(column)  # refuses lists and the like
    missing = is_missing(column, keep_words=keep_na)
    return column.astype(object).map(level_name, na_action="ignore").mask(missing, None).astype("str")


def is_real_number(cell: object) -> bool:
    """Return whether a cell is a number by its type; True and False are not."""
    return isinstance(cell, int | float | np.integer | np.floating | Decimal) and not isinstance(cell, bool)


def factorized(column: AnySeries) -> tuple[Any, Any]:
    """Return the position of each cell's value among the distinct ones, -1 where missing, and these.

    Raises:
        ColumnError: Some cells are lists or other objects that can't be compared.
    """
    try:
        codes, values = pd.factorize(column, use_na_sentinel=True)
    except (TypeError, NotImplementedError) as error:  # raised for lists and structures by Python and PyArrow
        raise ColumnError(
            f"Column {str(column.name)!r} must hold numbers, strings, booleans or times, got {in_one_line(error)}. "
            "Drop the column."
        ) from error
    is_text = isinstance(getattr(values, "dtype", None), pd.StringDtype)
    return codes, values.to_numpy(dtype=object) if is_text else values  # strings of Arrow are slow to go through


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


def _parse_objects(column: AnySeries, name: str, number_format: NumberFormat, censored: Censored) -> Parsed[Floats]:
    missing = is_missing(column)
    positions, values = factorized(column)
    parsed = np.array([*(_number(value, number_format) for value in values), np.nan])
    numbers: Floats = np.where(missing, np.nan, parsed[positions])
    what = f"numbers in {number_format.unit}" if number_format.unit else "numbers"
    warnings: tuple[TabAttnWarning, ...] = _unparsed(column, np.isnan(numbers) & ~missing, missing, name, what)
    if number_format.unit:
        is_bare = np.array([*map(_is_bare, values), False])[positions] & ~np.isnan(numbers)
        if is_bare.any():
            example = level_name(column[is_bare].iloc[0])
            warnings = (_bare_numbers(name, number_format.unit, int(is_bare.sum()), example), *warnings)
    is_censored = np.array([*(isinstance(value, str) and is_limit(value) for value in values), False])[positions]
    is_censored &= ~np.isnan(numbers)
    if not is_censored.any():
        return Parsed(numbers, warnings)
    if censored == "missing":
        numbers = np.where(is_censored, np.nan, numbers)
    first, n_censored = level_name(column[is_censored].iloc[0]).strip(), int(is_censored.sum())
    how = "the limit is the value" if censored == "limit" else "they count as missing"
    message = (
        f"Column {name!r} holds {n_censored} cell(s) beyond a limit, such as {first!r}: {how}. "
        "`censored` (--censored limit or missing) decides."
    )
    return Parsed(numbers, (*warnings, CensoredCellsWarning(message)))


def _bare_numbers(name: str, unit: str, n_cells: int, example: str) -> AmbiguousNumbersWarning:
    return AmbiguousNumbersWarning(
        f"Column {name!r} holds numbers in {unit}, and {n_cells} without it, such as {example!r}: read as if they had "
        "it. Write it everywhere, or nowhere."
    )


def _is_bare(value: object) -> bool:
    """Return whether a cell is a number without a unit; 0 needs none."""
    if isinstance(value, str):
        parts = number_parts(value)
        return parts is not None and not parts.prefix and not parts.suffix and parts.body.strip("0.,") != ""
    return is_real_number(value) and value != 0


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


def _digits(number: Any) -> str:
    try:
        return plain_digits(f"{number:.0f}") if number == int(number) else ""
    except (OverflowError, ValueError):
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
    if isinstance(cell, dt.date):
        return excel_duration(cell)
    return cell if isinstance(cell, dt.timedelta | np.timedelta64) else None


def excel_duration(cell: dt.date) -> dt.timedelta | None:
    """Return the duration that Excel shows as a time of the first days of 1900, such as 24:00; None for later times."""
    moment = cell if isinstance(cell, dt.datetime) else dt.datetime.combine(cell, dt.time())
    is_early = moment.year < FIRST_YEAR  # Excel's first day is 1900-01-01, that of other programs 1899-12-31
    since = moment.replace(tzinfo=None) - FIRST_DAY_OF_DURATIONS + dt.timedelta(days=int(is_early))
    return since if dt.timedelta() <= since < LONGEST_DURATION else None


def _unparsed(
    column: AnySeries, is_unparsed: Mask, missing: Mask, name: str, what: str
) -> tuple[UnparsedCellsWarning, ...]:
    """Return what to warn of if some cells were not parsed, and refuse a column in which no cell was."""
    if not is_unparsed.any():
        return ()
    first = reprlib.repr(level_name(column[is_unparsed].iloc[0]))
    if (is_unparsed | missing).all():
        raise ColumnError(
            f"Column {name!r} must hold {what}, as when the model was fitted, got {first}. "
            "Correct the cells or leave them empty."
        )
    message = (
        f"Column {name!r} holds {what}, and {int(is_unparsed.sum())} cell(s) that are not, such as {first}: "
        "they count as missing."
    )
    return (UnparsedCellsWarning(message),)


def _not_numbers(name: str, got: object) -> ColumnError:
    return ColumnError(
        f"Column {name!r} must hold numbers, as when the model was fitted, got {got}. "
        "Correct the cells or leave them empty."
    )
