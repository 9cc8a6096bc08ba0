"""Runs that are killed at random moments: is every output absent or whole, and is a resumed run the same?

    python -m experiments.faults --n-kills 200

`tabattn rank` of a table of 2,000 rows, which writes the state of its training after every step, is killed (SIGKILL) at
a random moment between its start and the time that a whole run takes, and then run again with `--resume`. Kept in
results/faults.csv, a row for each kill: how far it was, what was there afterwards ("absent" or "whole" results), and
whether the resumed run wrote the same bytes ("same") as one that was not killed, but for the command in the report.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.result_file import ResultFile, add_result_arguments
from tabattn.files import RESUMABLE, unfinished

COMMAND = "python -m experiments.faults"
RUN = """
import tabattn.training.saving as saving
from tabattn.cli import app
saving.SECONDS_BETWEEN = saving.SECONDS_PER_SECOND = 0
app()
"""
WITH_COMMAND = {"report.html", "report.json", "report.md", "manifest.json"}
N_ROWS, N_EPOCHS = 2_000, 6


def command(table: Path, out: Path, *more: str) -> list[str]:
    """Return the command that ranks the table."""
    options = ["--target", "y", "--out", str(out), "--max-epochs", str(N_EPOCHS), "--repeats", "2", "--quiet"]
    return [sys.executable, "-c", RUN, "rank", str(table), *options, *more]


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the files of a run that do not name the command."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    content = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    return {name: each for name, each in content.items() if name not in WITH_COMMAND}


def kill_and_resume(table: Path, folder: Path, seconds: float, whole: dict[str, bytes]) -> dict[str, object]:
    """Kill a run after some seconds, and resume it."""
    environment, out = {**os.environ, "OMP_NUM_THREADS": "1"}, folder / "out"
    with subprocess.Popen(command(table, out), env=environment) as job:
        time.sleep(seconds)
        was_running = job.poll() is None
        job.send_signal(signal.SIGKILL)
    state = folder / f"{RESUMABLE}out"
    left = "absent" if not out.exists() else "whole" if not unfinished(out) else "broken"
    had_state = state.exists()
    begun = time.perf_counter()
    done = subprocess.run(command(table, out, "--resume"), env=environment, capture_output=True, text=True, check=False)
    is_same = done.returncode == 0 and files_of(out) == whole
    return {
        "killed_after": round(seconds, 2), "was_running": was_running, "left": left, "had_state": had_state,
        "resumed": "same" if is_same else f"other ({done.returncode}) {done.stderr[-200:]}",
        "seconds": round(time.perf_counter() - begun, 1), "state_removed": not state.exists(),
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--n-kills", type=int, default=200)
    add_result_arguments(parser, "faults.csv")
    options = parser.parse_args(arguments)
    results = ResultFile(options.out, COMMAND, ("kill",), options.stale)
    random = np.random.default_rng(0)
    shares = random.random(options.n_kills)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        x = random.normal(size=(N_ROWS, 4))
        table = folder / "t.csv"
        pd.DataFrame(x, columns=list("abcd")).assign(y=x[:, 0] + x[:, 1] * x[:, 2]).to_csv(table, index=False)
        begun = time.perf_counter()
        subprocess.run(command(table, folder / "whole"), check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        took, whole = time.perf_counter() - begun, files_of(folder / "whole")
        for kill, share in enumerate(shares):
            if results.is_measured(kill):
                continue
            own = folder / str(kill)
            own.mkdir()
            results.keep({"kill": kill, **kill_and_resume(table, own, float(share) * took, whole)})


if __name__ == "__main__":
    main()
