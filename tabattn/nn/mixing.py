"""Encoders whose columns attend to each other: BERT's, RoBERTa's, GPT's, XLNet's and T5's shapes over column tokens.

After the first layer the state of column i holds something of other columns too, so attention to it is not attention to
X_i alone. That is the price of the shape, and the reason why it is not the default.

Members are independent encoders side by side, applied in batched products. Where nobody reads the weights, attention is
torch's fused one; the weights of the one query that is recorded while training are computed separately.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn
from torch.nn.functional import relu, scaled_dot_product_attention

from tabattn.nn.attention import ColumnSwaps
from tabattn.nn.dropout import dropout
from tabattn.nn.encoder import FFN_WIDTH, MemberLinear, normalize

MixingKind = Literal["bert", "roberta", "gpt", "xlnet", "t5"]


@dataclass(frozen=True)
class Sizes:
    """Sizes of an encoder that mixes columns.

    Args:
        n_layers: Number of layers, of the encoder and of a decoder.
        n_members: Number of members.
        n_heads: Heads per member and layer.
        d_token: Width of tokens and states, divisible by `n_heads`.
        attention_dropout: Fraction of attention weights dropped while training.
        ffn_dropout: Fraction of hidden units dropped while training.
    """

    n_layers: int
    n_members: int
    n_heads: int
    d_token: int
    attention_dropout: float
    ffn_dropout: float

    def drawn_state(self) -> Tensor:
        """Return a random state for each member."""
        bound = self.d_token**-0.5
        return torch.empty(self.n_members, 1, 1, self.d_token).uniform_(-bound, bound)


class Mixed(NamedTuple):
    """States and attention of a mixing encoder for some rows.

    Args:
        state: The state that predicts.
        columns: The last states of the columns.
        attention: Layer by layer, the weights that the predicting state paid to the columns.
        between: Layer by layer, the weights of all states to all states, columns in the order that the body has them
            in and CLS last; empty where they were not asked for.
        cross: Layer by layer, the weights of a decoder to the columns, in the same order; empty where they were not
            asked for, or without a decoder.
        norms: Layer by layer, the norms of what each column adds to the predicting state if it gets all of its
            attention; empty where they were not asked for.
    """

    state: Float[Tensor, "member batch d"]
    columns: Float[Tensor, "member batch column d"]
    attention: tuple[Float[Tensor, "member batch head column"], ...]
    between: tuple[Float[Tensor, "member batch head state key"], ...]
    cross: tuple[Float[Tensor, "member batch head query column"], ...]
    norms: tuple[Float[Tensor, "member batch head column"], ...]


class MemberAttention(nn.Module):
    """Multi-head attention with separate weights for each member.

    Args:
        sizes: Sizes of the encoder.

    Source: Vaswani et al. 2017 (arXiv 1706.03762), section 3.2.2.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.n_heads = sizes.n_heads
        self.dropout_rate = sizes.attention_dropout
        self.query, self.key, self.value, self.output = (
            MemberLinear(sizes.n_members, sizes.d_token, sizes.d_token) for _ in range(4)
        )

    def forward(
        self,
        queries: Float[Tensor, "member batch query d"],
        states: Float[Tensor, "member batch key d"],
        visible: Bool[Tensor, "#batch #query key"] | None = None,
        *,
        with_weights: bool = False,
    ) -> tuple[Float[Tensor, "member batch query d"], Float[Tensor, "member batch head query key"] | None]:
        """Return what each query reads, and the weights before dropout if they are asked for.

        Args:
            queries: States that attend.
            states: States that are attended to.
            visible: Which states each query may attend to; None for all. A query that may attend to none reads
                nothing.
            with_weights: Whether to return the weights, which is slower.
        """
        query, key, value = (
            self._split(each, layer)
            for layer, each in ((self.query, queries), (self.key, states), (self.value, states))
        )
        mask = None
        if visible is not None:
            mask = (visible | ~visible.any(dim=-1, keepdim=True))[None, :, None]
        weights = None
        if with_weights:
            weights = self.attention_weights(query, key, mask)
            read = dropout(weights, self.dropout_rate, self.training) @ value
        else:
            read = _fused(query, key, value, mask, self.dropout_rate if self.training else 0.0)
        if visible is not None:
            read = read * visible.any(dim=-1)[None, :, None, :, None]
        merged = read.transpose(2, 3).flatten(3)
        return self._project(self.output, merged), weights

    def weights_of(
        self, queries: Float[Tensor, "member batch query d"], states: Float[Tensor, "member batch key d"]
    ) -> Float[Tensor, "member batch head query key"]:
        """Return the weights of queries that may attend to all states, and nothing else."""
        return self.attention_weights(self._split(queries, self.query), self._split(states, self.key), None)

    def norms(self, states: Float[Tensor, "member batch key d"]) -> Float[Tensor, "member batch head key"]:
        """Return the norm of what each state would add to a query that pays all attention to it.

        Source: Kobayashi et al. 2020 (arXiv 2004.10102), section 3.
        """
        value = self._split(states, self.value)
        per_head = self.output.weight.unflatten(1, (self.n_heads, -1))
        added = torch.einsum("mbhkd,mhde->mbhke", value, per_head)
        norms: Tensor = torch.linalg.vector_norm(added, dim=-1)
        return norms

    def attention_weights(
        self,
        query: Float[Tensor, "member batch head query d"],
        key: Float[Tensor, "member batch head key d"],
        mask: Bool[Tensor, "1 #batch 1 query key"] | None,
    ) -> Float[Tensor, "member batch head query key"]:
        """Return the softmax over keys of the scaled products of queries and keys.

        Args:
            query: Queries.
            key: Keys.
            mask: Which keys a query sees; None for all.
        """
        scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        weights: Tensor = scores.softmax(dim=-1)
        return weights

    def _split(self, states: Tensor, layer: MemberLinear) -> Tensor:
        heads: Tensor = self._project(layer, states).unflatten(-1, (self.n_heads, -1))
        return heads.transpose(2, 3)

    @staticmethod
    def _project(layer: MemberLinear, states: Tensor) -> Tensor:
        applied: Tensor = layer(states.flatten(1, 2)).unflatten(1, states.shape[1:3])
        return applied


