"""Rows to compare with, and the loss to first order in what is read from a column."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from tabattn.importance.probes import EncoderProbe, Trace, probe_of
from tabattn.nn.losses import Target
from tabattn.nn.model import TabAttnModel
from tabattn.nn.tokens import Cells

N_BACKGROUND = 256


@dataclass(frozen=True)
class Background:
    """Rows that others are compared with, as the model reads them.

    Args:
        probe: Probe of the encoder.
        tokens: Their column tokens, normalized.
        weights: Attention to them, rows on the second axis.
        typical: The mean over rows of the part of each column in what it acts through.
        averaged: The prediction of the ensemble: numbers, rates or probabilities.
    """

    probe: EncoderProbe
    tokens: Float[Tensor, "group row column d"]
    weights: tuple[Tensor, ...]
    typical: tuple[Tensor, ...]
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
    probe = probe_of(model)
    tokens = model.embed(cells)
    read = probe.trace(tokens)
    weights, typical = probe.of_rows(read.weights, len(cells)), probe.typical(read.weights, tokens)
    return Background(probe, tokens, weights, typical, model.loss.average(read.prediction))


def loss_gradients(
    model: TabAttnModel, read: Trace, target: Target, member_weight: Float[Tensor, "batch member"]
) -> tuple[Tensor, ...]:
    """Return the gradient of the loss of each row with respect to what columns act through.

    Args:
        model: The model.
        read: Its trace of the rows, computed with gradients enabled.
        target: As the loss takes it.
        member_weight: Weight of each member in the average of a row, not all zero in any row.
    """
    with torch.enable_grad():
        loss = model.loss.ensemble(read.prediction, target, member_weight).sum()
    return torch.autograd.grad(loss, read.sites)
