"""Tables and plots to the files of a directory, for `rank`, `explain` and `text_attention`.

Matplotlib is imported where something is drawn, here as in the jobs: it takes half a second.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from tabattn.files import write_all

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLOT_SUFFIXES = (".png", ".svg")


def write_results(
    directory: Path,
    tables: Mapping[str, pd.DataFrame],
    plots: Mapping[str, "Callable[[], Axes]"],
) -> None:
    """Write tables as CSV and plots as PNG and SVG, all of them or none.

    Args:
        directory: Where to; made if it does not exist. Files of an earlier run are replaced.
        tables: By the name of the file, without its suffix.
        plots: Functions that draw each, by the name of the file below plots/, without its suffix.

    Raises:
        OutputError: A file can't be written.
    """
    write_all(directory, result_writers(tables, plots))


def result_writers(
    tables: Mapping[str, pd.DataFrame], plots: Mapping[str, "Callable[[], Axes]"]
) -> dict[str, Callable[[Path], None]]:
    """Return functions that write tables as CSV and plots as PNG and SVG, by the names of the files.

    Args:
        tables: By the name of the file, without its suffix.
        plots: Functions that draw each, by the name of the file below plots/, without its suffix.
    """
    writers = {f"{name}.csv": csv_writer(table) for name, table in tables.items()}
    for name, draw in plots.items():
        ax = draw()
        writers |= {f"plots/{name}{suffix}": _plot_writer(ax) for suffix in PLOT_SUFFIXES}
    return writers


def csv_writer(table: pd.DataFrame) -> Callable[[Path], None]:
    """Return a function that writes a table as UTF-8 CSV, without its index.

    Args:
        table: The table.
    """
    return lambda path: table.to_csv(path, index=False, encoding="utf-8", lineterminator="\n")


def _plot_writer(ax: "Axes") -> Callable[[Path], None]:
    from tabattn.output.plots import save_figure

    return lambda path: save_figure(ax, path)
