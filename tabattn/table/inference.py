"""DataFrame to `TypedTable` without a schema: of which kind and format every column is, inferred from its cells."""

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pandas as pd

from tabattn.errors import (
    AmbiguousDatesWarning,
    AmbiguousNumbersWarning,
    ColumnError,
    ParameterError,
    ReadingNote,
    TabAttnWarning,
    UnreadNumbersWarning,
    nearest,
    warn_all,
)
from tabattn.table.cells import (
    INFERRED_NUMBERS,
    AnySeries,
    Mask,
    distinct_numbers,
    excel_duration,
    factorized,
    holds_strings,
    integer_offset,
    is_missing,
    is_real_number,
    level_name,
)
from tabattn.table.columns import Levels, RowIndex
from tabattn.table.dates import (
    N_DIGITS,
    ORDERS,
    DateFormat,
    are_digit_dates,
    date_parts,
    infer_date_format,
    infer_dates,
    infer_numeric_date_format,
    is_date,
)
from tabattn.table.durations import is_duration
from tabattn.table.numbers import (
    BOOLEAN_WORDS,
    NumberFormat,
    ambiguous_number,
    infer_number_format,
    is_enough,
    is_like_number,
    is_likely,
    is_number,
    why_not_numbers,
)
from tabattn.table.rules import CellRules, twin_levels
from tabattn.table.schema import Column, Format, Kind, TableSchema, TypedTable

TEXT_MIN_WORDS = 3.0
TEXT_MIN_LEVELS = 20
TEXT_MIN_DISTINCT_FRACTION = 0.5
MIN_MOMENTS = 0.5
MIN_DATES = 0.8
_SHORT_YEAR = re.compile(r"\d{1,2}[-/.]\d{1,2}[-/.]\d{2}(?:\s.*)?")
MONTHS_OF_A_YEAR = 12
_KIND_OF = {"numbers": "numeric", "dates": "datetime"}
MIN_DIGIT_DATE, MAX_DIGIT_DATE = 1_900_010_100, 21_001_231_235_959
N_SHOWN = 5


def infer_table(
    X: pd.DataFrame,
    kinds: Mapping[str, str] | None = None,
    rows: RowIndex | None = None,
    rules: CellRules | None = None,
) -> TypedTable:
    """Infer the kind of each column, and parse its cells.

    Numbers are numeric, also those written as strings, with thousands separators, a decimal comma, a unit or the mark
    of a limit; strings of digits that begin with 0 are not. Integers that are times by their digits (2024010508,
    202401050830) are times. Booleans, also the strings "true" and "false", are boolean; other strings and pandas
    categories are categorical. A level seen once has the code of other rare or new levels, because nothing can be
    learned from one row. Strings that are mostly distinct and have three words on average are text.

    Args:
        X: Rows, features only.
        kinds: Kinds of columns by name, where they are not to be inferred.
        rows: Positions of the rows to infer kinds and formats from; None for all.
        rules: How some cells are to be read; None for the defaults.

    Returns:
        The table, all rows of X. Its warnings are `UnparsedCellsWarning` (some cells are not what their column holds;
        they count as missing), `AmbiguousNumbersWarning` and `AmbiguousDatesWarning` (they can be read in two ways),
        `CensoredCellsWarning` (limits among numbers), `UnreadNumbersWarning` (what looks like numbers is not read so),
        `TwinLevelsWarning` (levels that may be the same) and `ReadingNote` (units that were taken off).

    Raises:
        ColumnError: A column holds complex or infinite numbers, objects that can't be read, or not what `kinds` states.
        ParameterError: `kinds` names a column that X does not have, or an unknown kind.
    """
    rules = rules or CellRules()
    given = _check_kinds(kinds or {}, [str(name) for name in X.columns])
    known = X if rows is None else X.iloc[rows]
    inferred = [
        _infer_column(str(name), rules.mask(known.iloc[:, i], str(name)), given.get(str(name)))
        for i, name in enumerate(X.columns)
    ]
    columns = (replace(column, rules=rules) for column, _ in inferred)
    table = TableSchema(tuple(columns)).read(X).with_learned_schema()
    doubts = [warning for _, warning in inferred if warning is not None]
    pairs = zip(table.schema.columns, table.cells, strict=True)
    twins = [
        twin_levels(cells.names, column.name)
        for column, cells in pairs
        if column.kind is Kind.CATEGORICAL and isinstance(cells, Levels)
    ]
    after = [*(warning for warning in twins if warning is not None), *_note_units(table.schema)]
    return replace(table, warnings=(*doubts, *table.warnings, *after))


