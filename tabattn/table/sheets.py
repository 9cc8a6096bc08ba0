"""Workbooks (.xlsx, .xlsm, .xlsb, .xls, .ods) to a table: which sheet, which of its cells, and what to say of them."""

import datetime as dt
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from types import NoneType
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd

from tabattn.errors import TableError, nearest, quoted
from tabattn.table.layout import (
    Layout,
    Notes,
    Places,
    find_layout,
    foot_rows,
    is_blank,
    is_value,
    names_of,
    units_of_row,
)
from tabattn.table.limits import BYTES_PER_CELL, BYTES_PER_CHARACTER, check_memory

N_HEAD, N_TAIL = 60, 12
MAX_STRAY = 2
MIN_CHECKED = 100_000
MIN_SHARE = 0.05
CHUNK, MAX_TAG = 1 << 20, 1 << 12
_SHEET_NAME = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_PLAIN_CELL = re.compile(rb'<c r="([A-Z]{1,3})(\d{1,7})"')
_CELL = re.compile(rb'<(?:\w+:)?c [^>]*?\br="([A-Z]{1,3})(\d{1,7})"')
_ERROR = re.compile(rb'<(?:\w+:)?c [^>]*?\bt="e"')
_HIDDEN_ROW = re.compile(rb'<(?:\w+:)?row [^>]*?\bhidden="(?:1|true)"')
_HIDDEN_COLUMN = re.compile(rb'<(?:\w+:)?col [^>]*?\bhidden="(?:1|true)"')
_EMPTY_FORMULA = re.compile(
    rb'<(?:\w+:)?c (?![^>]*\bt="str")[^>]*><(?:\w+:)?f(?:\s[^>]*)?(?:/>|>[^<]*</(?:\w+:)?f>)'
    rb"(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v></(?:\w+:)?v>)?</(?:\w+:)?c>"
)
_REPEATED = re.compile(
    rb"<table:table-cell[^>]*?number-columns-repeated=\"(\d+)\"[^>]*?office:value-type|<table:table-row[^>]*?number-rows-repeated=\"(\d+)\""
)


@dataclass
class SheetScan:
    """What the XML of a sheet says, before any cell is read.

    Args:
        n_cells: Number of cells that are stored.
        last_row: Number of the last row with a cell.
        last_column: Number of the last column with a cell.
        n_hidden_rows: Hidden rows.
        n_hidden_columns: Groups of hidden columns.
        n_empty_formulas: Formulas whose values were not stored.
        n_errors: Cells that hold an error.
    """

    n_cells: int = 0
    last_row: int = 0
    last_column: int = 0
    n_hidden_rows: int = 0
    n_hidden_columns: int = 0
    n_empty_formulas: int = 0
    n_errors: int = 0

    @property
    def n_dense(self) -> int:
        """Cells of the rectangle up to the last one."""
        return self.last_row * self.last_column


@dataclass(frozen=True)
class SheetTable:
    """A table as it stands in a sheet.

    Args:
        names: Names of the columns, "" for a blank one.
        cells: The columns.
        units: Units by name, of a row under the names.
        notes: What was left out or filled.
    """

    names: list[str]
    cells: pd.DataFrame
    units: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_workbook(data: bytes, file_name: str, places: Places, max_memory: float | None) -> SheetTable:
    """Read the table of a workbook.

    python-calamine reads all of these formats, merged cells included, and takes an eighth of openpyxl's time; what it
    does not tell (hidden rows, formulas without values, how far a sheet reaches) is scanned for in the XML first.

    Args:
        data: The file.
        file_name: For messages.
        places: Which sheet and rows to read; None to find them.
        max_memory: Gigabytes that may be taken; None for most of what is at hand.

    Returns:
        The table of the first sheet that holds one.

    Raises:
        TableError: The sheet does not exist, is locked, or is too large.
        ImportError: python-calamine is not installed.
    """
    import python_calamine as calamine

    scans = _scans(data, file_name, max_memory)
    try:
        book = calamine.CalamineWorkbook.from_object(io.BytesIO(data))
    except calamine.PasswordError as error:
        raise TableError(
            f"{file_name!r} must be a workbook without a password, got one that is locked. Save it without."
        ) from error
    notes = Notes()
    name = _chosen_sheet(book, places, scans, file_name, notes)
    scan = scans.get(name, SheetScan())
    sheet = book.get_sheet_by_name(name)
    check_memory((sheet.total_height + 1) * (sheet.total_width + 1) * BYTES_PER_CELL, f"Sheet {name!r}", max_memory)
    rows = sheet.to_python(skip_empty_area=False)
    merged = list(sheet.merged_cell_ranges or ())
    found = _table_of(rows, merged, places, file_name, notes)
    for n, what in (
        (scan.n_hidden_rows, "hidden row(s): read like all others"),
        (scan.n_hidden_columns, "group(s) of hidden columns: read like all others"),
        (scan.n_errors, "error cell(s), such as #DIV/0!: missing"),
        (scan.n_empty_formulas, "formula(s) without a stored value: missing (open and save the file in Excel)"),
    ):
        if n:
            notes.texts.append(f"{n} {what}")
    return SheetTable(found.names, found.cells, found.units, notes.texts)


