"""Train a model on rows: the one place that builds a Lightning Trainer."""

import math
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import lightning
import torch
from jaxtyping import Float
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor

from tabattn.errors import TrainingError
from tabattn.nn.model import ModelShape, TabAttnModel
from tabattn.process_state import exclusive, loggers_quiet, warnings_ignored
from tabattn.training.callbacks import AttentionHistory, AverageWeights, BestWeights, ClippedGradients, ProgressLine
from tabattn.training.data import OrderedBatches, ShuffledBatches, TrainingRows
from tabattn.training.module import VALIDATION_LOSS, OptimizerSettings, TrainingModule

MAX_VALIDATION_ROWS = 1024
MAX_VALIDATION_WEIGHTS = 50_000_000
MAX_GRADIENT_NORM = 1.0
IGNORED_WARNINGS = ".*LeafSpec.*|GPU available but not used.*"
AVERAGE_DECAY = 0.99


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Args:
        optimizer: Settings of AdamW.
        batch_size: Rows per training step.
        max_epochs: Passes over the training rows at most.
        patience: Epochs without a better validation loss before training stops.
        seed: Determines initial weights, batches and dropout.
        device: "auto" for a CUDA GPU if there is one, "cpu" or "cuda". A GPU computes in bfloat16 where
            torch's autocast deems it safe.
        show_progress: Whether to show a line of progress.
    """

    optimizer: OptimizerSettings
    batch_size: int
    max_epochs: int
    patience: int
    seed: int
    device: str
    show_progress: bool


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
    """

    model: TabAttnModel
    train_attention: Float[Tensor, "epoch column"]
    eval_attention: Float[Tensor, "epoch column"]
    n_epochs: int
    best_epoch: int
    best_loss: float
    was_interrupted: bool


def train(
    shape: ModelShape, rows: TrainingRows, settings: TrainingSettings, start: TabAttnModel | None = None
) -> Trained:
    """Build a model and train it until the validation loss stops falling.

    The same arguments give the same weights on the same machine. The global random state is restored.

    Args:
        shape: Sizes of the model.
        rows: Rows to learn from, and, where members hold them out, to validate on; each member must hold out some
            rows and learn from some. Only the ratios of their weights matter.
        settings: How to train.
        start: A model of the same sizes to go on from; None for new weights.

    Returns:
        The trained model; if training was interrupted, that of the best finished epoch.

    Raises:
        TrainingError: The validation loss was finite in no epoch.
        KeyboardInterrupt: Training was interrupted in the first epoch.
    """
    learned = rows.take((~rows.held_out.all(dim=1)).nonzero().flatten())
    validation = rows.take(rows.held_out.any(dim=1).nonzero().flatten())
    validation = replace(validation, weight=validation.weight / validation.weight.mean())
    history, best = AttentionHistory(), BestWeights()
    stop = EarlyStopping(VALIDATION_LOSS, patience=settings.patience, check_finite=True)
    callbacks: list[lightning.Callback] = [history, best, AverageWeights(AVERAGE_DECAY), stop]
    if settings.show_progress:
        callbacks.append(ProgressLine())
    was_interrupted = False
    with reproducible(settings.seed), quiet_lightning():
        model = TabAttnModel(shape)
        if start is not None:
            model.load_state_dict(start.state_dict())
        module = TrainingModule(model, settings.optimizer)
        device = resolve_device(settings.device)
        trainer = new_trainer(device, settings.max_epochs, callbacks)
        batches = ShuffledBatches(learned.to(device), settings.batch_size, settings.seed)
        validation_batches = OrderedBatches(validation.to(device), _validation_batch_size(shape))
        try:
            with interruptible():
                trainer.fit(module, batches, validation_batches)
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
    return Trained(
        model=module.model.eval().cpu(),
        train_attention=torch.stack(history.epochs["train"]),
        eval_attention=torch.stack(history.epochs["eval"]),
        n_epochs=len(history.epochs["eval"]),
        best_epoch=best.epoch + 1,
        best_loss=best.loss,
        was_interrupted=was_interrupted,
    )


def new_trainer(
    device: torch.device, max_epochs: int, callbacks: Sequence[lightning.Callback] = ()
) -> lightning.Trainer:
    """Return a Trainer that is silent, writes nothing, and scales large gradients down; on a GPU in bfloat16.

    Args:
        device: Where to train.
        max_epochs: Passes over the rows at most.
        callbacks: Further callbacks.
    """
    return lightning.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        precision="bf16-mixed" if device.type == "cuda" else "32-true",
        devices=1,
        max_epochs=max_epochs,
        callbacks=[*callbacks, ClippedGradients(MAX_GRADIENT_NORM)],
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        num_sanity_val_steps=0,
    )


def resolve_device(name: str) -> torch.device:
    """Return the device that a name stands for.

    Args:
        name: "auto" for a CUDA GPU where torch sees one, else the CPU; "cpu" or "cuda" for themselves.

    Returns:
        The device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def _validation_batch_size(shape: ModelShape) -> int:
    """Return a batch size that bounds the memory of attention weights, whatever the number of columns."""
    return min(MAX_VALIDATION_ROWS, max(1, MAX_VALIDATION_WEIGHTS // shape.n_weights_per_row))


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt on Ctrl-C: Lightning turns it into SystemExit and ignores it from then on."""
    handler = signal.getsignal(signal.SIGINT)
    try:
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
