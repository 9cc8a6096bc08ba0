"""Rows that do not fit into memory: on disk in buckets, which are read one after another and shuffled by themselves."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from tabattn.nn.tokens import Cells
from tabattn.training.data import Batches, TrainingRows

BUCKET_BYTES = 64_000_000
NUMERIC, CODES, ABSENT, TARGET, WEIGHT = "numeric", "codes", "absent", "target", "weight"


class RowStream:
    """Rows on disk. Each is put into a bucket at random, so that a pass over buckets in any order is a shuffled one.

    Args:
        directory: An empty directory, which the caller removes.
        n_columns: Number of columns of the rows.
        n_expected: Number of rows to come, about.
        bytes_per_row: Bytes of a row, about.
        seed: Determines which bucket a row is in.
        bucket_bytes: Bytes of a bucket, about; two of them are in memory at once.
    """

    def __init__(
        self,
        directory: Path,
        n_columns: int,
        n_expected: int,
        bytes_per_row: int,
        seed: int,
        bucket_bytes: int = BUCKET_BYTES,
    ) -> None:
        self._directory, self._n_columns = directory, n_columns
        self.n_rows, self.n_buckets = 0, max(1, -(-n_expected * bytes_per_row // bucket_bytes))
        self._generator = torch.Generator().manual_seed(seed)
        self._counts = [0] * self.n_buckets
        self._layouts: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {}

    def add(self, rows: TrainingRows) -> None:
        """Write rows to their buckets.

        Args:
            rows: On the CPU, without groups.
        """
        missing = rows.cells.missing
        absent = torch.zeros(len(rows), self._n_columns, dtype=torch.bool) if missing is None else missing
        tensors = {
            NUMERIC: rows.cells.numeric,
            CODES: rows.cells.codes.to(torch.int32),
            ABSENT: absent,
            TARGET: rows.target,
            WEIGHT: rows.weight,
        }
        order = torch.arange(len(rows))
        if self.n_buckets > 1:
            order = torch.randperm(len(rows), generator=self._generator)
        parts = order.tensor_split(self.n_buckets)
        first = int(torch.randint(self.n_buckets, (), generator=self._generator)) if self.n_buckets > 1 else 0
        for place, part in enumerate(parts):
            bucket = (first + place) % self.n_buckets
            self._counts[bucket] += len(part)
            for name, tensor in tensors.items():
                values = np.ascontiguousarray(tensor[part].numpy())
                self._layouts.setdefault(name, (values.dtype, values.shape[1:]))
                with self._path(bucket, name).open("ab") as file:
                    file.write(values.tobytes())
        self.n_rows += len(rows)

    def bucket(self, number: int) -> TrainingRows:
        """Return the rows of a bucket, in the order in which they were written.

        Args:
            number: From 0 on.
        """
        read = {name: torch.from_numpy(self._read(number, name)) for name in self._layouts}
        cells = Cells(read[NUMERIC], read[CODES].long(), read[ABSENT] if read[ABSENT].any() else None)
        return TrainingRows.numbered(cells, read[TARGET], read[WEIGHT])

    def _read(self, number: int, name: str) -> "np.ndarray[Any, Any]":
        kind, shape = self._layouts[name]
        return np.fromfile(self._path(number, name), dtype=kind).reshape(self._counts[number], *shape)

    def _path(self, number: int, name: str) -> Path:
        return self._directory / f"{number:06d}.{name}"


class StreamedBatches(Batches):
    """Batches of rows of a stream: buckets in random order, each of them shuffled.

    A batch has rows of one bucket, or of some that follow each other. All groups of members learn from the same rows.

    Args:
        stream: The rows.
        batch_size: Largest number of rows in a batch.
        n_groups: Number of groups of members.
        device: Where to learn.
        seed: Determines the orders.
        n_parts: Number of processes that share every batch.
        part: Which of them this is, from 0 on.
    """

    def __init__(
        self,
        stream: RowStream,
        batch_size: int,
        n_groups: int,
        device: torch.device,
        seed: int,
        n_parts: int = 1,
        part: int = 0,
    ) -> None:
        super().__init__(stream.n_rows, batch_size, torch.Generator().manual_seed(seed), n_parts, part)
        self._stream, self._n_groups, self._device = stream, n_groups, device

    def _shuffled(self) -> Iterator[TrainingRows]:
        """Yield bucket after bucket in a new order."""
        n_buckets = self._stream.n_buckets
        order = torch.randperm(n_buckets, generator=self._generator) if n_buckets > 1 else torch.zeros(1).long()
        for number in order.tolist():
            rows = self._stream.bucket(number)
            key = torch.rand(len(rows), generator=self._generator, dtype=torch.float64)
            yield rows.take(key.argsort())

    @override
    def _rest_of_pass(self, n_skipped: int) -> Iterator[TrainingRows]:
        n_rows, n_batches = self._stream.n_rows, self._n_batches
        sizes = iter([n_rows // n_batches + (number < n_rows % n_batches) for number in range(n_batches)])
        size, left = next(sizes), None
        for bucket in self._shuffled():
            rows = bucket if left is None else _joined(left, bucket)
            start = 0
            while size and len(rows) - start >= size:
                if n_skipped:
                    n_skipped -= 1
                else:
                    yield self._cut(rows, torch.arange(start, start + size))
                start, size = start + size, next(sizes, 0)
            left = rows.take(slice(start, None))

    def _cut(self, rows: TrainingRows, chosen: Tensor) -> TrainingRows:
        own = chosen[self._part :: self._n_parts]
        return rows.take(own.expand(self._n_groups, -1)).to(self._device)


def _joined(first: TrainingRows, second: TrainingRows) -> TrainingRows:
    return TrainingRows.numbered(
        Cells.joined(first.cells, second.cells),
        torch.cat([first.target, second.target]),
        torch.cat([first.weight, second.weight]),
    )