def _note_units(schema: TableSchema) -> list[ReadingNote]:
    """Say once which units were taken off."""
    units = [
        (column.name, column.format.unit)
        for column in schema.columns
        if isinstance(column.format, NumberFormat) and column.format.unit
    ]
    if not units:
        return []
    shown = ", ".join(f"{name!r} ({unit})" for name, unit in units[:N_SHOWN]) + (
        ", ..." if len(units) > N_SHOWN else ""
    )
    return [ReadingNote(f"Units were taken off the numbers of {shown}.")]


def infer_schema(X: pd.DataFrame, kinds: Mapping[str, str] | None = None) -> TableSchema:
    """Infer the kind of each column, see `infer_table`.

    Args:
        X: Rows, features only.
        kinds: Kinds of columns by name, where they are not to be inferred.

    Returns:
        One `Column` per column of X.

    Raises:
        ColumnError, ParameterError: As `infer_table` does.

    Warns:
        TabAttnWarning: As `infer_table` returns them.

    Example:
        >>> schema = infer_schema(pd.DataFrame({"speed": [1.5, 2.0, None], "line": ["A", "A", "B"]}))
        >>> [(c.name, str(c.kind), c.categories) for c in schema.columns]
        [('speed', 'numeric', ()), ('line', 'categorical', ('A',))]
    """
    table = infer_table(X, kinds)
    warn_all(table.warnings)
    return table.schema


def _check_kinds(kinds: Mapping[str, str], names: list[str]) -> dict[str, Kind]:
    checked: dict[str, Kind] = {}
    for name, kind in kinds.items():
        if str(name) not in names:
            raise ParameterError(
                f"kinds must name columns of the table, got {str(name)!r}. {nearest(str(name), names)}"
            )
        try:
            checked[str(name)] = Kind(str(kind))
        except ValueError as error:
            raise ParameterError(
                f"kinds must give a column one of the kinds {', '.join(Kind)}, got {kind!r} for {str(name)!r}."
            ) from error
    return checked


def _infer_column(name: str, cells: AnySeries, given: Kind | None) -> tuple[Column, TabAttnWarning | None]:
    """Infer kind and format; categories and whether its values are constant are learned once they are parsed."""
    if given is not None:
        kind, how, warning = given, _format_of_kind(name, cells, given), None
    else:
        kind, how, warning = _infer_kind(name, cells)
    if kind is Kind.NUMERIC:
        number_format = how if isinstance(how, NumberFormat) else NumberFormat()
        how = replace(number_format, offset=integer_offset(cells))
    return Column(name, kind, is_constant=bool(is_missing(cells).all()), format=how), warning


def _infer_kind(name: str, column: AnySeries) -> tuple[Kind, Format, TabAttnWarning | None]:
    if isinstance(column.dtype, pd.CategoricalDtype | pd.IntervalDtype):
        return Kind.CATEGORICAL, None, None
    if pd.api.types.is_bool_dtype(column):
        return Kind.BOOLEAN, None, None
    cells = column[~is_missing(column)]
    inferred = pd.api.types.infer_dtype(cells, skipna=True)
    if inferred in INFERRED_NUMBERS | {"empty"}:
        numbers = _integers(cells)
        return (Kind.DATETIME, DateFormat(), None) if are_digit_dates(numbers) else (Kind.NUMERIC, NumberFormat(), None)
    if inferred in {"datetime64", "datetime", "date", "period"}:
        return Kind.DATETIME, None, None
    if inferred in {"timedelta64", "timedelta", "time"}:
        return Kind.DURATION, None, None
    if inferred == "boolean":
        return Kind.BOOLEAN, None, None
    if inferred in {"string", "categorical"}:
        return _kind_of_strings(name, cells)
    if inferred in {"mixed-integer", "mixed"}:
        return _kind_of_mixed(name, cells)
    raise ColumnError(
        f"Column {name!r} must hold numbers, strings, booleans or times, got {inferred} values. "
        + ("Complex data not supported." if inferred == "complex" else f"Drop the column (--drop {name!r}).")
    )


def _integers(cells: AnySeries) -> list[float]:
    """Return the distinct numbers of a column if all are integers of ten to fourteen digits, else none."""
    if len(cells) == 0:
        return []
    try:
        numbers = cells.to_numpy(dtype=np.float64)
    except OverflowError:
        return []
    is_likely_date = (numbers >= MIN_DIGIT_DATE) & (numbers <= MAX_DIGIT_DATE) & (numbers == np.floor(numbers))
    if not is_enough(int(is_likely_date.sum()), len(numbers)):
        return []
    return [float(number) for number in np.unique(numbers)]


