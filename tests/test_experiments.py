from pathlib import Path

import pandas as pd
import pytest

from experiments import accuracy, defaults, gpu, overhead, real_tables, speed, whole_fit
from experiments.splits import split_table
from experiments.tables import load_catalog
from tabattn.nn import tokens
from tests.test_ranking import DATA


@pytest.mark.slow
def test_speed_measures_and_keeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "speed.csv"
    command = f"speed --columns 3 4 --kinds mixed --batch-sizes 16 --what step attention --out {out}"
    monkeypatch.setattr("sys.argv", command.split())
    speed.main()
    table = pd.read_csv(out, comment="#")
    assert table.groupby(["columns", "what"])["model"].count().tolist() == [2, 4, 2, 4]
    assert (table["ms"] > 0).all()
    assert (table.loc[table["model"] == "rtdl, default", "ratio"] == 1).all()
    assert out.with_suffix(".png").stat().st_size > 0


@pytest.mark.slow
def test_speed_says_what_was_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "speed.csv"
    command = f"speed --columns 30 --batch-sizes 16 --what step --kinds numeric --max-gib 0.0001 --out {out}"
    monkeypatch.setattr("sys.argv", command.split())
    speed.main()
    table = pd.read_csv(out, comment="#").set_index("model")
    assert table["ms"].notna().to_dict()["tabattn, 1 member"]
    assert str(table["note"].to_dict()["rtdl, default"]).startswith("not measured: attention weights need about")


def test_accuracy_is_measured_once_and_summed_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = "name,file,target,task\nwine,wine.csv,cultivar,multiclass\n"
    (tmp_path / "catalog.csv").write_text(catalog, encoding="utf-8")
    (tmp_path / "wine.csv").write_bytes((DATA / "wine.csv").read_bytes())
    out = tmp_path / "accuracy.csv"
    command = f"accuracy --data {tmp_path} --models tabattn hist_gradient_boosting --seeds 0 --out {out}"
    monkeypatch.setattr("sys.argv", command.split())
    accuracy.main()
    first = out.read_bytes()
    accuracy.main()
    assert out.read_bytes() == first
    cells = pd.read_csv(out, comment="#")
    assert cells["model"].tolist() == ["tabattn", "hist_gradient_boosting"]
    assert cells["score"].between(0.8, 1).all()
    summary = pd.read_csv(out.with_name("accuracy_summary.csv"))
    assert sorted(summary["model"]) == ["hist_gradient_boosting", "tabattn"]
    assert summary["mean_rank"].sum() == 3


def test_defaults_are_compared_on_rows_that_are_not_test_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = "name,file,target,task\nwine,wine.csv,cultivar,multiclass\n"
    (tmp_path / "catalog.csv").write_text(catalog, encoding="utf-8")
    (tmp_path / "wine.csv").write_bytes((DATA / "wine.csv").read_bytes())
    out = tmp_path / "defaults.csv"
    options = ["--variants", "1 member", "8 bins", "--tables", "wine", "--seeds", "0", "--max-epochs", "12"]
    monkeypatch.setattr("sys.argv", ["defaults", "--data", str(tmp_path), *options, "--out", str(out)])
    before = tokens.N_BINS
    defaults.main()
    assert before == tokens.N_BINS
    first = out.read_bytes()
    defaults.main()
    assert out.read_bytes() == first
    cells = pd.read_csv(out, comment="#")
    assert cells["variant"].tolist() == ["default", "1 member", "8 bins"]
    assert cells["share_of_loss"].between(0, 0.9).all()
    assert cells["share_of_loss"].nunique() == 3
    summary = pd.read_csv(out.with_name("defaults_summary.csv")).set_index("variant")
    assert summary["loss_change_percent"].to_dict()["default"] == 0


