"""Typed columns: the cells of a table as values, parsed once, for everything that comes after."""

from dataclasses import dataclass, replace
from typing import Any, Self, TypeAlias

import numpy as np

from tabattn.table.cells import AnySeries, Floats, Mask, Positions

RowIndex: TypeAlias = np.ndarray[tuple[int], np.dtype[np.integer[Any]]] | slice


@dataclass(frozen=True, eq=False)
class Numbers:
    """Numbers, or durations in seconds.

    Args:
        values: NaN where missing; minus the offset of the column's format.
    """

    values: Floats

    @property
    def missing(self) -> Mask:
        """Which cells are missing."""
        return np.isnan(self.values)

    @property
    def is_constant(self) -> bool:
        """Whether all cells are the same, missing being a value."""
        return len(np.unique(self.values)) <= 1

    def take(self, rows: RowIndex) -> Self:
        """Return the given rows."""
        return replace(self, values=self.values[rows])


@dataclass(frozen=True, eq=False)
class Levels:
    """Levels of a category, or False and True.

    Args:
        positions: Position of each cell's level in `names`, -1 where missing.
        names: Names of all levels.
    """

    positions: Positions
    names: tuple[str, ...]

    @classmethod
    def missing_cells(cls, n_rows: int) -> Self:
        """Return so many missing cells.

        Args:
            n_rows: How many.
        """
        return cls(np.full(n_rows, -1, dtype=np.intp), ())

    @property
    def missing(self) -> Mask:
        """Which cells are missing."""
        return self.positions < 0

    @property
    def is_constant(self) -> bool:
        """Whether all cells are the same, missing being a value."""
        return len(np.unique(self.positions)) <= 1

    @property
    def counts(self) -> Positions:
        """Number of cells of each level."""
        return np.bincount(self.positions[~self.missing], minlength=len(self.names))

    def take(self, rows: RowIndex) -> Self:
        """Return the given rows."""
        return replace(self, positions=self.positions[rows])


@dataclass(frozen=True, eq=False)
class Times:
    """Dates and times.

    Args:
        values: Time stamps without a time zone, NaT where missing.
    """

    values: AnySeries

    @property
    def missing(self) -> Mask:
        """Which cells are missing."""
        return self.values.isna().to_numpy(dtype=bool)

    @property
    def is_constant(self) -> bool:
        """Whether all cells are the same to the second, missing being a value."""
        return len(np.unique(self.values.to_numpy().astype("datetime64[s]").astype(np.float64))) <= 1

    def take(self, rows: RowIndex) -> Self:
        """Return the given rows."""
        return replace(self, values=self.values.iloc[rows].reset_index(drop=True))


@dataclass(frozen=True, eq=False)
class Texts:
    """Free texts.

    Args:
        values: Strings, NaN where missing.
    """

    values: AnySeries

    @property
    def missing(self) -> Mask:
        """Which cells are missing."""
        return self.values.isna().to_numpy(dtype=bool)

    @property
    def is_constant(self) -> bool:
        """Whether all cells are the same, missing being a value."""
        return int(self.values.nunique(dropna=False)) <= 1

    def take(self, rows: RowIndex) -> Self:
        """Return the given rows."""
        return replace(self, values=self.values.iloc[rows].reset_index(drop=True))


TypedCells: TypeAlias = Numbers | Levels | Times | Texts
