"""A short form of the attacks, in a process of its own, which has no threads to lose when it forks."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.attack_inputs import SECRET, Case
from experiments.attacks import outcome_of
from experiments.bounded import Ended
from experiments.result_file import RESULTS
from tests.experiments.helpers import read

IN_ORDER = {"done", "refused", "ended"}
REFUSED = Ended(2, "", "tabattn: no.\n", (), 0.1, 0.1, 0)


@pytest.mark.slow
def test_attacks_end_in_order(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "experiments.attacks",
        "--n",
        "30",
        "--seed",
        "9",
        "--out",
        str(tmp_path / "a.csv"),
    ]
    subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True)
    counts = read(tmp_path / "a.csv")
    assert counts["cases"].sum() == 30
    assert set(counts["outcome"]) == IN_ORDER, counts[~counts["outcome"].isin(IN_ORDER)]


def test_the_committed_attacks_ended_in_order() -> None:
    counts = read(RESULTS / "attacks.csv")
    assert counts["cases"].sum() == 2000
    assert set(counts["outcome"]) == IN_ORDER


@pytest.mark.parametrize(
    ("changes", "how"),
    [
        ({}, "refused"),
        ({"ran": ("pickle.find_class",)}, "code run"),
        ({"was_stopped": True}, "hang"),
        ({"cpu_seconds": 5.1}, "hang"),
        ({"code": 70, "err": "Traceback"}, "traceback"),
        ({"err": ""}, "traceback"),
        ({"err": "tabattn: no.\nmore\n"}, "traceback"),
        ({"code": -11}, "traceback"),
        ({"grown_bytes": 300_000_000}, "memory"),
        ({"out": "\x1b[2J"}, "control character"),
        ({"out": SECRET}, "secret"),
    ],
)
def test_what_is_not_in_order_is_found(tmp_path: Path, changes: dict[str, object], how: str) -> None:
    case = Case("a case", (), tmp_path / "out")
    assert outcome_of(case, Ended(**(vars(REFUSED) | changes)), tmp_path) == how


def test_what_is_left_behind_is_found(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "importance.csv").touch()
    case = Case("a case", (), out, kill=(0.1, signal.SIGTERM), old=b"{}")
    ended = Ended(143, "", "tabattn: terminated.\n", (), 0.1, 0.1, 0)
    assert outcome_of(case, ended, tmp_path) == "mixed set"
    (tmp_path / ".tabattn-1").mkdir()
    assert outcome_of(Case("a case", (), tmp_path / "none"), REFUSED, tmp_path) == "left over"
    (tmp_path / "canary").mkdir()
    assert outcome_of(Case("a case", ()), REFUSED, tmp_path) == "code run"


def test_output_that_is_broken_is_found(tmp_path: Path) -> None:
    done = Ended(0, "", "", (), 0.1, 0.1, 0)
    case = Case("a case", (), tmp_path)
    (tmp_path / "manifest.json").write_text('{"files": {}}', encoding="utf-8")
    (tmp_path / "a.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    assert outcome_of(case, done, tmp_path) == "done"
    (tmp_path / "predictions.csv").write_text("row,prediction\n1,nan\n", encoding="utf-8")
    assert outcome_of(case, done, tmp_path) == "broken output"
    (tmp_path / "predictions.csv").unlink()
    (tmp_path / "a.csv").write_text("a,b\n1,2,3\n", encoding="utf-8")
    assert outcome_of(case, done, tmp_path) == "broken output"
    (tmp_path / "a.csv").unlink()
    (tmp_path / "a.svg").write_text("<svg>", encoding="utf-8")
    assert outcome_of(case, done, tmp_path) == "broken output"
