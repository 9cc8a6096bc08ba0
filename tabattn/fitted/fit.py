"""Rows to a fitted model: learn the columns, pretrain if asked to, train, and score the columns on held-out rows."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch import Tensor

from tabattn.arrays import Array
from tabattn.encoding.rows import RowEncoder, Rows
from tabattn.encoding.weighting import draw_rows
from tabattn.errors import ParameterError, SmallerBatchesWarning, TrainingError, warn_all
from tabattn.fitted.costs import expected_training
from tabattn.fitted.model import FitHistory, FittedModel, HeldOutRows
from tabattn.importance.background import N_BACKGROUND
from tabattn.importance.units import spread
from tabattn.nn.model import ModelShape, TabAttnModel
from tabattn.nn.tokens import Cells
from tabattn.parameters import ORDERED, Parameters
from tabattn.process_state import filters_restored
from tabattn.progress import Job
from tabattn.table.links import RowLinks
from tabattn.table.schema import TableSchema
from tabattn.training.checkpoints import Checkpoint
from tabattn.training.data import TrainingRows
from tabattn.training.holdout import HoldOut, LinkedRows, hold_out_rows
from tabattn.training.settings import (
    AVERAGE_DECAY,
    MIN_PATIENCE,
    MIXING_AVERAGE_DECAY,
    MIXING_RATE,
    RATE,
    OptimizerSettings,
    Processes,
    TrainingSettings,
)
from tabattn.training.sizes import MIN_BATCH, auto_batch_size, auto_groups, auto_members
from tabattn.training.streams import RowStream

PRETRAIN_EPOCHS, ROBERTA_FACTOR = 20, 2
MAX_SCORED_ROWS = 8_192
Result = TypeVar("Result")


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
        links: Which rows belong together, and when they were; None for independent rows.
        stream: Rows on disk that are learned from instead; then there must be a validation, and those of `rows` are a
            sample of them.
    """

    rows: Rows
    weight: Array
    loss_weight: Array
    feature_names: tuple[str, ...] | None = None
    validation: Rows | None = None
    unlabelled: Rows | None = None
    links: RowLinks | None = None
    stream: RowStream | None = None


def fit_model(
    settings: Parameters,
    encoder: RowEncoder,
    rows: FitRows,
    previous: FittedModel | None = None,
    job: Job | None = None,
    checkpoint: Checkpoint | None = None,
) -> FittedModel:
    """Fit a model: the same arguments give the same model on the same machine.

    Args:
        settings: Parameters of the estimator, checked.
        encoder: The encoder of the rows.
        rows: The rows.
        previous: A model to continue from, which has the same encoder; None for a new one.
        job: The job that this is a part of; None for one of its own, which is shown if `verbose` is set.
        checkpoint: Where to keep the state of the training, and whether to go on from it; None for nowhere.

    Returns:
        The model; `history.was_interrupted` is True if it is that of the best epoch before Ctrl-C.

    Raises:
        ParameterError: `column_order` names an unknown column, or the sizes are not those of the previous model, or
            the state to go on from is damaged, or of another training.
        OutputError: The state can't be written.
        TrainingError: The validation loss was finite in no epoch, or the memory of the device does not take one row.
        KeyboardInterrupt: Training was interrupted in the first epoch, or while pretraining.

    Warns:
        SmallerBatchesWarning: The memory of the device does not take batches of the size that was asked for; training
            began again with smaller ones.
    """
    with filters_restored():  # Lightning takes seconds to import, and only a fit needs it
        from tabattn.training.fitting import train

    seed = int(check_random_state(settings.random_state).randint(np.iinfo(np.int32).max))
    n_learned = len(rows.rows) if rows.stream is None else rows.stream.n_rows
    shape = model_shape(settings, encoder, n_learned, previous)
    hold_out_seed = seed if previous is None else previous.hold_out_seed
    # a warm start holds out the same rows again, so that no row validates that was learned from before
    generator = torch.Generator().manual_seed(hold_out_seed if rows.validation is None else seed)
    training, hold_out, row_weight = _training_rows(settings, shape, rows, generator)
    job = job or Job(is_shown=settings.verbose)
    job.expect({"training": expected_training(shape, n_learned, settings.max_epochs)})
    with job.shown():
        start, losses = (
            _pretrained(settings, shape, rows, seed, job)
            if previous is None
            else (previous.model, dict(previous.history.pretraining))
        )
        how = _training_settings(settings, n_learned, seed)
        trained = with_smaller_batches(
            lambda settings: train(
                shape, training, hold_out, settings, start=start, job=job, checkpoint=checkpoint, stream=rows.stream
            ),
            how,
        )
    links = rows.links if rows.validation is None else None
    background = rows.rows.cells.take(draw_rows(torch.from_numpy(rows.weight), N_BACKGROUND, generator))
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
            was_interrupted=trained.was_interrupted,
        ),
        scored=_scored_rows(training, hold_out, row_weight, trained.cross_stopped, links or RowLinks(), generator),
        hold_out_seed=hold_out_seed,
        feature_names=rows.feature_names,
        device=settings.device,
    )


