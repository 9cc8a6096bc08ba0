"""The kinds of transformer behind the estimators."""

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest

from tabattn import TabAttnClassifier, TabAttnRegressor, load
from tabattn.errors import ParameterError
from tabattn.importance.methods import METHODS
from tabattn.nn.mixing import MixingKind
from tabattn.nn.tokens import Cells
from tabattn.ranking import rank
from tabattn.training.pretraining import Reconstruction, pretrain
from tabattn.training.settings import TrainingSettings
from tests.conftest import DATA, FAST, run

KINDS: tuple[MixingKind, ...] = get_args(MixingKind)


@pytest.mark.slow
def test_each_kind_predicts_nearly_as_well_as_the_default_and_finds_the_five_drivers() -> None:
    table = pd.read_csv(DATA / "friedman.csv")
    X, y = table.iloc[:, :-1], table.iloc[:, -1]
    X, y = X[:800], y[:800]
    settings: dict[str, Any] = {
        "max_epochs": 30,
        "batch_size": 100,
        "learning_rate": 2e-2,
        "n_members": 1,
        "n_layers": 2,
        "d_token": 16,
        "random_state": 0,
    }
    default = TabAttnRegressor(**settings).fit(X[:600], y[:600]).score(X[600:], y[600:])
    for kind in KINDS:
        est = TabAttnRegressor(encoder=kind, **settings).fit(X[:600], y[:600])
        assert est.score(X[600:], y[600:]) > 0.95 * default, kind
        for method in ("contribution", "swap"):
            ranked = est.importance_table(X[600:], y[600:], method=method)["feature"]
            assert set(ranked[:5]) == {"x1", "x2", "x3", "x4", "x5"}, (kind, method)
        assert set(X.columns[np.argsort(-est.feature_importances_)[:5]]) == {"x1", "x2", "x3", "x4", "x5"}


