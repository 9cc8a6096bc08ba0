"""The estimators where scikit-learn's users put them."""

import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import joblib  # type: ignore[import-untyped]
import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_validate, learning_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tabattn import TabAttnClassifier, TabAttnRegressor
from tests.conftest import FAST


@pytest.fixture(scope="module")
def numbers(mixed: pd.DataFrame) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "idle": rng.normal(size=300),
            "heat": mixed["heat"],
            "dust": rng.normal(size=300),
            "cold": rng.normal(size=300),
        }
    )


@pytest.fixture(scope="module")
def target(numbers: pd.DataFrame) -> "pd.Series[float]":
    return 3 * numbers["heat"] + 2 * numbers["cold"]


@pytest.fixture
def routed() -> Iterator[None]:
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def test_columns_are_selected_by_their_importance(numbers: pd.DataFrame, target: "pd.Series[float]") -> None:
    est = TabAttnRegressor(**FAST, random_state=0)
    selector = SelectFromModel(est).set_output(transform="pandas")
    assert list(selector.fit_transform(numbers, target)) == ["heat", "cold"]
    eliminated = RFE(est, n_features_to_select=2).fit(numbers, target)
    assert numbers.columns[eliminated.support_].tolist() == ["heat", "cold"]
    pipeline = make_pipeline(SelectFromModel(est), TabAttnRegressor(**FAST, random_state=0)).fit(numbers, target)
    assert pipeline.score(numbers, target) > 0.8


def test_columns_may_be_prepared_by_others(mixed: pd.DataFrame) -> None:
    X, y = mixed[["heat", "line", "noise"]], mixed["y"]
    prepared = ColumnTransformer(
        [("numbers", StandardScaler(), ["heat", "noise"]), ("levels", OneHotEncoder(sparse_output=False), ["line"])]
    ).set_output(transform="pandas")
    pipeline = make_pipeline(prepared, TabAttnRegressor(**FAST, random_state=0)).fit(X, y)
    assert pipeline.score(X, y) > 0.7
    table = pipeline[-1].importance_table(prepared.transform(X), y)
    assert table["feature"][0] == "numbers__heat"


@pytest.mark.slow
def test_searches_and_curves_run_in_processes(numbers: pd.DataFrame, target: "pd.Series[float]") -> None:
    est = TabAttnRegressor(**FAST | {"max_epochs": 8}, random_state=0)
    grid = {"n_heads": [1, 2]}
    alone, together = (GridSearchCV(est, grid, cv=2, n_jobs=n, refit=False).fit(numbers, target) for n in (1, 2))
    np.testing.assert_array_equal(alone.cv_results_["mean_test_score"], together.cv_results_["mean_test_score"])
    with joblib.parallel_backend("loky", n_jobs=2):
        sizes, _, scores = learning_curve(est, numbers, target, cv=2, train_sizes=[0.3, 1.0])
    assert sizes.tolist() == [45, 150]
    assert scores.mean(axis=1)[1] > scores.mean(axis=1)[0]


def test_importance_is_measured_by_permutation(numbers: pd.DataFrame, target: "pd.Series[float]") -> None:
    est = TabAttnRegressor(**FAST, random_state=0).fit(numbers, target)
    measured = permutation_importance(est, numbers, target, n_repeats=2, random_state=0)
    assert set(np.argsort(-measured.importances_mean)[:2]) == {1, 3}


def test_probabilities_can_be_calibrated(numbers: pd.DataFrame, target: "pd.Series[float]") -> None:
    y = np.where(target > 0, "high", "low")
    calibrated = CalibratedClassifierCV(TabAttnClassifier(**FAST, random_state=0), cv=2).fit(numbers, y)
    assert calibrated.score(numbers, y) > 0.85


