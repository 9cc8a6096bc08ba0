"""What is known of every column, and rows of a table as values: `TableSchema` and `TypedTable`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from types import NoneType
from typing import Any, Self, TypeAlias

import pandas as pd

from tabattn.errors import TabAttnWarning
from tabattn.table.cells import (
    BOOLEAN_NAMES,
    AnySeries,
    parse_booleans,
    parse_levels,
    parse_numbers,
    parse_seconds,
    parse_texts,
    parse_times,
)
from tabattn.table.columns import Levels, Numbers, RowIndex, Texts, Times, TypedCells
from tabattn.table.dates import DateFormat, DateUnit
from tabattn.table.numbers import (
    NUMBER_FORMATS,
    NumberFormat,
)

MIN_LEVEL_COUNT = 2
Format: TypeAlias = NumberFormat | DateFormat | DateUnit | None


class Kind(StrEnum):
    """Kinds of column."""

    NUMERIC = "numeric"
    BOOLEAN = "boolean"
    CATEGORICAL = "categorical"
    DATETIME = "datetime"
    DURATION = "duration"
    TEXT = "text"


FORMATS_OF: Mapping[Kind, tuple[type, ...]] = {
    Kind.NUMERIC: (NumberFormat,),
    Kind.DURATION: (NumberFormat,),
    Kind.DATETIME: (DateFormat, DateUnit),
}


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
        """Parse the cells of some rows; those of constant columns, which no model reads, may hold anything.

        Args:
            X: Rows with the columns of this schema, in its order.

        Returns:
            Their values.

        Raises:
            ColumnError: A column holds nothing of what it held in training, or infinite numbers.
        """
        read = [
            (Levels.missing_cells(len(X)), None) if column.is_constant else column.read(X.iloc[:, i])
            for i, column in enumerate(self.columns)
        ]
        return TypedTable(self, tuple(cells for cells, _ in read), X.index, present(warning for _, warning in read))


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

    def take(self, rows: RowIndex) -> Self:
        """Return the given rows, without warnings.

        Args:
            rows: Their positions.
        """
        return replace(self, cells=tuple(each.take(rows) for each in self.cells), index=self.index[rows], warnings=())

    def with_learned_schema(self) -> Self:
        """Return the same rows with a schema whose categories and constant columns are those of these rows."""
        columns = (_learned(*pair) for pair in zip(self.schema.columns, self.cells, strict=True))
        return replace(self, schema=TableSchema(tuple(columns)))


def _learned(column: Column, cells: TypedCells) -> Column:
    """Return a column with the categories of its cells, and whether it is constant."""
    categories: tuple[str, ...] = ()
    if column.kind is Kind.BOOLEAN:
        categories = BOOLEAN_NAMES
    elif isinstance(cells, Levels):
        pairs = zip(cells.names, cells.counts, strict=True)
        categories = tuple(sorted(name for name, count in pairs if count >= MIN_LEVEL_COUNT))
    return replace(column, categories=categories, is_constant=cells.is_constant)


def present(warnings: Iterable[TabAttnWarning | None]) -> tuple[TabAttnWarning, ...]:
    """Return the warnings among some that may be None."""
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
    kind, categories = Kind(settings["kind"]), tuple(str(level) for level in settings["categories"])
    if not isinstance(how, (*FORMATS_OF.get(kind, ()), NoneType)):
        raise ValueError("the format is one of another kind")
    return Column(settings["name"], kind, categories, bool(settings["is_constant"]), how)