def with_smaller_batches(run: Callable[[TrainingSettings], Result], settings: TrainingSettings) -> Result:
    """Train; where the memory of the device does not suffice, again with batches half as large.

    Args:
        run: Trains.
        settings: How to train.

    Raises:
        TrainingError: The memory of the device does not take one row.

    Warns:
        SmallerBatchesWarning: Batches were smaller than those that were asked for.
    """
    size, result = settings.batch_size, None
    while result is None:
        try:
            result = run(replace(settings, batch_size=size))
        except torch.OutOfMemoryError as error:
            if size <= 1:
                raise TrainingError(
                    "Training must fit into the memory of the device, got one that does not take a batch of one row. "
                    "Leave columns out, set a smaller d_token or n_members, or device='cpu'."
                ) from error
            size //= 2
    if size < settings.batch_size:
        message = f"The memory of the device does not take batches of {settings.batch_size} rows: {size} are taken."
        warn_all([SmallerBatchesWarning(message)])
    return result


def _training_rows(
    settings: Parameters, shape: ModelShape, rows: FitRows, generator: torch.Generator
) -> tuple[TrainingRows, HoldOut, Tensor]:
    """Hold rows out, or add the validation rows.

    Returns:
        The rows; which of them each group of members holds out; and the weight of each row in the scores.
    """
    cells, target, weight = rows.rows.cells, rows.rows.target, torch.from_numpy(rows.weight)
    assert target is not None, "rows to fit have a target"
    loss_weight = torch.from_numpy(rows.loss_weight.astype(np.float32))
    training = TrainingRows.numbered(cells, target, loss_weight)
    if rows.validation is None:
        fraction = settings.validation_fraction
        links = _linked(rows.links, len(training))
        return training, hold_out_rows(target, shape.n_groups, fraction, generator, links), weight
    validation = rows.validation
    assert validation.target is not None, "validation rows have a target"
    is_other = torch.arange(len(training) + len(validation)) >= len(training)
    weight = torch.cat([weight, torch.ones(len(validation), dtype=weight.dtype)])
    joined = training.joined(validation.cells, validation.target)
    held_out = is_other[:, None].expand(-1, shape.n_groups)
    return joined, HoldOut.of(held_out), weight


def _linked(links: RowLinks | None, n_rows: int) -> LinkedRows | None:
    """Return links as tensors."""
    if links is None:
        return None
    unit = torch.arange(n_rows) if links.unit is None else torch.from_numpy(links.unit)
    return LinkedRows(unit, None if links.time is None else torch.from_numpy(links.time), links.gap)


