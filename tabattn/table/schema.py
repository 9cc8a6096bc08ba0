"""DataFrame to `TableSchema`: what kind of thing every column is, decided once, on training rows."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Self

import numpy as np
import pandas as pd

from tabattn.errors import AmbiguousNumbersWarning, ColumnError, ParameterError
from tabattn.table.cells import (
    FLAG_NAMES,
    AnySeries,
    as_flags,
    as_levels,
    as_numbers,
    as_seconds,
    as_times,
    exact_origin,
    factorized,
    holds_strings,
    is_missing,
    real_numbers,
    warn_of_cells,
)
from tabattn.table.notation import TRUTHS, date_format, either_way, is_number, is_span, number_date_format, number_marks

MIN_LEVEL_COUNT = 2
TEXT_MIN_WORDS = 3.0
TEXT_MIN_LEVELS = 20
TEXT_MIN_UNIQUE_SHARE = 0.5
MIN_IDENTIFIED_ROWS = 20
MIN_EVEN_STEPS = 0.5
MIN_EXPECTED_REPEATS = 10.0
MIN_CODE_DIGITS, MIN_CODE_ROWS = 7, 50


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
        categories: The levels of a categorical column that are frequent enough to be told apart, in sorted order; False
            and True for a boolean one.
        is_constant: True if all training rows have the same value, missing being a value; such a column gets no token.
        written: How its cells are to be read: the marks of a number, or the format of a date, see
            `tabattn.table.notation`.
        origin: What is taken from whole numbers that floats can't tell apart, see `tabattn.table.cells.exact_origin`.
    """

    name: str
    kind: Kind
    categories: tuple[str, ...]
    is_constant: bool
    written: str = ""
    origin: int = 0

    @property
    def width(self) -> int:
        """Number of codes that its cells can take: levels and a code for all others for a category, else 1."""
        return 1 + len(self.categories)


@dataclass(frozen=True)
class TableSchema:
    """All feature columns, in the order of the table."""

    columns: tuple[Column, ...]

    @classmethod
    def from_settings(cls, settings: Sequence[Mapping[str, Any]]) -> Self:
        """Return the schema whose `settings` these are.

        Raises:
            ValueError, TypeError: They are not those of a schema.
        """
        columns = []
        for each in settings:
            column = Column(**each)
            categories = tuple(str(level) for level in column.categories)
            if not (isinstance(column.name, str) and isinstance(column.written, str)):
                raise TypeError("names and notations must be strings")
            columns.append(replace(column, kind=Kind(column.kind), categories=categories, origin=int(column.origin)))
        return cls(tuple(columns))

    @property
    def settings(self) -> list[dict[str, Any]]:
        """The columns as JSON can hold them."""
        return [asdict(column) for column in self.columns]

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


def infer_schema(X: pd.DataFrame, kinds: Mapping[str, str] | None = None) -> TableSchema:
    """Find out what kind of column each one is.

    Numbers are numeric, also those written as strings, with marks between thousands or a decimal comma; strings of
    digits that begin with 0 are not. Booleans, also the strings "true" and "false", are boolean; other strings and
    pandas categories are categorical. A level seen once is not told apart from other rare or new levels, because
    nothing can be learned from one row. Strings that are mostly different and have three words on average are text.

    Args:
        X: Training rows, features only.
        kinds: Kinds of columns by name, where they are not to be inferred.

    Returns:
        One `Column` per column of X.

    Raises:
        ColumnError: A column holds complex or infinite numbers, objects that are no cells, or not what `kinds` says.
        ParameterError: `kinds` names no column of X, or no kind.

    Warns:
        UnreadCellsWarning: Some cells are not what their column holds; they count as missing.
        AmbiguousNumbersWarning: The mark in numbers such as 17.027 may be a decimal mark or one between thousands.

    Example:
        >>> schema = infer_schema(pd.DataFrame({"speed": [1.5, 2.0, None], "line": ["A", "A", "B"]}))
        >>> [(c.name, str(c.kind), c.categories) for c in schema.columns]
        [('speed', 'numeric', ()), ('line', 'categorical', ('A',))]
    """
    given = _check_kinds(kinds or {}, [str(name) for name in X.columns])
    return TableSchema(
        tuple(_infer_column(str(name), X.iloc[:, i], given.get(str(name))) for i, name in enumerate(X.columns))
    )


