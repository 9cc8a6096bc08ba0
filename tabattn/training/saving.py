"""The callback that writes the state of a training, and what restores one that had ended."""

import os
from collections.abc import Sequence
from typing import Any

import lightning
import torch

from tabattn.errors import OutputError
from tabattn.training.checkpoints import STATE, Checkpoint
from tabattn.training.data import Batches

SECONDS_BETWEEN, SECONDS_PER_SECOND = 10.0, 20.0


class SaveState(lightning.Callback):
    """Write the state of a training after an epoch or within it, and when it has ended.

    Ten seconds or more lie between, or twenty times as long as writing takes. Put it behind all callbacks whose state
    it is to write.

    Args:
        checkpoint: Where to.
        fingerprint: Of the training.
        batches: What is learned from. Lightning restores it only where the state was written within an epoch.
    """

    def __init__(self, checkpoint: Checkpoint, fingerprint: str, batches: Batches) -> None:
        self._checkpoint = checkpoint
        self._batches = batches
        self._fingerprint = fingerprint
        self._last = checkpoint.clock()
        self._has_ended = False
        self._took = 0.0
        self._random: dict[str, Any] | None = None

    @property
    def state_key(self) -> str:
        """Name of its state in the file."""
        return STATE

    def state_dict(self) -> dict[str, Any]:
        """Return what the file is of, and the state of the random numbers of dropout."""
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
        return {
            "fingerprint": self._fingerprint,
            "has_ended": self._has_ended,
            "batches": self._batches.state_dict(),
            "random": {"cpu": torch.get_rng_state(), "cuda": cuda},
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the batches, and note the random state, which is restored when the training goes on."""
        self._random = state_dict["random"]
        self._batches.load_state_dict(state_dict["batches"])

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Restore the random state."""
        if self._random is not None:
            torch.set_rng_state(self._random["cpu"])
            if self._random["cuda"] and torch.cuda.is_available():
                torch.cuda.set_rng_state_all(self._random["cuda"])

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Write it within an epoch; of several processes, only after it."""
        if batch_idx + 1 < trainer.num_training_batches and trainer.world_size == 1:
            self._save_if_due(trainer)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write it after an epoch."""
        self._has_ended = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        self._save_if_due(trainer)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write that nothing is left to do."""
        self._has_ended = True
        self._save(trainer)

    def _save_if_due(self, trainer: lightning.Trainer) -> None:
        is_due = self._checkpoint.clock() - self._last >= max(SECONDS_BETWEEN, SECONDS_PER_SECOND * self._took)
        if trainer.world_size > 1:
            is_due = trainer.strategy.broadcast(is_due)
        if is_due:
            self._save(trainer)

    def _save(self, trainer: lightning.Trainer) -> None:
        path = self._checkpoint.path
        begun, new = self._checkpoint.clock(), path.with_name(f"{path.name}.new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            trainer.save_checkpoint(new)
            if trainer.is_global_zero:
                os.replace(new, path)
        except OSError as error:
            raise OutputError(
                f"The state of the training must be written to {str(path.parent)!r}, got: {error.strerror or error}. "
                "Free some space, or choose another --out."
            ) from error
        self._last = self._checkpoint.clock()
        self._took = self._last - begun


def restore_ended(
    state: dict[str, Any], module: lightning.LightningModule, callbacks: Sequence[lightning.Callback]
) -> bool:
    """Restore a training that had ended, with the weights of its last step; return whether it had.

    Args:
        state: What `Checkpoint.read` returned.
        module: The module.
        callbacks: The callbacks.
    """
    states = state["callbacks"]
    if not states[STATE]["has_ended"]:
        return False
    module.load_state_dict(state["state_dict"])
    for callback in callbacks:
        if callback.state_key in states:
            callback.load_state_dict(states[callback.state_key])
    return True
