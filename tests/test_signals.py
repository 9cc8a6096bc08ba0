"""Signals end what is going on, at any time, in one line, and leave nothing behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tabattn.signals import Terminated, terminable
from tests.conftest import DATA

ENDS = [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
FIT = """
import numpy as np
from tabattn import TabAttnRegressor
import tabattn.training.fitting
print(flush=True)
X = np.random.default_rng(0).normal(size=(6000, 8))
TabAttnRegressor().fit(X, np.sin(3 * X[:, 0]) * X[:, 1])
"""


def ended(command: list[str], number: signal.Signals, folder: Path, seconds: float = 12) -> tuple[int, str]:
    """Send a signal after some seconds, by then a fit is under way; return the exit code and what was printed."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has it ignored in the background
    try:
        job = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    finally:
        signal.signal(signal.SIGINT, before)
    with job:
        time.sleep(seconds)
        job.send_signal(number)
        _, printed = job.communicate(timeout=60)
    return job.returncode, printed.decode()


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.4, 12])
@pytest.mark.parametrize(("number", "code", "said"), ENDS)
def test_a_command_ends_in_one_line(
    tmp_path: Path, number: signal.Signals, code: int, said: str, seconds: float
) -> None:
    table = ["rank", str(DATA / "process.csv"), "--target", "thickness_um", "--out", "out"]
    command = [sys.executable, "-m", "tabattn", *table]
    assert ended(command, number, tmp_path, seconds) == (code, f"tabattn: {said}.\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_fit_does_not_go_on_after_sigterm(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", FIT], cwd=tmp_path, stdout=subprocess.PIPE) as job:
        assert job.stdout is not None
        job.stdout.readline()
        time.sleep(4)
        job.send_signal(signal.SIGTERM)
        assert job.wait(timeout=60) == 143


def test_the_handler_of_signals_is_as_it_was() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated) as stop, terminable():
        signal.raise_signal(signal.SIGTERM)
    assert stop.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before
    signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with terminable():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
