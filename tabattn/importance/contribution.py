"""What a column contributes to the prediction through the attention, and what that is worth in loss.

A stream reads ``a_i E_i`` from column i, its token times its weight. If it read from that column what it reads from it
in another row, an output f of the model would change by about

    D_i = sum over layers and streams of  g . (a'_i E'_i - a_i E_i - (a'_i - a_i) m_i)

with ' for the other row, m_i the mean that the stream reads from all other columns, of which it reads less where it
reads more from column i, and g the gradient of f with respect to what the streams read. Let f be the prediction, or log
averaged (see `tabattn.nn.losses` for the scale on which changes add up). Then the loss increases by
``L(f + D_i) - L(f)``, which is

    L' D_i  +  divergence(f, f + D_i)

with the divergence being the squared difference for squared errors, and that of Kullback and Leibler for log loss.
Averaged over rows the first term measures how the column's part in the prediction goes with the errors (below zero: it
does harm), the second how much it moves the prediction. The mean of D_i over other rows is known better than from one
of them: in the first term it is the tangent at the row itself, with the mean of ``a'_i E'_i``. In the second the
gradient is a mean over the way between the two rows (three points of Gauss), because that at the row itself misses what
saturates. On this way one random half of the columns moves, then the other, while the rest stay as they are: if all
moved at once, columns that act together would count by half, as Shapley values count them. Above 256 columns all do,
which is twice as fast. Columns that are scored as one come from the other row together: their D_i are added.

Far from the row a gradient promises changes that the model never makes: no prediction is moved beyond the least and the
greatest that it gives to background rows.

Scores are in squared standard deviations of the target or in nats, like permutation importance, of which they are an
estimate from gradients.
"""

import functools

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tabattn.importance.aggregation import join
from tabattn.importance.background import Background, loss_gradients
from tabattn.importance.probes import EncoderProbe
from tabattn.nn.losses import Loss, Target
from tabattn.nn.model import TabAttnModel
from tabattn.nn.tokens import Cells

N_PARTS, MAX_UNITS = 2, 256
MAX_PAIRS, MAX_ELEMENTS = 512, 8_000_000  # rows and other rows at once, and numbers in the tokens of the rows
GAUSS = ((0.5 - 0.15**0.5, 5 / 18), (0.5, 8 / 18), (0.5 + 0.15**0.5, 5 / 18))  # points in [0, 1], and weights


