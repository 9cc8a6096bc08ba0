"""Tokens, encoder and head in one module: cells in, predictions and attention out."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import relu

from tabattn.choices import EncoderKind
from tabattn.nn.attention import ColumnSwaps
from tabattn.nn.encoder import ClassAttentionEncoder, Encoder, MemberLinear, normalize
from tabattn.nn.losses import LossName, loss_of
from tabattn.nn.mixing import MixingEncoder, Sizes, mixing_body
from tabattn.nn.tokens import CellLayout, Cells, ColumnTokens


@dataclass(frozen=True)
class ModelShape:
    """Everything that determines the parameters of a `TabAttnModel`, but not their values.

    Args:
        encoder: Kind of encoder.
        layout: The columns.
        loss: What the outputs mean and cost, see `tabattn.nn.losses`.
        quantile: Of the loss "pinball".
        n_outputs: Outputs per row: one for each target of a regression, one for each class or label.
        n_layers: Number of layers.
        n_members: Number of members.
        n_groups: Number of groups of members; a group shares its column tokens. Divides `n_members`.
        n_heads: Heads per member and layer.
        d_token: Width of a token.
        attention_dropout: Fraction of attention weights dropped while training, in [0, 1).
        ffn_dropout: Fraction of hidden feed-forward units dropped while training, in [0, 1).
        order: Columns in the order in which an encoder that depends on it reads them; empty for their own.
    """

    encoder: EncoderKind
    layout: CellLayout
    loss: LossName
    quantile: float
    n_outputs: int
    n_layers: int
    n_members: int
    n_groups: int
    n_heads: int
    d_token: int
    attention_dropout: float
    ffn_dropout: float
    order: tuple[int, ...] = ()

    @property
    def n_columns(self) -> int:
        """Number of columns."""
        return self.layout.n_columns

    @property
    def mixes_columns(self) -> bool:
        """Whether columns attend to each other."""
        return self.encoder != "class"

    @property
    def n_weights_per_row(self) -> int:
        """Attention weights of one row, when all of them are read."""
        n_by_head = self.n_columns if self.encoder == "class" else (self.n_columns + 1) ** 2
        return self.n_layers * self.n_members * self.n_heads * n_by_head

    @property
    def n_numbers_per_swap(self) -> int:
        """Numbers that one row takes for each swap of columns, in a layer."""
        if self.encoder == "class":
            return self.n_members * self.n_heads * (self.n_columns + self.d_token)
        return self.n_members * self.n_columns * 4 * self.d_token


class ModelOutput(NamedTuple):
    """What the model predicts for some rows, and what it attended to.

    Args:
        prediction: Outputs of each member: standardized targets, log rates, log odds or logits.
        attention: Layer by layer, the attention that each CLS state paid to each column (numeric columns first), before
            dropout.
    """

    prediction: Float[Tensor, "batch member output"]
    attention: tuple[Float[Tensor, "batch member head column"], ...]


class TabAttnModel(nn.Module):
    """Column tokens, class-attention encoder and one linear head per member.

    Args:
        shape: Sizes of all parts.

    Example:
        >>> import torch
        >>> shape = ModelShape(
        ...     encoder="class", layout=CellLayout(2, (), (3,)), loss="squared", quantile=0.5, n_outputs=1,
        ...     n_layers=2, n_members=4, n_groups=1, n_heads=2, d_token=8, attention_dropout=0.0, ffn_dropout=0.0)
        >>> cells = Cells(torch.randn(5, 2), torch.zeros(5, 1, dtype=torch.long), missing=None)
        >>> output = TabAttnModel(shape)(cells)
        >>> output.prediction.shape, len(output.attention), output.attention[0].shape
        (torch.Size([5, 4, 1]), 2, torch.Size([5, 4, 2, 3]))
    """

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.shape = shape
        self.loss = loss_of(shape.loss, shape.quantile)
        self.tokens = ColumnTokens(shape.n_groups, shape.layout, shape.d_token)
        self.encoder: Encoder = build_encoder(shape)
        self.head = MemberLinear(shape.n_members, shape.d_token, shape.n_outputs)

    def of_group(self, group: int) -> "TabAttnModel":
        """Return the members of one group as a model of their own, in eval mode.

        Args:
            group: Number of the group, from 0 on.
        """
        shape = self.shape
        model = TabAttnModel(replace(shape, n_members=shape.n_members // shape.n_groups, n_groups=1))
        parts = {name: each.unflatten(0, (shape.n_groups, -1))[group] for name, each in self.state_dict().items()}
        model.load_state_dict(parts)
        return model.eval()

    def forward(self, cells: Cells) -> ModelOutput:
        """Predict some rows and return the attention that the prediction came from."""
        return self.predict(self.embed(cells))

    def predict(self, tokens: Float[Tensor, "group batch column d"]) -> ModelOutput:
        """Predict rows by their tokens, as `forward` does by their cells.

        Args:
            tokens: What `embed` returned.
        """
        state, attention = self.encoder.predict(tokens)
        return ModelOutput(self.outputs(state), attention)

    def embed(self, cells: Cells) -> Float[Tensor, "group batch column d"]:
        """Return the column tokens as all layers read them."""
        return normalize(self.tokens(cells))

    def swap_columns(
        self,
        tokens: Float[Tensor, "group batch column d"],
        others: Float[Tensor, "group batch column d"],
        swaps: ColumnSwaps,
    ) -> Float[Tensor, "batch swap member output"]:
        """Predict rows in which some columns at a time are those of another row.

        Args:
            tokens: What `embed` returned.
            others: The same of the other rows.
            swaps: Which columns.
        """
        prediction = self.outputs(self.encoder.swap_columns(tokens, others, swaps))
        by_row: Tensor = prediction.unflatten(0, (tokens.shape[1], -1))
        return by_row

    def expanded_swaps(
        self, tokens: Float[Tensor, "group batch column d"], others: Float[Tensor, "group batch column d"]
    ) -> Callable[[ColumnSwaps], tuple[Float[Tensor, "batch swap member output"], Float[Tensor, "batch swap"]]]:
        """Return a function that predicts what `swap_columns` does, expanded around the rows as they are.

        Args:
            tokens: What `embed` returned.
            others: The same of the other rows.

        Returns:
            Takes the swaps; returns the predictions, and the largest variance over columns by which each swap moves
            scores of attention: what is neglected is of that order.
        """
        encoder = self.encoder
        assert isinstance(encoder, ClassAttentionEncoder), (
            "where columns attend to each other, a swap changes all states"
        )
        around = encoder.expand(tokens)

        def predict(swaps: ColumnSwaps) -> tuple[Tensor, Tensor]:
            state, spread = encoder.swap_columns_nearly(tokens, others, swaps, around)
            return self.outputs(state).unflatten(0, (tokens.shape[1], -1)), spread

        return predict

    def outputs(self, state: Float[Tensor, "member batch d"]) -> Float[Tensor, "batch member output"]:
        """Return the outputs of the states that predict.

        Args:
            state: What the encoder returned.
        """
        prediction: Tensor = self.head(relu(state)).transpose(0, 1)
        return prediction


def build_encoder(shape: ModelShape) -> Encoder:
    """Build the encoder of a model.

    Args:
        shape: Sizes of all parts.
    """
    sizes = Sizes(
        n_layers=shape.n_layers,
        n_members=shape.n_members,
        n_heads=shape.n_heads,
        d_token=shape.d_token,
        attention_dropout=shape.attention_dropout,
        ffn_dropout=shape.ffn_dropout,
    )
    if shape.encoder == "class":
        return ClassAttentionEncoder(n_groups=shape.n_groups, **asdict(sizes))
    return MixingEncoder(mixing_body(shape.encoder, sizes), shape.n_groups, shape.n_members, shape.order)
