"""Columns that act together: pairs whose effect on the prediction is more than the sum of their two effects.

The part of a prediction f that two columns i and j have only together is

    I = f - f_i - f_j + f_ij

where in f_i the cell of i is drawn given all other columns, and in f_ij those of both, the mean being taken over draws.
It is 0 where their effects add up. If it is true, the prediction is worse without it, in rows that neither trained nor
selected the model: that gain in loss is the strength of the interaction. Effects add up on the scale of numbers, log
rates, log odds or log probabilities.

Source: the second-order term of a functional decomposition, Friedman and Popescu 2008 (Predictive learning via rule
ensembles), section 8.1; with draws given the other columns, so that no pair of cells is far from the data.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from tabattn.arrays import Array
from tabattn.fitted.evaluation import DrawnRows
from tabattn.importance.gains import extrapolated, gain_p_values
from tabattn.importance.reader import Reader
from tabattn.importance.significance import Selection, select
from tabattn.importance.units import Units

MAX_PAIRED, N_JOINT_DRAWS, MAX_READINGS = 8, 4, 1_024
INTERACTION_COLUMNS = ("rank", "feature_1", "feature_2", "gain", "p_value", "q_value", "selected")


@dataclass(frozen=True, eq=False)
class Interactions:
    """Pairs of units of columns, and what they gain by acting together.

    Args:
        pairs: Numbers of the two units of each pair.
        gain: Mean gain in loss.
        p_value: Of no gain.
        q_value: The least bound of the false discovery rate at which the pair is selected.
        selected: Whether it is selected at the bound that was specified.
    """

    pairs: tuple[tuple[int, int], ...]
    gain: Array
    p_value: Array
    q_value: Array
    selected: Array

    def table(self, names: Sequence[str]) -> pd.DataFrame:
        """Return the pairs, the one that gains most first.

        Args:
            names: Names of all units.
        """
        order = np.argsort(-self.gain, kind="stable")
        rows = [
            (
                rank,
                names[self.pairs[number][0]],
                names[self.pairs[number][1]],
                float(self.gain[number]),
                float(self.p_value[number]),
                float(self.q_value[number]),
                bool(self.selected[number]),
            )
            for rank, number in enumerate(order, start=1)
        ]
        return pd.DataFrame(rows, columns=list(INTERACTION_COLUMNS)).astype({"feature_1": "str", "feature_2": "str"})


def paired_units(importance: Array, selected: Array) -> list[int]:
    """Return the units whose pairs are tested: those that are selected, the eight most important of them at most.

    Args:
        importance: Importance of each unit.
        selected: Whether it adds something given the others.
    """
    order = np.argsort(-importance, kind="stable")
    return [int(unit) for unit in order if selected[unit]][:MAX_PAIRED]


def interactions_of(
    drawn: Sequence[DrawnRows], units: Units, chosen: Sequence[int], selection: Selection
) -> Interactions:
    """Test which pairs of units act together.

    Args:
        drawn: Rows, their models, and draws of the units.
        units: The units.
        chosen: Numbers of the units to pair.
        selection: Which pairs are selected.
    """
    pairs = tuple(itertools.combinations(sorted(chosen), 2))
    if not pairs:
        nothing = np.zeros(0)
        return Interactions((), nothing, nothing, nothing, nothing.astype(bool))
    gains, sample = [], []
    for part in drawn:
        for reader, rows in part.fewer_models(MAX_READINGS):
            gained = _gains(part, reader, rows, units, pairs)
            gains.append(gained * part.weight[rows][:, None])
            sample.append(part.sample[rows])
    joined, joined_sample = np.concatenate(gains), np.concatenate(sample)
    p_values = gain_p_values(joined, joined_sample)
    q_values, selected = select(p_values, selection)
    return Interactions(pairs, joined.mean(axis=0), p_values, q_values, selected)


def _gains(part: DrawnRows, reader: Reader, rows: Array, units: Units, pairs: Sequence[tuple[int, int]]) -> Array:
    """Return the gain in loss of each row and pair, under one model."""
    chosen, loss = torch.from_numpy(rows), reader.model.loss
    own, known = part.cells.take(chosen), part.target[chosen]
    paired = sorted({unit for pair in pairs for unit in pair})
    place = {unit: number for number, unit in enumerate(paired)}
    columns = [units.model_columns(unit) for unit in paired]
    first, second = ([place[pair[side]] for pair in pairs] for side in (0, 1))
    columns += [(*units.model_columns(one), *units.model_columns(other)) for one, other in pairs]
    averaged = loss.average(reader.predict(own).double())
    before = loss.additive(averaged)
    together = torch.zeros(2, len(rows), len(pairs), before.shape[1], dtype=torch.float64)
    for number in range(N_JOINT_DRAWS):
        others = part.draws.cells[number].take(chosen)
        predicted = torch.cat(list(reader.predict_swapped(own, others, columns)), dim=1)
        swapped = loss.additive(predicted.flatten(0, 1)).unflatten(0, predicted.shape[:2])
        single, both = swapped[:, : len(paired)], swapped[:, len(paired) :]
        mixed = before[:, None] - single[:, first] - single[:, second] + both
        together[number % 2] += mixed / (N_JOINT_DRAWS / 2)
    losses = [
        loss.of_average(
            loss.of_additive((before[:, None] - each).flatten(0, 1)), known.repeat_interleave(len(pairs), dim=0)
        )
        .reshape(len(rows), len(pairs))
        .numpy()
        for each in (together.mean(dim=0), *together)
    ]
    unchanged = loss.of_average(averaged, known).numpy()
    gains: Array = extrapolated(losses[0], np.stack(losses[1:])) - unchanged[:, None]
    return gains
