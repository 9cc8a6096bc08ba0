import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from experiments import (
    accuracy,
    agreement,
    contenders,
    defaults,
    every_table,
    fuzz,
    gpu,
    ground_truth,
    holes,
    kinds,
    overhead,
    speed,
    synthetic,
    whole_fit,
)
from experiments.splits import SplitTable, split_table
from experiments.tables import load_catalog
from tabattn import TabAttnClassifier
from tabattn.importance.methods import METHODS
from tabattn.nn import tokens
from tabattn.table.problem import Problem
from tests.conftest import DATA, FAST


@pytest.mark.slow
def test_speed_measures_and_keeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "speed.csv"
    command = f"speed --columns 3 4 --kinds mixed --batch-sizes 16 --what step attention --out {out}"
    monkeypatch.setattr("sys.argv", command.split())
    speed.main()
    table = pd.read_csv(out, comment="#")
    assert table.groupby(["columns", "what"])["model"].count().tolist() == [3, 5, 3, 5]
    assert (table["ms"] > 0).all()
    assert (table.loc[table["model"] == "rtdl, default", "ratio"] == 1).all()
    assert out.with_suffix(".png").stat().st_size > 0


@pytest.mark.slow
def test_speed_says_what_was_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "speed.csv"
    command = f"speed --columns 30 --batch-sizes 16 --what step --kinds numeric --max-gib 0.002 --out {out}"
    monkeypatch.setattr("sys.argv", command.split())
    speed.main()
    table = pd.read_csv(out, comment="#").set_index("model")
    assert table["ms"].notna().to_dict()["tabattn, 1 member"]
    assert str(table["note"].to_dict()["rtdl, default"]).startswith("not measured: needs about")


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
    monkeypatch.setattr(overhead, "MAX_OWN_TOKEN_ROWS", 299)
    monkeypatch.setattr(overhead, "N_WIDE_ROWS", 50)
    monkeypatch.setattr(overhead, "N_WIDE_COLUMNS", 5)
    out = tmp_path / "overhead.csv"
    monkeypatch.setattr("sys.argv", ["overhead", "--out", str(out)])
    overhead.main()
    table = pd.read_csv(out, comment="#")
    assert table["unit"].value_counts().to_dict() == {"s": 14, "ratio": 10, "ms": 8, "MiB": 1}
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


@pytest.mark.slow
def test_agreement_is_measured_once_and_summed_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = "name,file,target,task\nwine,wine.csv,cultivar,multiclass\n"
    (tmp_path / "catalog.csv").write_text(catalog, encoding="utf-8")
    (tmp_path / "wine.csv").write_bytes((DATA / "wine.csv").read_bytes())
    monkeypatch.setattr(agreement, "SCORES", tmp_path / "scores.csv")
    monkeypatch.setattr(agreement, "SUMMARY", tmp_path / "agreement.csv")
    monkeypatch.setattr(agreement, "BASELINE_TABLES", ("wine",))
    monkeypatch.setattr(contenders, "NEURAL_EPOCHS", 3)
    command = f"agreement --data {tmp_path} --tables wine --seeds 0 1 --keep-fits {tmp_path / 'fits'}"
    monkeypatch.setattr("sys.argv", command.split())
    agreement.main()
    first = (tmp_path / "scores.csv").read_bytes()
    agreement.main()
    assert (tmp_path / "scores.csv").read_bytes() == first
    assert sorted(path.name for path in (tmp_path / "fits").iterdir()) == ["wine-0.joblib", "wine-1.joblib"]
    assert (tmp_path / "agreement.png").stat().st_size > 10_000
    summary = pd.read_csv(tmp_path / "agreement.csv", comment="#")
    wine = summary[summary["table"] == "wine"].set_index(["model", "method"])
    assert {method for model, method in wine.index if model == "tabattn"} >= {*METHODS, agreement.CEILING}
    assert [method for model, method in wine.index if model != "tabattn"] == [agreement.CEILING, "mean"]
    assert wine["spearman"][("tabattn", "contribution")] > 0.7
    assert wine["stability"].between(-1, 1).all()


