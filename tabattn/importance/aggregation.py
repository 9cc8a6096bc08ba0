"""Attention to one score per column: the formulas of the scoring methods, as pure functions."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from tabattn.arrays import Array

Vector = np.ndarray[tuple[int], np.dtype[np.float64]]


def join(values: Float[Tensor, "*axes column"], units: Int[Tensor, " column"] | None) -> Float[Tensor, "*axes unit"]:
    """Sum values over the columns that are scored as one.

    Args:
        values: One for each column, on the last axis.
        units: The unit of each column, from 0 on; None where every column is a unit.

    Example:
        >>> join(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0, 1, 0])).tolist()
        [4.0, 2.0]
    """
    if units is None:
        return values
    sums = values.new_zeros(*values.shape[:-1], int(units.max()) + 1)
    return sums.index_add(values.ndim - 1, units, values)


def mean_scores(
    attention: tuple[Float[Tensor, "batch member head column"], ...],
) -> Float[Tensor, "batch member column"]:
    """Score columns by attention alone, averaged over layers and heads.

    Args:
        attention: Weights layer by layer.

    Returns:
        Scores in [0, 1] that sum to 1 over the columns.

    Source: Gorishniy et al. 2021 (arXiv 2106.11959), section 5.3.
    """
    return torch.stack([weights.mean(dim=2) for weights in attention]).mean(dim=0)


def norm_scores(
    attention: tuple[Float[Tensor, "batch member head column"], ...],
    value_norms: tuple[Float[Tensor, "batch member head column"], ...],
) -> Float[Tensor, "batch member column"]:
    """Score columns by attention times the norm of the value it carries, averaged over layers and heads.

    Args:
        attention: Weights layer by layer.
        value_norms: Norms of the transformed values layer by layer.

    Returns:
        Non-negative scores.

    Source: Kobayashi et al. 2020 (arXiv 2004.10102), section 3.
    """
    return mean_scores(tuple(weights * norms for weights, norms in zip(attention, value_norms, strict=True)))


def rollout_scores(
    attention: tuple[Float[Tensor, "batch member head column"], ...],
) -> Float[Tensor, "batch member column"]:
    """Score columns by what is left of the attention of each layer in the last CLS state.

    Every layer adds what it reads to a state of which it keeps one half, so the attention of the last layer counts
    one half, that of the layer before one quarter, and so on. Heads are averaged.

    Args:
        attention: Weights layer by layer.

    Returns:
        Scores in [0, 1] that sum to 1 over the columns: what is left of the first CLS state is left out.

    Source: Abnar and Zuidema 2020 (arXiv 2005.00928), section 3; here only CLS attends.
    """
    layer_weight = torch.tensor([0.5 ** (len(attention) - layer) for layer in range(len(attention))])
    by_layer = torch.stack([weights.mean(dim=2) for weights in attention])
    scores: Tensor = torch.tensordot(layer_weight.to(by_layer) / layer_weight.sum(), by_layer, dims=1)
    return scores


def rollout_matrix(
    between: tuple[Float[Tensor, "member batch head state state"], ...],
) -> Float[Tensor, "member batch state state"]:
    """Return what is left of each state in each other after all layers, of which every one keeps half of a state.

    Args:
        between: Weights of states to states, layer by layer; heads are averaged.

    Returns:
        Fractions in [0, 1] that sum to 1 over the last axis.

    Source: Abnar and Zuidema 2020 (arXiv 2005.00928), section 3.
    """
    identity = torch.eye(between[0].shape[-1]).to(between[0])
    left = identity.expand(between[0].shape[:2] + identity.shape)
    for weights in between:
        left = (weights.mean(dim=2) + identity) / 2 @ left
    return left


def mixed_rollout_scores(
    between: tuple[Float[Tensor, "member batch head state key"], ...],
    cross: tuple[Float[Tensor, "member batch head query column"], ...] = (),
) -> Float[Tensor, "member batch column"]:
    """Score columns by what is left of them in the state that predicts, when layers mix states.

    Every layer keeps one half of each state and adds what attention mixes into it, heads averaged.

    Args:
        between: Weights of states to states, layer by layer; without a decoder, the last state predicts and is not
            a column.
        cross: Weights of a decoder to the columns, layer by layer; its first state predicts.

    Returns:
        Scores in [0, 1] that sum to 1 over the columns.

    Source: Abnar and Zuidema 2020 (arXiv 2005.00928), section 3.
    """
    left = rollout_matrix(between)
    if cross:
        layer_weights = [0.5 ** (len(cross) - layer) for layer in range(len(cross))]
        by_layer = [
            factor * weights[:, :, :, 0].mean(dim=2) for factor, weights in zip(layer_weights, cross, strict=True)
        ]
        read = torch.stack(by_layer).sum(dim=0)
        scores = (read[:, :, None] @ left)[:, :, 0]
    else:
        scores = left[:, :, -1, :-1]
    return scores / scores.sum(dim=-1, keepdim=True)


@dataclass(frozen=True)
class Scores:
    """Importance of each column on some rows.

    Args:
        raw: The mean score; may be negative where the target is used; determines the ranks.
        importance: The same, negative ones as 0, normalized to sum to 1.
        std: Standard deviation over members of the importance that each alone would give; NaN for one member.
        by_member: The part of each member in the mean score, shape (member, column).
    """

    raw: Vector
    importance: Vector
    std: Vector
    by_member: Array


def normalize_scores(raw: Float[np.ndarray, "member column"]) -> Scores:
    """Sum the parts of the members in the mean scores and normalize the sums so that they add up to 1.

    Args:
        raw: Part of each member in the score of each column, averaged over rows.

    Returns:
        The scores. Where no score is positive, all columns are equally important.

    Example:
        >>> normalize_scores(np.array([[1.0, 3.0, -1.0], [2.0, 2.0, 0.0]])).importance.tolist()
        [0.375, 0.625, 0.0]
    """
    total = raw.sum(axis=0)
    alone = np.stack([_normalized(member) for member in raw])
    std = alone.std(axis=0, ddof=1) if len(raw) > 1 else np.full(len(total), np.nan)
    return Scores(raw=total, importance=_normalized(total), std=std, by_member=raw)


def normalize_rows(raw: Float[np.ndarray, "row column"]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Scale the scores of rows so that their mean over rows is the importance.

    Args:
        raw: One score per row and column.

    Returns:
        One score per row and column; the mean of a column is its importance, or negative where that is 0.

    Example:
        >>> normalize_rows(np.array([[1.0, 3.0], [2.0, 2.0]])).tolist()
        [[0.25, 0.75], [0.5, 0.5]]
    """
    total = np.clip(raw.mean(axis=0), 0.0, None).sum()
    return raw / total if total > 0 else np.full(raw.shape, 1 / raw.shape[1])


def _normalized(scores: Vector) -> Vector:
    positive = np.clip(scores, 0.0, None)
    return positive / positive.sum() if positive.any() else np.full(len(scores), 1 / len(scores))