def identifier_names(X: pd.DataFrame, schema: TableSchema) -> list[str]:
    """Name the columns that seem to number or name the rows: what they say of the target can't be true of other rows.

    Args:
        X: Training rows.
        schema: Their columns.

    Returns:
        Names of columns of strings without a level that occurs twice, and of columns of whole numbers none of which
        occurs twice, if they count up or down from row to row in steps that are mostly equal, if they fill their range
        so well that numbers drawn at random would repeat, or if all have as many digits, seven at least.

    Example:
        >>> X = pd.DataFrame({"row": range(30), "lot": [f"L{i}" for i in range(30)], "line": ["A", "B"] * 15})
        >>> identifier_names(X, infer_schema(X))
        ['row', 'lot']
    """
    if len(X) < MIN_IDENTIFIED_ROWS:
        return []
    return [column.name for i, column in enumerate(schema.columns) if _is_identifier(X.iloc[:, i], column)]


def _is_identifier(cells: AnySeries, column: Column) -> bool:
    if column.kind is Kind.CATEGORICAL:
        n_present = int((~is_missing(cells)).sum())
        return not column.categories and n_present >= MIN_IDENTIFIED_ROWS
    if column.kind is not Kind.NUMERIC or column.is_constant:
        return False
    numbers = as_numbers(cells, column.name, column.written, column.origin)
    if np.isnan(numbers).any() or (numbers != np.round(numbers)).any():
        return False
    n_rows, steps = len(numbers), np.diff(np.sort(numbers))
    if (steps < 1).any():
        return False
    is_sorted = bool((np.diff(numbers) > 0).all() or (np.diff(numbers) < 0).all())
    is_counter = is_sorted and (steps == np.median(steps)).mean() >= MIN_EVEN_STEPS
    is_dense = n_rows**2 / (2 * (np.ptp(numbers) + 1)) >= MIN_EXPECTED_REPEATS
    digits = np.char.str_len(np.char.mod("%d", np.abs(numbers + column.origin)))
    is_code = n_rows >= MIN_CODE_ROWS and digits.min() == digits.max() >= MIN_CODE_DIGITS
    return bool(is_counter or is_dense or is_code)


def _check_kinds(kinds: Mapping[str, str], names: list[str]) -> dict[str, Kind]:
    checked: dict[str, Kind] = {}
    for name, kind in kinds.items():
        if str(name) not in names:
            raise ParameterError(f"schema must name columns of the table, got {str(name)!r}. Check the name.")
        try:
            checked[str(name)] = Kind(str(kind))
        except ValueError as error:
            raise ParameterError(
                f"schema must give a column one of the kinds {', '.join(Kind)}, got {kind!r} for {str(name)!r}."
            ) from error
    return checked


def _infer_column(name: str, column: AnySeries, given: Kind | None) -> Column:
    kind, written = _infer_kind(name, column) if given is None else (given, _written(name, column, given))
    if kind is Kind.CATEGORICAL:
        positions, names = as_levels(column)
        counts = np.bincount(positions[positions >= 0], minlength=len(names))
        kept = sorted(level for level, count in zip(names, counts, strict=True) if count >= MIN_LEVEL_COUNT)
        return Column(name, kind, tuple(kept), is_constant=len(np.unique(positions)) <= 1)
    if kind is Kind.BOOLEAN:
        return Column(name, kind, FLAG_NAMES, is_constant=len(np.unique(as_flags(column, name))) <= 1)
    if kind is Kind.TEXT:
        return Column(name, kind, (), is_constant=len(np.unique(as_levels(column)[0])) <= 1)
    if kind is Kind.NUMERIC:
        origin = exact_origin(column)
        values = as_numbers(column, name, written, origin)
        return Column(name, kind, (), len(np.unique(values)) <= 1, written, origin)  # all NaN are one value
    if kind is Kind.DURATION:
        values = as_seconds(column, name, written or ".")
    else:
        values = as_times(column, name, written).to_numpy().astype("datetime64[s]").astype(np.float64)
    return Column(name, kind, (), len(np.unique(values)) <= 1, written)