def _scored_rows(
    rows: TrainingRows,
    hold_out: HoldOut,
    weight: Tensor,
    cross_stopped: tuple[TabAttnModel, TabAttnModel],
    links: RowLinks,
    generator: torch.Generator,
) -> HeldOutRows:
    """Return the rows that the columns are scored on: those that some member holds out, a sample of very many."""
    held_out, n_members = hold_out.held_out, cross_stopped[0].shape.n_members
    chosen = held_out.any(dim=1).nonzero().flatten()
    if len(chosen) > MAX_SCORED_ROWS:
        chosen = chosen[torch.randperm(len(chosen), generator=generator)[:MAX_SCORED_ROWS]]
    units = links.independent_units(len(rows))
    by_member = held_out[chosen].repeat_interleave(n_members // held_out.shape[1], dim=1)
    return HeldOutRows(
        rows.cells.take(chosen),
        rows.target[chosen],
        by_member.float(),
        weight[chosen],
        hold_out.half[chosen],
        cross_stopped,
        torch.from_numpy(units)[chosen],
    )


def _pretrained(
    settings: Parameters, shape: ModelShape, rows: FitRows, seed: int, job: Job
) -> tuple[TabAttnModel | None, dict[str, Array]]:
    """Pretrain a model, if that is asked for, and return it with its losses."""
    if settings.pretrain == "none":
        return None, {}
    with filters_restored():
        from tabattn.training.pretraining import pretrain

    cells = rows.rows.cells if rows.unlabelled is None else Cells.joined(rows.rows.cells, rows.unlabelled.cells)
    factor = ROBERTA_FACTOR if settings.encoder == "roberta" else 1
    training = _training_settings(settings, len(cells), seed)
    n_epochs = PRETRAIN_EPOCHS * factor if settings.pretrain_epochs == "auto" else settings.pretrain_epochs
    training = replace(training, max_epochs=n_epochs, batch_size=training.batch_size * factor)
    pretrained = pretrain(shape, cells, training, job)
    return pretrained.model, {mode: np.array(losses) for mode, losses in pretrained.history.items()}


def model_shape(
    settings: Parameters, encoder: RowEncoder, n_rows: int, previous: FittedModel | None = None
) -> ModelShape:
    """Return the sizes of the model that a fit would make.

    Args:
        settings: Parameters of the estimator, checked.
        encoder: The encoder of the rows.
        n_rows: Number of rows to fit.
        previous: A model to continue from; None for a new one.

    Raises:
        ParameterError: `column_order` names an unknown column, or the sizes are not those of the previous model.
    """
    layout, target = encoder.preprocessor.layout, encoder.target
    n_members = settings.n_members
    if n_members == "auto":
        n_members = auto_members(n_rows) if settings.encoder == "class" else 1
        n_members = n_members if previous is None else previous.model.shape.n_members
    n_groups = auto_groups(int(n_members), n_rows, layout.n_columns)
    if previous is not None:  # with another number of members the sizes differ, which is refused
        n_groups = math.gcd(int(n_members), previous.model.shape.n_groups)
    shape = ModelShape(
        encoder=settings.encoder,
        layout=layout,
        loss=getattr(settings, "loss", target.loss),  # of a regression; that of classes has no name in the settings
        quantile=float(getattr(settings, "quantile", target.quantile)),
        n_outputs=target.n_outputs,
        n_layers=int(settings.n_layers),
        n_members=int(n_members),
        n_groups=n_groups,
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
    """Return how to train: the encoders that mix columns bear neither the rate nor the haste of the default one."""
    mixes = settings.encoder != "class"
    rate = (MIXING_RATE if mixes else RATE) if settings.learning_rate == "auto" else settings.learning_rate
    size = auto_batch_size(n_rows) if settings.batch_size == "auto" else settings.batch_size
    if mixes and settings.batch_size == "auto":
        size = max(size // 2, MIN_BATCH)
    return TrainingSettings(
        optimizer=OptimizerSettings(rate, settings.weight_decay),
        batch_size=size,
        max_epochs=settings.max_epochs,
        patience=settings.patience,
        seed=seed,
        device=settings.device,
        min_patience=settings.patience if mixes else MIN_PATIENCE,
        average_decay=MIXING_AVERAGE_DECAY if mixes else AVERAGE_DECAY,
        processes=Processes(int(settings.devices), int(settings.num_nodes), settings.strategy),
        logger=settings.logger,
    )
