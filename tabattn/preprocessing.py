"""DataFrame and schema to `Cells`: the arrays that the model reads."""

from typing import Self

import numpy as np
import pandas as pd
import torch
from scipy.special import ndtri
from sklearn.preprocessing import QuantileTransformer

from tabattn.nn.tokens import LIMIT, Cells
from tabattn.schema import Kind, TableSchema, as_levels, as_numbers

MAX_QUANTILES = 1000
ROWS_PER_QUANTILE = 30
MIN_QUANTILES = 10


class Preprocessor:
    """Turn rows of a table into the cells that the model reads.

    Numbers are mapped to the normal scores of their ranks among the training rows and clipped at three standard
    deviations, so that neither outliers nor heavy tails matter. Categories become codes, missing cells a mask.

    Args:
        schema: The columns.

    Source: quantile transform as in Gorishniy et al. 2021 (arXiv 2106.11959), appendix E. scikit-learn's own normal
        output is not used, because it takes all numbers within 1e-7 of the smallest for the smallest.

    Example:
        >>> from tabattn.schema import infer_schema
        >>> X = pd.DataFrame({"speed": [1.0, 2.0, None, 4.0], "line": ["A", "B", "B", "A"]})
        >>> cells = Preprocessor(infer_schema(X)).fit(X).transform(X)
        >>> cells.codes.flatten().tolist(), cells.missing[:, 0].tolist()
        ([1, 2, 2, 1], [False, False, True, False])
    """

    def __init__(self, schema: TableSchema) -> None:
        self.schema = schema
        self._quantiles: QuantileTransformer | None = None

    def fit(self, X: pd.DataFrame) -> Self:
        """Learn the quantiles of the numeric columns.

        Args:
            X: Training rows.

        Returns:
            This object.
        """
        numbers = self._numbers(X)
        if numbers.shape[1]:
            n_quantiles = int(np.clip(len(X) // ROWS_PER_QUANTILE, MIN_QUANTILES, MAX_QUANTILES))
            self._quantiles = QuantileTransformer(n_quantiles=min(n_quantiles, len(X)), subsample=None).fit(numbers)
        return self

    def transform(self, X: pd.DataFrame) -> Cells:
        """Return the cells of some rows.

        Args:
            X: Rows with the columns of the schema, in its order.

        Returns:
            One row of cells per row of X.

        Raises:
            ColumnError: A numeric column holds something that is no finite number.
        """
        numbers = self._numbers(X)
        missing_number = np.isnan(numbers)
        if self._quantiles is not None:
            numbers = np.clip(ndtri(self._quantiles.transform(numbers)), -LIMIT, LIMIT)
        codes, missing_code = self._codes(X)
        missing = np.concatenate([missing_number, missing_code], axis=1)
        return Cells(
            numeric=torch.from_numpy(np.where(missing_number, 0.0, numbers).astype(np.float32)),
            codes=torch.from_numpy(codes),
            missing=torch.from_numpy(missing) if missing.any() else None,
        )

    def _numbers(self, X: pd.DataFrame) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        positions = self.schema.of_kind(Kind.NUMERIC)
        numbers = np.empty((len(X), len(positions)))
        for j, i in enumerate(positions):
            numbers[:, j] = as_numbers(X.iloc[:, i], self.schema.columns[i].name)
        return numbers

    def _codes(
        self, X: pd.DataFrame
    ) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.int64]], np.ndarray[tuple[int, int], np.dtype[np.bool_]]]:
        positions = self.schema.of_kind(Kind.CATEGORICAL)
        codes = np.zeros((len(X), len(positions)), dtype=np.int64)
        missing = np.zeros((len(X), len(positions)), dtype=np.bool_)
        for j, i in enumerate(positions):
            code_of = {level: code for code, level in enumerate(self.schema.columns[i].categories, start=1)}
            level_positions, names = as_levels(X.iloc[:, i])
            codes[:, j] = np.array([*(code_of.get(name, 0) for name in names), 0])[level_positions]
            missing[:, j] = level_positions < 0
        return codes, missing
