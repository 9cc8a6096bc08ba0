from collections.abc import Sequence
from pathlib import Path

import pytest

from experiments import columns, faults, larger
from experiments.result_file import read_rows
from tests.conftest import run

pytestmark = pytest.mark.slow


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run commands with few epochs and without the time that a process takes to start."""

    def done(arguments: Sequence[str], _: Path) -> tuple[float, float, str]:
        short = ("--max-epochs", "8", "--repeats", "1") if arguments[0] == "rank" else ()
        given = [each for each in arguments if each not in {"--max-epochs", str(columns.N_EPOCHS)}]
        result = run(*given, *short)
        assert result.code == 0, result.err
        return 1.0, 0.2, result.out + result.err

    monkeypatch.setattr(larger, "run", done)
    monkeypatch.setattr(columns, "run", done)


def test_seconds_and_the_peak_are_those_of_a_process(tmp_path: Path) -> None:
    seconds, peak, printed = larger.run(["datasets"], tmp_path)
    assert seconds > 0.1
    assert 0.05 < peak < 2
    assert "process" in printed


@pytest.mark.usefixtures("in_this_process")
def test_a_table_larger_than_the_memory_allowed(tmp_path: Path) -> None:
    out = tmp_path / "larger.csv"
    sizes = ("--gigabytes", "0.004", "--max-memory", "0.0008", "--max-rows-of-file", "6000")
    larger.main([*sizes, "--out", str(out)])
    ranked, predicted = read_rows(out).to_dict("records")
    assert 400 < ranked["rows_read"] < 1_000 < ranked["rows"]
    assert ranked["drivers_first"] >= 3
    assert predicted["rows_read"] == 18_000


def test_killed_runs_leave_nothing_broken_and_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "N_ROWS", 120)
    monkeypatch.setattr(faults, "N_EPOCHS", 2)
    out = tmp_path / "faults.csv"
    faults.main(["--n-kills", "1", "--out", str(out)])
    found = read_rows(out)
    assert found["left"].isin(["absent", "whole"]).all()
    assert found["resumed"].tolist() == ["same"]
    assert found["state_removed"].all()


@pytest.mark.usefixtures("in_this_process")
def test_time_and_memory_by_columns(tmp_path: Path) -> None:
    columns.main(["--columns", "5", "--out", str(tmp_path / "columns.csv")])
    (found,) = read_rows(tmp_path / "columns.csv").to_dict("records")
    assert found["drivers_first"] == 3
