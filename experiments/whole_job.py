"""How long the whole job takes, from the file to the ranking: `tabattn rank` with its defaults, and what others do.

    pip install 'tabattn[peers,experiments]'
    python -m experiments.whole_job --data DIR
    python -m experiments.whole_job --data DIR --tables madelon --contenders tabattn --base 35ed1f5

Others: LightGBM and a random forest with permutation importance (10 shuffles), CatBoost with SHAP values, each with its
defaults. Every job is a process of its own on one thread, and everything counts, imports and reading too. Kept in
results/whole_job.csv as soon as it is done, and run once: CPU seconds (user and system), which a busy machine
disturbs less than seconds on the clock, these too, and the score on held-out rows (R^2 or accuracy). With --base the
command line of another commit is a contender too. The random forest shuffles twice, and the time that this takes counts
five times; all of them shuffle all test rows, tabattn 1,000 held-out rows, or a few thousand below 20 columns.
whole_job_summary.csv has how many times the seconds of each contender tabattn takes, table by table, and the median.
"""

import argparse
import json
import os
import pickle
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.contenders import tree_parts
from experiments.machine import ROOT
from experiments.result_file import ResultFile, add_result_arguments
from experiments.splits import split_table
from experiments.tables import MeasuredTable, add_data_argument, load_catalog
from experiments.whole_job_worker import JOBS

COMMAND = "python -m experiments.whole_job --data DIR"
KEYS = ("table", "contender")
OURS = "tabattn"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def timed(command: list[str], root: Path) -> tuple[dict[str, float], str]:
    """Run a command; return its CPU seconds and seconds on the clock, and what it printed."""
    environment = os.environ | ONE_THREAD | {"PYTHONPATH": str(root)}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(done.stderr)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu_seconds": round(cpu, 1), "seconds": round(seconds, 1)}, done.stdout


def our_job(table: MeasuredTable, root: Path) -> dict[str, Any]:
    """Run `tabattn rank` of the package below a folder."""
    with tempfile.TemporaryDirectory() as directory:
        arguments = ["rank", str(table.path), "--target", table.target, "--out", directory]
        times, _ = timed([sys.executable, "-m", "tabattn.cli", *arguments], root)
        values = pd.read_csv(Path(directory, "comparison.csv")).set_index("measure")["value"]
    score = values[f"r2_{OURS}" if f"r2_{OURS}" in values else f"accuracy_{OURS}"]
    return times | {"score": round(float(score), 4), "spearman": round(float(values["spearman"]), 3)}


def other_job(name: str, table: MeasuredTable) -> dict[str, Any]:
    """Run the whole job of another package, on all but the test rows."""
    split = split_table(table)
    parts = tree_parts(split)
    written = {
        "is_regression": split.problem.task == "regression",
        "X_train": pd.concat([parts.X_train, parts.X_validation]),
        "y_train": np.concatenate([parts.y_train, parts.y_validation]),
        "X_test": parts.X_test,
        "y_test": split.problem.y.to_numpy()[split.test],
    }
    worker = str(ROOT / "experiments" / "whole_job_worker.py")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "parts.pickle")
        path.write_bytes(pickle.dumps(written))
        times, printed = timed([sys.executable, worker, name, str(path)], Path(directory))
    answer = json.loads(printed)
    more = (answer["n_wanted"] / answer["n_repeats"] - 1) * answer["shuffling"]
    return {key: round(value + more, 1) for key, value in times.items()} | {"score": round(answer["score"], 4)}


def summarize(cells: pd.DataFrame) -> pd.DataFrame:
    """Return how many times the CPU seconds of each contender we take, table by table, then the medians."""
    if OURS not in set(cells["contender"]):
        raise SystemExit(f"--contenders must name {OURS} once, to compare with.")
    seconds = cells.astype({"cpu_seconds": float}).pivot_table(index="table", columns="contender", values="cpu_seconds")
    ratios = seconds.rdiv(seconds[OURS], axis=0).drop(columns=OURS).round(2)
    summary = pd.concat([seconds.add_suffix(" s"), ratios.add_prefix("tabattn / ")], axis=1)
    medians = summary.median().round(2).to_frame("median").T
    return pd.concat([summary, medians]).rename_axis(index="table", columns=None).reset_index()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what was not run yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_data_argument(parser)
    parser.add_argument("--tables", nargs="+", help="names of tables; all if not given")
    parser.add_argument("--contenders", nargs="+", default=[OURS, *JOBS], choices=[OURS, *JOBS])
    parser.add_argument("--base", help="a commit whose `tabattn rank` is run too")
    add_result_arguments(parser, "whole_job.csv")
    options = parser.parse_args(arguments)
    catalog: Mapping[str, MeasuredTable] = load_catalog(options.data)
    results = ResultFile(options.out, COMMAND, KEYS, options.stale)
    with ExitStack() as stack:
        base_root: Path | None = None
        if options.base:
            directory = stack.enter_context(tempfile.TemporaryDirectory())
            base_root = Path(directory, "base")
            subprocess.run(["git", "worktree", "add", "--detach", str(base_root), options.base], cwd=ROOT, check=True)
            stack.callback(subprocess.run, ["git", "worktree", "remove", "--force", str(base_root)], cwd=ROOT)
        for name, table in sorted(catalog.items(), key=lambda item: item[1].path.stat().st_size):
            if options.tables and name not in options.tables:
                continue
            for contender in options.contenders:
                if not results.is_measured(name, contender):
                    found = our_job(table, ROOT) if contender == OURS else other_job(contender, table)
                    results.keep({"table": name, "contender": contender, "spearman": ""} | found)
            if base_root is not None and not results.is_measured(name, f"{OURS} {options.base}"):
                found = our_job(table, base_root)
                results.keep({"table": name, "contender": f"{OURS} {options.base}"} | found)
    summary = summarize(results.read())
    results.write_summary(summary)
    print(summary.tail(1).T.to_string(header=False))


if __name__ == "__main__":
    main()
