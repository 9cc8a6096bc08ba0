"""How columns go together, two by two: what clusters them, and what a ranking has to divide among them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.stats import rankdata
from scipy.stats.contingency import association

from tabattn.arrays import Array
from tabattn.table.columns import Levels, Numbers, Times
from tabattn.table.schema import TypedTable

MAX_COLUMNS, MAX_ROWS, MIN_ROWS = 60, 2_000, 5


def associations(table: TypedTable, names: Sequence[str]) -> pd.DataFrame:
    """Return how strongly columns go together: 0 for not at all, 1 where one follows from the other.

    Numbers and dates: the absolute rank correlation. Levels: Cramér's V. Levels and numbers: the correlation ratio, the
    square root of the part of the variance of the ranks that lies between the levels. Rows in which one of both is
    missing are left out; of many rows 2,000 at equal distances are looked at.

    Args:
        table: All rows.
        names: Names of columns, of which the first 60 are compared that are neither text nor constant.

    Returns:
        One row and one column for each of them, those that go together next to each other (average linkage).

    Source: Cramér 1946 (Mathematical methods of statistics), section 21.9; the correlation ratio, Fisher 1925
        (Statistical methods for research workers), section 45.

    Example:
        >>> from tabattn.table.inference import infer_table
        >>> x = np.arange(60.0) * 7 % 61
        >>> rows = pd.DataFrame({"celsius": x, "fahrenheit": 32 + 1.8 * x, "half": np.where(x < 30, "low", "high")})
        >>> associations(infer_table(rows), ["half", "celsius", "fahrenheit"]).round(2).to_numpy().tolist()
        [[1.0, 0.87, 0.87], [0.87, 1.0, 1.0], [0.87, 1.0, 1.0]]
    """
    rows = np.unique(np.linspace(0, max(len(table) - 1, 0), MAX_ROWS).astype(np.intp))
    table = table.take(rows)
    columns = dict(zip(table.schema.names, zip(table.schema.columns, table.cells, strict=True), strict=True))
    compared: list[tuple[str, Numbers | Times | Levels]] = []
    for name in names:
        column, cells = columns[name]
        if isinstance(cells, Numbers | Times | Levels) and not column.is_constant:
            compared.append((name, cells))
    compared = compared[:MAX_COLUMNS]
    found = np.eye(len(compared))
    for i, (_, one) in enumerate(compared):
        for j, (_, other) in enumerate(compared[:i]):
            found[i, j] = found[j, i] = _association(one, other)
    order = np.arange(len(compared))
    if len(compared) > 1:
        distances = (1 - found[np.triu_indices(len(found), 1)]).clip(min=0)
        order = leaves_list(linkage(distances, "average", optimal_ordering=True))
    known = [compared[i][0] for i in order]
    return pd.DataFrame(found[np.ix_(order, order)], index=pd.Index(known, name="feature"), columns=known)


def _association(one: Numbers | Times | Levels, other: Numbers | Times | Levels) -> float:
    known = ~(one.missing | other.missing)
    if known.sum() < MIN_ROWS:
        return 0.0
    if isinstance(one, Levels) and isinstance(other, Levels):
        counts = pd.crosstab(one.positions[known], other.positions[known]).to_numpy()
        return float(association(counts, method="cramer")) if min(counts.shape) > 1 else 0.0
    if isinstance(one, Levels):
        return _ratio(one.positions[known], _ranks(other, known))
    if isinstance(other, Levels):
        return _ratio(other.positions[known], _ranks(one, known))
    first, second = _ranks(one, known), _ranks(other, known)
    norm = float(np.sqrt((first @ first) * (second @ second)))
    return abs(float(first @ second)) / norm if norm > 0 else 0.0


def _ranks(cells: Numbers | Times | Levels, known: Array) -> Array:
    """Return the ranks of numbers or dates, less their mean."""
    assert not isinstance(cells, Levels), "levels have no ranks"
    ranks = rankdata(np.asarray(cells.values)[known].astype(np.float64))
    centred: Array = ranks - ranks.mean()
    return centred


def _ratio(levels: Array, ranks: Array) -> float:
    """Return the correlation ratio of ranks, whose mean is 0, within levels."""
    total = float(ranks @ ranks)
    sums = pd.Series(ranks).groupby(levels).agg(["sum", "size"])
    between = float((sums["sum"] ** 2 / sums["size"]).sum())
    return float(np.sqrt(min(between / total, 1.0))) if total > 0 else 0.0
