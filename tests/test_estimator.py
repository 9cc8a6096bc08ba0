import datetime as dt
import inspect
import logging
import pickle
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from tabattn.errors import (
    ColumnError,
    ParameterError,
    SmallerBatchesWarning,
    TabAttnError,
    TableError,
    TargetError,
    TrainingError,
    UnparsedCellsWarning,
)
from tabattn.estimator import TabAttnClassifier, TabAttnRegressor
from tabattn.fitted.model import FittedModel, HeldOutRows
from tabattn.importance.limits import ReadLimits
from tabattn.importance.methods import METHODS
from tabattn.importance.permutation import permutation_scores
from tabattn.importance.reader import BLOCK_ROWS, Reader
from tabattn.importance.units import units_of
from tabattn.loading import load
from tabattn.nn.model import TabAttnModel
from tabattn.nn.tokens import Cells
from tabattn.training.data import TrainingRows
from tabattn.training.fitting import train
from tabattn.training.module import TrainingModule
from tabattn.training.settings import TrainingSettings
from tests.conftest import FAST


@pytest.mark.slow
@parametrize_with_checks([TabAttnRegressor(**FAST), TabAttnClassifier(**FAST)])
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_own_checks(estimator: BaseEstimator, check: Callable[[BaseEstimator], None]) -> None:
    check(estimator)


@pytest.fixture(scope="module")
def regressor(mixed: pd.DataFrame) -> TabAttnRegressor:
    return TabAttnRegressor(**FAST, random_state=0).fit(mixed.drop(columns="y"), mixed["y"])


def test_regression_finds_the_drivers(regressor: TabAttnRegressor, mixed: pd.DataFrame) -> None:
    X = mixed.drop(columns="y")
    assert regressor.score(X, mixed["y"]) > 0.8
    table = regressor.importance_table(X)
    assert set(table["feature"][:2]) == {"heat", "line"}
    assert regressor.feature_importances_.sum() == pytest.approx(1.0)
    assert set(np.argsort(-regressor.feature_importances_)[:2]) == {0, 1}
    assert regressor.feature_names_in_.tolist() == ["heat", "line", "noise", "flag"]


@pytest.mark.parametrize("labels", [["no", "yes"], [0, 7], [False, True], ["high", "low", "middle"]])
def test_classification_of_any_labels(mixed: pd.DataFrame, labels: list[object]) -> None:
    X = mixed.drop(columns="y")
    y = np.array(labels)[pd.qcut(mixed["y"], len(labels), labels=False)]
    est = TabAttnClassifier(**FAST, random_state=0).fit(X, y)
    assert est.classes_.tolist() == labels
    assert est.score(X, y) > 0.75
    probabilities = est.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    assert (est.classes_[probabilities.argmax(axis=1)] == est.predict(X)).all()


def test_the_same_seed_gives_the_same_bytes(mixed: pd.DataFrame, regressor: TabAttnRegressor) -> None:
    X = mixed.drop(columns="y")
    again = clone(regressor).fit(X, mixed["y"])
    assert again.predict(X).tobytes() == regressor.predict(X).tobytes()
    assert again.feature_importances_.tobytes() == regressor.feature_importances_.tobytes()
    pd.testing.assert_frame_equal(again.attention_history_, regressor.attention_history_, check_exact=True)


