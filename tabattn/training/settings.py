"""How to train."""

from dataclasses import dataclass, field
from typing import Any

EXPECTED_EPOCHS = 30
RATE, AVERAGE_DECAY, MIN_PATIENCE = 2e-3, 0.98, 5
MIXING_RATE, MIXING_AVERAGE_DECAY = 1e-3, 0.99  # of the encoders in which columns attend


@dataclass(frozen=True)
class OptimizerSettings:
    """Settings of AdamW.

    Args:
        learning_rate: Step size, positive.
        weight_decay: Decoupled weight decay of weight matrices, not negative.
    """

    learning_rate: float
    weight_decay: float


@dataclass(frozen=True)
class Processes:
    """Processes that train together, as Lightning's Trainer takes them.

    Args:
        devices: Number of processes on each machine.
        num_nodes: Number of machines.
        strategy: Name of Lightning's strategy.
    """

    devices: int = 1
    num_nodes: int = 1
    strategy: str = "auto"

    @property
    def n_total(self) -> int:
        """Number of processes of all machines."""
        return self.devices * self.num_nodes


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Args:
        optimizer: Settings of AdamW.
        batch_size: Rows per training step.
        max_epochs: Passes over the training rows at most.
        patience: Epochs without a better validation loss before training stops, at most, see `StopEarly`.
        seed: Determines initial weights, batches and dropout.
        device: "auto" for a CUDA GPU if there is one, "cpu" or "cuda". A GPU computes in bfloat16 where
            torch's autocast deems it safe.
        min_patience: Epochs without a better validation loss before training stops, at least.
        average_decay: Fraction of the moving average of the weights that is kept at every step.
        processes: How many processes train together.
        logger: Lightning's logger or loggers; None for none.
    """

    optimizer: OptimizerSettings
    batch_size: int
    max_epochs: int
    patience: int
    seed: int
    device: str
    min_patience: int = MIN_PATIENCE
    average_decay: float = AVERAGE_DECAY
    processes: Processes = Processes()
    logger: Any = field(default=None, repr=False, compare=False)
