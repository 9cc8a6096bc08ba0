"""How the cells of each column are distributed: counts of bins or of levels."""

from dataclasses import dataclass

import numpy as np

from tabattn.table.columns import Levels, Numbers, Times, TypedCells
from tabattn.table.numbers import NumberFormat
from tabattn.table.schema import Column, TypedTable

N_BINS, N_LEVELS = 20, 12


@dataclass(frozen=True)
class Distribution:
    """Counts of the cells of one column.

    Args:
        feature: Name of the column.
        labels: The lower edge of each bin and the upper edge of the last, or the most frequent levels.
        counts: Number of cells in each bin, or of each level.
        is_ordered: Whether these are bins.
        n_missing: Number of missing cells.
        n_others: Number of cells of other levels, or of texts.
    """

    feature: str
    labels: tuple[str, ...]
    counts: tuple[int, ...]
    is_ordered: bool
    n_missing: int
    n_others: int = 0


def distributions_of(table: TypedTable) -> tuple[Distribution, ...]:
    """Count the cells of each column.

    Args:
        table: The columns.

    Example:
        >>> import pandas as pd
        >>> from tabattn.table.inference import infer_table
        >>> table = pd.DataFrame({"line": ["A", "A", None], "heat": [1.0, 2.0, 3.0]})
        >>> line, heat = distributions_of(infer_table(table))
        >>> line.labels, line.counts, line.n_missing, heat.labels[0], heat.labels[-1], sum(heat.counts)
        (('A',), (2,), 1, '1', '3', 3)
    """
    return tuple(_distribution(*pair) for pair in zip(table.schema.columns, table.cells, strict=True))


def _distribution(column: Column, cells: TypedCells) -> Distribution:
    n_missing = int(cells.missing.sum())
    if isinstance(cells, Levels):
        order = np.argsort(-cells.counts, kind="stable")[:N_LEVELS]
        order = order[cells.counts[order] > 0]
        shown = tuple(int(count) for count in cells.counts[order])
        n_others = int(cells.counts.sum()) - sum(shown)
        return Distribution(column.name, tuple(cells.names[i] for i in order), shown, False, n_missing, n_others)
    if isinstance(cells, Numbers):
        offset = column.format.offset if isinstance(column.format, NumberFormat) else 0
        edges, counts = _bins(cells.values[~cells.missing])
        return Distribution(column.name, tuple(f"{edge + offset:.6g}" for edge in edges), counts, True, n_missing)
    if isinstance(cells, Times):
        stamps = cells.values[~cells.missing].to_numpy().astype("datetime64[s]")
        edges, counts = _bins(stamps.astype(np.float64))
        shown_edges = tuple(str(np.datetime64(int(edge), "s")).replace("T", " ") for edge in edges)
        return Distribution(column.name, shown_edges, counts, True, n_missing)
    return Distribution(column.name, (), (), False, n_missing, int((~cells.missing).sum()))


def _bins(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[list[float], tuple[int, ...]]:
    """Return edges of bins of one width, and the number of values in each."""
    if not len(values):
        return [], ()
    low, high = float(values.min()), float(values.max())
    if not np.isfinite(high - low) or high - low <= np.spacing(max(abs(low), abs(high))) * N_BINS:
        return [low, high], (len(values),)
    counts, edges = np.histogram(values, N_BINS, (low, high))
    return edges.tolist(), tuple(int(count) for count in counts)
