"""Rows that have something in common: a level of a column, a range of its numbers, or a class of the target."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tabattn.errors import TableError, warn_all
from tabattn.table.cells import AnySeries, Mask
from tabattn.table.columns import Levels, Numbers, Times
from tabattn.table.inference import infer_table
from tabattn.table.rules import CellRules

MAX_LEVELS, MAX_SINGLE_NUMBERS, N_RANGES = 100, 20, 4
MISSING = "(missing)"


@dataclass(frozen=True, eq=False)
class Subset:
    """Rows that have something in common.

    Args:
        column: Name of the column that says so.
        level: What they have in common, in words.
        rows: Which of all rows these are; at least one.
        is_single: Whether they have one value of the column, not a range of them.
    """

    column: str
    level: str
    rows: Mask
    is_single: bool = True


def level_subsets(table: pd.DataFrame, name: str, rules: CellRules) -> list[Subset]:
    """Return the rows of each level of a column, or of four ranges of its numbers or times with as many rows each.

    Up to 20 different numbers are levels; rows in which the cell is missing come last.

    Args:
        table: The rows.
        name: Name of the column.
        rules: How some cells are to be read.

    Raises:
        TableError: The column has more than 100 levels, or free texts.

    Example:
        >>> table = pd.DataFrame({"line": ["B", "A", "B", None]})
        >>> [(each.level, each.rows.nonzero()[0].tolist()) for each in level_subsets(table, "line", CellRules())]
        [('A', [1]), ('B', [0, 2]), ('(missing)', [3])]
    """
    read = infer_table(table[[name]], rules=rules)
    warn_all(read.warnings)
    cells = read.cells[0]
    if isinstance(cells, Levels):
        masks = ((level, cells.positions == place) for place, level in sorted(enumerate(cells.names), key=_name))
        levels = [(level, rows, True) for level, rows in masks if rows.any()]
    elif isinstance(cells, Numbers | Times):
        values = pd.Series(np.asarray(cells.values))
        if isinstance(cells, Numbers):
            values += read.schema.columns[0].offset
        levels = _ranges(values)
    else:
        levels = []
    if not 0 < len(levels) <= MAX_LEVELS:
        got = f"{len(levels)} levels" if levels else "free texts, or nothing"
        raise TableError(
            f"A column to rank by must have at most {MAX_LEVELS} levels, or numbers, got {name!r} with {got}. "
            "Join rare levels, or name another column."
        )
    if cells.missing.any():
        levels.append((MISSING, cells.missing, True))
    return [Subset(name, *each) for each in levels]


def class_subsets(y: AnySeries, name: str) -> list[Subset]:
    """Return the rows of each class.

    Args:
        y: The class of each row.
        name: Name of the target.
    """
    classes, code = np.unique(y.to_numpy(), return_inverse=True)
    return [Subset(name, str(each), code == place) for place, each in enumerate(classes)]


def _name(place_and_name: tuple[int, str]) -> str:
    return place_and_name[1]


def _ranges(values: AnySeries) -> list[tuple[str, Mask, bool]]:
    """Return numbers or times one by one, or in ranges with as many rows each where they are too many."""
    found = np.sort(values.dropna().unique())
    are_single = len(found) <= MAX_SINGLE_NUMBERS
    if not are_single:
        code = pd.qcut(values, N_RANGES, labels=False, duplicates="drop").to_numpy()
        groups = [(code == place) for place in range(int(np.nanmax(code)) + 1)]
    else:
        groups = [(values == each).to_numpy() for each in found]
    return [(_range_name(values[rows]), rows, are_single) for rows in groups if rows.any()]


def _range_name(values: AnySeries) -> str:
    low, high = values.min(), values.max()
    names = [str(each) if isinstance(each, pd.Timestamp) else f"{each:.6g}" for each in (low, high)]
    return names[0] if low == high else f"{names[0]} to {names[1]}"