def test_works_in_pipelines_and_searches(mixed: pd.DataFrame) -> None:
    X, y = mixed[["heat", "noise", "line"]], mixed["y"]
    columns = ColumnTransformer(
        [("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["heat", "noise"])], remainder="passthrough"
    )
    pipeline = make_pipeline(columns, TabAttnRegressor(**FAST, random_state=0))
    assert cross_val_score(pipeline, X, y, cv=2).min() > 0.5
    search = GridSearchCV(TabAttnRegressor(**FAST, random_state=0), {"n_heads": [1, 2]}, cv=2).fit(X, y)
    assert search.best_score_ > 0.5
    assert search.best_params_["n_heads"] in {1, 2}


def test_pickle_keeps_predictions(regressor: TabAttnRegressor, mixed: pd.DataFrame) -> None:
    X = mixed.drop(columns="y")
    assert (pickle.loads(pickle.dumps(regressor)).predict(X) == regressor.predict(X)).all()


def test_explanations_average_to_the_global_importance(regressor: TabAttnRegressor, mixed: pd.DataFrame) -> None:
    X = mixed.drop(columns="y").set_index(pd.Index(range(1000, 1300)))
    for method in METHODS:
        for y in (None, mixed["y"]):
            local = regressor.explain(X, y, method=method)
            table = regressor.importance_table(X, y, method=method).set_index("feature")["importance"]
            assert (local.index.tolist(), local.columns.tolist()) == (X.index.tolist(), X.columns.tolist())
            np.testing.assert_allclose(local.mean().clip(0), table[local.columns], rtol=1e-6, atol=1e-9)
            assert y is not None or method in {"swap", "shapley"} or (local.to_numpy() >= 0).all()


def test_what_is_added_to_the_target_adds_to_no_score_of_attention_alone(
    regressor: TabAttnRegressor, mixed: pd.DataFrame
) -> None:
    X = mixed.drop(columns="y")
    for method in METHODS:
        with_target, without = (regressor.importance_table(X, y, method=method) for y in (mixed["y"], None))
        looks_at_it = not with_target["importance"].equals(without["importance"])
        assert looks_at_it == (method in {"contribution", "swap", "conditional", "shapley", "gradient"})


def test_a_few_rows_can_be_explained(regressor: TabAttnRegressor, mixed: pd.DataFrame) -> None:
    X = mixed.drop(columns="y")
    for method in METHODS:
        one = regressor.explain(X.head(1), method=method)
        if method == "shapley":  # in a single row columns may be worth less than nothing
            assert np.isfinite(one.to_numpy()).all()
            continue
        np.testing.assert_allclose(one.sum(axis=1), 1.0, rtol=1e-6)
        assert one["heat"].item() > one["noise"].item()


def test_a_target_that_does_not_belong_to_the_rows_is_refused(mixed: pd.DataFrame) -> None:
    X, y = mixed[["heat", "noise"]], np.where(mixed["y"] > 0, "high", "low")
    classifier = TabAttnClassifier(**FAST, random_state=0).fit(X, y)
    assert len(classifier.importance_table(X, y)) == 2
    with pytest.raises(TargetError, match="y must hold classes that fit has seen, got 'medium'"):
        classifier.importance_table(X.head(2), ["high", "medium"])
    with pytest.raises(ValueError, match="inconsistent"):
        classifier.explain(X.head(2), ["high"])


def test_raw_attention_is_what_the_tables_average(regressor: TabAttnRegressor, mixed: pd.DataFrame) -> None:
    X = mixed.drop(columns="y").head(20)
    maps = regressor.attention(X)
    assert maps.weights.shape == (20, 2, 1, 2, 4)
    np.testing.assert_allclose(maps.weights.sum(axis=-1), 1.0, rtol=1e-5)
    pd.testing.assert_frame_equal(regressor.mean_attention(X), maps.mean_by_head(), rtol=1e-5)
    importance = regressor.importance_table(X, method="mean").set_index("feature")["importance"]
    np.testing.assert_allclose(importance[list(X.columns)], maps.weights.mean(axis=(0, 1, 2, 3)), rtol=1e-5)


def test_rows_are_read_in_batches_of_any_size(regressor: TabAttnRegressor, mixed: pd.DataFrame) -> None:
    rows, units = regressor.read(mixed.drop(columns="y")), units_of(regressor.schema_)

    def read(model: FittedModel) -> list[Any]:
        scores = [model.scores(rows, method, units).importance for method in METHODS]
        return [model.predict(rows), model.local_scores(rows, "norm", units), model.mean_attention(rows), *scores]

    few = replace(regressor.fitted_model_, limits=ReadLimits(max_rows=7))
    for before, after in zip(read(regressor.fitted_model_), read(few), strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n_members", [1, 4])
def test_noise_is_not_learned_from_rows_that_judge(n_members: int) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 60)), rng.normal(size=300)
    est = TabAttnRegressor(**(FAST | {"n_members": n_members, "max_epochs": 30}), random_state=0).fit(X, y)
    assert 0.75 < est.best_loss_ < 1.25  # 1 within the chance of 60 rows


def test_history_has_both_modes_and_all_epochs(regressor: TabAttnRegressor) -> None:
    history = regressor.attention_history_
    assert history.index.names == ["mode", "epoch"]
    assert history.loc["train"].index.tolist() == history.loc["eval"].index.tolist()
    assert history.loc["eval"].index.tolist() == list(range(1, regressor.n_iter_ + 1))
    np.testing.assert_allclose(history.sum(axis=1), 1.0, rtol=1e-5)


def test_constant_columns_get_no_attention_and_change_nothing(mixed: pd.DataFrame) -> None:
    X, y = mixed[["heat", "noise"]], mixed["y"]
    padded = pd.DataFrame({"empty": None, "heat": X["heat"], "same": "S", "noise": X["noise"]})
    plain, est = (TabAttnRegressor(**FAST, random_state=0).fit(each, y) for each in (X, padded))
    assert est.feature_importances_[[0, 2]].tolist() == [0.0, 0.0]
    np.testing.assert_array_equal(est.feature_importances_[[1, 3]], plain.feature_importances_)
    np.testing.assert_array_equal(est.predict(padded), plain.predict(X))
    assert est.importance_table(padded)["feature"].tolist()[2:] == ["empty", "same"]
    assert est.attention(padded.head(3)).weights[..., [0, 2]].max() == 0


LATER_CELLS: dict[str, Any] = {
    "text": "hot",
    "a number": 1.5,
    "an infinite number": np.inf,
    "a time": pd.Timestamp("2024-01-01"),
    "truth": True,
    "missing": None,
}


@pytest.mark.parametrize("at_fit", [None, np.nan, 7.0, "S", pd.Timestamp("2020-02-02")])
def test_columns_that_were_constant_may_hold_anything_later(mixed: pd.DataFrame, at_fit: Any) -> None:
    X, y = mixed[["heat", "noise"]].assign(same=at_fit), mixed["y"]
    est = TabAttnRegressor(**FAST | {"max_epochs": 2}, warm_start=True, random_state=0).fit(X, y)
    assert est.schema_.constant_names == ("same",)
    for cell in LATER_CELLS.values():
        later = X.assign(same=pd.Series([cell] * len(X), dtype=object))
        np.testing.assert_array_equal(est.predict(later), est.predict(X))
        pd.testing.assert_frame_equal(est.explain(later, y), est.explain(X, y))
        TabAttnRegressor(**FAST | {"max_epochs": 2}, random_state=0).fit(X, y, eval_set=(later, y))
        est.fit(later, y)


def test_what_was_fitted_can_not_be_written_over(regressor: TabAttnRegressor, mixed: pd.DataFrame) -> None:
    before = regressor.feature_importances_.copy()
    regressor.feature_importances_[:] = 0
    np.testing.assert_array_equal(regressor.feature_importances_, before)
    fitted, y = regressor.fitted_model_, mixed["y"].to_numpy(copy=True)
    for array in (fitted.importances, *fitted.history.attention.values(), *fitted.history.pretraining.values()):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0
    rows = regressor.read(mixed.drop(columns="y"), y)
    y[:] = 0
    np.testing.assert_array_equal(rows.y, mixed["y"])


def test_predictions_do_not_depend_on_the_other_rows(regressor: TabAttnRegressor, mixed: pd.DataFrame) -> None:
    X = mixed.drop(columns="y")
    order = np.random.default_rng(0).permutation(len(X))
    np.testing.assert_allclose(regressor.predict(X.iloc[order]), regressor.predict(X)[order], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(regressor.predict(X.head(1)), regressor.predict(X)[:1], rtol=1e-4, atol=1e-5)


def test_levels_and_missing_cells_unseen_in_training_are_read(regressor: TabAttnRegressor) -> None:
    X = pd.DataFrame({"heat": [0.0, np.nan], "line": ["Z", "A"], "noise": [1.0, 1e300], "flag": [None, True]})
    assert np.isfinite(regressor.predict(X)).all()


def test_rows_of_weight_zero_count_as_absent(mixed: pd.DataFrame) -> None:
    X, y = mixed[["heat", "noise"]], mixed["y"].copy()
    weight = np.ones(len(X))
    weight[200:] = 0
    y[200:] = 1e6
    weighted = TabAttnRegressor(**FAST, random_state=0).fit(X, y, sample_weight=weight)
    plain = TabAttnRegressor(**FAST, random_state=0).fit(X[:200], y[:200])
    np.testing.assert_array_equal(weighted.predict(X), plain.predict(X))


def test_arrays_and_integer_names_are_accepted(mixed: pd.DataFrame) -> None:
    array = mixed[["heat", "noise"]].to_numpy()
    est = TabAttnRegressor(**FAST, random_state=0).fit(array, mixed["y"])
    assert est.importance_table(array)["feature"].tolist() == ["x0", "x1"]
    frame = pd.DataFrame(array)
    est.fit(frame, mixed["y"])
    assert est.importance_table(frame)["feature"].tolist() == ["0", "1"]


def test_tiny_tables_and_rare_classes_are_fitted() -> None:
    X = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0, 4.0]})
    assert np.isfinite(TabAttnRegressor(**FAST).fit(X, X["x"]).predict(X)).all()
    classifier = TabAttnClassifier(**FAST).fit(X, ["a", "b", "c", "d", "a"])
    assert classifier.predict_proba(X).shape == (5, 4)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"kinds": 7}, "kinds must be kinds of columns by name, or None, got 7"),
        ({"random_state": "x"}, "random_state must be an integer, a RandomState or None, got 'x'"),
        ({"n_layers": 0}, "n_layers must be an integer of at least 1, got 0"),
        ({"d_token": 1}, "d_token must be an integer of at least 2, got 1"),
        ({"n_heads": 2.5}, "n_heads must be an integer of at least 1, got 2.5"),
        ({"n_members": True}, "n_members must be 'auto' or an integer"),
        ({"batch_size": "big"}, "batch_size must be 'auto' or an integer"),
        ({"attention_dropout": 1.0}, "attention_dropout must be at least 0 and less than 1, got 1.0"),
        ({"learning_rate": 0.0}, "learning_rate must be 'auto' or positive"),
        ({"weight_decay": -1.0}, "weight_decay must be at least 0"),
        ({"validation_fraction": 1.0}, "validation_fraction must be greater than 0 and less than 1"),
        ({"device": "tpu"}, "device must be 'auto', 'cpu' or 'cuda'"),
        ({"encoder": "lstm"}, "encoder must be one of class, bert, roberta, gpt, xlnet, t5, got 'lstm'"),
    ],
)
def test_parameters_out_of_range_are_refused(mixed: pd.DataFrame, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        TabAttnRegressor(**parameters).fit(mixed[["heat"]], mixed["y"])


def test_unknown_methods_are_refused_with_the_known_ones(regressor: TabAttnRegressor, mixed: pd.DataFrame) -> None:
    with pytest.raises(ParameterError, match=r"method must be one of contribution, .*, rollout, got 'shap'"):
        regressor.importance_table(mixed.drop(columns="y"), method="shap")  # type: ignore[arg-type]


def test_bad_data_is_refused(mixed: pd.DataFrame, regressor: TabAttnRegressor) -> None:
    with pytest.raises(ColumnError, match="'heat' must hold finite numbers"):
        TabAttnRegressor(**FAST).fit(mixed[["heat"]].replace(mixed["heat"][3], np.inf), mixed["y"])
    with pytest.raises(ColumnError, match="at least one column with more than one value"):
        TabAttnRegressor(**FAST).fit(pd.DataFrame({"x": [1.0] * 10}), range(10))
    with pytest.raises(TargetError, match="at least two classes, got one class: 'a'"):
        TabAttnClassifier(**FAST).fit(mixed[["heat"]], ["a"] * 300)
    with pytest.raises(TargetError, match="no missing value"):
        TabAttnClassifier(**FAST).fit(mixed[["heat"]], [None] + ["a", "b"] * 149 + ["a"])
    with pytest.raises(ColumnError, match=r"Column 'heat' must hold numbers.*'hot'"):
        regressor.predict(mixed.drop(columns="y").assign(heat="hot"))
    with pytest.warns(UnparsedCellsWarning, match=r"Column 'heat' holds numbers, and 1 cell.* such as 'hot'"):
        regressor.predict(mixed.drop(columns="y").astype(object).replace({"heat": {mixed["heat"][0]: "hot"}}))
    with pytest.raises(ValueError, match="feature names"):
        regressor.predict(mixed.drop(columns="y").rename(columns={"heat": "heet"}))
    with pytest.raises(TargetError, match="classes of one type"):
        TabAttnClassifier(**FAST).fit(mixed[["heat"]], np.array(["a", 1] * 150, dtype=object))
    with pytest.raises(TableError, match="unique, got 'heat' more than once"):
        TabAttnRegressor(**FAST).fit(mixed[["heat", "heat"]], mixed["y"])
    with pytest.raises(TargetError, match=r"finite variance, got values up to 1e\+300"):
        TabAttnRegressor(**FAST).fit(mixed[["heat"]], np.where(mixed["heat"] > 0, 1e300, 0))
    assert issubclass(TabAttnError, ValueError)


def test_a_learning_rate_at_which_training_diverges_is_named(mixed: pd.DataFrame) -> None:
    est = TabAttnRegressor(**FAST).fit(mixed[["noise"]], mixed["y"])
    est.set_params(learning_rate=1e30)
    with pytest.raises(TrainingError, match=r"finite validation loss.*smaller than 1e\+30"):
        est.fit(mixed[["heat"]], mixed["y"])
    with pytest.raises(NotFittedError):
        est.predict(mixed[["heat"]])


def test_where_memory_does_not_suffice_batches_are_halved_and_that_is_said_once(
    mixed: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits, sizes = TrainingModule.training_step, []

    def short_of_memory(self: TrainingModule, batch: TrainingRows, batch_idx: int) -> Any:
        sizes.append(len(batch))
        if len(batch) > most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return fits(self, batch, batch_idx)

    small = FAST | {"batch_size": 8, "random_state": 0}
    expected = TabAttnRegressor(**small).fit(mixed[["heat"]], mixed["y"])
    monkeypatch.setattr(TrainingModule, "training_step", short_of_memory)
    most = 15
    est = TabAttnRegressor(**FAST, random_state=0)
    with pytest.warns(SmallerBatchesWarning, match="does not take batches of 32 rows: 8 are taken") as given:
        est.fit(mixed[["heat"]], mixed["y"])
    assert len(given) == 1
    assert sizes[0] > most
    np.testing.assert_array_equal(est.predict(mixed[["heat"]]), expected.predict(mixed[["heat"]]))
    most = 0
    with pytest.raises(TrainingError, match="does not take a batch of one row"):
        est.fit(mixed[["heat"]], mixed["y"])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(mixed: pd.DataFrame) -> None:
    with pytest.raises(ParameterError, match="where torch sees no GPU, got 'cuda'"):
        TabAttnRegressor(device="cuda").fit(mixed[["heat"]], mixed["y"])


def test_almost_all_rows_may_be_held_out() -> None:
    X = pd.DataFrame({"x": np.arange(20.0)})
    est = TabAttnRegressor(**FAST, validation_fraction=0.99, random_state=0).fit(X, X["x"])
    assert np.isfinite(est.predict(X)).all()


def test_neither_the_order_nor_the_writing_of_rows_changes_the_fit(mixed: pd.DataFrame) -> None:
    X, y = mixed[["heat", "line", "noise"]], mixed["y"]
    rng = np.random.default_rng(0)
    times = rng.integers(1, 4, len(X))
    repeated = rng.permutation(np.repeat(np.arange(len(X)), times))
    weighted, written_out = TabAttnRegressor(**FAST, random_state=0), TabAttnRegressor(**FAST, random_state=0)
    weighted.fit(X, y, sample_weight=times)
    written_out.fit(X.iloc[repeated], y.iloc[repeated])
    np.testing.assert_array_equal(weighted.predict(X), written_out.predict(X))
    np.testing.assert_array_equal(weighted.feature_importances_, written_out.feature_importances_)
    plain = TabAttnRegressor(**FAST, random_state=0).fit(X, y)
    assert not np.array_equal(plain.predict(X), weighted.predict(X))


def test_classes_are_weighed(mixed: pd.DataFrame) -> None:
    X, y = mixed[["noise", "line"]], np.where(mixed["heat"] > 1, "rare", "usual")
    shares = {}
    for class_weight in (None, "balanced", {"rare": 50.0, "usual": 1.0}):
        est = TabAttnClassifier(**FAST, class_weight=class_weight, random_state=0).fit(X, y)
        shares[str(class_weight)] = est.predict_proba(X)[:, 0].mean()
    assert shares["None"] < 0.3 < shares["balanced"] < 0.7 < shares["{'rare': 50.0, 'usual': 1.0}"]
    with pytest.raises(ParameterError, match=r"class_weight must be None, 'balanced' or .*got 'equal'"):
        TabAttnClassifier(**FAST, class_weight="equal").fit(X, y)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="finite weights of at least 0"):
        TabAttnClassifier(**FAST, class_weight={"rare": -1.0, "usual": 1.0}).fit(X, y)


def test_given_rows_judge(mixed: pd.DataFrame) -> None:
    X, y = mixed[["heat", "noise"]], mixed["y"]
    est = TabAttnRegressor(**FAST, random_state=0).fit(X[:200], y[:200], eval_set=(X[200:], y[200:]))
    scale = np.std(y[:200])
    assert est.best_loss_ == pytest.approx(np.mean((est.predict(X[200:]) - y[200:]) ** 2) / scale**2, rel=1e-3)
    shifted = TabAttnRegressor(**FAST, random_state=0).fit(X[:200], y[:200], eval_set=(X[200:], y[200:] + 100 * scale))
    assert shifted.best_loss_ > 1_000
    with pytest.raises(ParameterError, match="eval_set must be a pair of X and y, got DataFrame"):
        est.fit(X, y, eval_set=X)  # type: ignore[arg-type]
    classifier = TabAttnClassifier(**FAST, random_state=0)
    with pytest.raises(TargetError, match="classes that fit has seen, got 'other'"):
        classifier.fit(X, y > 0, eval_set=(X, ["other"] * 300))


def test_a_warm_start_goes_on(mixed: pd.DataFrame) -> None:
    X, y = mixed.drop(columns="y"), mixed["y"]
    short = FAST | {"max_epochs": 2, "learning_rate": 3e-3}
    cold = TabAttnRegressor(**short, random_state=0).fit(X, y)
    first = cold.score(X, y)
    cold.fit(X, y)
    assert cold.score(X, y) == first
    warm = TabAttnRegressor(**short, warm_start=True, random_state=0)
    for _ in range(5):
        warm.fit(X, y)
    assert warm.score(X, y) > first + 0.1
    other_rows = X.head(30).assign(heat=0.0)
    assert np.isfinite(warm.fit(other_rows, y.head(30)).predict(X)).all()
    with pytest.raises(ParameterError, match="warm_start must go on with a model of the same sizes"):
        warm.set_params(n_layers=2).fit(X, y)


@pytest.mark.parametrize("changed", [{"loss": "absolute"}, {"loss": "poisson"}, {"quantile": 0.9}])
def test_a_warm_start_keeps_to_its_loss(mixed: pd.DataFrame, changed: dict[str, Any]) -> None:
    X, y = mixed[["heat", "noise"]], abs(mixed["y"])
    short = FAST | {"max_epochs": 1}
    est = TabAttnRegressor(**short, loss="pinball", quantile=0.5, warm_start=True).fit(X, y)
    with pytest.raises(ParameterError, match="warm_start must go on with a model of the same sizes"):
        est.set_params(**changed).fit(X, y)


def test_pretraining_is_remembered_through_warm_starts_and_files(mixed: pd.DataFrame, tmp_path: Path) -> None:
    X, y = mixed[["heat", "noise"]], mixed["y"]
    small = FAST | {"max_epochs": 1}
    est = TabAttnRegressor(**small, encoder="bert", pretrain="auto", pretrain_epochs=2, warm_start=True).fit(X, y)
    history = est.pretraining_history_
    assert len(history) == 2
    pd.testing.assert_frame_equal(est.fit(X, y).pretraining_history_, history)
    est.save(tmp_path / "model.tabattn")
    pd.testing.assert_frame_equal(load(tmp_path / "model.tabattn").pretraining_history_, history)


def test_an_interruption_leaves_the_best_weights_so_far(mixed: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = mixed.drop(columns="y"), mixed["y"]
    n_steps, step = 0, TrainingModule.training_step

    def interrupted(self: TrainingModule, batch: TrainingRows, batch_idx: int) -> dict[str, torch.Tensor]:
        nonlocal n_steps
        n_steps += 1
        if n_steps == 50:
            raise KeyboardInterrupt
        return step(self, batch, batch_idx)

    monkeypatch.setattr(TrainingModule, "training_step", interrupted)
    est = TabAttnRegressor(**FAST, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        est.fit(X, y)
    assert 1 < est.n_iter_ < FAST["max_epochs"]
    assert len(est.attention_history_.loc["train"]) == est.n_iter_
    assert est.score(X, y) > 0.5
    assert est.feature_importances_.sum() == pytest.approx(1)


@pytest.mark.parametrize("max_elements", [4_000_000, 20_000, 1])
def test_permutation_importance_is_that_of_scikit_learn_and_embeds_cells_twice_a_repeat(
    regressor: TabAttnRegressor, mixed: pd.DataFrame, max_elements: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = ReadLimits(max_elements=max(max_elements, 100_000), max_swap_elements=max_elements)
    X = mixed.drop(columns="y").assign(when=pd.date_range("2024-01-01", periods=300, freq="D"), same=1)
    y = np.where(mixed["y"] > 0, "high", "low")
    classifier = TabAttnClassifier(**FAST, random_state=0).fit(X, y)
    bert = TabAttnRegressor(**FAST, encoder="bert", random_state=0).fit(X, mixed["y"])
    for est, table, target in (
        (classifier, X, y),
        (regressor, mixed.drop(columns="y"), mixed["y"]),
        (bert, X, mixed["y"]),
    ):
        expected = permutation_scores(est, table, target, n_repeats=2, random_state=3)
        n_embedded, embed = 0, TabAttnModel.embed

        def counted_rows(self: TabAttnModel, cells: Cells, embed: Any = embed) -> Any:
            nonlocal n_embedded
            n_embedded += len(cells)
            return embed(self, cells)

        limited, rows = replace(est.fitted_model_, limits=limits), est.read(table, target)
        with monkeypatch.context() as patch:
            patch.setattr(TabAttnModel, "embed", counted_rows)
            measured = limited.permutation(rows, units_of(est.schema_), 2, random_state=3)
        np.testing.assert_allclose(measured.repeats, expected.repeats, rtol=1e-6, atol=1e-7)
        assert np.abs(expected.repeats).max() > 0.1
        assert measured.scoring == expected.scoring
        if max_elements == 4_000_000:
            n_predicted = len(table) + -len(table) % BLOCK_ROWS
            assert n_embedded == n_predicted + 2 * 2 * len(table)


def test_a_fit_that_fails_leaves_nothing_half_done(mixed: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = mixed[["heat", "noise"]], mixed["y"]
    warm = TabAttnRegressor(**FAST, warm_start=True, random_state=0).fit(X, y)
    expected = warm.predict(X)
    with pytest.raises(ValueError, match="feature names"):
        warm.fit(X.rename(columns={"heat": "heet"}), y)
    np.testing.assert_array_equal(warm.predict(X), expected)
    cold = TabAttnRegressor(**FAST, random_state=0).fit(X, y)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(TrainingModule, "training_step", interrupted)
    for est in (cold, warm):
        with pytest.raises(KeyboardInterrupt):
            est.fit(X, y)
        np.testing.assert_array_equal(est.predict(X), expected)
        assert est.feature_importances_.sum() == pytest.approx(1)
    with pytest.raises(KeyboardInterrupt):
        cold.set_params(pretrain="auto").fit(X[::2], y[::2])
    np.testing.assert_array_equal(cold.predict(X), expected)
    with pytest.raises(TargetError, match="finite numbers"):
        cold.fit(X, np.where(np.arange(300) == 7, np.nan, y))
    with pytest.raises(NotFittedError):
        cold.predict(X)
    assert not hasattr(cold, "feature_importances_")


def test_how_it_is_trained_depends_on_the_encoder_and_on_what_is_asked_for(
    mixed: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[TrainingSettings] = []

    def noted(shape: Any, rows: Any, held_out: Any, settings: TrainingSettings, **rest: Any) -> Any:
        seen.append(settings)
        return train(shape, rows, held_out, replace(settings, max_epochs=1), **rest)

    monkeypatch.setattr("tabattn.training.fitting.train", noted)
    X, y = mixed[["heat", "noise"]], mixed["y"]
    small: dict[str, Any] = {"n_layers": 1, "d_token": 8, "random_state": 0}
    TabAttnRegressor(**small).fit(X, y)
    TabAttnRegressor(**small, encoder="bert").fit(X, y)
    TabAttnRegressor(**small, encoder="bert", learning_rate=0.5, batch_size=7, patience=3).fit(X, y)
    found = [
        (each.optimizer.learning_rate, each.batch_size, each.min_patience, each.patience, each.average_decay)
        for each in seen
    ]
    assert found == [(2e-3, 32, 5, 16, 0.98), (1e-3, 32, 16, 16, 0.99), (0.5, 7, 3, 3, 0.99)]


def test_many_validation_rows_are_sampled_for_the_importances(
    mixed: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = mixed[["heat", "noise"]], mixed["y"]
    monkeypatch.setattr("tabattn.fitted.fit.MAX_SCORED_ROWS", 40)
    order = X["heat"].argsort()
    est = TabAttnRegressor(**FAST, random_state=0).fit(X, y, eval_set=(X.iloc[order], y.iloc[order]))
    scored = est.fitted_model_.scored
    assert isinstance(scored, HeldOutRows)
    assert len(scored.cells) == 40
    assert scored.target.min() < 0 < scored.target.max(), "not the first rows"


def test_importances_need_no_gpu_that_was_asked_for_later(mixed: pd.DataFrame) -> None:
    X, y = mixed[["heat", "noise"]], mixed["y"]
    est = TabAttnRegressor(**FAST, random_state=0).fit(X, y)
    expected = clone(est).fit(X, y).feature_importances_
    est.fitted_model_ = replace(est.fitted_model_, device="cuda")
    np.testing.assert_array_equal(est.feature_importances_, expected)


def test_importances_are_computed_when_they_are_asked_for_and_once(
    mixed: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    X, y = mixed[["heat", "noise"]], mixed["y"]
    n_scored, scores = 0, Reader.scores

    def counted(self: Any, *rest: Any, **weights: Any) -> Any:
        nonlocal n_scored
        n_scored += 1
        return scores(self, *rest, **weights)

    monkeypatch.setattr(Reader, "scores", counted)
    est = TabAttnRegressor(**FAST, random_state=0).fit(X, y)
    est.predict(X)
    assert n_scored == 0
    copied = pickle.loads(pickle.dumps(est))
    first = est.feature_importances_
    est.save(tmp_path / "model")
    np.testing.assert_array_equal(est.feature_importances_, first)
    np.testing.assert_array_equal(load(tmp_path / "model").feature_importances_, first)
    assert n_scored == 1
    np.testing.assert_array_equal(copied.feature_importances_, first)
    assert first.sum() == pytest.approx(1)


def test_a_warm_start_keeps_to_the_kinds_of_its_columns(mixed: pd.DataFrame) -> None:
    X, y = mixed[["heat", "line"]], mixed["y"]
    est = TabAttnRegressor(**FAST, warm_start=True, kinds={"line": "categorical"}, random_state=0).fit(X, y)
    est.fit(X, y)
    with pytest.raises(ParameterError, match="kinds must be as in the fit that warm_start goes on from, got 'text'"):
        est.set_params(kinds={"line": "text"}).fit(X, y)


BAD_CALLS: dict[str, Callable[[pd.DataFrame, Any], Any]] = {
    "a target with a hole": lambda X, y: TabAttnRegressor(**FAST).fit(X, np.where(np.arange(300) == 7, np.nan, y)),
    "a target of words": lambda X, y: TabAttnRegressor(**FAST).fit(X, ["a", "b"] * 150),
    "a ragged target": lambda X, y: TabAttnRegressor(**FAST).fit(X, [[1.0], [1.0, 2.0]] * 150),
    "a short target": lambda X, y: TabAttnRegressor(**FAST).fit(X, y[:7]),
    "a short eval_set": lambda X, y: TabAttnRegressor(**FAST).fit(X, y, eval_set=(X, y[:7])),
    "an eval_set of other columns": lambda X, y: TabAttnRegressor(**FAST).fit(X, y, eval_set=(X.iloc[:, ::-1], y)),
    "counts below zero": lambda X, y: TabAttnRegressor(**FAST, loss="poisson").fit(X, -abs(y)),
    "counts below zero to judge by": lambda X, y: TabAttnRegressor(**FAST, loss="poisson").fit(
        X, abs(y), eval_set=(X, -abs(y))
    ),
    "weights below zero": lambda X, y: TabAttnRegressor(**FAST).fit(X, y, sample_weight=-np.ones(300)),
    "weights with a hole": lambda X, y: TabAttnRegressor(**FAST).fit(X, y, sample_weight=np.full(300, np.nan)),
    "few weights": lambda X, y: TabAttnRegressor(**FAST).fit(X, y, sample_weight=np.ones(7)),
    "classes that are numbers": lambda X, y: TabAttnClassifier(**FAST).fit(X, y),
    "classes that are days": lambda X, y: TabAttnClassifier(**FAST).fit(
        X, [dt.date(2024, 1, i % 2 + 1) for i in range(300)]
    ),
    "classes that are decimals": lambda X, y: TabAttnClassifier(**FAST).fit(X, [Decimal(i % 2) for i in range(300)]),
    "classes that are ranges": lambda X, y: TabAttnClassifier(**FAST).fit(X, pd.cut(y, 2)),
    "a table of other columns": lambda X, y: TabAttnRegressor(**FAST).fit(X, y).predict(X.iloc[:, ::-1]),
    "no target to permute by": lambda X, y: (
        TabAttnRegressor(**FAST | {"max_epochs": 1}).fit(X, y).permutation_scores(X, None)
    ),
    "a row": lambda X, y: TabAttnRegressor(**FAST).fit(X.to_numpy()[:, 0], y),
}


@pytest.mark.parametrize("what", BAD_CALLS)
def test_bad_calls_are_refused_by_errors_of_ours(mixed: pd.DataFrame, what: str) -> None:
    with pytest.raises(TabAttnError):
        BAD_CALLS[what](mixed[["heat", "noise"]], mixed["y"])


def test_labels_may_be_of_nullable_types(mixed: pd.DataFrame) -> None:
    labels = pd.DataFrame({"a": mixed["heat"] > 0, "b": mixed["noise"] > 0})
    for dtype in ("Int64", "boolean"):
        est = TabAttnClassifier(**FAST, random_state=0).fit(mixed[["heat", "noise"]], labels.astype(dtype))
        assert est.predict(mixed[["heat", "noise"]]).shape == (300, 2)


def test_truth_is_read_in_any_of_its_words(mixed: pd.DataFrame) -> None:
    X, y = pd.DataFrame({"on": mixed["heat"] > 0, "noise": mixed["noise"]}), np.where(mixed["heat"] > 0, 2.0, -1.0)
    est = TabAttnRegressor(**FAST, random_state=0).fit(X, y)
    for words in ({True: 1, False: 0}, {True: "TRUE", False: "false"}, {True: "1.0", False: "0.0"}):
        np.testing.assert_array_equal(est.predict(X.assign(on=X["on"].map(words))), est.predict(X))


@pytest.mark.parametrize("encoder", ["class", "t5"])
def test_the_precision_of_a_gpu_does_for_columns_of_every_kind(
    mixed: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, encoder: Any
) -> None:
    trainer, used = lightning.Trainer, []

    def in_bfloat16(**settings: Any) -> lightning.Trainer:
        used.append(settings["precision"])
        return trainer(**settings | {"precision": "bf16-mixed"})

    monkeypatch.setattr(lightning, "Trainer", in_bfloat16)
    X = mixed.drop(columns="y").assign(
        day=pd.date_range("2024-01-01", periods=300), note=[f"operator {i} saw a scratch" for i in range(300)]
    )
    est = TabAttnRegressor(**FAST, encoder=encoder, pretrain="auto", pretrain_epochs=1, random_state=0)
    assert est.fit(X, mixed["y"]).score(X, mixed["y"]) > 0.5
    assert len(used) == 2


@pytest.mark.filterwarnings("ignore")
def test_fits_in_threads_are_those_of_one_thread(mixed: pd.DataFrame) -> None:
    tables = [mixed[["heat", "noise", "line"]], mixed[["noise", "heat"]].assign(day=pd.date_range("2024", periods=300))]

    def fitted(X: pd.DataFrame, seed: int) -> Any:
        return TabAttnRegressor(**FAST, random_state=seed).fit(X, mixed["y"]).predict(X)

    work = [(X, seed) for seed in range(2) for X in tables]
    expected = [fitted(*each) for each in work]
    before = (torch.get_rng_state().tolist(), warnings.filters[:], logging.getLogger("lightning.pytorch").level)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda each: fitted(*each), work))
    assert (torch.get_rng_state().tolist(), warnings.filters[:], logging.getLogger("lightning.pytorch").level) == before
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_only_ratios_of_weights_matter(mixed: pd.DataFrame) -> None:
    X, y, ratio = mixed[["heat", "noise"]], mixed["y"], np.linspace(0.5, 1.5, 300)
    first, *others = [
        TabAttnRegressor(**FAST, random_state=0).fit(X, y, sample_weight=scale * ratio).predict(X)
        for scale in (1.0, 2.0**130, 2.0**-160)
    ]
    for other in others:
        np.testing.assert_allclose(other, first, rtol=1e-5)
    classes = np.where(mixed["heat"] > 0, "high", "low")
    absent = np.where(classes == "high", 1.0, 0.0)
    balanced = TabAttnClassifier(**FAST, class_weight="balanced", random_state=0)
    with pytest.raises(TargetError, match="at least two classes"):
        balanced.fit(X, classes, sample_weight=absent)
    with pytest.raises(ParameterError, match="class_weight must hold weights of the classes of y"):
        TabAttnClassifier(**FAST, class_weight={"high": 1.0, "other": 2.0}).fit(X, classes)


def test_equal_cells_of_two_types_are_read_alike_in_any_row(mixed: pd.DataFrame) -> None:
    X = pd.DataFrame({"z": pd.Series([0, False, "a", "b"] * 15, dtype=object), "heat": mixed["heat"][:60]})
    est = TabAttnRegressor(**FAST, random_state=0).fit(X, mixed["y"][:60])
    order = [1, 0, *range(2, 60)]
    np.testing.assert_allclose(est.predict(X.iloc[order]), est.predict(X)[order], rtol=1e-5)
    again = TabAttnRegressor(**FAST, random_state=0).fit(X.iloc[order], mixed["y"].iloc[order])
    np.testing.assert_array_equal(again.predict(X), est.predict(X))


def test_what_is_no_cell_is_refused_by_name(mixed: pd.DataFrame) -> None:
    X, y = mixed[["heat"]], mixed["y"]
    for cells in ([[1], [2]], [{"a": 1}, "b"], [np.zeros(2), np.ones(2)]):
        with pytest.raises(ColumnError, match="'z'"):
            TabAttnRegressor(**FAST).fit(X.assign(z=pd.Series(cells * 150, dtype=object)), y)
    lists = pd.Series(pd.arrays.ArrowExtensionArray(pa.array([[1], [2]] * 150)))
    with pytest.raises(ColumnError, match="'z'"):
        TabAttnRegressor(**FAST).fit(X.assign(z=lists), y)
    odd = X.assign(z=pd.Series(["\ud800", "b"] * 150, dtype=object), n=pd.Series([10**5000, 2] * 150, dtype=object))
    with pytest.warns(UnparsedCellsWarning, match="'n' holds numbers, and 150 cell"):
        est = TabAttnRegressor(**FAST).fit(odd, y)
    assert "z" in est.schema_.names
    with pytest.raises(TargetError, match=r"numbers or classes, got times \(datetime64"):
        TabAttnRegressor(**FAST).fit(X, np.array(["2020", "NaT"] * 150, dtype="M8[ns]"))
    with pytest.raises(TargetError, match="eval_set must be a pair of X and y, got None for y"):
        TabAttnRegressor(**FAST).fit(X, y, eval_set=(X, None))


def test_both_estimators_have_the_same_defaults() -> None:
    regressor, classifier = (
        {name: parameter.default for name, parameter in inspect.signature(each).parameters.items()}
        for each in (TabAttnRegressor, TabAttnClassifier)
    )
    assert classifier.pop("class_weight") is None
    assert (regressor.pop("loss"), regressor.pop("quantile")) == ("squared", 0.5)
    assert classifier == regressor


def test_a_warm_start_goes_on_to_hold_out_the_same_rows(mixed: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = mixed[["heat", "noise"]], mixed["y"]
    seen: list[Any] = []
    validate = TrainingModule.validation_step

    def noted(self: TrainingModule, batch: TrainingRows, batch_idx: int) -> Any:
        seen.append((batch.target, batch.number))
        return validate(self, batch, batch_idx)

    monkeypatch.setattr(TrainingModule, "validation_step", noted)
    settings = FAST | {"max_epochs": 1}
    est = TabAttnRegressor(**settings, warm_start=True, random_state=np.random.RandomState(0))
    est.fit(X, y).fit(X[::-1], y[::-1])
    TabAttnRegressor(**settings, random_state=np.random.RandomState(1)).fit(X, y)
    first, again, other = seen
    assert all(torch.equal(*pair) for pair in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


def test_rows_of_a_group_are_held_out_together_wherever_they_stand(mixed: pd.DataFrame) -> None:
    """Targets of lots that no column says anything of: held out row by row, the copied settings would tell them."""
    random = np.random.default_rng(0)
    lot = np.repeat(np.arange(30), 10)
    X = pd.DataFrame(random.normal(size=(30, 4))[lot], columns=list("abcd"))
    y = random.normal(size=30)[lot] + 0.1 * random.normal(size=300)
    small: dict[str, Any] = {"n_members": 4, "max_epochs": 25, "d_token": 16, "random_state": 0}
    X["noise"] = mixed["noise"].to_numpy()
    ways: dict[str, Any] = {"rows": {}, "lots": {"row_groups": lot}, "names": {"row_groups": [f"L{i}" for i in lot]}}
    loss = {
        name: TabAttnRegressor(**small).fit(X, y, **how).fitted_model_.history.best_loss for name, how in ways.items()
    }
    assert loss["rows"] < 0.5 < 0.9 < loss["lots"]
    assert loss["names"] == loss["lots"]
    order = random.permutation(300)
    moved = TabAttnRegressor(**small | {"max_epochs": 2}).fit(X.iloc[order], y[order], row_groups=lot[order])
    fixed = TabAttnRegressor(**small | {"max_epochs": 2}).fit(X, y, row_groups=lot)
    np.testing.assert_array_equal(moved.predict(X), fixed.predict(X))


def test_equal_rows_are_held_out_together() -> None:
    random = np.random.default_rng(1)
    X = pd.DataFrame(random.normal(size=(50, 5)), columns=list("abcde"))
    y = random.normal(size=50)
    est = TabAttnRegressor(n_members=4, max_epochs=25, d_token=16, random_state=0)
    copied = est.fit(pd.concat([X] * 5, ignore_index=True), np.tile(y, 5))
    assert copied.fitted_model_.history.best_loss > 0.9


def test_groups_are_routed_and_blocks_of_time_are_held_out(mixed: pd.DataFrame) -> None:
    X, y = mixed[["heat", "noise"]], mixed["y"]
    lot = np.arange(len(X)) // 10
    est = TabAttnRegressor(**FAST, random_state=0)
    with config_context(enable_metadata_routing=True):
        routed = cross_validate(
            est.set_fit_request(row_groups=True), X, y, cv=2, params={"row_groups": lot}, return_estimator=True
        )["estimator"][0]
    half = np.arange(len(X)) >= len(X) // 2
    alone = TabAttnRegressor(**FAST, random_state=0).fit(X[half], y[half], row_groups=lot[half])
    np.testing.assert_array_equal(routed.predict(X), alone.predict(X))
    walk = np.random.default_rng(0).normal(size=(400, 6)).cumsum(axis=0)
    small: dict[str, Any] = {"n_members": 2, "max_epochs": 20, "d_token": 16, "random_state": 0}
    free = TabAttnRegressor(**small).fit(walk[:, :5], walk[:, 5])
    ordered = TabAttnRegressor(**small).fit(walk[:, :5], walk[:, 5], row_order=np.arange(400))
    assert ordered.fitted_model_.history.best_loss > 1.5 * free.fitted_model_.history.best_loss
    with pytest.raises(ParameterError, match="row_groups must have a value for each of the 300 rows, got 3"):
        est.fit(X, y, row_groups=[1, 2, 3])


def test_losses_of_each_epoch_go_to_a_logger_of_lightning(tmp_path: Path, mixed: pd.DataFrame) -> None:
    from lightning.pytorch.loggers import CSVLogger

    est = TabAttnRegressor(logger=CSVLogger(tmp_path, name="runs"), random_state=0, **FAST)
    X, y = mixed[["heat", "line"]], mixed["y"]
    clone(est).fit(X, y)
    est.fit(X, y)
    logged = pd.read_csv(tmp_path / "runs" / "version_1" / "metrics.csv")
    assert logged["validation_loss"].notna().sum() == logged["training_loss"].notna().sum() == est.n_iter_
    plain = TabAttnRegressor(random_state=0, **FAST).fit(X, y)
    np.testing.assert_array_equal(plain.predict(X), est.predict(X))
    est.save(tmp_path / "m.tabattn")
    assert load(tmp_path / "m.tabattn").logger is None
    with pytest.raises(ParameterError, match="logger must be one of Lightning's loggers"):
        TabAttnRegressor(logger="tensorboard").fit(X, y)
