"""Raw attention weights together with the names of the columns they were paid to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class AttentionMaps:
    """Attention that the CLS states paid to the columns of some rows, before dropout.

    Args:
        weights: Array of shape (row, member, layer, head, column): what the state that predicts pays to the columns;
            sums to 1 over them, but in encoders where it attends to itself too.
        feature_names: Names of the columns, one for each entry of the last axis.
        between: Array of shape (row, member, layer, head, column, column): what each column (the first of the two)
            pays to the columns, for encoders that mix them; else None.

    Example:
        >>> maps = AttentionMaps(np.full((1, 2, 1, 1, 4), 0.25), ("a", "b", "c", "d"))
        >>> maps.mean_by_head()
        feature        a     b     c     d
        layer head
        1     1     0.25  0.25  0.25  0.25
    """

    weights: np.ndarray[tuple[int, int, int, int, int], np.dtype[np.float32]]
    feature_names: tuple[str, ...]
    between: np.ndarray[tuple[int, int, int, int, int, int], np.dtype[np.float32]] | None = None

    def mean_by_head(self) -> pd.DataFrame:
        """Average over rows and members.

        Returns:
            One row per layer and head (both counted from 1), one column per feature; rows sum to 1.
        """
        return head_table(self.weights.mean(axis=(0, 1), dtype=np.float64), self.feature_names)


def head_table(
    weights: np.ndarray[tuple[int, int, int], np.dtype[np.float64]], feature_names: tuple[str, ...]
) -> pd.DataFrame:
    """Name the axes of mean attention weights.

    Args:
        weights: Array of shape (layer, head, column).
        feature_names: Names of the columns.

    Returns:
        One row per layer and head (both counted from 1), one column per feature.
    """
    n_layers, n_heads, n_columns = weights.shape
    index = pd.MultiIndex.from_product([range(1, n_layers + 1), range(1, n_heads + 1)], names=["layer", "head"])
    columns = pd.Index(feature_names, name="feature", dtype="str")
    return pd.DataFrame(weights.reshape(n_layers * n_heads, n_columns), index=index, columns=columns)


def history_table(
    by_mode: Mapping[str, np.ndarray[tuple[int, int], np.dtype[np.float64]]], feature_names: tuple[str, ...]
) -> pd.DataFrame:
    """Name the axes of mean attention at each epoch.

    Args:
        by_mode: Arrays of shape (epoch, column) by the name of the mode.
        feature_names: Names of the columns.

    Returns:
        One row per mode and epoch (counted from 1), one column per feature.
    """
    columns = pd.Index(feature_names, name="feature", dtype="str")
    frames = [
        pd.DataFrame(
            attention,
            index=pd.MultiIndex.from_product([[mode], range(1, len(attention) + 1)], names=["mode", "epoch"]),
            columns=columns,
        )
        for mode, attention in by_mode.items()
    ]
    return pd.concat(frames)


def pretraining_table(losses: Mapping[str, Any]) -> pd.DataFrame:
    """Name the axes of losses of pretraining.

    Args:
        losses: One for each epoch, by the name of the mode.

    Returns:
        One row per epoch (counted from 1), one column per mode.
    """
    table = pd.DataFrame({mode: np.asarray(each, dtype=np.float64) for mode, each in losses.items()})
    return table.set_axis(pd.RangeIndex(1, len(table) + 1, name="epoch"), axis=0)
