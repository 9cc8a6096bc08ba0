"""Train a model on rows: the one place that builds a Lightning Trainer."""

import math
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import lightning
import torch
from jaxtyping import Float
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor

from tabattn.errors import ParameterError, TrainingError, in_one_line
from tabattn.nn.devices import resolve_device
from tabattn.nn.losses import loss_of
from tabattn.nn.model import ModelShape, TabAttnModel
from tabattn.process_state import exclusive, loggers_quiet, warnings_ignored
from tabattn.progress import Job
from tabattn.signals import terminable
from tabattn.training.callbacks import (
    AttentionHistory,
    AverageWeights,
    BestWeights,
    ClippedGradients,
    StopEarly,
    WarmUp,
    WatchTime,
)
from tabattn.training.checkpoints import Checkpoint, fingerprint_of
from tabattn.training.data import Batches, ChosenRows, OrderedBatches, ShuffledBatches, TrainingRows
from tabattn.training.holdout import HoldOut
from tabattn.training.module import HALF_LOSSES, HeldOutPredictions, TrainingModule
from tabattn.training.processes import check_slurm, connected
from tabattn.training.saving import SaveState, restore_ended
from tabattn.training.settings import EXPECTED_EPOCHS, Processes, TrainingSettings
from tabattn.training.streams import RowStream, StreamedBatches

MAX_VALIDATION_ROWS = 1024
MAX_VALIDATION_WEIGHTS = 50_000_000
MAX_GRADIENT_NORM = 1.0
IGNORED_WARNINGS = ".*LeafSpec.*|GPU available but not used.*|The `srun` command is available.*"
N_WARM_UP_STEPS, N_WARM_UP_EPOCHS = 20, 4
TRAINING_SHARE = 0.5


@dataclass(frozen=True)
class Trained:
    """A trained model and the record of its training.

    Args:
        model: In eval mode, with the weights of the best epoch, on the CPU.
        train_attention: Mean attention to each column in train mode, dropout on.
        eval_attention: Mean attention to each column in eval mode, on validation rows.
        n_epochs: Number of epochs trained.
        best_epoch: Epoch of the weights kept, counted from 1.
        best_loss: Validation loss at that epoch.
        was_interrupted: Whether Ctrl-C ended the training.
        cross_stopped: For the first and for the second half of the held-out rows, the model at the epoch that was best
            for the other half, which the rows of the first or second did not select.
    """

    model: TabAttnModel
    train_attention: Float[Tensor, "epoch column"]
    eval_attention: Float[Tensor, "epoch column"]
    n_epochs: int
    best_epoch: int
    best_loss: float
    was_interrupted: bool
    cross_stopped: tuple[TabAttnModel, TabAttnModel]