def run_twice(main: Callable[[], None], cells: Path) -> None:
    """Measure, and see that nothing is measured again."""
    main()
    first = cells.read_bytes()
    main()
    assert cells.read_bytes() == first


def write_catalog(directory: Path) -> None:
    catalog = "name,file,target,task\nwine,wine.csv,cultivar,multiclass\n"
    (directory / "catalog.csv").write_text(catalog, encoding="utf-8")
    (directory / "wine.csv").write_bytes((DATA / "wine.csv").read_bytes())


def test_kinds_are_measured_once_and_summed_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_catalog(tmp_path)
    monkeypatch.setattr(kinds, "CELLS", tmp_path / "kinds.csv")
    monkeypatch.setattr(kinds, "SUMMARY", tmp_path / "kinds_summary.csv")
    monkeypatch.setattr(kinds, "ENCODERS", ("class", "gpt"))
    monkeypatch.setattr(kinds, "N_EPOCHS", 2)
    monkeypatch.setattr(kinds, "N_REPEATS", 1)
    monkeypatch.setattr("tabattn.fitted.fit.PRETRAIN_EPOCHS", 1)
    monkeypatch.setattr("sys.argv", f"kinds --data {tmp_path} --tables wine --seeds 0 1".split())
    run_twice(kinds.main, tmp_path / "kinds.csv")
    cells = pd.read_csv(tmp_path / "kinds.csv", comment="#")
    assert len(cells) == len(cells.drop_duplicates(list(kinds.KEYS))) == 16
    assert cells["scores"].map(lambda each: len(each.split(";"))).eq(13).all()
    summary = pd.read_csv(tmp_path / "kinds_summary.csv", comment="#")
    assert summary.groupby(["encoder", "pretrain", "known"]).ngroups == len(summary) == 8
    assert summary["score"].between(0, 1).all()
    assert summary["stability"].between(-1, 1).all()
    assert (tmp_path / "kinds.png").stat().st_size > 10_000


def test_the_published_formula_is_the_mean_attention_of_cls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the attention that the last layer's own products give, the first layers being taken away."""
    monkeypatch.setattr(contenders, "NEURAL_EPOCHS", 1)
    random = np.random.default_rng(0)
    X = pd.DataFrame({"a": random.normal(size=60), "c": random.choice(["u", "v"], 60), "b": random.normal(size=60)})
    y = pd.Series((X["a"] > 0).astype(int), name="y")
    rows = np.arange(60)
    table = SplitTable(
        Problem(X, y, "classification", X.head(0)), rows[:40], rows[40:50], rows[50:], is_published=False
    )
    fitted = contenders.fit_ft_transformer(table, 0)
    backbone: Any = fitted.network.backbone
    backbone.blocks = backbone.blocks[-1:]
    scores = agreement.published_scores(fitted, X)
    assert list(scores.index) == ["a", "b", "c"]
    with torch.no_grad():
        cells = fitted.cells(X)
        network: Any = fitted.network.eval()
        tokens = [
            network.cls_embedding((60,)),
            network.cont_embeddings(cells.numeric),
            network.cat_embeddings(cells.codes),
        ]
        block = backbone.blocks[0]
        x = torch.cat(tokens, dim=1)
        x = block["attention_normalization"](x) if "attention_normalization" in block else x
        attention = block["attention"]
        n_heads = attention._n_heads
        query, key = (part(x).unflatten(-1, (n_heads, -1)) for part in (attention.W_q, attention.W_k))
        products = torch.einsum("bhd,bthd->bht", query[:, 0], key) / query.shape[-1] ** 0.5
        expected = products.softmax(dim=-1).mean(dim=(0, 1))[1:]
    np.testing.assert_allclose(scores.to_numpy(), expected.numpy(), rtol=1e-4)