def _fused(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout_rate: float) -> Tensor:
    """Attention without weights, members and rows on one axis: ONNX supports no other."""
    n_members = query.shape[0]
    if mask is not None:
        mask = mask[0] if mask.shape[1] == 1 else mask.expand(n_members, -1, -1, -1, -1).flatten(0, 1)
    query, key, value = (each.flatten(0, 1) for each in (query, key, value))
    read: Tensor = scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout_rate)
    by_member: Tensor = read.unflatten(0, (n_members, -1))
    return by_member


class FeedForward(nn.Module):
    """The feed-forward network of each member, residual, after a normalization.

    Args:
        sizes: Sizes of the encoder.

    Source: ReGLU, Shazeer 2020 (arXiv 2002.05202).
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        d_hidden = int(FFN_WIDTH * sizes.d_token)
        self.dropout_rate = sizes.ffn_dropout
        self.value = MemberLinear(sizes.n_members, sizes.d_token, d_hidden)
        self.gate = MemberLinear(sizes.n_members, sizes.d_token, d_hidden)
        self.out = MemberLinear(sizes.n_members, d_hidden, sizes.d_token)

    def forward(self, states: Float[Tensor, "member batch token d"]) -> Float[Tensor, "member batch token d"]:
        """Return the new states."""
        flat = states.flatten(1, 2)
        normal = normalize(flat)
        hidden = self.value(normal) * relu(self.gate(normal))
        new = flat + self.out(dropout(hidden, self.dropout_rate, self.training))
        by_token: Tensor = new.unflatten(1, states.shape[1:3])
        return by_token


class MixingLayer(nn.Module):
    """Attention of states to states, then a feed-forward network, both residual, each after a normalization.

    Args:
        sizes: Sizes of the encoder.

    Source: normalization first, Xiong et al. 2020 (arXiv 2002.04745).
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.attention = MemberAttention(sizes)
        self.ffn = FeedForward(sizes)

    def forward(
        self,
        queries: Float[Tensor, "member batch query d"],
        states: Float[Tensor, "member batch key d"],
        visible: Bool[Tensor, "#batch #query key"] | None = None,
        *,
        with_weights: bool = False,
    ) -> tuple[Float[Tensor, "member batch query d"], Float[Tensor, "member batch head query key"] | None]:
        """Return the new states of the queries, and the weights if they are asked for."""
        read, weights = self.attention(normalize(queries), normalize(states), visible, with_weights=with_weights)
        return self.ffn(queries + read), weights


