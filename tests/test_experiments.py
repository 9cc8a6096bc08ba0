from pathlib import Path

import pandas as pd
import pytest

from experiments import speed


def test_speed_measures_and_keeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "speed.csv"
    monkeypatch.setattr("sys.argv", ["speed", "--steps", "1", "--columns", "3", "--out", str(out)])
    speed.main()
    table = pd.read_csv(out, comment="#")
    assert table["model"].tolist() == [
        "class attention, 1 member",
        "class attention, 8 members",
        "rtdl FT-Transformer, default",
    ]
    assert (table["ms_per_step"] > 0).all()
    assert out.read_text(encoding="utf-8").startswith("# python -m experiments.speed; 256 rows per step; ")
