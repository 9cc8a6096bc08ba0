"""Tests of what a column adds given the others, from losses of rows as they are and with the column drawn.

A row's loss and the losses of the same row with draws of a column are exchangeable if the target does not depend on the
column given the others, the draws are right, and neither the model nor the moment when its training ended has seen the
row. The sum over rows of the mean rise of the loss then has mean 0 and a known variance.

Source: holdout randomization test, Tansey et al. 2022 (arXiv 1811.00645), with the normal limit of its statistic.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import false_discovery_control, norm

from tabattn.arrays import Array
from tabattn.choices import FdrControl


@dataclass(frozen=True, eq=False)
class JudgedLosses:
    """Losses of rows by models that have neither learned from them nor been chosen by them.

    Args:
        losses: Of the rows as they are, shape (judgement,): a row may be judged several times.
        drawn: The same with each unit of columns drawn, shape (draw, judgement, unit).
        sample: For each judgement the number of what is independent of the others: the row, or the lot it is of.
        are_linked: Whether these are lots or blocks of time, in which cells are alike too.
    """

    losses: Array
    drawn: Array
    sample: Array
    are_linked: bool = False

    @property
    def rise(self) -> Array:
        """Mean rise of the loss with each unit drawn, shape (unit,)."""
        means: Array = (self.drawn - self.losses[:, None]).mean(axis=(0, 1))
        return means

    @classmethod
    def joined(cls, parts: "list[JudgedLosses]") -> "JudgedLosses":
        """Return the judgements of several parts, whose samples have different numbers.

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
        rise: Mean rise of the loss with the unit drawn given the others.
        p_value: Of no rise.
        q_value: The least rate of false discoveries at which the unit is selected.
        selected: Whether it is at the rate that was asked for.
        sampler_fit: How much of the unit the others explain, see `ConditionalDraws`.
    """

    rise: Array
    p_value: Array
    q_value: Array
    selected: Array
    sampler_fit: Array


def randomization_p_values(judged: JudgedLosses) -> Array:
    """Return one-sided p-values of no rise of the loss.

    The variance of the sum of rises is that of the draws. Where rows are linked, cells of a lot are alike and those
    that are drawn are not, so that the variance between lots counts where it is larger.

    Args:
        judged: The losses.

    Returns:
        Shape (unit,); 1 where no draw changes any loss.

    Example:
        >>> random = np.random.default_rng(0)
        >>> losses = random.random(100)
        >>> drawn = np.stack([losses + random.random((8, 100)), random.random((8, 100))], axis=2)
        >>> randomization_p_values(JudgedLosses(losses, drawn, np.arange(100))).round(3).tolist()
        [0.0, 0.959]
    """
    rise = judged.drawn - judged.losses[:, None]
    sample = np.unique(judged.sample, return_inverse=True)[1]
    n_draws, n_samples = len(rise), int(sample.max()) + 1
    summed = np.zeros((n_samples, n_draws, rise.shape[2]))
    np.add.at(summed, sample, rise.transpose(1, 0, 2))
    variance = (1 + 1 / n_draws) * summed.var(axis=1, ddof=1).sum(axis=0)
    means = summed.mean(axis=1)
    if judged.are_linked and n_samples > 1:
        variance = np.maximum(variance, n_samples * means.var(axis=0, ddof=1))
    total = means.sum(axis=0)
    z = np.divide(total, np.sqrt(variance), out=np.full_like(total, -np.inf), where=variance > 0)
    p_values: Array = norm.sf(z)
    return p_values


def select(p_values: Array, rate: float, control: FdrControl, *, is_trusted: bool) -> tuple[Array, Array]:
    """Return q-values, and which units are selected so that a rate of false discoveries is kept.

    Args:
        p_values: One for each unit.
        rate: Of false discoveries among the selected units, in (0, 1).
        control: "bh" if p-values depend on each other positively at most, "by" however they do.
        is_trusted: Whether the model beats a constant: else nothing is selected.

    Source: Benjamini and Hochberg 1995; Benjamini and Yekutieli 2001.
    """
    q_values: Array = false_discovery_control(p_values, method=control)
    return q_values, (q_values <= rate) & is_trusted


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
