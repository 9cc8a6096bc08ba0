"""Attention at inference compared with attention in training: does the model read new rows as it did training rows?"""

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, ks_2samp

Matrix = np.ndarray[tuple[int, int], np.dtype[np.float64]]
MAX_FALSE_DISCOVERY_RATE = 0.05
# how products are rounded depends on the size of a batch, which must not break ties
N_DIGITS = 5  # of the largest attention to a column in training


def attention_drift(training: Matrix, inference: Matrix, feature_names: tuple[str, ...]) -> pd.DataFrame:
    """Compare the attention that rows pay to each column.

    Args:
        training: Mean attention of each training row to each column, shape (row, column).
        inference: The same of new rows, at least one.
        feature_names: Names of the columns.

    Returns:
        One row per column, the largest difference first: `training` and `inference` (mean attention), `change` (the
        second minus the first), `statistic` (largest distance of the two distribution functions, in [0, 1]), `p_value`
        (of the two-sample test of Kolmogorov and Smirnov, adjusted for the number of columns), `drifted` (p_value of at
        most .05, which bounds the expected fraction of false discoveries among these columns).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> before, after = rng.random((50, 2)), rng.random((50, 2)) + [0, 1]
        >>> attention_drift(before, after, ("a", "b"))[["feature", "drifted"]].values.tolist()
        [['b', True], ['a', False]]

    Source: Benjamini and Hochberg 1995 (Controlling the False Discovery Rate), as in
        `scipy.stats.false_discovery_control`.
    """
    largest = np.maximum(training.max(axis=0), np.finfo(np.float64).tiny)
    rounded = ((each / largest).round(N_DIGITS) for each in (training, inference))
    tests = [ks_2samp(*pair) for pair in zip(*(each.T for each in rounded), strict=True)]
    p_values = false_discovery_control([test.pvalue for test in tests])
    table = pd.DataFrame(
        {
            "feature": pd.Series(feature_names, dtype="str"),
            "training": training.mean(axis=0),
            "inference": inference.mean(axis=0),
            "change": inference.mean(axis=0) - training.mean(axis=0),
            "statistic": [float(test.statistic) for test in tests],
            "p_value": p_values,
            "drifted": p_values <= MAX_FALSE_DISCOVERY_RATE,
        }
    )
    return table.sort_values("statistic", ascending=False, kind="stable", ignore_index=True)
