"""Rows to compare with, and the loss to first order in what is read from a column."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from tabattn.nn.attention import carried_along
from tabattn.nn.losses import Target
from tabattn.nn.model import TabAttnModel, Trace
from tabattn.nn.tokens import Cells

N_BACKGROUND = 256


@dataclass(frozen=True)
class Background:
    """Rows that others are compared with, as the model reads them.

    Args:
        tokens: Their column tokens, normalized.
        weights: Layer by layer, the attention that was paid to them.
        typical: Layer by layer, what each stream reads from each column on average, its token times its weight.
        averaged: The prediction of the ensemble: numbers, rates or probabilities.
    """

    tokens: Float[Tensor, "group row column d"]
    weights: tuple[Float[Tensor, "group row stream column"], ...]
    typical: tuple[Float[Tensor, "group stream column d"], ...]
    averaged: Float[Tensor, "row output"]

    def __len__(self) -> int:
        return self.tokens.shape[1]


def read_background(model: TabAttnModel, cells: Cells) -> Background:
    """Read the rows that others are to be compared with.

    Args:
        model: The model.
        cells: The rows.

    Returns:
        What the model reads from them.
    """
    tokens = model.embed(cells)
    trace = model.trace(tokens)
    weights = tuple(reading.weights.unflatten(0, tokens.shape[:2]) for reading in trace.readings)
    typical = tuple(torch.einsum("gbsc,gbcd->gscd", each, tokens) / len(cells) for each in weights)
    return Background(tokens, weights, typical, model.loss.average(trace.prediction))


def loss_gradients(
    model: TabAttnModel, trace: Trace, target: Target, judges: Float[Tensor, "batch member"]
) -> tuple[Float[Tensor, "group_row stream d"], ...]:
    """Return the gradient of the loss of each row with respect to what each layer read.

    Args:
        model: The model.
        trace: What it read, with gradients enabled.
        target: As the loss takes it.
        judges: Weight of each member in the average of a row, not all zero in any row.
    """
    with torch.enable_grad():
        loss = model.loss.ensemble(trace.prediction, target, judges).sum()
    return torch.autograd.grad(loss, [reading.mixture for reading in trace.readings])


def carried(
    model: TabAttnModel,
    gradients: Sequence[Float[Tensor, "group_row stream d"]],
    weights: Sequence[Float[Tensor, "group_row stream column"]],
    tokens: Float[Tensor, "group batch column d"],
) -> Float[Tensor, "batch member column"]:
    """Return what is read from each column, in the direction of a gradient: the sum of ``g . (a_i E_i)``.

    Args:
        model: The model.
        gradients: Layer by layer.
        weights: Attention, layer by layer.
        tokens: Column tokens.

    Returns:
        Sums over layers and heads.
    """
    flat = tokens.flatten(0, 1)
    return _sum_heads(model, (carried_along(*pair, flat) for pair in zip(gradients, weights, strict=True)))


def carried_typically(
    model: TabAttnModel, gradients: Sequence[Float[Tensor, "group_row stream d"]], background: Background
) -> Float[Tensor, "batch member column"]:
    """Return the mean of `carried` over background rows, for the gradients of each row.

    Args:
        model: The model.
        gradients: Layer by layer.
        background: The rows to average over.
    """
    n_groups = background.tokens.shape[0]
    return _sum_heads(
        model,
        (
            torch.einsum("gbsd,gscd->gbsc", gradient.unflatten(0, (n_groups, -1)), typical).flatten(0, 1)
            for gradient, typical in zip(gradients, background.typical, strict=True)
        ),
    )


def _sum_heads(
    model: TabAttnModel, layers: Iterable[Float[Tensor, "group_row stream column"]]
) -> Float[Tensor, "batch member column"]:
    return torch.stack([each.sum(dim=2) for each in model.encoder.by_head(layers)]).sum(dim=0)
