"""A fitted model as numbers and text, which a file can hold, and back."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from tabattn.encoding.preprocessing import Preprocessor
from tabattn.encoding.rows import RowEncoder
from tabattn.encoding.target import ClassEncoding, LabelEncoding, NumberEncoding, TargetEncoding
from tabattn.fitted.files import SavedState
from tabattn.fitted.record import HeldOutRecord
from tabattn.importance.background import N_BACKGROUND
from tabattn.nn.model import ModelShape, TabAttnModel
from tabattn.nn.tokens import CellLayout, Cells
from tabattn.process_state import exclusive
from tabattn.table.schema import TableSchema

if TYPE_CHECKING:
    from tabattn.fitted.model import FittedModel

MODEL, PREPROCESSOR, BACKGROUND = "model.", "preprocessor.", "background."
MIN_WEIGHTS_PER_LAYER, N_CHECKED_ROWS = 8, 32
MODES, PRETRAINING_MODES = ("train", "eval"), ("train", "validation")
ENCODINGS: Mapping[str, type[TargetEncoding]] = {
    "numbers": NumberEncoding,
    "classes": ClassEncoding,
    "labels": LabelEncoding,
}


def state_of(fitted: "FittedModel") -> SavedState:
    """Return a fitted model as settings and arrays.

    Args:
        fitted: The model.
    """
    preprocessor, target, history = fitted.encoder.preprocessor, fitted.encoder.target, fitted.history
    background = {"numeric": fitted.background.numeric, "codes": fitted.background.codes}
    if fitted.background.missing is not None:
        background["missing"] = fitted.background.missing
    arrays = {
        **{MODEL + name: value for name, value in fitted.model.state_dict().items()},
        **{PREPROCESSOR + name: torch.tensor(array) for name, array in preprocessor.arrays.items()},
        **{BACKGROUND + name: value for name, value in background.items()},
        **{f"history.{mode}": torch.tensor(history.attention[mode]) for mode in MODES},
        **{f"pretraining.{mode}": torch.tensor(losses) for mode, losses in history.pretraining.items()},
        "importances": torch.tensor(fitted.importances),
    }
    kind = next(name for name, encoding in ENCODINGS.items() if isinstance(target, encoding))
    settings = {
        "schema": preprocessor.schema.settings,
        "cell_rules": preprocessor.schema.rule_settings,
        "sizes": asdict(fitted.model.shape),
        "target": {"kind": kind, **target.settings},
        "feature_names": None if fitted.feature_names is None else list(fitted.feature_names),
        "best_epoch": history.best_epoch,
        "best_loss": history.best_loss,
        "hold_out_seed": fitted.hold_out_seed,
        "record": None if fitted.record is None else fitted.record.settings,
    }
    return SavedState(settings, arrays)


def restored_parts(state: SavedState) -> dict[str, Any]:
    """Return the arguments of the `FittedModel` whose `state_of` this is, `history` as those of a `FitHistory`.

    Args:
        state: What `state_of` returned.

    Raises:
        ValueError, KeyError, TypeError: Its parts do not fit together.
    """
    settings, arrays = state.settings, state.arrays
    known = (MODEL, PREPROCESSOR, BACKGROUND, "history.", "pretraining.", "importances")
    if not all(name.startswith(known) for name in arrays):
        raise ValueError("there are arrays that no model has")
    schema = TableSchema.from_settings(settings["schema"], settings.get("cell_rules"))
    preprocessor = Preprocessor.from_arrays(schema, {k: v.numpy() for k, v in _below(PREPROCESSOR, arrays).items()})
    target = ENCODINGS[settings["target"]["kind"]].from_settings(settings["target"])
    model = restored_model(settings["sizes"], _below(MODEL, arrays))
    shape = model.shape
    of_model = (shape.layout, shape.n_outputs, shape.loss, shape.quantile)
    if of_model != (preprocessor.layout, target.n_outputs, target.loss, target.quantile):
        raise ValueError("the model does not belong to these columns, or not to this target")
    n_features = len(schema.columns)
    attention = {mode: arrays[f"history.{mode}"].double().numpy() for mode in MODES}
    n_epochs = len(attention["train"])
    if any(each.shape != (n_epochs, n_features) for each in attention.values()):
        raise ValueError("there must be attention to each column in each epoch")
    pretraining = {
        mode: arrays[f"pretraining.{mode}"].double().numpy()
        for mode in PRETRAINING_MODES
        if f"pretraining.{mode}" in arrays
    }
    if len({each.shape for each in pretraining.values()}) > 1 or any(each.ndim != 1 for each in pretraining.values()):
        raise ValueError("there must be a loss of each epoch of pretraining")
    importances = arrays["importances"].double().numpy()
    if importances.shape != (n_features,) or not (importances >= 0).all():
        raise ValueError("there must be an importance for each column, none below 0")
    if not 1 <= settings["best_epoch"] <= n_epochs:
        raise ValueError("the best epoch must be one of those that were trained")
    if not all(np.isfinite(each).all() for each in (*attention.values(), importances, *preprocessor.arrays.values())):
        raise ValueError("numbers must be finite")
    names = settings["feature_names"]
    if names is not None and (tuple(names) != schema.names or len(set(names)) < n_features):
        raise ValueError("names must be those of the columns, each once")
    record = settings.get("record")
    background = _below(BACKGROUND, arrays)
    cells = Cells(background["numeric"], background["codes"], background.get("missing"))
    _check_cells(cells, shape.layout)
    _check_predictions(model, cells)
    return {
        "encoder": RowEncoder(preprocessor, target),
        "model": model,
        "background": cells,
        "history": {
            "attention": attention,
            "pretraining": pretraining,
            "best_epoch": int(settings["best_epoch"]),
            "best_loss": float(settings["best_loss"]),
        },
        "scored": importances,
        "hold_out_seed": int(settings["hold_out_seed"]),
        "recorded": None if record is None else HeldOutRecord.from_settings(record, target),
        "feature_names": None if names is None else tuple(str(name) for name in names),
    }


def restored_model(sizes: Mapping[str, Any], weights: Mapping[str, Tensor]) -> TabAttnModel:
    """Build a model from its sizes and weights.

    Sizes are compared with the weights before anything is built from them, so that no small file can make us allocate
    a large model.

    Args:
        sizes: Fields of its `ModelShape`.
        weights: Its weights by name.

    Returns:
        The model in eval mode.

    Raises:
        ValueError: The weights do not belong to a model of these sizes.
    """
    layout = CellLayout(**_with_tuples(sizes["layout"]))
    shape = ModelShape(**(_with_tuples(sizes) | {"layout": layout}))
    n_numbers = sum(value.numel() for value in weights.values())
    counts = [
        value
        for value in (*vars(shape).values(), layout.n_numeric, *layout.n_parts, *layout.n_levels)
        if isinstance(value, int)
    ]
    if min(shape.n_layers, shape.n_members, shape.n_groups, shape.n_heads, shape.d_token, shape.n_outputs) < 1:
        raise ValueError("a model has at least one of everything")
    rates = (shape.attention_dropout, shape.ffn_dropout, shape.quantile)
    if not all(isinstance(rate, int | float) and 0 <= rate < 1 for rate in rates):
        raise ValueError("a rate lies between 0 and 1")
    if MIN_WEIGHTS_PER_LAYER * shape.n_layers > len(weights) or any(count > n_numbers or count < 0 for count in counts):
        raise ValueError("the sizes are larger than the weights")
    if shape.order and sorted(shape.order) != list(range(shape.n_columns)):
        raise ValueError("the order is not one of the columns")
    if shape.encoder != "class" and shape.d_token % shape.n_heads:
        raise ValueError("heads are not of one width")
    if not all(value.dtype == torch.float32 and value.isfinite().all() for value in weights.values()):
        raise ValueError("weights are not finite, or not of single precision")
    with torch.device("meta"):
        expected = {name: value.shape for name, value in TabAttnModel(shape).state_dict().items()}
    if expected != {name: value.shape for name, value in weights.items()}:
        raise ValueError("the weights have other shapes")
    with exclusive(), torch.random.fork_rng(devices=[]):
        model = TabAttnModel(shape)
    model.load_state_dict(weights)
    return model.eval()


def parameters_as_json(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a constructor as JSON can hold them, without sources of random numbers and loggers.

    Args:
        parameters: Numbers, text, None, or sequences or mappings of them.
    """
    held: dict[str, Any] = {}
    for name, value in parameters.items():
        if name == "logger":
            held[name] = None
        elif isinstance(value, Mapping):
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


