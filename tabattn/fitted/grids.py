"""Values of a column to predict with: quantiles, or all of few, or the most frequent levels."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tabattn.arrays import Array
from tabattn.importance.effects import MISSING, Grid
from tabattn.table.columns import Levels, Numbers, Texts, Times, TypedCells
from tabattn.table.schema import Column, Kind

PROBABILITIES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
FEW_PROBABILITIES = (0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95)
LOW, HIGH = 0.1, 0.9
MAX_LEVELS = 20


def value_grid(column: Column, cells: TypedCells, probabilities: Sequence[float] = PROBABILITIES) -> Grid | None:
    """Choose values of a column: quantiles, or all where they are few; the most frequent levels.

    Args:
        column: The column.
        cells: Its cells.
        probabilities: Of the quantiles.

    Returns:
        The grid; None for texts, and where there is only one value.

    Example:
        >>> column = Column("heat", Kind.NUMERIC)
        >>> grid = value_grid(column, Numbers(np.array([1.5, 2.0, np.nan, 2.0])))
        >>> grid.values, grid.rows.tolist(), grid.nearest.tolist()
        (('1.5', '2', ''), [0, 1, 2], [0, 1, 2, 1])
    """
    if isinstance(cells, Texts):
        return None
    is_ordered = not isinstance(cells, Levels) or column.kind is Kind.BOOLEAN
    present = np.flatnonzero(~cells.missing)
    sortable = _sortable(cells)
    known, first, counts = np.unique(sortable[present], return_index=True, return_counts=True)
    chosen = np.arange(len(known))
    if isinstance(cells, Levels) and not is_ordered:
        chosen = np.array(
            sorted(np.argsort(-counts, kind="stable")[:MAX_LEVELS], key=lambda i: cells.names[int(known[i])])
        )
    elif len(known) > len(probabilities):
        chosen = np.unique(_quantile_places(counts, probabilities))
    rows = present[first[chosen]]
    nearest = np.full(len(sortable), -1)
    if is_ordered and len(chosen):
        kept = known[chosen]
        nearest[present] = np.searchsorted((kept[1:] + kept[:-1]) / 2, sortable[present], side="right")
    else:
        place = {value: number for number, value in enumerate(known[chosen])}
        nearest[present] = [place.get(value, -1) for value in sortable[present]]
    written = [_written(column, cells, row) for row in rows]
    if len(present) < len(sortable):
        absent = np.flatnonzero(cells.missing)
        rows, written = np.append(rows, absent[0]), [*written, MISSING]
        nearest[absent] = len(written) - 1
    if len(written) < 2:
        return None
    low, high = 0, max(0, len(chosen) - 1)
    if is_ordered and len(chosen):
        low, high = (int(np.searchsorted(chosen, place)) for place in _quantile_places(counts, (LOW, HIGH)))
        low, high = (low, high) if low < high else (0, len(chosen) - 1)
    return Grid(tuple(written), rows, nearest, is_ordered, low, high)


def _quantile_places(counts: Array, probabilities: Sequence[float]) -> Array:
    """Return which of some sorted values are quantiles, if each occurs so often: always values of the data."""
    reached = counts.cumsum() / counts.sum()
    places: Array = np.searchsorted(reached, np.array(probabilities) - 1e-9).clip(0, len(counts) - 1)
    return places


def _sortable(cells: Numbers | Levels | Times) -> Array:
    """Return cells as numbers that sort as they do."""
    if isinstance(cells, Times):
        stamps: Array = cells.values.to_numpy().astype("datetime64[s]").astype(np.float64)
        return stamps
    return cells.values if isinstance(cells, Numbers) else cells.positions.astype(np.float64)


def _written(column: Column, cells: TypedCells, row: int) -> str:
    """Return a cell as people write it."""
    if isinstance(cells, Levels):
        name: str = cells.names[cells.positions[row]]
        return name
    if isinstance(cells, Times):
        return str(cells.values.iloc[row])
    assert isinstance(cells, Numbers), "texts have no grid"
    value = float(cells.values[row])
    if column.kind is Kind.DURATION:
        return str(pd.Timedelta(seconds=value))
    return f"{value:.10g}" if column.offset == 0 else str(int(value) + column.offset)
