"""Where the time of `tabattn rank` goes: CPU seconds of each phase, with the defaults.

    python -m experiments.phases --data DIR
    python -m experiments.phases --data DIR --tables wine_quality madelon

Each table is ranked in a process of its own on one thread, so that imports count. The phases are those that the line of
progress names; "else" is what is not in any of them: reading the file, kinds of columns, the encoding of cells, the
comparison. Kept in results/phases.csv as soon as it is measured.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from experiments.machine import ROOT
from experiments.result_file import ResultFile, add_result_arguments
from experiments.tables import add_data_argument, load_catalog

COMMAND = "python -m experiments.phases --data DIR"
KEYS = ("table",)
TABLES = ("heart_cleveland", "concrete_strength", "tep_fault4_binary", "california_housing", "arrhythmia", "secom_207")


def measure(path: str, target: str) -> dict[str, float]:
    """Rank a table in this process, and return the CPU seconds of each phase."""
    from tabattn import ranking
    from tabattn.progress import Job, Phase

    seconds = {"import": time.process_time()}
    import_module("tabattn.training.fitting")
    seconds["import of Lightning"] = time.process_time() - seconds["import"]

    class Noted(Job):
        @contextmanager
        def phase(
            self, name: str, n_steps: int = 1, share: float = 1.0, n_expected: int | None = None
        ) -> Iterator[Phase]:
            begun = time.process_time()
            with super().phase(name, n_steps, share, n_expected) as phase:
                yield phase
            seconds[name] = time.process_time() - begun
            seconds[f"steps of {name}"] = phase.n_done

    vars(ranking)["Job"] = Noted
    found = ranking.rank(path, target)
    ranked = time.process_time()
    with tempfile.TemporaryDirectory() as directory:
        found.write(directory)
    seconds["write"], seconds["all"] = time.process_time() - ranked, time.process_time()
    epochs = {"epochs": seconds.pop("steps of training"), "best epoch": found.estimator.best_epoch_}
    steps = [name for name in seconds if name.startswith("steps of")]
    for name in steps:
        del seconds[name]
    seconds["else"] = 2 * seconds["all"] - sum(seconds.values())
    return {name: round(value, 2) for name, value in seconds.items()} | epochs


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is not measured yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_data_argument(parser)
    parser.add_argument("--tables", nargs="+", default=TABLES)
    parser.add_argument("--worker", nargs=2, metavar=("FILE", "TARGET"), help=argparse.SUPPRESS)
    add_result_arguments(parser, "phases.csv")
    options = parser.parse_args(arguments)
    if options.worker:
        print(json.dumps(measure(*options.worker)))
        return
    catalog = load_catalog(options.data)
    results = ResultFile(options.out, COMMAND, KEYS, options.stale)
    for name in options.tables:
        if not results.is_measured(name):
            results.keep({"table": name, **_in_a_process_of_its_own(catalog[name].path, catalog[name].target)})


def _in_a_process_of_its_own(path: Path, target: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "experiments.phases", "--worker", str(path.resolve()), target]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
