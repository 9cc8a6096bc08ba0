"""Equal rows to one row that weighs as much: what is fitted depends on what a table says, not on how it is written.

Rows get an order of their own, which depends on nothing but their cells. So neither the order of the rows of a table
nor the way in which a row is written twice, as two rows or as one of weight two, changes what is learned; and no row
that is held out has a twin among those that are learned from.
"""

from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tabattn.values import AnySeries, Numbers

MAX_COUNTED = 1_000_000
NUMBERS = frozenset({"boolean", "integer", "floating", "mixed-integer-float", "integer-na"})
Positions = np.ndarray[tuple[int], np.dtype[np.intp]]
Keys = np.ndarray[tuple[int], np.dtype[np.uint64]]


class MergedRows(NamedTuple):
    """The different rows of a table.

    Args:
        positions: Where each of them occurs first in the table.
        weight: The weight of all its occurrences together, in the same order.
    """

    positions: Positions
    weight: Numbers


def merge_rows(X: pd.DataFrame, y: np.ndarray[Any, np.dtype[Any]], weight: Numbers) -> MergedRows:
    """Find the different rows of a table, in an order that depends on their cells in columns that vary.

    Args:
        X: Features.
        y: Target; rows of different targets are different rows.
        weight: Weight of each row.

    Returns:
        The rows.

    Example:
        >>> X = pd.DataFrame({"line": ["A", "B", "A"], "speed": [1, 2, 1]})
        >>> merged = merge_rows(X, np.array([0.5, 0.5, 0.5]), np.ones(3))
        >>> sorted(merged.positions.tolist()), sorted(merged.weight.tolist())
        ([0, 1], [1.0, 2.0])
    """
    columns = [_keys(X.iloc[:, i]) for i in range(X.shape[1])] + [_keys(pd.Series(y))]
    varying = [keys for keys in columns if (keys != keys[0]).any()] or columns
    table = pd.DataFrame(np.column_stack(varying))
    keys = pd.util.hash_pandas_object(table, index=False).to_numpy()
    _, positions, occurrence_of = np.unique(keys, return_index=True, return_inverse=True)
    total = np.bincount(occurrence_of, weights=weight).astype(np.float64)
    return MergedRows(positions, total)


def whole_counts(weight: Numbers) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return how often each row occurs: its weight, if all weights are whole numbers, else once.

    Args:
        weight: Positive weights.

    Returns:
        Whole numbers of at least 1, about a million in all at most.

    Example:
        >>> whole_counts(np.array([1.0, 3.0])).tolist(), whole_counts(np.array([0.2, 3.0])).tolist()
        ([1, 3], [1, 1])
    """
    if not (weight == np.floor(weight)).all():
        return np.ones(len(weight), dtype=np.int64)
    largest = max(1.0, float(weight.sum()) / max(MAX_COUNTED, len(weight)))
    return np.ceil(weight / largest).astype(np.int64)


def _keys(column: AnySeries) -> Keys:
    """A number for each cell, the same for equal cells, whatever the type that holds them."""
    if pd.api.types.infer_dtype(column, skipna=True) in NUMBERS:
        with suppress(OverflowError):  # integers beyond all floats are told apart by their digits
            numbers = column.to_numpy(dtype=np.float64, na_value=np.nan) + 0.0  # there is one zero, and one NaN
            return pd.util.hash_array(np.where(np.isnan(numbers), np.nan, numbers))
    positions, values = pd.factorize(column, use_na_sentinel=True)
    names = np.array([*(str(value) for value in values), ""], dtype=object)
    return pd.util.hash_array(names, categorize=False)[positions]
