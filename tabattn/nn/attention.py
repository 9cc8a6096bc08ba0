"""Attention weights as pure functions of queries and column tokens.

Attention is a return value here. Nothing is stored, hooked or overwritten, and what is returned has not
been through dropout, so every row of weights sums to one.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def absorb_key_projection(
    query: Float[Tensor, "stream batch d_head"], w_key: Float[Tensor, "stream d_head d"]
) -> Float[Tensor, "batch stream d"]:
    """Move the key projection from the columns to the queries, and scale.

    ``(W_k E_i) . q = E_i . (W_k^T q)``: the left side projects every column, the right side only the query. Dividing
    by ``sqrt(d_head)`` is cheapest here too.

    Args:
        query: One query per stream (a head of a member) and row.
        w_key: The key projection of each stream.

    Returns:
        The scaled queries in token space, row first.
    """
    return torch.bmm(query / math.sqrt(query.shape[-1]), w_key).transpose(0, 1)


def attention_weights(
    query: Float[Tensor, "batch stream d"], tokens: Float[Tensor, "batch column d"]
) -> Float[Tensor, "batch stream column"]:
    """Softmax over columns of the products of queries and tokens.

    Args:
        query: Scaled queries in token space, see `absorb_key_projection`.
        tokens: Column tokens.

    Returns:
        Weights in [0, 1] that sum to 1 over the columns.

    Example:
        >>> import torch
        >>> weights = attention_weights(torch.zeros(1, 1, 2), torch.ones(1, 4, 2))
        >>> weights.tolist()
        [[[0.25, 0.25, 0.25, 0.25]]]

    Source: Vaswani et al. 2017, section 3.2.1.
    """
    return torch.bmm(query, tokens.transpose(1, 2)).softmax(dim=-1)


def read_columns(
    weights: Float[Tensor, "batch stream column"],
    tokens: Float[Tensor, "batch column d"],
    w_value: Float[Tensor, "stream d d_head"],
) -> Float[Tensor, "stream batch d_head"]:
    """Mix the tokens by their weights, then project the mixture.

    ``sum_i a_i (W_v E_i) = W_v (sum_i a_i E_i)``: the left side projects every column, the right only their mixture.

    Args:
        weights: Attention weights, after dropout if there is any.
        tokens: Column tokens.
        w_value: The value projection of each stream.

    Returns:
        What each stream read from the row, stream first.
    """
    return torch.bmm(torch.bmm(weights, tokens).transpose(0, 1), w_value)


def value_norms(
    tokens: Float[Tensor, "batch column d"],
    w_value: Float[Tensor, "stream d d_head"],
    w_output: Float[Tensor, "stream d_head d"],
) -> Float[Tensor, "batch stream column"]:
    """Length of what each column would add to the CLS state if it got all the attention: ``||W_o W_v E_i||``.

    ``W_o`` enters through the Cholesky factor of its Gram matrix, ``d_head`` wide instead of ``d``: the same
    length at less cost.

    Args:
        tokens: Column tokens.
        w_value: The value projection of each stream.
        w_output: The part of the output projection that belongs to each stream.

    Returns:
        Non-negative lengths.

    Source: Kobayashi et al. 2020 (arXiv 2004.10102), section 3.
    """
    gram = w_output.double() @ w_output.double().transpose(1, 2)
    jitter = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device) * 1e-12
    factor = torch.linalg.cholesky(gram + jitter)
    projection = (w_value.double() @ factor).to(tokens.dtype)
    n_streams, d, d_head = projection.shape
    values = tokens @ projection.permute(1, 0, 2).reshape(d, n_streams * d_head)
    norms: Tensor = torch.linalg.vector_norm(values.unflatten(-1, (n_streams, d_head)), dim=-1)
    return norms.transpose(1, 2)
