"""Shapley values: what a column is worth, averaged over every order in which columns become known.

Columns that are not known come from other rows, the background rows, and the prediction is averaged over these. For a
row and an order of its columns, the loss is followed from none known to all known: each column is worth the decrease at
its own step. Their means over rows are the Shapley values of the loss, which add up to what all columns together are
worth. Of the prediction instead of the loss, they add up to the prediction less the mean of the background rows.

Orders are drawn, each with its reverse. A mean over few other rows has a loss that is too large by their variance over
their number, which the loss with half of them tells (`tabattn.importance.gains.extrapolated`).

Source: Covert, Lundberg and Lee 2020 (Understanding global feature contributions with additive importance measures,
arXiv 2004.00668), section 3; orders with their reverse, Mitchell et al. 2022 (arXiv 2104.12199), section 4.1; of the
prediction, Štrumbelj and Kononenko 2014 (Explaining prediction models and individual predictions).
"""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tabattn.arrays import Array
from tabattn.importance.background import Background
from tabattn.nn.losses import Loss, Target
from tabattn.nn.model import TabAttnModel
from tabattn.nn.tokens import Cells

N_DONORS, MAX_ELEMENTS = 4, 8_000_000


def shapley_scores(
    model: TabAttnModel,
    background: Background,
    baseline_rows: Int[Tensor, "batch baseline"],
    orders: Int[Tensor, "batch order unit"],
    cells: Cells,
    target: Target | None,
    member_weight: Float[Tensor, "batch member"],
    units: Int[Tensor, " column"] | None = None,
    max_elements: int = MAX_ELEMENTS,
) -> Float[Tensor, "batch member unit"]:
    """Score columns by the Shapley value of the loss.

    Args:
        model: The model.
        background: Rows that columns are taken from while they are not known.
        baseline_rows: Indices of the background rows of each row, four for each order, or fewer if there are fewer.
        orders: For each row and each of its orders the place of each unit in it, from 0 on.
        cells: Rows to read.
        target: As the loss takes it; None to take the prediction as the target.
        member_weight: Weight of each member in the average of a row, not all zero in any row.
        units: The unit of each column, from 0 on, where some become known as one.
        max_elements: Largest number of elements of the tokens that are read together.

    Returns:
        The part of each member in the value of each row and unit: its weight times the value by its own loss, and an
        equal part of what the value of the ensemble is more. Their sum is the value.
    """
    tokens, loss = model.embed(cells), model.loss
    units = torch.arange(model.shape.n_columns, device=tokens.device) if units is None else units
    fraction = member_weight / member_weight.sum(dim=1, keepdim=True)
    own_target, known = _targets(model, tokens, target, fraction)
    n_orders = orders.shape[1]
    total = torch.zeros(len(cells), model.shape.n_members, orders.shape[2], dtype=torch.float64, device=tokens.device)
    for number, donors in enumerate(baseline_rows.tensor_split(n_orders, dim=1)):
        for place in (orders[:, number], orders.shape[2] - 1 - orders[:, number]):
            natural = torch.stack(
                [_along(model, tokens, background.tokens[:, rows], place, units, max_elements) for rows in donors.T]
            ).double()
            averaged = torch.einsum("nbsmo,bm->nbso", natural, fraction.double())
            own = _worth(_extrapolated(loss, natural, own_target), place[:, None].expand(-1, natural.shape[3], -1))
            all_together = _worth(_extrapolated(loss, averaged[:, :, :, None], known), place[:, None])
            rest = all_together - (own * fraction[..., None]).sum(dim=1, keepdim=True)
            total += fraction[..., None] * (own + rest) / (2 * n_orders)
    return total


