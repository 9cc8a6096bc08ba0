"""Validation rows: which rows each member holds out.

Members that share column tokens must hold out the same rows, because what one of them learns is in the tokens of all.
"""

import torch
from jaxtyping import Bool, Shaped
from torch import Tensor

MAX_HELD_OUT = 2_048


def held_out_rows(
    target: Shaped[Tensor, "row *target"], n_groups: int, fraction: float, generator: torch.Generator
) -> Bool[Tensor, "row group"]:
    """Draw the rows that each group of members holds out.

    The rows are put on a circle in random order, and every group holds out an arc of it; the arcs begin at equal
    distances. Rows of a class are spread evenly over the circle, so that every arc has classes in the same proportions.

    Args:
        target: Class codes (integer), or numbers (float).
        n_groups: Number of groups.
        fraction: Fraction of the rows that each group holds out, in (0, 1); at most 2,048 rows, at least one, and at
            least one row is left.
        generator: Source of randomness.

    Returns:
        True where a group holds a row out.

    Example:
        >>> import torch
        >>> held_out = held_out_rows(torch.arange(10.0), 5, 0.2, torch.Generator().manual_seed(0))
        >>> held_out.sum(dim=0).tolist(), held_out.sum(dim=1).tolist()
        ([2, 2, 2, 2, 2], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1])

    Source: bagging, Breiman 1996, with arcs of a permutation instead of bootstrap samples.
    """
    n_rows = len(target)
    n_held_out = max(1, min(round(fraction * n_rows), MAX_HELD_OUT, n_rows - 1))
    order = torch.randperm(n_rows, generator=generator)
    if not target.is_floating_point():
        order = order[_spread_classes(target[order], generator).argsort(stable=True)]
    held_out = torch.zeros(n_rows, n_groups, dtype=torch.bool)
    for group in range(n_groups):
        start = group * n_rows // n_groups
        held_out[order[torch.arange(start, start + n_held_out) % n_rows], group] = True
    return held_out


def _spread_classes(codes: Tensor, generator: torch.Generator) -> Tensor:
    """Return a place on the circle for each row: the rows of a class at equal distances from each other."""
    place = torch.empty(len(codes), dtype=torch.float64)
    for code in codes.unique():
        rows = codes == code
        n_rows = int(rows.sum())
        offset = torch.rand((), generator=generator, dtype=torch.float64)
        place[rows] = (torch.arange(n_rows, dtype=torch.float64) + offset) / n_rows
    return place
