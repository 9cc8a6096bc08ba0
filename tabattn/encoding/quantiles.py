"""Numbers to the normal scores of their ranks among the training rows."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float
from scipy.special import ndtri

from tabattn.nn.tokens import LIMIT

MAX_QUANTILES, MIN_QUANTILES, ROWS_PER_QUANTILE = 1000, 10, 30


@dataclass(frozen=True, eq=False)
class NormalScores:
    """A map of each number to a score between -3 and 3, so that neither outliers nor heavy tails matter.

    Args:
        quantiles: Quantiles of each number among the training rows, at equal distances from 0 to 1, shape
            (quantile, number).

    Source: quantile transform as in Gorishniy et al. 2021 (arXiv 2106.11959), appendix E; ranks by interpolation in
        both directions, so that a value equal to several quantiles gets the middle of their ranks, as in scikit-learn's
        `QuantileTransformer`, whose own normal output treats all numbers within 1e-7 of the smallest as the smallest.

    Example:
        >>> scores = NormalScores.learned(np.array([[1.0], [2.0], [3.0], [np.nan]]))
        >>> scores.transform(np.array([[0.0], [2.0], [np.nan]])).ravel().round(6).tolist()
        [-3.0, 0.0, nan]
    """

    quantiles: Float[np.ndarray, "quantile number"]

    @classmethod
    def learned(cls, numbers: Float[np.ndarray, "row number"]) -> Self:
        """Learn the quantiles.

        Args:
            numbers: Training rows, NaN where missing.
        """
        n_rows = len(numbers)
        n_quantiles = min(int(np.clip(n_rows // ROWS_PER_QUANTILE, MIN_QUANTILES, MAX_QUANTILES)), n_rows)
        return cls(np.nanpercentile(numbers, 100 * np.linspace(0, 1, n_quantiles), axis=0))

    @property
    def ranks(self) -> Float[np.ndarray, " quantile"]:
        """The rank of each quantile, from 0 to 1."""
        return np.linspace(0, 1, len(self.quantiles))

    def transform(self, numbers: Float[np.ndarray, "row number"]) -> Float[np.ndarray, "row number"]:
        """Return the scores of some rows.

        Args:
            numbers: NaN where missing.

        Returns:
            Scores, NaN where missing.
        """
        ranks, scores = self.ranks, np.full(numbers.shape, np.nan)
        for i, quantiles in enumerate(self.quantiles.T):
            is_present = ~np.isnan(numbers[:, i])
            x = numbers[is_present, i]
            rank = 0.5 * (np.interp(x, quantiles, ranks) - np.interp(-x, -quantiles[::-1], -ranks[::-1]))
            rank[x == quantiles[-1]] = 1.0
            rank[x == quantiles[0]] = 0.0
            scores[is_present, i] = np.clip(ndtri(rank), -LIMIT, LIMIT)
        return scores
