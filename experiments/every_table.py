"""Does `tabattn rank` go through every table with its default settings, how long does it take, and what does it say?

    python -m experiments.every_table --data DIR
    python -m experiments.every_table --data DIR --tables wine_quality secom_207

Each table is one run of the command line in a process of its own, on the file as it is. Kept in results/every_table.csv
as soon as it is done, and never run again: seconds, the scores on held-out rows of tabattn, of a constant and of
gradient boosting (R^2 or accuracy), the Spearman correlation of the ranking with permutation importance, and how many
warnings were given. Small tables first.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.cells import keep, measured
from experiments.tables import MeasuredTable, add_data_argument, load_catalog

RESULT = Path(__file__).parent / "results" / "every_table.csv"
COMMAND = "python -m experiments.every_table --data DIR"
WARNING = "tabattn: warning:"
MODELS = ("tabattn", "dummy", "hist_gradient_boosting")
SCORES = (*MODELS, "spearman", "warnings")


def run(table: MeasuredTable) -> dict[str, Any]:
    """Run the command line on one table."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "tabattn.cli", "rank", str(table.path), "--target", table.target]
        start = time.perf_counter()
        done = subprocess.run([*command, "--out", directory], capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - start
        if done.returncode:
            print(done.stderr)
            return {"exit_code": done.returncode, "seconds": round(seconds, 1)} | dict.fromkeys(SCORES, "")
        values = pd.read_csv(Path(directory, "comparison.csv")).set_index("measure")["value"]
    score = "r2" if f"r2_{MODELS[0]}" in values else "accuracy"
    return {
        "exit_code": 0,
        "seconds": round(seconds, 1),
        **{model: round(values[f"{score}_{model}"], 4) for model in MODELS},
        "spearman": round(values["spearman"], 3),
        "warnings": done.stderr.count(WARNING),
    }


def main() -> None:
    """Run what was not run yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_data_argument(parser)
    parser.add_argument("--tables", nargs="+", help="names of tables; all if not given")
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    catalog = load_catalog(arguments.data)
    for name, table in sorted(catalog.items(), key=lambda item: item[1].path.stat().st_size):
        if (arguments.tables and name not in arguments.tables) or (name,) in measured(arguments.out, ("table",)):
            continue
        keep(arguments.out, {"table": name, **run(table)}, COMMAND)
    results = pd.read_csv(arguments.out, comment="#")
    n_ranked, minutes = (results["exit_code"] == 0).sum(), results["seconds"].sum() / 60
    print(f"{n_ranked} of {len(catalog)} tables ranked in {minutes:.0f} minutes")


if __name__ == "__main__":
    main()
