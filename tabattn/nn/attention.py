"""Attention weights as pure functions of queries and column tokens.

Attention is a return value here. Nothing is stored, hooked or overwritten, and what is returned has not
been through dropout, so every row of weights sums to one.

A stream is one head of one member. Its query lives in token space, because the key projection is part of the matrix
that makes the query: ``(W_k E_i) . (W_q z) = E_i . (W_k^T W_q z)``. In the same way ``sum_i a_i (W_v E_i)`` is
``W_v (sum_i a_i E_i)``, so the value projection is part of the matrix that takes the mixture back to the CLS state. No
key or value is ever computed for a column.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

LEAST_REST = 1e-3  # below it what is read from all other columns is lost in rounding


class ColumnSwaps(NamedTuple):
    """Which columns come from another row, in each of several swaps.

    Args:
        columns: A column that is swapped.
        numbers: The swap that it is part of, from 0 on; one swap may take several columns.
        n_swaps: How many swaps there are.
    """

    columns: Int[Tensor, " pair"]
    numbers: Int[Tensor, " pair"]
    n_swaps: int


class GradientFactors(NamedTuple):
    """Stand-ins for the tokens in one product with them, see `gradient_factors`.

    Args:
        columns: Gets the gradient with respect to what streams and columns are multiplied to.
        streams: Gets what the tokens were multiplied with.
    """

    columns: Float[Tensor, "batch column stream"]
    streams: Float[Tensor, "batch stream d"]


def gradient_factors(
    tokens: Float[Tensor, "batch column d"], n_streams: int, n_products: int
) -> tuple[GradientFactors | None, ...]:
    """Prepare products with tokens so that the gradients of all of them are one product in the end.

    The gradient of a product with tokens is itself a product, of two thin matrices and as large as the tokens. For a
    few streams it costs as much to write as all else together, so it is not formed product by product and
    added up: the thin matrices are put side by side, and multiplied once.

    Args:
        tokens: Column tokens.
        n_streams: Number of streams that read them in each product.
        n_products: Number of products.

    Returns:
        One for each product; None where that is not for: on other devices than CPUs, in mixed precision, and where
        tokens need no gradient.
    """
    is_for_it = tokens.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
    if not is_for_it or not tokens.requires_grad or not torch.is_grad_enabled():
        return (None,) * n_products
    flat = _OneGradient.apply(tokens, n_streams, n_products)
    return tuple(GradientFactors(*flat[i : i + 2]) for i in range(0, 2 * n_products, 2))


class _OneGradient(torch.autograd.Function):
    """Return zeros whose gradients are the factors of the gradient of the tokens."""

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, n_streams: int, n_products: int) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        n_rows, n_columns, d_token = tokens.shape
        zero = tokens.new_zeros(())
        pair = ((n_rows, n_columns, n_streams), (n_rows, n_streams, d_token))
        return tuple(zero.expand(shape) for _ in range(n_products) for shape in pair)

    @staticmethod
    @once_differentiable
    def backward(_: Any, *gradients: Tensor | None) -> tuple[Tensor | None, None, None]:
        columns = [each for each in gradients[::2] if each is not None]
        streams = [each for each in gradients[1::2] if each is not None]
        if not columns:
            return None, None, None
        return torch.bmm(torch.cat(columns, dim=2), torch.cat(streams, dim=1)), None, None


class _ColumnScores(torch.autograd.Function):
    """Products of queries and tokens, columns first."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, tokens: Tensor, *factors: Tensor) -> Tensor:  # noqa: ARG004  # get gradients
        ctx.save_for_backward(query, tokens)
        return torch.bmm(tokens, query.transpose(1, 2))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, Tensor, Tensor]:
        query, tokens = ctx.saved_tensors
        return torch.bmm(gradient.transpose(1, 2), tokens), None, gradient, query


