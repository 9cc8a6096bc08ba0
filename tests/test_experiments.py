from pathlib import Path

import pandas as pd
import pytest

from experiments import real_tables, speed
from experiments.tables import load_catalog
from tests.test_ranking import DATA


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


def test_real_tables_are_measured_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    catalog = "name,file,target,task\nwine,wine.csv,cultivar,multiclass\n"
    (tmp_path / "catalog.csv").write_text(catalog, encoding="utf-8")
    (tmp_path / "wine.csv").write_bytes((DATA / "wine.csv").read_bytes())
    out = tmp_path / "out.csv"
    command = f"real_tables --data {tmp_path} --tables wine --max-epochs 1 --out {out}"
    monkeypatch.setattr("sys.argv", command.split())
    real_tables.main()
    first = out.read_bytes()
    real_tables.main()
    assert out.read_bytes() == first
    table = pd.read_csv(out, comment="#")
    assert list(table.iloc[0])[:4] == ["wine", 178, 13, "accuracy"]


def test_a_directory_without_a_catalog_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"must be a directory with catalog\.csv"):
        load_catalog(tmp_path)