def _kind_of_mixed(name: str, cells: AnySeries) -> tuple[Kind, Format, TabAttnWarning | None]:
    """Infer the kind of a column whose cells are of several types, as sheets have them."""
    _refuse_other_objects(name, cells)
    is_moment = cells.map(lambda cell: isinstance(cell, dt.date | np.datetime64)).to_numpy(dtype=bool)
    is_span = cells.map(lambda cell: isinstance(cell, dt.time | dt.timedelta | np.timedelta64)).to_numpy(dtype=bool)
    is_text = cells.map(lambda cell: isinstance(cell, str)).to_numpy(dtype=bool)
    are_numbers = not (is_moment | is_span | is_text).any() and all(map(is_real_number, cells))
    if are_numbers:
        return Kind.NUMERIC, NumberFormat(), None
    strings = [str(cell) for cell in pd.unique(cells[is_text])]
    if is_span.any() and (is_span | is_moment | is_text).all():
        moments = cells[is_moment]
        if is_duration(strings or ["0:00"]) and all(
            isinstance(cell, dt.date) and excel_duration(cell) is not None for cell in moments
        ):
            return Kind.DURATION, None, None
    if is_moment.any():
        moments = pd.Series(cells.where(is_moment).to_numpy())
        in_rows = _placed(cells, is_text, pd.to_datetime(moments, errors="coerce", utc=True))
        how, open_date = infer_dates(strings, in_rows)
        if how is not None and _are_swapped(strings, moments):
            open_date = strings[0]
        n_others = int((~is_moment).sum()) - (int(is_text.sum()) if how else 0)
        if is_enough(len(cells) - n_others, len(cells)) or (not how and is_moment.mean() >= MIN_MOMENTS):
            return Kind.DATETIME, how or DateFormat(), _open_dates(name, how, open_date)
    if is_moment.any() or is_span.any():
        raise ColumnError(
            f"Column {name!r} must hold numbers, strings, booleans or times, got times beside cells such as "
            f"{next(str(cell) for cell, other in zip(cells, is_moment | is_span, strict=True) if not other)!r}. "
            f"Write all cells alike, or drop the column (--drop {name!r})."
        )
    return _kind_of_strings(name, cells.map(level_name))


def _are_swapped(strings: list[str], moments: "pd.Series[pd.Timestamp]") -> bool:
    """Return whether a program of another country may have swapped day and month of all dates that it took for dates.

    Then all days of the dates left as text are above 12, and all others are not.
    """
    dates = date_parts(strings)
    days = dates.parts[dates.is_open, :2].max(axis=1)
    others = pd.to_datetime(moments, errors="coerce").dropna().dt.day
    return len(days) > 1 and bool((days > MONTHS_OF_A_YEAR).all()) and bool((others <= MONTHS_OF_A_YEAR).all())


def _kind_of_strings(name: str, cells: AnySeries) -> tuple[Kind, Format, TabAttnWarning | None]:
    strings = [str(cell) for cell in pd.unique(cells)]
    if is_likely(strings, lambda string: is_duration([string])):
        n_durations = sum(is_duration([string]) for string in strings)
        if is_enough(n_durations, len(strings)):
            return Kind.DURATION, None, None
    if number_format := infer_number_format(strings):
        if number_format == NumberFormat() and all(len(string.strip()) in N_DIGITS for string in strings):
            numbers = [float(string) if string.strip().isdigit() else np.nan for string in strings]
            if are_digit_dates(numbers):
                return Kind.DATETIME, DateFormat(), None
        is_plain = number_format.marks == NumberFormat().marks
        return Kind.NUMERIC, number_format, _ambiguity(name, strings) if is_plain else None
    if all(string.strip().casefold() in BOOLEAN_WORDS for string in strings):
        return Kind.BOOLEAN, None, None
    how, open_date = infer_dates(strings, _placed(cells, np.ones(len(cells), dtype=bool)))
    if how is not None:
        return Kind.DATETIME, how, _open_dates(name, how, open_date)
    why, what = why_not_numbers(strings), "numbers"
    if why is None and (unread := _unread_date(strings)):
        why, what = f"{unread!r} can't be read as one", "dates"
    warning = None
    if why is not None:
        message = (
            f"Column {name!r} looks like {what}, but {why}: it is read as categories. Write all of its {what} alike; "
            f"with the kind of {what} (--kind {name}={_KIND_OF[what]}) cells that are none count as missing."
        )
        warning = UnreadNumbersWarning(message)
    is_mostly_distinct = len(strings) > max(TEXT_MIN_LEVELS, TEXT_MIN_DISTINCT_FRACTION * len(cells))
    if is_mostly_distinct and np.mean([len(string.split()) for string in strings]) >= TEXT_MIN_WORDS:
        return Kind.TEXT, None, warning
    return Kind.CATEGORICAL, None, warning


