"""How many times the seconds of pandas' own readers reading a file takes.

    python -m experiments.reading_speed
    python -m experiments.reading_speed --sizes 200x1000 100000x10

Tables of numbers with two decimals, whole numbers, three levels, and numbers with missing cells, in turn, written as
CSV with commas, with semicolons and decimal commas, and as a workbook. Each is read by `read_table` and by
`pandas.read_csv` or `pandas.read_excel` (python-calamine), in turn; CPU seconds, medians of three, of one above a
million rows. Kept in results/reading_speed.csv, size by size.
"""

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.result_file import ResultFile, add_result_arguments
from tabattn.table.reading import read_table

COMMAND = "python -m experiments.reading_speed"
KEYS = ("rows", "columns", "format")
SIZES = ("200x1000", "100x6000", "40x30000", "20x100000", "100000x10", "1000000x10", "10000000x5")
MAX_SHEET_CELLS = 1_000_000
N_REPEATS, MANY_ROWS = 3, 1_000_000


def table_of(n_rows: int, n_columns: int) -> pd.DataFrame:
    """Return columns of four kinds in turn."""
    random = np.random.default_rng(0)
    kinds: list[Callable[[], Any]] = [
        lambda: random.normal(size=n_rows).round(2),
        lambda: random.integers(0, 1_000, n_rows),
        lambda: random.choice(["A", "B", "C"], n_rows),
        lambda: np.where(random.random(n_rows) < 0.1, np.nan, random.integers(0, 9, n_rows)),
    ]
    return pd.DataFrame({f"column_{i}": kinds[i % len(kinds)]() for i in range(n_columns)})


def seconds(read: Callable[[], Any], n_repeats: int) -> float:
    """Return the median of the CPU seconds that reading takes."""
    times = []
    for _ in range(n_repeats):
        start = time.process_time()
        read()
        times.append(time.process_time() - start)
    return statistics.median(times)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is not measured yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", nargs="+", default=SIZES, metavar="ROWSxCOLUMNS")
    add_result_arguments(parser, "reading_speed.csv")
    options = parser.parse_args(arguments)
    results = ResultFile(options.out, COMMAND, KEYS, options.stale)
    for size in options.sizes:
        n_rows, n_columns = map(int, size.split("x"))
        table = None
        for how in ("csv", "csv with decimal commas", "xlsx"):
            if results.is_measured(n_rows, n_columns, how) or (how == "xlsx" and n_rows * n_columns > MAX_SHEET_CELLS):
                continue
            if how == "xlsx" and n_columns > 16_384:  # a sheet has no more
                continue
            table = table_of(n_rows, n_columns) if table is None else table
            with tempfile.TemporaryDirectory() as directory, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                path = Path(directory, "table.xlsx" if how == "xlsx" else "table.csv")
                peer = written(table, path, how)
                n_repeats = N_REPEATS if n_rows <= MANY_ROWS else 1
                theirs, ours = (seconds(read, n_repeats) for read in (peer, lambda: read_table(path)))  # noqa: B023
            ratio = round(ours / max(theirs, 1e-3), 2)
            cell = {"rows": n_rows, "columns": n_columns, "format": how}
            results.keep(cell | {"pandas_seconds": round(theirs, 3), "seconds": round(ours, 3), "ratio": ratio})


def written(table: pd.DataFrame, path: Path, how: str) -> Callable[[], pd.DataFrame]:
    """Write a table, and return how pandas reads it."""
    if how == "xlsx":
        table.to_excel(path, index=False)
        return lambda: pd.read_excel(path, engine="calamine")
    separator, decimal = (";", ",") if "commas" in how else (",", ".")
    table.to_csv(path, index=False, sep=separator, decimal=decimal)
    return lambda: pd.read_csv(path, sep=separator, decimal=decimal)


if __name__ == "__main__":
    main()
