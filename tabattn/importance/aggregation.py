"""Attention to one score per column: the formulas of the scoring methods, as pure functions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tabattn.nn.model import TabAttnModel
from tabattn.nn.tokens import Cells

Method = Literal["mean", "norm"]
DEFAULT_METHOD: Method = "norm"


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
    """Score columns by attention times the length of what it carries, averaged over layers and heads.

    Args:
        attention: Weights layer by layer.
        value_norms: Lengths of the transformed values layer by layer.

    Returns:
        Non-negative scores.

    Source: Kobayashi et al. 2020 (arXiv 2004.10102), section 3.
    """
    return mean_scores(tuple(weights * norms for weights, norms in zip(attention, value_norms, strict=True)))


def _read_mean(model: TabAttnModel, cells: Cells) -> Tensor:
    return mean_scores(model(cells).attention)


def _read_norm(model: TabAttnModel, cells: Cells) -> Tensor:
    output, value_norms = model.read(cells)
    return norm_scores(output.attention, value_norms)


METHODS: Mapping[Method, Callable[[TabAttnModel, Cells], Tensor]] = {"mean": _read_mean, "norm": _read_norm}


@dataclass(frozen=True)
class Scores:
    """Importance of each column on some rows.

    Args:
        importance: Not negative, sums to 1.
        std: Standard deviation of each importance over members, each on its own scale; NaN for one member.
    """

    importance: np.ndarray[tuple[int], np.dtype[np.float64]]
    std: np.ndarray[tuple[int], np.dtype[np.float64]]


def normalize_scores(raw: Float[np.ndarray, "member column"]) -> Scores:
    """Average the mean scores of the members and put them on a scale on which they sum to 1.

    Args:
        raw: Non-negative scores of each member and column, averaged over rows, not all zero.

    Returns:
        The scores.

    Example:
        >>> normalize_scores(np.array([[1.0, 3.0], [2.0, 2.0]])).importance.tolist()
        [0.375, 0.625]
    """
    mean = raw.mean(axis=0)
    shares = raw / raw.sum(axis=1, keepdims=True)
    std = shares.std(axis=0, ddof=1) if len(raw) > 1 else np.full(len(mean), np.nan)
    return Scores(importance=mean / mean.sum(), std=std)


def normalize_rows(raw: Float[np.ndarray, "row column"]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Put the scores of rows on a scale on which their mean over rows is the importance.

    Args:
        raw: Non-negative scores of each row and column, averaged over members, not all zero.

    Returns:
        One score per row and column.

    Example:
        >>> normalize_rows(np.array([[1.0, 3.0], [2.0, 2.0]])).tolist()
        [[0.25, 0.75], [0.5, 0.5]]
    """
    scores: np.ndarray[tuple[int, int], np.dtype[np.float64]] = raw / raw.mean(axis=0).sum()
    return scores
