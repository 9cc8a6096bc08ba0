"""Rows to a fitted model: learn the columns, pretrain if asked to, train, and score the columns on held-out rows."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch import Tensor

from tabattn.arrays import Array
from tabattn.encoding.rows import RowEncoder, Rows
from tabattn.encoding.weighting import draw_rows
from tabattn.errors import ParameterError
from tabattn.fitted.model import FitHistory, FittedModel
from tabattn.importance.background import N_BACKGROUND
from tabattn.importance.methods import DEFAULT_METHOD
from tabattn.importance.reader import Reader
from tabattn.importance.units import spread, units_of
from tabattn.nn.model import ModelShape, TabAttnModel
from tabattn.nn.tokens import Cells
from tabattn.parameters import ORDERED, Parameters
from tabattn.table.schema import TableSchema
from tabattn.training.data import TrainingRows
from tabattn.training.fitting import TrainingSettings, resolve_device, train
from tabattn.training.holdout import held_out_rows
from tabattn.training.module import OptimizerSettings
from tabattn.training.pretraining import pretrain
from tabattn.training.sizes import auto_batch_size, has_own_tokens

CLASS_MEMBERS = 8
PRETRAIN_EPOCHS, ROBERTA_FACTOR = 20, 2


@dataclass(frozen=True, eq=False)
class FitRows:
    """Rows to fit, and what else a fit may use.

    Args:
        rows: The rows, with their target, in an order that depends on their cells only.
        weight: Weight of each row, at most 1.
        loss_weight: The same times the weight of its class, at most 1.
        feature_names: Names of the columns that fit was given, None for an array.
        validation: Other rows that decide when to stop and score the columns; None to hold some out.
        unlabelled: Rows without a target, for pretraining.
    """

    rows: Rows
    weight: Array
    loss_weight: Array
    feature_names: tuple[str, ...] | None = None
    validation: Rows | None = None
    unlabelled: Rows | None = None


def fit_model(
    settings: Parameters, encoder: RowEncoder, rows: FitRows, previous: FittedModel | None = None
) -> FittedModel:
    """Fit a model: the same arguments give the same model on the same machine.

    Args:
        settings: Parameters of the estimator, checked.
        encoder: The encoder of the rows.
        rows: The rows.
        previous: A model to continue from, which has the same encoder; None for a new one.

    Returns:
        The model; `history.was_interrupted` is True if it is that of the best epoch before Ctrl-C.

    Raises:
        ParameterError: `column_order` names an unknown column, or the sizes are not those of the previous model.
        TrainingError: The validation loss was finite in no epoch.
        KeyboardInterrupt: Training was interrupted in the first epoch, or while pretraining.
    """
    seed = int(check_random_state(settings.random_state).randint(np.iinfo(np.int32).max))
    shape = _model_shape(settings, encoder, len(rows.rows), previous)
    hold_out_seed = seed if previous is None else previous.hold_out_seed
    # a warm start holds out the same rows again, so that no row validates that was learned from before
    generator = torch.Generator().manual_seed(hold_out_seed if rows.validation is None else seed)
    training, row_weight = _training_rows(settings, shape, rows, generator)
    start, losses = (
        _pretrained(settings, shape, rows, seed)
        if previous is None
        else (previous.model, dict(previous.history.pretraining))
    )
    trained = train(shape, training, _training_settings(settings, len(rows.rows), seed), start=start)
    background = rows.rows.cells.take(draw_rows(torch.from_numpy(rows.weight), N_BACKGROUND, generator))
    reader = Reader(trained.model, background, resolve_device(settings.device))
    importances, scores_were_interrupted = _held_out_importances(reader, encoder.schema, training, row_weight)
    positions, n_columns = encoder.schema.model_positions, len(encoder.schema.columns)
    attention = {"train": trained.train_attention, "eval": trained.eval_attention}
    return FittedModel(
        encoder=encoder,
        model=trained.model,
        background=background,
        history=FitHistory(
            attention={mode: spread(each.double().numpy(), positions, n_columns) for mode, each in attention.items()},
            pretraining=losses,
            best_epoch=trained.best_epoch,
            best_loss=trained.best_loss,
            was_interrupted=trained.was_interrupted or scores_were_interrupted,
        ),
        importances=importances,
        hold_out_seed=hold_out_seed,
        feature_names=rows.feature_names,
        device=settings.device,
    )


def _training_rows(
    settings: Parameters, shape: ModelShape, rows: FitRows, generator: torch.Generator
) -> tuple[TrainingRows, Tensor]:
    """Hold rows out, or add the validation rows; and return the weight of each row in the scores too."""
    cells, target, weight = rows.rows.cells, rows.rows.target, torch.from_numpy(rows.weight)
    assert target is not None, "rows to fit have a target"
    loss_weight = torch.from_numpy(rows.loss_weight.astype(np.float32))
    if rows.validation is None:
        held_out = held_out_rows(target, shape.n_groups, settings.validation_fraction, generator)
        held_out = held_out.repeat_interleave(shape.n_members // shape.n_groups, dim=1)
        return TrainingRows(cells, target, loss_weight, held_out), weight
    validation = rows.validation
    assert validation.target is not None, "validation rows have a target"
    learned = TrainingRows.learned(cells, target, loss_weight, shape.n_members)
    weight = torch.cat([weight, torch.ones(len(validation), dtype=weight.dtype)])
    return learned.with_validation_rows(validation.cells, validation.target), weight


def _held_out_importances(
    reader: Reader, schema: TableSchema, rows: TrainingRows, weight: Tensor
) -> tuple[Array, bool]:
    """Score the columns on the held-out rows, and return whether Ctrl-C cut that short.

    Each row is scored by the members that hold it out. The model is fitted by then: after Ctrl-C its scores come from
    fewer rows, which are in random order.
    """
    units = units_of(schema)

    def importances(chosen: Tensor) -> Array:
        return reader.scores(
            rows.cells.take(chosen),
            rows.target[chosen],
            DEFAULT_METHOD,
            units,
            member_weight=rows.held_out[chosen].float(),
            row_weight=weight[chosen],
        ).importance

    held_out = rows.held_out.any(dim=1).nonzero().flatten()
    try:
        return importances(held_out), False
    except KeyboardInterrupt:
        return importances(held_out[:N_BACKGROUND]), True


def _pretrained(
    settings: Parameters, shape: ModelShape, rows: FitRows, seed: int
) -> tuple[TabAttnModel | None, dict[str, Array]]:
    """Pretrain a model, if that is asked for, and return it with its losses."""
    if settings.pretrain == "none":
        return None, {}
    cells = rows.rows.cells if rows.unlabelled is None else Cells.joined(rows.rows.cells, rows.unlabelled.cells)
    factor = ROBERTA_FACTOR if settings.encoder == "roberta" else 1
    training = _training_settings(settings, len(cells), seed)
    n_epochs = PRETRAIN_EPOCHS * factor if settings.pretrain_epochs == "auto" else settings.pretrain_epochs
    pretrained = pretrain(shape, cells, replace(training, max_epochs=n_epochs, batch_size=training.batch_size * factor))
    return pretrained.model, {mode: np.array(losses) for mode, losses in pretrained.history.items()}


def _model_shape(settings: Parameters, encoder: RowEncoder, n_rows: int, previous: FittedModel | None) -> ModelShape:
    layout, target = encoder.preprocessor.layout, encoder.target
    n_members = settings.n_members
    if n_members == "auto":
        n_members = CLASS_MEMBERS if settings.encoder == "class" else 1
    own_tokens = has_own_tokens(n_rows, layout.n_columns)
    if previous is not None:
        own_tokens = previous.model.shape.n_groups > 1
    shape = ModelShape(
        encoder=settings.encoder,
        layout=layout,
        loss=getattr(settings, "loss", target.loss),  # of a regression; that of classes has no name in the settings
        quantile=float(getattr(settings, "quantile", target.quantile)),
        n_outputs=target.n_outputs,
        n_layers=int(settings.n_layers),
        n_members=int(n_members),
        n_groups=int(n_members) if own_tokens else 1,
        n_heads=int(settings.n_heads),
        d_token=int(settings.d_token),
        attention_dropout=float(settings.attention_dropout),
        ffn_dropout=float(settings.ffn_dropout),
        order=_column_order(settings, encoder.schema) if settings.encoder in ORDERED else (),
    )
    if previous is not None and previous.model.shape != shape:
        raise ParameterError(
            f"warm_start must go on with a model of the same sizes, got {shape} after {previous.model.shape}. "
            "Set warm_start=False to start again."
        )
    return shape


def _column_order(settings: Parameters, schema: TableSchema) -> tuple[int, ...]:
    """The columns of the model in the order asked for, then the others in that of the table."""
    names = list(schema.names)
    asked = [] if settings.column_order is None else [str(name) for name in settings.column_order]
    unknown = [name for name in asked if name not in names]
    if unknown or len(set(asked)) < len(asked):
        wrong = unknown or [name for name in asked if asked.count(name) > 1]
        raise ParameterError(
            f"column_order must name columns of the table, each once, got {wrong[0]!r}. Check the name."
        )
    place = {column: i for i, column in enumerate(schema.model_positions)}
    positions = [names.index(name) for name in dict.fromkeys([*asked, *names])]
    return tuple(place[position] for position in positions if position in place)


def _training_settings(settings: Parameters, n_rows: int, seed: int) -> TrainingSettings:
    return TrainingSettings(
        optimizer=OptimizerSettings(settings.learning_rate, settings.weight_decay),
        batch_size=auto_batch_size(n_rows) if settings.batch_size == "auto" else settings.batch_size,
        max_epochs=settings.max_epochs,
        patience=settings.patience,
        seed=seed,
        device=settings.device,
        show_progress=settings.verbose,
    )
