from pathlib import Path

import pytest

from experiments import gpu, overhead, speed
from tests.experiments.helpers import read, run_twice


@pytest.mark.slow
def test_speed_measures_and_keeps(tmp_path: Path) -> None:
    out = tmp_path / "speed.csv"
    models = ["tabattn, 1 member", "rtdl, default"]
    command = f"--columns 3 4 --kinds mixed --batch-sizes 16 --what step attention --out {out} --models"
    run_twice(speed.main, [*command.split(), *models], out)
    table = read(out)
    assert table.groupby(["columns", "what"])["model"].count().tolist() == [1, 2, 1, 2]
    assert (table["ms"] > 0).all()
    assert (table.loc[table["model"] == "rtdl, default", "ratio"] == 1).all()
    assert out.with_suffix(".png").stat().st_size > 0


@pytest.mark.slow
def test_speed_says_what_was_not_measured(tmp_path: Path) -> None:
    out = tmp_path / "speed.csv"
    models = ["tabattn, 1 member", "rtdl, default"]
    command = f"--columns 30 --batch-sizes 16 --what step --kinds numeric --max-gib 0.002 --out {out} --models"
    speed.main([*command.split(), *models])
    table = read(out).set_index("model")
    assert table["ms"].notna().to_dict() == {"tabattn, 1 member": True, "rtdl, default": False}
    assert str(table["note"].to_dict()["rtdl, default"]).startswith("not measured: needs about")


@pytest.mark.slow
def test_overhead_measures_steps_and_readings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overhead, "N_COLUMNS", 3)
    out = tmp_path / "overhead.csv"
    sizes = "--step-rows 257 --read-rows 20 --memory-rows 100 --wide-rows 20 --wide-columns 3 --turns 1"
    overhead.main([*sizes.split(), "--out", str(out)])
    table = read(out)
    assert table["unit"].value_counts().to_dict() == {"s": 16, "ratio": 12, "ms": 8, "MiB": 1}
    assert (table.loc[table["unit"] != "ms", "value"] >= 0).all()
    assert f"experiments.overhead {sizes}; " in out.read_text(encoding="utf-8").splitlines()[0]


@pytest.mark.slow
def test_the_gpu_experiment_runs_on_a_cpu_too(tmp_path: Path) -> None:
    out = tmp_path / "gpu.csv"
    gpu.main(f"--device cpu --rows 2000 --epochs 2 --batch-sizes 500 --out {out}".split())
    table = read(out)
    assert table["members"].tolist() == [1, 8]
    assert (table["rows_per_second"] > 100).all()
