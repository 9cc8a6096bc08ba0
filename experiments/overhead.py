"""What Lightning costs per training step, and what reading attention costs per predicted row.

    python -m experiments.overhead            # writes experiments/results/overhead.csv

Steps: the same model, batches and optimizer in `tabattn.training.fitting.train` (Lightning, with what its callbacks do:
the average of the weights, the history of attention, a validation of one row per epoch) and in a bare loop, in turn;
what two more epochs add, so that what a fit costs once is not counted. Readings: `predict`, `mean_attention` and
`importance_table` by every method of one fitted estimator in turn; `swap` against scikit-learn's permutation
importance with one repeat at 100 columns; and what one reading by the default method adds to the peak memory of a fresh
process that has predicted the same rows, for 5,000 and 50,000 of them.
"""

import argparse
import functools
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from experiments.machine import ROOT
from experiments.result_file import ResultFile, add_result_arguments, with_sizes
from experiments.shapes import default_shape
from tabattn import TabAttnRegressor
from tabattn.choices import Method
from tabattn.importance.methods import METHODS
from tabattn.importance.permutation import permutation_scores
from tabattn.nn.model import TabAttnModel
from tabattn.nn.tokens import Cells
from tabattn.training.data import ChosenRows, ShuffledBatches, TrainingRows
from tabattn.training.fitting import train
from tabattn.training.holdout import HoldOut
from tabattn.training.module import HeldOutPredictions, TrainingModule
from tabattn.training.settings import OptimizerSettings, TrainingSettings
from tabattn.training.sizes import MAX_ROWS_OF_GROUPS

COMMAND = "python -m experiments.overhead"
N_COLUMNS = 14
N_EPOCHS = 2
MEMORY_ROWS = (5_000, 50_000)
N_WIDE_TURNS = 2
SIZES = ("step_rows", "read_rows", "memory_rows", "wide_rows", "wide_columns", "turns")


def step_times(n_rows: int, n_members: int, batch_size: int, n_turns: int) -> dict[str, float]:
    """Return milliseconds per step in Lightning and in a bare loop."""
    generator = torch.Generator().manual_seed(0)
    numeric = torch.randn(n_rows, N_COLUMNS, generator=generator)
    held_out = torch.arange(n_rows)[:, None] == 0
    cells = Cells(numeric, torch.zeros(n_rows, 0, dtype=torch.long), None)
    rows = TrainingRows.numbered(cells, numeric[:, :1], torch.ones(n_rows))
    learned = torch.arange(1, n_rows)[None]
    shape = default_shape(N_COLUMNS, n_members)
    optimizer = OptimizerSettings(1e-3, 1e-5)
    n_steps = len(ShuffledBatches(rows, ChosenRows.all_of(learned), batch_size, 0))

    def lightning(n_epochs: int) -> None:
        train(
            shape,
            rows,
            HoldOut.of(held_out),
            TrainingSettings(optimizer, batch_size, n_epochs, n_epochs, 0, "cpu"),
        )

    def bare(n_epochs: int) -> None:
        module = TrainingModule(
            TabAttnModel(shape), optimizer, HeldOutPredictions(rows, held_out.sum(dim=1), HoldOut.of(held_out).half)
        )
        stepper = module.configure_optimizers()
        batches = ShuffledBatches(rows, ChosenRows.all_of(learned), batch_size, 0)
        for _ in range(n_epochs):
            for batch in batches:
                stepper.zero_grad()
                module.training_step(batch, 0)["loss"].backward()
                torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
                stepper.step()

    functions: dict[str, Callable[[], Any]] = {
        f"{name} {n_epochs}": functools.partial(function, n_epochs)
        for name, function in (("lightning", lightning), ("bare", bare))
        for n_epochs in (1, 1 + N_EPOCHS)
    }
    seconds = in_turn(functions, n_turns)
    return {
        name: 1000 * (seconds[f"{name} {1 + N_EPOCHS}"] - seconds[f"{name} 1"]) / (N_EPOCHS * n_steps)
        for name in ("lightning", "bare")
    }


def reading_times(n_rows: int, n_turns: int) -> dict[str, float]:
    """Return seconds of predicting and of reading rows."""
    estimator, X = fitted(n_rows)
    return in_turn(
        {
            "predict": lambda: estimator.predict(X),
            "mean_attention": lambda: estimator.mean_attention(X),
            **{f"importance_table, {method}": reading(estimator, X, method) for method in METHODS},
        },
        n_turns,
    )


