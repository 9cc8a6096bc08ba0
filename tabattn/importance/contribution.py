"""What a column contributes to the prediction through the attention, and what that is worth in loss.

A stream reads ``a_i E_i`` from column i, its token times its weight. If it read from that column what it reads from it
in another row, an output f of the model would change by about

    D_i = sum over layers and streams of  g . (a'_i E'_i - a_i E_i)

with ' for the other row and g the gradient of f with respect to what the streams read. Let f be the prediction, or log
averaged. Then the loss rises by ``L(f + D_i) - L(f)``, which for squared error and for log loss is

    L' D_i  +  divergence(f, f + D_i)

with L' the error and the divergence the squared difference, or that of Kullback and Leibler. Averaged over rows the
first term says how the column's part in the prediction goes with the errors (below zero: it does harm), the second how
much it moves the prediction. The mean of D_i over other rows is known better than from one of them: in the first term
it is the tangent at the row itself, with the mean of ``a'_i E'_i``. In the second the gradient is taken halfway between
the two rows, because that at the row itself misses what saturates.

Scores are in the units of permutation importance: squared standard deviations of the target, or nats.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from tabattn.nn.attention import carried_along
from tabattn.nn.losses import average_members, ensemble_losses
from tabattn.nn.model import TabAttnModel
from tabattn.nn.tokens import Cells

N_FOLLOWED = 3
MAX_CHANGE = 50.0


@dataclass(frozen=True)
class Background:
    """Rows that others are compared with, as the model reads them.

    Args:
        tokens: Their column tokens, normalized.
        weights: Layer by layer, the attention that was paid to them.
        typical: Layer by layer, what each stream reads from each column on average, its token times its weight.
    """

    tokens: Float[Tensor, "group row column d"]
    weights: tuple[Float[Tensor, "group row stream column"], ...]
    typical: tuple[Float[Tensor, "group stream column d"], ...]

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
    weights = tuple(reading.weights.unflatten(0, tokens.shape[:2]) for reading in model.trace(tokens).readings)
    typical = tuple(torch.einsum("gbsc,gbcd->gscd", each, tokens) / len(cells) for each in weights)
    return Background(tokens, weights, typical)


def contribution_scores(
    model: TabAttnModel,
    background: Background,
    partners: Int[Tensor, "batch partner"],
    cells: Cells,
    target: Shaped[Tensor, " batch"] | None,
    judges: Float[Tensor, "batch member"],
) -> Float[Tensor, "batch member column"]:
    """Score columns by the rise of the loss if what is read from them came from another row.

    Args:
        model: The model.
        background: Rows to compare with.
        partners: Numbers of the background rows that each row is compared with.
        cells: Rows to read.
        target: Standardized numbers or class codes; None to take the target to be as the model predicts, which leaves
            the divergence.
        judges: Weight of each member in the average of a row, not all zero in any row.

    Returns:
        The share of each member in the score of each row and column; their sum is the score.

    Source: attention times gradient, Chefer et al. 2021 (arXiv 2103.15679), section 3; the difference to another row to
        first order, Syed et al. 2023 (arXiv 2310.10348), section 3; the gradient between the two rows, integrated
        gradients with one step, Sundararajan et al. 2017 (arXiv 1703.01365), and with rows of the data to start from,
        Erion et al. 2021 (arXiv 1906.10670).
    """
    tokens = model.embed(cells)
    with torch.enable_grad():
        trace = model.trace(tokens)
    weights = [reading.weights.detach() for reading in trace.readings]
    averaged = average_members(trace.prediction.detach(), judges, is_regression=model.shape.n_outputs == 1)
    classes = averaged.topk(min(N_FOLLOWED, model.shape.n_outputs), dim=1).indices
    score = torch.zeros(len(cells), model.shape.n_members, model.shape.n_columns, device=tokens.device)
    for rows in partners.T:
        changes = _changes(model, background, rows, tokens, weights, judges, classes)
        score += _divergence_shares(averaged, classes, changes) / partners.shape[1]
    if target is None:
        return score
    with torch.enable_grad():
        loss = ensemble_losses(trace.prediction, target, judges).sum()
    gradients = torch.autograd.grad(loss, [reading.mixture for reading in trace.readings])
    typical = (
        torch.einsum("gbsd,gscd->gbsc", gradient.unflatten(0, tokens.shape[:2]), mean).flatten(0, 1)
        for gradient, mean in zip(gradients, background.typical, strict=True)
    )
    return score + _sum_streams(model, typical) - _carried(model, gradients, weights, tokens)


def _changes(
    model: TabAttnModel,
    background: Background,
    rows: Int[Tensor, " batch"],
    tokens: Float[Tensor, "group batch column d"],
    weights: Sequence[Float[Tensor, "group_row stream column"]],
    judges: Float[Tensor, "batch member"],
    classes: Int[Tensor, "batch followed"],
) -> Float[Tensor, "batch followed member column"]:
    """How much each output changes, by member, with what the streams read from each column of other rows."""
    others = background.tokens[:, rows]
    theirs = [each[:, rows].flatten(0, 1) for each in background.weights]
    with torch.enable_grad():
        halfway = model.trace((tokens + others) / 2)
        outputs = _outputs(halfway.prediction, judges, classes).sum(dim=0).unbind()
    changes = []
    for number, output in enumerate(outputs, start=1):
        mixtures = [reading.mixture for reading in halfway.readings]
        gradients = torch.autograd.grad(output, mixtures, retain_graph=number < len(outputs))
        changes.append(_carried(model, gradients, theirs, others) - _carried(model, gradients, weights, tokens))
    return torch.stack(changes, dim=1)


def _outputs(
    prediction: Float[Tensor, "batch member output"],
    judges: Float[Tensor, "batch member"],
    classes: Int[Tensor, "batch followed"],
) -> Float[Tensor, "batch followed"]:
    """The prediction; the log odds of the second of two classes; log averaged of the most probable of several."""
    averaged = average_members(prediction, judges, is_regression=prediction.shape[2] == 1)
    if averaged.shape[1] == 1:
        return averaged
    logs = averaged.clamp_min(torch.finfo(averaged.dtype).tiny).log()
    return logs[:, 1:] - logs[:, :1] if averaged.shape[1] == 2 else logs.gather(1, classes)


def _divergence_shares(
    averaged: Float[Tensor, "batch output"],
    classes: Int[Tensor, "batch followed"],
    changes: Float[Tensor, "batch followed member column"],
) -> Float[Tensor, "batch member column"]:
    """Divergence of the changed from the unchanged prediction, divided among members by their part in the change.

    Probabilities of classes that are not followed change only because all sum to one.
    """
    total = changes.sum(dim=2)
    if averaged.shape[1] == 1:
        return (changes * total[:, :, None]).sum(dim=1)
    followed = averaged[:, 1:] if averaged.shape[1] == 2 else averaged.gather(1, classes)
    probability = followed[..., None]
    mean = (probability * total).sum(dim=1)
    divergence = ((probability * total.clamp_max(MAX_CHANGE).expm1()).sum(dim=1).log1p() - mean).clamp_min(0)
    parts = (probability[:, :, None] * changes * total[:, :, None]).sum(dim=1)
    return parts * (divergence / parts.sum(dim=1).clamp_min(torch.finfo(parts.dtype).tiny))[:, None]


def _carried(
    model: TabAttnModel,
    gradients: Sequence[Float[Tensor, "group_row stream d"]],
    weights: Sequence[Float[Tensor, "group_row stream column"]],
    tokens: Float[Tensor, "group batch column d"],
) -> Float[Tensor, "batch member column"]:
    flat = tokens.flatten(0, 1)
    pairs = zip(gradients, weights, strict=True)
    return _sum_streams(model, (carried_along(*pair, flat) for pair in pairs))


def _sum_streams(
    model: TabAttnModel, layers: Iterable[Float[Tensor, "group_row stream column"]]
) -> Float[Tensor, "batch member column"]:
    return torch.stack([each.sum(dim=2) for each in model.encoder.by_head(layers)]).sum(dim=0)
