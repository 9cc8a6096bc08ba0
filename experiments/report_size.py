"""How large is a report, how long does it take to make, and when does a browser paint it?

    pip install 'tabattn[dev]'; apt-get install chromium chromium-driver
    python -m experiments.report_size --data DIR

Each table is ranked with a few epochs and one shuffle, which changes nothing of the size, and its report is written;
beside it skrub's TableReport of the same table, which has no ranking. Bytes of the page, seconds to make it (of a
ranking or a table that is in memory), and milliseconds from the start of loading to the first paint in headless
Chromium, the median of five. Kept in results/report_size.csv.
"""

import argparse
import statistics
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
    add_result_arguments(parser, "report_size.csv")
    options = parser.parse_args(arguments)
    results = ResultFile(options.out, COMMAND, ("table", "report"), options.stale)
    catalog = load_catalog(options.data)
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name)
        driver = headless_chromium(folder / "profile")
        for table in options.tables:
            if all(results.is_measured(table, report) for report in ("tabattn", "skrub")):
                continue
            X = read_table(catalog[table].path)
            ranking = rank(X, catalog[table].target, max_epochs=N_EPOCHS, n_repeats=1, random_state=0)
            makers: dict[str, Callable[[Path], None]] = {
                "tabattn": ranking.to_html,
                "skrub": partial(write_skrub, X),
            }
            for report, make in makers.items():
                page = folder / f"{report}.html"
                begun = time.perf_counter()
                make(page)
                seconds = time.perf_counter() - begun
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


def write_skrub(X: pd.DataFrame, page: Path) -> None:
    """Write skrub's report of a table."""
    TableReport(X, verbose=0, plot_distributions=True, compute_associations=True).write_html(page)


if __name__ == "__main__":
    main()
