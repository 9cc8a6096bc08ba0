"""The class-attention encoder: CLS states read column tokens that nothing ever changes.

Since no column token is updated, token i is column i in every layer, and attention to it is attention to X_i. The cost
is linear in the number of columns.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import layer_norm, relu

from tabattn.nn.attention import (
    ColumnSwaps,
    GradientFactors,
    attention_weights,
    gradient_factors,
    read_columns,
    read_swapped,
    value_norms,
)
from tabattn.nn.dropout import dropout
from tabattn.nn.expansion import Expansion, expand, read_swapped_nearly

FFN_WIDTH = 4 / 3


class MemberLinear(nn.Module):
    """One linear layer per member, applied in one batched product.

    Args:
        n_members: Number of members.
        d_in: Width of the input.
        d_out: Width of the output.
    """

    def __init__(self, n_members: int, d_in: int, d_out: int) -> None:
        super().__init__()
        bound = d_in**-0.5
        self.weight = nn.Parameter(torch.empty(n_members, d_in, d_out).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(n_members, 1, d_out))

    def forward(self, x: Float[Tensor, "member batch d_in"], scale: float = 1.0) -> Float[Tensor, "member batch d_out"]:
        """Apply each member's layer to its own input.

        Args:
            x: The inputs.
            scale: What the outputs are multiplied by.
        """
        return torch.baddbmm(self.bias, x, self.weight, beta=scale, alpha=scale)


@runtime_checkable
class Encoder(Protocol):
    """Interface of all kinds of encoder."""

    def predict(
        self, tokens: Float[Tensor, "group batch column d"]
    ) -> tuple[Float[Tensor, "member batch d"], tuple[Float[Tensor, "batch member head column"], ...]]:
        """Return the states that predict and, layer by layer, the attention that they paid to the columns.

        Args:
            tokens: Column tokens, normalized by `normalize`.
        """

    def swap_columns(
        self,
        tokens: Float[Tensor, "group batch column d"],
        others: Float[Tensor, "group batch column d"],
        swaps: ColumnSwaps,
    ) -> Float[Tensor, "member batch_swap d"]:
        """Return the states that predict rows in which some columns at a time are those of another row.

        Args:
            tokens: Column tokens, normalized by `normalize`.
            others: Those of the other rows.
            swaps: Which columns.
        """

    def between(
        self, tokens: Float[Tensor, "group batch column d"]
    ) -> Float[Tensor, "batch member layer head query column"] | None:
        """Return the attention of columns to columns before dropout; None where columns do not attend.

        Args:
            tokens: Column tokens, normalized by `normalize`.
        """

    def column_states(
        self, tokens: Float[Tensor, "group batch column d"]
    ) -> tuple[Float[Tensor, "member batch column d"], Float[Tensor, "member batch d"]]:
        """Return what each column can be reconstructed from, and the states that predict.

        Args:
            tokens: Column tokens, normalized by `normalize`.
        """


class Reading(NamedTuple):
    """What the streams of one layer, a head of a member each, read from the columns of some rows.

    Rows are numbered group by group, and the streams are those of one group, see `tabattn.nn.attention`.

    Args:
        weights: Attention, before dropout.
        mixture: The sum of the tokens times their weights, after dropout.
    """

    weights: Float[Tensor, "group_row stream column"]
    mixture: Float[Tensor, "group_row stream d"]


class ClassAttentionLayer(nn.Module):
    """Attention of the CLS states to the columns, then a feed-forward network, both residual.

    A head's query matrix and output matrix are full ``d x d`` matrices: they contain the key and the value projection,
    see `tabattn.nn.attention`.

    Args:
        n_groups: Number of groups of members; each reads its own tokens.
        n_members: Number of members, a multiple of `n_groups`; the first members are the first group.
        n_heads: Heads per member.
        d_token: Width of tokens and CLS states.
        attention_dropout: Fraction of attention weights dropped while training.
        ffn_dropout: Fraction of hidden feed-forward units dropped while training.

    Source: the products of projections as one matrix, Elhage et al. 2021 ("A Mathematical Framework for Transformer
        Circuits", QK and OV circuits); ReGLU, Shazeer 2020 (arXiv 2002.05202).
    """

    def __init__(
        self,
        n_groups: int,
        n_members: int,
        n_heads: int,
        d_token: int,
        attention_dropout: float,
        ffn_dropout: float,
    ) -> None:
        super().__init__()
        self.n_groups = n_groups
        self.n_heads = n_heads
        self.attention_dropout = attention_dropout
        self.ffn_dropout = ffn_dropout
        d_ffn = int(FFN_WIDTH * d_token)
        self.query = MemberLinear(n_members, d_token, n_heads * d_token)
        self.output = MemberLinear(n_members, n_heads * d_token, d_token)
        self.ffn_value = MemberLinear(n_members, d_token, d_ffn)
        self.ffn_gate = MemberLinear(n_members, d_token, d_ffn)
        self.ffn_out = MemberLinear(n_members, d_ffn, d_token)

    def forward(
        self,
        state: Float[Tensor, "member #batch d"],
        tokens: Float[Tensor, "group_row column d"],
        factors: tuple[GradientFactors | None, GradientFactors | None],
    ) -> tuple[Float[Tensor, "member batch d"], Reading]:
        """Return the new CLS states and what was read on the way.

        Args:
            state: CLS states; one for all rows where the rows do not differ yet.
            tokens: Column tokens, group by group.
            factors: What carries their gradient, for each of the two products with them.
        """
        weights = attention_weights(self._query(state, tokens.shape[0] // self.n_groups), tokens, factors[0])
        dropped = dropout(weights.transpose(1, 2), self.attention_dropout, self.training).transpose(1, 2)
        mixture = read_columns(dropped, tokens, factors[1])
        return self._updated(state, mixture), Reading(weights, mixture)

    def swap_columns(
        self,
        state: Float[Tensor, "member #batch_swap d"],
        tokens: Float[Tensor, "group batch column d"],
        others: Float[Tensor, "group batch column d"],
        swaps: ColumnSwaps,
    ) -> Float[Tensor, "member batch_swap d"]:
        """Return the new CLS states of rows in which some columns at a time are those of another row.

        Args:
            state: CLS states, for each row one per swap; one for all where they do not differ yet.
            tokens: Column tokens.
            others: Column tokens of the other rows.
            swaps: Which columns.
        """
        query = self._query(state, tokens.shape[1] * swaps.n_swaps)
        by_row = query.unflatten(0, (-1, swaps.n_swaps))
        mixture = read_swapped(by_row, tokens.flatten(0, 1), others.flatten(0, 1), swaps)
        return self._updated(state, mixture.flatten(0, 1))

    def expand(
        self, state: Float[Tensor, "member #batch d"], tokens: Float[Tensor, "group_row column d"], *, changes: bool
    ) -> tuple[Float[Tensor, "member batch d"], Expansion]:
        """Return the new CLS states, and what was read expanded around their queries.

        Args:
            state: CLS states; one for all rows where the rows do not differ yet.
            tokens: Column tokens, group by group.
            changes: Whether queries will change.
        """
        around = expand(self._query(state, tokens.shape[0] // self.n_groups), tokens, changes=changes)
        return self._updated(state, around.mean), around

    def swap_columns_nearly(
        self,
        state: Float[Tensor, "member #batch_swap d"],
        around: Expansion,
        tokens: Float[Tensor, "group batch column d"],
        others: Float[Tensor, "group batch column d"],
        swaps: ColumnSwaps,
    ) -> tuple[Float[Tensor, "member batch_swap d"], Float[Tensor, "group_row swap"]]:
        """Return what `swap_columns` does, expanded around the rows as they are, and what is neglected.

        Args:
            state: CLS states, for each row one per swap; one for all where they do not differ yet.
            around: What was read from the rows as they are.
            tokens: Column tokens.
            others: Column tokens of the other rows.
            swaps: Which columns.
        """
        query = self._query(state, tokens.shape[1] * swaps.n_swaps).unflatten(0, (-1, swaps.n_swaps))
        mixture, spread = read_swapped_nearly(query, around, tokens.flatten(0, 1), others.flatten(0, 1), swaps)
        return self._updated(state, mixture.flatten(0, 1)), spread

    def _updated(
        self, state: Float[Tensor, "member #batch d"], mixture: Float[Tensor, "group_row stream d"]
    ) -> Float[Tensor, "member batch d"]:
        """Return the new CLS states, given what the streams read from the columns."""
        state = state + self.output(self._merge_heads(mixture))
        normalized = normalize(state)
        hidden = self.ffn_value(normalized) * relu(self.ffn_gate(normalized))
        new: Tensor = state + self.ffn_out(dropout(hidden, self.ffn_dropout, self.training))
        return new

    def by_head(self, streams: Float[Tensor, "group_row stream column"]) -> Float[Tensor, "batch member head column"]:
        """Put values of rows and streams in the order of members and heads."""
        by_group: Tensor = streams.unflatten(0, (self.n_groups, -1))
        by_head: Tensor = by_group.transpose(0, 1).flatten(1, 2).unflatten(1, (-1, self.n_heads))
        return by_head

    def value_norms(self, tokens: Float[Tensor, "group batch column d"]) -> Float[Tensor, "batch member head column"]:
        """Return the norm of what each column would add to the CLS state, see `tabattn.nn.attention.value_norms`."""
        d_token = tokens.shape[-1]
        matrices = self.output.weight.reshape(self.n_groups, -1, d_token, d_token)
        norms = torch.cat([value_norms(*pair) for pair in zip(tokens, matrices, strict=True)], dim=1)
        by_head: Tensor = norms.unflatten(1, (-1, self.n_heads))
        return by_head

    def _query(
        self, state: Float[Tensor, "member #batch d"], n_rows: int | torch.SymInt
    ) -> Float[Tensor, "group_row group_stream d"]:
        """Put the queries of the heads of a group side by side, row by row; repeat them if all rows have the same."""
        query = self.query(normalize(state), scale=state.shape[-1] ** -0.5)
        heads: Tensor = query.unflatten(-1, (self.n_heads, -1)).unflatten(0, (self.n_groups, -1))
        return heads.transpose(1, 2).expand(-1, n_rows, -1, -1, -1).flatten(2, 3).flatten(0, 1)

    def _merge_heads(self, x: Float[Tensor, "group_row group_stream d"]) -> Float[Tensor, "member row heads_d"]:
        heads: Tensor = x.unflatten(0, (self.n_groups, -1)).unflatten(2, (-1, self.n_heads))
        return heads.flatten(3).transpose(1, 2).flatten(0, 1)


class ClassAttentionEncoder(nn.Module):
    """Independent members, each with a CLS state that reads the column tokens of its group layer after layer.

    Args:
        n_layers: Number of layers.
        n_groups: Number of groups of members; each reads its own tokens.
        n_members: Number of members, a multiple of `n_groups`.
        n_heads: Heads per member and layer.
        d_token: Width of tokens and CLS states.
        attention_dropout: Fraction of attention weights dropped while training.
        ffn_dropout: Fraction of hidden feed-forward units dropped while training.

    Source: class attention, Touvron et al. 2021 (arXiv 2103.17239), section 2.
    """

    def __init__(
        self,
        n_layers: int,
        n_groups: int,
        n_members: int,
        n_heads: int,
        d_token: int,
        attention_dropout: float,
        ffn_dropout: float,
    ) -> None:
        super().__init__()
        bound = d_token**-0.5
        self.cls = nn.Parameter(torch.empty(n_members, 1, d_token).uniform_(-bound, bound))
        self.layers = nn.ModuleList(
            ClassAttentionLayer(n_groups, n_members, n_heads, d_token, attention_dropout, ffn_dropout)
            for _ in range(n_layers)
        )

    def forward(
        self, tokens: Float[Tensor, "group batch column d"]
    ) -> tuple[Float[Tensor, "member batch d"], tuple[Reading, ...]]:
        """Return the last CLS states and, layer by layer, what was read from the columns.

        Args:
            tokens: Column tokens, normalized by `normalize`.
        """
        state: Tensor = self.cls
        readings = []
        layers, flat = tuple(self.class_layers()), tokens.flatten(0, 1)
        n_streams = len(self.cls) // len(tokens) * layers[0].n_heads
        factors = gradient_factors(flat, n_streams, 2 * len(layers))
        for i, layer in enumerate(layers):
            state, reading = layer(state, flat, factors[2 * i : 2 * i + 2])
            readings.append(reading)
        return normalize(state), tuple(readings)

    def predict(
        self, tokens: Float[Tensor, "group batch column d"]
    ) -> tuple[Float[Tensor, "member batch d"], tuple[Float[Tensor, "batch member head column"], ...]]:
        """Return the last CLS states and, layer by layer, the attention that they paid to the columns.

        Args:
            tokens: Column tokens, normalized by `normalize`.
        """
        state, readings = self(tokens)
        return state, self.by_head(reading.weights for reading in readings)

    def swap_columns(
        self,
        tokens: Float[Tensor, "group batch column d"],
        others: Float[Tensor, "group batch column d"],
        swaps: ColumnSwaps,
    ) -> Float[Tensor, "member batch_swap d"]:
        """Return the last CLS states of rows in which some columns at a time are those of another row.

        Args:
            tokens: Column tokens, normalized by `normalize`.
            others: Those of the other rows.
            swaps: Which columns.
        """
        state: Tensor = self.cls
        for layer in self.class_layers():
            state = layer.swap_columns(state, tokens, others, swaps)
        return normalize(state)

    def expand(self, tokens: Float[Tensor, "group batch column d"]) -> tuple[Expansion, ...]:
        """Return, layer by layer, what was read from the columns, expanded around the queries.

        Args:
            tokens: Column tokens, normalized by `normalize`.
        """
        state: Tensor = self.cls
        expansions = []
        for i, layer in enumerate(self.class_layers()):
            state, around = layer.expand(state, tokens.flatten(0, 1), changes=i > 0)
            expansions.append(around)
        return tuple(expansions)

    def swap_columns_nearly(
        self,
        tokens: Float[Tensor, "group batch column d"],
        others: Float[Tensor, "group batch column d"],
        swaps: ColumnSwaps,
        around: tuple[Expansion, ...],
    ) -> tuple[Float[Tensor, "member batch_swap d"], Float[Tensor, "batch swap"]]:
        """Return what `swap_columns` does, at a cost that does not grow with the columns, and what is neglected.

        Args:
            tokens: Column tokens, normalized by `normalize`.
            others: Those of the other rows.
            swaps: Which columns.
            around: What `expand` returned for the tokens.

        Returns:
            The last CLS states, and the largest variance over columns by which a swap moved scores in any layer.
        """
        state: Tensor = self.cls
        spreads = []
        for layer, each in zip(self.class_layers(), around, strict=True):
            state, spread = layer.swap_columns_nearly(state, each, tokens, others, swaps)
            spreads.append(spread.unflatten(0, tokens.shape[:2]).amax(dim=0))
        return normalize(state), torch.stack(spreads).amax(dim=0)

    def between(
        self,
        tokens: Float[Tensor, "group batch column d"],  # noqa: ARG002  # part of the protocol
    ) -> None:
        """Return None: columns do not attend to each other here."""
        return

    def column_states(
        self, tokens: Float[Tensor, "group batch column d"]
    ) -> tuple[Float[Tensor, "member batch column d"], Float[Tensor, "member batch d"]]:
        """Return the CLS states, for each column because columns have no states here, and once for the row.

        Args:
            tokens: Column tokens, normalized by `normalize`.
        """
        state, _ = self(tokens)
        return state[:, :, None].expand(-1, -1, tokens.shape[2], -1), state

    def by_head(
        self, streams: Iterable[Float[Tensor, "group_row stream column"]]
    ) -> tuple[Float[Tensor, "batch member head column"], ...]:
        """Put values of rows and streams of each layer in the order of members and heads."""
        pairs = zip(self.class_layers(), streams, strict=True)
        return tuple(layer.by_head(values) for layer, values in pairs)

    def value_norms(
        self, tokens: Float[Tensor, "group batch column d"]
    ) -> tuple[Float[Tensor, "batch member head column"], ...]:
        """Return, layer by layer, the norm of what each column would add to the CLS states."""
        return tuple(layer.value_norms(tokens) for layer in self.class_layers())

    def class_layers(self) -> Iterator[ClassAttentionLayer]:
        """Return the layers in order."""
        for layer in self.layers:
            assert isinstance(layer, ClassAttentionLayer)
            yield layer


def normalize(x: Float[Tensor, "*axes d"]) -> Float[Tensor, "*axes d"]:
    """Layer normalization without gain and bias: the linear maps that follow it contain both."""
    return layer_norm(x, x.shape[-1:])