class ColumnMixer(nn.Module):
    """Self-attention over columns and a CLS state: BERT's and RoBERTa's, GPT's and XLNet's shape.

    BERT, RoBERTa and XLNet let every state attend to all; GPT lets column j attend to those up to j in an order. CLS
    stands last, so that it sees all columns in GPT too; without an order, its place does not matter. The two
    streams of XLNet are for pretraining.

    Args:
        kind: Which of them.
        sizes: Sizes of the encoder.

    Source: Devlin et al. 2018 (arXiv 1810.04805); Radford et al. 2018 (Improving Language Understanding by Generative
        Pre-Training); Yang et al. 2019 (arXiv 1906.08237), section 2.3.
    """

    def __init__(self, kind: MixingKind, sizes: Sizes) -> None:
        super().__init__()
        self.kind = kind
        self.cls = nn.Parameter(sizes.drawn_state())
        self.layers = nn.ModuleList(MixingLayer(sizes) for _ in range(sizes.n_layers))
        self.query = nn.Parameter(sizes.drawn_state()) if kind == "xlnet" else None

    def forward(self, tokens: Float[Tensor, "member batch column d"], *, with_weights: bool = False) -> Mixed:
        """Return the last CLS states, the last states of the columns and the attention.

        Args:
            tokens: Column tokens in the order of the columns, for each member.
            with_weights: Whether to return all weights and norms, not only the weights of CLS.
        """
        n_columns = tokens.shape[2]
        states = torch.cat([tokens, self.cls.expand(-1, tokens.shape[1], -1, -1)], dim=2)
        visible = None
        if self.kind == "gpt":
            visible = torch.ones(n_columns + 1, n_columns + 1, dtype=torch.bool, device=tokens.device).tril()[None]
        attention, between, norms = [], [], []
        for layer in self._mixing_layers():
            normal = normalize(states)
            if with_weights:
                norms.append(layer.attention.norms(normal[:, :, :n_columns]))
            else:
                with torch.no_grad():
                    of_cls = layer.attention.weights_of(normal[:, :, n_columns:], normal)
                attention.append(of_cls[:, :, :, 0, :n_columns])
            states, weights = layer(states, states, visible, with_weights=with_weights)
            if weights is not None:
                between.append(weights)
                attention.append(weights[:, :, :, n_columns, :n_columns])
        last = normalize(states)
        columns = last[:, :, :n_columns]
        return Mixed(last[:, :, n_columns], columns, tuple(attention), tuple(between), (), tuple(norms))

    def two_streams(
        self,
        tokens: Float[Tensor, "member batch column d"],
        places: Float[Tensor, "member batch column d"],
        rank: Int[Tensor, "batch column"],
    ) -> tuple[Float[Tensor, "member batch column d"], Float[Tensor, "member batch column d"]]:
        """Return the last states of the content stream and of the query stream.

        Column i of the content stream sees the columns up to i in the order, itself included; that of the query stream
        those before i, and of itself only which column it is.

        Args:
            tokens: Column tokens.
            places: Tokens that identify the column, without its cell.
            rank: Place of each column in the order of each row.

        Source: Yang et al. 2019 (arXiv 1906.08237), section 2.3.
        """
        assert self.query is not None, "only XLNet has two streams"
        upto, before = rank[:, :, None] >= rank[:, None], rank[:, :, None] > rank[:, None]
        content, query = tokens, self.query + places
        for layer in self._mixing_layers():
            new_query, _ = layer(query, content, before)
            content, _ = layer(content, content, upto)
            query = new_query
        return normalize(content), normalize(query)

    def _mixing_layers(self) -> list[MixingLayer]:
        layers = []
        for layer in self.layers:
            assert isinstance(layer, MixingLayer)
            layers.append(layer)
        return layers


