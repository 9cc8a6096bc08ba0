"""What is known of every column, and rows of a table as values: `TableSchema` and `TypedTable`."""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from types import NoneType
from typing import Any, Self, TypeAlias, get_args

import numpy as np
import pandas as pd

from tabattn.choices import Censored
from tabattn.errors import TabAttnWarning
from tabattn.table.cells import (
    BOOLEAN_NAMES,
    AnySeries,
    Positions,
    parse_booleans,
    parse_levels,
    parse_numbers,
    parse_seconds,
    parse_texts,
    parse_times,
)
from tabattn.table.columns import Levels, Numbers, RowIndex, Texts, Times, TypedCells
from tabattn.table.dates import ORDERS, DateFormat, DateUnit, Marks
from tabattn.table.numbers import NUMBER_FORMATS, NumberFormat
from tabattn.table.rules import CellRules

MIN_LEVEL_COUNT = 2
_PARTS_OF = {"y": ("%Y", "%y"), "m": ("%m", "%b", "%B"), "d": ("%d",)}
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
        rules: How some cells are to be read.
    """

    name: str
    kind: Kind
    categories: tuple[str, ...] = ()
    is_constant: bool = False
    format: Format = None
    rules: CellRules = field(default_factory=CellRules)

    @property
    def n_codes(self) -> int:
        """Number of codes that its cells can take, if it is one of levels: those and one for all others."""
        return 1 + len(self.categories)

    @property
    def offset(self) -> int:
        """Subtracted from its integers before conversion to float64."""
        return self.format.offset if isinstance(self.format, NumberFormat) else 0

    def read(self, cells: AnySeries) -> tuple[TypedCells, tuple[TabAttnWarning, ...]]:
        """Parse cells of this column.

        Args:
            cells: The cells.

        Returns:
            Their values, and what to warn of if some could not be parsed.

        Raises:
            ColumnError: No cell could be parsed, or some numbers are infinite.
        """
        rules = self.rules
        cells = rules.mask(cells, self.name)
        match self.kind:
            case Kind.NUMERIC:
                numbers, warnings = parse_numbers(cells, self.name, _number_format(self.format), rules.censored)
                return Numbers(numbers), warnings
            case Kind.DURATION:
                seconds, warnings = parse_seconds(cells, self.name, _number_format(self.format))
                return Numbers(seconds), warnings
            case Kind.BOOLEAN:
                booleans, warnings = parse_booleans(cells, self.name)
                return Levels(booleans, BOOLEAN_NAMES), warnings
            case Kind.CATEGORICAL:
                positions, names = parse_levels(cells, keep_na=rules.keep_na)
                return Levels(*_as_codes(positions, names, self.categories)), ()
            case Kind.DATETIME:
                how = None if isinstance(self.format, NumberFormat) else self.format
                times, warnings = parse_times(cells, self.name, how)
                return Times(times.reset_index(drop=True)), warnings
            case Kind.TEXT:
                return Texts(parse_texts(cells, keep_na=rules.keep_na).reset_index(drop=True)), ()


def _as_codes(
    positions: Positions, names: Sequence[str], categories: Sequence[str]
) -> tuple[Positions, tuple[str, ...]]:
    """Return levels in which numbers are the codes that they stand for: 7 is the level "007" if there is no level "7".

    Whoever saves a table as numbers loses the zeros in front of its codes.
    """
    numbers = Counter(level.lstrip("0") or "0" for level in categories if level.isdigit())
    code_of = {
        short: level for level in categories if level.isdigit() and numbers[short := level.lstrip("0") or "0"] == 1
    }
    renamed = [code_of.get(name.lstrip("0") or "0", name) if name.isdigit() else name for name in names]
    place_of = {name: place for place, name in enumerate(dict.fromkeys(renamed))}
    places = np.array([*(place_of[name] for name in renamed), -1], dtype=np.intp)
    return places[positions], tuple(place_of)


def _number_format(given: Format) -> NumberFormat | None:
    return given if isinstance(given, NumberFormat) else None


@dataclass(frozen=True)
class TableSchema:
    """All feature columns, in the order of the table."""

    columns: tuple[Column, ...]

    @classmethod
    def from_settings(cls, settings: Sequence[Mapping[str, Any]], rules: Mapping[str, Any] | None = None) -> Self:
        """Return the schema whose `settings` these are.

        Args:
            settings: Settings of the columns.
            rules: The `rule_settings`; None for the defaults, which older files have.

        Raises:
            ValueError, TypeError, KeyError: They are not those of a schema.
        """
        how = _rules_of(rules or {})
        names = [each["name"] for each in settings]
        if len(set(names)) != len(names):
            raise ValueError("names must be different")
        return cls(tuple(replace(_column_of(dict(each)), rules=how) for each in settings))

    @property
    def rules(self) -> CellRules:
        """How some cells are to be read, in all columns."""
        return self.columns[0].rules if self.columns else CellRules()

    @property
    def rule_settings(self) -> dict[str, Any]:
        """How some cells are to be read, as JSON can hold it."""
        return asdict(self.rules) | {"na_values": [list(pair) for pair in self.rules.na_values]}

    @property
    def settings(self) -> list[dict[str, Any]]:
        """The columns as JSON can hold them."""
        plain = [{**asdict(column), "format": _format_settings(column.format)} for column in self.columns]
        return [{name: value for name, value in each.items() if name != "rules"} for each in plain]

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
            (Levels.missing_cells(len(X)), ()) if column.is_constant else column.read(X.iloc[:, i])
            for i, column in enumerate(self.columns)
        ]
        warnings = tuple(itertools.chain.from_iterable(each for _, each in read))
        return TypedTable(self, tuple(cells for cells, _ in read), X.index, warnings)


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
        return replace(self, schema=replace(self.schema, columns=tuple(columns)))


def _learned(column: Column, cells: TypedCells) -> Column:
    """Return a column with the categories of its cells, and whether it is constant."""
    categories: tuple[str, ...] = ()
    if column.kind is Kind.BOOLEAN:
        categories = BOOLEAN_NAMES
    elif isinstance(cells, Levels):
        pairs = zip(cells.names, cells.counts, strict=True)
        categories = tuple(sorted(name for name, count in pairs if count >= MIN_LEVEL_COUNT))
    return replace(column, categories=categories, is_constant=cells.is_constant)


def _format_settings(given: Format) -> Any:
    """Return a format as JSON can hold it: a unit as text, others as their fields."""
    return given.value if isinstance(given, DateUnit) else None if given is None else asdict(given)


def format_of_pattern(pattern: str | None, *, day_first: bool) -> DateFormat:
    """Return the format of dates that older files have as a pattern of strptime, or none for several of them."""
    if pattern is None:
        return DateFormat("dmy" if day_first else "mdy")
    places = {
        part: min((place for place in map(pattern.find, names) if place >= 0), default=99)
        for part, names in _PARTS_OF.items()
    }
    order = "".join(sorted(places, key=lambda part: places[part]))
    is_fixed = pattern.startswith("%Y") or "%b" in pattern or "%B" in pattern
    has_zone = "%z" in pattern or "Z" in pattern
    return DateFormat("none" if is_fixed else next((known for known in ORDERS if known == order), "none"), has_zone)


def _rules_of(settings: Mapping[str, Any]) -> CellRules:
    """Return the rules that `rule_settings` made these settings of."""
    pairs = tuple((None if where is None else str(where), str(text)) for where, text in settings.get("na_values", ()))
    censored = settings.get("censored", "limit")
    if censored not in get_args(Censored):
        raise ValueError("the reading of limits is unknown")
    return CellRules(pairs, bool(settings.get("keep_na", False)), censored)


def _column_of(settings: dict[str, Any]) -> Column:
    """Return the column that `asdict` made these settings of."""
    held = settings["format"]
    how: Format
    if held is None or isinstance(held, str):
        how = None if held is None else DateUnit(held)
    elif "decimal" in held:
        prefix, suffix = str(held.get("prefix", "")), str(held.get("suffix", ""))
        how = NumberFormat(held["decimal"], held["thousands"], int(held["offset"]), prefix, suffix)
        if NumberFormat(*how.marks) not in NUMBER_FORMATS:
            raise ValueError("the format of numbers is unknown")
    else:
        if "order" in held:
            how = DateFormat(held["order"], bool(held.get("has_zone", False)))
        else:
            how = format_of_pattern(**held)
        if how.order not in get_args(Marks):
            raise ValueError("the order of dates is unknown")
    if not isinstance(settings["name"], str):
        raise TypeError("names must be strings")
    kind, categories = Kind(settings["kind"]), tuple(str(level) for level in settings["categories"])
    if len(set(categories)) != len(categories):
        raise ValueError("levels must be different")
    if not isinstance(how, (*FORMATS_OF.get(kind, ()), NoneType)):
        raise ValueError("the format is one of another kind")
    return Column(settings["name"], kind, categories, bool(settings["is_constant"]), how)