def reading(estimator: TabAttnRegressor, X: pd.DataFrame, method: Method) -> Callable[[], Any]:
    """Return what reads the columns by one method, the target being known."""
    return lambda: estimator.importance_table(X, X.iloc[:, 0], method=method)


def wide_times(n_fitted: int, n_rows: int, n_columns: int) -> dict[str, float]:
    """Return seconds of `swap` and of permutation importance with one repeat."""
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(n_fitted, n_columns)))
    estimator = TabAttnRegressor(max_epochs=1, random_state=0, device="cpu").fit(X, X[0])
    rows = pd.DataFrame(np.random.default_rng(1).normal(size=(n_rows, n_columns)))
    return in_turn(
        {
            "permutation": lambda: permutation_scores(estimator, rows, rows[0], n_repeats=1),
            "swap": reading(estimator, rows, "swap"),
            "contribution": reading(estimator, rows, "contribution"),
        },
        N_WIDE_TURNS,
    )


def fitted(n_rows: int) -> tuple[TabAttnRegressor, pd.DataFrame]:
    """Return an estimator of default size and rows to read."""
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(n_rows, N_COLUMNS)))
    head = X.head(200)
    return TabAttnRegressor(max_epochs=1, random_state=0, device="cpu").fit(head, head[0]), X


def in_turn(functions: dict[str, Callable[[], Any]], n_turns: int) -> dict[str, float]:
    """Return the median seconds of each function, which take turns."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(n_turns + 1):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if turn:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def added_memory(n_rows: int) -> float:
    """Return the MiB that a reading adds to the peak memory of a fresh process that has predicted these rows."""
    command = [sys.executable, "-m", "experiments.overhead", "--memory-of", str(n_rows)]
    output = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return float(output.stdout.splitlines()[-1])


def print_added_memory(n_rows: int) -> None:
    """Print what `added_memory` returns, in the fresh process."""
    estimator, X = fitted(n_rows)
    estimator.predict(X)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    estimator.importance_table(X, X.iloc[:, 0])
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--step-rows", type=int, default=8_192, help="rows of the epochs whose steps are timed")
    parser.add_argument("--read-rows", type=int, default=20_000, help="rows to predict and to read")
    parser.add_argument("--memory-rows", type=int, nargs="+", default=MEMORY_ROWS, help="rows to measure memory with")
    parser.add_argument("--wide-rows", type=int, default=1_000, help="rows to compare swap and permutation with")
    parser.add_argument("--wide-columns", type=int, default=100, help="columns of these rows")
    parser.add_argument("--turns", type=int, default=5, help="runs of everything that takes turns")
    add_result_arguments(parser, "overhead.csv", restartable=False)
    options = parser.parse_args(arguments)
    if options.memory_of:
        print_added_memory(options.memory_of)
        return
    rows: list[dict[str, Any]] = []
    for n_members in (1, 8):
        for batch_size in (32, 256):
            times = step_times(options.step_rows, n_members, batch_size, options.turns)
            what = f"step of {batch_size} rows, {n_members} member(s)"
            rows += [{"what": f"{what}, {name}", "value": round(ms, 2), "unit": "ms"} for name, ms in times.items()]
    reading = reading_times(options.read_rows, options.turns)
    for name, seconds in reading.items():
        rows.append({"what": f"{name}, {options.read_rows} rows", "value": round(seconds, 3), "unit": "s"})
        rows.append({"what": f"{name} / predict", "value": round(seconds / reading["predict"], 2), "unit": "ratio"})
    for tokens, n_fitted in (("own", 200), ("shared", MAX_ROWS_OF_GROUPS + 1)):
        wide = wide_times(n_fitted, options.wide_rows, options.wide_columns)
        what = f"{options.wide_rows} rows x {options.wide_columns} columns, {tokens} tokens"
        rows += [{"what": f"{name}, {what}", "value": round(seconds, 3), "unit": "s"} for name, seconds in wide.items()]
        rows.append(
            {
                "what": f"swap / permutation with one repeat, {tokens} tokens",
                "value": round(wide["swap"] / wide["permutation"], 3),
                "unit": "ratio",
            }
        )
    for n_rows in options.memory_rows:
        rows.append(
            {"what": f"importance_table beyond predict, {n_rows} rows", "value": added_memory(n_rows), "unit": "MiB"}
        )
    command = with_sizes(COMMAND, parser, options, SIZES)
    ResultFile(options.out, f"{command}; {N_COLUMNS} numeric columns; medians").write(rows)
    print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main()
