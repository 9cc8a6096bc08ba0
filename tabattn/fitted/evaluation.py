"""Losses of rows under models that have neither learned from them nor been selected by them, with and without draws.

Every member holds out some of the rows that are fitted, but the epoch of its weights is the best one for these rows:
they have selected it. So there are two more versions of each model. The epoch that is best for one half of the held-out
rows gives the version that is evaluated on the other half.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from tabattn.arrays import Array
from tabattn.fitted.costs import REFERENCE_MEMBERS, expected_shuffles
from tabattn.fitted.model import FittedModel, HeldOutRows
from tabattn.importance.conditional import ConditionalDraws, conditional_draws
from tabattn.importance.reader import Reader
from tabattn.importance.significance import (
    RowLosses,
    Selection,
    Significance,
    randomization_p_values,
    select,
)
from tabattn.importance.units import Units
from tabattn.nn.losses import Target
from tabattn.nn.tokens import Cells

N_DRAWS, FEWER_DRAWS, MANY_UNITS, N_FOLDS = 8, 4, 60, 4
MIN_ROWS, MAX_ROWS, MAX_SWAPS = 64, 4_096, 40_000
MANY_COLUMNS = 1_000
TEST_SHARE = 0.5


@dataclass(frozen=True, eq=False)
class EvaluatedRows:
    """Rows to evaluate, with the models that they are independent of.

    Args:
        cells: The rows.
        target: Their target, as the loss takes it.
        sample: Number of the independent unit of each row: the row, its lot, or its block of time.
        weight: Weight of each row.
        models: Models, each with the positions of the rows that it is evaluated on.
    """

    cells: Cells
    target: Target
    sample: Array
    weight: Array
    models: Sequence[tuple[Reader, Array]]


def cross_fitted_rows(fitted: FittedModel) -> EvaluatedRows | None:
    """Return the rows that the fit held out, each with the groups of members that held it out.

    Args:
        fitted: The model.

    Returns:
        None for a model that was loaded, or whose held-out rows were not kept.
    """
    rows = fitted.scored
    if not isinstance(rows, HeldOutRows):
        return None
    shape = fitted.model.shape
    n_in_group = shape.n_members // shape.n_groups
    half = rows.half.numpy()
    models = [
        (replace(fitted.reader, model=model.of_group(group)), chosen)
        for which, model in enumerate(rows.cross_stopped)
        for group in range(shape.n_groups)
        if len(chosen := np.flatnonzero((rows.member_weight[:, group * n_in_group].numpy() > 0) & (half == which)))
    ]
    return EvaluatedRows(rows.cells, rows.target, rows.sample.numpy(), rows.row_weight.numpy(), models)


@dataclass(frozen=True, eq=False)
class DrawnRows:
    """Rows to evaluate, with draws of the cells of each unit given those of the others.

    Args:
        cells: The rows.
        target: Their target, as the loss takes it.
        sample: Number of the independent unit of each row, different for different parts.
        weight: Weight of each row, 1 in the mean.
        fold: Number of the fold of each row, from which no cell of it was drawn.
        models: Models, each with the positions of the rows that it is evaluated on.
        draws: The draws.
        random_state: Seed of further draws.
    """

    cells: Cells
    target: Target
    sample: Array
    weight: Array
    fold: Array
    models: Sequence[tuple[Reader, Array]]
    draws: ConditionalDraws
    random_state: int

    def fewer_models(self, n_readings: int) -> Sequence[tuple[Reader, Array]]:
        """Return the models with every so many-th of their rows.

        Args:
            n_readings: How often a member reads a row at most, about.
        """
        total = sum(len(rows) * reader.model.shape.n_members for reader, rows in self.models)
        step = max(1, round(total / n_readings))
        return [(reader, rows[::step]) for reader, rows in self.models]

    @classmethod
    def of(
        cls,
        parts: Sequence[EvaluatedRows],
        columns: Sequence[Sequence[int]],
        n_rows: Sequence[int],
        n_draws: int,
        random_state: int,
    ) -> "list[DrawnRows]":
        """Choose rows, and draw.

        Args:
            parts: Rows and their models; the units of different parts are different.
            columns: The columns of each unit, as places in the order of the model.
            n_rows: Number of rows of each part.
            n_draws: Number of draws.
            random_state: Seed.
        """
        drawn, n_known = [], 0
        for number, (part, n) in enumerate(zip(parts, n_rows, strict=True)):
            drawn.append(_drawn(part, columns, n, n_draws, np.random.default_rng([random_state, number]), n_known))
            n_known += int(drawn[-1].sample.max()) + 1
        return drawn


@dataclass(frozen=True, eq=False)
class EvaluatedUnits:
    """Losses with each of some units drawn, and how much of each the others explain.

    Args:
        losses: The losses.
        fit: See `ConditionalDraws`.
        columns: The columns of each unit, as places in the order of the model.
    """

    losses: RowLosses
    fit: Array
    columns: Sequence[tuple[int, ...]]

    @classmethod
    def of(
        cls, drawn: Sequence[DrawnRows], columns: Sequence[tuple[int, ...]], *, are_linked: bool
    ) -> "EvaluatedUnits":
        """Evaluate rows with draws of these units.

        Args:
            drawn: Rows, their models, and the draws.
            columns: The units that were drawn.
            are_linked: Whether the independent units of rows are lots or blocks of time.
        """
        losses = RowLosses.joined([replace(_evaluated(each, columns), are_linked=are_linked) for each in drawn])
        return cls(losses, np.mean([each.draws.fit for each in drawn], axis=0), columns)

    def taken(self, others: "EvaluatedUnits", columns: Sequence[tuple[int, ...]]) -> "EvaluatedUnits":
        """Return some of these units and of those of others, for which the same rows were evaluated.

        Args:
            others: The others.
            columns: The columns of each unit that is wanted.
        """
        place = {each: number for number, each in enumerate((*self.columns, *others.columns))}
        chosen = [place[each] for each in columns]
        with_draws = np.concatenate([self.losses.drawn, others.losses.drawn], axis=2)[:, :, chosen]
        fit = np.concatenate([self.fit, others.fit])[chosen]
        return EvaluatedUnits(replace(self.losses, drawn=with_draws), fit, columns)


def significance_of(evaluated: EvaluatedUnits, units: Units, selection: Selection) -> Significance:
    """Test which units of columns add something given the others.

    Args:
        evaluated: Losses with each unit drawn that the model reads.
        units: What is tested.
        selection: What is selected.
    """
    losses = evaluated.losses
    p_values = randomization_p_values(losses)
    q_values, selected = select(p_values, selection)
    return Significance(
        increase=units.spread(losses.increase),
        p_value=units.spread(p_values, unread=1.0),
        q_value=units.spread(q_values, unread=1.0),
        selected=units.spread(selected) > 0,
        sampler_fit=units.spread(evaluated.fit, unread=np.nan),
    )


def _drawn(
    part: EvaluatedRows,
    columns: Sequence[Sequence[int]],
    max_rows: int,
    n_draws: int,
    random: np.random.Generator,
    n_known: int,
) -> DrawnRows:
    """Choose rows of one part, and draw."""
    positions = np.arange(len(part.cells))
    if len(positions) > max_rows:
        positions = np.sort(random.choice(positions, max_rows, replace=False))
    cells, sample = part.cells.take(torch.from_numpy(positions)), part.sample[positions]
    place = np.full(len(part.cells), -1)
    place[positions] = np.arange(len(positions))
    numbers = np.unique(sample, return_inverse=True)[1]
    n_folds = N_FOLDS if len(columns) <= MANY_COLUMNS else 2
    fold = random.permutation(numbers.max() + 1)[numbers] % n_folds
    layout = part.models[0][0].model.shape.layout
    seed = int(random.integers(2**31))
    weight = part.weight[positions]
    return DrawnRows(
        cells,
        part.target[torch.from_numpy(positions)],
        numbers + n_known,
        weight / weight.mean(),
        fold,
        [(reader, kept) for reader, rows in part.models if len(kept := place[rows][place[rows] >= 0])],
        conditional_draws(cells, layout, columns, fold, n_draws, seed),
        seed,
    )


def _evaluated(drawn: DrawnRows, columns: Sequence[Sequence[int]]) -> RowLosses:
    """Return the losses of the rows of one part, with each unit drawn."""
    found = [
        _losses_by(reader, drawn.cells, drawn.target, drawn.draws.cells, columns, rows) for reader, rows in drawn.models
    ]
    losses, with_draws, rows = (list(each) for each in zip(*found, strict=True))
    row = np.concatenate(rows)
    weight = drawn.weight[row]
    weighted = np.concatenate(losses) * weight, np.concatenate(with_draws, axis=1) * weight[:, None]
    return RowLosses(*weighted, drawn.sample[row])


def _losses_by(
    reader: Reader,
    cells: Cells,
    target: Target,
    draws: Sequence[Cells],
    columns: Sequence[Sequence[int]],
    rows: Array,
) -> tuple[Array, Array, Array]:
    """Return the losses of some rows under one model, the same with each unit drawn, and the rows."""
    chosen = torch.from_numpy(rows)
    own, known = cells.take(chosen), target[chosen]
    loss = reader.model.loss
    losses = loss.of_average(loss.average(reader.predict(own).double()), known).double().numpy()
    drawn = np.stack(list(_drawn_losses(reader, own, known, [each.take(chosen) for each in draws], columns)))
    return losses, drawn, rows


def _drawn_losses(
    reader: Reader, own: Cells, known: Target, draws: Sequence[Cells], columns: Sequence[Sequence[int]]
) -> Iterator[Array]:
    loss = reader.model.loss
    for others in draws:
        predicted = torch.cat(list(reader.predict_swapped(own, others, columns)), dim=1)
        n_units = predicted.shape[1]
        losses = loss.of_average(predicted.flatten(0, 1), known.repeat_interleave(n_units, dim=0))
        yield losses.reshape(-1, n_units).double().numpy()


def n_unit_draws(n_units: int) -> int:
    """Return how often each unit is drawn.

    Args:
        n_units: Number of units of columns.
    """
    return N_DRAWS if n_units <= MANY_UNITS else FEWER_DRAWS


def n_evaluated_rows(part: EvaluatedRows, n_units: int) -> int:
    """Return how many rows of a part are evaluated: fewer where many units are drawn, or many members read each row.

    Args:
        part: The rows and their models.
        n_units: Number of units of columns.
    """
    n_rows = len(part.cells)
    n_members = sum(len(rows) * reader.model.shape.n_members for reader, rows in part.models) / n_rows
    n_most = MAX_SWAPS * REFERENCE_MEMBERS / (n_unit_draws(n_units) * max(1, n_units) * n_members)
    return min(n_rows, int(np.clip(n_most, MIN_ROWS, MAX_ROWS)))


def expected_tests(parts: Sequence[EvaluatedRows], n_rows: Sequence[int], n_units: int) -> float:
    """Return the seconds that the tests are expected to take.

    Args:
        parts: The rows and their models.
        n_rows: Number of rows of each part.
        n_units: Number of units of columns.
    """
    return sum(
        expected_shuffles(reader.model.shape, int(len(rows) * n / len(part.cells)), n_unit_draws(n_units))
        for part, n in zip(parts, n_rows, strict=True)
        for reader, rows in part.models
    )
