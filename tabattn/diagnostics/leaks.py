"""Columns that alone predict the target: they may have become known only after it."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata, spearmanr
from sklearn.metrics import r2_score, recall_score

from tabattn.arrays import Array
from tabattn.diagnostics.baselines import single_column_model
from tabattn.importance.table import ImportanceTable
from tabattn.importance.units import Units
from tabattn.nn.tokens import CellLayout
from tabattn.table.columns import Numbers
from tabattn.table.problem import Problem
from tabattn.table.schema import Kind, TableSchema, TypedTable

N_LEAKS, MIN_LEAK_SCORE, MIN_PRESENT_FRACTION = 3, 0.99, 0.5
MIN_SECOND_SCORE, MIN_SECOND_SHARE, MIN_IMPORTANCE = 0.95, 0.97, 0.5


@dataclass(frozen=True)
class Leak:
    """A column that alone predicts the target as well as all columns together.

    Args:
        name: Its name.
        score: R² of the ranks of the target, or the mean recall of its classes, from this column alone.
        whole: The same from all columns.
    """

    name: str
    score: float
    whole: float

    @property
    def is_certain(self) -> bool:
        """Whether it predicts nearly perfectly."""
        return self.score >= MIN_LEAK_SCORE


@dataclass(frozen=True, eq=False)
class SplitRows:
    """All rows of a table, and which of them were fitted.

    Args:
        table: All rows, parsed.
        design: The same as numbers and codes, see `RawCells.design`.
        problem: The same with their target.
        train: Positions of the rows that were fitted.
        held_out: Positions of the others.
    """

    table: TypedTable
    design: Array
    problem: Problem
    train: Array
    held_out: Array


def leaks_of(
    rows: SplitRows,
    schema: TableSchema,
    layout: CellLayout,
    importance: ImportanceTable,
    units: Units,
    predicted: Array,
) -> list[Leak]:
    """Find the columns that alone determine the target, or predict it as well as all columns together.

    Numbers in the order of the target are found wherever they stand; prediction is tested for the first columns of a
    ranking only. A numeric target is predicted by its ranks, so that no outlier hides a leak, and from the rows in
    which the column has a value; classes from all rows, because a missing cell may give a class away.

    A column that predicts less than perfectly is suspected where it alone reaches .95, and 97 % of what gradient
    boosting reaches with all of them, and has most of the importance: it may be a second measurement of the target.

    Args:
        rows: All rows.
        schema: The columns, as learned from the rows that were fitted.
        layout: Where their values stand.
        importance: The ranking.
        units: The units that it ranks.
        predicted: What gradient boosting predicts for the held-out rows from all columns: numbers, or classes.
    """
    is_first = (importance["rank"] <= N_LEAKS) | (importance["permutation_rank"] <= N_LEAKS)
    firsts = {units.names.index(name) for name in importance["feature"][is_first & (importance["importance"] > 0)]}
    share = dict(zip(importance["feature"], importance["importance"], strict=True))
    whole = _score(rows, rows.held_out, predicted)
    leaks = []
    for position in schema.token_positions:
        name, unit = schema.columns[position].name, units.of_column[position]
        if rows.problem.task == "regression" and _is_in_order(rows, position):
            leaks.append(Leak(name, 1.0, whole))
        elif unit in firsts:
            place = layout.values_of(schema.model_positions.index(position))
            score = _score_alone(rows, position, place)
            is_second = score >= MIN_SECOND_SCORE and score >= MIN_SECOND_SHARE * whole
            if score >= MIN_LEAK_SCORE or (is_second and share[units.names[unit]] > MIN_IMPORTANCE):
                leaks.append(Leak(name, score, whole))
    return leaks


def _is_in_order(rows: SplitRows, position: int) -> bool:
    """Return whether numbers have the order of the target, or the reverse."""
    cells = rows.table.cells[position]
    if not isinstance(cells, Numbers) or rows.table.schema.columns[position].kind is not Kind.NUMERIC:
        return False
    is_present, y = ~cells.missing, rows.problem.y.to_numpy(dtype=np.float64)
    numbers, known = cells.values[is_present], y[is_present]
    if len(numbers) < max(2, MIN_PRESENT_FRACTION * len(y)) or np.ptp(numbers) == 0 or np.ptp(known) == 0:
        return False
    return bool(spearmanr(numbers, known).statistic ** 2 >= MIN_LEAK_SCORE)


def _score_alone(rows: SplitRows, position: int, place: slice) -> float:
    """Return the score of the held-out rows that one column alone predicts."""
    is_regression = rows.problem.task == "regression"
    train, held_out = rows.train, rows.held_out
    is_present = ~rows.table.cells[position].missing
    is_enough = is_present.mean() >= MIN_PRESENT_FRACTION and is_present[train].any() and is_present[held_out].sum() > 1
    if is_regression and is_enough:
        train, held_out = train[is_present[train]], held_out[is_present[held_out]]
    y = (rows.problem.y.rank() if is_regression else rows.problem.y).to_numpy()
    values = rows.design[:, place]
    model = single_column_model(rows.problem.task, len(train)).fit(values[train], y[train])
    score = _score(rows, held_out, model.predict(values[held_out]))
    if is_regression and rows.table.schema.columns[position].kind is Kind.NUMERIC:
        own, target = values[held_out, 0], y[held_out]
        if not np.isnan(own).any() and np.ptp(own) > 0 and np.ptp(target) > 0:  # steps of trees lose a bit of a line
            score = max(score, float(spearmanr(own, target).statistic ** 2))
    return score


def _score(rows: SplitRows, held_out: Array, predicted: Array) -> float:
    """Return R² of the ranks of numbers, or the mean recall of classes."""
    y = rows.problem.y.to_numpy()[held_out]
    if rows.problem.task == "classification":
        return _mean_recall(y, predicted)
    return float(r2_score(rankdata(y), rankdata(predicted))) if np.ptp(y) > 0 else 0.0


def _mean_recall(known: Array, predicted: Array) -> float:
    """Mean over the classes that occur; predicting the most frequent class alone earns little."""
    return float(recall_score(known, predicted, labels=np.unique(known), average="macro", zero_division=0))