def _unread_date(strings: list[str]) -> str | None:
    """Return a string that is no date, if most of the others are."""
    if len(strings) < 2 or not is_likely(strings, is_date):
        return None
    dates = date_parts(strings)
    is_unread = np.logical_and.reduce([dates.times(order).isna().to_numpy() for order in ORDERS])
    has_form = dates.orders.any(axis=1)
    is_mostly_date = has_form.mean() >= MIN_DATES and (~is_unread).mean() >= MIN_MOMENTS
    return strings[int(np.flatnonzero(is_unread)[0])] if is_mostly_date and is_unread.any() else None


def _placed(
    cells: AnySeries, is_text: Mask, others: "pd.Series[pd.Timestamp] | None" = None
) -> "Callable[[pd.Series[pd.Timestamp]], pd.Series[pd.Timestamp]]":
    """Return a function that puts the times of the distinct strings of a column into its rows, beside others."""
    codes = pd.factorize(cells[is_text])[0]

    def in_rows(times: "pd.Series[pd.Timestamp]") -> "pd.Series[pd.Timestamp]":
        stamps = np.full(len(cells), np.datetime64("NaT", "us"))
        if others is not None:
            stamps = others.dt.tz_localize(None).to_numpy().astype("datetime64[us]")
        stamps[is_text] = times.dt.tz_localize(None).to_numpy().astype("datetime64[us]")[codes]
        return pd.Series(stamps)

    return in_rows


def _open_dates(name: str, how: DateFormat | None, example: str | None) -> TabAttnWarning | None:
    if how is None or example is None:
        return None
    read: dict[str, pd.Timestamp] = {order: date_parts([example]).times(order)[0] for order in ORDERS}
    others = {time for order, time in read.items() if order != how.order and not pd.isna(time)}
    if not others and _SHORT_YEAR.fullmatch(example):
        return AmbiguousDatesWarning(
            f"Column {name!r} holds years of two digits, such as {example!r}, over more than sixty years: they are "
            "read as 1969 to 2068, and some may be of another century. Write years in full."
        )
    if not others:
        return AmbiguousDatesWarning(
            f"Column {name!r} holds dates such as {example!r} as text and others as dates: another program may have "
            "swapped day and month of the latter. Check some of them, and write dates as year-month-day."
        )
    shown = " or ".join(f"{time:%Y-%m-%d}" for time in sorted(others))
    return AmbiguousDatesWarning(
        f"Column {name!r} holds dates such as {example!r}, which may be {read[how.order]:%Y-%m-%d} or {shown}, and no "
        f"cell decides: read as {read[how.order]:%Y-%m-%d}. Write dates as year-month-day to be sure."
    )


def _ambiguity(name: str, strings: list[str]) -> TabAttnWarning | None:
    example = ambiguous_number(strings)
    if example is None:
        return None
    return AmbiguousNumbersWarning(
        f"Column {name!r} holds numbers such as {example!r}, whose separator may be one of decimals or of thousands: "
        "read as decimals. If they are thousands, remove the separators, or name the table's file, whose other columns "
        "may decide."
    )


def _format_of_kind(name: str, column: AnySeries, kind: Kind) -> Format:
    """Infer how the cells of a column of a given kind are written."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    if kind is Kind.DATETIME and (numbers := distinct_numbers(column)) is not None:
        how = infer_numeric_date_format(numbers.tolist())
        if how is None:
            raise ColumnError(
                f"Column {name!r} must hold dates, got numbers such as {numbers[0]:g}, which are not dates: neither "
                "digits such as 20240105, nor days of Excel, nor seconds to nanoseconds since 1970. Remove its kind."
            )
        return how
    if not holds_strings(column):
        return None
    factorized(column)  # refuses lists and the like
    strings = [str(cell) for cell in pd.unique(column[~is_missing(column)])]
    if kind is Kind.NUMERIC:
        return infer_number_format(strings, are_numbers=True) or _majority_format(strings)
    if kind is Kind.DURATION:
        return infer_number_format([string for string in strings if is_number(string)], are_numbers=True)
    return infer_date_format(strings) if kind is Kind.DATETIME else None


def _majority_format(strings: list[str]) -> NumberFormat | None:
    """Return the format of the numbers among strings of a column that is said to be numeric."""
    numbers = [string for string in strings if is_like_number(string)]
    return infer_number_format(numbers, are_numbers=True)


def _refuse_other_objects(name: str, cells: AnySeries) -> None:
    for cell in cells:
        if not isinstance(cell, str | bool | int | float | Decimal | np.generic | dt.date | dt.time | dt.timedelta):
            raise ColumnError(
                f"Column {name!r} must hold numbers, strings, booleans or times, got a cell of type "
                f"{type(cell).__name__} (argument must be a string or a number). Drop the column (--drop {name!r})."
            )
