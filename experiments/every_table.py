"""Does `tabattn rank` go through every table with its default settings, how long does it take, and what does it say?

    python -m experiments.every_table --data DIR
    python -m experiments.every_table --data DIR --tables wine_quality secom_207

Each table is one run of the command line in a process of its own, on the file as it is. Kept in results/every_table.csv
as soon as it is done, and run once: seconds, the scores on held-out rows of tabattn, of a constant and of
gradient boosting (R^2 or accuracy), the Spearman correlation of the ranking with permutation importance, how many
warnings were given, and the codes of what was found (diagnostics.csv). Small tables first.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.result_file import ResultFile, add_result_arguments, with_sizes
from experiments.tables import MeasuredTable, add_data_argument, load_catalog

COMMAND = "python -m experiments.every_table --data DIR"
KEYS = ("table",)
WARNING = "tabattn: warning:"
MODELS = ("tabattn", "dummy", "hist_gradient_boosting")
SCORES = (*MODELS, "spearman", "warnings", "findings")


def run(table: MeasuredTable, max_epochs: int | None) -> dict[str, Any]:
    """Run the command line on one table."""
    limits = [] if max_epochs is None else ["--max-epochs", str(max_epochs)]
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "tabattn.cli", "rank", str(table.path), "--target", table.target]
        start = time.perf_counter()
        done = subprocess.run([*command, *limits, "--out", directory], capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - start
        if done.returncode:
            print(done.stderr)
            return {"exit_code": done.returncode, "seconds": round(seconds, 1)} | dict.fromkeys(SCORES, "")
        values = pd.read_csv(Path(directory, "comparison.csv")).set_index("measure")["value"]
        findings = pd.read_csv(Path(directory, "diagnostics.csv"))["code"]
    score = "r2" if f"r2_{MODELS[0]}" in values else "accuracy"
    return {
        "exit_code": 0,
        "seconds": round(seconds, 1),
        **{model: round(values[f"{score}_{model}"], 4) for model in MODELS},
        "spearman": round(values["spearman"], 3),
        "warnings": done.stderr.count(WARNING),
        "findings": " ".join(findings),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what was not run yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_data_argument(parser)
    parser.add_argument("--tables", nargs="+", help="names of tables; all if not given")
    parser.add_argument("--max-epochs", type=int, help="passed on to `tabattn rank`; its default if not given")
    add_result_arguments(parser, "every_table.csv")
    options = parser.parse_args(arguments)
    catalog = load_catalog(options.data)
    results = ResultFile(options.out, with_sizes(COMMAND, parser, options, ["max_epochs"]), KEYS, options.stale)
    for name, table in sorted(catalog.items(), key=lambda item: item[1].path.stat().st_size):
        if (not options.tables or name in options.tables) and not results.is_measured(name):
            results.keep({"table": name, **run(table, options.max_epochs)})
    kept = results.read()
    n_ranked, minutes = (kept["exit_code"] == 0).sum(), kept["seconds"].sum() / 60
    print(f"{n_ranked} of {len(catalog)} tables ranked in {minutes:.0f} minutes")


if __name__ == "__main__":
    main()
