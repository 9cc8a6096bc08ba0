"""The default model for a table of numbers, where training or reading is timed without a fit."""

from tabattn import TabAttnRegressor
from tabattn.nn.model import ModelShape
from tabattn.nn.tokens import CellLayout


def default_shape(n_columns: int, n_members: int) -> ModelShape:
    """Return the sizes of the default regression of some numbers by members that share tokens."""
    defaults = TabAttnRegressor().get_params()
    sizes = ("n_layers", "n_heads", "d_token", "attention_dropout", "ffn_dropout")
    return ModelShape(
        encoder="class",
        layout=CellLayout(n_columns, (), ()),
        loss="squared",
        quantile=0.5,
        n_outputs=1,
        n_members=n_members,
        n_groups=1,
        **{name: defaults[name] for name in sizes},
    )
