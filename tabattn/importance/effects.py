"""Which way a column acts: what the model predicts in the mean when the column has one value after another.

The effect of a column is its partial dependence: for each value on a grid, all rows get it, and their predictions are
averaged. What the data say of rows with about this value, their number and the mean of their target, stands beside it:
where there are none, the model is guessing.

Source: partial dependence, Friedman 2001 (Greedy function approximation: a gradient boosting machine), section 8.2;
predictions of single rows around it, Goldstein et al. 2015 (Peeking inside the black box, arXiv 1309.6392).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import pandas as pd
from sklearn.isotonic import isotonic_regression

from tabattn.arrays import Array

Direction: TypeAlias = Literal["up", "down", "peak", "valley", "levels", "none"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
EFFECT_COLUMNS = (
    "feature",
    "output",
    "value",
    "n_rows",
    "target_mean",
    "prediction",
    "low",
    "high",
)
MIN_MONOTONE, MIN_EFFECT = 0.9, 0.1
ROWS_BAND = (0.1, 0.9)
FLAT, N_DECIMALS = 1e-9, 6
MISSING = ""


@dataclass(frozen=True, eq=False)
class Grid:
    """Values of a column to predict with, each as it stands in some row.

    Args:
        values: As people write them; the last is empty where cells are missing.
        rows: Position of a row that has each.
        nearest: For each row of the table which of the values is the nearest to its own; -1 for none.
        is_ordered: Whether the values go up from the first to the last that is not missing.
        low: Which of them is the tenth percentile.
        high: Which of them is the ninetieth.
    """

    values: tuple[str, ...]
    rows: Array
    nearest: Array
    is_ordered: bool
    low: int = 0
    high: int = 0

    @property
    def n_present(self) -> int:
        """Number of values that are not the missing cell."""
        return len(self.values) - (MISSING in self.values)


@dataclass(frozen=True, eq=False)
class Effect:
    """What the model predicts with each value of a column.

    Args:
        feature: Name of the column.
        grid: The values.
        prediction: Mean prediction, shape (value, output), in units of the target or as probabilities.
        low: Tenth percentile over rows of their predictions, each row shifted to the mean of all.
        high: Ninetieth percentile.
        n_rows: Number of rows of the table at each value.
        target_mean: Mean of their target, or the frequency of the class, shape (value, output).
        direction: Which way the column acts.
        effect: Prediction at the ninetieth percentile less that at the tenth; without an order, the greatest less the
            least of the levels.
        output: Number of the output that direction and effect are of: the one that the column moves most.
    """

    feature: str
    grid: Grid
    prediction: Array
    low: Array
    high: Array
    n_rows: Array
    target_mean: Array
    direction: Direction
    effect: float
    output: int


def effect_of(
    feature: str, grid: Grid, predictions: Array, targets: Array, weight: Array, outputs: Sequence[int]
) -> Effect:
    """Sum up predictions of rows with each value of a column.

    Args:
        feature: Name of the column.
        grid: The values.
        predictions: Shape (value, row, output).
        targets: The target of all rows of the table, or whether they are of each class, shape (row, output).
        weight: Weight of each of these rows, in `target_mean`.
        outputs: Numbers of the outputs whose direction is of interest.

    Returns:
        The effect. Its direction is "none" where the output that moves most moves by less than a tenth of the
        standard deviation of the target.
    """
    mean = predictions.mean(axis=1)
    shifted = predictions - predictions.mean(axis=0) + predictions.mean(axis=(0, 1))
    low, high = np.quantile(shifted, ROWS_BAND, axis=1)
    n_values = len(grid.values)
    known = grid.nearest >= 0
    n_rows = np.bincount(grid.nearest[known], minlength=n_values)
    sums, total = np.zeros((n_values, targets.shape[1])), np.bincount(grid.nearest[known], weight[known], n_values)
    np.add.at(sums, grid.nearest[known], (targets * weight[:, None])[known])
    target_mean = np.divide(sums, total[:, None], out=np.full_like(sums, np.nan), where=total[:, None] > 0)
    scale = np.maximum(targets.std(axis=0), np.finfo(float).tiny)
    moved = np.ptp(mean, axis=0) / scale
    output = max(outputs, key=lambda each: moved[each])
    present = mean[: grid.n_present, output]
    is_curve = grid.is_ordered and grid.n_present > 1 and np.ptp(present) >= MIN_EFFECT * scale[output]
    direction: Direction = "none"
    if is_curve:
        direction = direction_of(present, np.maximum(n_rows[: grid.n_present], 1))
    elif moved[output] >= MIN_EFFECT:
        direction = "levels"
    is_step = not grid.is_ordered or direction == "levels"
    effect = float(np.ptp(mean[:, output]) if is_step else present[grid.high] - present[grid.low])
    return Effect(feature, grid, mean, low, high, n_rows, target_mean, direction, effect, output)


def direction_of(curve: Array, weight: Array) -> Direction:
    """Return which way a curve goes: up or down if that explains most of its variance, else the better turn.

    Args:
        curve: Its heights, from the least value to the greatest.
        weight: Weight of each.

    Source: isotonic regression, Barlow et al. 1972; with a turn, Frisén 1986 (Unimodal regression).

    Example:
        >>> direction_of(np.array([0.0, 0.1, 0.5, 0.4]), np.ones(4))
        'up'
        >>> direction_of(np.array([1.0, 0.0, 1.0]), np.ones(3))
        'valley'
    """
    weight, height = weight.astype(np.float64), float(np.ptp(curve))
    if height <= FLAT * float(np.abs(curve).max()):
        return "none"
    curve = np.round((curve - curve.min()) / height, N_DECIMALS)  # so that units and rounding decide nothing
    total = float((weight * (curve - np.average(curve, weights=weight)) ** 2).sum())
    left = {way: _left_over(curve, weight, increasing=way == "up") for way in ("up", "down")}
    best: Direction = "up" if left["up"] <= left["down"] else "down"
    if 1 - left[best] / total >= MIN_MONOTONE:
        return best
    turns: dict[Direction, float] = {
        way: min(
            _left_over(curve[:turn], weight[:turn], increasing=way == "peak")
            + _left_over(curve[turn:], weight[turn:], increasing=way == "valley")
            for turn in range(1, len(curve))
        )
        for way in ("peak", "valley")
    }
    return "peak" if turns["peak"] <= turns["valley"] else "valley"


def _left_over(curve: Array, weight: Array, *, increasing: bool) -> float:
    """Return the squared error of the best monotone curve."""
    fitted = isotonic_regression(curve, sample_weight=weight, increasing=increasing)
    return float((weight * (curve - fitted) ** 2).sum())


def effects_table(effects: Sequence[Effect], outputs: Sequence[tuple[int, str]]) -> pd.DataFrame:
    """Return effects as a table, one value per row.

    Args:
        effects: The effects.
        outputs: Number and name of each output to show.

    Returns:
        `feature`, `output` (the class; empty for numbers), `value` (empty for missing cells), `n_rows` and
        `target_mean` of the rows of the table whose value is the nearest, `prediction` (the mean over rows that all
        have this value), and `low` and `high`: between which four of five rows are, each shifted to the mean of all.
        A wide band at unequal heights says that the effect depends on other columns.
    """
    rows = list(_effect_rows(effects, outputs))
    return pd.DataFrame(rows, columns=list(EFFECT_COLUMNS)).astype({"feature": "str", "output": "str", "value": "str"})


def _effect_rows(effects: Sequence[Effect], outputs: Sequence[tuple[int, str]]) -> Iterator[tuple[object, ...]]:
    for effect in effects:
        for number, output in outputs:
            for place, value in enumerate(effect.grid.values):
                yield (
                    effect.feature,
                    output,
                    value,
                    int(effect.n_rows[place]),
                    float(effect.target_mean[place, number]),
                    float(effect.prediction[place, number]),
                    float(effect.low[place, number]),
                    float(effect.high[place, number]),
                )
