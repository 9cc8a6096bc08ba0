"""Effects of columns on the predictions of a fitted model, computed inside it."""

import numpy as np
import torch

from tabattn.arrays import Array
from tabattn.encoding.target import ClassEncoding
from tabattn.fitted.costs import expected_shuffles
from tabattn.fitted.grids import FEW_PROBABILITIES, PROBABILITIES, value_grid
from tabattn.fitted.model import FittedModel
from tabattn.importance.effects import Effect, effect_of
from tabattn.nn.tokens import Cells
from tabattn.table.schema import TypedTable

N_EFFECT_ROWS, MIN_EFFECT_ROWS, MAX_CELLS, MANY_COLUMNS = 150, 30, 15_000, 100


def n_effect_rows(n_columns: int) -> int:
    """Return how many rows effects are averaged over: fewer where there are many columns.

    Args:
        n_columns: Number of columns.
    """
    return int(np.clip(MAX_CELLS // max(1, n_columns), MIN_EFFECT_ROWS, N_EFFECT_ROWS))


def expected_effects(fitted: FittedModel, n_rows: int) -> float:
    """Return the seconds that effects are expected to take.

    Args:
        fitted: The model.
        n_rows: Number of rows that they are averaged over.
    """
    shape = fitted.model.shape
    return expected_shuffles(shape, n_rows, len(_probabilities(shape.n_columns)))


def column_effects(
    fitted: FittedModel, table: TypedTable, y: Array, weight: Array | None, n_rows: int, random_state: int
) -> tuple[Effect, ...]:
    """Predict rows with one value of a column after another, all columns of a place on their grids together.

    Args:
        fitted: The model.
        table: Rows; values are chosen from all of them.
        y: Their target, checked.
        weight: Weight of each row; None where all count the same.
        n_rows: Number of rows to average over.
        random_state: Seed of the rows.

    Returns:
        The effect of each column that the model reads and whose values can be put in an order or are levels, in the
        order of the table.
    """
    schema = fitted.schema
    probabilities = _probabilities(len(schema.model_positions))
    found = {
        place: grid
        for place, position in enumerate(schema.model_positions)
        if (grid := value_grid(schema.columns[position], table.cells[position], probabilities)) is not None
    }
    if not found:
        return ()
    random = np.random.default_rng(random_state)
    weight = np.ones(len(table)) if weight is None else weight
    chosen = np.flatnonzero(weight > 0)
    if len(chosen) > n_rows:
        chosen = np.sort(random.choice(len(table), n_rows, replace=False, p=weight / weight.sum()))
    read = np.unique(np.concatenate([chosen, *(grid.rows for grid in found.values())]))
    every = fitted.encoder.encode(table.take(read)).cells
    cells = every.take(torch.from_numpy(np.searchsorted(read, chosen)))
    sources = {place: np.searchsorted(read, grid.rows) for place, grid in found.items()}
    predictions: dict[int, list[Array]] = {place: [] for place in found}
    for number in range(max(len(grid.values) for grid in found.values())):
        places = [place for place, grid in found.items() if number < len(grid.values)]
        values = _with_columns(cells, every, {place: int(sources[place][number]) for place in places}, fitted)
        swapped = fitted.reader.predict_swapped(cells, values, [(place,) for place in places])
        columns = (column for block in swapped for column in block.transpose(0, 1).numpy())
        for place, averaged in zip(places, columns, strict=True):
            predictions[place].append(_outputs(fitted, averaged))
    targets, outputs = _targets(fitted, y), [number for number, _ in shown_outputs(fitted)]
    effects = {
        schema.model_positions[place]: effect_of(
            schema.columns[schema.model_positions[place]].name,
            grid,
            np.stack(predictions[place]),
            targets,
            weight,
            outputs,
        )
        for place, grid in found.items()
    }
    return tuple(effects[position] for position in sorted(effects))


def shown_outputs(fitted: FittedModel) -> list[tuple[int, str]]:
    """Return number and name of the outputs that effects are shown of: of two classes, the second.

    Args:
        fitted: The model.
    """
    target = fitted.encoder.target
    if not isinstance(target, ClassEncoding):
        return [(0, "")]
    names = [(number, str(name)) for number, name in enumerate(target.classes)]
    return names[1:] if len(names) == 2 else names


def _probabilities(n_columns: int) -> tuple[float, ...]:
    return PROBABILITIES if n_columns <= MANY_COLUMNS else FEW_PROBABILITIES


def _with_columns(cells: Cells, donors: Cells, row_of: dict[int, int], fitted: FittedModel) -> Cells:
    """Return rows in which some columns have the value of a donor."""
    layout = fitted.model.shape.layout
    numeric, codes = cells.numeric.clone(), cells.codes.clone()
    has_mask = cells.missing is not None or donors.missing is not None
    missing = torch.zeros(len(cells), layout.n_columns, dtype=torch.bool) if cells.missing is None else cells.missing
    missing = missing.clone()
    for column, row in row_of.items():
        if column < layout.n_numbered:
            numbers = layout.numbers_of(column)
            numeric[:, numbers] = donors.numeric[row, numbers]
        else:
            codes[:, column - layout.n_numbered] = donors.codes[row, column - layout.n_numbered]
        missing[:, column] = False if donors.missing is None else donors.missing[row, column]
    return Cells(numeric, codes, missing if has_mask else None)


def _outputs(fitted: FittedModel, averaged: Array) -> Array:
    """Return decoded predictions, outputs on the last axis."""
    decoded: Array = fitted.encoder.target.decode(averaged)
    outputs: Array = decoded.reshape(len(decoded), -1)
    return outputs


def _targets(fitted: FittedModel, y: Array) -> Array:
    """Return numbers, or whether each row is of each class."""
    target = fitted.encoder.target
    if isinstance(target, ClassEncoding):
        y = y[:, None] == target.classes
    targets: Array = y.reshape(len(y), -1).astype(np.float64)
    return targets
