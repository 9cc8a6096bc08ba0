"""DataFrame to `TypedTable`: the kind of every column, inferred once on training rows, and its cells as values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Self, TypeAlias

import numpy as np
import pandas as pd

from tabattn.errors import AmbiguousNumbersWarning, ColumnError, ParameterError, TabAttnWarning, warn_all
from tabattn.table.cells import (
    BOOLEAN_NAMES,
    INFERRED_NUMBERS,
    AnySeries,
    distinct_numbers,
    factorized,
    holds_strings,
    integer_offset,
    is_missing,
    parse_booleans,
    parse_levels,
    parse_numbers,
    parse_seconds,
    parse_texts,
    parse_times,
)
from tabattn.table.columns import Levels, Numbers, Rows, Texts, Times, TypedCells
from tabattn.table.dates import DateFormat, DateUnit, infer_date_format, infer_numeric_date_format, is_duration
from tabattn.table.numbers import (
    BOOLEAN_WORDS,
    NUMBER_FORMATS,
    NumberFormat,
    ambiguous_number,
    infer_number_format,
    is_number,
)

MIN_LEVEL_COUNT = 2
TEXT_MIN_WORDS = 3.0
TEXT_MIN_LEVELS = 20
TEXT_MIN_DISTINCT_FRACTION = 0.5
Format: TypeAlias = NumberFormat | DateFormat | DateUnit | None


class Kind(StrEnum):
    """Kinds of column."""

    NUMERIC = "numeric"
    BOOLEAN = "boolean"
    CATEGORICAL = "categorical"
    DATETIME = "datetime"
    DURATION = "duration"
    TEXT = "text"


@dataclass(frozen=True)
class Column:
    """One feature column.

    Args:
        name: Its name in the table.
        kind: How its cells are read.
        categories: The levels of a categorical column that are frequent enough to get a code, in sorted order; False
            and True for a boolean one.
        is_constant: True if all training rows have the same value, missing being a value; such a column gets no token.
        format: How its numbers, or its dates, are written; None where there is one way only.
    """

    name: str
    kind: Kind
    categories: tuple[str, ...] = ()
    is_constant: bool = False
    format: Format = None

    @property
    def n_codes(self) -> int:
        """Number of codes that its cells can take, if it is one of levels: those and one for all others."""
        return 1 + len(self.categories)

    @property
    def offset(self) -> int:
        """Subtracted from its integers before conversion to float64."""
        return self.format.offset if isinstance(self.format, NumberFormat) else 0

    def read(self, cells: AnySeries) -> tuple[TypedCells, TabAttnWarning | None]:
        """Parse cells of this column.

        Args:
            cells: The cells.

        Returns:
            Their values, and what to warn of if some could not be parsed.

        Raises:
            ColumnError: No cell could be parsed, or some numbers are infinite.
        """
        match self.kind:
            case Kind.NUMERIC:
                numbers, warning = parse_numbers(cells, self.name, _number_format(self.format))
                return Numbers(numbers), warning
            case Kind.DURATION:
                seconds, warning = parse_seconds(cells, self.name, _number_format(self.format))
                return Numbers(seconds), warning
            case Kind.BOOLEAN:
                booleans, warning = parse_booleans(cells, self.name)
                return Levels(booleans, BOOLEAN_NAMES), warning
            case Kind.CATEGORICAL:
                positions, names = parse_levels(cells)
                return Levels(positions, tuple(names)), None
            case Kind.DATETIME:
                how = None if isinstance(self.format, NumberFormat) else self.format
                times, warning = parse_times(cells, self.name, how)
                return Times(times.reset_index(drop=True)), warning
            case Kind.TEXT:
                return Texts(parse_texts(cells).reset_index(drop=True)), None


def _number_format(given: Format) -> NumberFormat | None:
    return given if isinstance(given, NumberFormat) else None


@dataclass(frozen=True)
class TableSchema:
    """All feature columns, in the order of the table."""

    columns: tuple[Column, ...]

    @classmethod
    def from_settings(cls, settings: Sequence[Mapping[str, Any]]) -> Self:
        """Return the schema whose `settings` these are.

        Raises:
            ValueError, TypeError, KeyError: They are not those of a schema.
        """
        return cls(tuple(_column_of(dict(each)) for each in settings))

    @property
    def settings(self) -> list[dict[str, Any]]:
        """The columns as JSON can hold them."""
        return [asdict(column) | {"format": _format_settings(column.format)} for column in self.columns]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns."""
        return tuple(column.name for column in self.columns)

    def of_kind(self, *kinds: Kind) -> tuple[int, ...]:
        """Positions of the columns of some kinds that get a token."""
        return tuple(i for i, column in enumerate(self.columns) if column.kind in kinds and not column.is_constant)

    @property
    def number_positions(self) -> tuple[int, ...]:
        """Positions of the columns that are one number: numeric ones and durations."""
        return self.of_kind(Kind.NUMERIC, Kind.DURATION)

    @property
    def block_positions(self) -> tuple[int, ...]:
        """Positions of the columns that are several numbers: dates and texts."""
        return self.of_kind(Kind.DATETIME, Kind.TEXT)

    @property
    def code_positions(self) -> tuple[int, ...]:
        """Positions of the columns that are codes of levels: booleans and categories."""
        return self.of_kind(Kind.BOOLEAN, Kind.CATEGORICAL)

    @property
    def token_positions(self) -> tuple[int, ...]:
        """Positions of all columns that get a token, in the order of the table."""
        return tuple(i for i, column in enumerate(self.columns) if not column.is_constant)

    @property
    def model_positions(self) -> tuple[int, ...]:
        """Positions of the same columns in the order of the model: numbers, blocks of numbers, codes."""
        return self.number_positions + self.block_positions + self.code_positions

    @property
    def constant_names(self) -> tuple[str, ...]:
        """Names of the columns that get no token."""
        return tuple(column.name for column in self.columns if column.is_constant)

    def read(self, X: pd.DataFrame) -> "TypedTable":
        """Parse the cells of some rows.

        Args:
            X: Rows with the columns of this schema, in its order.

        Returns:
            Their values.

        Raises:
            ColumnError: A column holds nothing of what it held in training, or infinite numbers.
        """
        read = [column.read(X.iloc[:, i]) for i, column in enumerate(self.columns)]
        return TypedTable(self, tuple(cells for cells, _ in read), X.index, _present(warning for _, warning in read))


