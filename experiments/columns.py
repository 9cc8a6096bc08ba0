"""From 10 to 10,000 columns: how do time and memory of the whole job grow?

    python -m experiments.columns
    python -m experiments.columns --columns 2000 --rows 100000 --time-limit 1200

Each table has 500 rows, or --rows, of normal numbers, of which the first three columns drive the target, and is
ranked by `tabattn rank` with 10 epochs at most, in a separate process: seconds, the largest resident memory, and how
many of the first three columns are drivers. Kept in results/columns.csv.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.larger import run
from experiments.result_file import ResultFile, add_result_arguments

COMMAND = "python -m experiments.columns"
N_DRIVERS, N_EPOCHS = 3, 10


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--columns", type=int, nargs="+", default=[10, 100, 1_000, 10_000])
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--time-limit", type=float, help="seconds that each run may take")
    add_result_arguments(parser, "columns.csv")
    options = parser.parse_args(arguments)
    results = ResultFile(options.out, COMMAND, ("columns", "rows"), options.stale)
    for n_columns in options.columns:
        if results.is_measured(n_columns, options.rows):
            continue
        random = np.random.default_rng(0)
        names = [f"x{i}" for i in range(n_columns)]
        table = pd.DataFrame(random.standard_normal((options.rows, n_columns), dtype=np.float32), columns=names)
        y = 3 * table["x0"] + 2 * table["x1"] + table["x2"] + 0.3 * random.standard_normal(options.rows)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            pd.concat([table, y.rename("y")], axis=1).to_parquet(folder / "t.parquet", index=False)
            rank = ["rank", str(folder / "t.parquet"), "--target", "y", "--out", str(folder / "out")]
            rank += [] if options.time_limit is None else ["--time-limit", str(options.time_limit)]
            seconds, peak, _ = run([*rank, "--max-epochs", str(N_EPOCHS)], folder)
            first = pd.read_csv(folder / "out" / "importance.csv")["feature"].head(N_DRIVERS)
            report = (folder / "out" / "report.html").stat().st_size / 1e6
        results.keep(
            {
                "columns": n_columns, "rows": options.rows, "seconds": round(seconds, 1), "peak_gb": round(peak, 2),
                "drivers_first": int(first.isin([f"x{i}" for i in range(N_DRIVERS)]).sum()),
                "report_mb": round(report, 2),
            }
        )  # fmt: skip


if __name__ == "__main__":
    main()
