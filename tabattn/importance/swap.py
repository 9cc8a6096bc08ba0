"""The increase in loss when a column comes from another row.

The column's token is swapped inside the model: all layers attend to the new one, and their attention to all others is
computed again. Tokens are embedded once, and all swaps of a row are computed together, which makes this cheaper than
predicting a table for every column. Every token is that of a real cell: no value is invented.

A row would have to be compared with many others, because in one of them the column happens to suit the target, in the
next it does not. To first order that is known for all of them at once, so it is subtracted from the increase in loss
with the one row, and its mean over all background rows is added instead. A few comparisons are enough then.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tabattn.importance.aggregation import join
from tabattn.importance.background import Background, loss_gradients
from tabattn.nn.attention import ColumnSwaps
from tabattn.nn.losses import Loss, Target
from tabattn.nn.model import TabAttnModel
from tabattn.nn.tokens import Cells

MAX_WEIGHTS = 4_000_000


def swap_scores(
    model: TabAttnModel,
    background: Background,
    baseline_rows: Int[Tensor, "batch baseline"],
    cells: Cells,
    target: Target | None,
    member_weight: Float[Tensor, "batch member"],
    units: Int[Tensor, " column"] | None = None,
    max_weights: int = MAX_WEIGHTS,
) -> Float[Tensor, "batch member unit"]:
    """Score columns by the increase in loss when they come from another row.

    Args:
        model: The model.
        background: Rows that columns are taken from.
        baseline_rows: Indices of the background rows that each row is compared with.
        cells: Rows to read.
        target: As the loss takes it; None to take the prediction as the target.
        member_weight: Weight of each member in the average of a row, not all zero in any row.
        units: The unit of each column, from 0 on, where some are scored as one: all of them come from the other row.
        max_weights: Largest number of elements of the swaps that are computed together.

    Returns:
        The part of each member in the score of each row and unit: its weight times the sum of the increase in its
        own loss and the excess of the ensemble's increase over the mean of the members'. Their sum is the score.

    Source: one column from another row, Breiman 2001 (Random Forests), section 10; the same inside a network,
        interchange interventions, Geiger et al. 2021 (arXiv 2106.02997), section 3; a term whose mean is known as
        control variate, Owen 2013 (Monte Carlo theory, methods and examples), section 8.9.
    """
    tokens = model.embed(cells)
    probe = background.probe
    with torch.set_grad_enabled(target is not None):
        read = probe.trace(tokens)
    unswapped = read.prediction.detach()
    units = torch.arange(model.shape.n_columns, device=tokens.device) if units is None else units
    n_units = int(units.max()) + 1
    scores = tokens.new_zeros(len(cells), model.shape.n_members, n_units)
    gradients = None if target is None else loss_gradients(model, read, target, member_weight)
    if gradients is not None:
        scores += join(probe.carried_typically(gradients, background.typical), units)
    for rows in baseline_rows.T:
        others = background.tokens[:, rows]
        if gradients is not None:
            weights = [each[:, rows].flatten(0, 1) for each in background.weights]
            scores -= join(probe.carried(gradients, weights, others), units) / baseline_rows.shape[1]
        for some, changed in _swapped(model, tokens, others, units, max_weights):
            parts = _member_parts(model.loss, changed, unswapped, target, member_weight)
            scores[:, :, some] += parts / baseline_rows.shape[1]
    return scores


def conditional_scores(
    model: TabAttnModel,
    draws: Sequence[Cells],
    cells: Cells,
    target: Target | None,
    member_weight: Float[Tensor, "batch member"],
    units: Int[Tensor, " column"] | None = None,
    max_weights: int = MAX_WEIGHTS,
) -> Float[Tensor, "batch member unit"]:
    """Score columns by the increase in loss when they are drawn given the other columns of their row.

    The score is of what a column adds to the others: that of a copy of another column is 0.

    Args:
        model: The model.
        draws: Some draws of all cells of the rows, each given the others of its row, see `conditional_draws`.
        cells: Rows to read.
        target: As the loss takes it; None to take the prediction as the target.
        member_weight: Weight of each member in the average of a row, not all zero in any row.
        units: The unit of each column, from 0 on, where some are scored as one: they were drawn together.
        max_weights: Largest number of elements of the swaps that are computed together.

    Returns:
        The part of each member in the score of each row and unit, as `swap_scores` divides it.

    Source: conditional permutation importance, Strobl et al. 2008 (Conditional variable importance for random forests);
        as a mean over draws, Chamma, Engemann and Thirion 2023 (arXiv 2309.07593).
    """
    tokens = model.embed(cells)
    unswapped = model.predict(tokens).prediction
    units = torch.arange(model.shape.n_columns, device=tokens.device) if units is None else units
    n_units = int(units.max()) + 1
    scores = tokens.new_zeros(len(cells), model.shape.n_members, n_units)
    for drawn in draws:
        for some, changed in _swapped(model, tokens, model.embed(drawn), units, max_weights):
            scores[:, :, some] += _member_parts(model.loss, changed, unswapped, target, member_weight)
    return scores / len(draws)


def _swapped(
    model: TabAttnModel,
    tokens: Float[Tensor, "group batch column d"],
    others: Float[Tensor, "group batch column d"],
    units: Int[Tensor, " column"],
    max_weights: int,
) -> Iterator[tuple[slice, Float[Tensor, "batch swap member output"]]]:
    """Yield blocks of units that fit into memory together, and predictions with each of them from other rows."""
    shape, n_units = model.shape, int(units.max()) + 1
    n_swaps = max(1, max_weights // (tokens.shape[1] * shape.n_numbers_per_swap))
    for start in range(0, n_units, n_swaps):
        stop = min(start + n_swaps, n_units)
        columns = ((units >= start) & (units < stop)).nonzero().flatten()
        swaps = ColumnSwaps(columns, units[columns] - start, stop - start)
        yield slice(start, stop), model.swap_columns(tokens, others, swaps)


def _member_parts(
    loss: Loss,
    changed: Float[Tensor, "batch swap member output"],
    unswapped: Float[Tensor, "batch member output"],
    target: Target | None,
    member_weight: Float[Tensor, "batch member"],
) -> Float[Tensor, "batch member swap"]:
    """Divide the increase in loss of the ensemble among members, see `swap_scores`."""
    own, increase = _increases(loss, changed, unswapped, target, member_weight)
    fraction = (member_weight / member_weight.sum(dim=1, keepdim=True))[:, None]
    rest = increase - (own * fraction).sum(dim=2)
    return (fraction * (own + rest[:, :, None])).transpose(1, 2)


def _increases(
    loss: Loss,
    changed: Float[Tensor, "batch swap member output"],
    unswapped: Float[Tensor, "batch member output"],
    target: Target | None,
    member_weight: Float[Tensor, "batch member"],
) -> tuple[Float[Tensor, "batch swap member"], Float[Tensor, "batch swap"]]:
    """Return the increase in loss of each member and of the ensemble."""
    n_swaps = changed.shape[1]
    repeated_weight, flat = member_weight.repeat_interleave(n_swaps, dim=0), changed.flatten(0, 1)
    repeated_target = None if target is None else target.repeat_interleave(n_swaps, dim=0)
    repeated_unswapped = unswapped.repeat_interleave(n_swaps, dim=0)
    own, losses = _losses(loss, flat, repeated_unswapped, repeated_target, repeated_weight)
    own_before, losses_before = _losses(loss, unswapped, unswapped, target, member_weight)
    return (
        own.unflatten(0, (-1, n_swaps)) - own_before[:, None],
        losses.unflatten(0, (-1, n_swaps)) - losses_before[:, None],
    )


def _losses(
    loss: Loss,
    prediction: Float[Tensor, "batch member output"],
    unswapped: Float[Tensor, "batch member output"],
    target: Target | None,
    member_weight: Float[Tensor, "batch member"],
) -> tuple[Float[Tensor, "batch member"], Float[Tensor, " batch"]]:
    """Return the losses of members and of the ensemble; without a target, against the unswapped prediction."""
    averaged = loss.average(prediction, member_weight)
    if target is not None:
        return loss.of_members(prediction, target), loss.of_average(averaged, target)
    self_target = loss.natural(unswapped).to(prediction.dtype)
    return loss.of_members(prediction, self_target), loss.of_average(averaged, loss.average(unswapped, member_weight))
