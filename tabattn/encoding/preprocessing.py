"""Typed columns to numbers and codes, and these to `Cells`: the tensors that a model reads."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

from tabattn.arrays import Array
from tabattn.encoding.blocks import BlockEncoder
from tabattn.encoding.quantiles import NormalScores
from tabattn.errors import TabAttnWarning, UnknownLevelsWarning
from tabattn.nn.tokens import CellLayout, Cells
from tabattn.table.columns import Levels, Numbers, Texts, Times
from tabattn.table.schema import Column, TableSchema, TypedTable

MISSING = -1
MIN_UNKNOWN_CELLS = 10


@dataclass(frozen=True, eq=False)
class RawCells:
    """The cells of some rows as numbers and codes, in the order of the model, before any scaling.

    Args:
        numbers: Those of columns of one number, then those of dates and texts, NaN where missing, shape (row, number).
        codes: Codes of the levels, 0 for rare and new ones, -1 where missing, shape (row, categorical).
        warnings: What to warn of.
    """

    numbers: np.ndarray[tuple[int, int], np.dtype[np.float64]]
    codes: np.ndarray[tuple[int, int], np.dtype[np.int64]]
    warnings: tuple[TabAttnWarning, ...] = ()

    @property
    def design(self) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        """The design matrix of models that need no scaling: numbers, then codes, NaN where missing."""
        return np.column_stack([self.numbers, np.where(self.codes == MISSING, np.nan, self.codes)])

    def take(self, positions: np.ndarray[tuple[int], np.dtype[np.int64]]) -> "RawCells":
        """Return the rows at some positions, without the warnings, which are about all rows."""
        return RawCells(self.numbers[positions], self.codes[positions])


@dataclass(frozen=True, eq=False)
class Preprocessor:
    """Turn rows of a table into the cells that the model reads.

    Numbers are mapped to the normal scores of their ranks among the training rows. Dates and texts become several
    numbers. Categories become codes, missing cells a mask.

    Args:
        schema: The columns.
        blocks: Encoders of the columns of dates and texts.
        normal_scores: What numbers are mapped to; None if no column becomes a number.

    Example:
        >>> import pandas as pd
        >>> from tabattn.table.inference import infer_table
        >>> table = infer_table(pd.DataFrame({"speed": [1.0, 2.0, None, 4.0], "line": ["A", "B", "B", "A"]}))
        >>> preprocessor, raw = Preprocessor.learned(table)
        >>> cells = preprocessor.transform(raw)
        >>> cells.codes.flatten().tolist(), cells.missing[:, 0].tolist()
        ([1, 2, 2, 1], [False, False, True, False])
    """

    schema: TableSchema
    blocks: tuple[BlockEncoder, ...]
    normal_scores: NormalScores | None

    @classmethod
    def learned(cls, table: TypedTable) -> tuple[Self, RawCells]:
        """Learn the blocks of dates and texts and the quantiles of all numbers.

        Args:
            table: Training rows.

        Returns:
            The preprocessor, and the numbers and codes of the training rows.
        """
        schema = table.schema
        learned = [BlockEncoder.learned(_in_block(table, i)) for i in schema.block_positions]
        numbers = _joined(schema, table, [block for _, block in learned])
        normal_scores = NormalScores.learned(numbers) if numbers.shape[1] else None
        codes, _ = _codes(schema, table)
        return cls(schema, tuple(encoder for encoder, _ in learned), normal_scores), RawCells(numbers, codes)

    @property
    def layout(self) -> CellLayout:
        """Where the cells of each column stand."""
        columns = self.schema.columns
        return CellLayout(
            n_numeric=len(self.schema.number_positions),
            n_parts=tuple(block.n_parts for block in self.blocks),
            n_levels=tuple(columns[i].n_codes for i in self.schema.code_positions),
        )

    def raw(self, table: TypedTable) -> RawCells:
        """Return the numbers and codes of some rows.

        Args:
            table: Rows with the columns of the schema, in its order.

        Returns:
            Numbers and codes; warnings are `UnknownLevelsWarning`: none of ten or more cells of a category is a level
            that was seen in training.
        """
        blocks = [block.transform(_in_block(table, i)) for i, block in self._by_position()]
        codes, warnings = _codes(self.schema, table)
        return RawCells(_joined(self.schema, table, blocks), codes, warnings)

    def transform(self, raw: RawCells) -> Cells:
        """Return the cells of some rows.

        Args:
            raw: Their numbers and codes.
        """
        is_number = ~np.isnan(raw.numbers)
        numbers = raw.numbers if self.normal_scores is None else self.normal_scores.transform(raw.numbers)
        missing = np.concatenate([~is_number[:, self.layout.first_numbers], raw.codes == MISSING], axis=1)
        return Cells(
            numeric=torch.from_numpy(np.where(is_number, numbers, 0.0).astype(np.float32)),
            codes=torch.from_numpy(np.maximum(raw.codes, 0)),
            missing=torch.from_numpy(missing) if missing.any() else None,
        )

    @property
    def arrays(self) -> dict[str, Array]:
        """Everything that was learned, as arrays by name."""
        arrays = {f"block_{i}.{name}": array for i, each in self._by_position() for name, array in each.arrays.items()}
        return arrays if self.normal_scores is None else arrays | {"quantiles": self.normal_scores.quantiles}

    @classmethod
    def from_arrays(cls, schema: TableSchema, arrays: Mapping[str, Array]) -> Self:
        """Return the preprocessor of a schema whose `arrays` these are.

        Args:
            schema: The columns.
            arrays: What `arrays` returned, perhaps among others.

        Raises:
            ValueError, KeyError: They are not those of a preprocessor of this schema.
        """
        blocks = []
        for i in schema.block_positions:
            prefix = f"block_{i}."
            own = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
            blocks.append(BlockEncoder.from_arrays(schema.columns[i].kind, own))
        n_numbers = len(schema.number_positions) + sum(block.n_parts for block in blocks)
        normal_scores = None
        if n_numbers:
            quantiles = arrays["quantiles"]
            if (
                quantiles.dtype != np.float64
                or quantiles.ndim != 2
                or quantiles.shape[1] != n_numbers
                or len(quantiles) < 2
            ):
                raise ValueError("there must be quantiles of each number")
            if not np.isfinite(quantiles).all() or (np.diff(quantiles, axis=0) < 0).any():
                raise ValueError("quantiles must be sorted")
            normal_scores = NormalScores(quantiles)
        return cls(schema, tuple(blocks), normal_scores)

    def _by_position(self) -> Iterator[tuple[int, BlockEncoder]]:
        return zip(self.schema.block_positions, self.blocks, strict=True)


def _in_block(table: TypedTable, position: int) -> Times | Texts:
    cells = table.cells[position]
    assert isinstance(cells, Times | Texts), "a schema has dates and texts at these positions"
    return cells


def _joined(
    schema: TableSchema, table: TypedTable, blocks: list[np.ndarray[tuple[int, int], np.dtype[np.float64]]]
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Put the numbers of columns of one number and the blocks side by side."""
    columns = []
    for i in schema.number_positions:
        cells = table.cells[i]
        assert isinstance(cells, Numbers), "a schema has numbers at these positions"
        columns.append(cells.values)
    return np.column_stack([np.empty((len(table), 0)), *columns, *blocks])


def _codes(
    schema: TableSchema, table: TypedTable
) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.int64]], tuple[TabAttnWarning, ...]]:
    codes = np.zeros((len(table), len(schema.code_positions)), dtype=np.int64)
    warnings = []
    for j, i in enumerate(schema.code_positions):
        column, cells = schema.columns[i], table.cells[i]
        assert isinstance(cells, Levels), "a schema has levels at these positions"
        code_of = {level: code for code, level in enumerate(column.categories, start=1)}
        codes[:, j] = np.array([*(code_of.get(name, 0) for name in cells.names), MISSING])[cells.positions]
        if warning := _unknown_levels(column, cells, codes[:, j]):
            warnings.append(warning)
    return codes, tuple(warnings)


def _unknown_levels(column: Column, cells: Levels, codes: Array) -> UnknownLevelsWarning | None:
    n_present = int((~cells.missing).sum())
    if not column.categories or n_present < MIN_UNKNOWN_CELLS or (codes > 0).any():
        return None
    name = cells.names[cells.positions[~cells.missing][0]]
    return UnknownLevelsWarning(
        f"Column {column.name!r} holds none of the levels that fit has seen, such as {column.categories[0]!r}, in "
        f"{n_present} cell(s), but {name!r}: all count as one new level."
    )
