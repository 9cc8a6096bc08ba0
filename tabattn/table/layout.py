"""What stands around a table: titles, remarks, rows of names and of units, totals at the foot."""

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from tabattn.errors import TableError
from tabattn.table.cells import is_missing_word
from tabattn.table.dates import is_date, is_duration
from tabattn.table.numbers import BOOLEAN_WORDS, is_number
from tabattn.table.units import is_unit_cell, unit_of_cell

Row: TypeAlias = Sequence[Any]
Grid: TypeAlias = Sequence[Row]
Shape: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"
MIN_NAMED, MIN_VALUES, MIN_COLUMN_VALUES = 0.6, 0.5, 0.7
N_FOLLOWING = 4
MAX_WIDTH = 200
MAX_FOOT = 6
TOTALS = frozenset(
    {
        *("total", "totals", "grand total", "sum", "subtotal", "average", "avg", "mean", "std dev", "stdev"),
        *("summe", "gesamt", "gesamtsumme", "mittelwert", "합계", "총계", "총합", "총합계", "소계", "평균", "표준편차"),
        *("合計", "合计", "总计", "总和", "小計", "平均", "平均值", "標準偏差"),
    }
)
BESIDE_TOTALS = frozenset(
    {
        "std",
        "min",
        "max",
        "minimum",
        "maximum",
        "median",
        "count",
        "n",
        "계",
        "최대",
        "최소",
        "최댓값",
        "최솟값",
        "개수",
        "計",
    }
)
_LINE_END = re.compile(r"\s*[\r\n]+\s*")
_REMARK = re.compile(r"[*※#†‡]|(?:notes?|remark|source|비고|출처|참고|備考|anmerkung|quelle)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """Where in a grid of cells a table is.

    Args:
        names: The rows of names, one or two.
        units: The row of units, None if there is none.
        first: The first row of cells.
        skipped: Rows above the names that were left out.
    """

    names: tuple[int, ...]
    units: int | None
    first: int
    skipped: tuple[int, ...] = ()


@dataclass(frozen=True)
class Places:
    """What the user says of where things are, and how rows are called in messages.

    Args:
        sheet: Name or number of the sheet, counted from 1; None for the first one that holds a table.
        header_row: Number of the row of names, counted from 1 as people count; None to find it.
        units_row: Number of the row of units; None to find it, 0 for none.
    """

    sheet: str | int | None = None
    header_row: int | None = None
    units_row: int | None = None


@dataclass(frozen=True)
class Notes:
    """What was left out or taken as something else; said once."""

    texts: list[str] = field(default_factory=list)

    def rows(self, positions: Sequence[int], what: str) -> None:
        """Note what was done to some rows.

        Args:
            positions: Their positions, counted from 0.
            what: What they are, and what was done.
        """
        if positions:
            numbers = ", ".join(str(each + 1) for each in positions[:3]) + (", ..." if len(positions) > 3 else "")
            self.texts.append(f"row{'s' * (len(positions) > 1)} {numbers}: {what}")


def find_layout(grid: Grid, places: Places, file_name: str) -> Layout:
    """Find the rows of names and of units, and the first row of cells.

    The cells of a table begin where, in the columns that hold numbers, dates or truth values further below, the rows
    hold them; the row above is that of names, unless it is one of units. Two rows of names are joined where the lower
    one repeats a name or leaves cells blank.

    Args:
        grid: The first rows: blank cells are None or "".
        places: What the user says.
        file_name: For errors.

    Returns:
        The layout.

    Raises:
        TableError: No row names the columns, or the user's numbers are beyond the table.

    Example:
        >>> rows = [["Line 3", ""], ["temp", "flow"], ["°C", "m3/h"], ["20.5", "1"], ["21", "2"]]
        >>> find_layout(rows, Places(), "t.csv")
        Layout(names=(1,), units=2, first=3, skipped=(0,))
    """
    even = _even(grid)
    filled = np.array([[not is_blank(cell) for cell in row] for row in even], dtype=bool)
    for what, number in (("header_row", places.header_row), ("units_row", places.units_row)):
        if number is not None and not (0 if what == "units_row" else 1) <= number <= len(grid):
            raise TableError(
                f"{file_name!r} must have the row that {what} (--{what.replace('_', '-')}) names among its first "
                f"{len(grid)}, got {number}."
            )
    if not filled.any():
        return Layout((), None, len(grid))
    values = np.array([[is_value(cell) for cell in row] for row in even], dtype=bool) & filled
    if places.header_row is not None:
        return _below(grid, filled, values, places.header_row - 1, places)
    first = _first_of_cells(filled, values)
    width = _width(filled[first:])
    header = _names_above(filled, values, first, width)
    if header is not None:
        return _below(grid, filled, values, header, places)
    if filled[:first].any() and not (filled[first] & ~values[first]).any():
        shown = int(np.flatnonzero(filled[:first].any(axis=1))[-1])
        raise TableError(
            f"{file_name!r} must have a row with a name for each of its {width} columns, got none above row "
            f"{first + 1}, the first one of cells; row {shown + 1} has {int(filled[shown].sum())}. "
            "Say which row names them with header_row (--header-row N)."
        )
    return _below(grid, filled, values, first, places)


def _below(grid: Grid, filled: Shape, values: Shape, header: int, places: Places) -> Layout:
    """Return the layout whose lower row of names may be one of units, or have another row of names above."""
    lines = [row for row in range(header + 1, len(filled)) if filled[row].any()]
    names: tuple[int, ...] = (header,)
    units: int | None = None
    if places.units_row is not None:
        units = places.units_row - 1 if places.units_row else None
    elif lines and _are_units(grid[lines[0]], filled, values, lines):
        units = lines[0]
    if places.header_row is None and units is None and header > 0 and _is_units_row(grid[header]):
        above = header - 1
        if filled[above].any() and not values[above].any() and filled[above].sum() >= filled[header].sum():
            names, units = (above,), header
    top = names[0]
    if places.header_row is None and top > 0 and _are_joined(grid, filled, values, top):
        names = (top - 1, top)
    first = max(names[-1] if units is None else max(units, names[-1]), 0) + 1
    skipped = tuple(row for row in range(names[0]) if filled[row].any())
    return Layout(names, units, first, skipped)


def _first_of_cells(filled: Shape, values: Shape) -> int:
    """Return the first row in which most columns of values hold values, and in most of the rows that follow too."""
    n_rows = len(filled)
    lines = np.flatnonzero(filled.any(axis=1))
    lower = lines[len(lines) // 2 :]
    n_filled = np.maximum(filled[lower].sum(axis=0), 1)
    is_wide = filled[lower].sum(axis=0) >= 0.2 * len(lower)
    columns = np.flatnonzero((values[lower].sum(axis=0) >= MIN_COLUMN_VALUES * n_filled) & is_wide)
    width = _width(filled[lower])
    if len(columns) == 0:  # a table of words: the first row as wide as the others has the names
        wide = [row for row in lines if filled[row].sum() >= MIN_NAMED * width]
        after = [row for row in lines if row > wide[0]] if wide else []
        return int(after[0]) if after else n_rows
    shares = values[:, columns].sum(axis=1) / np.maximum(filled[:, columns].sum(axis=1), 1)
    is_like_cells = (shares >= MIN_VALUES) & (filled[:, columns].sum(axis=1) >= 0.3 * len(columns))
    for place, row in enumerate(lines):
        following = is_like_cells[lines[place : place + N_FOLLOWING]]
        if following[:2].all() and following.mean() >= MIN_COLUMN_VALUES:
            return int(row)
    return int(lines[0])


def _width(filled: Shape) -> int:
    """Return how many cells of most rows are filled."""
    counts = Counter(int(count) for count in filled.sum(axis=1) if count)
    return max(counts, key=lambda count: counts[count]) if counts else 0


def _names_above(filled: Shape, values: Shape, first: int, width: int) -> int | None:
    """Return the row of names or of units above the first row of cells, None if there is none."""
    above = [row for row in range(first) if filled[row].any()]
    if not above:
        return None
    row = above[-1]
    is_wide = filled[row].sum() >= min(MIN_NAMED * width, width - 1) or (row == first - 1 and filled[row, 1:].any())
    return row if is_wide and values[row].sum() <= MIN_VALUES * filled[row].sum() else None


def _is_units_row(row: Row) -> bool:
    cells = [str(cell) for cell in row if not is_blank(cell)]
    return bool(cells) and all(map(is_unit_cell, cells)) and any(unit_of_cell(cell) for cell in cells)


def _are_units(row: Row, filled: Shape, values: Shape, lines: Sequence[int]) -> bool:
    """Return whether the row under the names is one of units: all of its cells are, and values follow below."""
    if not _is_units_row(row) or not all(isinstance(cell, str) or is_blank(cell) for cell in row):
        return False
    below = list(lines[1 : 1 + N_FOLLOWING])
    places = np.flatnonzero(filled[lines[0]] & ~values[lines[0]])
    return bool(below) and bool(values[below][:, places].sum() >= MIN_VALUES * max(filled[below][:, places].sum(), 1))


def _are_joined(grid: Grid, filled: Shape, values: Shape, row: int) -> bool:
    """Return whether the row above one of names belongs to it: it names groups of columns, or fills its gaps."""
    above = row - 1
    if not filled[above].any() or values[above].any() or filled[above].sum() < 2:
        return False
    names = [str(cell).strip() for cell in grid[row] if not is_blank(cell)]
    return len(set(names)) < len(names) or bool((filled[above] & ~filled[row]).any())


def names_of(grid: Grid, layout: Layout, spread: Callable[[int], Row] | None = None) -> list[str]:
    """Return the names of the columns, "" for a column without one; two rows of them are joined.

    Args:
        grid: The first rows.
        layout: Which of them have names.
        spread: Returns a row whose merged cells are filled; None to fill the upper row of two to the right.

    Example:
        >>> rows = [["Zone 1", "", "Zone 2", ""], ["min", "max", "min", "max"]]
        >>> names_of(rows, Layout((0, 1), None, 2))
        ['Zone 1 / min', 'Zone 1 / max', 'Zone 2 / min', 'Zone 2 / max']
    """
    n_columns = max((len(row) for row in grid), default=0)
    rows = [list(grid[row]) if spread is None else list(spread(row)) for row in layout.names]
    cells = [[_name(cell) for cell in [*row, *[""] * (n_columns - len(row))]] for row in rows]
    if not cells:
        return []
    if len(cells) == 1:
        return cells[0]
    upper, lower = cells
    if spread is None:
        for i in range(1, len(upper)):
            upper[i] = upper[i] or (upper[i - 1] if lower[i] else "")
    return [
        lower_name if upper_name in {"", lower_name} else f"{upper_name} / {lower_name}" if lower_name else upper_name
        for upper_name, lower_name in zip(upper, lower, strict=True)
    ]


def units_of_row(row: Row, names: Sequence[str]) -> dict[str, str]:
    """Return the unit of each column that a row of units names."""
    pairs = zip(names, row, strict=False)
    return {name: unit for name, cell in pairs if not is_blank(cell) and (unit := unit_of_cell(str(cell)))}


def foot_rows(tail: Grid, n_columns: int) -> Mapping[int, str]:
    """Find totals and remarks in the last rows.

    Args:
        tail: The last rows; blank cells are None or "".
        n_columns: Number of columns of the table.

    Returns:
        What each row that is no part of the table holds, by its position.

    Example:
        >>> foot_rows([["A", "1", "2"], ["합계", "1", "2"], ["* measured by K", "", ""]], 3)
        {2: '* measured by K', 1: '합계'}
    """
    totals: dict[int, str] = {}
    remarks: dict[int, str] = {}
    for position in range(len(tail) - 1, max(-1, len(tail) - 1 - MAX_FOOT), -1):
        cells = [(place, cell) for place, cell in enumerate(tail[position]) if not is_blank(cell)]
        if not cells:
            continue
        place, first = cells[0]
        if not isinstance(first, str) or is_value(first):
            break
        text, rest = first.strip(), [cell for _, cell in cells[1:]]
        if rest and _plain(text) in TOTALS | BESIDE_TOTALS and all(map(is_value, rest)):
            totals[position] = text
        elif not rest and place == 0 and n_columns > 2 and not totals and _is_remark(text, tail, position):
            remarks[position] = text
        else:
            break
    return remarks | (totals if any(_plain(text) in TOTALS for text in totals.values()) else {})


def _is_remark(text: str, tail: Grid, position: int) -> bool:
    is_apart = position > 0 and all(map(is_blank, tail[position - 1]))
    return is_apart or " " in text or _REMARK.match(text) is not None


def is_blank(cell: object) -> bool:
    """Return whether a cell of a grid is empty or blank."""
    return cell is None or (isinstance(cell, str) and not cell.strip()) or (isinstance(cell, float) and cell != cell)


def _even(grid: Grid) -> list[list[Any]]:
    """Return rows of the same length; of very wide ones some cells, spread evenly."""
    width = max((len(row) for row in grid), default=0)
    step = max(1, width // MAX_WIDTH)
    return [[*row[::step], *[None] * (-(-width // step) - len(row[::step]))] for row in grid]


def is_value(cell: object) -> bool:
    """Return whether a cell holds a number, a date, a truth value or a word for a missing value."""
    if not isinstance(cell, str):
        return isinstance(cell, int | float | np.generic | dt.date | dt.time | dt.timedelta)
    text = cell.strip()
    return (
        is_number(text)
        or is_missing_word(text)
        or text.casefold() in BOOLEAN_WORDS
        or is_date(text)
        or is_duration([text])
    )


def _plain(text: str) -> str:
    return text.casefold().strip(" :：.[]()<>*=-")


def _name(cell: object) -> str:
    if is_blank(cell):
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, dt.datetime) and cell.time() == dt.time():
        return str(cell.date())  # a name that is a day has no hour
    return _LINE_END.sub(" ", str(cell)).strip()