def test_metadata_is_routed(numbers: pd.DataFrame, target: "pd.Series[float]", routed: None) -> None:
    weight = np.where(np.arange(300) < 150, 1.0, 0.0)
    shifted = target.where(weight > 0, target + 1_000)
    errors = {}
    for is_passed in (True, False):
        est = TabAttnRegressor(**FAST, random_state=0)
        est.set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        params = {"sample_weight": weight} if is_passed else None
        fitted = cross_validate(est, numbers, shifted, cv=3, params=params, return_estimator=True)
        errors[is_passed] = abs(fitted["estimator"][-1].predict(numbers[:100])).mean()
    assert errors[True] < 20 < errors[False]


def test_nothing_global_is_changed(
    numbers: pd.DataFrame, target: "pd.Series[float]", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def state() -> list[object]:  # but for that of `random`, which the checks of types in tests draw from
        loggers = [(name, logging.getLogger(name).level) for name in ("", "lightning.pytorch", "lightning.fabric")]
        return [
            torch.get_num_threads(),
            torch.initial_seed(),
            torch.get_rng_state().tolist(),
            torch.get_default_dtype(),
            torch.is_grad_enabled(),
            torch.are_deterministic_algorithms_enabled(),
            np.random.get_state()[1].tolist(),  # type: ignore[index]  # noqa: NPY002
            warnings.filters[:],
            loggers,
            dict(os.environ),
            os.getcwd(),
            sorted(tmp_path.iterdir()),
        ]

    TabAttnRegressor(**FAST).fit(numbers[:50], target[:50])
    before = state()
    est = TabAttnRegressor(**FAST, random_state=0).fit(numbers, target)
    est.predict(numbers)
    est.importance_table(numbers, target)
    for left, right in zip(before, state(), strict=True):
        assert left == right


FIRST_FIT = """
import logging, os, random, signal, sys, warnings
import numpy as np, pandas as pd, torch
import tabattn
tabattn.TabAttnRegressor  # what its import changes is not the fit's

def state():
    return [
        {name: value for name, value in os.environ.items() if name != "_RJEM_MALLOC_CONF"},  # which polars sets
        os.getcwd(), [str(each) for each in warnings.filters], random.getstate(),
        np.random.get_state()[1].tolist(), np.geterr(), torch.get_rng_state().tolist(), torch.get_num_threads(),
        torch.get_num_interop_threads(), torch.get_default_dtype(), torch.get_float32_matmul_precision(),
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic, str(signal.getsignal(signal.SIGINT)),
        str(sys.excepthook), logging.root.level, len(logging.root.handlers),
        [(logging.getLogger(name).level, len(logging.getLogger(name).handlers)) for name in loggers],
    ]

loggers = [name for name, each in logging.root.manager.loggerDict.items() if isinstance(each, logging.Logger)]
before = state()
rng = np.random.default_rng(0)
X = pd.DataFrame(rng.normal(size=(60, 2)), columns=["a", "b"]).assign(line=rng.choice(["A", "B"], 60))
X["day"], X["note"] = pd.date_range("2024", periods=60).astype(str), [f"operator {i} saw a scratch" for i in range(60)]
est = tabattn.TabAttnRegressor(n_members=1, d_token=4, max_epochs=1, pretrain="auto").fit(X, X["a"] + X["b"])
est.predict(X), est.importance_table(X), est.permutation_scores(X, X["a"])
for left, right in zip(before, state(), strict=True):
    assert left == right, (left, right)
"""


@pytest.mark.slow
def test_the_first_fit_of_a_process_changes_nothing_global_either(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", FIRST_FIT], check=True, cwd=tmp_path)
    assert not list(tmp_path.iterdir())


def test_as_many_threads_are_used_as_torch_is_given(numbers: pd.DataFrame, target: "pd.Series[float]") -> None:
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        est = TabAttnRegressor(**FAST, random_state=0).fit(numbers, target)
        assert torch.get_num_threads() == 1
        assert est.score(numbers, target) > 0.8
    finally:
        torch.set_num_threads(n_threads)
