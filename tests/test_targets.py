"""Targets of every kind, and every loss, from `fit` to the ranking and the file."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import mean_absolute_error, mean_pinball_loss, mean_poisson_deviance, r2_score
from sklearn.model_selection import cross_val_score

from tabattn import TabAttnClassifier, TabAttnRegressor, load
from tabattn.choices import Method
from tabattn.encoding.target import NumberEncoding
from tabattn.errors import ModelFileError, ParameterError, TargetError
from tabattn.fitted.files import SavedState, read_state, write_state
from tabattn.importance.methods import METHODS
from tabattn.importance.permutation import score_of
from tests.conftest import FAST

Array = np.ndarray[Any, np.dtype[Any]]
N = 400


@pytest.fixture(scope="module", name="X")
def rows() -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(0).normal(size=(N, 4)), columns=["heat", "cold", "dust", "idle"])


def skewed(X: pd.DataFrame) -> Array:
    """A target whose mean, median and quantiles lie far apart: errors grow with heat."""
    return np.asarray(X["heat"] + np.exp(X["heat"] / 2) * np.random.default_rng(1).exponential(size=N))


def test_each_loss_predicts_what_it_is_for(X: pd.DataFrame) -> None:
    y = skewed(X)

    def fit(**loss: Any) -> Array:
        return TabAttnRegressor(**FAST, **loss, random_state=0).fit(X[:300], y[:300]).predict(X[300:])

    mean, median, high = fit(), fit(loss="absolute"), fit(loss="pinball", quantile=0.9)
    assert mean_absolute_error(y[300:], median) < mean_absolute_error(y[300:], mean)
    assert (median < mean).mean() > 0.8, "the median of a target with a long tail is below its mean"
    assert 0.8 < (y[300:] < high).mean() <= 0.97
    assert mean_pinball_loss(y[300:], high, alpha=0.9) < 0.8 * mean_pinball_loss(y[300:], mean, alpha=0.9)


def test_counts_are_predicted_by_rates(X: pd.DataFrame) -> None:
    counts = np.random.default_rng(2).poisson(np.exp(X["heat"]))
    est = TabAttnRegressor(**FAST, loss="poisson", random_state=0).fit(X[:300], counts[:300])
    rates = est.predict(X[300:])
    constant = DummyRegressor().fit(X[:300], counts[:300]).predict(X[300:])
    deviance = [mean_poisson_deviance(counts[300:], each) for each in (rates, constant)]
    assert (rates > 0).all()
    assert deviance[0] < 0.7 * deviance[1]
    assert np.corrcoef(rates, np.exp(X["heat"][300:]))[0, 1] > 0.9
    for no_counts, message in ((counts - 1, "at least 0 for the loss 'poisson', got -1"), (0 * counts, "only zeros")):
        with pytest.raises(TargetError, match=message):
            est.fit(X, no_counts)


def test_logarithms_are_learned_of_a_target_over_decades(X: pd.DataFrame) -> None:
    y = np.exp(3 * X["heat"] + 0.3 * np.random.default_rng(1).normal(size=N))
    est = TabAttnRegressor(**FAST, loss="squared_log", random_state=0).fit(X[:300], y[:300])
    plain = TabAttnRegressor(**FAST, random_state=0).fit(X[:300], y[:300])
    logarithm = np.log(y[300:])
    assert np.corrcoef(np.log(est.predict(X[300:])), logarithm)[0, 1] > 0.95
    error = [np.abs(np.log(each.predict(X[300:]).clip(1e-9)) - logarithm).mean() for each in (est, plain)]
    assert error[0] < 0.5 * error[1]
    assert score_of("r2_log", y[300:], est.predict(X[300:])) == pytest.approx(
        r2_score(logarithm, np.log(est.predict(X[300:])))
    )
    for unit in (1e-3, 1e6):
        scaled = NumberEncoding.learned(unit * y.to_numpy(), np.ones(N), "squared_log")
        plain_unit = NumberEncoding.learned(y.to_numpy(), np.ones(N), "squared_log")
        encoded = scaled.encode(unit * y.to_numpy())
        np.testing.assert_allclose(encoded, plain_unit.encode(y.to_numpy()), atol=1e-6)
        np.testing.assert_allclose(scaled.decode(encoded.double().numpy()), unit * y, rtol=1e-5)
    with pytest.raises(TargetError, match="above 0 for the loss 'squared_log', got 0"):
        est.fit(X, y.where(y > y.min(), 0))


@pytest.mark.parametrize("loss", ["squared", "squared_log", "absolute", "pinball", "poisson"])
def test_every_method_finds_the_driver_by_every_loss_and_a_file_keeps_it(
    X: pd.DataFrame, loss: Any, tmp_path: Path
) -> None:
    y = np.exp(np.exp(X["heat"])) if loss == "squared_log" else np.exp(X["heat"])
    est = TabAttnRegressor(**FAST, loss=loss, quantile=0.7, random_state=0).fit(X, y)
    for method in METHODS:
        for known in (y, None):
            assert est.importance_table(X, known, method=method)["feature"][0] == "heat"
    assert est.feature_importances_.argmax() == 0
    measured = est.permutation_scores(X, y, n_repeats=2)
    assert measured.mean.argmax() == 0
    assert measured.mean[0] > 0.5, "a share of the loss of a constant"
    est.save(tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert (loaded.predict(X) == est.predict(X)).all()
    assert loaded.get_params()["loss"] == loss
    pd.testing.assert_frame_equal(loaded.explain(X, y), est.explain(X, y))


def test_several_targets_are_regressed_at_once(X: pd.DataFrame, tmp_path: Path) -> None:
    Y = np.column_stack([2000 * X["heat"] + 7, 0.01 * X["cold"]])
    est = TabAttnRegressor(**FAST, random_state=0).fit(X, pd.DataFrame(Y, columns=["a", "b"]))
    assert est.predict(X).shape == (N, 2)
    assert est.score(X, Y) > 0.9
    both = est.importance_table(X, Y, permutation=est.permutation_scores(X, Y, n_repeats=2))
    assert set(both["feature"][:2]) == {"heat", "cold"}
    assert set(both.nsmallest(2, "permutation_rank")["feature"]) == {"heat", "cold"}
    shares = both.set_index("feature")["importance"]
    assert 0.5 < shares["heat"] / shares["cold"] < 2, "the targets count the same, whatever their units"
    assert (cross_val_score(TabAttnRegressor(**FAST, random_state=0), X, Y, cv=2) > 0.5).all()
    est.save(tmp_path / "model")
    assert (load(tmp_path / "model").predict(X) == est.predict(X)).all()
    with pytest.raises(TargetError, match=r"2 column\(s\), as in fit, got 1"):
        est.importance_table(X, Y[:, 0])


def test_rows_may_have_several_labels(X: pd.DataFrame, tmp_path: Path) -> None:
    Y = np.column_stack([X["heat"] > 0, X["cold"] > 1, np.zeros(N)]).astype(int)
    est = TabAttnClassifier(**FAST, random_state=0).fit(X, Y)
    probabilities = est.predict_proba(X)
    assert probabilities.shape == (N, 3)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert (est.predict(X) == (probabilities > 0.5)).all()
    assert (est.predict(X) == Y).mean() > 0.95
    assert est.classes_.tolist() == [0, 1, 2]
    methods: list[Method] = ["contribution", "swap", "gradient"]
    for method in methods:
        for known in (Y, None):
            assert set(est.importance_table(X, known, method=method)["feature"][:2]) == {"heat", "cold"}
    measured = est.permutation_scores(X, Y, n_repeats=2)
    assert measured.scoring == "neg_log_loss"
    assert set(np.argsort(-measured.mean)[:2]) == {0, 1}
    est.save(tmp_path / "model")
    assert (load(tmp_path / "model").predict_proba(X) == probabilities).all()
    sparse = TabAttnClassifier(**FAST, random_state=0).fit(X, csr_array(Y))
    assert (sparse.predict_proba(X) == probabilities).all()


def test_whole_numbers_with_gaps_are_classes_or_numbers_as_asked(X: pd.DataFrame) -> None:
    grades = np.array([3, 5, 9])[np.digitize(X["heat"], [-0.5, 0.5])]
    classifier = TabAttnClassifier(**FAST, random_state=0).fit(X, grades)
    assert set(classifier.predict(X)) == {3, 5, 9}
    assert classifier.score(X, grades) > 0.9
    assert TabAttnRegressor(**FAST, random_state=0).fit(X, grades).score(X, grades) > 0.8


@pytest.mark.parametrize(
    ("estimator", "parameters", "target", "error", "message"),
    [
        (
            TabAttnRegressor,
            {"loss": "huber"},
            "heat",
            ParameterError,
            "squared, squared_log, absolute, poisson, pinball, got 'huber'",
        ),
        (TabAttnRegressor, {"loss": "pinball", "quantile": 1.0}, "heat", ParameterError, "quantile must be greater"),
        (TabAttnClassifier, {}, "classes", TargetError, "Fit one classifier for each"),
        (TabAttnClassifier, {"class_weight": "balanced"}, "labels", ParameterError, "Use sample_weight"),
        (TabAttnClassifier, {}, "no label", TargetError, "a label that varies"),
    ],
)
def test_what_no_loss_is_for_is_refused(
    X: pd.DataFrame, estimator: Any, parameters: dict[str, Any], target: str, error: type[Exception], message: str
) -> None:
    ones = np.ones(N, dtype=int)
    targets = {
        "heat": X["heat"],
        "classes": np.column_stack([np.arange(N) % 3, np.arange(N) % 2]),
        "labels": np.column_stack([np.arange(N) % 2, ones]),
        "no label": np.column_stack([0 * ones, ones]),
    }
    with pytest.raises(error, match=message):
        estimator(**FAST, **parameters).fit(X, targets[target])


def test_a_model_with_another_kind_of_target_is_refused(X: pd.DataFrame, tmp_path: Path) -> None:
    TabAttnRegressor(**FAST, random_state=0).fit(X, X["heat"]).save(tmp_path / "model")
    state = read_state(tmp_path / "model")
    changes: list[dict[str, Any]] = [
        {"about": state.settings["about"] | {"estimator": "TabAttnClassifier"}},
        {"target": {"kind": "labels", "n_labels": 1}},
        {"target": state.settings["target"] | {"scale": [1.0, 1.0], "is_single": False}},
        {"target": state.settings["target"] | {"loss": "classes"}},
        {"sizes": state.settings["sizes"] | {"loss": "classes"}},
        {"sizes": state.settings["sizes"] | {"loss": "magic"}},
    ]
    for change in changes:
        write_state(tmp_path / "other", SavedState(state.settings | change, state.arrays))
        with pytest.raises(ModelFileError, match="do not fit together"):
            load(tmp_path / "other")


def test_permutation_importance_takes_every_target_that_fit_takes(X: pd.DataFrame) -> None:
    labels = np.column_stack([X["heat"] > 0, X["cold"] > 0]).astype(int)
    many = TabAttnClassifier(**(FAST | {"max_epochs": 2}), random_state=0).fit(X, labels)
    expected = many.permutation_scores(X, labels, n_repeats=1).repeats
    np.testing.assert_array_equal(many.permutation_scores(X, csr_array(labels), n_repeats=1).repeats, expected)
    one = TabAttnRegressor(**(FAST | {"max_epochs": 2}), loss="poisson", random_state=0).fit(X, labels[:, 0])
    with pytest.warns(DataConversionWarning):
        column = one.permutation_scores(X, labels[:, :1], n_repeats=1).repeats
    np.testing.assert_array_equal(column, one.permutation_scores(X, labels[:, 0], n_repeats=1).repeats)
    assert (one.permutation_scores(X, 0 * labels[:, 0], n_repeats=1).repeats == 0).all()
