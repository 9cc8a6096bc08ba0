"""Intervals of importance: where that of a fitted model would be on many other rows like the held-out ones.

Held-out rows are in blocks, and each block is compared with background rows of its own. So blocks differ by chance in
both, and how much the importance moves when one block at a time is left out tells how far it is from that on endlessly
many rows. It is the interval of this model: another fit would have another importance.

Source: delete-one-group jackknife, Shao and Tu 1995 (The jackknife and bootstrap), chapter 2.
"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import t as t_distribution

from tabattn.arrays import Array

LEVEL = 0.95


def importance_intervals(raw: Array, by_block: Sequence[Array]) -> tuple[Array, Array]:
    """Return the ends of the 95 % interval of each importance.

    Args:
        raw: Mean score of each unit, of which the importance is the part in the sum of those that are positive; a
            negative one counts as such here, so that one near 0 has an interval too; -inf where nothing was read.
        by_block: For each fit the sums of scores of each block of held-out rows, shape (block, member, unit).

    Returns:
        Lower and upper ends, in [0, 1]; NaN where there are fewer than two blocks in any fit.

    Example:
        >>> random = np.random.default_rng(0)
        >>> blocks = np.array([3.0, 1.0, 0.0]) + random.normal(size=(20, 1, 3)) * [0.4, 0.4, 0.0]
        >>> low, high = importance_intervals(np.array([3.0, 1.0, 0.0]), [blocks])
        >>> low.round(2).tolist(), high.round(2).tolist()
        ([0.72, 0.22, 0.0], [0.78, 0.28, 0.0])
    """
    sums = [np.nan_to_num(each.sum(axis=1), neginf=0.0) for each in by_block]
    if min(len(each) for each in sums) < 2:
        return np.full_like(raw, np.nan), np.full_like(raw, np.nan)
    center = _fractions(np.where(np.isneginf(raw), 0.0, raw))
    total = np.sum([each.sum(axis=0) for each in sums], axis=0)
    variance = np.zeros_like(center)
    for each in sums:
        without = _fractions(total - each)
        variance += (len(each) - 1) * without.var(axis=0)
    n_free = sum(len(each) - 1 for each in sums)
    reach = t_distribution.ppf((1 + LEVEL) / 2, n_free) * np.sqrt(variance)
    return (center - reach).clip(0.0, 1.0), (center + reach).clip(0.0, 1.0)


def _fractions(raw: Array) -> Array:
    """Divide scores by the sum of the positive ones, on the last axis; equal ones where there are none."""
    total = raw.clip(0.0).sum(axis=-1, keepdims=True)
    fractions: Array = np.divide(raw, total, out=np.full_like(raw, 1 / raw.shape[-1]), where=total > 0)
    return fractions
