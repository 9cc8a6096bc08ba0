"""Batches cut straight from tensors: no per-row collation, no worker processes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tabattn.nn.losses import Target
from tabattn.nn.tokens import Cells


@dataclass(frozen=True)
class TrainingRows:
    """Rows with a known target.

    Args:
        cells: The features.
        target: Class codes; else numbers, one for each output, as the loss takes them.
        weight: Non-negative weight of each row in the loss.
        held_out: Which members must not learn from the row, and so may validate on it.
    """

    cells: Cells
    target: Target
    weight: Float[Tensor, " batch"]
    held_out: Bool[Tensor, "batch member"]

    def __len__(self) -> int:
        return len(self.target)

    @classmethod
    def learned(cls, cells: Cells, target: Target, weight: Float[Tensor, " batch"], n_members: int) -> Self:
        """Return rows that no member holds out."""
        return cls(cells, target, weight, torch.zeros(len(target), n_members, dtype=torch.bool))

    def with_validation_rows(self, cells: Cells, target: Target) -> Self:
        """Return the same rows and others, of mean weight, that all members hold out.

        Args:
            cells: Features of the others.
            target: Their target.
        """
        held_out = torch.ones(len(target), self.held_out.shape[1], dtype=torch.bool)
        return type(self)(
            Cells.joined(self.cells, cells),
            torch.cat([self.target, target]),
            torch.cat([self.weight, self.weight.mean().expand(len(target))]),
            torch.cat([self.held_out, held_out]),
        )

    @property
    def device(self) -> torch.device:
        """Where the rows are."""
        return self.target.device

    def take(self, rows: Int[Tensor, " taken"] | slice) -> Self:
        """Return the given rows."""
        return type(self)(self.cells.take(rows), self.target[rows], self.weight[rows], self.held_out[rows])

    def to(self, device: torch.device) -> Self:
        """Return the same rows on a device; Lightning calls this."""
        tensors = (self.target, self.weight, self.held_out)
        return type(self)(self.cells.to(device), *(tensor.to(device) for tensor in tensors))


class ShuffledBatches:
    """The rows in a new random order at every pass, in batches of nearly equal size.

    Orders are drawn where the rows are, so that cutting a batch never waits for a transfer.

    Args:
        rows: All rows.
        batch_size: Largest number of rows in a batch.
        seed: Determines the orders.
    """

    def __init__(self, rows: TrainingRows, batch_size: int, seed: int) -> None:
        self._rows = rows
        self._n_batches = -(-len(rows) // batch_size)
        self._generator = torch.Generator(rows.device).manual_seed(seed)

    def __len__(self) -> int:
        return self._n_batches

    def __iter__(self) -> Iterator[TrainingRows]:
        order = torch.randperm(len(self._rows), generator=self._generator, device=self._rows.device)
        for chosen in order.tensor_split(self._n_batches):
            yield self._rows.take(chosen)


class OrderedBatches:
    """The rows in their own order, in batches of a fixed size.

    Args:
        rows: All rows.
        batch_size: Number of rows in every batch but the last.
    """

    def __init__(self, rows: TrainingRows, batch_size: int) -> None:
        self._rows = rows
        self._batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self._rows) // self._batch_size)

    def __iter__(self) -> Iterator[TrainingRows]:
        for start in range(0, len(self._rows), self._batch_size):
            yield self._rows.take(slice(start, start + self._batch_size))
