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

Far from the row a gradient promises changes that the model never makes: no prediction is moved beyond the least and the
greatest that it gives to background rows.

Scores are in squared standard deviations of the target or in nats, like permutation importance, of which they are an
estimate from gradients.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.nn.functional import softplus

from tabattn.importance.background import Background, carried, carried_typically, loss_gradients
from tabattn.nn.losses import average_members
from tabattn.nn.model import TabAttnModel
from tabattn.nn.tokens import Cells

N_FOLLOWED = 3


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
    outputs = _outputs(averaged, classes)
    limits = _limits(outputs, background.averaged, classes)
    score = tokens.new_zeros(len(cells), model.shape.n_members, model.shape.n_columns)
    for rows in partners.T:
        changes = _changes(model, background, rows, tokens, weights, judges, classes)
        score += (
            _divergence_shares(outputs, *limits, changes, is_regression=model.shape.n_outputs == 1) / partners.shape[1]
        )
    if target is None:
        return score
    gradients = loss_gradients(trace, target, judges)
    return score + carried_typically(model, gradients, background) - carried(model, gradients, weights, tokens)


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
        averaged = average_members(halfway.prediction, judges, is_regression=model.shape.n_outputs == 1)
        outputs = _outputs(averaged, classes).sum(dim=0).unbind()
    changes = []
    for number, output in enumerate(outputs, start=1):
        mixtures = [reading.mixture for reading in halfway.readings]
        gradients = torch.autograd.grad(output, mixtures, retain_graph=number < len(outputs))
        changes.append(carried(model, gradients, theirs, others) - carried(model, gradients, weights, tokens))
    return torch.stack(changes, dim=1)


def _outputs(
    averaged: Float[Tensor, "batch output"], classes: Int[Tensor, "batch followed"]
) -> Float[Tensor, "batch followed_output"]:
    """The prediction; the log odds of the second of two classes; or log probabilities of the most probable of several.

    Where not all classes are followed, the others together are one more.
    """
    n_outputs, n_followed = averaged.shape[1], classes.shape[1]
    if n_outputs == 1:
        return averaged
    tiny = torch.finfo(averaged.dtype).tiny
    if n_outputs == 2:
        logs = averaged.clamp_min(tiny).log()
        return logs[:, 1:] - logs[:, :1]
    followed = averaged.gather(1, classes)
    if n_followed < n_outputs:
        rest = averaged.scatter(1, classes, 0.0).sum(dim=1, keepdim=True)
        followed = torch.cat([followed, rest], dim=1)
    return followed.clamp_min(tiny).log()


def _limits(
    outputs: Float[Tensor, "batch followed_output"],
    others: Float[Tensor, "row output"],
    classes: Int[Tensor, "batch followed"],
) -> tuple[Float[Tensor, "batch followed_output"], Float[Tensor, "batch followed_output"]]:
    """The least and the greatest that outputs are, in background rows and in the row itself."""
    if others.shape[1] <= 2:
        theirs = _outputs(others, classes[: len(others)])
        low, high = theirs.amin(dim=0), theirs.amax(dim=0)
    else:
        logs = others.clamp_min(torch.finfo(others.dtype).tiny).log()
        low, high = logs.amin(dim=0)[classes], logs.amax(dim=0)[classes]
        if classes.shape[1] < others.shape[1]:
            rest = (1 - others[:, classes].sum(dim=2)).clamp_min(torch.finfo(others.dtype).tiny).log()
            low = torch.cat([low, rest.amin(dim=0)[:, None]], dim=1)
            high = torch.cat([high, rest.amax(dim=0)[:, None]], dim=1)
    return torch.minimum(low, outputs), torch.maximum(high, outputs)


def _divergence_shares(
    outputs: Float[Tensor, "batch followed_output"],
    low: Float[Tensor, "batch followed_output"],
    high: Float[Tensor, "batch followed_output"],
    changes: Float[Tensor, "batch followed_output member column"],
    *,
    is_regression: bool,
) -> Float[Tensor, "batch member column"]:
    """Divergence of the changed from the unchanged prediction, divided among members by their part in the change.

    Args:
        outputs: What `_outputs` returned.
        low: The least that the outputs may become.
        high: The greatest that they may become.
        changes: How much they change with each column, by member.
        is_regression: Whether the output is a number; one that is not is the log odds of two classes.
    """
    total = changes.sum(dim=2)
    bounded = total.clamp((low - outputs)[..., None], (high - outputs)[..., None]).double()
    before = outputs.double()[..., None]
    if outputs.shape[1] > 1:
        probability = before.exp()
        rise = (before + bounded).logsumexp(dim=1) - before.logsumexp(dim=1)
        divergence = rise - (probability * bounded).sum(dim=1) / probability.sum(dim=1)
        parts = (probability[:, :, None] * changes * total[:, :, None]).sum(dim=1)
    else:
        change, log_odds = bounded[:, 0], before[:, 0]
        by_odds = softplus(log_odds + change) - softplus(log_odds) - log_odds.sigmoid() * change
        divergence = change.square() if is_regression else by_odds
        parts = (changes[:, 0] * total).double()
    sums = parts.sum(dim=1, keepdim=True)
    return torch.where(sums > 0, parts / sums, 0.0) * divergence.clamp_min(0)[:, None]
