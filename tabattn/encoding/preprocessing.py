"""DataFrame and schema to `Cells`: the arrays that the model reads."""

from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from scipy.special import ndtri
from sklearn.preprocessing import QuantileTransformer

from tabattn.encoding.blocks import BlockEncoder, fit_block
from tabattn.errors import UnknownLevelsWarning
from tabattn.nn.tokens import LIMIT, Cells
from tabattn.table.cells import FLAG_NAMES, Numbers, as_flags, as_levels, as_numbers, as_seconds, warn_of_cells
from tabattn.table.schema import Kind, TableSchema

Array = np.ndarray[Any, np.dtype[Any]]
MAX_QUANTILES = 1000
ROWS_PER_QUANTILE = 30
MIN_QUANTILES = 10
MIN_UNKNOWN_CELLS = 10


class Preprocessor:
    """Turn rows of a table into the cells that the model reads.

    Numbers are mapped to the normal scores of their ranks among the training rows and clipped at three standard
    deviations, so that neither outliers nor heavy tails matter. Dates and texts become several numbers. Categories
    become codes, missing cells a mask.

    Args:
        schema: The columns.

    Source: quantile transform as in Gorishniy et al. 2021 (arXiv 2106.11959), appendix E. scikit-learn's own normal
        output is not used, because it takes all numbers within 1e-7 of the smallest for the smallest.

    Example:
        >>> from tabattn.table.schema import infer_schema
        >>> X = pd.DataFrame({"speed": [1.0, 2.0, None, 4.0], "line": ["A", "B", "B", "A"]})
        >>> cells = Preprocessor(infer_schema(X)).fit(X).transform(X)
        >>> cells.codes.flatten().tolist(), cells.missing[:, 0].tolist()
        ([1, 2, 2, 1], [False, False, True, False])
    """

    def __init__(self, schema: TableSchema) -> None:
        self.schema = schema
        self._quantiles: QuantileTransformer | None = None
        self._blocks: tuple[BlockEncoder, ...] = ()

    @property
    def n_parts(self) -> tuple[int, ...]:
        """Numbers per cell of each column of dates or texts."""
        return tuple(block.n_parts for block in self._blocks)

    @property
    def sizes(self) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
        """Number of columns of one number, parts of the blocks, codes of the categories: what a model is built for."""
        schema = self.schema
        n_levels = tuple(schema.columns[i].width for i in schema.code_positions)
        return len(schema.number_positions), self.n_parts, n_levels

    def fit(self, X: pd.DataFrame) -> Self:
        """Learn the blocks of dates and texts and the quantiles of all numbers.

        Args:
            X: Training rows.

        Returns:
            This object.
        """
        columns = self.schema.columns
        self._blocks = tuple(fit_block(columns[i], X.iloc[:, i]) for i in self.schema.block_positions)
        numbers = self.numbers(X)
        if numbers.shape[1]:
            n_quantiles = int(np.clip(len(X) // ROWS_PER_QUANTILE, MIN_QUANTILES, MAX_QUANTILES))
            self._quantiles = QuantileTransformer(n_quantiles=min(n_quantiles, len(X)), subsample=None).fit(numbers)
        return self

    @property
    def arrays(self) -> dict[str, Array]:
        """All that was learned, as arrays by name."""
        arrays = {f"block_{i}.{name}": array for i, each in self._by_position() for name, array in each.arrays.items()}
        if self._quantiles is not None:
            arrays["quantiles"] = self._quantiles.quantiles_
        return arrays

    @classmethod
    def from_arrays(cls, schema: TableSchema, arrays: Mapping[str, Array]) -> Self:
        """Return the preprocessor of a schema whose `arrays` these are.

        Args:
            schema: The columns.
            arrays: What `arrays` returned, perhaps among others.

        Raises:
            ValueError, KeyError: They are not those of a preprocessor of this schema.
        """
        preprocessor = cls(schema)
        blocks = []
        for i in schema.block_positions:
            prefix = f"block_{i}."
            own = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
            blocks.append(BlockEncoder.from_arrays(schema.columns[i], own))
        preprocessor._blocks = tuple(blocks)
        n_numbers = len(schema.number_positions) + sum(preprocessor.n_parts)
        if n_numbers:
            quantiles = arrays["quantiles"]
            if quantiles.ndim != 2 or quantiles.shape[1] != n_numbers or len(quantiles) < 2:
                raise ValueError("there must be quantiles of each number")
            transformer = QuantileTransformer(n_quantiles=len(quantiles), subsample=None)
            transformer.n_quantiles_, transformer.quantiles_ = len(quantiles), quantiles
            transformer.references_ = np.linspace(0, 1, len(quantiles))
            transformer.n_features_in_ = n_numbers
            preprocessor._quantiles = transformer
        return preprocessor

    def transform(self, X: pd.DataFrame) -> Cells:
        """Return the cells of some rows.

        Args:
            X: Rows with the columns of the schema, in its order.

        Returns:
            One row of cells per row of X.

        Raises:
            ColumnError: A column holds nothing of what it held in training, or infinite numbers.

        Warns:
            UnreadCellsWarning: Some cells are not what their column holds; they count as missing.
            UnknownLevelsWarning: None of ten or more cells of a category is a level that was seen in training.
        """
        numbers = self.numbers(X)
        is_number = ~np.isnan(numbers)
        if self._quantiles is not None:
            numbers = np.clip(ndtri(self._quantiles.transform(numbers)), -LIMIT, LIMIT)
        codes, missing_code = self.codes(X)
        n_numbers = len(self.schema.number_positions)
        first_parts = n_numbers + np.cumsum([0, *self.n_parts])[:-1]
        missing_number = ~is_number[:, [*range(n_numbers), *first_parts]]
        missing = np.concatenate([missing_number, missing_code], axis=1)
        return Cells(
            numeric=torch.from_numpy(np.where(is_number, numbers, 0.0).astype(np.float32)),
            codes=torch.from_numpy(codes),
            missing=torch.from_numpy(missing) if missing.any() else None,
        )

    def exchanged(self, cells: Cells, places: np.ndarray[tuple[int, int], np.dtype[np.intp]]) -> Cells:
        """Return the cells of rows whose columns come from other rows: what `transform` would return for them.

        Args:
            cells: The cells of some rows.
            places: For each row and column of the table, the number of the row that the cell comes from.

        Returns:
            As many rows, without reading a cell of the table again.
        """
        numeric, codes = cells.numeric.clone(), cells.codes.clone()
        missing = None if cells.missing is None else cells.missing.clone()
        first_parts = np.cumsum([0, *[1] * len(self.schema.number_positions), *self.n_parts])
        n_numbered = len(first_parts) - 1
        is_moved = (places != np.arange(len(places))[:, None]).any(axis=0)
        for position, column in enumerate(self.schema.model_positions):
            if not is_moved[column]:
                continue
            rows = torch.from_numpy(places[:, column])
            if position < n_numbered:
                parts = slice(first_parts[position], first_parts[position + 1])
                numeric[:, parts] = cells.numeric[rows, parts]
            else:
                codes[:, position - n_numbered] = cells.codes[rows, position - n_numbered]
            if missing is not None and cells.missing is not None:
                missing[:, position] = cells.missing[rows, position]
        return Cells(numeric, codes, missing)

    def numbers(self, X: pd.DataFrame) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        """Return all numbers as they are, NaN where missing: those of one number per column, then the blocks.

        Args:
            X: Rows with the columns of the schema, in its order.
        """
        columns = [self._read_number(X, i) for i in self.schema.number_positions]
        blocks = [block.transform(X.iloc[:, i]) for i, block in self._by_position()]
        return np.column_stack([np.empty((len(X), 0)), *columns, *blocks])

    def codes(
        self, X: pd.DataFrame
    ) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.int64]], np.ndarray[tuple[int, int], np.dtype[np.bool_]]]:
        """Return the codes of the categories, 0 for rare and new levels, and which cells are missing.

        Args:
            X: Rows with the columns of the schema, in its order.
        """
        positions = self.schema.code_positions
        codes = np.zeros((len(X), len(positions)), dtype=np.int64)
        missing = np.zeros((len(X), len(positions)), dtype=np.bool_)
        for j, i in enumerate(positions):
            code_of = {level: code for code, level in enumerate(self.schema.columns[i].categories, start=1)}
            if self.schema.columns[i].kind is Kind.BOOLEAN:
                level_positions, names = as_flags(X.iloc[:, i], self.schema.columns[i].name), list(FLAG_NAMES)
            else:
                level_positions, names = as_levels(X.iloc[:, i])
            codes[:, j] = np.array([*(code_of.get(name, 0) for name in names), 0])[level_positions]
            missing[:, j] = level_positions < 0
            n_present = int((level_positions >= 0).sum())
            if code_of and n_present >= MIN_UNKNOWN_CELLS and not codes[:, j].any():
                warn_of_cells(
                    f"Column {self.schema.columns[i].name!r} holds none of the levels that fit has seen, such as "
                    f"{next(iter(code_of))!r}, in {n_present} cell(s), but {names[0]!r}: all count as one new level.",
                    UnknownLevelsWarning,
                )
        return codes, missing

    def _by_position(self) -> Iterator[tuple[int, BlockEncoder]]:
        return zip(self.schema.block_positions, self._blocks, strict=True)

    def _read_number(self, X: pd.DataFrame, position: int) -> Numbers:
        column = self.schema.columns[position]
        if column.kind is Kind.DURATION:
            return as_seconds(X.iloc[:, position], column.name, column.written or ".")
        return as_numbers(X.iloc[:, position], column.name, column.written, column.origin)
