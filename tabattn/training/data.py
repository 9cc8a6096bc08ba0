"""Batches cut straight from tensors: no per-row collation, no worker processes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from tabattn.nn.tokens import Cells


@dataclass(frozen=True)
class TrainingRows:
    """Rows with a known target; in a batch, each group of members may have rows of its own.

    Args:
        cells: The features.
        target: Class codes; else numbers, one for each output, as the loss takes them.
        weight: Non-negative weight of each row in the loss.
        number: Number of each row.
    """

    cells: Cells
    target: Shaped[Tensor, "batch *rest"]
    weight: Float[Tensor, "*group batch"]
    number: Int[Tensor, "*group batch"]

    def __len__(self) -> int:
        return self.weight.shape[-1]

    @classmethod
    def numbered(cls, cells: Cells, target: Shaped[Tensor, "batch *target"], weight: Float[Tensor, " batch"]) -> Self:
        """Return rows that are numbered from 0 on.

        Args:
            cells: The features.
            target: As the loss takes it.
            weight: Weight of each row.
        """
        return cls(cells, target, weight, torch.arange(len(weight), device=weight.device))

    def joined(self, cells: Cells, target: Shaped[Tensor, "other *target"]) -> Self:
        """Return the same rows and others, of mean weight.

        Args:
            cells: Features of the others.
            target: Their target.
        """
        return self.numbered(
            Cells.joined(self.cells, cells),
            torch.cat([self.target, target]),
            torch.cat([self.weight, self.weight.mean().expand(len(target))]),
        )

    @property
    def device(self) -> torch.device:
        """Where the rows are."""
        return self.target.device

    def take(self, rows: Int[Tensor, "*group taken"] | slice) -> Self:
        """Return the given rows, which may be other ones for every group."""
        return type(self)(self.cells.take(rows), self.target[rows], self.weight[rows], self.number[rows])

    def to(self, device: torch.device) -> Self:
        """Return the same rows on a device; Lightning calls this."""
        tensors = (self.target, self.weight, self.number)
        return type(self)(self.cells.to(device), *(tensor.to(device) for tensor in tensors))


class ShuffledBatches:
    """Rows in a new random order at every pass, in batches of nearly equal size; every group of members has its own.

    Orders are drawn where the rows are, so that cutting a batch never waits for a transfer.

    Args:
        rows: All rows.
        chosen: Which of them; or which of them for each group, the same number for all.
        batch_size: Largest number of rows in a batch.
        seed: Determines the orders.
    """

    def __init__(self, rows: TrainingRows, chosen: Int[Tensor, "*group row"], batch_size: int, seed: int) -> None:
        self._rows = rows
        self._chosen = chosen.to(rows.device)
        self._n_batches = -(-chosen.shape[-1] // batch_size)
        self._generator = torch.Generator(rows.device).manual_seed(seed)

    def __len__(self) -> int:
        return self._n_batches

    def __iter__(self) -> Iterator[TrainingRows]:
        key = torch.rand(self._chosen.shape, generator=self._generator, device=self._rows.device, dtype=torch.float64)
        for batch in self._chosen.gather(-1, key.argsort(dim=-1)).tensor_split(self._n_batches, dim=-1):
            yield self._rows.take(batch)


class OrderedBatches:
    """Rows in a given order, in batches of a fixed size.

    Args:
        rows: All rows.
        chosen: Which of them; or which of them for each group, the same number for all.
        batch_size: Number of rows in every batch but the last.
    """

    def __init__(self, rows: TrainingRows, chosen: Int[Tensor, "*group row"], batch_size: int) -> None:
        self._rows = rows
        self._batches = chosen.to(rows.device).split(batch_size, dim=-1)

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[TrainingRows]:
        for batch in self._batches:
            yield self._rows.take(batch)
