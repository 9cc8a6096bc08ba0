from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from experiments import agreement, contenders, holes, kinds
from experiments.machine import CODE, CODE_OF_FITS
from experiments.splits import SplitTable
from tabattn import TabAttnClassifier
from tabattn.table.problem import Problem
from tests.experiments.helpers import OTHER_CODE, read, replace_in, run_twice, write_catalog, write_small_table


@pytest.mark.slow
def test_agreement_is_measured_once_and_summed_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = partial(TabAttnClassifier, n_layers=2, n_members=2, d_token=16, learning_rate=1e-2)
    monkeypatch.setattr(agreement, "TabAttnClassifier", small)
    write_small_table(tmp_path)
    out, fits, cells = tmp_path / "agreement.csv", tmp_path / "fits", tmp_path / "agreement_scores.csv"
    command = f"--data {tmp_path} --tables small --baseline-tables small --seeds 0 1 --max-epochs 12 --keep-fits {fits}"
    arguments = [*command.split(), "--out", str(out)]
    run_twice(agreement.main, arguments, cells)
    assert sorted(path.name for path in fits.iterdir()) == [f"small-{seed}-{CODE_OF_FITS}.joblib" for seed in (0, 1)]
    assert (tmp_path / "agreement.png").stat().st_size > 10_000
    summary = read(out)
    scores = summary[summary["table"] == "small"].set_index(["model", "method"])
    assert {method for model, method in scores.index if model == "tabattn"} >= {*agreement.COMPARED, agreement.CEILING}
    assert [method for model, method in scores.index if model != "tabattn"] == [agreement.CEILING, "mean"]
    assert scores["spearman"][("tabattn", "contribution")] > 0.7
    assert scores["stability"].between(-1, 1).all()

    first = read(cells)
    first.assign(norm=np.nan).to_csv(cells, index=False)
    agreement.main(arguments)
    keys = [*agreement.KEYS, "feature"]
    filled = first.merge(read(cells), on=keys, suffixes=("", "_filled"))
    pd.testing.assert_series_equal(filled["norm_filled"], filled["norm"], check_names=False)
    pd.testing.assert_series_equal(filled["permutation_filled"], filled["permutation"], check_names=False)

    replace_in(cells, f",{CODE}\n", f",{OTHER_CODE}\n")
    agreement.main([*arguments, "--seeds", "0", "--stale"])
    codes = read(cells).groupby("seed")["code"].unique().map(list).to_dict()
    assert codes == {0: [CODE], 1: [OTHER_CODE]}


def test_kinds_are_measured_once_and_summed_up(tmp_path: Path) -> None:
    write_small_table(tmp_path)
    out = tmp_path / "kinds.csv"
    sizes = "--encoders class gpt --max-epochs 2 --pretrain-epochs 1 --repeats 1"
    command = f"--data {tmp_path} --tables small --seeds 0 {sizes} --out {out}"
    run_twice(kinds.main, command.split(), out)
    cells = read(out)
    assert len(cells) == len(cells.drop_duplicates(list(kinds.KEYS))) == 8
    assert cells["scores"].map(lambda each: len(each.split(";"))).eq(4).all()
    summary = read(tmp_path / "kinds_summary.csv")
    assert summary.groupby(["encoder", "pretrain", "known"]).ngroups == len(summary) == 8
    assert summary["score"].between(0, 1).all()
    assert (tmp_path / "kinds.png").stat().st_size > 10_000


def test_kinds_are_averaged_over_tables_that_all_were_measured_on() -> None:
    def cell(encoder: str, table: str, seed: int, score: float, scores: str) -> dict[str, object]:
        measures = {"score": score, "agreement": 1.0, "seconds": 1.0, "scores": scores}
        return {"encoder": encoder, "pretrain": "none", "known": 1.0, "table": table, "seed": seed} | measures

    cells = [
        cell("class", "a", 0, 0.5, "1;2;3"),
        cell("class", "a", 1, 0.7, "1;3;2"),
        cell("gpt", "a", 0, 0.9, "1;2;3"),
        cell("class", "b", 0, 0.0, "1;2;3"),
    ]
    summary = kinds.summarize(pd.DataFrame(cells)).set_index("encoder")
    assert summary["score"].to_dict() == pytest.approx({"class": 0.6, "gpt": 0.9})
    assert summary["stability"].to_dict() == pytest.approx({"class": 0.5, "gpt": np.nan}, nan_ok=True)
    assert summary["n_tables"].tolist() == [1, 1]


def test_tables_with_missing_values_are_ranked(tmp_path: Path) -> None:
    write_catalog(tmp_path, "wine", "diabetes")
    out = tmp_path / "holes.csv"
    sizes = "--fractions 0 0.5 --seeds 0 --max-epochs 1 --repeats 1"
    command = f"--data {tmp_path} --tables wine --incomplete-tables diabetes {sizes} --out {out}"
    run_twice(holes.main, command.split(), out)
    summary = read(tmp_path / "holes_summary.csv").set_index("tables")
    assert summary.index.tolist() == ["diabetes", "full tables", "full tables"]
    assert summary["missing"].tolist() == pytest.approx([0, 0, 0.5], abs=0.1)
    assert summary["attention_as_full"].notna().tolist() == [False, False, True]


def test_the_published_formula_is_the_mean_attention_of_cls() -> None:
    """Against the attention that the last layer's own products give, the first layers being taken away."""
    random = np.random.default_rng(0)
    X = pd.DataFrame({"a": random.normal(size=60), "c": random.choice(["u", "v"], 60), "b": random.normal(size=60)})
    y = pd.Series((X["a"] > 0).astype(int), name="y")
    rows = np.arange(60)
    table = SplitTable(
        Problem(X, y, "classification", X.head(0), X[[]]), rows[:40], rows[40:50], rows[50:], is_published=False
    )
    fitted = contenders.fit_ft_transformer(table, 0, max_epochs=1)
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
