"""Raw attention weights together with the names of the columns they were paid to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tabattn.errors import ParameterError


@dataclass(frozen=True)
class AttentionMaps:
    """Attention that the CLS states paid to the columns of some rows, before dropout.

    Args:
        weights: Array of shape (row, member, layer, head, column): what the state that predicts pays to the columns;
            sums to 1 over them, except in encoders where it attends to itself too.
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

    def mean_by_head(self, row: int | None = None, member: int | None = None) -> pd.DataFrame:
        """Average over rows and members, or take one of them.

        Args:
            row: Place of a row; None for the mean over all.
            member: Place of a member; None for the mean over all.

        Returns:
            One row per layer and head (both counted from 1), one column per feature.
        """
        return head_table(_mean_or_one(self.weights, row, member), self.feature_names)

    def between_columns(
        self, row: int | None = None, member: int | None = None, layer: int | None = None, head: int | None = None
    ) -> pd.DataFrame:
        """Average the attention of columns to columns, or take one row, member, layer or head.

        Args:
            row: Place of a row; None for the mean over all.
            member: Place of a member; None for the mean over all.
            layer: Layer, counted from 1; None for the mean over all.
            head: Head, counted from 1; None for the mean over all.

        Returns:
            One row per attending feature, one column per feature attended to.

        Raises:
            ParameterError: The encoder does not mix columns.
        """
        if self.between is None:
            raise ParameterError("Attention between columns must come from an encoder that mixes them, got 'class'.")
        places = (row, member, *(None if each is None else each - 1 for each in (layer, head)))
        return between_table(_mean_or_one(self.between, *places), self.feature_names)


def _mean_or_one(weights: np.ndarray[Any, Any], *places: int | None) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Index each of the first axes, or average over it."""
    for place in places:
        weights = weights.mean(axis=0, dtype=np.float64) if place is None else weights[place]
    return weights.astype(np.float64)


def between_table(weights: np.ndarray[Any, np.dtype[np.float64]], feature_names: tuple[str, ...]) -> pd.DataFrame:
    """Name the axes of attention of columns to columns.

    Args:
        weights: Array of shape (column, column), the attending one first.
        feature_names: Names of the columns.

    Returns:
        One row per attending feature, one column per feature attended to.
    """
    index = pd.Index(feature_names, name="attending", dtype="str")
    return pd.DataFrame(weights, index=index, columns=pd.Index(feature_names, name="feature", dtype="str"))


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