def _with_tuples(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}


def _as_number(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _below(prefix: str, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the arrays whose names begin with a prefix, by their names without it."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _check_predictions(model: TabAttnModel, cells: Cells) -> None:
    """Refuse weights that are so large that nothing is predicted.

    Raises:
        ValueError: They are.
    """
    with torch.no_grad():
        for start in range(0, len(cells), N_CHECKED_ROWS):
            prediction = model(cells.take(slice(start, start + N_CHECKED_ROWS))).prediction
            if not model.loss.average(prediction.double()).isfinite().all():
                raise ValueError("predictions are not finite")


def _check_cells(cells: Cells, layout: CellLayout) -> None:
    """Refuse cells that a model of this layout can't read.

    Raises:
        ValueError: They are too many, or of other columns.
    """
    n_rows = len(cells)
    levels = torch.tensor(layout.n_levels, dtype=torch.long)
    fits = (
        0 < n_rows <= N_BACKGROUND
        and cells.numeric.shape == (n_rows, layout.n_numbers)
        and cells.codes.shape == (n_rows, len(layout.n_levels))
        and cells.numeric.dtype == torch.float32
        and cells.codes.dtype == torch.int64
        and bool(cells.numeric.isfinite().all())
        and bool(((cells.codes >= 0) & (cells.codes < levels)).all())
    )
    mask = cells.missing
    if not fits or not (mask is None or (mask.shape == (n_rows, layout.n_columns) and mask.dtype == torch.bool)):
        raise ValueError("the background rows are of other columns")
