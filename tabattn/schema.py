"""DataFrame to `TableSchema`: what kind of thing every column is, decided once, on training rows."""

import re
import warnings
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias, cast

import numpy as np
import pandas as pd

from tabattn.errors import ColumnError

AnySeries: TypeAlias = "pd.Series[Any]"
MIN_LEVEL_COUNT = 2
TEXT_MIN_WORDS = 3.0
TEXT_MIN_LEVELS = 20
TEXT_MIN_UNIQUE_SHARE = 0.5
_DATE_OR_TIME = re.compile(
    r"\s*(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}|\d{1,2}:\d{2}(:\d{2})?)([T\s].*)?\s*"
)


class Kind(StrEnum):
    """Kinds of column."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"


@dataclass(frozen=True)
class Column:
    """One feature column.

    Args:
        name: Its name in the table.
        kind: How its cells are read.
        categories: The levels of a categorical column that are frequent enough to be told apart, in sorted order.
        is_constant: True if all training rows have the same value, missing being a value; such a column gets no token.
    """

    name: str
    kind: Kind
    categories: tuple[str, ...]
    is_constant: bool

    @property
    def width(self) -> int:
        """Number of codes that its cells can take: 1 for a number, levels and a code for all others for a category."""
        return 1 if self.kind is Kind.NUMERIC else 1 + len(self.categories)


@dataclass(frozen=True)
class TableSchema:
    """All feature columns, in the order of the table."""

    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns."""
        return tuple(column.name for column in self.columns)

    def of_kind(self, kind: Kind) -> tuple[int, ...]:
        """Positions of the columns of a kind that get a token."""
        return tuple(i for i, column in enumerate(self.columns) if column.kind is kind and not column.is_constant)

    @property
    def token_positions(self) -> tuple[int, ...]:
        """Positions of all columns that get a token, in the order of the table."""
        return tuple(i for i, column in enumerate(self.columns) if not column.is_constant)

    @property
    def model_positions(self) -> tuple[int, ...]:
        """Positions of the same columns in the order of the model: numeric columns, then categorical ones."""
        return self.of_kind(Kind.NUMERIC) + self.of_kind(Kind.CATEGORICAL)

    @property
    def constant_names(self) -> tuple[str, ...]:
        """Names of the columns that get no token."""
        return tuple(column.name for column in self.columns if column.is_constant)


def infer_schema(X: pd.DataFrame) -> TableSchema:
    """Find out what kind of column each one is.

    Numbers are numeric; booleans, strings and pandas categories are categorical. A level seen once is not told apart
    from other rare or new levels, because nothing can be learned from one row.

    Args:
        X: Training rows, features only.

    Returns:
        One `Column` per column of X.

    Raises:
        ColumnError: A column holds dates, times, free text, complex or infinite numbers, or objects that are no cells.

    Example:
        >>> schema = infer_schema(pd.DataFrame({"speed": [1.5, 2.0, None], "line": ["A", "A", "B"]}))
        >>> [(c.name, str(c.kind), c.categories) for c in schema.columns]
        [('speed', 'numeric', ()), ('line', 'categorical', ('A',))]
    """
    return TableSchema(tuple(_infer_column(str(name), X.iloc[:, i]) for i, name in enumerate(X.columns)))


