"""Tables to one Excel workbook, one sheet per table."""

import datetime as dt
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from tabattn.errors import ParameterError, printable

CREATED = dt.datetime(2020, 1, 1)  # a constant, so that the same results have the same bytes
MAX_ROWS, MAX_COLUMNS, MAX_LETTERS, MAX_NUMBER = 1_048_576, 16_384, 32_767, 9.99e307
MAX_WIDTH, MIN_WIDTH, N_LETTERS_READ = 48, 7, 200
BARS, SELECTED = ("importance", "permutation_mean"), "selected"
FORMATS: Mapping[str, str] = {
    "importance": "0.0000", "std": "0.0000", "ci_low": "0.0000", "ci_high": "0.0000", "permutation_mean": "0.00000",
    "permutation_std": "0.00000", "p_value": "0.0000", "q_value": "0.0000", "conditional": "0.00000",
    "sampler_fit": "0.00", "kept": "0 %", "effect": "0.000",
}  # fmt: skip


def workbook_writer(sheets: Mapping[str, pd.DataFrame]) -> Callable[[Path], None]:
    """Return a function that writes tables as .xlsx: names frozen and filtered, numbers in the digits that they have.

    Text is text: nothing that begins with an equals sign becomes a formula, and nothing becomes a link.

    Args:
        sheets: Tables by the names of their sheets.

    Raises:
        ParameterError: XlsxWriter is not installed, or a table does not fit on a sheet.
    """
    try:
        import xlsxwriter
    except ImportError as error:
        raise ParameterError(
            f"Writing Excel must have xlsxwriter, got {error}. Run: pip install 'tabattn[excel]'"
        ) from error
    for name, table in sheets.items():
        if len(table) >= MAX_ROWS or table.shape[1] > MAX_COLUMNS:
            raise ParameterError(
                f"A sheet must have at most {MAX_ROWS - 1} rows and {MAX_COLUMNS} columns, got {len(table)} and "
                f"{table.shape[1]} for {name!r}. Take the CSV files."
            )

    def write(path: Path) -> None:
        with xlsxwriter.Workbook(str(path)) as book:
            book.set_properties({"created": CREATED})
            for name, table in sheets.items():
                _write_sheet(book, book.add_worksheet(name[:31]), table)

    return write


def _write_sheet(book: Any, sheet: Any, table: pd.DataFrame) -> None:
    bold = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
    found = book.add_format({"bg_color": "#DFF2E1"})
    for place, name in enumerate(table.columns):
        shown = _text(name)
        sheet.write_string(0, place, shown, bold)
        number_format = book.add_format({"num_format": FORMATS.get(str(name), "General")})
        width = len(shown)
        for row, value in enumerate(table.iloc[:, place], start=1):
            cell = _plain(value)
            if isinstance(cell, bool):
                sheet.write_boolean(row, place, cell)
            elif isinstance(cell, int | float):
                sheet.write_number(row, place, cell, number_format)
            elif cell is not None:
                sheet.write_string(row, place, cell)
                width = max(width, len(cell)) if row <= N_LETTERS_READ else width
        sheet.set_column(place, place, min(MAX_WIDTH, max(MIN_WIDTH, width + 2)))
        if len(table) and name in BARS:
            sheet.conditional_format(1, place, len(table), place, {"type": "data_bar", "bar_color": "#2F6F9F"})
        if len(table) and name == SELECTED:
            rule = {"type": "cell", "criteria": "==", "value": "TRUE", "format": found}
            sheet.conditional_format(1, place, len(table), place, rule)
    sheet.freeze_panes(1, 0)
    if table.shape[1]:
        sheet.autofilter(0, 0, max(1, len(table)), table.shape[1] - 1)


def _plain(value: Any) -> bool | int | float | str | None:
    """Return a cell as a sheet holds it; None for an empty one."""
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, bool) or type(value).__name__ == "bool":
        return bool(value)
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, int | float):
        if not math.isfinite(value):
            return None
        return value if abs(value) < MAX_NUMBER else str(value)
    return _text(value)


def _text(value: object) -> str:
    return printable(str(value), keeps="\n\t")[:MAX_LETTERS]
