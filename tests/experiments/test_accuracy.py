from pathlib import Path

import pandas as pd
import pytest

from experiments import accuracy, every_table, whole_fit
from experiments.machine import CODE
from tests.experiments.helpers import OTHER_CODE, read, replace_in, run_twice, write_catalog


def test_accuracy_is_measured_once_and_summed_up(tmp_path: Path) -> None:
    write_catalog(tmp_path, "wine")
    out = tmp_path / "accuracy.csv"
    command = f"--data {tmp_path} --models tabattn hist_gradient_boosting --seeds 0 --out {out}"
    run_twice(accuracy.main, command.split(), out)
    cells = read(out)
    assert cells["model"].tolist() == ["tabattn", "hist_gradient_boosting"]
    assert cells["score"].between(0.8, 1).all()
    summary = read(tmp_path / "accuracy_summary.csv")
    assert sorted(summary["model"]) == ["hist_gradient_boosting", "tabattn"]
    assert summary["mean_rank"].sum() == 3


def test_fits_that_are_kept_predict_the_same(tmp_path: Path) -> None:
    write_catalog(tmp_path, "wine")
    found: list[pd.Series[float]] = []
    for more in ("", f"--keep-fits {tmp_path / 'fits'}", f"--keep-fits {tmp_path / 'fits'}"):
        out = tmp_path / f"{len(found)}.csv"
        accuracy.main(f"--data {tmp_path} --models tabattn --seeds 0 --out {out} {more}".split())
        found.append(read(out).iloc[0])
    assert [each["rmse_or_log_loss"] for each in found] == [found[0]["rmse_or_log_loss"]] * 3
    assert [pd.isna(each["seconds"]) for each in found] == [False, True, True]
    assert len([*(tmp_path / "fits").iterdir()]) == 1


def test_stale_cells_are_measured_again_only_where_that_is_asked_for(tmp_path: Path) -> None:
    write_catalog(tmp_path, "wine", "diabetes")
    out = tmp_path / "accuracy.csv"
    command = f"--data {tmp_path} --models hist_gradient_boosting --seeds 0 --out {out}".split()
    accuracy.main(command)
    replace_in(out, CODE, OTHER_CODE, 1)
    run_twice(accuracy.main, command, out)
    cells = pd.read_csv(out, comment="#", dtype=str)
    assert dict(zip(cells["table"], cells["code"], strict=True)) == {"wine": OTHER_CODE, "diabetes": CODE}
    run_twice(accuracy.main, [*command, "--stale"], out)
    assert read(out)["table"].tolist() == ["diabetes", "wine"]
    assert read(out)["code"].unique().tolist() == [CODE]


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


@pytest.mark.slow
def test_a_whole_fit_is_timed_and_scored_once(tmp_path: Path) -> None:
    write_catalog(tmp_path, "diabetes")
    out = tmp_path / "whole_fit.csv"
    model = "tabattn, 1 member, 12 epochs"
    run_twice(
        whole_fit.main, ["--data", str(tmp_path), "--table", "diabetes", "--models", model, "--out", str(out)], out
    )
    [record] = read(out).to_dict("records")
    assert record["model"] == model
    assert record["seconds"] > 0
    assert 40 < record["rmse"] < 75


@pytest.mark.slow
def test_every_table_is_ranked_once(tmp_path: Path) -> None:
    write_catalog(tmp_path, "wine", is_small=True)
    (tmp_path / "broken.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with (tmp_path / "catalog.csv").open("a", encoding="utf-8") as catalog:
        catalog.write("broken,broken.csv,b,regression\n")
    out = tmp_path / "every_table.csv"
    run_twice(every_table.main, ["--data", str(tmp_path), "--max-epochs", "15", "--out", str(out)], out)
    results = read(out).set_index("table")
    assert results["exit_code"].to_dict() == {"broken": 2, "wine": 0}
    assert results["tabattn"].to_dict()["wine"] > results["dummy"].to_dict()["wine"]