class DecoderLayer(nn.Module):
    """Attention of decoder states to those before them, to the encoder's, then a feed-forward network, all residual.

    Args:
        sizes: Sizes of the encoder.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.own = MemberAttention(sizes)
        self.cross = MemberAttention(sizes)
        self.ffn = FeedForward(sizes)

    def attend_to_own(self, states: Float[Tensor, "member batch query d"]) -> Float[Tensor, "member batch query d"]:
        """Return the states with what they read from those before them."""
        n_states = states.shape[2]
        visible = torch.ones(n_states, n_states, dtype=torch.bool, device=states.device).tril()[None]
        read, _ = self.own(normalize(states), normalize(states), visible)
        attended: Tensor = states + read
        return attended


class EncoderDecoder(nn.Module):
    """T5's shape: an encoder over the columns, and a decoder whose cross-attention to them is what is read.

    Columns have no distance, so there is no relative position bias.

    Args:
        sizes: Sizes of the encoder.

    Source: Raffel et al. 2020 (arXiv 1910.10683), section 2.1.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.cls = nn.Parameter(sizes.drawn_state())
        self.layers = nn.ModuleList(MixingLayer(sizes) for _ in range(sizes.n_layers))
        self.decoder = nn.ModuleList(DecoderLayer(sizes) for _ in range(sizes.n_layers))

    def forward(self, tokens: Float[Tensor, "member batch column d"], *, with_weights: bool = False) -> Mixed:
        """Return the decoder's state after its start token, the states of the columns and the cross-attention.

        Args:
            tokens: Column tokens, for each member.
            with_weights: Whether to return all weights and norms, not only those of the cross-attention.
        """
        columns, between = self.encode(tokens, with_weights=with_weights)
        start = self.cls.expand(-1, tokens.shape[1], -1, -1)
        states, cross, norms = self._decode(start, columns, with_weights=with_weights)
        attention = tuple(each[:, :, :, 0] for each in cross)
        return Mixed(states[:, :, 0], columns, attention, between, cross if with_weights else (), norms)

    def encode(
        self, tokens: Float[Tensor, "member batch column d"], *, with_weights: bool = False
    ) -> tuple[Float[Tensor, "member batch column d"], tuple[Float[Tensor, "member batch head query key"], ...]]:
        """Return the last states of the columns, normalized, and the weights between them if they are asked for."""
        states, between = tokens, []
        for layer in self.layers:
            states, weights = layer(states, states, with_weights=with_weights)
            if weights is not None:
                between.append(weights)
        return normalize(states), tuple(between)

    def generate(
        self, tokens: Float[Tensor, "member batch column d"], known: Float[Tensor, "member batch query d"]
    ) -> Float[Tensor, "member batch query d"]:
        """Return the decoder's states for each of some inputs, each of which sees those before it.

        Args:
            tokens: Column tokens, some of them sentinels.
            known: Inputs of the decoder.
        """
        columns, _ = self.encode(tokens)
        return self._decode(known, columns, with_weights=False)[0]

    def _decode(
        self, states: Tensor, columns: Tensor, *, with_weights: bool
    ) -> tuple[Tensor, tuple[Tensor, ...], tuple[Tensor, ...]]:
        cross, norms = [], []
        for layer in self.decoder:
            assert isinstance(layer, DecoderLayer)
            states = layer.attend_to_own(states)
            normal = normalize(states)
            read, weights = layer.cross(normal, columns, with_weights=with_weights)
            if weights is None:
                with torch.no_grad():
                    weights = layer.cross.weights_of(normal[:, :, :1], columns)
            else:
                norms.append(layer.cross.norms(columns))
            cross.append(weights)
            states = layer.ffn(states + read)
        return normalize(states), tuple(cross), tuple(norms)


