"""Held-out scores and agreement of `rank` with its default settings on real tables.

    python -m experiments.real_tables --data DIR         # writes experiments/results/real_tables.csv

Restartable: a table that is in the result file already is not measured again. `--tables` selects.
"""

import argparse
import time
import warnings
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.machine import describe_machine
from experiments.tables import MeasuredTable, add_data_argument, load_catalog
from tabattn import rank
from tabattn.errors import TabAttnWarning

RESULT = Path(__file__).parent / "results" / "real_tables.csv"
TABLES = ("mushroom", "california_housing", "adult")


def measure(table: MeasuredTable, max_epochs: int) -> dict[Hashable, Any]:
    """Rank one table and return what matters of the result."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TabAttnWarning)
        ranking = rank(table.path, table.target, task=table.task, max_epochs=max_epochs)
    seconds = time.perf_counter() - start
    score = "r2" if table.task == "regression" else "accuracy"
    scores = dict(zip(ranking.models["model"], ranking.models[score].round(4), strict=True))
    return {
        "table": table.name,
        "rows": len(ranking.problem.X),
        "columns": ranking.problem.X.shape[1],
        "score": score,
        **scores,
        "spearman": round(ranking.agreement["spearman"], 3),
        "first_by_attention": ranking.table["feature"][0],
        "epochs": ranking.estimator.n_iter_,
        "seconds": round(seconds),
    }


def main() -> None:
    """Measure what is not measured yet, and keep each result at once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_data_argument(parser)
    parser.add_argument("--tables", nargs="+", default=TABLES)
    parser.add_argument("--max-epochs", type=int, default=100)
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    catalog = load_catalog(arguments.data)
    done = pd.read_csv(arguments.out, comment="#").to_dict("records") if arguments.out.exists() else []
    for name in arguments.tables:
        if name in {record["table"] for record in done}:
            continue
        done.append(measure(catalog[name], arguments.max_epochs))
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        note = f"# python -m experiments.real_tables --data DIR; seed 0; {describe_machine()}\n"
        csv = pd.DataFrame(done).to_csv(index=False, lineterminator="\n")
        arguments.out.write_text(note + csv, encoding="utf-8")
    print(pd.DataFrame(done).to_string(index=False))


if __name__ == "__main__":
    main()