def test_drawn_tables_follow_their_formulas() -> None:
    for name, drivers in (("Syn1", {0, 1}), ("Syn2", {2, 3, 4, 5}), ("Syn3", {6, 7, 8, 9})):
        known = synthetic.syn(name, 50, 11, 0)
        assert set(np.flatnonzero(known.is_driver.all(axis=0))) == drivers == set(np.flatnonzero(known.is_driver[0]))
    many = synthetic.syn("Syn1", 40_000, 11, 0)
    probability = 1 / (1 + np.exp(many.X["x1"].to_numpy() * many.X["x2"].to_numpy()))
    for low, high in ((0.2, 0.4), (0.6, 0.8)):
        rows = (low < probability) & (probability < high)
        assert many.y[rows].mean() == pytest.approx(probability[rows].mean(), abs=0.02)
    switched = synthetic.syn("Syn5", 200, 11, 0)
    below = (switched.X["x11"] < 0).to_numpy()
    assert set(map(tuple, switched.is_driver[below].tolist())) == {tuple(i in {0, 1, 10} for i in range(11))}
    assert set(map(tuple, switched.is_driver[~below].tolist())) == {tuple(i in {6, 7, 8, 9, 10} for i in range(11))}
    xor = synthetic.small_and_wide("xor", 100, 6, 0)
    assert (xor.y == ((xor.X["x1"] > 0.5) != (xor.X["x2"] > 0.5))).all()
    for name in ("ring", "ring+xor"):
        assert 0.35 < synthetic.small_and_wide(name, 5_000, 6, 0).y.mean() < 0.65  # type: ignore[arg-type]


def test_added_columns_are_noise_copies_and_products() -> None:
    X = pd.DataFrame(np.random.default_rng(1).normal(size=(5_000, 3)) * [1, 10, 100], columns=["a", "b", "c"])
    random, corrupted, products = (synthetic.with_noise(X, kind, 0) for kind in ("random", "corrupted", "products"))
    assert list(random.columns) == ["a", "b", "c", "added_1", "added_2", "added_3"]
    assert abs(random["a"].corr(random["added_1"])) < 0.05
    assert corrupted["added_2"].std() == pytest.approx(X["b"].std() * 0.5**0.5, rel=0.05)
    assert corrupted["b"].corr(corrupted["added_2"]) == pytest.approx(0.5**0.5, abs=0.03)
    pairs = [X[first] * X[second] for first, second in (("a", "b"), ("a", "c"), ("b", "c"))]
    assert all(any(np.allclose(products[f"added_{i}"], pair) for pair in pairs) for i in (1, 2, 3))


def test_discoveries_are_counted_by_row() -> None:
    is_driver = np.array([[True, True, False], [True, False, False]])
    known = synthetic.KnownTable(pd.DataFrame(), np.zeros(2), is_driver)
    selected = np.array([[True, False, False], [True, True, True]])
    np.testing.assert_allclose(ground_truth.discoveries(selected, known), (75.0, 100 / 3))
    local = pd.DataFrame(np.random.default_rng(0).normal([0.0, 1.0, -1.0], 1.0, size=(200, 3)))
    assert ground_truth.selected_globally(local).tolist() == [False, True, False]
    assert ground_truth.recall_at_k(pd.Series([1, 2, 3], index=["a", "b", "c"]), {"a", "c"}) == 0.5


def test_columns_are_selected_where_they_matter() -> None:
    random = np.random.default_rng(0)
    X = pd.DataFrame(random.normal(size=(2_000, 3)), columns=["a", "b", "switch"])
    matters = np.column_stack([X["switch"] < 0, X["switch"] >= 0, np.ones(len(X), dtype=bool)])
    local = pd.DataFrame(matters + random.normal(size=X.shape))
    selected = ground_truth.selected_by_region(X[:1_500], local[:1_500], X[1_500:])
    assert (selected == matters[1_500:]).mean() > 0.98


