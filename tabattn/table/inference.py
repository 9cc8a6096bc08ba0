"""DataFrame to `TypedTable` without a schema: of which kind and format every column is, inferred from its cells."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from tabattn.errors import AmbiguousNumbersWarning, ColumnError, ParameterError, TabAttnWarning, warn_all
from tabattn.table.cells import (
    INFERRED_NUMBERS,
    AnySeries,
    distinct_numbers,
    factorized,
    holds_strings,
    integer_offset,
    is_missing,
)
from tabattn.table.columns import RowIndex
from tabattn.table.dates import infer_date_format, infer_numeric_date_format, is_duration
from tabattn.table.numbers import BOOLEAN_WORDS, NumberFormat, ambiguous_number, infer_number_format, is_number
from tabattn.table.schema import Column, Format, Kind, TableSchema, TypedTable, present

TEXT_MIN_WORDS = 3.0
TEXT_MIN_LEVELS = 20
TEXT_MIN_DISTINCT_FRACTION = 0.5


def infer_table(X: pd.DataFrame, kinds: Mapping[str, str] | None = None, rows: RowIndex | None = None) -> TypedTable:
    """Infer the kind of each column, and parse its cells.

    Numbers are numeric, also those written as strings, with thousands separators or a decimal comma; strings of digits
    that begin with 0 are not. Booleans, also the strings "true" and "false", are boolean; other strings and pandas
    categories are categorical. A level seen once has the code of other rare or new levels, because nothing can be
    learned from one row. Strings that are mostly distinct and have three words on average are text.

    Args:
        X: Rows, features only.
        kinds: Kinds of columns by name, where they are not to be inferred.
        rows: Positions of the rows to infer kinds and formats from; None for all.

    Returns:
        The table, all rows of X. Its warnings are `UnparsedCellsWarning` (some cells are not what their column holds;
        they count as missing) and `AmbiguousNumbersWarning` (the separator in numbers such as 17.027 may be one of
        decimals or of thousands).

    Raises:
        ColumnError: A column holds complex or infinite numbers, objects that can't be read, or not what `kinds` states.
        ParameterError: `kinds` names a column that X does not have, or an unknown kind.
    """
    given = _check_kinds(kinds or {}, [str(name) for name in X.columns])
    known = X if rows is None else X.iloc[rows]
    inferred = [_infer_column(str(name), known.iloc[:, i], given.get(str(name))) for i, name in enumerate(X.columns)]
    table = TableSchema(tuple(column for column, _ in inferred)).read(X)
    ambiguous = present(warning for _, warning in inferred)
    return replace(table, warnings=ambiguous + table.warnings).with_learned_schema()


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
        UnparsedCellsWarning, AmbiguousNumbersWarning: As `infer_table` returns them.

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
            raise ParameterError(f"kinds must name columns of the table, got {str(name)!r}. Check the name.")
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
        return Kind.NUMERIC, NumberFormat(), None
    if inferred in {"datetime64", "datetime", "date", "period"}:
        return Kind.DATETIME, None, None
    if inferred in {"timedelta64", "timedelta", "time"}:
        return Kind.DURATION, None, None
    if inferred == "boolean":
        return Kind.BOOLEAN, None, None
    if inferred in {"string", "mixed-integer", "mixed", "categorical"}:
        _refuse_other_objects(name, cells)
        strings = [str(cell) for cell in pd.unique(cells)]
        return _kind_of_strings(name, strings, n_cells=len(cells))
    raise ColumnError(
        f"Column {name!r} must hold numbers, strings, booleans or times, got {inferred} values. "
        + ("Complex data not supported." if inferred == "complex" else f"Drop the column (--drop {name!r}).")
    )


def _kind_of_strings(name: str, strings: list[str], n_cells: int) -> tuple[Kind, Format, TabAttnWarning | None]:
    if number_format := infer_number_format(strings):
        is_plain = number_format == NumberFormat()
        return Kind.NUMERIC, number_format, _ambiguity(name, strings) if is_plain else None
    if all(string.strip().casefold() in BOOLEAN_WORDS for string in strings):
        return Kind.BOOLEAN, None, None
    if is_duration(strings):
        return Kind.DURATION, None, None
    if date_format := infer_date_format(strings):
        return Kind.DATETIME, date_format, None
    is_mostly_distinct = len(strings) > max(TEXT_MIN_LEVELS, TEXT_MIN_DISTINCT_FRACTION * n_cells)
    if is_mostly_distinct and np.mean([len(string.split()) for string in strings]) >= TEXT_MIN_WORDS:
        return Kind.TEXT, None, None
    return Kind.CATEGORICAL, None, None


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
        return infer_number_format(strings, are_numbers=True)
    if kind is Kind.DURATION:
        return infer_number_format([string for string in strings if is_number(string)], are_numbers=True)
    return infer_date_format(strings) if kind is Kind.DATETIME else None


def _refuse_other_objects(name: str, cells: AnySeries) -> None:
    for cell in cells:
        if not isinstance(cell, str | bool | int | float | np.generic):
            raise ColumnError(
                f"Column {name!r} must hold numbers, strings, booleans or times, got a cell of type "
                f"{type(cell).__name__} (argument must be a string or a number). Drop the column (--drop {name!r})."
            )