@dataclass(frozen=True, eq=False)
class TypedTable:
    """Rows of a table, parsed.

    Args:
        schema: The columns.
        cells: The values of each column.
        index: Labels of the rows.
        warnings: What to warn of; the caller gives them, once.
    """

    schema: TableSchema
    cells: tuple[TypedCells, ...]
    index: "pd.Index[Any]"
    warnings: tuple[TabAttnWarning, ...] = ()

    def __len__(self) -> int:
        return len(self.index)

    def take(self, rows: Rows) -> Self:
        """Return the given rows, without warnings.

        Args:
            rows: Their positions.
        """
        return replace(self, cells=tuple(each.take(rows) for each in self.cells), index=self.index[rows], warnings=())

    def column(self, position: int) -> Self:
        """Return the table of one column, without warnings.

        Args:
            position: Which.
        """
        schema = TableSchema((self.schema.columns[position],))
        return replace(self, schema=schema, cells=(self.cells[position],), warnings=())

    def with_learned_schema(self) -> Self:
        """Return the same rows with a schema whose categories and constant columns are those of these rows."""
        columns = (_learned(*pair) for pair in zip(self.schema.columns, self.cells, strict=True))
        return replace(self, schema=TableSchema(tuple(columns)))


def infer_table(X: pd.DataFrame, kinds: Mapping[str, str] | None = None) -> TypedTable:
    """Infer the kind of each column, and parse its cells.

    Numbers are numeric, also those written as strings, with thousands separators or a decimal comma; strings of digits
    that begin with 0 are not. Booleans, also the strings "true" and "false", are boolean; other strings and pandas
    categories are categorical. A level seen once has the code of other rare or new levels, because nothing can be
    learned from one row. Strings that are mostly distinct and have three words on average are text.

    Args:
        X: Rows, features only.
        kinds: Kinds of columns by name, where they are not to be inferred.

    Returns:
        The table. Its warnings are `UnparsedCellsWarning` (some cells are not what their column holds; they count as
        missing) and `AmbiguousNumbersWarning` (the separator in numbers such as 17.027 may be one of decimals or of
        thousands).

    Raises:
        ColumnError: A column holds complex or infinite numbers, objects that can't be read, or not what `kinds` states.
        ParameterError: `kinds` names a column that X does not have, or an unknown kind.
    """
    given = _check_kinds(kinds or {}, [str(name) for name in X.columns])
    inferred = [_infer_column(str(name), X.iloc[:, i], given.get(str(name))) for i, name in enumerate(X.columns)]
    table = TableSchema(tuple(column for column, _ in inferred)).read(X)
    ambiguous = _present(warning for _, warning in inferred)
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


def _learned(column: Column, cells: TypedCells) -> Column:
    """Return a column with the categories of its cells, and whether it is constant."""
    categories: tuple[str, ...] = ()
    if column.kind is Kind.BOOLEAN:
        categories = BOOLEAN_NAMES
    elif isinstance(cells, Levels):
        pairs = zip(cells.names, cells.counts, strict=True)
        categories = tuple(sorted(name for name, count in pairs if count >= MIN_LEVEL_COUNT))
    return replace(column, categories=categories, is_constant=cells.is_constant)


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
    """Infer kind and format; categories and whether it is constant are learned from its values."""
    if given is not None:
        kind, how, warning = given, _format_of_kind(name, cells, given), None
    else:
        kind, how, warning = _infer_kind(name, cells)
    if kind is Kind.NUMERIC:
        number_format = how if isinstance(how, NumberFormat) else NumberFormat()
        how = replace(number_format, offset=integer_offset(cells))
    return Column(name, kind, format=how), warning


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


def _present(warnings: Iterable[TabAttnWarning | None]) -> tuple[TabAttnWarning, ...]:
    return tuple(warning for warning in warnings if warning is not None)


def _format_settings(given: Format) -> Any:
    """Return a format as JSON can hold it: a unit as text, others as their fields."""
    return given.value if isinstance(given, DateUnit) else None if given is None else asdict(given)


def _column_of(settings: dict[str, Any]) -> Column:
    """Return the column that `asdict` made these settings of."""
    held = settings["format"]
    how: Format
    if held is None or isinstance(held, str):
        how = None if held is None else DateUnit(held)
    elif "decimal" in held:
        how = NumberFormat(held["decimal"], held["thousands"], int(held["offset"]))
        if replace(how, offset=0) not in NUMBER_FORMATS:
            raise ValueError("the format of numbers is unknown")
    else:
        pattern = held["pattern"]
        how = DateFormat(None if pattern is None else str(pattern), bool(held["day_first"]))
    if not isinstance(settings["name"], str):
        raise TypeError("names must be strings")
    categories = tuple(str(level) for level in settings["categories"])
    return Column(settings["name"], Kind(settings["kind"]), categories, bool(settings["is_constant"]), how)
