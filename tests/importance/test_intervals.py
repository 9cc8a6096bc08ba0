import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabattn.arrays import Array
from tabattn.importance.aggregation import normalize_scores
from tabattn.importance.intervals import importance_intervals


def blocks_of(means: list[float], spread: float, seed: int, n_blocks: int = 20) -> Array:
    return np.array(means) + spread * np.random.default_rng(seed).normal(size=(n_blocks, 2, len(means)))


def test_intervals_cover_the_share_that_blocks_come_from() -> None:
    means = [3.0, 2.0, 0.5, 0.02]
    truth = np.array(means) / sum(means)
    covered = []
    for seed in range(400):
        blocks = blocks_of(means, 0.5, seed)
        low, high = importance_intervals(blocks.sum(axis=(0, 1)), [blocks])
        covered.append((low <= truth) & (truth <= high))
    assert np.mean(covered, axis=0)[:3] == pytest.approx(0.95, abs=0.03)
    assert np.mean(covered, axis=0)[3] > 0.93


def test_several_fits_are_counted_together() -> None:
    one = [blocks_of([3.0, 1.0], 0.5, 0)]
    five = [blocks_of([3.0, 1.0], 0.5, seed) for seed in range(5)]
    widths = [np.subtract(*importance_intervals(np.array([3.0, 1.0]), each)[::-1]) for each in (one, five)]
    assert (widths[1] < 0.6 * widths[0]).all()


@settings(deadline=None)
@given(st.integers(0, 1_000), st.floats(0.1, 100))
def test_intervals_hold_the_importance_whatever_the_unit_of_the_scores(seed: int, scale: float) -> None:
    blocks = blocks_of([1.0, 0.5, 0.0], 1.0, seed, 7)
    raw = blocks.sum(axis=(0, 1))
    importance = normalize_scores(raw[None]).importance
    low, high = importance_intervals(raw, [blocks])
    if raw.max() > 0:
        assert ((low >= 0) & (low <= importance) & (importance <= high) & (high <= 1)).all()
    assert np.allclose([low, high], importance_intervals(scale * raw, [scale * blocks]))


def test_one_block_tells_nothing() -> None:
    low, high = importance_intervals(np.array([0.6, 0.4]), [np.ones((1, 2, 2))])
    assert np.isnan([low, high]).all()
