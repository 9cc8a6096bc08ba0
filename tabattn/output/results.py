"""Tables and plots to the files of a directory, for `rank`, `explain` and `text_attention`.

Matplotlib is imported where something is drawn, here as in the jobs: it takes half a second.
"""

import csv
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from tabattn.choices import Language
from tabattn.errors import ParameterError
from tabattn.files import check_writable, write_all, write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLOT_SUFFIXES = (".png", ".svg")
TABLE_SUFFIXES = (".csv", ".parquet")
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


class ResultFiles(ABC):
    """Results that are written to a directory as one set of files."""

    @abstractmethod
    def writers(self, *, excel_safe: bool = False, language: Language = "en") -> dict[str, Callable[[Path], None]]:
        """Return what writes each file of `write`, by its name below the directory.

        Args:
            excel_safe: See `csv_writer`.
            language: Language of the plots: "en" or "ko".
        """

    def write(self, directory: str | Path, *, excel_safe: bool = False, language: Language = "en") -> None:
        """Write all tables and plots, and for a ranking its model, or none of them.

        Args:
            directory: Where to; made if it does not exist. Files of an earlier run are replaced.
            excel_safe: Whether text cells that a spreadsheet would take for a formula get an apostrophe before them.
            language: Language of the plots: "en" or "ko".

        Raises:
            OutputError: A file can't be written.
        """
        write_all(Path(directory), self.writers(excel_safe=excel_safe, language=language))


def result_writers(
    tables: Mapping[str, pd.DataFrame], plots: Mapping[str, "Callable[[], Axes]"], *, excel_safe: bool = False
) -> dict[str, Callable[[Path], None]]:
    """Return functions that write tables as CSV and plots as PNG and SVG, by the names of the files.

    Args:
        tables: By the name of the file, without its suffix.
        plots: Functions that draw each, by the name of the file below plots/, without its suffix.
        excel_safe: See `csv_writer`.
    """
    writers = {f"{name}.csv": csv_writer(table, excel_safe=excel_safe) for name, table in tables.items()}
    for name, draw in plots.items():
        ax = draw()
        writers |= {f"plots/{name}{suffix}": _plot_writer(ax) for suffix in PLOT_SUFFIXES}
    return writers


def csv_writer(table: pd.DataFrame, *, excel_safe: bool = False) -> Callable[[Path], None]:
    """Return a function that writes a table as UTF-8 CSV, without its index.

    A table with letters beyond ASCII begins with a byte order mark: without it Excel opens Korean names as garbage, and
    pandas, Polars, R's readr and `read_table` read on behind it. Tables that are ASCII have none, as they need none.

    Args:
        table: The table.
        excel_safe: Whether text cells and names of columns that begin with one of = + - @, a tab or a carriage return
            get an apostrophe before them, so that no spreadsheet takes them for a formula. `read_table` reads them
            with it.
    """
    written = _without_formulas(table) if excel_safe else table
    names = [str(name) for name in written.columns]
    texts = [*names, *(cell for place in range(written.shape[1]) for cell in _texts(written.iloc[:, place]))]
    encoding = "utf-8" if all(text.isascii() for text in texts) else "utf-8-sig"
    # the csv module leaves a carriage return without quotes where lines end with a line feed
    quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if any("\r" in text for text in texts) else csv.QUOTE_MINIMAL
    return lambda path: written.to_csv(
        path, index=False, encoding=encoding, lineterminator="\n", quoting=quoting, errors="backslashreplace"
    )


def table_writer(path: Path, *, excel_safe: bool = False) -> Callable[[pd.DataFrame], None]:
    """Return a function that writes a table to a file, atomically; a file that can't be written is refused before.

    Args:
        path: A .csv or .parquet file; replaced if it exists.
        excel_safe: See `csv_writer`.

    Raises:
        ParameterError: The suffix is another, or PyArrow is not installed.
        OutputError: The file can't be written.
    """
    suffix = path.suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        raise ParameterError(f"The file must end in {' or '.join(TABLE_SUFFIXES)}, got {path.name!r}.")
    if suffix == ".parquet" and find_spec("pyarrow") is None:
        raise ParameterError("A .parquet file must have PyArrow. Run: pip install 'tabattn[parquet]'")
    check_writable(path.parent)
    if suffix == ".csv":
        return lambda table: write_atomic(path, csv_writer(table, excel_safe=excel_safe))
    return lambda table: write_atomic(path, lambda place: with_plain_cells(table).to_parquet(place, index=False))


def with_plain_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return columns of Python objects as text, as Parquet has one type per column.

    Args:
        table: The table.
    """
    columns = (
        pd.Series(column.map(str, na_action="ignore"), dtype="str") if column.dtype == object else column
        for _, column in table.items()
    )
    return pd.concat(columns, axis=1)


def _texts(column: "pd.Series[Any]") -> list[str]:
    if pd.api.types.is_numeric_dtype(column.dtype):
        return []
    return [cell for cell in column if isinstance(cell, str)]


def _without_formulas(table: pd.DataFrame) -> pd.DataFrame:
    safe = table.copy()
    for place in range(table.shape[1]):
        column = table.iloc[:, place]
        if _texts(column):
            safe.isetitem(place, np.array(column.map(_without_formula), dtype=object))
    return safe.set_axis([_without_formula(name) for name in table.columns], axis=1)


def _without_formula(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_SIGNS) else cell


def _plot_writer(ax: "Axes") -> Callable[[Path], None]:
    from tabattn.output.plots import save_figure

    return lambda path: save_figure(ax, path)
