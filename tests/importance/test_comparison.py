import math

import numpy as np
import pytest
from scipy import stats

from tabattn.errors import ParameterError
from tabattn.importance.comparison import compare_rankings


def test_equal_and_opposite_rankings() -> None:
    scores = np.arange(10.0)
    same, opposite = compare_rankings(scores, scores**3), compare_rankings(scores, -scores)
    assert [same[key] for key in ("spearman", "kendall", "weighted_kendall", "top_k_overlap", "ndcg")] == [
        pytest.approx(1.0)
    ] * 5
    assert [opposite[key] for key in ("spearman", "kendall", "weighted_kendall")] == [pytest.approx(-1.0)] * 3
    assert opposite["top_k_overlap"] == 0.0
    assert same["p_value"] < 1e-10


def test_known_values() -> None:
    scores, reference = np.array([4.0, 3.0, 2.0, 1.0]), np.array([3.0, 4.0, 1.0, 2.0])
    agreement = compare_rankings(scores, reference)
    assert agreement["spearman"] == pytest.approx(1 - 6 * 4 / (4 * 15))
    assert agreement["kendall"] == pytest.approx((4 - 2) / 6)
    discounts = 1 / np.log2(np.arange(2, 6))
    assert agreement["ndcg"] == pytest.approx(reference @ discounts / (np.array([4.0, 3.0, 2.0, 1.0]) @ discounts))
    assert agreement["top_k_overlap"] == 1.0
    assert agreement["p_value"] == pytest.approx(stats.spearmanr(scores, reference).pvalue)


def test_disagreement_at_the_top_weighs_more() -> None:
    reference = np.arange(10.0, 0.0, -1.0)
    top, bottom = reference.copy(), reference.copy()
    top[[0, 1]], bottom[[8, 9]] = top[[1, 0]], bottom[[9, 8]]
    at_top, at_bottom = compare_rankings(top, reference), compare_rankings(bottom, reference)
    assert at_top["kendall"] == pytest.approx(at_bottom["kendall"])
    assert at_top["weighted_kendall"] < at_bottom["weighted_kendall"]


def test_negative_references_count_as_zero_gain() -> None:
    scores = np.array([3.0, 2.0, 1.0])
    agreement = compare_rankings(scores, np.array([1.0, -5.0, -9.0]))
    assert agreement["ndcg"] == pytest.approx(1.0)


@pytest.mark.parametrize(("scores", "reference"), [([1.0], [2.0]), ([1.0, 1.0], [1.0, 2.0]), ([1.0, 2.0], [0.0, 0.0])])
def test_undefined_measures_are_nan(scores: list[float], reference: list[float]) -> None:
    agreement = compare_rankings(np.array(scores), np.array(reference))
    assert math.isnan(agreement["spearman"])
    assert math.isnan(agreement["p_value"])
    assert 0 <= agreement["top_k_overlap"] <= 1


def test_no_gain_at_all_leaves_ndcg_undefined() -> None:
    agreement = compare_rankings(np.array([1.0, 2.0]), np.array([-1.0, -2.0]))
    assert math.isnan(agreement["ndcg"])
    assert agreement["spearman"] == pytest.approx(-1.0)


def test_different_lengths_are_refused() -> None:
    with pytest.raises(ParameterError, match="same length, got 2 and 3"):
        compare_rankings(np.zeros(2), np.zeros(3))