def _chosen_sheet(book: Any, places: Places, scans: dict[str, SheetScan], file_name: str, notes: Notes) -> str:
    """Return the name of the sheet to read: the wanted one, or the first that holds a table."""
    import python_calamine as calamine

    kinds, visible = calamine.SheetTypeEnum, calamine.SheetVisibleEnum
    sheets = [each for each in book.sheets_metadata if each.typ == kinds.WorkSheet]
    names = [each.name for each in sheets]
    if places.sheet is not None:
        wanted = str(places.sheet)
        if wanted in names:
            return wanted
        if wanted.isdigit() and 1 <= int(wanted) <= len(names):
            return str(names[int(wanted) - 1])
        raise TableError(
            f"{file_name!r} must have the sheet that sheet (--sheet) names, got {wanted!r} and {len(names)} sheet(s). "
            + nearest(wanted, names, "sheets")
        )
    shown = [each.name for each in sheets if each.visible == visible.Visible] or names
    if not shown:
        raise TableError(f"{file_name!r} must be a table with one line of column names, got no sheet with cells.")
    if len(shown) == 1:
        return str(shown[0])
    sizes = {}
    is_scanned = all(scans.get(name, SheetScan()).n_cells for name in shown)
    for name in shown:
        if is_scanned:
            scan = scans[name]
            sizes[name] = scan.n_cells if min(scan.last_row, scan.last_column) > 1 else 0
        else:
            sheet = book.get_sheet_by_name(name)
            is_table = min(sheet.total_height, sheet.total_width) >= 1
            sizes[name] = (sheet.total_height + 1) * (sheet.total_width + 1) * is_table
    likely = [name for name in shown if sizes[name] >= max(1, MIN_SHARE * max(sizes.values()))] or shown[:1]
    chosen = next((name for name in likely if _holds_values(book, name)), likely[0])
    others = [name for name in shown if name != chosen and sizes[name]]
    before = shown[: shown.index(chosen)]
    if before:
        notes.texts.append(f"sheet {chosen!r} is read, and {quoted(before)} before it is not (--sheet decides)")
    elif others:
        notes.texts.append(f"sheet {chosen!r} is read, and not {quoted(others)} (--sheet decides)")
    return str(chosen)


def _holds_values(book: Any, name: str) -> bool:
    """Return whether a sheet holds numbers, dates or truth values, and not only words."""
    rows = book.get_sheet_by_name(name).to_python(nrows=N_HEAD)
    return any(not is_blank(cell) and is_value(cell) for row in rows for cell in row)


