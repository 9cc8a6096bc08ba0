"""Tests of what a column adds given the others, from losses of rows as they are and with the column drawn.

A row's loss and the losses of the same row with draws of a column are exchangeable if the target does not depend on the
column given the others, the draws are right, and neither the weights of the model nor the epoch that was selected
depend on the row. The sum over rows of the mean increase in loss then has mean 0 and a known variance.

Source: holdout randomization test, Tansey et al. 2022 (arXiv 1811.00645), with the normal limit of its statistic.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import false_discovery_control, norm

from tabattn.arrays import Array
from tabattn.choices import FdrControl


@dataclass(frozen=True, eq=False)
class RowLosses:
    """Losses of rows under models that have neither learned from them nor been selected by them.

    Args:
        losses: Of the rows as they are, shape (evaluation,): a row may be evaluated several times.
        drawn: The same with each unit of columns drawn, shape (draw, evaluation, unit).
        sample: For each evaluation the number of its independent unit: the row, its lot, or its block of time.
        are_linked: Whether these are lots or blocks of time, in which cells are alike too.
    """

    losses: Array
    drawn: Array
    sample: Array
    are_linked: bool = False

    @property
    def increase(self) -> Array:
        """Mean increase in loss with each unit drawn, shape (unit,)."""
        means: Array = (self.drawn - self.losses[:, None]).mean(axis=(0, 1))
        return means

    @classmethod
    def joined(cls, parts: "list[RowLosses]") -> "RowLosses":
        """Return the evaluations of several parts, whose independent units have different numbers.

        Args:
            parts: One or more, of the same units and as many draws.
        """
        return cls(
            np.concatenate([part.losses for part in parts]),
            np.concatenate([part.drawn for part in parts], axis=1),
            np.concatenate([part.sample for part in parts]),
            any(part.are_linked for part in parts),
        )


@dataclass(frozen=True, eq=False)
class Significance:
    """What units of columns add given the others, and whether that is beyond chance.

    Args:
        increase: Mean increase in loss with the unit drawn given the others.
        p_value: Of no increase.
        q_value: The least bound of the false discovery rate at which the unit is selected.
        selected: Whether it is selected at the bound that was specified.
        sampler_fit: How much of the unit the others explain, see `ConditionalDraws`.
    """

    increase: Array
    p_value: Array
    q_value: Array
    selected: Array
    sampler_fit: Array


def randomization_p_values(evaluated: RowLosses) -> Array:
    """Return one-sided p-values of no increase in loss.

    The variance of the sum of increases is that of the draws. Where rows are linked, the cells of a lot are alike and
    those that are drawn are not, so that the variance between lots is used where it is larger.

    Args:
        evaluated: The losses.

    Returns:
        Shape (unit,); 1 where no draw changes any loss.

    Example:
        >>> random = np.random.default_rng(0)
        >>> losses = random.random(100)
        >>> drawn = np.stack([losses + random.random((8, 100)), random.random((8, 100))], axis=2)
        >>> randomization_p_values(RowLosses(losses, drawn, np.arange(100))).round(3).tolist()
        [0.0, 0.959]
    """
    increase = evaluated.drawn - evaluated.losses[:, None]
    sample = np.unique(evaluated.sample, return_inverse=True)[1]
    n_draws, n_samples = len(increase), int(sample.max()) + 1
    summed = np.zeros((n_samples, n_draws, increase.shape[2]))
    np.add.at(summed, sample, increase.transpose(1, 0, 2))
    variance = (1 + 1 / n_draws) * summed.var(axis=1, ddof=1).sum(axis=0)
    means = summed.mean(axis=1)
    if evaluated.are_linked and n_samples > 1:
        variance = np.maximum(variance, n_samples * means.var(axis=0, ddof=1))
    total = means.sum(axis=0)
    z = np.divide(total, np.sqrt(variance), out=np.full_like(total, -np.inf), where=variance > 0)
    p_values: Array = norm.sf(z)
    return p_values


@dataclass(frozen=True)
class Selection:
    """What is selected.

    Args:
        rate: Bound of the false discovery rate, in (0, 1).
        control: "bh" if p-values depend on each other positively at most, "by" however they do.
        is_trusted: Whether the model beats a constant: else nothing is selected.
    """

    rate: float
    control: FdrControl
    is_trusted: bool


def select(p_values: Array, selection: Selection) -> tuple[Array, Array]:
    """Return q-values, and which units are selected with a bounded false discovery rate.

    Args:
        p_values: One for each unit.
        selection: What is selected.

    Source: Benjamini and Hochberg 1995; Benjamini and Yekutieli 2001.
    """
    q_values: Array = false_discovery_control(p_values, method=selection.control)
    return q_values, (q_values <= selection.rate) & selection.is_trusted


def exact_p_values(losses: Array, drawn: Array) -> Array:
    """Return the p-values of the exact test, to which those of `randomization_p_values` are held.

    Args:
        losses: Loss of each row, shape (row,).
        drawn: The same with each column drawn, shape (draw, row, column); 999 draws give steps of .001.

    Returns:
        Shape (column,), multiples of one over the number of draws and 1.
    """
    n_as_low = (drawn.sum(axis=1) <= losses.sum()).sum(axis=0)
    p_values: Array = (1 + n_as_low) / (len(drawn) + 1)
    return p_values
