"""A table many times larger than the memory allowed: how much does ranking it take, and does it find the drivers?

    pip install 'tabattn[parquet]'
    python -m experiments.larger --gigabytes 20

Writes a table of 20 columns, of which five drive the target, as Parquet files of a million rows, and runs
`tabattn rank` on their directory with `--max-memory`, and `tabattn predict` of some of them, each in a separate
process: seconds, the largest resident memory of the process, rows in the sample, and how many of the first five
columns are drivers. With --epochs N, `tabattn rank --all-rows` too, which learns from all rows, N epochs of them at
most. Kept in results/larger.csv; the table is removed.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.result_file import ResultFile, add_result_arguments

COMMAND = "python -m experiments.larger"
N_COLUMNS, N_DRIVERS, N_ROWS_OF_FILE = 20, 5, 1_000_000
BYTES_OF_ROW = 8 * (N_COLUMNS + 1)
N_PREDICTED_FILES = 3
RUN = """
import json, resource, sys
from tabattn.cli import app
try:
    app(sys.argv[2:])
except SystemExit as end:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    open(sys.argv[1], "w").write(json.dumps({"peak_kb": peak}))
    raise
"""


def write_file(path: Path, seed: int, n_rows: int) -> None:
    """Write a file of the table."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((n_rows, N_COLUMNS))
    y = x[:, :N_DRIVERS] @ np.arange(N_DRIVERS, 0, -1) + x[:, 0] * x[:, 1] + random.standard_normal(n_rows)
    table = pd.DataFrame(x, columns=[f"x{i}" for i in range(N_COLUMNS)]).assign(y=y)
    table.to_parquet(path, index=False, compression=None)


def run(arguments: Sequence[str], folder: Path) -> tuple[float, float, str]:
    """Return seconds, gigabytes at the peak, and what was printed."""
    begun, kept = time.perf_counter(), folder / "peak.json"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", RUN, str(kept), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    peak = json.loads(kept.read_text())["peak_kb"] / (1 << 20)
    return time.perf_counter() - begun, peak, done.stdout + done.stderr


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--gigabytes", type=float, nargs="+", default=[20.0], help="sizes of the table")
    parser.add_argument("--max-memory", type=float, default=0.5, help="gigabytes that reading may take")
    parser.add_argument("--max-rows-of-file", type=int, default=N_ROWS_OF_FILE)
    parser.add_argument("--epochs", type=int, default=0, help="epochs of --all-rows; 0 to leave it out")
    add_result_arguments(parser, "larger.csv")
    options = parser.parse_args(arguments)
    results = ResultFile(options.out, COMMAND, ("job", "gigabytes", "max_memory"), options.stale)
    for size in options.gigabytes:
        if results.is_measured("rank", size, options.max_memory):
            continue
        n_rows = int(size * (1 << 30) / BYTES_OF_ROW)
        counts = [min(options.max_rows_of_file, n_rows - n) for n in range(0, n_rows, options.max_rows_of_file)]
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "table").mkdir()
            (folder / "some").mkdir()
            for seed, count in enumerate(counts):
                write_file(folder / "table" / f"{seed:05d}.parquet", seed, count)
            for path in sorted((folder / "table").iterdir())[:N_PREDICTED_FILES]:
                (folder / "some" / path.name).symlink_to(path)
            out, limit = folder / "out", str(options.max_memory)
            rank = ["rank", str(folder / "table"), "--target", "y", "--out", str(out), "--max-memory", limit]
            all_rows = ["--all-rows", "--max-epochs", str(options.epochs)]
            for job, more in {"rank --all-rows": all_rows, "rank": []}.items():
                if more and not options.epochs:
                    continue
                seconds, peak, printed = run([*rank, *more], folder)
                found = re.search(r"; (\d+) rows fitted" if more else r"a random sample of (\d+) rows", printed)
                first = pd.read_csv(out / "importance.csv")["feature"].head(N_DRIVERS)
                scores = pd.read_csv(out / "comparison.csv").set_index("measure")["value"]
                results.keep(
                    {
                        "job": job, "gigabytes": size, "max_memory": options.max_memory, "rows": n_rows,
                        "rows_read": int(found[1]) if found else n_rows, "seconds": round(seconds, 1),
                        "peak_gb": round(peak, 2),
                        "drivers_first": int(first.isin([f"x{i}" for i in range(N_DRIVERS)]).sum()),
                        "r2": round(float(scores["r2_tabattn"]), 4),
                    }
                )  # fmt: skip
            model = str(out / "model.tabattn")
            seconds, peak, printed = run(["predict", model, str(folder / "some"), "--out", str(folder / "p")], folder)
            n_predicted = sum(counts[:N_PREDICTED_FILES])
            results.keep(
                {
                    "job": "predict", "gigabytes": size, "max_memory": options.max_memory, "rows": n_predicted,
                    "rows_read": n_predicted, "seconds": round(seconds, 1), "peak_gb": round(peak, 2),
                    "drivers_first": "", "r2": "",
                }
            )  # fmt: skip


if __name__ == "__main__":
    main()
