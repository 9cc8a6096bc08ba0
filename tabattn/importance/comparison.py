"""How far two rankings of the same columns agree."""

from typing import TypedDict

import numpy as np
from scipy import stats
from sklearn.metrics import ndcg_score

from tabattn.errors import ParameterError

MAX_TOP_K = 5


class Agreement(TypedDict):
    """Measures of agreement of two rankings; NaN where a measure is undefined.

    Keys:
        spearman: Rank correlation, in [-1, 1].
        kendall: Fraction of pairs in the same order minus the fraction in opposite order (tau-b), in [-1, 1].
        weighted_kendall: The same with more weight on pairs near the top, in [-1, 1].
        top_k_overlap: Fraction of the first k columns that both rankings have in their first k, in [0, 1].
        ndcg: Normalized discounted cumulative gain of the first ranking, the second being the truth, in [0, 1].
        p_value: Probability of a Spearman correlation at least as far from 0 if the rankings were independent.
    """

    spearman: float
    kendall: float
    weighted_kendall: float
    top_k_overlap: float
    ndcg: float
    p_value: float


def compare_rankings(
    scores: np.ndarray[tuple[int], np.dtype[np.float64]], reference: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> Agreement:
    """Compare scores of columns with reference scores of the same columns.

    Args:
        scores: One finite score per column, higher is more important.
        reference: The scores to compare with, for example permutation importance; negative ones count as 0 in `ndcg`.

    Returns:
        All measures. With one column, or where all scores are equal, correlations are NaN.

    Raises:
        ParameterError: The two have different lengths.

    Example:
        >>> agreement = compare_rankings(np.array([0.5, 0.3, 0.2]), np.array([9.0, 4.0, -1.0]))
        >>> round(agreement["spearman"], 6), agreement["top_k_overlap"], agreement["ndcg"]
        (1.0, 1.0, 1.0)

    Source: weighted Kendall: Vigna 2015, as in `scipy.stats.weightedtau` with hyperbolic weights of both rankings;
        NDCG: Järvelin and Kekäläinen 2002, as in `sklearn.metrics.ndcg_score`.
    """
    if scores.shape != reference.shape:
        raise ParameterError(f"scores and reference must have the same length, got {len(scores)} and {len(reference)}.")
    k = top_k(len(scores))
    is_constant = len(scores) < 2 or np.ptp(scores) == 0 or np.ptp(reference) == 0
    overlap = len(set(_ranking(scores)[:k]) & set(_ranking(reference)[:k])) / k
    if is_constant:
        nan = float("nan")
        return Agreement(spearman=nan, kendall=nan, weighted_kendall=nan, top_k_overlap=overlap, ndcg=nan, p_value=nan)
    spearman = stats.spearmanr(scores, reference)
    gain = np.clip(reference, 0.0, None)
    return Agreement(
        spearman=float(spearman.statistic),
        kendall=float(stats.kendalltau(scores, reference).statistic),
        weighted_kendall=float(stats.weightedtau(scores, reference).statistic),
        top_k_overlap=overlap,
        ndcg=float(ndcg_score(gain[None], scores[None])) if gain.any() else float("nan"),
        p_value=float(spearman.pvalue),
    )


def top_k(n_columns: int) -> int:
    """Return the k of `top_k_overlap`: 5, but at most half of the columns, so that the overlap can fail.

    Args:
        n_columns: Number of columns, at least 1.

    Returns:
        A number between 1 and 5.

    Example:
        >>> top_k(100), top_k(8), top_k(3), top_k(1)
        (5, 4, 1, 1)
    """
    return max(1, min(MAX_TOP_K, n_columns // 2))


def _ranking(scores: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[int]:
    ranking: list[int] = np.argsort(-scores, kind="stable").tolist()
    return ranking
