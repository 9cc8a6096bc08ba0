"""Which rows of a table belong together, and when they were.

Rows of one lot, one patient or one hour resemble each other in more than the columns say. A model that has seen some of
them knows the others: held out, they would confirm whatever it learned. So they are held out together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from tabattn.arrays import Array
from tabattn.errors import ParameterError, TableError, nearest, warn_all
from tabattn.table.cells import AnySeries, Positions, holds_strings, is_missing, level_name
from tabattn.table.columns import Numbers, Times
from tabattn.table.inference import infer_table
from tabattn.table.rules import CellRules

MIN_UNITS, N_TIME_BLOCKS = 2, 10


@dataclass(frozen=True, eq=False)
class RowLinks:
    """Which rows belong together, and when they were.

    Args:
        unit: Code of the unit of each row, such as its lot; None where every row is one of its own.
        time: Place of each row in time; None where rows have no order.
        gap: How many rows beside those that are held out are not learned from, where rows have an order.
        is_asked: Whether units are those that were asked for, not only rows that are equal.
    """

    unit: Array | None = None
    time: Array | None = None
    gap: int = 0
    is_asked: bool = False

    def take(self, positions: Positions) -> Self:
        """Return the links of some rows.

        Args:
            positions: Which ones.
        """
        return replace(
            self,
            unit=None if self.unit is None else self.unit[positions],
            time=None if self.time is None else self.time[positions],
        )

    def independent_units(self, n_rows: int) -> Array:
        """Return the number of the unit of each row that is taken to be independent of the others.

        That is the row itself, its unit, or where rows have an order, the tenth of them in time that it is in.

        Args:
            n_rows: Number of rows.
        """
        if self.time is not None:
            blocks: Array = rankdata(self.time, "ordinal").astype(np.intp) * N_TIME_BLOCKS // (n_rows + 1)
            return blocks
        return np.arange(n_rows) if self.unit is None else self.unit

    def with_equal_rows(self, keys: Array) -> Self:
        """Return links in which rows with the same key are of one unit, if units are not known.

        Args:
            keys: A key of each row.

        Returns:
            Links whose units are numbered from 0 on in the order in which they occur; without units if no two rows have
            the same key, or if all have.
        """
        unit = pd.factorize(keys if self.unit is None else self.unit)[0]
        n_units = int(unit.max()) + 1
        is_of_use = MIN_UNITS <= n_units < len(unit) or (self.unit is not None and n_units >= MIN_UNITS)
        return replace(self, unit=unit if is_of_use else None)

    def check_length(self, n_rows: int) -> None:
        """Refuse links of another number of rows.

        Raises:
            ParameterError: There are more or fewer groups or times than rows.
        """
        for name, values in (("row_groups", self.unit), ("row_order", self.time)):
            if values is not None and len(values) != n_rows:
                raise ParameterError(f"{name} must have a value for each of the {n_rows} rows, got {len(values)}.")

    @property
    def n_units(self) -> int | None:
        """Number of units; None where every row is one of its own."""
        return None if self.unit is None else len(np.unique(self.unit))


def row_links(row_groups: Any, row_order: Any) -> RowLinks:
    """Return the links of rows that `fit` was given.

    Args:
        row_groups: A label for each row; None where rows are independent.
        row_order: A number or time for each row; None where rows have no order.

    Raises:
        ParameterError: These are not one-dimensional, a cell is missing, or there is only one group.

    Example:
        >>> row_links(["A", "B", "A"], [3.5, 1.0, 2.0]).time.tolist()
        [2.0, 0.0, 1.0]
    """
    unit = time = None
    if row_groups is not None:
        groups = _one_per_row(row_groups, "row_groups")
        unit = _codes(groups)
        if unit.max() == 0:
            raise ParameterError("row_groups must have at least two groups, got one: no row could be held out.")
    if row_order is not None:
        order = _one_per_row(row_order, "row_order")
        if holds_strings(order):
            raise ParameterError(
                f"row_order must hold numbers or times, got {order.iloc[0]!r}. Convert it, by pandas.to_datetime or so."
            )
        time = np.unique(order.to_numpy(), return_inverse=True)[1].astype(np.float64)
    return RowLinks(unit, time, is_asked=unit is not None)


def _codes(column: AnySeries) -> Array:
    """Return a code of each cell, in the order of the names of all: it depends on nothing else."""
    names = column.astype(object).map(lambda cell: level_name(cell).strip())
    codes: Array = np.unique(names.to_numpy(dtype=str), return_inverse=True)[1]
    return codes


def _one_per_row(values: Any, name: str) -> AnySeries:
    try:
        column: AnySeries = pd.Series(np.asarray(values) if not isinstance(values, pd.Series) else values)
    except ValueError as error:
        raise ParameterError(f"{name} must hold one value for each row, got an array of another shape.") from error
    column = column.reset_index(drop=True)
    n_missing = int(column.isna().sum())
    if n_missing or len(column) == 0:
        raise ParameterError(f"{name} must have a value for each row, got {n_missing} missing of {len(column)}.")
    return column


def units_in(table: pd.DataFrame, names: Sequence[str]) -> Array:
    """Return the unit of each row: rows belong together that have the same cells in all of some columns.

    Rows in which one of these cells is missing are units of their own.

    Args:
        table: The rows.
        names: Names of the columns.

    Raises:
        ParameterError: A column does not exist.
        TableError: All rows belong together, or no two rows do.

    Example:
        >>> table = pd.DataFrame({"lot": ["A", "A", "B", None, None]})
        >>> units_in(table, ["lot"]).tolist()
        [0, 0, 1, 2, 3]
    """
    keys = []
    is_absent = np.zeros(len(table), dtype=bool)
    for name in names:
        if name not in table.columns:
            raise ParameterError(
                f"A column to split by must be one of the table, got {name!r}. {nearest(name, table.columns)}"
            )
        column = table[name]
        is_absent |= is_missing(column)
        keys.append(_codes(column))
    joined = np.unique(np.column_stack(keys), axis=0, return_inverse=True)[1].ravel() + len(table)
    unit: Array = pd.factorize(np.where(is_absent, np.arange(len(table)), joined))[0]
    n_units = int(unit.max()) + 1
    said = " and ".join(map(repr, names))
    if n_units < MIN_UNITS:
        raise TableError(
            f"A column to split by must have at least {MIN_UNITS} values, got {said} with one. Name another column."
        )
    if n_units == len(table):
        raise TableError(
            f"A column to split by must have values that several rows share, got {said} with another in every row. "
            "Name the column of lots, patients or machines, or leave the option out."
        )
    return unit


def times_in(table: pd.DataFrame, name: str, rules: CellRules) -> Array:
    """Return the place of each row in the order of a column: the same number for equal cells.

    Args:
        table: The rows.
        name: Name of a column of numbers, dates or durations.
        rules: How some cells are to be read.

    Raises:
        ParameterError: The column does not exist.
        TableError: It has cells without a number or a date, or only one value.

    Example:
        >>> table = pd.DataFrame({"day": ["2024-03-02", "2024-03-01", "2024-03-10"]})
        >>> times_in(table, "day", CellRules()).tolist()
        [1.0, 0.0, 2.0]
    """
    if name not in table.columns:
        raise ParameterError(
            f"A column to order by must be one of the table, got {name!r}. {nearest(name, table.columns)}"
        )
    read = infer_table(table[[name]], rules=rules)
    warn_all(read.warnings)
    cells = read.cells[0]
    if not isinstance(cells, Numbers | Times):
        raise TableError(
            f"A column to order by must hold numbers or dates, got {name!r} with cells such as "
            f"'{table[name].iloc[0]}'. Name a date, a time or a number that grows."
        )
    _check_present(name, int(cells.missing.sum()))
    found, place = np.unique(np.asarray(cells.values), return_inverse=True)
    if len(found) < MIN_UNITS:
        raise TableError(f"A column to order by must have at least two values, got {name!r} with one.")
    return place.astype(np.float64)


def times_of(rows: Any, column: str) -> Array:
    """Return the time of each row of a file as a number, for a column of numbers, dates or times.

    Args:
        rows: A batch of rows, or a table of PyArrow.
        column: Name of the column.

    Raises:
        TableError: It holds something else, or has no value in some row.

    Example:
        >>> import pyarrow as pa
        >>> times_of(pa.table({"day": pa.array([3, 1], pa.date32())}), "day").tolist()
        [3.0, 1.0]
    """
    import pyarrow as pa

    places = {name.strip(): place for place, name in enumerate(rows.schema.names)}
    cells = rows.column(places[column])
    kind = cells.type
    if pa.types.is_decimal(kind):
        cells = cells.cast(pa.float64())
    elif pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        cells = cells.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise TableError(
            f"A column to order a table that does not fit into memory by must be of numbers, dates or times, got "
            f"{column!r} of {kind}. Write its files again with dates of their own type."
        )
    times: Array = cells.to_numpy(zero_copy_only=False).astype(np.float64)
    _check_present(column, int(cells.null_count) or int(np.isnan(times).sum()))
    return times


def _check_present(name: str, n_missing: int) -> None:
    if n_missing:
        raise TableError(
            f"A column to order by must have a value in every row, got {name!r} with {n_missing} cell(s) missing. "
            "Fill them, or leave these rows out."
        )
