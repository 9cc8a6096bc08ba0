"""The state of a training on disk, so that one that was killed goes on where it was, to the same weights."""

import hashlib
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from tabattn.errors import ParameterError
from tabattn.files import STATE_PREFIX
from tabattn.nn.model import ModelShape
from tabattn.training.data import TrainingRows
from tabattn.training.holdout import HoldOut
from tabattn.training.settings import TrainingSettings

STATE = "SaveState"
UNREADABLE = (OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError, AttributeError, pickle.UnpicklingError)


@dataclass(frozen=True)
class Checkpoint:
    """Where the state of a training is kept.

    Args:
        path: The file: tensors, numbers and text only, which are read without running any code of it.
        is_resumed: Whether to go on from it, if it exists; else it is replaced.
        clock: Returns the time in seconds.
    """

    path: Path
    is_resumed: bool = False
    clock: Callable[[], float] = time.monotonic

    def read(self, fingerprint: str) -> dict[str, Any] | None:
        """Return the state to go on from; None to start from the beginning.

        Args:
            fingerprint: Of the training that is to go on.

        Raises:
            ParameterError: The file is damaged, or of a training of other rows or with other settings.
        """
        if not self.is_resumed or not self.path.exists():
            return None
        what = f"Resuming must find the state of the same run in {str(self.path)!r}, got"
        try:
            state: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
            own = state["callbacks"][STATE]
        except UNREADABLE as error:
            raise ParameterError(f"{what} a file that is damaged. Run again without resuming.") from error
        if own["fingerprint"] != fingerprint:
            raise ParameterError(f"{what} that of other rows or settings. Run again without resuming.")
        return state


def fingerprint_of(shape: ModelShape, rows: TrainingRows, hold_out: HoldOut, settings: TrainingSettings) -> str:
    """Return what distinguishes one training from another: a checksum of all that it depends on.

    Args:
        shape: Sizes of the model.
        rows: Rows to learn from and to validate on.
        hold_out: Which rows each group of members holds out.
        settings: How to train.
    """
    checksum = hashlib.sha256(repr((shape, settings, torch.__version__)).encode())
    cells = rows.cells
    for tensor in (cells.numeric, cells.codes, cells.missing, rows.target, rows.weight, hold_out.held_out):
        if tensor is not None:
            checksum.update(str(tuple(tensor.shape)).encode())
            checksum.update(tensor.contiguous().cpu().numpy().data)
    return checksum.hexdigest()


@dataclass
class Checkpoints:
    """Where the states of the fits of a job are kept, a file each, in the order in which they are fitted.

    Args:
        directory: The directory; made when the first state is written.
        is_resumed: Whether to go on from what is there.
    """

    directory: Path
    is_resumed: bool = False
    _n_fits: int = field(init=False, default=0)

    def next(self) -> Checkpoint:
        """Return where the next fit keeps its state."""
        self._n_fits += 1
        return Checkpoint(self.directory / f"{STATE_PREFIX}{self._n_fits}.ckpt", self.is_resumed)
