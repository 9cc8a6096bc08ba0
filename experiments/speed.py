"""Time of training steps, predictions and readings of attention against other FT-Transformers, in one run.

    python -m venv peers && peers/bin/pip install -r experiments/peers.txt
    python -m experiments.speed --peers-python peers/bin/python     # writes experiments/results/speed.csv and speed.png

Every model lives in a process of its own (`experiments.speed_worker`), because deeptab and pytorch-tabular pin versions
that clash with this project's; without --peers-python these two are left out. For every setting the models take turns,
a few runs each, so that a machine whose speed drifts favours none; the first runs of a model are not counted. The ratio
is that of the medians to rtdl's default. What would need more memory than --max-gib is not measured, and its row says
so. A step is forward, backward and AdamW, with the networks' own default sizes and the same optimizer. "Own tokens" is
what this project does on tables of up to 8,192 rows and 1,000 columns; above, members share their tokens. Restartable:
a setting (columns, kind, batch size) that the result file holds is not measured again, unless with --stale and by other
code.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from experiments.machine import ROOT
from experiments.result_file import ResultFile, add_result_arguments

COMMAND = "python -m experiments.speed --peers-python PYTHON; medians"
BASELINE = "rtdl, default"
OURS = ("tabattn, 1 member", "tabattn, 8 members", "tabattn, 8 members, own tokens")
RTDL = ("rtdl, default", "rtdl, same width")
PEERS = ("deeptab, default", "pytorch-tabular, default")
COLUMNS = (8, 28, 100, 500, 2000)
KINDS = ("numeric", "mixed")
BATCH_SIZES = (256, 1024)
WHATS = ("step", "predict", "attention")
MAX_RUNS_PER_TURN = 8
N_TURNS = 3
TURN_MS = 1500.0
GIB = 2**30
N_HEADS = 8
LAYERS = {"deeptab, default": 4, "pytorch-tabular, default": 6}
RTDL_LAYERS = 3
TENSORS_KEPT = 4
N_MEMBERS = 8
D_TOKEN = 64
SETTING = ("columns", "kind", "batch_size")


class Worker:
    """A process that measures one model."""

    def __init__(self, python: str, name: str) -> None:
        self.name = name
        command = [python, "-m", "experiments.speed_worker", name]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def ask(self, **question: Any) -> list[float] | str:
        """Return milliseconds, or what went wrong."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            answer: list[float] | str = json.loads(self._process.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError):
            return "the process died"
        return answer


def needed_gib(name: str, columns: int, batch_size: int, what: str) -> float:
    """Estimate the memory of the widest tensors.

    In self-attention these are the weights, those of all layers for a step, else of one layer; here they are tokens,
    which matter where every member has its own.
    """
    if name in OURS:
        n_groups = N_MEMBERS if name.endswith("own tokens") else 1
        return 4 * batch_size * n_groups * columns * D_TOKEN * TENSORS_KEPT / GIB
    n_layers = LAYERS.get(name, RTDL_LAYERS) if what == "step" else 1
    return 4 * batch_size * N_HEADS * columns**2 * TENSORS_KEPT * n_layers / GIB


def measure(workers: list[Worker], setting: dict[str, Any], what: str, max_gib: float) -> list[dict[str, Any]]:
    """Return the median milliseconds of each model in one setting."""
    times: dict[str, list[float]] = {worker.name: [] for worker in workers}
    notes: dict[str, str] = {}
    runs: dict[str, int] = {}
    for worker in workers:
        needed = needed_gib(worker.name, setting["columns"], setting["batch_size"], what)
        if needed > max_gib:
            notes[worker.name] = f"not measured: needs about {needed:.0f} GiB"
            continue
        warm_up = worker.ask(**setting, what=what, n=3)
        if isinstance(warm_up, str):
            notes[worker.name] = f"not measured: {warm_up}"
            continue
        runs[worker.name] = int(min(max(TURN_MS / warm_up[-1], 1), MAX_RUNS_PER_TURN))
    for _ in range(N_TURNS):
        for worker in workers:
            if worker.name in runs:
                answer = worker.ask(**setting, what=what, n=runs[worker.name])
                assert not isinstance(answer, str), answer
                times[worker.name] += answer
    medians = {name: statistics.median(values) for name, values in times.items() if values}
    baseline = medians.get(BASELINE, float("nan"))
    return [
        {
            **setting,
            "what": what,
            "model": worker.name,
            "ms": round(medians[worker.name], 2) if worker.name in medians else float("nan"),
            "ratio": round(medians[worker.name] / baseline, 4) if worker.name in medians else float("nan"),
            "runs": len(times[worker.name]),
            "note": notes.get(worker.name, ""),
        }
        for worker in workers
    ]


def plot(table: pd.DataFrame, path: Path) -> None:
    """Draw the time of what was measured first (a training step) against the number of columns, both logarithmic."""
    first = table.iloc[0]
    alike = (table[["kind", "batch_size", "what"]] == first[["kind", "batch_size", "what"]]).all(axis=1)
    steps = table[alike & table["ms"].notna()]
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    for name, rows in steps.groupby("model", sort=False):
        axes.loglog(rows["columns"], rows["ms"], "o-", label=name)
    axes.set(
        xlabel="columns",
        ylabel=f"milliseconds, {first['what']} of {first['batch_size']} rows, {first['kind']} columns",
        title="Linear and quadratic growth",
    )
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    axes.grid(visible=True, which="both", alpha=0.3)
    figure.savefig(path, dpi=120)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--peers-python", help="interpreter of the environment of experiments/peers.txt")
    parser.add_argument("--columns", type=int, nargs="+", default=COLUMNS)
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=BATCH_SIZES)
    parser.add_argument("--what", nargs="+", default=WHATS, choices=WHATS)
    parser.add_argument("--max-gib", type=float, default=6.0)
    parser.add_argument("--models", nargs="+", choices=[*OURS, *RTDL, *PEERS], help="all that can run if not given")
    add_result_arguments(parser, "speed.csv")
    options = parser.parse_args(arguments)
    contenders = [(sys.executable, name) for name in (*OURS, *RTDL)]
    if options.peers_python:
        contenders += [(options.peers_python, name) for name in PEERS]
    results = ResultFile(options.out, COMMAND, SETTING, options.stale)
    settings = [
        {"columns": columns, "kind": kind, "batch_size": batch_size}
        for batch_size in options.batch_sizes
        for kind in options.kinds
        for columns in options.columns
        if not results.is_measured(columns, kind, batch_size)
    ]
    workers = [Worker(python, name) for python, name in contenders if not options.models or name in options.models]
    try:
        for setting in settings:
            rows: list[dict[str, Any]] = []
            for what in options.what:
                asked = [worker for worker in workers if what != "attention" or worker.name in OURS]
                rows += measure(asked, setting, what, options.max_gib)
            for worker in workers:
                worker.ask(**setting, what=None, n=0)
            results.keep(rows)
    finally:
        for worker in workers:
            worker.stop()
    plot(results.read(), results.beside(".png"))


if __name__ == "__main__":
    main()
