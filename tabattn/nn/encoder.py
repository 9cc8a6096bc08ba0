"""The class-attention encoder: CLS states read column tokens that nothing ever changes.

Since no column token is updated, token i is column i in every layer, and attention to it is attention to X_i. The cost
is linear in the number of columns.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import layer_norm, relu

from tabattn.nn.attention import attention_weights, read_columns, value_norms
from tabattn.nn.dropout import dropout

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

    def forward(self, x: Float[Tensor, "member batch d_in"]) -> Float[Tensor, "member batch d_out"]:
        """Apply each member's layer to its own input."""
        return torch.baddbmm(self.bias, x, self.weight)


class ClassAttentionLayer(nn.Module):
    """Attention of the CLS states to the columns, then a feed-forward network, both residual.

    A head's query matrix and output matrix are whole ``d x d`` matrices: they contain the key and the value projection,
    see `tabattn.nn.attention`.

    Args:
        n_members: Number of members.
        n_heads: Heads per member.
        d_token: Width of tokens and CLS states.
        attention_dropout: Share of attention weights dropped while training.
        ffn_dropout: Share of hidden feed-forward units dropped while training.

    Source: the products of projections as one matrix, Elhage et al. 2021 ("A Mathematical Framework for Transformer
        Circuits", QK and OV circuits); ReGLU, Shazeer 2020 (arXiv 2002.05202).
    """

    def __init__(
        self, n_members: int, n_heads: int, d_token: int, attention_dropout: float, ffn_dropout: float
    ) -> None:
        super().__init__()
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
        self, state: Float[Tensor, "member #batch d"], tokens: Float[Tensor, "batch column d"]
    ) -> tuple[Float[Tensor, "member batch d"], Float[Tensor, "batch member head column"]]:
        """Return the new CLS states and the attention that they paid, before dropout.

        Args:
            state: CLS states; one for all rows where the rows do not differ yet.
            tokens: Column tokens.
        """
        query = self._split_heads(self.query(_normalize(state))).expand(len(tokens), -1, -1)
        weights = attention_weights(query, tokens)
        read = read_columns(dropout(weights, self.attention_dropout, self.training), tokens)
        state = state + self.output(self._merge_heads(read))
        normalized = _normalize(state)
        hidden = self.ffn_value(normalized) * relu(self.ffn_gate(normalized))
        state = state + self.ffn_out(dropout(hidden, self.ffn_dropout, self.training))
        return state, weights.unflatten(1, (-1, self.n_heads))

    def value_norms(self, tokens: Float[Tensor, "batch column d"]) -> Float[Tensor, "batch member head column"]:
        """Return the length of what each column would add to the CLS state, see `tabattn.nn.attention.value_norms`."""
        d_token = tokens.shape[-1]
        norms = value_norms(tokens, self.output.weight.reshape(-1, d_token, d_token))
        by_head: Tensor = norms.unflatten(1, (-1, self.n_heads))
        return by_head

    def _split_heads(self, x: Float[Tensor, "member rows heads_d"]) -> Float[Tensor, "rows stream d"]:
        heads: Tensor = x.unflatten(-1, (self.n_heads, -1))
        return heads.transpose(0, 1).flatten(1, 2)

    def _merge_heads(self, x: Float[Tensor, "batch stream d"]) -> Float[Tensor, "member batch heads_d"]:
        heads: Tensor = x.unflatten(1, (-1, self.n_heads))
        return heads.flatten(2).transpose(0, 1)


class ClassAttentionEncoder(nn.Module):
    """Independent members, each with a CLS state that reads the same column tokens layer after layer.

    Args:
        n_layers: Number of layers.
        n_members: Number of members.
        n_heads: Heads per member and layer.
        d_token: Width of tokens and CLS states.
        attention_dropout: Share of attention weights dropped while training.
        ffn_dropout: Share of hidden feed-forward units dropped while training.

    Source: class attention, Touvron et al. 2021 (arXiv 2103.17239), section 2.
    """

    def __init__(
        self,
        n_layers: int,
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
            ClassAttentionLayer(n_members, n_heads, d_token, attention_dropout, ffn_dropout) for _ in range(n_layers)
        )

    def forward(
        self, tokens: Float[Tensor, "batch column d"]
    ) -> tuple[Float[Tensor, "member batch d"], tuple[Float[Tensor, "batch member head column"], ...]]:
        """Return the last CLS states and, layer by layer, the attention paid to each column, before dropout."""
        normalized = _normalize(tokens)
        state = self.cls
        attention = []
        for layer in self.layers:
            state, weights = layer(state, normalized)
            attention.append(weights)
        return _normalize(state), tuple(attention)

    def value_norms(
        self, tokens: Float[Tensor, "batch column d"]
    ) -> tuple[Float[Tensor, "batch member head column"], ...]:
        """Return, layer by layer, the length of what each column would add to the CLS states."""
        normalized = _normalize(tokens)
        return tuple(layer.value_norms(normalized) for layer in self._class_layers())

    def _class_layers(self) -> Iterator[ClassAttentionLayer]:
        for layer in self.layers:
            assert isinstance(layer, ClassAttentionLayer)
            yield layer


def _normalize(x: Float[Tensor, "*axes d"]) -> Float[Tensor, "*axes d"]:
    """Layer normalization without gain and bias: the linear maps that follow it contain both."""
    return layer_norm(x, x.shape[-1:])