def _table_of(
    rows: list[list[Any]],
    merged: Sequence[tuple[tuple[int, int], tuple[int, int]]],
    places: Places,
    file_name: str,
    notes: Notes,
) -> SheetTable:
    if not rows or not any(not is_blank(cell) for row in rows for cell in row):
        return SheetTable([], pd.DataFrame())
    top = next(i for i, row in enumerate(rows) if any(not is_blank(cell) for cell in row))
    start = 0 if places.header_row or places.units_row else top
    head = rows[start : max(start + N_HEAD, (places.header_row or 0) + N_HEAD)]
    found = find_layout(head, places, file_name)
    layout = Layout(
        tuple(row + start for row in found.names),
        None if found.units is None else found.units + start,
        found.first + start,
        tuple(row + start for row in found.skipped),
    )
    if not layout.names:
        return SheetTable([], pd.DataFrame())
    layout = _with_group_row(layout, rows, merged)

    def spread(row: int) -> list[Any]:
        filled = list(rows[row])
        for (first, left), (last, right) in merged:
            if first <= row <= last and left < len(filled):
                filled[left : right + 1] = [rows[first][left]] * (min(right, len(filled) - 1) - left + 1)
        return filled

    names = names_of(rows, layout, spread if merged else None)
    names += [""] * (max(map(len, rows[layout.first :]), default=0) - len(names))
    notes.layout(layout, rows)
    units: dict[str, str] = {}
    if layout.units is not None:
        units = units_of_row(rows[layout.units], names)
    body = [list(row) for row in rows[layout.first :]]
    n_filled = _fill_down(body, merged, layout.first)
    if n_filled:
        notes.texts.append(f"{n_filled} cell(s) merged with the one above: filled with its value")
    while body and all(map(is_blank, body[-1])):
        body.pop()
    foot = foot_rows(body[-N_TAIL:], len([name for name in names if name]))
    if any(str(row[0]).strip() in foot.values() for row in body[:-N_TAIL] if row):
        foot = {}  # a level of the first column
    if foot and len(foot) < len(body):
        offset = max(0, len(body) - N_TAIL)
        left_out = body[offset + min(foot) :]
        body = body[: offset + min(foot)]
        last = [foot[each] for each in sorted(foot)]
        notes.texts.append(f"the last row{'s' * (len(left_out) > 1)}, {' and '.join(map(repr, last))}: left out")
    frame = _typed(body, len(names))
    counts = frame.notna().sum()
    is_used = [bool(name) or counts[i] > 0 for i, name in enumerate(names)]
    stray = [
        i for i, name in enumerate(names) if not name and 0 < counts[i] <= MAX_STRAY and i > 0 and not is_used[i - 1]
    ]
    if stray:
        notes.texts.append(f"{int(counts[stray].sum())} cell(s) apart from the table: left out")
        is_used = [used and i not in stray for i, used in enumerate(is_used)]
    frame = frame.loc[:, is_used].dropna(how="all").reset_index(drop=True)
    kept = [name for name, used in zip(names, is_used, strict=True) if used]
    return SheetTable(kept, frame.set_axis(range(len(kept)), axis=1).infer_objects(), units)


def _with_group_row(layout: Layout, rows: list[list[Any]], merged: Sequence[Any]) -> Layout:
    """Return the layout with the row above the names, if cells merged over some columns stand there."""
    above = layout.names[0] - 1
    if len(layout.names) > 1 or above < 0:
        return layout
    n_columns = sum(not is_blank(cell) for cell in rows[layout.names[0]])
    wide = [
        right - left + 1
        for (first, left), (last, right) in merged
        if first <= above <= last and right > left and not is_blank(rows[first][left])
    ]
    if not wide or max(wide) >= n_columns or sum(not is_blank(cell) for cell in rows[above]) < 2:
        return layout
    return Layout((above, *layout.names), layout.units, layout.first, tuple(x for x in layout.skipped if x != above))


def _fill_down(body: list[list[Any]], merged: Sequence[Any], first_row: int) -> int:
    """Fill cells that are merged with the one above, and return how many."""
    counts = 0
    for (top, left), (bottom, _) in merged:
        if top < first_row or bottom == top:
            continue
        value = body[top - first_row][left] if left < len(body[top - first_row]) else ""
        for row in body[top - first_row + 1 : bottom - first_row + 1]:
            if left < len(row):
                row[left] = value
                counts += not is_blank(value)
    return counts


def _typed(body: list[list[Any]], n_columns: int) -> pd.DataFrame:
    """Return columns of the types that their cells have."""
    even = [[*row, *[""] * (n_columns - len(row))] for row in body]
    columns = {i: _typed_column(cells) for i, cells in enumerate(zip(*even, strict=False))} if even else {}
    return pd.DataFrame(columns, index=range(len(body)), columns=range(n_columns))


def _typed_column(cells: Sequence[Any]) -> Any:
    kinds = set(map(type, cells))
    if kinds <= {float, int}:
        numbers = np.array(cells, dtype=np.float64)
        is_whole = bool((numbers == np.floor(numbers)).all()) and len(numbers) and np.abs(numbers).max() < 2**63
        return numbers.astype(np.int64) if is_whole else numbers
    values = [None if is_blank(cell) else cell for cell in cells] if kinds & {str, NoneType} else list(cells)
    kinds = set(map(type, values)) - {NoneType}
    if kinds and kinds <= {float, int}:
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    if kinds == {str}:
        return pd.Series(values, dtype="str")
    column: pd.Series[Any] = pd.Series(values, dtype=object)
    if kinds and kinds <= {dt.date, dt.datetime} and min(year for year in map(_year, values) if year) > 1900:
        with suppress(ValueError, OverflowError):
            return pd.to_datetime(column)
    return column.astype(bool) if kinds == {bool} and None not in values else column


