"""Permutation importance, the reference for all other scores: of any estimator, or of one that swaps columns itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from typing import Any, Literal, TypeAlias

import numpy as np
from scipy.stats import rankdata
from sklearn.base import is_classifier
from sklearn.inspection import permutation_importance
from sklearn.metrics import (
    d2_absolute_error_score,
    d2_pinball_score,
    d2_tweedie_score,
    r2_score,
)
from sklearn.utils import check_random_state

from tabattn.arrays import Array
from tabattn.errors import ParameterError
from tabattn.nn.losses import LossName
from tabattn.progress import Job

N_REPEATS, MIN_REPEATS, ENOUGH_PERMUTATIONS, N_LEADING = 10, 2, 1_000, 50
ENOUGH_ROWS, ENOUGH_CELLS = 1_000, 20_000
SHUFFLES_SHARE = 0.6
Repeats: TypeAlias = int | Literal["auto"]
Scoring: TypeAlias = Literal["r2", "r2_log", "d2_absolute", "d2_pinball", "d2_poisson", "neg_log_loss"]


@dataclass(frozen=True)
class PermutationScores:
    """Permutation importance of each column, in the order of the table.

    Args:
        repeats: Decrease in the score at each repeat, shape (column, repeat); NaN where a column was permuted fewer
            times than others.
        scoring: Name of the score, see `score_of`.
    """

    repeats: np.ndarray[tuple[int, int], np.dtype[np.float64]]
    scoring: Scoring

    @property
    def mean(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Mean decrease in the score; negative where permuting helped."""
        mean: np.ndarray[tuple[int], np.dtype[np.float64]] = np.nanmean(self.repeats, axis=1)
        return mean

    @property
    def std(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Standard deviation over repeats."""
        std: np.ndarray[tuple[int], np.dtype[np.float64]] = np.nanstd(self.repeats, axis=1)
        return std

    @property
    def n_repeats(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """How often each column was permuted."""
        counts: np.ndarray[tuple[int], np.dtype[np.int64]] = (~np.isnan(self.repeats)).sum(axis=1)
        return counts

    @property
    def rank_error(self) -> float:
        """Standard error of the rank of a column through the shuffles alone, mean over the columns permuted most often.

        NaN for one repeat.
        """
        compared = self.repeats[~np.isnan(self.repeats).any(axis=1)]
        n_repeats = compared.shape[1]
        if n_repeats < 2:
            return float("nan")
        ranks = rankdata(compared, axis=0)
        return float(ranks.std(axis=1, ddof=1).mean() / np.sqrt(n_repeats))


def permutation_scores(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    n_repeats: int = N_REPEATS,
    random_state: int | None = 0,
    scoring: Scoring | None = None,
    quantile: float = 0.5,
) -> PermutationScores:
    """Measure how much worse a fitted estimator gets when one column at a time is permuted.

    The score is the estimator's own loss with its sign turned, on a fixed scale: R² for regression by squared errors,
    negative log loss for classification, which sees changes that accuracy does not.

    Args:
        estimator: Any fitted scikit-learn regressor, or classifier with `predict_proba`.
        X: Rows that the estimator was not trained on.
        y: Their target.
        n_repeats: Permutations per column, at least 1.
        random_state: Seed of the permutations.
        scoring: The score, see `score_of`; None for "r2" of regressors and "neg_log_loss" of classifiers.
        quantile: Of the score "d2_pinball".

    Returns:
        The decrease in the score at each repeat.

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
    _check_repeats(n_repeats)
    chosen: Scoring = ("neg_log_loss" if is_classifier(estimator) else "r2") if scoring is None else scoring

    def scorer(fitted: Any, X: Any, y: Any) -> float:
        is_probability = chosen == "neg_log_loss"
        predicted = fitted.predict_proba(X) if is_probability else fitted.predict(X)
        return score_of(chosen, y, predicted, classes=fitted.classes_ if is_probability else None, quantile=quantile)

    result = permutation_importance(
        estimator, X, y, scoring=scorer, n_repeats=n_repeats, random_state=random_state, n_jobs=None
    )
    return PermutationScores(repeats=result.importances, scoring=chosen)


def permuted_scores(
    score: Callable[[Sequence[int], Array], Array],
    scoring: Scoring,
    *,
    n_rows: int,
    n_columns: int,
    n_repeats: Repeats,
    random_state: int | None,
    job: Job | None = None,
) -> PermutationScores:
    """Measure permutation importance by a function that scores rows with one column at a time permuted.

    The permutations are those that scikit-learn's function draws from the same seed: each repeat permutes the rows of
    the one before once more, and all columns are permuted alike.

    Args:
        score: Takes positions of columns and, for each row, the row that the cell comes from; returns the decrease in
            the score for each of these columns.
        scoring: Name of the score.
        n_rows: Number of rows.
        n_columns: Number of columns.
        n_repeats: Permutations per column, at least 1; "auto" for 10, but above 100 columns for fewer of those that
            come after the first 50 then, see `first_repeats`.
        random_state: Seed of the permutations.
        job: The job that this is the phase "shuffles" of. Where its time does not suffice, there are fewer repeats.

    Returns:
        The decrease in the score at each repeat.

    Raises:
        ParameterError: `n_repeats` is less than 1.

    Source: Breiman 2001 (Random Forests), section 10, as implemented by `sklearn.inspection.permutation_importance`.
    """
    if n_repeats != "auto":
        _check_repeats(n_repeats)
    n_most = N_REPEATS if n_repeats == "auto" else n_repeats
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max + 1)
    draw, order, source = check_random_state(seed), np.arange(n_rows), np.arange(n_rows)
    decreases = np.full((n_columns, n_most), np.nan)
    chosen = np.arange(n_columns)
    job = job or Job()
    with job.phase("shuffles", n_most, SHUFFLES_SHARE) as phase:
        for repeat in range(n_most):
            if repeat > 0 and not phase.has_time_for_a_step:
                decreases = decreases[:, :repeat]
                job.shortened.append(f"{repeat} of {n_most} shuffles")
                break
            draw.shuffle(order)
            source = source[order]
            if n_repeats == "auto" and repeat == first_repeats(n_columns):
                leading = np.argsort(-decreases[:, :repeat].mean(axis=1), kind="stable")[:N_LEADING]
                chosen = np.sort(leading)
            decreases[chosen, repeat] = score(chosen.tolist(), source)
            phase.advance()
    return PermutationScores(repeats=decreases, scoring=scoring)


