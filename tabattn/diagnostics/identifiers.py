"""Columns that number or name the rows: what is learned from them does not generalize to other rows."""

import numpy as np

from tabattn.table.columns import Levels, Numbers, TypedCells
from tabattn.table.numbers import why_not_numbers
from tabattn.table.schema import Column, Kind, TableSchema, TypedTable

MIN_IDENTIFIED_ROWS = 20
MIN_EVEN_STEPS = 0.5
MIN_EXPECTED_REPEATS = 10.0
MIN_CODE_DIGITS, MIN_CODE_ROWS = 7, 50


def identifier_names(table: TypedTable, schema: TableSchema) -> list[str]:
    """Name the columns that seem to number or name the rows.

    Args:
        table: All rows.
        schema: The columns, as learned from the rows that were fitted.

    Returns:
        Names of columns of strings without a level that occurs twice, and of columns of integers none of which occurs
        twice, if they count up or down from row to row in steps that are mostly equal, if they fill their range so well
        that numbers drawn at random would repeat, or if all have the same number of digits, at least seven.

    Example:
        >>> import pandas as pd
        >>> from tabattn.table.inference import infer_table
        >>> X = pd.DataFrame({"row": range(30), "lot": [f"L{i}" for i in range(30)], "line": ["A", "B"] * 15})
        >>> table = infer_table(X)
        >>> identifier_names(table, table.schema)
        ['row', 'lot']
    """
    if len(table) < MIN_IDENTIFIED_ROWS:
        return []
    pairs = zip(schema.columns, table.cells, strict=True)
    return [column.name for column, cells in pairs if _is_identifier(column, cells)]


def _is_identifier(column: Column, cells: TypedCells) -> bool:
    if isinstance(cells, Levels):
        n_present = int((~cells.missing).sum())
        names_rows = not column.categories and n_present >= MIN_IDENTIFIED_ROWS
        return names_rows and why_not_numbers(cells.names) is None  # unread numbers do not name rows
    if not isinstance(cells, Numbers) or column.kind is not Kind.NUMERIC or column.is_constant:
        return False
    numbers = cells.values
    if np.isnan(numbers).any() or (numbers != np.round(numbers)).any():
        return False
    n_rows, steps = len(numbers), np.diff(np.sort(numbers))
    if (steps < 1).any():
        return False
    is_sorted = bool((np.diff(numbers) > 0).all() or (np.diff(numbers) < 0).all())
    is_counter = is_sorted and (steps == np.median(steps)).mean() >= MIN_EVEN_STEPS
    is_dense = n_rows**2 / (2 * (np.ptp(numbers) + 1)) >= MIN_EXPECTED_REPEATS
    digits = np.char.str_len(np.char.mod("%d", np.abs(numbers + column.offset)))
    is_code = n_rows >= MIN_CODE_ROWS and digits.min() == digits.max() >= MIN_CODE_DIGITS
    return bool(is_counter or is_dense or is_code)
