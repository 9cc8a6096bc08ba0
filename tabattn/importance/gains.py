"""What a change of the prediction gains in rows that have not shaped it, and whether that is beyond chance."""

import numpy as np
from scipy.stats import ttest_1samp

from tabattn.arrays import Array


def extrapolated(all_draws: Array, halves: Array) -> Array:
    """Return what a mean over draws would give if there were endlessly many of them.

    A loss of a mean of draws is too large by a term that falls as one over their number, so that the loss with all of
    them, and those with half of them, tell it.

    Args:
        all_draws: Losses under the mean of all draws.
        halves: The same under the mean of each half of them, on the first axis.

    Source: Richardson's extrapolation; for means of draws, the jackknife of Quenouille 1956.

    Example:
        >>> round(float(extrapolated(np.array(1.1), np.array([1.25, 1.15]))), 6)
        1.0
    """
    limit: Array = 2 * all_draws - halves.mean(axis=0)
    return limit


def gain_p_values(gains: Array, sample: Array) -> Array:
    """Return one-sided p-values of no gain, by a t-test over independent units of rows.

    If a part of a prediction is what the model has made up, it gains nothing in rows that the model has not seen: what
    it adds to the error is as large as itself, and the mean gain is below 0. So the test errs on the safe side.

    Args:
        gains: Gain of each evaluation of a row, shape (evaluation, tested).
        sample: For each evaluation the number of its independent unit.

    Returns:
        Shape (tested,); 1 where there is one unit, or none gains or loses anything.

    Example:
        >>> gains = np.stack([np.full(20, 0.1) + np.tile([0.1, -0.1], 10), np.tile([0.1, -0.1], 10)], axis=1)
        >>> gain_p_values(gains, np.arange(20)).round(3).tolist()
        [0.0, 0.5]
    """
    unit = np.unique(sample, return_inverse=True)[1]
    n_units = int(unit.max()) + 1
    sums = np.zeros((n_units, gains.shape[1]))
    np.add.at(sums, unit, gains)
    varies = np.ptp(sums, axis=0) > 0
    p_values = np.ones(gains.shape[1])
    if n_units > 1 and varies.any():
        p_values[varies] = ttest_1samp(sums[:, varies], 0.0, alternative="greater").pvalue
    return p_values
