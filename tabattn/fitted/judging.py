"""Losses of rows by models that have neither learned from them nor been chosen by them, as they are and with draws.

Every member holds out some of the rows that are fitted. Its training ends at the epoch that is best for the held-out
rows, which therefore do not judge it quite fairly. So there are two more of each model: that of the epoch that is best
for one half of these rows judges the other half.
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
    JudgedLosses,
    Significance,
    randomization_p_values,
    select,
)
from tabattn.importance.units import Units
from tabattn.nn.losses import Target
from tabattn.nn.tokens import Cells

N_DRAWS, N_FOLDS, MAX_JUDGED_ROWS = 8, 4, 4_096
MANY_COLUMNS = 1_000
TEST_SHARE = 0.5


@dataclass(frozen=True, eq=False)
class JudgedRows:
    """Rows that are judged, with the models that judge them.

    Args:
        cells: The rows.
        target: Their target, as the loss takes it.
        sample: Number of what each row is a part of: the row itself, or its lot.
        weight: Weight of each row.
        judges: For each model that judges, the positions of its rows.
    """

    cells: Cells
    target: Target
    sample: Array
    weight: Array
    judges: Sequence[tuple[Reader, Array]]


def held_out_judges(fitted: FittedModel) -> JudgedRows | None:
    """Return the rows that the fit held out, each judged by the groups of members that did.

    Args:
        fitted: The model; None is returned for one that was loaded or whose held-out rows are not known any more.
    """
    rows = fitted.scored
    if not isinstance(rows, HeldOutRows):
        return None
    shape = fitted.model.shape
    n_in_group = shape.n_members // shape.n_groups
    half = rows.half.numpy()
    judges = [
        (replace(fitted.reader, model=judge.of_group(group)), chosen)
        for which, judge in enumerate(rows.judges)
        for group in range(shape.n_groups)
        if len(chosen := np.flatnonzero((rows.member_weight[:, group * n_in_group].numpy() > 0) & (half == which)))
    ]
    return JudgedRows(rows.cells, rows.target, rows.sample.numpy(), rows.row_weight.numpy(), judges)


def significance_of(
    parts: Sequence[JudgedRows],
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
        parts: Rows and their judges; samples of different parts are different.
        units: What is tested.
        are_linked: Whether samples are lots or blocks of time.
        rate: Rate of false discoveries to be kept.
        control: How.
        is_trusted: Whether the model beats a constant.
        max_rows: Number of rows of each part at most.
        random_state: Seed of the draws.
    """
    columns = [units.model_columns(unit) for unit in units.scored]
    judged, fits = [], []
    n_known = 0
    for number, part in enumerate(parts):
        losses, fit = _judged(part, columns, max_rows, [random_state, number])
        judged.append(replace(losses, sample=losses.sample + n_known, are_linked=are_linked))
        fits.append(fit)
        n_known += int(part.sample.max()) + 1
    losses = JudgedLosses.joined(judged)
    p_values = randomization_p_values(losses)
    q_values, selected = select(p_values, rate, control, is_trusted=is_trusted)
    return Significance(
        rise=units.spread(losses.rise),
        p_value=units.spread(p_values, unread=1.0),
        q_value=units.spread(q_values, unread=1.0),
        selected=units.spread(selected) > 0,
        sampler_fit=units.spread(np.mean(fits, axis=0), unread=np.nan),
    )


def _judged(
    part: JudgedRows, columns: Sequence[Sequence[int]], max_rows: int, seed: Sequence[int]
) -> tuple[JudgedLosses, Array]:
    """Return the losses of the rows of one part, and how well the sampler knows each unit."""
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
    layout = part.judges[0][0].model.shape.layout
    draws = conditional_draws(cells, layout, columns, fold, N_DRAWS, int(random.integers(2**31)))
    found = [
        _judged_by(reader, cells, target, draws.cells, columns, kept)
        for reader, rows in part.judges
        if len(kept := place[rows][place[rows] >= 0])
    ]
    losses, drawn, rows = (list(each) for each in zip(*found, strict=True))
    row = np.concatenate(rows)
    weight = part.weight[positions][row] / part.weight[positions][row].mean()
    weighted = np.concatenate(losses) * weight, np.concatenate(drawn, axis=1) * weight[:, None]
    return JudgedLosses(*weighted, numbers[row]), draws.fit


def _judged_by(
    reader: Reader,
    cells: Cells,
    target: Target,
    draws: Sequence[Cells],
    columns: Sequence[Sequence[int]],
    rows: Array,
) -> tuple[Array, Array, Array]:
    """Return the losses of some rows by one model, the same with each unit drawn, and the rows."""
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


def expected_tests(parts: Sequence[JudgedRows], max_rows: int) -> float:
    """Return the seconds that the tests are expected to take.

    Args:
        parts: The rows and their judges.
        max_rows: Number of rows of each part at most.
    """
    return sum(
        expected_shuffles(reader.model.shape, int(len(rows) * min(1.0, max_rows / len(part.cells))), N_DRAWS)
        for part in parts
        for reader, rows in part.judges
    )