def contribution_scores(
    model: TabAttnModel,
    background: Background,
    baseline_rows: Int[Tensor, "batch baseline"],
    cells: Cells,
    target: Target | None,
    member_weight: Float[Tensor, "batch member"],
    places: Int[Tensor, "batch baseline unit"],
    units: Int[Tensor, " column"] | None = None,
) -> Float[Tensor, "batch member unit"]:
    """Score columns by the increase in loss if what is read from them came from another row.

    Args:
        model: The model.
        background: Rows to compare with.
        baseline_rows: Indices of the background rows that each row is compared with.
        cells: Rows to read.
        target: As the loss takes it; None to take the prediction as the target, which leaves the
            divergence.
        member_weight: Weight of each member in the average of a row, not all zero in any row.
        places: Place of each unit in a random order, for each row and background row: which of them move together.
        units: The unit of each column, from 0 on, where some are scored as one: all of them come from the other row.

    Returns:
        The part of each member in the score of each row and unit; their sum is the score.

    Source: attention times gradient, Chefer et al. 2021 (arXiv 2103.15679), section 3; the difference to another row to
        first order, Syed et al. 2023 (arXiv 2310.10348), section 3; gradients between the two rows, integrated
        gradients, Sundararajan et al. 2017 (arXiv 1703.01365), and with rows of the data to start from, Erion et al.
        2021 (arXiv 1906.10670); the points, Gauss-Legendre quadrature.
    """
    tokens = model.embed(cells)
    probe = background.probe
    with torch.enable_grad():
        read = probe.trace(tokens)
    averaged = model.loss.average(read.prediction.detach(), member_weight)
    followed = model.loss.followed(averaged)
    outputs = model.loss.canonical(averaged, followed)
    limits = [each.expand(outputs.shape) for each in model.loss.limits(background.averaged, followed)]
    parts = places % n_parts(places.shape[2])
    if units is not None:
        parts = parts[..., units]
    score = tokens.new_zeros(())
    n_together = max(1, min(MAX_PAIRS // len(cells), MAX_ELEMENTS // tokens.numel()))
    for rows, part in zip(baseline_rows.split(n_together, dim=1), parts.split(n_together, dim=1), strict=True):
        pairs = functools.partial(torch.repeat_interleave, repeats=rows.shape[1], dim=0)
        own = tokens.repeat_interleave(rows.shape[1], dim=1)
        others = background.tokens[:, rows.flatten()]
        changes = _changes(model, probe, own, others, part.flatten(0, 1), pairs(member_weight), pairs(followed))
        bounds = pairs(limits[0]), pairs(limits[1])
        known = None if target is None else pairs(target)
        divergence = divergence_parts(model.loss, pairs(outputs), bounds, join(changes, units), known)
        score = score + divergence.unflatten(0, rows.shape).sum(dim=1) / baseline_rows.shape[1]
    if target is None:
        return score
    gradients = loss_gradients(model, read, target, member_weight)
    typically = probe.carried_typically(gradients, background.typical)
    first_order = typically - probe.carried(gradients, [each.detach() for each in read.weights], tokens)
    return score + join(first_order, units)


def n_parts(n_units: int) -> int:
    """Return into how many parts columns are divided, of which one at a time moves to the other row.

    Args:
        n_units: Number of the units that are scored.
    """
    return N_PARTS if 1 < n_units <= MAX_UNITS else 1


def _changes(
    model: TabAttnModel,
    probe: EncoderProbe,
    tokens: Float[Tensor, "group batch column d"],
    others: Float[Tensor, "group batch column d"],
    part: Int[Tensor, "batch column"],
    member_weight: Float[Tensor, "batch member"],
    followed: Int[Tensor, "batch followed"],
) -> Float[Tensor, "batch canonical member column"]:
    """How much each output changes, by member, with what the streams read from each column of other rows."""
    changes = tokens.new_zeros(())
    for number in range(int(part.max()) + 1):
        moves = part == number
        way = torch.where(moves[None, :, :, None], others - tokens, 0.0)
        along = probe.changes(tokens, way, others)
        for point, weight in GAUSS:
            with torch.enable_grad():
                between = probe.trace(tokens + point * way)
                averaged = model.loss.average(between.prediction, member_weight)
                outputs = model.loss.canonical(averaged, followed).sum(dim=0).unbind()
            change = []
            for place, output in enumerate(outputs, start=1):
                gradients = torch.autograd.grad(output, between.sites, retain_graph=place < len(outputs))
                change.append(along(gradients))
            moved = torch.where(moves[:, None, None], torch.stack(change, dim=1), 0.0)
            changes = changes + weight * moved
    return changes


def divergence_parts(
    loss: Loss,
    outputs: Float[Tensor, "batch canonical"],
    limits: tuple[Float[Tensor, "#batch canonical"], Float[Tensor, "#batch canonical"]],
    changes: Float[Tensor, "batch canonical member column"],
    target: Target | None,
) -> Float[Tensor, "batch member column"]:
    """Divergence of the changed from the unchanged prediction, divided among members by their part in the change.

    Args:
        loss: The loss.
        outputs: Canonical outputs of the rows.
        limits: The least and the greatest that they may become, where they are not beyond them already.
        changes: How much they change with each column, by member.
        target: As the loss takes it, or None.
    """
    total = changes.sum(dim=2)
    room = ((limit - outputs)[..., None] for limit in limits)
    low, high = next(room).clamp_max(0), next(room).clamp_min(0)
    divergence = loss.divergence(outputs.double(), total.clamp(low, high).double(), target).clamp_min(0)
    curvature = loss.curvature(outputs.double())[:, :, None, None]
    parts = (curvature * (changes * total[:, :, None])).sum(dim=1)
    sums = parts.sum(dim=1, keepdim=True)
    return torch.where(sums > 0, parts / sums, 0.0) * divergence[:, None]
