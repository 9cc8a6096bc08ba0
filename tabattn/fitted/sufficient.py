"""The smallest set of columns that predicts as well as all: backward elimination, without another fit.

What a model would predict without some columns is what it predicts in the mean over draws of their cells given the
columns that are left. Columns that add least go first, many at a time where that does no harm; one whose loss makes the
prediction worse, beyond chance, is needed and stays. Rows are those that neither trained nor selected the model.

Source: backward elimination, Guyon et al. 2002 (Gene selection for cancer classification using support vector
machines), with the best prediction from fewer columns, its conditional expectation, in place of another fit (Covert,
Lundberg and Lee 2021, Explaining by removing, arXiv 2011.14878, section 4.2).
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from tabattn.arrays import Array
from tabattn.fitted.evaluation import DrawnRows
from tabattn.importance.conditional import conditional_draws
from tabattn.importance.gains import extrapolated, gain_p_values
from tabattn.importance.reader import Reader
from tabattn.importance.significance import Significance
from tabattn.importance.units import Units
from tabattn.nn.tokens import Cells

N_DRAWS, MAX_READINGS, MAX_HARM_P, MAX_STEPS, MAX_LAST_STEPS = 4, 1_024, 0.2, 30, 12
SUFFICIENT_COLUMNS = ("step", "feature", "n_left", "loss", "kept", "p_value", "is_sufficient")


@dataclass(frozen=True, eq=False)
class Elimination:
    """One step of the elimination.

    Args:
        dropped: Numbers of the units that were dropped in it.
        n_left: Number of units that are left.
        loss: Mean loss without all that were dropped until then.
        p_value: Of the loss being no greater than with all.
        is_sufficient: Whether what is left predicts as well as all.
    """

    dropped: tuple[int, ...]
    n_left: int
    loss: float
    p_value: float
    is_sufficient: bool


def eliminate(drawn: Sequence[DrawnRows], units: Units, significance: Significance) -> list[Elimination]:
    """Drop units of columns, those that add least first.

    Args:
        drawn: Rows and their models.
        units: The units.
        significance: What each unit adds given the others. Those that are not selected are dropped together first.

    Returns:
        The steps, the first with all units left, the last with none. After 30 trials those that add most of what is
        left are not tried any more, and count as needed.
    """
    scored = list(units.scored)
    rows = [_Rows.of(each) for each in drawn]
    full, sample = np.concatenate([each.losses(units, ()) for each in rows]), np.concatenate([r.sample for r in rows])
    increase, selected = significance.increase, significance.selected
    waiting = sorted(scored, key=lambda unit: (selected[unit], increase[unit]))
    steps = [Elimination((), len(scored), float(full.mean()), 1.0, True)]
    dropped: list[int] = []
    needed: list[int] = []

    def without(more: Sequence[int]) -> Elimination:
        gone = [*dropped, *more]
        losses = np.concatenate([each.losses(units, gone) for each in rows])
        p_value = float(gain_p_values((losses - full)[:, None], sample)[0])
        is_sufficient = p_value > MAX_HARM_P and len(gone) < len(scored)
        return Elimination(tuple(more), len(scored) - len(gone), float(losses.mean()), p_value, is_sufficient)

    n, n_tried = max(1, int((~selected[scored]).sum())), 0
    while waiting and n_tried < MAX_STEPS:
        n_tried += 1
        step = without(waiting[:n])
        if step.is_sufficient:
            steps.append(step)
            dropped += waiting[:n]
            waiting = waiting[n:]
            n = min(2 * n, max(1, len(waiting)))
        elif n > 1:
            n //= 2
        else:
            needed.append(waiting.pop(0))
    needed += waiting
    if len(needed) > MAX_LAST_STEPS:
        rest = [needed]
    else:
        rest = [[unit] for unit in sorted(needed, key=lambda unit: increase[unit])]
    for more in rest:
        steps.append(replace(without(more), is_sufficient=False))
        dropped += more
    return steps


def elimination_table(steps: Sequence[Elimination], names: Sequence[str]) -> pd.DataFrame:
    """Return the steps as a table, one row for each unit in the order in which they were dropped.

    Args:
        steps: The steps; none for an empty table.
        names: Names of all units.

    Returns:
        `step`, `feature` (empty in the first row, with all columns), `n_left`, the `loss` then, how much of the gain of
        all columns over none is `kept`, the `p_value` of no harm, and whether what is left `is_sufficient`.
    """
    return pd.DataFrame(list(_rows_of(steps, names)), columns=list(SUFFICIENT_COLUMNS)).astype({"feature": "str"})


def sufficient_features(table: pd.DataFrame) -> list[str]:
    """Return the columns of the smallest sufficient set, the one that is needed least first.

    Args:
        table: What `elimination_table` returned.
    """
    return [str(name) for name in table.loc[~table["is_sufficient"].astype(bool), "feature"]]


def _rows_of(steps: Sequence[Elimination], names: Sequence[str]) -> Iterator[tuple[object, ...]]:
    if not steps:
        return
    best, worst = steps[0].loss, steps[-1].loss
    for number, step in enumerate(steps):
        kept = (worst - step.loss) / (worst - best) if worst > best else float("nan")
        for name in [names[unit] for unit in step.dropped] or [""]:
            yield number, name, step.n_left, step.loss, kept, step.p_value, step.is_sufficient


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows of one part, not too many.

    Args:
        drawn: The part.
        models: Its models, with the positions of the rows that are evaluated.
        sample: For each evaluation the number of its independent unit.
    """

    drawn: DrawnRows
    models: Sequence[tuple[Reader, Array]]
    sample: Array

    @classmethod
    def of(cls, drawn: DrawnRows) -> "_Rows":
        """Leave rows out where there are many."""
        models = drawn.fewer_models(MAX_READINGS)
        return cls(drawn, models, np.concatenate([drawn.sample[rows] for _, rows in models]))

    def losses(self, units: Units, dropped: Sequence[int]) -> Array:
        """Return the loss of each evaluation without some units."""
        columns = [column for unit in dropped for column in units.model_columns(unit)]
        drawn, found = self.drawn, []
        layout = drawn.models[0][0].model.shape.layout
        every = [drawn.cells]
        if columns:
            seed = drawn.random_state + len(columns)
            draws = conditional_draws(drawn.cells, layout, [columns], drawn.fold, N_DRAWS, seed, is_quick=True)
            every = list(draws.cells)
        for reader, rows in self.models:
            chosen = torch.from_numpy(rows)
            loss = reader.model.loss
            joined = functools.reduce(Cells.joined, [each.take(chosen) for each in every])
            predicted = loss.average(reader.predict(joined).double()).unflatten(0, (len(every), -1))
            known = drawn.target[chosen]
            of_means = [loss.of_average(each, known).numpy() for each in (predicted.mean(dim=0), *_halves(predicted))]
            losses = extrapolated(of_means[0], np.stack(of_means[1:])) if columns else of_means[0]
            found.append(losses * drawn.weight[rows])
        return np.concatenate(found)


def _halves(predicted: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield the means of every second draw, from the first and from the second on."""
    for start in range(min(2, len(predicted))):
        yield predicted[start::2].mean(dim=0)