def train(
    shape: ModelShape,
    rows: TrainingRows,
    hold_out: HoldOut,
    settings: TrainingSettings,
    start: TabAttnModel | None = None,
    job: Job | None = None,
    checkpoint: Checkpoint | None = None,
    stream: RowStream | None = None,
) -> Trained:
    """Build a model and train it until the validation loss stops falling.

    The same arguments give the same weights on the same machine. The global random state is restored.

    Args:
        shape: Sizes of the model.
        rows: Rows to learn from and to validate on. Only the ratios of their weights matter.
        hold_out: Which rows each group of members learns from, and which it validates on.
        settings: How to train.
        start: A model of the same sizes to go on from; None for new weights.
        job: The job that this is the phase "training" of; a share of the time left is taken at most.
        checkpoint: Where to keep the state of the training, and whether to go on from it; None for nowhere.
        stream: Rows on disk to learn from instead of those that are not held out; None for these.

    Returns:
        The trained model; if training was interrupted, that of the best finished epoch.

    Raises:
        TrainingError: The validation loss was finite in no epoch.
        ParameterError: The state to go on from is damaged, or of another training.
        ProcessError: One of several processes has ended before the others.
        OutputError: The state can't be written.
        KeyboardInterrupt: Training was interrupted in the first epoch.
    """
    job = job or Job()
    fingerprint = "" if checkpoint is None else fingerprint_of(shape, rows, hold_out, settings)
    fingerprint += "" if stream is None else f" {stream.n_rows} rows on disk in {stream.n_buckets} buckets"
    state = None if checkpoint is None else checkpoint.read(fingerprint)
    learned, validating = ChosenRows.of(hold_out.learned), ChosenRows.of(hold_out.held_out)
    history, best = AttentionHistory(), BestWeights()
    best_of_halves = [BestWeights(metric, is_kept=False) for metric in HALF_LOSSES]
    callbacks: list[lightning.Callback] = [
        history,
        best,
        *best_of_halves,
        AverageWeights(settings.average_decay),
        StopEarly(settings.patience, settings.min_patience, _constant_loss(shape, rows)),
        WarmUp(N_WARM_UP_STEPS, N_WARM_UP_EPOCHS),
    ]
    was_interrupted = False
    with reproducible(settings.seed), quiet_lightning():
        model = TabAttnModel(shape)
        if start is not None:
            model.load_state_dict(start.state_dict())
        trainer = new_trainer(
            resolve_device(settings.device), settings.max_epochs, processes=settings.processes, logger=settings.logger
        )
        device, n_parts, part = trainer.strategy.root_device, trainer.world_size, trainer.global_rank
        n_learned = len(learned.rows.T) if stream is None else stream.n_rows
        if n_learned < n_parts:
            raise ParameterError(
                f"devices and num_nodes must be at most one process for each of the {n_learned} rows that "
                f"are learned from, got {n_parts}. Use fewer."
            )
        on_device = rows.to(device)
        n_validating = hold_out.held_out.sum(dim=1).to(device) * (shape.n_members // shape.n_groups)
        held_out = HeldOutPredictions(on_device, n_validating, hold_out.half.to(device))
        module = TrainingModule(model, settings.optimizer, held_out)
        batches: Batches
        if stream is None:
            batches = ShuffledBatches(on_device, learned, settings.batch_size, settings.seed, n_parts, part)
        else:
            batches = StreamedBatches(stream, settings.batch_size, shape.n_groups, device, settings.seed, n_parts, part)
        validation_batches = OrderedBatches(on_device, validating, _validation_batch_size(shape))
        try:
            with (
                interruptible(),
                connected(part, n_parts),
                job.phase("training", settings.max_epochs, TRAINING_SHARE, n_expected=EXPECTED_EPOCHS) as phase,
            ):
                watch = WatchTime(phase)
                callbacks.append(watch)
                if checkpoint is not None:
                    callbacks.append(SaveState(checkpoint, fingerprint, batches))
                if state is None or not restore_ended(state, module, callbacks):
                    trainer.callbacks[:0] = callbacks  # type: ignore[attr-defined]
                    path = None if state is None or checkpoint is None else checkpoint.path
                    trainer.fit(module, batches, validation_batches, ckpt_path=path, weights_only=True)
                best.restore(module)
                if watch.has_ended_it:
                    job.shortened.append(f"training ended in epoch {phase.n_done}")
        except KeyboardInterrupt:
            if not (history.epochs["eval"] and math.isfinite(best.loss)):
                raise
            best.restore(module)
            was_interrupted = True
    if not math.isfinite(best.loss):
        raise TrainingError(
            "Training must reach a finite validation loss, got none in any epoch. "
            f"Try a learning_rate smaller than {settings.optimizer.learning_rate:g}."
        )
    trained = module.model.eval().cpu()
    first, second = (each.with_best_weights(trained) for each in best_of_halves)
    return Trained(
        model=trained,
        train_attention=torch.stack(history.epochs["train"]),
        eval_attention=torch.stack(history.epochs["eval"]),
        n_epochs=len(history.epochs["eval"]),
        best_epoch=best.epoch + 1,
        best_loss=best.loss,
        was_interrupted=was_interrupted,
        cross_stopped=(second, first),
    )


def _constant_loss(shape: ModelShape, rows: TrainingRows) -> float:
    """Return the mean loss of predicting the mean of the target, or the frequencies of the classes, for all rows."""
    loss, weight = loss_of(shape.loss, shape.quantile), rows.weight / rows.weight.sum()
    if shape.loss == "classes":
        mean = torch.bincount(rows.target, weight, minlength=shape.n_outputs)
    else:
        mean = weight @ rows.target.to(weight.dtype)
    return float(weight @ loss.of_average(mean.expand(len(rows), -1), rows.target).to(weight.dtype))


def new_trainer(
    device: torch.device,
    max_epochs: int,
    callbacks: Sequence[lightning.Callback] = (),
    processes: Processes = Processes(),  # noqa: B008 it is frozen
    logger: Any = None,
) -> lightning.Trainer:
    """Return a Trainer that is silent, writes nothing, and scales large gradients down; on a GPU in bfloat16.

    Args:
        device: Where to train.
        max_epochs: Passes over the rows at most.
        callbacks: Further callbacks.
        processes: How many processes train together.
        logger: Lightning's logger or loggers; None for none.

    Raises:
        ParameterError: There are not so many devices, the strategy is unknown or not for them, or SLURM has started
            another number of processes.
    """
    if processes.n_total > 1:
        check_slurm(processes)
    try:
        return lightning.Trainer(
            accelerator="gpu" if device.type == "cuda" else "cpu",
            precision="bf16-mixed" if device.type == "cuda" else "32-true",
            devices=processes.devices,
            num_nodes=processes.num_nodes,
            strategy=_strategy(processes),
            plugins=[LightningEnvironment()] if processes.n_total == 1 else None,
            max_epochs=max_epochs,
            min_epochs=0,
            callbacks=[*callbacks, ClippedGradients(MAX_GRADIENT_NORM)],
            logger=False if logger is None else logger,
            log_every_n_steps=1,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
            num_sanity_val_steps=0,
        )
    except (MisconfigurationException, ValueError) as error:
        raise ParameterError(
            "devices, num_nodes and strategy must be what Lightning finds on this machine, got "
            f"{processes.devices}, {processes.num_nodes} and {processes.strategy!r}: {in_one_line(error)}"
        ) from error


def _strategy(processes: Processes) -> str:
    """Return the name of a strategy; that of several processes allows for parameters that no batch uses.

    Whether the vectors of missing cells and of rare levels are used depends on the cells of a batch.
    """
    if processes.n_total > 1 and processes.strategy in {"auto", "ddp"}:
        return "ddp_find_unused_parameters_true"
    return processes.strategy


def _validation_batch_size(shape: ModelShape) -> int:
    """Return a batch size that bounds the memory of attention weights, whatever the number of columns."""
    return min(MAX_VALIDATION_ROWS, max(1, MAX_VALIDATION_WEIGHTS // shape.n_weights_per_row))


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt on Ctrl-C, which Lightning turns into SystemExit and ignores then; end on SIGTERM."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        with terminable():
            yield
    except SystemExit as stop:
        if not isinstance(stop.__context__, KeyboardInterrupt):
            raise
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from None


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Seed the global random state, and restore it afterwards; one thread at a time.

    Args:
        seed: The seed.
    """
    devices = range(torch.cuda.device_count())
    with exclusive(), torch.random.fork_rng(devices), isolate_rng():  # isolate_rng forgets after an error
        torch.manual_seed(seed)
        yield


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Suppress Lightning's messages on hardware and services, and restore its loggers."""
    with loggers_quiet("lightning.pytorch", "lightning.fabric"), warnings_ignored(IGNORED_WARNINGS):
        yield
