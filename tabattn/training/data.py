"""Batches cut straight from tensors: no per-row collation, no worker processes."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor
from typing_extensions import override

from tabattn.nn.tokens import Cells


@dataclass(frozen=True)
class TrainingRows:
    """Rows with a known target; in a batch, each group of members may have rows of its own.

    Args:
        cells: The features.
        target: Class codes; else numbers, one for each output, as the loss takes them.
        weight: Non-negative weight of each row in the loss.
        number: Number of each row; -1 of one that does not count.
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


class ChosenRows(NamedTuple):
    """Rows that are chosen, or rows that are chosen for each group of members: as many places for all.

    Args:
        rows: Numbers of the rows; where a group has fewer than another, some of its own again.
        is_extra: Whether a row is such a repetition, which does not count.
    """

    rows: Int[Tensor, "*group place"]
    is_extra: Bool[Tensor, "*group place"]

    @classmethod
    def all_of(cls, rows: Int[Tensor, "*group place"]) -> Self:
        """Return rows that all count.

        Args:
            rows: Their numbers; or for each group those of its own, the same number for all.
        """
        return cls(rows, torch.zeros_like(rows, dtype=torch.bool))

    @classmethod
    def of(cls, chosen: Bool[Tensor, "row group"]) -> Self:
        """Return the rows that are chosen for each group.

        Args:
            chosen: Which ones; at least one for each group.
        """
        counts = chosen.sum(dim=0)
        place = torch.arange(int(counts.max()))
        rows = [each.nonzero().flatten()[place % int(count)] for each, count in zip(chosen.T, counts, strict=True)]
        return cls(torch.stack(rows), place >= counts[:, None])

    def cut(self, rows: TrainingRows) -> TrainingRows:
        """Return a batch of these rows; those that do not count have no weight, and the number -1."""
        batch = rows.take(self.rows)
        if not self.is_extra.any():
            return batch
        return replace(
            batch,
            weight=batch.weight.masked_fill(self.is_extra, 0.0),
            number=batch.number.masked_fill(self.is_extra, -1),
        )

    def to(self, device: torch.device) -> Self:
        """Return the same on a device."""
        return type(self)(self.rows.to(device), self.is_extra.to(device))


class Batches(ABC):
    """Rows in a new random order at every pass, in batches of nearly equal size, as many for every process.

    Args:
        n_rows: Number of rows in a pass.
        batch_size: Largest number of rows in a batch.
        generator: Draws the orders.
        n_parts: Number of processes that share every batch.
        part: Which of them this is, from 0 on.
    """

    def __init__(self, n_rows: int, batch_size: int, generator: torch.Generator, n_parts: int, part: int) -> None:
        self._n_batches = max(1, min(-(-n_rows // batch_size), n_rows // n_parts))
        self._n_parts, self._part = n_parts, part
        self._generator = generator
        self._before_pass = generator.get_state()
        self._n_yielded = self._n_skipped = 0

    @abstractmethod
    def _rest_of_pass(self, n_skipped: int) -> Iterator[TrainingRows]:
        """Draw the order of a pass, and yield its batches but the first ones.

        Args:
            n_skipped: How many are left out.
        """

    def __len__(self) -> int:
        return self._n_batches

    def __iter__(self) -> Iterator[TrainingRows]:
        self._n_yielded, self._n_skipped = self._n_skipped, 0
        self._before_pass = self._generator.get_state()
        for batch in self._rest_of_pass(self._n_yielded):
            self._n_yielded += 1
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """Return where in which pass this is; Lightning saves it."""
        return {"before_pass": self._before_pass, "n_yielded": self._n_yielded}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on behind the batches that were yielded; behind the last one with the next pass.

        Args:
            state: What `state_dict` returned.
        """
        self._generator.set_state(state["before_pass"])
        self._n_skipped = state["n_yielded"]
        if self._n_skipped == self._n_batches:
            for _ in self._rest_of_pass(self._n_skipped):
                pass
            self._n_skipped = 0


class ShuffledBatches(Batches):
    """Batches of rows in memory; every group of members has its own order.

    Orders are drawn where the rows are, so that cutting a batch never waits for a transfer.

    Args:
        rows: All rows.
        chosen: Which of them, or which of them for each group.
        batch_size: Largest number of rows in a batch.
        seed: Determines the orders.
        n_parts: Number of processes that share every batch.
        part: Which of them this is, from 0 on.
    """

    def __init__(
        self,
        rows: TrainingRows,
        chosen: ChosenRows,
        batch_size: int,
        seed: int,
        n_parts: int = 1,
        part: int = 0,
    ) -> None:
        generator = torch.Generator(rows.device).manual_seed(seed)
        super().__init__(chosen.rows.shape[-1], batch_size, generator, n_parts, part)
        self._rows = rows
        self._chosen = chosen.to(rows.device)

    @override
    def _rest_of_pass(self, n_skipped: int) -> Iterator[TrainingRows]:
        shape = self._chosen.rows.shape
        key = torch.rand(shape, generator=self._generator, device=self._rows.device, dtype=torch.float64)
        order = key.argsort(dim=-1)
        parts = (each.gather(-1, order).tensor_split(self._n_batches, dim=-1) for each in self._chosen)
        for rows, is_extra in list(zip(*parts, strict=True))[n_skipped:]:
            yield ChosenRows(*(each[..., self._part :: self._n_parts] for each in (rows, is_extra))).cut(self._rows)


class OrderedBatches:
    """Rows in a given order, in batches of a fixed size.

    Args:
        rows: All rows.
        chosen: Which of them, or which of them for each group.
        batch_size: Number of rows in every batch but the last.
    """

    def __init__(self, rows: TrainingRows, chosen: ChosenRows, batch_size: int) -> None:
        self._rows = rows
        parts = (each.split(batch_size, dim=-1) for each in chosen.to(rows.device))
        self._batches = [ChosenRows(*pair) for pair in zip(*parts, strict=True)]

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[TrainingRows]:
        for batch in self._batches:
            yield batch.cut(self._rows)
