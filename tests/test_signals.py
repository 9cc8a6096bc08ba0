"""Signals end what is going on, at any time, in one line, and leave nothing behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tabattn.signals import Terminated, run_orderly, terminable
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
    ended_with, printed = ended(command, number, tmp_path, seconds)
    goes_on = " The same command with --resume goes on from here." * (tmp_path / ".resume-out").exists()
    assert (ended_with, printed) == (code, f"tabattn: {said}.{goes_on}\n")
    assert [path.name for path in tmp_path.iterdir() if path.name != ".resume-out"] == []


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


class Finalized:
    """Is sent a signal in its finalizer, where Python ignores what is raised."""

    def __init__(self, number: signal.Signals) -> None:
        self.number = number

    def __del__(self) -> None:
        signal.raise_signal(self.number)


def in_a_finalizer(number: signal.Signals) -> None:
    Finalized(number)
    for _ in range(1000):
        time.sleep(0.01)


def in_other_code(number: signal.Signals) -> None:
    try:
        signal.raise_signal(number)
    except BaseException as error:
        raise ValueError("no valid buffer") from error


def in_code_that_refuses(number: signal.Signals) -> None:
    try:
        signal.raise_signal(number)
    except BaseException as error:
        raise SystemExit(2) from error


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("run", [in_a_finalizer, in_other_code, in_code_that_refuses])
def test_a_signal_is_never_lost(
    number: signal.Signals, run: Callable[[signal.Signals], None], capsys: pytest.CaptureFixture[str]
) -> None:
    before, hook = signal.getsignal(signal.SIGTERM), sys.unraisablehook
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(SystemExit) as stop:
            run_orderly(lambda: run(number))
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGINT, interrupt)
    word, code = {signal.SIGTERM: ("terminated", 143), signal.SIGINT: ("interrupted", 130)}[number]
    assert (stop.value.code, capsys.readouterr().err) == (code, f"tabattn: {word}.\n")
    assert sys.unraisablehook is hook


def test_an_interrupt_inside_of_code_made_of_text_has_its_exit_code(tmp_path: Path) -> None:
    """Python would end itself by the signal, whoever handles it: imports run such code, of named tuples for example."""
    inside = "exec('import signal; signal.raise_signal(signal.SIGINT)')"
    code = f"from tabattn.signals import run_orderly\nrun_orderly(lambda: {inside})"
    (tmp_path / "interrupted.py").write_text(code, encoding="utf-8")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        done = subprocess.run([sys.executable, "-m", "interrupted"], cwd=tmp_path, capture_output=True, check=False)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (done.returncode, done.stderr) == (130, b"tabattn: interrupted.\n")
