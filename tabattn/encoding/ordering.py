"""An order of rows that depends on their cells only, so that a fit depends on the content of a table, not its layout.

Neither the order of the rows of a table nor whether a row occurs twice or once with weight two then changes what is
learned.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from tabattn.arrays import Array
from tabattn.encoding.weighting import ClassWeight, check_weights, class_weights
from tabattn.errors import TableError
from tabattn.table.cells import INFERRED_NUMBERS, AnySeries, Floats, Positions, factorized, level_name
from tabattn.table.links import RowLinks
from tabattn.table.numbers import MAX_EXACT_INTEGER
from tabattn.table.problem import MAX_REPEATED_ROWS

Keys = np.ndarray[tuple[int], np.dtype[np.uint64]]


@dataclass(frozen=True, eq=False)
class OrderedRows:
    """Rows with their target, in an order that depends on their cells only.

    Args:
        X: Features.
        y: Target.
        weight: Weight of each row, at most 1.
        loss_weight: The same times the weight of its class, at most 1.
        positions: Where each row was.
        links: Which of them belong together, and when they were.
    """

    X: pd.DataFrame
    y: Array
    weight: Floats
    loss_weight: Floats
    positions: Positions
    links: RowLinks

    @classmethod
    def weighted(
        cls,
        X: pd.DataFrame,
        y: Array,
        sample_weight: Any = None,
        class_weight: ClassWeight = None,
        links: RowLinks | None = None,
    ) -> Self:
        """Check weights, leave out rows without weight, and put the others in order.

        Args:
            X: Features.
            y: Target, shape (row,) or (row, output).
            sample_weight: Weight of each row, see `check_weights`.
            class_weight: Weight of each class, see `class_weights`.
            links: Which rows belong together, and when they were. Rows of the same cells belong together anyway.

        Raises:
            ParameterError: These are not weights.
            TableError: Fewer than two rows have weight.
        """
        weight = check_weights(sample_weight, len(X))
        by_class = np.zeros(len(X))
        by_class[weight > 0] = class_weights(class_weight, y[weight > 0], weight[weight > 0])
        used = np.flatnonzero(by_class > 0)
        if len(used) < 2:
            raise TableError(
                f"X must have at least 2 rows of positive weight, got n_samples = 1 sample or fewer ({len(used)})."
            )
        X, y, by_class = X.iloc[used], y[used], by_class[used]
        links = links.take(used) if links is not None else RowLinks()
        keys = row_keys(X, y, links)
        positions, written = _ordered(keys, weight[used])
        loss_weight = written * (by_class[positions] / by_class.max())
        return cls(
            X.iloc[positions],
            y[positions],
            written / written.max(),
            loss_weight / loss_weight.max(),
            used[positions],
            links.take(positions).with_equal_rows(keys[positions]),
        )


def ordered_rows(X: pd.DataFrame, y: np.ndarray[Any, np.dtype[Any]], weight: Floats) -> tuple[Positions, Floats]:
    """Put rows in an order that depends on their cells only, and repeat those with integer weights.

    Args:
        X: Features; columns with the same cell in all rows don't matter.
        y: Target, shape (row,) or (row, output).
        weight: Positive weight of each row. If all are integers, and their sum is at most a million or the number of
            rows, a row of weight w is repeated w times.

    Returns:
        Positions of rows in the table, and their weights.

    Example:
        >>> X = pd.DataFrame({"line": ["A", "B"]})
        >>> positions, weight = ordered_rows(X, np.array([0.5, 0.5]), np.array([1.0, 2.0]))
        >>> sorted(positions.tolist()), weight.tolist()
        ([0, 1, 1], [1.0, 1.0, 1.0])
    """
    return _ordered(row_keys(X, y), weight)


def row_keys(X: pd.DataFrame, y: Array, links: RowLinks | None = None) -> Keys:
    """Return a hash of each row; columns with the same cell in all rows don't matter.

    Args:
        X: Features.
        y: Target, shape (row,) or (row, output).
        links: Units and times, if they count.
    """
    columns: list[Keys] = [_keys(X.iloc[:, i]) for i in range(X.shape[1])]
    columns += [_keys(pd.Series(each)) for each in y.reshape(len(y), -1).T]
    if links is not None:
        columns += [_keys(pd.Series(each)) for each in (links.unit, links.time) if each is not None]
    varying = [each for each in columns if (each != each[0]).any()] or columns
    hashed = pd.util.hash_pandas_object(pd.DataFrame(np.column_stack(varying)), index=False)
    return np.asarray(hashed, dtype=np.uint64)


def _ordered(keys: Keys, weight: Floats) -> tuple[Positions, Floats]:
    """Put rows in the order of their keys, and repeat those with integer weights, see `ordered_rows`."""
    order = keys.argsort(kind="stable")
    weight = weight[order]
    with np.errstate(over="ignore"):
        is_too_long = weight.sum() > max(MAX_REPEATED_ROWS, len(weight))
    if is_too_long or (weight != np.floor(weight)).any():
        return order, weight
    return np.repeat(order, weight.astype(np.intp)), np.ones(int(weight.sum()))


def in_order(X: pd.DataFrame) -> pd.DataFrame:
    """Return rows without a target in an order that depends on their cells only.

    Args:
        X: Features.
    """
    return X.iloc[ordered_rows(X, np.zeros(len(X)), np.ones(len(X)))[0]]


def _keys(column: AnySeries) -> Keys:
    """Return a hash of each cell, equal for equal numbers, names and times, whatever the type of the column."""
    if pd.api.types.infer_dtype(column, skipna=True) in INFERRED_NUMBERS | {"boolean", "integer-na"}:
        with suppress(OverflowError):  # integers beyond the range of floats are hashed as strings
            numbers = column.to_numpy(dtype=np.float64, na_value=np.nan) + 0.0  # makes -0.0 and 0.0 equal
            if not (pd.api.types.is_integer_dtype(column) and (np.abs(numbers) > MAX_EXACT_INTEGER).any()):
                return pd.util.hash_array(np.where(np.isnan(numbers), np.nan, numbers))
    if pd.api.types.is_object_dtype(column):  # 1 and True are equal, but distinct levels
        column = column.map(level_name, na_action="ignore")
    positions, values = factorized(column)
    names = np.array([*(level_name(value) for value in values), ""], dtype=object)
    keys: Keys = pd.util.hash_array(names, categorize=False)[positions]
    return keys
