"""Columns that alone predict the target: they may have become known only after it."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr
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


def leaking_names(
    rows: SplitRows, schema: TableSchema, layout: CellLayout, importance: ImportanceTable, units: Units
) -> list[str]:
    """Name the columns that alone determine the target: numbers in its order, and others that predict it.

    Prediction is tested for the first columns of a ranking only. A numeric target is predicted by its ranks, so that no
    outlier hides a leak, and from the rows in which the column has a value; classes from all rows, because a
    missing cell may give a class away.

    Args:
        rows: All rows.
        schema: The columns, as learned from the rows that were fitted.
        layout: Where their values stand.
        importance: The ranking.
        units: The units that it ranks.
    """
    is_first = (importance["rank"] <= N_LEAKS) | (importance["permutation_rank"] <= N_LEAKS)
    firsts = {units.names.index(name) for name in importance["feature"][is_first & (importance["importance"] > 0)]}
    leaks = []
    for position in schema.token_positions:
        is_leak = rows.problem.task == "regression" and _is_in_order(rows, position)
        place = layout.values_of(schema.model_positions.index(position))
        if is_leak or (units.of_column[position] in firsts and _predicts_alone(rows, position, place)):
            leaks.append(schema.columns[position].name)
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


def _predicts_alone(rows: SplitRows, position: int, place: slice) -> bool:
    is_regression = rows.problem.task == "regression"
    train, held_out = rows.train, rows.held_out
    is_present = ~rows.table.cells[position].missing
    is_enough = is_present.mean() >= MIN_PRESENT_FRACTION and is_present[train].any() and is_present[held_out].sum() > 1
    if is_regression and is_enough:
        train, held_out = train[is_present[train]], held_out[is_present[held_out]]
    y = (rows.problem.y.rank() if is_regression else rows.problem.y).to_numpy()
    values = rows.design[:, place]
    model = single_column_model(rows.problem.task, len(train)).fit(values[train], y[train])
    known, predicted = y[held_out], model.predict(values[held_out])
    score = r2_score(known, predicted) if is_regression else _mean_recall(known, predicted)
    return bool(score >= MIN_LEAK_SCORE)


def _mean_recall(known: Array, predicted: Array) -> float:
    """Mean over the classes that occur; predicting the most frequent class alone earns little."""
    return float(recall_score(known, predicted, labels=np.unique(known), average="macro", zero_division=0))
