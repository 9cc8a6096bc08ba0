"""Weights of rows: those of their classes, and draws by weight."""

from collections.abc import Mapping
from numbers import Number
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import check_array
from torch import Tensor

from tabattn.arrays import Array
from tabattn.errors import ParameterError, in_one_line

ClassWeight: TypeAlias = Mapping[Any, float] | Literal["balanced"] | None


def check_weights(sample_weight: Any, n_rows: int) -> Array:
    """Check weights of rows.

    Args:
        sample_weight: Weight of each row, one for all, or None for 1.
        n_rows: Number of rows.

    Returns:
        Finite weights of at least 0, not all 0.

    Raises:
        ParameterError: sample_weight does not hold such weights.
    """
    try:
        given = 1.0 if sample_weight is None else sample_weight
        by_row = np.full(n_rows, given) if isinstance(given, Number) else given
        weight: Array = check_array(by_row, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
    except (ValueError, TypeError) as error:
        raise ParameterError(
            f"sample_weight must hold a finite weight of at least 0 for each row: {in_one_line(error)}"
        ) from error
    if weight.shape != (n_rows,):
        raise ParameterError(f"sample_weight must have shape ({n_rows},), got {weight.shape}.")
    if weight.min() < 0:
        raise ParameterError(f"sample_weight must hold weights of at least 0, got {weight.min():.4g}.")
    if not weight.any():
        raise ParameterError("sample_weight must hold a weight above zero, got zero for every row.")
    return weight


def class_weights(setting: ClassWeight, values: Array, weight: Array) -> Array:
    """Return the factor that each row's weight is multiplied by, which depends on its class.

    Args:
        setting: None for 1, "balanced" for the same weight of all classes together, or a weight for each class.
        values: The class of each row.
        weight: Weight of each row.

    Returns:
        Factors, not negative.

    Raises:
        ParameterError: The setting is not one of these, or rows have several labels.

    Example:
        >>> class_weights("balanced", np.array(["a", "b", "b", "b"]), np.ones(4)).round(2).tolist()
        [2.0, 0.67, 0.67, 0.67]
    """
    if setting is None:
        return np.ones(len(values))
    if not (isinstance(setting, Mapping) or (isinstance(setting, str) and setting == "balanced")):
        raise ParameterError(f"class_weight must be None, 'balanced' or a weight for each class, got {setting!r}.")
    if values.ndim > 1:
        raise ParameterError(
            f"class_weight must be None where rows have several labels, got {setting!r}. Use sample_weight."
        )
    classes, codes = np.unique(values, return_inverse=True)
    try:
        weights = compute_class_weight(setting, classes=classes, y=values, sample_weight=weight).astype(np.float64)
    except (ValueError, TypeError) as error:
        raise ParameterError(
            f"class_weight must hold weights of the classes of y, got {setting!r}: {error}."
        ) from error
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise ParameterError(f"class_weight must hold finite weights of at least 0, got {setting!r}.")
    by_row: Array = weights[codes]
    return by_row


def draw_rows(weight: Float[Tensor, " row"], n_drawn: int, generator: torch.Generator) -> Int[Tensor, " drawn"]:
    """Draw rows without replacement, in proportion to their weights.

    Args:
        weight: Positive weight of each row.
        n_drawn: How many, or all if there are fewer.
        generator: Source of randomness.

    Source: Efraimidis and Spirakis 2006 (weighted random sampling with a reservoir), algorithm A.
    """
    keys = torch.rand(len(weight), generator=generator, dtype=torch.float64).log() / weight
    return keys.topk(min(n_drawn, len(weight))).indices
