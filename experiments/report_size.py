"""How large is a report, how long does it take to make, and when does a browser paint it?

    pip install 'tabattn[dev]'; apt-get install chromium chromium-driver
    python -m experiments.report_size --data DIR
    python -m experiments.report_size --data DIR --ydata-python PYTHON --tables abalone house_prices_kaggle

Each table is ranked with a few epochs and one shuffle, which changes nothing of the size, and its report is written;
beside it skrub's TableReport of the same table, which has no ranking. Bytes of the page, seconds to make it (of a
ranking or a table that is in memory), and milliseconds from the start of loading to the first paint in headless
Chromium, the median of five. With --ydata-python, the Python of an environment that has ydata-profiling (which needs an
older pandas) and pyarrow, its ProfileReport of the same table too, for half an hour at most. Kept in
results/report_size.csv.
"""

import argparse
import statistics
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
from selenium import webdriver
from skrub import TableReport

from experiments.browser import headless_chromium
from experiments.result_file import ResultFile, add_result_arguments
from experiments.tables import add_data_argument, load_catalog
from tabattn import rank
from tabattn.table.reading import read_table

COMMAND = "python -m experiments.report_size --data DIR"
TABLES = ("abalone", "house_prices_kaggle", "secom_207", "madelon")
N_EPOCHS, N_LOADS = 3, 5
MOST_SECONDS = 1_800
YDATA = """
import sys, time
import pandas as pd
from ydata_profiling import ProfileReport
table = pd.read_parquet(sys.argv[1])
begun = time.perf_counter()
ProfileReport(table, progress_bar=False).to_file(sys.argv[2], silent=True)
print(time.perf_counter() - begun)
"""
PAINTED = "return (performance.getEntriesByName('first-contentful-paint')[0] || {}).startTime"


def painted(driver: webdriver.Chrome, page: Path) -> float:
    """Return the median milliseconds to the first paint."""
    found = []
    for _ in range(N_LOADS):
        driver.get("about:blank")
        driver.get(page.as_uri())
        while (moment := driver.execute_script(PAINTED)) is None:
            time.sleep(0.05)
        found.append(float(moment))
    return statistics.median(found)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_data_argument(parser)
    parser.add_argument("--tables", nargs="+", default=list(TABLES))
    parser.add_argument("--ydata-python", help="Python of an environment with ydata-profiling; left out if not given")
    add_result_arguments(parser, "report_size.csv")
    options = parser.parse_args(arguments)
    results = ResultFile(options.out, COMMAND, ("table", "report"), options.stale)
    catalog = load_catalog(options.data)
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name)
        driver = headless_chromium(folder / "profile")
        for table in options.tables:
            X = read_table(catalog[table].path)
            makers: dict[str, Callable[[Path], float | None]] = {
                "tabattn": partial(write_ours, X, catalog[table].target),
                "skrub": partial(write_skrub, X),
            }
            if options.ydata_python:
                makers["ydata-profiling"] = partial(write_ydata, X, options.ydata_python)
            for report, make in makers.items():
                if results.is_measured(table, report):
                    continue
                page = folder / f"{report}.html"
                seconds = make(page)
                if seconds is None:
                    continue
                results.keep(
                    {
                        "table": table,
                        "report": report,
                        "n_columns": X.shape[1] - 1,
                        "megabytes": round(page.stat().st_size / 1e6, 3),
                        "seconds": round(seconds, 2),
                        "first_paint_ms": round(painted(driver, page)),
                    }
                )
        driver.quit()


def write_ours(X: pd.DataFrame, target: str, page: Path) -> float:
    """Write our report of a table, and return the seconds without those of the ranking."""
    ranking = rank(X, target, max_epochs=N_EPOCHS, n_repeats=1, random_state=0)
    begun = time.perf_counter()
    ranking.to_html(page)
    return time.perf_counter() - begun


def write_skrub(X: pd.DataFrame, page: Path) -> float:
    """Write skrub's report of a table, and return the seconds."""
    begun = time.perf_counter()
    TableReport(X, verbose=0, plot_distributions=True, compute_associations=True).write_html(page)
    return time.perf_counter() - begun


def write_ydata(X: pd.DataFrame, python: str, page: Path) -> float | None:
    """Write ydata-profiling's report of a table, and return the seconds without imports; None beyond half an hour."""
    rows = page.with_suffix(".parquet")
    X.to_parquet(rows)
    command = [python, "-c", YDATA, str(rows), str(page)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=MOST_SECONDS)
    except subprocess.TimeoutExpired:
        print(f"ydata-profiling took more than {MOST_SECONDS} s", flush=True)
        return None
    return float(done.stdout.split()[-1])


if __name__ == "__main__":
    main()