def additive_values(
    model: TabAttnModel,
    background: Background,
    orders: Int[Tensor, "batch order unit"],
    cells: Cells,
    decode: Callable[[Array], Array],
    units: Int[Tensor, " column"] | None = None,
    max_elements: int = MAX_ELEMENTS,
) -> Float[Tensor, "batch unit output"]:
    """Divide the prediction of each row, less the mean of those of the background rows, among its columns.

    Args:
        model: The model.
        background: Rows that columns are taken from while they are not known, all of them for every row.
        orders: For each row the place of each unit in some orders; they are used in turn, each with its reverse.
        cells: Rows to read.
        decode: Makes predictions of averaged outputs, shape (row, output).
        units: The unit of each column, from 0 on, where some become known as one.
        max_elements: Largest number of elements of the tokens that are read together.

    Returns:
        Shapley values of the prediction; over the units they add up to it less that mean.
    """
    tokens = model.embed(cells)
    units = torch.arange(model.shape.n_columns, device=tokens.device) if units is None else units
    n_orders, n_units = orders.shape[1:]
    total: Tensor | None = None
    for number in range(len(background)):
        place = orders[:, number // 2 % n_orders]
        place = n_units - 1 - place if number % 2 else place
        others = background.tokens[:, number, None].expand(-1, len(cells), -1, -1)
        averaged = _along(model, tokens, others, place, units, max_elements).double().mean(dim=2)
        decoded = torch.from_numpy(decode(averaged.flatten(0, 1).cpu().numpy()).reshape(*averaged.shape[:2], -1))
        steps = decoded.diff(dim=1).double()
        values = steps.gather(1, place.cpu()[..., None].expand(-1, -1, steps.shape[2]))
        total = values if total is None else total + values
    assert total is not None, "a model keeps background rows"
    return total / len(background)


def _along(
    model: TabAttnModel,
    tokens: Float[Tensor, "group batch column d"],
    others: Float[Tensor, "group batch column d"],
    place: Int[Tensor, "batch unit"],
    units: Int[Tensor, " column"],
    max_elements: int,
) -> Float[Tensor, "batch step member output"]:
    """Predict rows of which more and more units are known, from none to all, and the rest is that of other rows.

    Predictions are numbers, rates or probabilities of each member.
    """
    n_units = place.shape[1]
    steps = torch.arange(n_units + 1, device=tokens.device)
    is_known = place[:, units][:, None] < steps[:, None]
    n_elements = (n_units + 1) * tokens.shape[0] * tokens.shape[2] * tokens.shape[3]
    n_rows = max(1, max_elements // n_elements)
    n_steps = max(1, max_elements * (n_units + 1) // n_elements)
    found = []
    for rows in _slices(tokens.shape[1], n_rows):
        parts = []
        for some in _slices(n_units + 1, n_steps):
            mask = is_known[rows, some, :, None]
            mixed = torch.where(mask, tokens[:, rows, None], others[:, rows, None]).flatten(1, 2)
            parts.append(model.loss.natural(model.predict(mixed).prediction).unflatten(0, mask.shape[:2]))
        found.append(torch.cat(parts, dim=1))
    return torch.cat(found)


def _slices(n: int, size: int) -> Iterator[slice]:
    for start in range(0, n, size):
        yield slice(start, start + size)


def _targets(
    model: TabAttnModel, tokens: Tensor, target: Target | None, fraction: Float[Tensor, "batch member"]
) -> tuple[Tensor, Tensor]:
    """Return the target of each member, shape (batch, member, ...), and that of the ensemble, shape (batch, 1, ...)."""
    if target is not None:
        known = target[:, None]
        return known.expand(-1, model.shape.n_members, *known.shape[2:]), known
    natural = model.loss.natural(model.predict(tokens).prediction).double()
    return natural, torch.einsum("bmo,bm->bo", natural, fraction.double())[:, None]


def _extrapolated(
    loss: Loss, natural: Float[Tensor, "donor batch step member output"], target: Target
) -> Float[Tensor, "batch member step"]:
    """Return the loss of the mean over endlessly many other rows, as far as those at hand tell."""
    means = [natural.mean(dim=0)]
    if len(natural) > 1:
        half = len(natural) // 2
        means += [natural[:half].mean(dim=0), natural[half : 2 * half].mean(dim=0)]
    n_steps = natural.shape[2]
    repeated = target[:, None].expand(-1, n_steps, *target.shape[1:]).flatten(0, 2)
    whole, *halves = [loss.of_average(each.flatten(0, 2), repeated).unflatten(0, each.shape[:3]).mT for each in means]
    limit: Tensor = 2 * whole - torch.stack(halves).mean(dim=0) if halves else whole
    return limit


def _worth(
    losses: Float[Tensor, "batch member step"], place: Int[Tensor, "batch member unit"]
) -> Float[Tensor, "batch member unit"]:
    """Return by how much the loss decreases at the step of each unit."""
    values: Tensor = -losses.diff(dim=2).gather(2, place)
    return values
