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
from tabattn.table.dates import is_date
from tabattn.table.durations import is_duration
from tabattn.table.numbers import BOOLEAN_WORDS, is_number
from tabattn.table.units import is_strong_unit, is_unit_cell, unit_of_cell

Row: TypeAlias = Sequence[Any]
Grid: TypeAlias = Sequence[Row]
Shape: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"
MIN_NAMED, MIN_VALUES, MIN_COLUMN_VALUES = 0.6, 0.5, 0.7
MAX_WIDTH = 100
MAX_FOOT = 8
TOTALS = frozenset(
    {
        *("total", "totals", "grand total", "sum", "subtotal", "average", "avg", "mean", "std dev", "stdev"),
        *("durchschnitt", "mittel", "moyenne", "totale", "누계", "월평균", "평균값", "average value"),
        *("summe", "gesamt", "gesamtsumme", "mittelwert", "합계", "총계", "총합", "총합계", "소계", "평균", "표준편차"),
        *("合計", "合计", "总计", "总和", "小計", "平均", "平均值", "標準偏差"),
    }
)
BESIDE_TOTALS = frozenset(
    {
        *("std", "sd", "s.d", "stdev.s", "stddev", "rsd", "rsd%", "cv", "cv%", "avg", "range", "usl", "lsl"),
        *(
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
        ),
    }
)
_FRACTION = re.compile(r"[+-]?\d+[.,]\d+")
_LINE_END = re.compile(r"\s*[\r\n]+\s*")
_TOTAL = re.compile(r"(?:(?:grand |sub)?total|합계|총계|총합|소계|summe|gesamt|合計|合计|总计)\s*[(:\d].*")
_RULE = re.compile(r"[-=_*─━]+")
_REMARK = re.compile(
    r"[*※#†‡]|notes?\s*[:.)]|(?:eof|end|remark|source|비고|출처|참고|備考|anmerkung|quelle)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class Layout:
    """Where in a grid of cells a table is.

    Args:
        names: The rows of names, one or two.
        units: The row of units, or None.
        first: The first row of cells.
        skipped: Rows above the names that were left out.
    """

    names: tuple[int, ...]
    units: int | None
    first: int
    skipped: tuple[int, ...] = ()


@dataclass(frozen=True)
class Places:
    """Where the user says that things are.

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

    def layout(self, layout: "Layout", grid: Grid) -> None:
        """Note what was found around a table.

        Args:
            layout: What was found.
            grid: The first rows.
        """
        above = [row for row in layout.skipped if row < layout.names[0]]
        self.rows(above, "above the names, left out")
        if len(layout.names) > 1:
            self.rows(layout.names, "names, joined")
        if layout.units is not None:
            self.rows([layout.units], "units")
        self.rows([row for row in layout.skipped if row > layout.names[0]], "under the names, left out")
        names = [cell for cell in grid[layout.names[-1]][:MAX_WIDTH] if not is_blank(cell)]
        numbers, n_filled = [_name(cell) for cell in names if is_value(cell)], len(names)
        if numbers and (len(numbers) == n_filled or any(_FRACTION.fullmatch(number) for number in numbers)):
            self.rows([layout.names[-1]], f"taken for the names, though it holds numbers such as {numbers[0]!r}")

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

    The names are the first row that is as wide as the table and holds words where numbers, dates or truth values follow
    further below. The row below may be one of units; two rows of names are joined where one repeats a name or leaves
    gaps that the other one fills.

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
    missing = np.array([[isinstance(cell, str) and is_missing_word(cell) for cell in row] for row in even], dtype=bool)
    width, columns = _body(filled, values, missing)
    if places.header_row is not None:
        header: int | None = places.header_row - 1
    elif places.units_row:
        above = np.flatnonzero(filled[: places.units_row - 1].any(axis=1))
        header = int(above[-1]) if len(above) else None
    else:
        header = _names_row(filled, values, width, columns)
    if header is None:
        raise TableError(
            f"{file_name!r} must have a row with a name for each of its {width} columns, got none above row "
            f"{int(np.flatnonzero(filled.sum(axis=1) >= width)[0]) + 1}, the first one of cells. "
            "Say which row names them with header_row (--header-row N)."
        )
    return _around(grid, filled, values, header, columns, places)


def _body(filled: Shape, values: Shape, missing: Shape) -> tuple[int, Shape]:
    """Return how many cells the widest of the lower rows has, and which columns hold values there."""
    lines = np.flatnonzero(filled.any(axis=1))
    lower = lines[-max(2, len(lines) // 2) :]
    n_filled = (filled & ~missing)[lower].sum(axis=0)
    n_values = (values & ~missing)[lower].sum(axis=0)
    columns = (n_values >= MIN_COLUMN_VALUES * np.maximum(n_filled, 1)) & (n_filled > 0)
    widths = Counter(int(count) for count in filled[lower].sum(axis=1))
    return max((width for width, count in widths.items() if count > 1), default=min(widths)), columns


def _names_row(filled: Shape, values: Shape, width: int, columns: Shape) -> int | None:
    """Return the row of names; None if no row can be one, though there is something above the cells."""
    lines = [int(row) for row in np.flatnonzero(filled.any(axis=1))]
    n_filled = filled.sum(axis=1)

    def are_names(row: int) -> bool:
        return not bool((values[row] & columns).any()) and bool(values[row].sum() <= MIN_VALUES * n_filled[row])

    def is_full(row: int) -> bool:
        used = filled[row + 1 :].any(axis=0)
        return bool(n_filled[row] >= width) and bool((filled[row] & ~used).sum() <= (filled[row] & used).sum())

    full = next((row for row in lines if is_full(row)), lines[0])
    top, left = lines[0], int(np.flatnonzero(filled.any(axis=0))[0])
    if not filled[top, left] and n_filled[top] >= width - 1 > 0 and are_names(top):  # the names of rows have no name
        return top
    if are_names(full):
        after_gap = [
            row for row in lines if row > full and not filled[row - 1].any() and is_full(row) and are_names(row)
        ]
        for row in after_gap:  # what stands before the gap are keys and values, not cells
            before = [each for each in lines if full <= each < row]
            is_like_cells = [(values[each] & columns).sum() >= MIN_VALUES * columns.sum() for each in before]
            if columns.any() and np.mean(is_like_cells) < MIN_VALUES:
                return row
        return full
    above = [row for row in lines if row < full]
    wide = [row for row in above if n_filled[row] >= min(MIN_NAMED * width, width - 1) and are_names(row)]
    if wide:
        return wide[0]
    if not above:
        return full
    if n_filled[above[0]] >= width - 1 > 0:
        return above[0]
    if above[-1] == full - 1 and filled[full - 1, 1:].any() and are_names(full - 1):
        return full - 1
    return full if (filled[full] & ~values[full]).any() else None


def _around(grid: Grid, filled: Shape, values: Shape, header: int, columns: Shape, places: Places) -> Layout:
    """Return the layout of a table with this row of names, which may have another one beside it and units below."""
    lines = [row for row in range(header + 1, len(filled)) if filled[row].any()]
    names: tuple[int, ...] = (header,)
    is_given = places.header_row is not None or places.units_row is not None
    if not is_given and _are_units(grid[header], filled[header], columns):
        above = [row for row in range(header) if filled[row].any()]
        if above and filled[above[-1]].sum() >= MIN_VALUES * filled[header].sum() and not values[above[-1]].any():
            names, lines = (above[-1],), [header, *lines]
    top = names[0]
    units: int | None = None
    if places.units_row is not None:
        units = places.units_row - 1 if places.units_row else None
    elif len(lines) > 1 and _are_units(grid[lines[0]], filled[lines[0]], columns):
        units = lines[0]
    if not is_given and top > 0 and not values[top - 1].any() and _is_group_row(grid, filled, top - 1, top):
        names = (top - 1, top)
    elif not is_given and units is None and len(lines) > 1 and lines[0] == top + 1 and not values[top + 1].any():
        has_gaps = (filled[top] & ~filled[top + 1]).any() and (filled[top + 1] & ~filled[top]).any()
        if (has_gaps or _repeats(grid[top])) and (filled[top + 1] & columns).any():
            names = (top, top + 1)
            if len(lines) > 2 and _are_units(grid[lines[1]], filled[lines[1]], columns):
                units = lines[1]
    first = max(names[-1], -1 if units is None else units) + 1
    between = [row for row in range(names[-1] + 1, first) if filled[row].any() and row != units]
    skipped = [row for row in range(names[0]) if filled[row].any()]
    return Layout(names, units, first, (*skipped, *between))


def _are_units(row: Row, filled: Shape, columns: Shape) -> bool:
    """Return whether a row is one of units: most of its cells over columns of values are, and none is a value."""
    if not all(isinstance(cell, str) or is_blank(cell) for cell in row):
        return False
    cells = list(row[:: max(1, -(-len(row) // max(len(filled), 1)))])
    over_values = [str(cell).strip() for cell, has in zip(cells, columns, strict=False) if has and not is_blank(cell)]
    n_strong = sum(map(is_strong_unit, over_values))
    has_values = any(is_value(cell) and not is_unit_cell(cell) for cell in cells if not is_blank(cell))
    has_ones = n_strong == 1 and any(str(cell).strip() == "1" for cell in cells)
    return n_strong >= max(1, MIN_VALUES * len(over_values)) and not has_values and not has_ones


def _is_group_row(grid: Grid, filled: Shape, upper: int, lower: int) -> bool:
    """Return whether a row names groups of the columns that the next one names: that repeats names, or has gaps."""
    has_gaps = bool((filled[upper] & ~filled[lower]).any())
    return bool(filled[upper].sum() > 1) and (has_gaps or _repeats(grid[lower]))


def _repeats(row: Row) -> bool:
    names = [str(cell).strip() for cell in row if not is_blank(cell)]
    return len(set(names)) < len(names)


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
        {1: '합계', 2: '* measured by K'}
    """
    found: dict[int, str] = {}
    start = max(0, len(tail) - MAX_FOOT)
    for position in range(start, len(tail)):
        cells = [(place, cell) for place, cell in enumerate(tail[position]) if not is_blank(cell)]
        if not cells:
            continue
        place, first = cells[0]
        text, rest = str(first).strip(), [cell for _, cell in cells[1:]]
        is_word = isinstance(first, str) and not is_value(first)
        if (
            (all(isinstance(cell, str) and _RULE.fullmatch(cell.strip()) for _, cell in cells) and len(text) > 1)
            or (is_word and rest and _is_total(text, tail, position, place) and any(map(is_value, rest)))
            or (is_word and rest and found and _plain(text) in BESIDE_TOTALS and all(map(is_value, rest)))
            or (is_word and not rest and (found or (place == 0 and _is_remark(text, tail, position, n_columns))))
        ):
            found[position] = text
        else:
            found.clear()
    for position in range(min(found, default=0) - 1, -1, -1):  # such as a minimum above the mean
        above = [cell for cell in tail[position] if not is_blank(cell)]
        is_beside = bool(above) and isinstance(above[0], str) and _plain(above[0]) in BESIDE_TOTALS
        if not is_beside or not all(map(is_value, above[1:])):
            break
        found = {position: str(above[0]).strip()} | found
    return found


def _is_total(text: str, tail: Grid, position: int, place: int) -> bool:
    """Return whether a label is that of a total, and of no other row."""
    plain = _plain(text)
    others = [row[place] for i, row in enumerate(tail) if i != position and len(row) > place]
    return (plain in TOTALS or _TOTAL.match(plain) is not None) and all(
        not isinstance(cell, str) or _plain(cell) != plain for cell in others
    )


def _is_remark(text: str, tail: Grid, position: int, n_columns: int) -> bool:
    is_apart = position > 0 and all(map(is_blank, tail[position - 1])) and n_columns > 1
    return is_apart or (n_columns > 1 and _REMARK.match(text) is not None)


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
    plain = text.casefold().strip(" :：.[]()<>*=-")
    return plain if plain.isascii() else "".join(plain.split())


def _name(cell: object) -> str:
    if is_blank(cell):
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, dt.datetime) and cell.time() == dt.time():
        return str(cell.date())  # a name that is a day has no hour
    return _LINE_END.sub(" ", str(cell)).strip()