def enough_rows(n_columns: int) -> int:
    """Return how many rows to permute where there are more: 1,000, and more of them below 20 columns.

    Args:
        n_columns: Number of columns.

    Example:
        >>> enough_rows(5), enough_rows(300)
        (4000, 1000)
    """
    return max(ENOUGH_ROWS, ENOUGH_CELLS // n_columns)


def first_repeats(n_columns: int) -> int:
    """Return how often to permute all columns before only those that lead are permuted: 10 times, fewer above 100.

    Args:
        n_columns: Number of columns.

    Example:
        >>> [first_repeats(n) for n in (8, 100, 250, 7_000)]
        [10, 10, 4, 2]
    """
    return int(np.clip(ENOUGH_PERMUTATIONS // n_columns, MIN_REPEATS, N_REPEATS))


def mean_repeats(n_columns: int) -> float:
    """Return how often a column is permuted in the mean where `permuted_scores` is to choose.

    Args:
        n_columns: Number of columns.

    Example:
        >>> mean_repeats(50), mean_repeats(500)
        (10.0, 2.8)
    """
    n_first = first_repeats(n_columns)
    return n_first + (N_REPEATS - n_first) * min(n_columns, N_LEADING) / n_columns


def _check_repeats(n_repeats: int) -> None:
    if not isinstance(n_repeats, Integral) or isinstance(n_repeats, bool) or n_repeats < 1:
        raise ParameterError(f"n_repeats must be an integer of at least 1, got {n_repeats!r}.")


def score_of(
    scoring: Scoring,
    y: Any,
    predicted: Array,
    *,
    classes: Array | None = None,
    quantile: float = 0.5,
    weight: Array | None = None,
) -> float:
    """Return the score of predictions: 1 minus the loss divided by that of a constant, or minus the log loss.

    Args:
        scoring: "r2" (squared errors), "r2_log" (of logarithms), "d2_absolute" (absolute errors), "d2_pinball",
            "d2_poisson" (Poisson's deviance), or "neg_log_loss" (nats).
        y: The target; where there are several, the score is the mean of theirs.
        predicted: Numbers, or for "neg_log_loss" probabilities of classes or labels.
        classes: The classes, in the order of the probabilities.
        quantile: Of "d2_pinball".
        weight: Weight of each row; None for equal weights.

    Returns:
        At most 1, or at most 0 for "neg_log_loss"; higher is better.

    Example:
        >>> score_of("d2_absolute", np.array([1.0, 2.0, 9.0]), np.array([1.0, 2.0, 5.0]))
        0.5

    Source: scikit-learn's functions of these names.
    """
    known = np.asarray(y)
    if scoring == "neg_log_loss":
        if known.ndim == 1:
            labels = np.unique(known) if classes is None else classes
            codes = np.searchsorted(labels, known).clip(0, len(labels) - 1)
            if len(labels) != predicted.shape[1] or (labels[codes] != known).any():
                raise ParameterError("The target must hold classes that fit has seen. Leave other rows out.")
            return _mean_log(predicted[np.arange(len(known)), codes], weight)
        return _mean_log(np.where(known == 1, predicted, 1 - predicted), weight)
    score = partial(d2_pinball_score, alpha=quantile) if scoring == "d2_pinball" else NUMBER_SCORES[scoring]
    columns = zip(known.reshape(len(known), -1).T, predicted.reshape(len(known), -1).T, strict=True)
    return float(np.mean([_score_or_0(score, *pair, weight) for pair in columns]))


def _mean_log(probability: Array, weight: Array | None) -> float:
    """Return the mean logarithm of what was predicted for what came true, as scikit-learn's `log_loss` clips it.

    Not `log_loss` itself: its checks of arguments were half of the time of shuffles, profiled on 61 rows of 13 columns.
    """
    epsilon = np.finfo(probability.dtype).eps
    logarithms = np.log(probability.clip(epsilon, 1 - epsilon))
    return float(logarithms.mean() if weight is None else np.average(logarithms, axis=0, weights=weight).mean())


def _score_or_0(score: Callable[..., float], known: Array, predicted: Array, weight: Array | None) -> float:
    """Return a score, or 0 where it is undefined because the target is constant."""
    with np.errstate(invalid="ignore", divide="ignore"):
        try:
            value = float(score(known, predicted, sample_weight=weight))
        except ZeroDivisionError:
            return 0.0
    return 0.0 if np.isnan(value) else value


def _r2_of_logarithms(known: Array, predicted: Array, sample_weight: Array | None = None) -> float:
    smallest = np.finfo(np.float64).tiny
    return float(r2_score(np.log(known), np.log(predicted.clip(smallest)), sample_weight=sample_weight))


NUMBER_SCORES: Mapping[Scoring, Callable[..., float]] = {
    "r2": r2_score,
    "r2_log": _r2_of_logarithms,
    "d2_absolute": d2_absolute_error_score,
    "d2_poisson": partial(d2_tweedie_score, power=1),
}
SCORINGS: Mapping[LossName, Scoring] = {
    "squared": "r2",
    "squared_log": "r2_log",
    "absolute": "d2_absolute",
    "pinball": "d2_pinball",
    "poisson": "d2_poisson",
    "classes": "neg_log_loss",
    "labels": "neg_log_loss",
}