class _ColumnMixture(torch.autograd.Function):
    """Sums of tokens times weights."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, tokens: Tensor, *factors: Tensor) -> Tensor:  # noqa: ARG004  # get gradients
        ctx.save_for_backward(weights, tokens)
        return torch.bmm(weights, tokens)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, Tensor, Tensor]:
        weights, tokens = ctx.saved_tensors
        of_weights = torch.bmm(tokens, gradient.transpose(1, 2)).transpose(1, 2)
        return of_weights, None, weights.transpose(1, 2), gradient


def attention_weights(
    query: Float[Tensor, "batch stream d"],
    tokens: Float[Tensor, "batch column d"],
    factors: GradientFactors | None = None,
) -> Float[Tensor, "batch stream column"]:
    """Softmax over columns of the products of queries and tokens.

    The streams are kept on the last axis in memory: a softmax over any other axis is vectorized, which makes it ten
    times as fast for a dozen columns.

    Args:
        query: Queries in token space, divided by the square root of their width.
        tokens: Column tokens.
        factors: What carries the gradient of the tokens, see `gradient_factors`; None for the tokens themselves.

    Returns:
        Weights in [0, 1] that sum to 1 over the columns.

    Example:
        >>> import torch
        >>> weights = attention_weights(torch.zeros(1, 1, 2), torch.ones(1, 4, 2))
        >>> weights.tolist()
        [[[0.25, 0.25, 0.25, 0.25]]]

    Source: Vaswani et al. 2017, section 3.2.1.
    """
    if factors is None:
        scores = torch.bmm(tokens, query.transpose(1, 2))
    else:
        scores = _ColumnScores.apply(query, tokens.detach(), *factors)
    weights: Tensor = scores.softmax(dim=1)
    return weights.transpose(1, 2)


def read_columns(
    weights: Float[Tensor, "batch stream column"],
    tokens: Float[Tensor, "batch column d"],
    factors: GradientFactors | None = None,
) -> Float[Tensor, "batch stream d"]:
    """Mix the tokens by their weights.

    Args:
        weights: Attention weights, after dropout if there is any.
        tokens: Column tokens.
        factors: What carries the gradient of the tokens, see `gradient_factors`; None for the tokens themselves.

    Returns:
        What each stream read from each row, in token space.
    """
    if factors is None:
        return torch.bmm(weights, tokens)
    mixture: Tensor = _ColumnMixture.apply(weights, tokens.detach(), *factors)
    return mixture


def read_swapped(
    query: Float[Tensor, "batch swap stream d"],
    tokens: Float[Tensor, "batch column d"],
    others: Float[Tensor, "batch column d"],
    swaps: ColumnSwaps,
) -> Float[Tensor, "batch swap stream d"]:
    """What streams read from rows in which some columns at a time are those of another row.

    All swaps of a row are one product with its tokens, and only the scores of swapped columns are corrected.

    Args:
        query: Queries in token space, divided by the square root of their width, for each swap.
        tokens: Column tokens.
        others: Column tokens of the other rows.
        swaps: Which columns to swap.

    Returns:
        What each stream read, in token space.
    """
    columns, numbers = swaps.columns, swaps.numbers
    theirs, own = others[:, columns], tokens[:, columns]
    scores = torch.bmm(tokens, query.flatten(1, 2).transpose(1, 2)).unflatten(2, query.shape[1:3])
    scores[:, columns, numbers] = torch.einsum("bpsd,bpd->bps", query[:, numbers], theirs)
    weights = scores.softmax(dim=1)
    to_swapped = weights[:, columns, numbers]
    mixture = read_columns(weights.flatten(2).transpose(1, 2), tokens).unflatten(1, query.shape[1:3])
    changed: Tensor = mixture.index_add(1, numbers, to_swapped[..., None] * (theirs - own)[:, :, None])
    return changed


def carried_along(
    gradient: Float[Tensor, "batch stream d"],
    weights: Float[Tensor, "batch stream column"],
    tokens: Float[Tensor, "batch column d"],
) -> Float[Tensor, "batch stream column"]:
    """Product of a gradient with what each stream reads from each column: ``g . (a_i E_i)``.

    It is also attention times its gradient, ``a_i df/da_i``, because the stream reads ``sum_i a_i E_i``.

    Args:
        gradient: Gradient of an output with respect to what each stream read.
        weights: Attention weights.
        tokens: Column tokens.

    Returns:
        What each column adds to the output through each stream, to first order.
    """
    return torch.bmm(gradient, tokens.transpose(1, 2)) * weights


def reading_changes(
    gradient: Float[Tensor, "batch stream d"],
    mixture: Float[Tensor, "batch stream d"],
    weights: Float[Tensor, "batch stream column"],
    tokens: Float[Tensor, "batch column d"],
    other_weights: Float[Tensor, "batch stream column"],
    others: Float[Tensor, "batch column d"],
) -> Float[Tensor, "batch stream column"]:
    """Product of a gradient with how what each stream reads changes where one column is that of another row.

    The stream reads ``a'_i E'_i`` instead of ``a_i E_i`` from the column, and the mean ``m_i`` of all others more or
    less, since weights sum to one: ``g . (a'_i E'_i - a_i E_i - (a'_i - a_i) m_i)``, with
    ``m_i = (sum_j a_j E_j - a_i E_i) / (1 - a_i)``.

    Args:
        gradient: Gradient of an output with respect to what each stream read.
        mixture: What each stream read.
        weights: Attention weights.
        tokens: Column tokens.
        other_weights: Attention weights where the column is that of the other row.
        others: Column tokens of the other row.
    """
    own, theirs = carried_along(gradient, weights, tokens), carried_along(gradient, other_weights, others)
    rest = (gradient * mixture).sum(dim=2, keepdim=True) - own
    return theirs - own - (other_weights - weights) * rest / (1 - weights).clamp_min(LEAST_REST)


def value_norms(
    tokens: Float[Tensor, "batch column d"], w_output: Float[Tensor, "stream d d"]
) -> Float[Tensor, "batch stream column"]:
    """Norm of what each column would add to the CLS state if it got all the attention: ``||W_o E_i||``.

    Args:
        tokens: Column tokens.
        w_output: The part of the output matrix that belongs to each stream.

    Returns:
        Non-negative norms.

    Source: Kobayashi et al. 2020 (arXiv 2004.10102), section 3; here the value projection is part of ``W_o``.
    """
    return torch.stack([torch.linalg.vector_norm(tokens @ matrix, dim=-1) for matrix in w_output], dim=1)
