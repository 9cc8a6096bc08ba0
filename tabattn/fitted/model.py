"""What a fit has learned, to numbers and text and back."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch

from tabattn.encoding.preprocessing import Preprocessor
from tabattn.encoding.target import ClassEncoding, LabelEncoding, NumberEncoding, TargetEncoding
from tabattn.fitted.files import SavedState, model_state, restore_model
from tabattn.importance.background import N_BACKGROUND
from tabattn.nn.losses import LossName
from tabattn.nn.model import ModelShape, TabAttnModel
from tabattn.nn.tokens import Cells
from tabattn.table.schema import TableSchema

Array = np.ndarray[Any, np.dtype[Any]]
MODES, PRETRAINING_MODES = ("train", "eval"), ("train", "validation")
ENCODINGS: Mapping[str, tuple[type[TargetEncoding], frozenset[LossName]]] = {
    "numbers": (NumberEncoding, frozenset({"squared", "absolute", "pinball", "poisson"})),
    "classes": (ClassEncoding, frozenset({"classes"})),
    "labels": (LabelEncoding, frozenset({"labels"})),
}


@dataclass(frozen=True)
class Fitted:
    """All that a fit has learned.

    Args:
        preprocessor: What the columns hold.
        target: What the target is.
        model: The trained model.
        background: Rows that others are compared with.
        importances: Importance of each column of the table.
        history: Attention to each column of the table, by mode, shape (epoch, column).
        pretraining: Loss of each epoch of pretraining, by mode, shape (epoch,); empty if there was none.
        feature_names: Names that fit was given, None for an array.
        best_epoch: Epoch of the weights, counted from 1.
        best_loss: Validation loss at that epoch.
        hold_out_seed: Determines which rows each member holds out.
    """

    preprocessor: Preprocessor
    target: TargetEncoding
    model: TabAttnModel
    background: Cells
    importances: Array
    history: Mapping[str, Array]
    pretraining: Mapping[str, Array]
    feature_names: tuple[str, ...] | None
    best_epoch: int
    best_loss: float
    hold_out_seed: int

    @property
    def state(self) -> SavedState:
        """The same as settings and arrays."""
        model = model_state(self.model)
        arrays = {
            **model.arrays,
            **{f"preprocessor.{name}": torch.tensor(array) for name, array in self.preprocessor.arrays.items()},
            "importances": torch.tensor(self.importances),
            **{f"history.{mode}": torch.tensor(self.history[mode]) for mode in MODES},
            **{f"pretraining.{mode}": torch.tensor(losses) for mode, losses in self.pretraining.items()},
            "background.numeric": self.background.numeric,
            "background.codes": self.background.codes,
        }
        if self.background.missing is not None:
            arrays["background.missing"] = self.background.missing
        kind = next(name for name, (encoding, _) in ENCODINGS.items() if isinstance(self.target, encoding))
        settings = {
            "schema": self.preprocessor.schema.settings,
            "sizes": model.settings,
            "target": {"kind": kind, **self.target.settings},
            "feature_names": None if self.feature_names is None else list(self.feature_names),
            "best_epoch": self.best_epoch,
            "best_loss": self.best_loss,
            "hold_out_seed": self.hold_out_seed,
        }
        return SavedState(settings, arrays)

    @classmethod
    def from_state(cls, state: SavedState) -> Self:
        """Return what was saved.

        Args:
            state: What `state` returned.

        Raises:
            ValueError, KeyError, TypeError: Its parts do not fit together.
        """
        settings, arrays = state.settings, state.arrays
        schema = TableSchema.from_settings(settings["schema"])
        learned = {
            name.removeprefix("preprocessor."): array.numpy()
            for name, array in arrays.items()
            if name.startswith("preprocessor.")
        }
        preprocessor = Preprocessor.from_arrays(schema, learned)
        encoding, losses = ENCODINGS[settings["target"]["kind"]]
        target = encoding.from_settings(settings["target"])
        model = restore_model(settings["sizes"], arrays)
        shape = model.shape
        sizes = (shape.n_numeric, shape.n_parts, shape.n_levels, shape.n_outputs)
        if sizes != (*preprocessor.sizes, target.n_outputs) or shape.loss not in losses:
            raise ValueError("the model does not belong to these columns, or not to this target")
        n_features = len(schema.columns)
        history = {mode: arrays[f"history.{mode}"].double().numpy() for mode in MODES}
        n_epochs = len(history["train"])
        if any(each.shape != (n_epochs, n_features) for each in history.values()):
            raise ValueError("there must be attention to each column in each epoch")
        pretraining = {
            mode: arrays[f"pretraining.{mode}"].double().numpy()
            for mode in PRETRAINING_MODES
            if f"pretraining.{mode}" in arrays
        }
        if len({each.shape for each in pretraining.values()}) > 1 or any(
            each.ndim != 1 for each in pretraining.values()
        ):
            raise ValueError("there must be a loss of each epoch of pretraining")
        importances = arrays["importances"].double().numpy()
        if importances.shape != (n_features,):
            raise ValueError("there must be an importance for each column")
        kept = (*history.values(), importances, *preprocessor.arrays.values())
        if not all(np.isfinite(each).all() for each in kept):
            raise ValueError("numbers must be finite")
        names = settings["feature_names"]
        if names is not None and len(names) != n_features:
            raise ValueError("there must be a name for each column")
        background = Cells(arrays["background.numeric"], arrays["background.codes"], arrays.get("background.missing"))
        _check_cells(background, shape)
        return cls(
            preprocessor=preprocessor,
            target=target,
            model=model,
            background=background,
            importances=importances,
            history=history,
            pretraining=pretraining,
            feature_names=None if names is None else tuple(str(name) for name in names),
            best_epoch=int(settings["best_epoch"]),
            best_loss=float(settings["best_loss"]),
            hold_out_seed=int(settings["hold_out_seed"]),
        )


def parameters_as_json(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a constructor as JSON can hold them: a source of random numbers is left out.

    Args:
        parameters: Numbers, text, None, or sequences or mappings of them.
    """
    held: dict[str, Any] = {}
    for name, value in parameters.items():
        if isinstance(value, Mapping):
            held[name] = {"pairs": [[_as_number(key), _as_number(each)] for key, each in value.items()]}
        elif not isinstance(value, str) and isinstance(value, Iterable):
            held[name] = [_as_number(each) for each in value]
        else:
            held[name] = None if isinstance(value, np.random.RandomState) else _as_number(value)
    return held


def parameters_from_json(held: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `parameters_as_json` was given.

    Args:
        held: What it returned.
    """
    return {name: dict(value["pairs"]) if isinstance(value, Mapping) else value for name, value in held.items()}


def _as_number(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _check_cells(cells: Cells, shape: ModelShape) -> None:
    """Refuse cells that a model of this shape can't read.

    Raises:
        ValueError: They are too many, or of other columns.
    """
    n_rows = len(cells)
    levels = torch.tensor(shape.n_levels, dtype=torch.long)
    is_whole = (
        0 < n_rows <= N_BACKGROUND
        and cells.numeric.shape == (n_rows, shape.n_numeric + sum(shape.n_parts))
        and cells.codes.shape == (n_rows, len(shape.n_levels))
        and cells.numeric.dtype == torch.float32
        and cells.codes.dtype == torch.int64
        and bool(cells.numeric.isfinite().all())
        and bool(((cells.codes >= 0) & (cells.codes < levels)).all())
    )
    mask = cells.missing
    if not is_whole or not (mask is None or (mask.shape == (n_rows, shape.n_columns) and mask.dtype == torch.bool)):
        raise ValueError("the rows to compare with are of other columns")
