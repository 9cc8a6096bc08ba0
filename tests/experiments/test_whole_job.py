from pathlib import Path

import pytest

from experiments import phases, whole_job
from tests.experiments.helpers import read, run_twice, write_catalog


@pytest.mark.slow
def test_whole_jobs_are_timed_and_compared(tmp_path: Path) -> None:
    write_catalog(tmp_path, "wine", "diabetes", is_small=True)
    out = tmp_path / "whole_job.csv"
    command = f"--data {tmp_path} --contenders tabattn random_forest --out {out}"
    run_twice(whole_job.main, command.split(), out)
    cells = read(out)
    assert cells.groupby("table")["contender"].agg(list).tolist() == [["tabattn", "random_forest"]] * 2
    assert (cells["cpu_seconds"] > 0).all()
    assert cells["score"].between(0, 1).all()
    ours = cells["contender"] == "tabattn"
    assert cells.loc[ours, "spearman"].notna().all()
    summary = read(tmp_path / "whole_job_summary.csv").set_index("table")
    seconds = cells.set_index(["table", "contender"])["cpu_seconds"]
    expected = seconds["wine", "tabattn"] / seconds["wine", "random_forest"]
    assert summary.loc["wine", "tabattn / random_forest"] == pytest.approx(expected, abs=0.01)
    assert summary.index.tolist() == ["diabetes", "wine", "median"]


@pytest.mark.slow
def test_phases_add_up(tmp_path: Path) -> None:
    write_catalog(tmp_path, "wine", is_small=True)
    out = tmp_path / "phases.csv"
    run_twice(phases.main, f"--data {tmp_path} --tables wine --out {out}".split(), out)
    (cell,) = read(out).to_dict("records")
    parts = ["import", "import of Lightning", "training", "shuffles", "scores", "gradient boosting", "tests"]
    parts += ["interactions", "sufficient set", "effects", "write"]
    parts.append("else")
    assert all(cell[name] >= 0 for name in parts)
    assert sum(cell[name] for name in parts) == pytest.approx(cell["all"], abs=0.1)
    assert 1 <= cell["best epoch"] <= cell["epochs"]