@pytest.mark.parametrize("kind", KINDS)
def test_all_that_an_estimator_does_is_done_by_each_kind(mixed: pd.DataFrame, kind: MixingKind, tmp_path: Path) -> None:
    X, y = mixed.drop(columns="y").assign(same=1), np.where(mixed["y"] > 0, "high", "low")
    order: dict[str, Any] = {"column_order": pd.Index(["noise", "line"])} if kind == "gpt" else {}
    est = TabAttnClassifier(
        **(FAST | {"max_epochs": 8}), encoder=kind, pretrain="auto", pretrain_epochs=2, random_state=0, **order
    )
    est.fit(X, y, unlabelled=X.sample(frac=0.5, random_state=0))
    assert est.score(X, y) > 0.8
    assert est.pretraining_history_.shape == (2, 2)
    assert est.attention_history_.loc["train"].index.tolist() == est.attention_history_.loc["eval"].index.tolist()
    maps = est.attention(X[:5])
    n_columns = X.shape[1]
    assert maps.weights.shape == (5, 2, 1, 2, n_columns)
    assert maps.between is not None
    assert maps.between.shape == (5, 2, 1, 2, n_columns, n_columns)
    is_constant = [name == "same" for name in X]
    assert (maps.between[..., is_constant] == 0).all()
    assert (maps.between[..., is_constant, :] == 0).all()
    assert maps.between.sum(axis=-1).max() < 1 + 1e-5
    if kind == "t5":
        np.testing.assert_allclose(maps.weights.sum(axis=-1), 1, rtol=1e-5)
    if kind == "gpt":  # `noise` is first, so it sees nothing but itself; then comes `line`, then the others
        noise, line, heat = (list(X).index(name) for name in ("noise", "line", "heat"))
        np.testing.assert_allclose(maps.between[..., noise, noise], 1, rtol=1e-5)
        np.testing.assert_allclose(maps.between[..., line, noise] + maps.between[..., line, line], 1, rtol=1e-5)
        assert (maps.between[..., heat, line] > 0).all()
    for method in METHODS:
        local = est.explain(X[:40], y[:40], method=method)
        table = est.importance_table(X[:40], y[:40], method=method).set_index("feature")["importance"]
        np.testing.assert_allclose(local.mean().clip(lower=0), table[X.columns], atol=1e-8)
    est.save(tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert (loaded.predict_proba(X) == est.predict_proba(X)).all()
    pd.testing.assert_frame_equal(loaded.explain(X[:9]), est.explain(X[:9]))
    np.testing.assert_array_equal(loaded.attention(X[:5]).between, maps.between)
    pd.testing.assert_frame_equal(loaded.pretraining_history_, est.pretraining_history_)


@pytest.mark.parametrize("kind", ["class", "roberta"])
def test_rows_without_a_target_teach_what_goes_with_what(kind: Any) -> None:
    """Ten noisy columns follow one hidden number; forty rows know the target, 800 do not."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=1240)
    X = pd.DataFrame(hidden[:, None] + 0.5 * rng.normal(size=(1240, 10)))
    y, known, new = hidden**2, slice(0, 40), slice(840, None)
    settings: dict[str, Any] = FAST | {"d_token": 16, "pretrain_epochs": 15}
    est = TabAttnRegressor(**settings, encoder=kind, pretrain="auto", random_state=0)
    est.fit(X[known], y[known], unlabelled=X[40:840])
    again = TabAttnRegressor(**settings, encoder=kind, pretrain="auto", random_state=0)
    again.fit(X[known], y[known], unlabelled=X[40:840][::-1])
    np.testing.assert_array_equal(again.predict(X[new]), est.predict(X[new]))
    alone = TabAttnRegressor(**settings, encoder=kind, pretrain="auto", random_state=0).fit(X[known], y[known])
    losses, of_few = (each.pretraining_history_["validation"].iloc[-1] for each in (est, alone))
    assert losses < 0.6 * of_few
    assert (est.predict(X[new]) != alone.predict(X[new])).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"encoder": "bert", "column_order": ["heat"]}, "column_order must be left out for the encoder 'bert'"),
        (
            {"encoder": "gpt", "column_order": ["heet"]},
            "column_order must name columns of the table, each once, got 'heet'",
        ),
        ({"encoder": "gpt", "column_order": ["heat", "heat"]}, "each once, got 'heat'"),
        ({"encoder": "t5", "d_token": 9}, "d_token must be a multiple of n_heads for the encoder 't5', got 9 and 2"),
        ({"pretrain": "yes"}, "pretrain must be 'none' or 'auto', got 'yes'"),
        ({"pretrain_epochs": 0}, "pretrain_epochs must be 'auto' or an integer of at least 1, got 0"),
        ({"n_members": 0}, "n_members must be 'auto' or an integer of at least 1, got 0"),
    ],
)
def test_what_a_kind_can_not_do_is_refused(mixed: pd.DataFrame, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        TabAttnRegressor(**(FAST | parameters)).fit(mixed.drop(columns="y"), mixed["y"])


def test_rows_without_a_target_need_pretraining(mixed: pd.DataFrame) -> None:
    X = mixed.drop(columns="y")
    with pytest.raises(ParameterError, match="unlabelled rows must be pretrained on, got pretrain='none'"):
        TabAttnRegressor(**FAST).fit(X, mixed["y"], unlabelled=X)


def test_an_interrupted_pretraining_leaves_all_as_it_was(mixed: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(Reconstruction, "loss", interrupt)
    est = TabAttnRegressor(**FAST, pretrain="auto")
    with pytest.raises(KeyboardInterrupt):
        est.fit(mixed.drop(columns="y"), mixed["y"])
    assert not hasattr(est, "model_")


@pytest.mark.parametrize("encoder", get_args(MixingKind))
def test_the_command_line_pretrains_and_ranks(encoder: str, tmp_path: Path) -> None:
    table = tmp_path / "process.csv"
    columns = ["line_speed_m_min", "viscosity_mpas", "resin_supplier", "cleaned_before_run", "shift", "thickness_um"]
    pd.read_csv(DATA / "process.csv", usecols=columns, nrows=120).to_csv(table, index=False)
    options = ("--target", "thickness_um", "--encoder", encoder, "--pretrain", "auto")
    done = run("rank", str(table), *options, "--max-epochs", "2", "--repeats", "1", "--out", str(tmp_path / "out"))
    assert done.code == 0, done.err
    assert len(pd.read_csv(tmp_path / "out" / "importance.csv")) == 5
    est = load(tmp_path / "out" / "model.tabattn")
    assert (est.encoder, len(est.pretraining_history_)) == (encoder, 40 if encoder == "roberta" else 20)


@pytest.mark.filterwarnings("ignore::tabattn.errors.TabAttnWarning")
def test_rows_without_a_target_take_part_in_pretraining_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pd.read_csv(DATA / "process.csv").head(120)
    table.loc[40:, "thickness_um"] = np.nan
    learned: list[tuple[int, int, int]] = []

    def counted(shape: Any, cells: Cells, settings: TrainingSettings, job: Any) -> Any:
        learned.append((len(cells), settings.max_epochs, settings.batch_size))
        return pretrain(shape, cells, replace(settings, max_epochs=1))

    monkeypatch.setattr("tabattn.training.pretraining.pretrain", counted)
    for encoder in ("bert", "roberta"):
        ranking = rank(table, "thickness_um", encoder=encoder, pretrain="auto", max_epochs=1, n_repeats=1)
        assert (ranking.n_train, ranking.n_held_out) == (32, 8)
    rank(table, "thickness_um", encoder="bert", max_epochs=1, n_repeats=1)
    (of_bert, of_roberta) = learned
    assert of_bert[0] == of_roberta[0] == 112
    assert of_roberta[1:] == (2 * of_bert[1], 2 * of_bert[2]), "larger batches, longer"