def test_ranks_wins_and_ties() -> None:
    def cell(table: str, model: str, seed: int, score: float) -> dict[str, object]:
        return {"table": table, "model": model, "seed": seed, "score": score, "rmse_or_log_loss": 1 - score}

    cells = [
        *(cell("a", "tabattn", seed, score) for seed, score in enumerate([0.90, 0.92])),
        *(cell("a", "catboost", seed, 0.80) for seed in range(2)),
        *(cell("b", "tabattn", seed, 0.50) for seed in range(2)),
        *(cell("b", "catboost", seed, score) for seed, score in enumerate([0.45, 0.57])),
        *(cell("c", "tabattn", seed, 0.50) for seed in range(2)),
        *(cell("c", "catboost", seed, 0.60) for seed in range(2)),
    ]
    summary = accuracy.summarize(pd.DataFrame(cells)).set_index("model")
    assert summary[["ours_wins", "ties", "ours_losses"]].to_dict("index")["catboost"] == {
        "ours_wins": 1,
        "ties": 1,
        "ours_losses": 1,
    }
    assert summary["mean_rank"].to_dict() == {"catboost": 1.33, "tabattn": 1.67}
    assert summary["mean_loss_rank"].to_dict() == {"catboost": 1.33, "tabattn": 1.67}


def test_splits_are_the_published_ones_where_there_are_some(tmp_path: Path) -> None:
    rows = pd.DataFrame({"x": range(60), "y": [1.0, 2.0, None] * 20})
    rows.to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "catalog.csv").write_text("name,file,target,task\nt,t.csv,y,regression\n", encoding="utf-8")
    table = load_catalog(tmp_path)["t"]
    drawn = split_table(table)
    assert [len(part) for part in (drawn.train, drawn.validation, drawn.test)] == [25, 7, 8]
    assert not drawn.is_published
    (tmp_path / "splits").mkdir()
    parts = ["train"] * 20 + ["val"] * 20 + ["test"] * 20
    pd.DataFrame({"row": range(60), "split": parts}).to_csv(tmp_path / "splits" / "t.split.csv", index=False)
    published = split_table(table)
    assert published.is_published
    assert published.problem.X["x"].iloc[published.test].tolist() == [i for i in range(40, 60) if i % 3 != 2]
    assert published.problem.X["x"].iloc[published.validation].tolist() == [i for i in range(20, 40) if i % 3 != 2]


@pytest.mark.slow
def test_a_whole_fit_is_timed_and_scored_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = "name,file,target,task\ndiabetes,diabetes.csv,progression,regression\n"
    (tmp_path / "catalog.csv").write_text(catalog, encoding="utf-8")
    (tmp_path / "diabetes.csv").write_bytes((DATA / "diabetes.csv").read_bytes())
    out = tmp_path / "whole_fit.csv"
    monkeypatch.setattr("sys.argv", ["whole_fit", "--data", str(tmp_path), "--table", "diabetes", "--out", str(out)])
    monkeypatch.setattr(whole_fit, "CONTENDERS", {"tabattn, 1 member": None})
    whole_fit.main()
    first = out.read_bytes()
    whole_fit.main()
    assert out.read_bytes() == first
    [record] = pd.read_csv(out, comment="#").to_dict("records")
    assert record["model"] == "tabattn, 1 member"
    assert record["seconds"] > 0
    assert 40 < record["rmse"] < 75


@pytest.mark.slow
def test_overhead_measures_steps_and_readings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overhead, "N_ROWS", 2048)
    monkeypatch.setattr(overhead, "N_TURNS", 1)
    monkeypatch.setattr(overhead, "N_READ_ROWS", 300)
    monkeypatch.setattr(overhead, "MEMORY_ROWS", (300,))
    out = tmp_path / "overhead.csv"
    monkeypatch.setattr("sys.argv", ["overhead", "--out", str(out)])
    overhead.main()
    table = pd.read_csv(out, comment="#")
    assert table["unit"].value_counts().to_dict() == {"ms": 8, "s": 4, "ratio": 4, "MiB": 1}
    assert (table["value"] >= 0).all()


@pytest.mark.slow
def test_the_gpu_experiment_runs_on_a_cpu_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "gpu.csv"
    command = f"gpu --device cpu --rows 2000 --epochs 2 --batch-sizes 500 --out {out}"
    monkeypatch.setattr("sys.argv", command.split())
    gpu.main()
    table = pd.read_csv(out, comment="#")
    assert table["members"].tolist() == [1, 8]
    assert (table["rows_per_second"] > 100).all()


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
