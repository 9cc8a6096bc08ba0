"""Validation rows: which rows each member holds out, and which it learns from.

Members that share column tokens must hold out the same rows, because what one of them learns is in the tokens of all.
"""

from typing import NamedTuple, Self

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

MAX_HELD_OUT, N_TIME_BLOCKS = 2_048, 40


class LinkedRows(NamedTuple):
    """Which rows belong together, and when they were.

    Args:
        unit: Number of the unit of each row, from 0 on: rows of a unit are held out together.
        time: Place of each row in time; None where rows have no order.
        gap: How many rows before and after those that are held out are not learned from, where rows have an order.
    """

    unit: Int[Tensor, " row"]
    time: Float[Tensor, " row"] | None = None
    gap: int = 0

    @classmethod
    def none(cls, n_rows: int) -> Self:
        """Return the links of rows that are independent."""
        return cls(torch.arange(n_rows))


class HoldOut(NamedTuple):
    """Which rows each group of members holds out, and which it learns from.

    Args:
        held_out: True where a group holds a row out; at least one in every group.
        learned: True where a group learns from a row; at least one in every group, none that it holds out.
        half: Which half of the held-out rows a row is in: models to be evaluated on one half have the epoch that is
            best for the other half. Rows that belong together are in the same half.
    """

    held_out: Bool[Tensor, "row group"]
    learned: Bool[Tensor, "row group"]
    half: Bool[Tensor, " row"]

    @classmethod
    def of(cls, held_out: Bool[Tensor, "row group"]) -> Self:
        """Hold rows out that are independent of each other; each group learns from all that it does not hold out."""
        return cls(held_out, ~held_out, torch.arange(len(held_out)) % 2 == 1)


def hold_out_rows(
    target: Shaped[Tensor, "row *target"],
    n_groups: int,
    fraction: float,
    generator: torch.Generator,
    links: LinkedRows | None = None,
) -> HoldOut:
    """Draw the rows that each group of members holds out.

    The units of rows are put on a circle in random order, or in that of time, and every group holds out those whose
    middle lies in an arc of it; the arcs are at equal distances. Units of a class (that of their first row) are spread
    evenly over the circle, so that every arc has classes in the same proportions. In time, the first group
    holds out the last rows. Every second unit of the circle, or block of 1/40 of it in time, is in the second half.

    Args:
        target: Class codes (integer), or numbers (float).
        n_groups: Number of groups.
        fraction: Fraction of the rows that each group holds out, in (0, 1); at most 2,048 rows, at least one unit, and
            at least one unit is left.
        generator: Source of randomness.
        links: Which rows belong together; at least two units. None for independent rows.

    Example:
        >>> import torch
        >>> held_out = hold_out_rows(torch.arange(10.0), 5, 0.2, torch.Generator().manual_seed(0)).held_out
        >>> held_out.sum(dim=0).tolist(), held_out.sum(dim=1).tolist()
        ([2, 2, 2, 2, 2], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1])

    Source: bagging, Breiman 1996, with arcs of a permutation instead of bootstrap samples; gaps beside blocks of time,
        Racine 2000 (Consistent cross-validatory model-selection for dependent data: hv-block cross-validation).
    """
    n_rows = len(target)
    links = links or LinkedRows.none(n_rows)
    n_held_out = max(1, min(round(fraction * n_rows), MAX_HELD_OUT, n_rows - 1))
    order = _circle(target, links, generator)
    size = torch.bincount(links.unit)[order]
    end = size.cumsum(dim=0)
    first, middle = end - size, end - size / 2
    held_out = torch.zeros(n_rows, n_groups, dtype=torch.bool)
    learned = torch.ones(n_rows, n_groups, dtype=torch.bool)
    place_of = torch.empty_like(order)
    place_of[order] = torch.arange(len(order))
    place = place_of[links.unit]
    offset = 0 if links.time is None else n_rows - n_held_out
    for group in range(n_groups):
        start = offset + group * n_rows // n_groups
        inside = (middle - start) % n_rows < n_held_out
        centre = (start + n_held_out / 2) % n_rows
        if not inside.any():
            inside = (first <= centre) & (centre < end)
        if inside.all():
            opposite = (centre + n_rows / 2) % n_rows
            inside = ~((first <= opposite) & (opposite < end))
        near = inside
        if links.time is not None and links.gap:
            near = _within(inside, first, end, links.gap)
        held_out[:, group] = inside[place]
        learned[:, group] = ~near[place] if not near.all() else ~inside[place]
    every = 1 if links.time is None else max(1, len(order) // N_TIME_BLOCKS)
    return HoldOut(held_out, learned, place // every % 2 == 1)


def _circle(target: Tensor, links: LinkedRows, generator: torch.Generator) -> Int[Tensor, " unit"]:
    """Return the units in the order of the circle."""
    n_units = int(links.unit.max()) + 1
    if links.time is not None:
        sums = torch.zeros(n_units, dtype=torch.float64).index_add(0, links.unit, links.time.double())
        return (sums / torch.bincount(links.unit)).argsort(stable=True)
    order = torch.randperm(n_units, generator=generator)
    if target.is_floating_point():
        return order
    first_row = torch.full((n_units,), len(target)).scatter_reduce(0, links.unit, torch.arange(len(target)), "amin")
    return order[_spread_classes(target[first_row][order], generator).argsort(stable=True)]


def _within(inside: Tensor, first: Tensor, end: Tensor, gap: int) -> Bool[Tensor, " unit"]:
    """Return which units are inside, or at most so many rows before or after one that is."""
    near = inside.clone()
    for unit in inside.nonzero().flatten():
        near |= (end > first[unit] - gap) & (first < end[unit] + gap)
    return near


def _spread_classes(codes: Tensor, generator: torch.Generator) -> Tensor:
    """Return a place on the circle for each unit: those of a class at equal distances from each other."""
    place = torch.empty(len(codes), dtype=torch.float64)
    for code in codes.unique():
        rows = codes == code
        n_rows = int(rows.sum())
        offset = torch.rand((), generator=generator, dtype=torch.float64)
        place[rows] = (torch.arange(n_rows, dtype=torch.float64) + offset) / n_rows
    return place