def _year(cell: Any) -> int | None:
    return None if cell is None else int(cell.year)


def _scans(data: bytes, file_name: str, max_memory: float | None) -> dict[str, SheetScan]:
    """Scan the sheets of an .xlsx file by name; nothing for other formats."""
    if not data.startswith(b"PK"):
        return {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        n_bytes = sum(each.file_size for each in archive.infolist())
        check_memory(n_bytes * BYTES_PER_CHARACTER, f"{file_name!r}", max_memory)
        members = set(archive.namelist())
        if "content.xml" in members:
            _check_repeated(archive, file_name, max_memory)
        paths = _sheet_paths(archive) if "xl/workbook.xml" in members else {}
        found = {name: _scan(archive, path) for name, path in paths.items() if path in members}
    for name, scan in found.items():
        if scan.n_dense > MIN_CHECKED:
            what = (
                f"Sheet {name!r} of {file_name!r}, which reaches to row {scan.last_row} and column {scan.last_column},"
            )
            check_memory(scan.n_dense * BYTES_PER_CELL, what, max_memory)
    return found


def _check_repeated(archive: zipfile.ZipFile, file_name: str, max_memory: float | None) -> None:
    """Refuse an .ods file that repeats cells with values more often than memory allows."""
    n_cells = rows = 1
    for chunk in _chunks(archive, "content.xml"):
        for columns, repeated_rows in _REPEATED.findall(chunk):
            rows = int(repeated_rows) if repeated_rows else rows
            n_cells = max(n_cells, rows * int(columns or 1) if columns else 1)
    check_memory(n_cells * BYTES_PER_CELL, f"{file_name!r}, which repeats a cell {n_cells} times,", max_memory)


def _sheet_paths(archive: zipfile.ZipFile) -> dict[str, str]:
    book = ET.fromstring(archive.read("xl/workbook.xml"))  # noqa: S314  # expat bounds how far entities expand
    relations = ET.fromstring(archive.read("xl/_rels/workbook.xml.rels"))  # noqa: S314
    targets = {each.get("Id"): str(each.get("Target")) for each in relations}
    sheets = [each for each in book.iter() if each.tag.endswith("}sheet")]
    found = {}
    for sheet in sheets:
        target = targets.get(sheet.get(_SHEET_NAME), "")
        path = target.lstrip("/") if target.startswith("/") else str(PurePosixPath("xl", target))
        found[str(sheet.get("name"))] = path
    return found


def _scan(archive: zipfile.ZipFile, path: str) -> SheetScan:
    scan = SheetScan()
    for chunk in _chunks(archive, path):
        places = _PLAIN_CELL.findall(chunk) or _CELL.findall(chunk)
        scan.n_cells += len(places)
        if places:
            scan.last_row = max(scan.last_row, *map(int, {row for _, row in places}), 0)
            scan.last_column = max(scan.last_column, *map(_number_of, {letters for letters, _ in places}), 0)
        if b"hidden=" in chunk:
            scan.n_hidden_rows += len(_HIDDEN_ROW.findall(chunk))
            scan.n_hidden_columns += len(_HIDDEN_COLUMN.findall(chunk))
        scan.n_errors += len(_ERROR.findall(chunk)) if b't="e"' in chunk else 0
        scan.n_empty_formulas += len(_EMPTY_FORMULA.findall(chunk)) if b"</f>" in chunk or b"<f" in chunk else 0
    return scan


def _number_of(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + letter - ord("A") + 1
    return number


def _chunks(archive: zipfile.ZipFile, path: str) -> Iterator[bytes]:
    """Yield the text of a part of an archive, cut before tags of cells."""
    rest = b""
    with archive.open(path) as part:
        while chunk := part.read(CHUNK):
            text = rest + chunk
            cut = max(text.rfind(b"<c "), text.rfind(b"<row "), text.rfind(b"<table:table-"))
            cut = cut if cut > len(text) - CHUNK // 2 and cut > 0 else max(0, len(text) - MAX_TAG)
            yield text[:cut]
            rest = text[cut:]
    yield rest