def _infer_kind(name: str, column: AnySeries) -> tuple[Kind, str]:
    if isinstance(column.dtype, pd.CategoricalDtype | pd.IntervalDtype):
        return Kind.CATEGORICAL, ""
    if pd.api.types.is_bool_dtype(column):
        return Kind.BOOLEAN, ""
    cells = column[~is_missing(column)]
    inferred = pd.api.types.infer_dtype(cells, skipna=True)
    if inferred in {"integer", "floating", "mixed-integer-float", "decimal", "empty"}:
        return Kind.NUMERIC, "."
    if inferred in {"datetime64", "datetime", "date", "period"}:
        return Kind.DATETIME, ""
    if inferred in {"timedelta64", "timedelta", "time"}:
        return Kind.DURATION, ""
    if inferred == "boolean":
        return Kind.BOOLEAN, ""
    if inferred in {"string", "mixed-integer", "mixed", "categorical"}:
        _refuse_other_objects(name, cells)
        strings = [str(cell) for cell in pd.unique(cells)]
        return _kind_of_strings(name, strings, n_cells=len(cells))
    raise ColumnError(
        f"Column {name!r} must hold numbers, strings, booleans or times, got {inferred} values. "
        + ("Complex data not supported." if inferred == "complex" else f"Drop the column (--drop {name!r}).")
    )


def _kind_of_strings(name: str, strings: list[str], n_cells: int) -> tuple[Kind, str]:
    if marks := number_marks(strings):
        if marks == "." and (example := either_way(strings)):
            warn_of_cells(
                f"Column {name!r} holds numbers such as {example!r}, whose mark may be a decimal mark or one between "
                "thousands: taken for a decimal mark. If it is not, take the marks out, or name the table's file, "
                "whose other columns may tell.",
                AmbiguousNumbersWarning,
            )
        return Kind.NUMERIC, marks
    if all(string.strip().casefold() in TRUTHS for string in strings):
        return Kind.BOOLEAN, ""
    if is_span(strings):
        return Kind.DURATION, ""
    if written := date_format(strings):
        return Kind.DATETIME, written
    is_mostly_unique = len(strings) > max(TEXT_MIN_LEVELS, TEXT_MIN_UNIQUE_SHARE * n_cells)
    if is_mostly_unique and np.mean([len(string.split()) for string in strings]) >= TEXT_MIN_WORDS:
        return Kind.TEXT, ""
    return Kind.CATEGORICAL, ""


def _written(name: str, column: AnySeries, kind: Kind) -> str:
    """How the cells of a column of a given kind are to be read."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    if kind is Kind.DATETIME and (numbers := real_numbers(column)) is not None:
        written = number_date_format(numbers.tolist())
        if written is None:
            raise ColumnError(
                f"Column {name!r} must hold dates, got numbers such as {numbers[0]:g}, which are none: neither digits "
                "such as 20240105, nor days of Excel, nor seconds to nanoseconds since 1970. Take schema away from it."
            )
        return written
    if not holds_strings(column):
        return "." if kind is Kind.NUMERIC else ""
    factorized(column)  # refuses what is no cell
    strings = [str(cell) for cell in pd.unique(column[~is_missing(column)])]
    if kind is Kind.NUMERIC:
        return number_marks(strings, are_numbers=True) or "."
    if kind is Kind.DURATION:
        return number_marks([string for string in strings if is_number(string)], are_numbers=True) or "."
    return date_format(strings) or "" if kind is Kind.DATETIME else ""


def _refuse_other_objects(name: str, cells: AnySeries) -> None:
    for cell in cells:
        if not isinstance(cell, str | bool | int | float | np.generic):
            raise ColumnError(
                f"Column {name!r} must hold numbers, strings, booleans or times, got a cell of type "
                f"{type(cell).__name__} (argument must be a string or a number). Drop the column (--drop {name!r})."
            )
