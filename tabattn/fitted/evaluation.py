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
from tabattn.choices import FdrControl
from tabattn.fitted.costs import expected_shuffles
from tabattn.fitted.model import FittedModel, HeldOutRows
from tabattn.importance.conditional import conditional_draws
from tabattn.importance.reader import Reader
from tabattn.importance.significance import (
    RowLosses,
    Significance,
    randomization_p_values,
    select,
)
from tabattn.importance.units import Units
from tabattn.nn.losses import Target
from tabattn.nn.tokens import Cells

N_DRAWS, N_FOLDS, MAX_EVALUATED_ROWS = 8, 4, 4_096
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


def significance_of(
    parts: Sequence[EvaluatedRows],
    units: Units,
    *,
    are_linked: bool,
    rate: float,
    control: FdrControl,
    is_trusted: bool,
    max_rows: int,
    random_state: int,
) -> Significance:
    """Test which units of columns add something given the others.

    Args:
        parts: Rows and their models; the units of different parts are different.
        units: What is tested.
        are_linked: Whether the units are lots or blocks of time.
        rate: Bound of the false discovery rate.
        control: Procedure that bounds it.
        is_trusted: Whether the model beats a constant.
        max_rows: Number of rows of each part at most.
        random_state: Seed of the draws.
    """
    columns = [units.model_columns(unit) for unit in units.scored]
    evaluated, fits = [], []
    n_known = 0
    for number, part in enumerate(parts):
        losses, fit = _evaluated(part, columns, max_rows, [random_state, number])
        evaluated.append(replace(losses, sample=losses.sample + n_known, are_linked=are_linked))
        fits.append(fit)
        n_known += int(part.sample.max()) + 1
    losses = RowLosses.joined(evaluated)
    p_values = randomization_p_values(losses)
    q_values, selected = select(p_values, rate, control, is_trusted=is_trusted)
    return Significance(
        increase=units.spread(losses.increase),
        p_value=units.spread(p_values, unread=1.0),
        q_value=units.spread(q_values, unread=1.0),
        selected=units.spread(selected) > 0,
        sampler_fit=units.spread(np.mean(fits, axis=0), unread=np.nan),
    )


def _evaluated(
    part: EvaluatedRows, columns: Sequence[Sequence[int]], max_rows: int, seed: Sequence[int]
) -> tuple[RowLosses, Array]:
    """Return the losses of the rows of one part, and how much of each unit the sampler explains."""
    random = np.random.default_rng(list(seed))
    positions = np.arange(len(part.cells))
    if len(positions) > max_rows:
        positions = np.sort(random.choice(positions, max_rows, replace=False))
    cells, sample = part.cells.take(torch.from_numpy(positions)), part.sample[positions]
    target, place = part.target[torch.from_numpy(positions)], np.full(len(part.cells), -1)
    place[positions] = np.arange(len(positions))
    numbers = np.unique(sample, return_inverse=True)[1]
    n_folds = N_FOLDS if len(columns) <= MANY_COLUMNS else 2
    fold = random.permutation(numbers.max() + 1)[numbers] % n_folds
    layout = part.models[0][0].model.shape.layout
    draws = conditional_draws(cells, layout, columns, fold, N_DRAWS, int(random.integers(2**31)))
    found = [
        _losses_by(reader, cells, target, draws.cells, columns, kept)
        for reader, rows in part.models
        if len(kept := place[rows][place[rows] >= 0])
    ]
    losses, drawn, rows = (list(each) for each in zip(*found, strict=True))
    row = np.concatenate(rows)
    weight = part.weight[positions][row] / part.weight[positions][row].mean()
    weighted = np.concatenate(losses) * weight, np.concatenate(drawn, axis=1) * weight[:, None]
    return RowLosses(*weighted, numbers[row]), draws.fit


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


def expected_tests(parts: Sequence[EvaluatedRows], max_rows: int) -> float:
    """Return the seconds that the tests are expected to take.

    Args:
        parts: The rows and their models.
        max_rows: Number of rows of each part at most.
    """
    return sum(
        expected_shuffles(reader.model.shape, int(len(rows) * min(1.0, max_rows / len(part.cells))), N_DRAWS)
        for part in parts
        for reader, rows in part.models
    )
