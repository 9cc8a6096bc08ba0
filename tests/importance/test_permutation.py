from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression

from tabattn.errors import ParameterError
from tabattn.importance.permutation import permutation_scores


@pytest.fixture(name="X")
def standardized() -> pd.DataFrame:
    x = np.random.default_rng(0).normal(size=(20_000, 3))
    return pd.DataFrame((x - x.mean(axis=0)) / x.std(axis=0), columns=["a", "b", "c"])


def test_ordinary_least_squares_scores_twice_the_squared_coefficient(X: pd.DataFrame) -> None:
    y = 2.0 * X["a"] - 1.0 * X["b"]
    scores = permutation_scores(LinearRegression().fit(X, y), X, y, n_repeats=5)
    np.testing.assert_allclose(scores.mean * y.var(), [8.0, 2.0, 0.0], atol=0.15)
    assert (scores.scoring, scores.repeats.shape) == ("r2", (3, 5))


def test_a_constant_model_scores_zero(X: pd.DataFrame) -> None:
    y = X["a"]
    assert permutation_scores(DummyRegressor().fit(X, y), X, y, n_repeats=2).mean.tolist() == [0.0] * 3
    classes = np.where(y > 0, "up", "down")
    assert permutation_scores(DummyClassifier().fit(X, classes), X, classes, n_repeats=2).mean.tolist() == [0.0] * 3


def test_classifiers_are_scored_by_log_loss_even_when_a_class_is_absent(X: pd.DataFrame) -> None:
    y = np.select([X["a"] > 0.5, X["a"] < -0.5], ["high", "low"], "middle")
    model = LogisticRegression().fit(X, y)
    is_present = y != "low"
    scores = permutation_scores(model, X[is_present], y[is_present], n_repeats=2)
    assert scores.scoring == "neg_log_loss"
    assert scores.mean.argmax() == 0
    assert scores.mean[0] > 0.1


def test_the_seed_determines_the_shuffles(X: pd.DataFrame) -> None:
    y = X["a"]
    model = LinearRegression().fit(X, y)
    first, again, other = (permutation_scores(model, X, y, random_state=seed).repeats for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("n_repeats", [0, -1, 2.5, "3", None])
def test_no_repeats_are_refused(X: pd.DataFrame, n_repeats: Any) -> None:
    with pytest.raises(ParameterError, match=f"n_repeats must be an integer of at least 1, got {n_repeats!r}"):
        permutation_scores(DummyRegressor().fit(X, X["a"]), X, X["a"], n_repeats=n_repeats)
