"""Columns that say the same: copies, reversed, rounded, in another unit, or the same levels under other names."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.stats import rankdata
from sklearn.metrics import normalized_mutual_info_score

from tabattn.arrays import Array
from tabattn.diagnostics.findings import Finding
from tabattn.errors import quoted
from tabattn.table.columns import Levels, Numbers, Times
from tabattn.table.schema import TypedTable

MIN_CORRELATION, MIN_INFORMATION = 0.95, 0.95
MIN_DISTINCT = 3
MIN_ROWS, MAX_ROWS, MAX_NUMBERS, MAX_LEVEL_COLUMNS = 20, 2_000, 3_000, 200
N_SHOWN, N_GROUPS_SHOWN = 10, 3


def same_columns(table: TypedTable) -> dict[str, tuple[str, ...]]:
    """Find clusters of columns that say the same.

    Numbers and dates by their rank correlation, of either sign, at least .95; levels by their normalized mutual
    information, at least .95. Of many rows 2,000 at equal distances are looked at.

    Args:
        table: All rows.

    Returns:
        Names of columns by the name of their cluster, which is that of its first column with the number of the others.

    Example:
        >>> import pandas as pd
        >>> from tabattn.table.inference import infer_table
        >>> x = np.arange(40.0) ** 2 % 41
        >>> table = infer_table(pd.DataFrame({"celsius": x, "fahrenheit": 32 + 1.8 * x, "other": np.sin(x)}))
        >>> same_columns(table)
        {'celsius + 1': ('celsius', 'fahrenheit')}
    """
    if len(table) < MIN_ROWS:
        return {}
    rows = np.unique(np.linspace(0, len(table) - 1, MAX_ROWS).astype(np.intp))
    table = table.take(rows)
    pairs = [*_number_pairs(table), *_level_pairs(table)]
    if not pairs:
        return {}
    n_columns = len(table.schema.columns)
    first, second = np.array(pairs).T
    linked = coo_array((np.ones(len(pairs)), (first, second)), shape=(n_columns, n_columns))
    cluster = connected_components(linked, directed=False)[1]
    members = [np.flatnonzero(cluster == each) for each in np.unique(cluster[np.unique(first)])]
    names = [[table.schema.names[i] for i in each] for each in members]
    taken = set(table.schema.names)
    return {_name(each, taken): tuple(each) for each in names}


def _name(names: Sequence[str], taken: set[str]) -> str:
    """Return a name of a cluster that no column has."""
    name = f"{names[0]} + {len(names) - 1}"
    while name in taken:
        name += "'"
    taken.add(name)
    return name


def same_column_findings(clusters: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    """Say which columns say the same: a line for each of the three largest groups of them, and one for all others.

    Args:
        clusters: What `same_columns` found.
    """
    groups = sorted(clusters.values(), key=len, reverse=True)
    if len(groups) > N_GROUPS_SHOWN + 1:
        others = groups[N_GROUPS_SHOWN:]
        groups = groups[:N_GROUPS_SHOWN]
    else:
        others = []
    for names in groups:
        yield Finding(
            "same_columns",
            "Columns say the same",
            f"{quoted(names, N_SHOWN)}: these {len(names)} columns say the same, and share what importance they have: "
            "importance_of_clusters.csv ranks them as one.",
            "note",
            tuple(names),
            {"columns": len(names)},
        )
    if others:
        columns = tuple(name for names in others for name in names)
        pairs = "; ".join(quoted(names, N_SHOWN) for names in others[:N_GROUPS_SHOWN])
        yield Finding(
            "same_columns",
            "More columns say the same",
            f"{len(others)} more groups of columns say the same ({pairs}, ...): importance_of_clusters.csv ranks each "
            "as one.",
            "note",
            columns,
            {"groups": len(others), "columns": len(columns)},
        )


def _number_pairs(table: TypedTable) -> Iterator[tuple[int, int]]:
    """Yield pairs of columns of numbers and dates whose ranks correlate."""
    ranks, present, positions = [], [], []
    for i, cells in enumerate(table.cells):
        if not isinstance(cells, Numbers | Times) or table.schema.columns[i].is_constant:
            continue
        known = ~cells.missing
        values = np.asarray(cells.values)[known].astype(np.float64)
        if len(values) < max(MIN_ROWS, len(known) / 2) or len(np.unique(values)) < MIN_DISTINCT:
            continue
        rank = np.zeros(len(known))
        rank[known] = rankdata(values) - (len(values) + 1) / 2
        ranks.append(rank)
        present.append(known.astype(np.float64))
        positions.append(i)
    if not 2 <= len(ranks) <= MAX_NUMBERS:
        return
    rank, is_present = np.stack(ranks), np.stack(present)
    squares = rank**2 @ is_present.T  # of the rows in which both columns have a value
    correlation: Array = np.abs(rank @ rank.T) / np.sqrt(np.maximum(squares * squares.T, 1e-300))
    for one, other in np.argwhere(np.triu(correlation >= MIN_CORRELATION, k=1)):
        yield positions[one], positions[other]


def _level_pairs(table: TypedTable) -> Iterator[tuple[int, int]]:
    """Yield pairs of columns of levels of which one gives the other away."""
    levels = [
        (i, cells.positions)
        for i, cells in enumerate(table.cells)
        if isinstance(cells, Levels) and 2 <= len(np.unique(cells.positions)) <= len(table) / 2
    ]
    if len(levels) > MAX_LEVEL_COLUMNS:
        return
    for k, (i, codes) in enumerate(levels):
        n_levels = len(np.unique(codes))
        for j, others in levels[k + 1 :]:
            n_others = len(np.unique(others))
            is_similar = max(n_levels, n_others) <= 2 * min(n_levels, n_others)
            if is_similar and normalized_mutual_info_score(codes, others) >= MIN_INFORMATION:
                yield i, j
