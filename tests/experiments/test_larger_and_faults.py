from pathlib import Path

import pytest

from experiments import columns, faults, larger
from experiments.result_file import read_rows

pytestmark = pytest.mark.slow


def test_a_table_larger_than_the_memory_allowed(tmp_path: Path) -> None:
    out = tmp_path / "larger.csv"
    sizes = ("--gigabytes", "0.01", "--max-memory", "0.002", "--max-rows-of-file", "20000")
    larger.main([*sizes, "--out", str(out)])
    ranked, predicted = read_rows(out).to_dict("records")
    assert 500 < ranked["rows_read"] < 4_000 < ranked["rows"]
    assert ranked["drivers_first"] >= 4
    assert predicted["rows_read"] == 60_000
    assert min(ranked["peak_gb"], predicted["peak_gb"]) > 0.1


def test_killed_runs_leave_nothing_broken_and_go_on(tmp_path: Path) -> None:
    out = tmp_path / "faults.csv"
    faults.main(["--n-kills", "1", "--out", str(out)])
    found = read_rows(out)
    assert found["left"].isin(["absent", "whole"]).all()
    assert found["resumed"].tolist() == ["same"]
    assert found["state_removed"].all()


def test_time_and_memory_by_columns(tmp_path: Path) -> None:
    columns.main(["--columns", "5", "--out", str(tmp_path / "columns.csv")])
    (found,) = read_rows(tmp_path / "columns.csv").to_dict("records")
    assert found["drivers_first"] == 3
    assert found["peak_gb"] > 0.1
