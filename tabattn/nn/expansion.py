"""What streams read from swapped columns, expanded around what they read from the row as it is.

One column of hundreds hardly changes the queries of the layers after the first. What a stream reads with a query that
changed by ``c`` is, with the weights that it had before, the mean of the tokens plus their covariance times ``c``: that
takes ``d x d`` numbers instead of all columns. Only the scores of the swapped columns are exact.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from tabattn.nn.attention import ColumnSwaps

MIN_REST = 0.01


class Expansion(NamedTuple):
    """What streams read from some rows, and how that changes with their queries.

    Args:
        query: Queries in token space, divided by the square root of their width.
        log_total: Logarithm of the sum over columns of the exponentials of the scores.
        mean: Mean of the tokens by their attention weights, which is what the stream reads.
        covariance: Covariance of the tokens by the same weights; None where queries do not change.
    """

    query: Float[Tensor, "batch stream d"]
    log_total: Float[Tensor, "batch stream"]
    mean: Float[Tensor, "batch stream d"]
    covariance: Float[Tensor, "batch stream d d"] | None


def expand(
    query: Float[Tensor, "batch stream d"], tokens: Float[Tensor, "batch column d"], *, changes: bool
) -> Expansion:
    """Expand what streams read around their queries.

    Args:
        query: Queries in token space, divided by the square root of their width.
        tokens: Column tokens.
        changes: Whether queries will change.

    Example:
        >>> import torch
        >>> expand(torch.zeros(1, 1, 2), torch.eye(2)[None], changes=True).covariance
        tensor([[[[ 0.2500, -0.2500],
                  [-0.2500,  0.2500]]]])

    Source: the softmax is the gradient of the logarithm of its total, whose second derivative is the covariance;
        cumulants, McCullagh 1987 (Tensor Methods in Statistics), section 2.
    """
    scores = torch.bmm(tokens, query.transpose(1, 2))
    log_total = scores.logsumexp(dim=1)
    weights = scores.softmax(dim=1)
    mean = torch.bmm(weights.transpose(1, 2), tokens)
    covariance = None
    if changes:
        by_stream = [torch.bmm((tokens * each[..., None]).transpose(1, 2), tokens) for each in weights.unbind(dim=2)]
        covariance = torch.stack(by_stream, dim=1) - mean[..., :, None] * mean[..., None, :]
    return Expansion(query, log_total, mean, covariance)


def read_swapped_nearly(
    query: Float[Tensor, "batch swap stream d"],
    around: Expansion,
    tokens: Float[Tensor, "batch column d"],
    others: Float[Tensor, "batch column d"],
    swaps: ColumnSwaps,
) -> tuple[Float[Tensor, "batch swap stream d"], Float[Tensor, "batch swap"]]:
    """What streams read from rows in which some columns at a time are those of another row, nearly.

    Args:
        query: Queries in token space, divided by the square root of their width, for each swap.
        around: What the streams read from the rows as they are.
        tokens: Column tokens.
        others: Column tokens of the other rows.
        swaps: Which columns to swap.

    Returns:
        What each stream read, and the largest variance over columns by which scores moved in any stream, of whose order
        what is neglected is; infinite where nearly all attention was that to swapped columns, so that rounding decides.
    """
    columns, numbers = swaps.columns, swaps.numbers
    log_total, mean = around.log_total[:, None], around.mean[:, None]
    if around.covariance is None:
        log_total, mean = (each.expand(-1, swaps.n_swaps, *each.shape[2:]) for each in (log_total, mean))
        spread = mean.new_zeros(mean.shape[:2])
    else:
        change = query - around.query[:, None]
        moved = (change.transpose(1, 2) @ around.covariance).transpose(1, 2)
        variance = (change * moved).sum(dim=-1)
        log_total = log_total + (change * mean).sum(dim=-1) + variance / 2
        mean, spread = mean + moved, variance.amax(dim=2)
    of_swapped, total = query[:, numbers], log_total[:, numbers]
    theirs, own = others[:, columns], tokens[:, columns]
    added, removed = (
        (torch.einsum("bpsd,bpd->bps", of_swapped, each) - total).exp()[..., None] for each in (theirs, own)
    )
    read = mean.index_add(1, numbers, added * theirs[:, :, None] - removed * own[:, :, None])
    rest = torch.ones_like(log_total).index_add(1, numbers, -removed[..., 0])
    weight = rest.index_add(1, numbers, added[..., 0])
    return read / weight[..., None], spread.masked_fill((rest < MIN_REST).any(dim=2), torch.inf)