def test_ground_truth_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, value in {"SYN_ROWS": 200, "N_JUDGED": 50, "WIDE_ROWS": 60}.items():
        monkeypatch.setattr(ground_truth, number, value)
    monkeypatch.setattr(ground_truth, "CELLS", tmp_path / "cells.csv")
    monkeypatch.setattr(ground_truth, "SUMMARY", tmp_path / "summary.csv")
    monkeypatch.setattr(ground_truth, "REAL_DRIVERS", {})
    monkeypatch.setattr(ground_truth, "NOISE_TABLES", ())
    monkeypatch.setattr(ground_truth, "TabAttnClassifier", functools.partial(TabAttnClassifier, **FAST))
    (tmp_path / "catalog.csv").write_text("name,file,target,task\n", encoding="utf-8")
    command = f"ground_truth --data {tmp_path} --tables Syn4 xor --columns 11 128"
    monkeypatch.setattr("sys.argv", command.split())
    run_twice(ground_truth.main, tmp_path / "cells.csv")
    summary = pd.read_csv(tmp_path / "summary.csv", comment="#")
    assert set(summary["table"]) == {"Syn4", "xor"}
    shares = summary[summary["measure"].isin(["true discoveries", "false discoveries"])]
    assert len(shares) == 4
    assert shares["value" if "value" in shares else "mean"].between(0, 100).all()
    assert summary["published"].str.contains("Hide-and-Seek 99/4").any()


def test_tables_are_ranked_with_holes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holes, "CELLS", tmp_path / "holes.csv")
    monkeypatch.setattr(holes, "SUMMARY", tmp_path / "holes_summary.csv")
    for name, value in {"N_EPOCHS": 1, "N_REPEATS": 1, "SEEDS": (0,), "SHARES": (0.0, 0.5)}.items():
        monkeypatch.setattr(holes, name, value)
    monkeypatch.setattr(holes, "FULL_TABLES", ("wine",))
    monkeypatch.setattr(holes, "TABLES_WITH_HOLES", ())
    write_catalog(tmp_path)
    monkeypatch.setattr("sys.argv", f"holes --data {tmp_path}".split())
    run_twice(holes.main, tmp_path / "holes.csv")
    summary = pd.read_csv(tmp_path / "holes_summary.csv", comment="#")
    assert summary["missing"].tolist() == pytest.approx([0, 0.5], abs=0.1)
    assert summary["attention_as_full"].notna().tolist() == [False, True]


def test_a_directory_without_a_catalog_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"must be a directory with catalog\.csv"):
        load_catalog(tmp_path)


def test_changed_files_are_ranked_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", f"fuzz --n 8 --seed 1 --out {tmp_path / 'fuzz.csv'}".split())
    fuzz.main()
    counts = pd.read_csv(tmp_path / "fuzz.csv", comment="#")
    assert counts["files"].sum() == 8
    assert set(counts["outcome"]) == {"ranked", "refused"}
    whole = b"a,b\n1,2\n" * 20
    changed = [fuzz.mutate(whole, np.random.default_rng(seed)) for seed in range(20)]
    assert all(each != whole for each in changed)


def test_a_traceback_is_a_defect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("no")

    monkeypatch.setattr("tabattn.cli.rank", broken)
    monkeypatch.setattr("sys.argv", f"fuzz --n 1 --out {tmp_path / 'fuzz.csv'}".split())
    fuzz.main()
    assert pd.read_csv(tmp_path / "fuzz.csv", comment="#")["outcome"].tolist() == ["defect"]
    assert (tmp_path / "fuzz_defect_0.csv").exists()


@pytest.mark.slow
def test_every_table_is_ranked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (DATA / "wine.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "wine.csv").write_text("\n".join([lines[0], *lines[1::4]]), encoding="utf-8")
    (tmp_path / "broken.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    catalog = "name,file,target,task\nwine,wine.csv,cultivar,multiclass\nbroken,broken.csv,b,regression\n"
    (tmp_path / "catalog.csv").write_text(catalog, encoding="utf-8")
    out = tmp_path / "every_table.csv"
    monkeypatch.setattr("sys.argv", ["every_table", "--data", str(tmp_path), "--out", str(out)])
    every_table.main()
    first = out.read_bytes()
    every_table.main()
    assert out.read_bytes() == first
    results = pd.read_csv(out, comment="#").set_index("table")
    assert results["exit_code"].to_dict() == {"broken": 2, "wine": 0}
    assert results["tabattn"].to_dict()["wine"] > results["dummy"].to_dict()["wine"]
