"""Tables larger than memory: a sample to look at, and all other rows on disk to learn from.

Which rows are held out follows from what is in them, so that it is the same for every process, every run, and for a row
of the sample and of the stream: rows that are equal, or that have the same lot, stay together; or the last ones in the
order of a column are held out, and those before them validate.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch

from tabattn.arrays import Array
from tabattn.encoding.known_target import known_target
from tabattn.encoding.rows import RowEncoder
from tabattn.errors import (
    DroppedRowsWarning,
    ParameterError,
    ReadingNote,
    TabAttnWarning,
    TableError,
    nearest,
    warn_all,
)
from tabattn.progress import Job
from tabattn.table.file_sets import SUFFIXES, FileSet, fractions_of, is_file_set
from tabattn.table.limits import GIGABYTE
from tabattn.table.links import times_of
from tabattn.table.problem import known_cells
from tabattn.table.reading import table_of, table_of_batch
from tabattn.training.data import TrainingRows
from tabattn.training.streams import RowStream

BYTES_PER_NUMBER, BYTES_PER_CODE, SPARE = 4, 4, 1.1
MIN_ROWS_OF_PART = 10


class Fractions(Protocol):
    """A number in [0, 1) for each row that follows from its cells: rows with low ones are held out."""

    def of(self, rows: Any) -> Array:
        """Return those of some rows.

        Args:
            rows: A batch of rows, or a table of PyArrow.
        """


@dataclass(frozen=True)
class HashedCells:
    """Fractions that are spread evenly, the same for rows whose cells are equal.

    Args:
        columns: Names of the columns of these cells; empty for all.
    """

    columns: tuple[str, ...] = ()

    def of(self, rows: Any) -> Array:
        """Return a hash of the cells of each row, scaled to [0, 1)."""
        return fractions_of(rows, self.columns)


@dataclass(frozen=True, eq=False)
class FromTheLast:
    """Fractions that grow from the last row to the first, in the order of a column.

    Args:
        column: Name of the column.
        known: Its values in the sample, sorted.
    """

    column: str
    known: Array

    def of(self, rows: Any) -> Array:
        """Return which fraction of the sample is later than each row."""
        n_later = len(self.known) - np.searchsorted(self.known, times_of(rows, self.column), side="right")
        return n_later / (len(self.known) + 1)


@dataclass(frozen=True, eq=False)
class LargeTable:
    """A table that does not fit into memory.

    Args:
        files: Its files.
        sample: Some of its rows.
        fraction: That of each row of the sample.
        fractions: From which it follows, wherever a row is read.
        gap: Fraction of the rows that is left out between those held out, those that validate, and the others.
    """

    files: FileSet
    sample: pd.DataFrame
    fraction: Array
    fractions: Fractions
    gap: float = 0.0


@dataclass(frozen=True, eq=False)
class LargeSplit:
    """Which rows of a large table are held out, and which validate; all others are learned from.

    Args:
        table: The table.
        fraction: That of each row of the sample whose target is known.
        held_out_below: Rows with a lower one are held out.
        validates_from: Rows with this one or a higher one tell when to stop,
        validates_below: if they have a lower one than this.
        learned_from: Rows with this one or a higher one are learned from.
    """

    table: LargeTable
    fraction: Array
    held_out_below: float
    validates_from: float
    validates_below: float
    learned_from: float

    @classmethod
    def of(cls, table: LargeTable, is_known: Array, held_out: float, validating: float) -> "LargeSplit":
        """Divide the rows by their fractions.

        Args:
            table: The table.
            is_known: Which rows of the sample have a target.
            held_out: Fraction of rows to hold out.
            validating: Fraction of the others that validate.

        Raises:
            TableError: Too few rows of the sample, or values of the columns that rows belong together by, are in one of
                the parts.
        """
        first = held_out + table.gap
        last = first + (1 - first) * validating
        split = cls(table, table.fraction[is_known], held_out, first, last, last + table.gap)
        for rows, what in (
            (split.held_out, "held out"),
            (split.validates, "that tell when to stop"),
            (split.learned, "to learn from"),
        ):
            if rows.sum() < MIN_ROWS_OF_PART:
                raise TableError(
                    f"A table that does not fit into memory must have at least {MIN_ROWS_OF_PART} rows {what} in the "
                    f"sample that does, got {int(rows.sum())}. Allow more memory (--max-memory), or name other columns."
                )
        return split

    @property
    def held_out(self) -> Array:
        """Which rows of the sample are held out."""
        held: Array = self.fraction < self.held_out_below
        return held

    @property
    def validates(self) -> Array:
        """Which rows of the sample tell when to stop."""
        chosen: Array = (self.fraction >= self.validates_from) & (self.fraction < self.validates_below)
        return chosen

    @property
    def learned(self) -> Array:
        """Which rows of the sample are learned from, as those like them that are not in it."""
        chosen: Array = self.fraction >= self.learned_from
        return chosen

    @contextmanager
    def streamed(self, encoder: RowEncoder, target: str, seed: int, job: Job) -> Iterator[RowStream]:
        """Write all rows to learn from to a temporary folder, encoded, which is removed in the end.

        Args:
            encoder: Learned from the sample.
            target: Name of the target.
            seed: Determines which rows are next to each other.
            job: The job that this is a part of.

        Yields:
            The rows.

        Raises:
            TableError: There is no room on the disk, or a file is damaged.
            TargetError: The target is not what it is in the sample.

        Warns:
            TabAttnWarning: What is doubtful in these rows, each kind of doubt once; and how many have a class that no
                row of the sample has, and were left out.
        """
        files, layout = self.table.files, encoder.preprocessor.layout
        per_row = BYTES_PER_NUMBER * (layout.n_numbers + encoder.target.n_outputs + 1) + layout.n_columns
        per_row += BYTES_PER_CODE * len(layout.n_levels)
        n_expected = int((1 - self.learned_from) * files.n_rows)
        with tempfile.TemporaryDirectory(prefix="tabattn-") as directory:
            free, needed = shutil.disk_usage(directory).free, SPARE * n_expected * per_row
            if needed > free:
                raise TableError(
                    f"Learning from all rows needs {needed / GIGABYTE:.3g} GB in {directory!r}, and "
                    f"{free / GIGABYTE:.3g} GB are free. Make room, set TMPDIR, or leave --all-rows out."
                )
            stream = RowStream(Path(directory), layout.n_columns, n_expected, per_row, seed)
            doubts: dict[type[TabAttnWarning], TabAttnWarning] = {}
            n_others = 0
            with job.phase("rows to disk", n_steps=files.n_files) as phase:
                for number in range(files.n_files):
                    for batch in files.batches_of(number):
                        is_learned = self.table.fractions.of(batch) >= self.learned_from
                        rows, n_of_others, found = _encoded(encoder, table_of_batch(batch).loc[is_learned], target)
                        n_others += n_of_others
                        doubts = {type(each): each for each in found} | doubts
                        if rows is not None:
                            stream.add(rows)
                    phase.advance()
            if n_others:
                message = f"{n_others} row(s) left out because no row of the sample has their class of {target!r}."
                doubts[DroppedRowsWarning] = DroppedRowsWarning(message)
            warn_all(doubts.values())
            yield stream


def _encoded(
    encoder: RowEncoder, table: pd.DataFrame, target: str
) -> "tuple[TrainingRows | None, int, Sequence[TabAttnWarning]]":
    """Return the rows whose target is known, if any; how many have another class; and what to warn of."""
    table = table.set_axis([str(name) for name in table.columns], axis=1).reset_index(drop=True)
    table = table[known_cells(table[target], target, encoder.schema.rules)].reset_index(drop=True)
    if not len(table):
        return None, 0, ()
    values, is_fitted, doubts = known_target(encoder.target, table[target], target)
    X = table[list(encoder.schema.names)][is_fitted].reset_index(drop=True)
    rows = encoder.encode(encoder.schema.read(X), np.asarray(values))
    assert rows.target is not None, "it was given"
    known = TrainingRows.numbered(rows.cells, rows.target, torch.ones(len(rows))) if len(rows) else None
    return known, int((~is_fitted).sum()), (*doubts, *rows.warnings)


def open_large(
    path: Any, split_by: tuple[str, ...], order_by: str | None, gap: int, max_memory: float | None
) -> LargeTable | None:
    """Return a table that does not fit into memory; None if it does, or is not of Parquet or Arrow files.

    Args:
        path: The file, directory, pattern or address.
        split_by: Names of the columns whose rows belong together; empty for none.
        order_by: Name of the column that orders rows; None for none.
        gap: Number of rows to leave out between parts, where rows are ordered.
        max_memory: Gigabytes that may be taken; None for most of what is free.

    Raises:
        ParameterError: Rows are to be split and ordered at once.
        TableError: A file is damaged or lacks one of the columns, or rows cannot be ordered.
    """
    if not isinstance(path, str | Path) or not (is_file_set(path) or Path(path).suffix.lower() in SUFFIXES):
        return None
    files = FileSet.opened(path)
    if files.fits(max_memory):
        return None
    names = [name.strip() for name in files.names]
    for argument, columns in (("split_by", split_by), ("order_by", () if order_by is None else (order_by,))):
        absent = [name for name in columns if name not in names]
        if absent:
            raise TableError(
                f"{argument} must name columns of the table, got {absent[0]!r}. {nearest(absent[0], names)}"
            )
    if split_by and order_by is not None:
        raise ParameterError(
            "all_rows must stand with split_by or with order_by for a table that does not fit into memory, got both. "
            "Leave one of them out."
        )
    rows, said = files.read(max_memory, may_sample=True)
    warn_all([ReadingNote(f"{files.location!r}: {'; '.join(said)}, and all others are learned from.")])
    fractions: Fractions = HashedCells(split_by)
    if order_by is not None:
        fractions = FromTheLast(order_by, np.sort(times_of(rows, order_by)))
    return LargeTable(files, table_of(rows), fractions.of(rows), fractions, gap / files.n_rows)
