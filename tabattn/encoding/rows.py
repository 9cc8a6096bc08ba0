"""Rows of a table, parsed and encoded once for all computations of a fitted model."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tabattn.arrays import Array
from tabattn.encoding.preprocessing import Preprocessor, RawCells
from tabattn.encoding.target import TargetEncoding
from tabattn.errors import ColumnError, TabAttnWarning, warn_all
from tabattn.nn.tokens import Cells
from tabattn.table.schema import TableSchema, TypedTable

Positions = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows, read and encoded.

    Args:
        raw: Their numbers and codes.
        cells: The same as the model reads them.
        index: Labels of the rows.
        y: Their target as it was passed; None if it is not known.
        target: The same as the loss takes it.
        weight: Weight of each row; None where all count the same.
        warnings: What to warn of.
    """

    raw: RawCells
    cells: Cells
    index: "pd.Index[Any]"
    y: Array | None = None
    target: Tensor | None = None
    weight: Array | None = None
    warnings: tuple[TabAttnWarning, ...] = ()

    def __len__(self) -> int:
        return len(self.cells)

    def take(self, positions: Positions) -> Self:
        """Return the rows at some positions, without the warnings, which are about all rows."""
        chosen = torch.from_numpy(positions)
        return type(self)(
            raw=self.raw.take(positions),
            cells=self.cells.take(chosen),
            index=self.index[positions],
            y=None if self.y is None else self.y[positions],
            target=None if self.target is None else self.target[chosen],
            weight=None if self.weight is None else self.weight[positions],
        )

    def sample(self, n_rows: int, random_state: int | None) -> Self:
        """Return a random sample of the rows, in their order; all of them where there are no more.

        Args:
            n_rows: Number of rows at most.
            random_state: Seed of the sample.
        """
        if len(self) <= n_rows:
            return self
        chosen = np.random.default_rng(random_state).choice(len(self), n_rows, replace=False)
        return self.take(np.sort(chosen))


@dataclass(frozen=True, eq=False)
class RowEncoder:
    """How tables become rows.

    Args:
        preprocessor: Encoding of the columns.
        target: Encoding of the target.
    """

    preprocessor: Preprocessor
    target: TargetEncoding

    @property
    def schema(self) -> TableSchema:
        """The columns."""
        return self.preprocessor.schema

    @classmethod
    def learned(cls, table: TypedTable, y: Array, target: TargetEncoding) -> tuple[Self, Rows]:
        """Learn the encoding of the columns.

        Args:
            table: Training rows; their schema states which columns vary.
            y: Their target, checked.
            target: Its encoding.

        Returns:
            The encoder and the training rows.

        Raises:
            ColumnError: No column varies.
        """
        if not table.schema.token_positions:
            raise ColumnError(
                "X must have at least one column with more than one value, "
                f"got {len(table.schema.columns)} constant column(s)."
            )
        preprocessor, raw = Preprocessor.learned(table)
        encoder = cls(preprocessor, target)
        return encoder, encoder._encoded(table, raw, y)

    def read(self, X: pd.DataFrame, y: Array | None = None) -> Rows:
        """Parse, warn and encode.

        Args:
            X: Rows with the columns of the schema, in its order.
            y: Their target, checked; None if it is not known.

        Raises:
            ColumnError: A column holds nothing of what it held in training, or infinite numbers.
            TargetError: The target is not what was fitted.

        Warns:
            UnparsedCellsWarning: Some cells are not what their column holds; they count as missing.
            UnknownLevelsWarning: None of ten or more cells of a category is a level that was seen in training.
        """
        rows = self.encode(self.schema.read(X), y)
        warn_all(rows.warnings)
        return rows

    def encode(self, table: TypedTable, y: Array | None = None) -> Rows:
        """Encode rows that were parsed, without warning.

        Args:
            table: The rows.
            y: Their target, checked; None if it is not known.

        Raises:
            TargetError: The target is not what was fitted.
        """
        return self._encoded(table, self.preprocessor.raw(table), y)

    def _encoded(self, table: TypedTable, raw: RawCells, y: Array | None) -> Rows:
        return Rows(
            raw=raw,
            cells=self.preprocessor.transform(raw),
            index=table.index,
            y=None if y is None else y.copy(),
            target=None if y is None else self.target.encode(y),
            warnings=table.warnings + raw.warnings,
        )
