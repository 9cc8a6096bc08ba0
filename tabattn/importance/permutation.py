"""Permutation importance of any fitted estimator, by scikit-learn's own function: the judge of every other score."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.inspection import permutation_importance
from sklearn.metrics import log_loss, r2_score

from tabattn.errors import ParameterError


@dataclass(frozen=True)
class PermutationScores:
    """Permutation importance of each column, in the order of the table.

    Args:
        repeats: Fall of the score at each repeat, shape (column, repeat).
        scoring: Name of the score: "r2" for regression, "neg_log_loss" (nats) for classification.
    """

    repeats: np.ndarray[tuple[int, int], np.dtype[np.float64]]
    scoring: str

    @property
    def mean(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Mean fall of the score; negative where permuting helped."""
        mean: np.ndarray[tuple[int], np.dtype[np.float64]] = self.repeats.mean(axis=1)
        return mean

    @property
    def std(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Standard deviation over repeats."""
        std: np.ndarray[tuple[int], np.dtype[np.float64]] = self.repeats.std(axis=1)
        return std


def permutation_scores(
    estimator: Any, X: Any, y: Any, *, n_repeats: int = 10, random_state: int | None = 0
) -> PermutationScores:
    """Measure how much worse a fitted estimator gets when one column at a time is shuffled.

    The score is the estimator's own loss with its sign turned: R² for regression (squared error on a fixed scale),
    negative log loss for classification, which sees changes that accuracy does not.

    Args:
        estimator: Any fitted scikit-learn regressor, or classifier with `predict_proba`.
        X: Rows that the estimator was not trained on.
        y: Their target.
        n_repeats: Shuffles per column, at least 1.
        random_state: Seed of the shuffles.

    Returns:
        The fall of the score at each repeat.

    Raises:
        ParameterError: `n_repeats` is less than 1.

    Example:
        >>> import pandas as pd
        >>> from sklearn.linear_model import LinearRegression
        >>> X = pd.DataFrame({"a": [0.0, 1, 2, 3], "b": [0.0, 0, 0, 0]})
        >>> permutation_scores(LinearRegression().fit(X, X["a"]), X, X["a"], n_repeats=3).mean[1].item()
        0.0

    Source: Breiman 2001, as implemented by `sklearn.inspection.permutation_importance`.
    """
    if n_repeats < 1:
        raise ParameterError(f"n_repeats must be at least 1, got {n_repeats}.")
    scoring, scorer = ("neg_log_loss", _neg_log_loss) if is_classifier(estimator) else ("r2", _r2)
    result = permutation_importance(
        estimator, X, y, scoring=scorer, n_repeats=n_repeats, random_state=random_state, n_jobs=None
    )
    return PermutationScores(repeats=result.importances, scoring=scoring)


def _r2(estimator: Any, X: Any, y: Any) -> float:
    return float(r2_score(y, estimator.predict(X)))


def _neg_log_loss(estimator: Any, X: Any, y: Any) -> float:
    return -float(log_loss(y, estimator.predict_proba(X), labels=estimator.classes_))
