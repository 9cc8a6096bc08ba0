"""Are predictions, importances and saved models those of another commit, bit by bit?

    python -m experiments.same_results --base 35ed1f5

Runs experiments/same_results_worker.py with the package as it is and as it was at the other commit: `rank` on three
tables of data/, and fits on a table with a column of every kind, three seeds each. Keeps the largest change of every
array in results/same_results.csv, beside those of other base commits, and loads what the other commit saved. Where all
are the same, results that were measured with the code of the other commit are those of the present code
(`experiments.stale`), and so are those of code whose results were found to be those of the other commit.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import tabattn
from experiments.machine import ROOT, code_hash
from experiments.result_file import ResultFile, add_result_arguments, with_sizes
from experiments.same_results_worker import made

TOLERANCE = 1e-9
Arrays = dict[str, np.ndarray[Any, np.dtype[Any]]]


def run_worker(root: Path, results: Path, seeds: list[int], models: Path) -> None:
    """Run the worker with the package below a folder."""
    worker = ROOT / "experiments" / "same_results_worker.py"
    command = [sys.executable, str(worker), str(results), "--save", str(models), "--seeds", *map(str, seeds)]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, cwd=root, env=environment)


def compared(before: Arrays, after: Arrays) -> pd.DataFrame:
    """Return the largest difference of every number, relative to the largest of its array.

    It is infinite where an array has another shape or other numbers that are not finite.
    """
    rows = []
    for name, old in before.items():
        new, change = after[name], np.inf
        if old.shape == new.shape:
            differs = (old != new) & ~(np.isnan(old) & np.isnan(new))
            scale = np.abs(old[np.isfinite(old)]).max(initial=np.finfo(np.float64).tiny)
            change = float(
                np.nan_to_num(np.abs(old - new)[differs] / scale, nan=np.inf, posinf=np.inf).max(initial=0.0)
            )
        rows.append({"what": name, "is_same": change == 0.0, "largest_change": change})
    return pd.DataFrame(rows)


def loaded_models_predict_the_same(models: Path, results: Arrays) -> bool:
    """Return whether models that the other commit saved predict bit by bit what it predicted."""
    same = []
    for path in sorted(models.iterdir()):
        task, encoder, seed = path.stem.split("-")
        est = tabattn.load(path)
        X, _ = made(int(seed))
        predicted = est.predict(X) if task == "regression" else est.predict_proba(X)
        same.append(bool((predicted == results[f"seed {seed}, made, {task}, {encoder}, prediction"]).all()))
    return all(same) and len(same) > 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Run both commits, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--base", default="35ed1f5", help="the commit to compare with")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    add_result_arguments(parser, "same_results.csv", restartable=False)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory, "base")
        subprocess.run(["git", "worktree", "add", "--detach", str(base), options.base], cwd=ROOT, check=True)
        try:
            base_code = code_hash(base / "tabattn")
            for name, root in (("before", base), ("after", ROOT)):
                run_worker(root, Path(directory, f"{name}.npz"), options.seeds, Path(directory, name))
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(base)], cwd=ROOT, check=True)
        before, after = (dict(np.load(Path(directory, f"{name}.npz"))) for name in ("before", "after"))
        table = compared(before, after)
        table.insert(0, "base_code", base_code)
        are_loaded = loaded_models_predict_the_same(Path(directory, "before"), before)
    command = with_sizes(f"python -m experiments.same_results --base {options.base}", parser, options, ["seeds"])
    ResultFile(options.out, command, ("base_code",)).keep(table.to_dict("records"))
    print(table[~table["is_same"]].to_string(index=False))
    print(f"{table['is_same'].sum()} of {len(table)} arrays are the same bit by bit; largest change ", end="")
    print(f"{table['largest_change'].max():.3g}; models saved before predict the same: {are_loaded}")
    if not are_loaded or table["largest_change"].max() > TOLERANCE:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