class MixingEncoder(nn.Module):
    """One of the shapes above, seen as an encoder of the tokens of groups of members, like `ClassAttentionEncoder`.

    Args:
        body: The shape.
        n_groups: Number of groups of members; each reads its own tokens.
        n_members: Number of members, a multiple of `n_groups`.
        order: Columns in the order that the body has them in; empty for their own.
    """

    def __init__(
        self, body: ColumnMixer | EncoderDecoder, n_groups: int, n_members: int, order: tuple[int, ...] = ()
    ) -> None:
        super().__init__()
        self.body = body
        self.n_repeats = n_members // n_groups
        self.register_buffer("order", torch.tensor(order, dtype=torch.long) if order else None, persistent=False)
        self.register_buffer("place", torch.tensor(order).argsort() if order else None, persistent=False)

    order: Tensor | None
    place: Tensor | None

    def by_member(self, tokens: Shaped[Tensor, "group batch column d"]) -> Shaped[Tensor, "member batch column d"]:
        """Give each member the tokens of its group."""
        repeated: Tensor = tokens.repeat_interleave(self.n_repeats, dim=0) if self.n_repeats > 1 else tokens
        return repeated

    def predict(
        self, tokens: Float[Tensor, "group batch column d"]
    ) -> tuple[Float[Tensor, "member batch d"], tuple[Float[Tensor, "batch member head column"], ...]]:
        """Return the states that predict and, layer by layer, the attention that they paid to the columns.

        Args:
            tokens: Column tokens, normalized.
        """
        mixed: Mixed = self.body(self._in_order(self.by_member(tokens)))
        return mixed.state, tuple(self.columns_in_own_order(each).transpose(0, 1) for each in mixed.attention)

    def mix(self, tokens: Float[Tensor, "member batch column d"]) -> Mixed:
        """Return the states of CLS and of the columns, these in their own order.

        Args:
            tokens: Column tokens of each member, normalized.
        """
        mixed: Mixed = self.body(self._in_order(tokens))
        return mixed if self.place is None else mixed._replace(columns=mixed.columns[:, :, self.place])

    def read(self, tokens: Float[Tensor, "member batch column d"]) -> Mixed:
        """Return everything, attention and norms with columns in their own order.

        Args:
            tokens: Column tokens of each member, normalized.
        """
        mixed: Mixed = self.body(self._in_order(tokens), with_weights=True)
        attention, norms = (
            tuple(self.columns_in_own_order(each) for each in values) for values in (mixed.attention, mixed.norms)
        )
        return mixed._replace(attention=attention, norms=norms)

    def swap_columns(
        self,
        tokens: Float[Tensor, "group batch column d"],
        others: Float[Tensor, "group batch column d"],
        swaps: ColumnSwaps,
    ) -> Float[Tensor, "member batch_swap d"]:
        """Return the states that predict rows in which some columns at a time are those of another row.

        Args:
            tokens: Column tokens, normalized.
            others: Those of the other rows.
            swaps: Which columns.
        """
        changed = tokens[:, :, None].expand(-1, -1, swaps.n_swaps, -1, -1).clone()
        theirs = others[:, :, swaps.columns]
        changed[:, :, swaps.numbers, swaps.columns] = theirs
        return self.predict(changed.flatten(1, 2))[0]

    def between(
        self, tokens: Float[Tensor, "group batch column d"]
    ) -> Float[Tensor, "batch member layer head query column"]:
        """Return the attention of columns to columns before dropout, columns in their own order.

        Args:
            tokens: Column tokens, normalized.

        Returns:
            Weights; where states attend to CLS too, the weights of a query sum to less than 1.
        """
        n_columns = tokens.shape[2]
        between = torch.stack(self.read(self.by_member(tokens)).between, dim=2)
        by_key = self.columns_in_own_order(between[..., :n_columns, :n_columns])
        return self.columns_in_own_order(by_key.transpose(-1, -2)).transpose(-1, -2).transpose(0, 1)

    def column_states(
        self, tokens: Float[Tensor, "group batch column d"]
    ) -> tuple[Float[Tensor, "member batch column d"], Float[Tensor, "member batch d"]]:
        """Return the last states of the columns, and the states that predict.

        Args:
            tokens: Column tokens, normalized.
        """
        mixed = self.mix(self.by_member(tokens))
        return mixed.columns, mixed.state

    def columns_in_own_order(self, values: Float[Tensor, "*axes column"]) -> Float[Tensor, "*axes column"]:
        """Put values of columns, which are in the body's order, in the order of the columns."""
        return values if self.place is None else values[..., self.place]

    def _in_order(self, tokens: Tensor) -> Tensor:
        return tokens if self.order is None else tokens[:, :, self.order]


def mixing_body(kind: MixingKind, sizes: Sizes) -> ColumnMixer | EncoderDecoder:
    """Build the shape of a kind.

    Args:
        kind: Which.
        sizes: Sizes of the encoder.
    """
    return EncoderDecoder(sizes) if kind == "t5" else ColumnMixer(kind, sizes)