def as_numbers(column: AnySeries, name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return a numeric column as floats, NaN where missing.

    Args:
        column: The cells.
        name: Name of the column, for the error.

    Returns:
        Array of the same length.

    Raises:
        ColumnError: A cell is infinite or not a number.
    """
    blank = _blank_to_missing(column)
    try:
        numbers = pd.to_numeric(blank).to_numpy(dtype=np.float64, na_value=np.nan)
    except (ValueError, TypeError) as error:
        raise ColumnError(
            f"Column {name!r} must hold numbers, as when the model was fitted, got {_first_non_number(blank)!r}. "
            "Correct the cell or leave it empty."
        ) from error
    if np.isinf(numbers).any():
        raise ColumnError(
            f"Column {name!r} must hold finite numbers, got {int(np.isinf(numbers).sum())} infinite value(s). "
            "Replace them by a number or leave the cells empty."
        )
    return cast("np.ndarray[tuple[int], np.dtype[np.float64]]", numbers)


def as_levels(column: AnySeries) -> tuple[np.ndarray[tuple[int], np.dtype[np.intp]], list[str]]:
    """Return a categorical column as positions in a list of level names; 1, 1.0 and "1" are one level.

    Args:
        column: The cells.

    Returns:
        The position of each cell's level, -1 where missing or blank, and the names of the levels.

    Example:
        >>> positions, names = as_levels(pd.Series(["B", None, " ", "A"], dtype=object))
        >>> positions.tolist(), names
        ([0, -1, -1, 1], ['B', 'A'])
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    positions, values = pd.factorize(column, use_na_sentinel=True)
    position_of: dict[str, int] = {}
    renumbered = [
        position_of.setdefault(_level_name(value), len(position_of)) if _level_name(value).strip() else -1
        for value in values
    ]
    return np.array([*renumbered, -1], dtype=np.intp)[positions], list(position_of)


def _infer_column(name: str, column: AnySeries) -> Column:
    kind = _infer_kind(name, column)
    if kind is Kind.NUMERIC:
        numbers = as_numbers(column, name)
        n_values = len(np.unique(numbers))  # np.unique counts all NaN as one value
        return Column(name, kind, (), is_constant=n_values <= 1)
    positions, names = as_levels(column)
    _refuse_text(name, names, n_cells=int((positions >= 0).sum()))
    counts = np.bincount(positions[positions >= 0], minlength=len(names))
    kept = sorted(level for level, count in zip(names, counts, strict=True) if count >= MIN_LEVEL_COUNT)
    return Column(name, kind, tuple(kept), is_constant=len(np.unique(positions)) <= 1)


def _infer_kind(name: str, column: AnySeries) -> Kind:
    if isinstance(column.dtype, pd.CategoricalDtype) or pd.api.types.is_bool_dtype(column):
        return Kind.CATEGORICAL
    cells = _blank_to_missing(column)
    inferred = pd.api.types.infer_dtype(cells, skipna=True)
    if inferred in {"integer", "floating", "mixed-integer-float", "decimal", "empty"}:
        return Kind.NUMERIC
    if inferred in {"boolean", "string", "mixed-integer", "mixed", "categorical"}:
        _refuse_other_objects(name, cells.dropna())
        return Kind.CATEGORICAL
    raise ColumnError(
        f"Column {name!r} must hold numbers, strings or booleans, got {inferred} values. "
        + ("Complex data not supported." if inferred == "complex" else _DROP_HINT.format(name=name))
    )


_DROP_HINT = "Drop the column (--drop {name!r}) or turn it into numbers first, for example hours since a fixed time."


def _refuse_other_objects(name: str, cells: AnySeries) -> None:
    for cell in cells:
        if not isinstance(cell, str | bool | int | float | np.generic):
            raise ColumnError(
                f"Column {name!r} must hold numbers, strings or booleans, got a cell of type {type(cell).__name__} "
                f"(argument must be a string or a number). {_DROP_HINT.format(name=name)}"
            )


def _refuse_text(name: str, levels: list[str], n_cells: int) -> None:
    if not levels:
        return
    if all(_DATE_OR_TIME.fullmatch(level) for level in levels) and _all_parse_as_dates(levels):
        raise ColumnError(
            f"Column {name!r} must hold numbers or categories, got dates or times such as {levels[0]!r}. "
            + _DROP_HINT.format(name=name)
        )
    is_mostly_unique = len(levels) > max(TEXT_MIN_LEVELS, TEXT_MIN_UNIQUE_SHARE * n_cells)
    if is_mostly_unique and np.mean([len(level.split()) for level in levels]) >= TEXT_MIN_WORDS:
        raise ColumnError(
            f"Column {name!r} must hold numbers or categories, got free text such as {levels[0][:40]!r}. "
            f"Drop the column (--drop {name!r}) or turn it into categories first."
        )


def _all_parse_as_dates(values: list[str]) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bool(pd.to_datetime(pd.Series(values), errors="coerce", format="mixed").notna().all())


def _blank_to_missing(column: AnySeries) -> AnySeries:
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    if not (pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column)):
        return column
    is_blank = column.map(lambda cell: isinstance(cell, str) and not cell.strip(), na_action="ignore")
    return column.mask(is_blank.astype(object).fillna(False).astype(bool))


def _level_name(cell: object) -> str:
    if isinstance(cell, float | np.floating) and float(cell).is_integer():
        return str(int(cell))
    return str(cell)


def _first_non_number(column: AnySeries) -> object:
    is_bad = pd.to_numeric(column.astype(object), errors="coerce").isna() & column.notna()
    return column[is_bad].iloc[0] if is_bad.any() else column.dtype
