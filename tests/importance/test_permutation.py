from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import log_loss

from tabattn.errors import ParameterError
from tabattn.importance.permutation import (
    N_LEADING,
    PermutationScores,
    mean_repeats,
    permutation_scores,
    permuted_scores,
    score_of,
)
from tabattn.progress import Job


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


@pytest.mark.parametrize("n_classes", [2, 5])
def test_the_log_loss_is_that_of_scikit_learn(n_classes: int) -> None:
    rng = np.random.default_rng(0)
    classes = np.array([f"c{i}" for i in range(n_classes)])
    known = rng.choice(classes[:2], 50)
    predicted = rng.dirichlet(np.full(n_classes, 0.1), 50)
    predicted[0] = np.eye(n_classes)[1 - np.searchsorted(classes, known[0])]
    expected = -log_loss(known, predicted, labels=classes)
    assert score_of("neg_log_loss", known, predicted, classes=classes) == pytest.approx(expected, rel=1e-12)
    labels, odds = rng.integers(0, 2, (50, 3)), rng.random((50, 3))
    expected = -np.mean([log_loss(labels[:, i], odds[:, i], labels=[0, 1]) for i in range(3)])
    assert score_of("neg_log_loss", labels, odds) == pytest.approx(expected, rel=1e-12)


def test_late_columns_are_permuted_less_often_and_all_as_scikit_learn_would() -> None:
    asked: list[tuple[tuple[int, ...], tuple[int, ...]]] = []

    def score(columns: Sequence[int], source: Any) -> Any:
        asked.append((tuple(columns), tuple(source)))
        return np.array([float(column) for column in columns])

    sizes: dict[str, Any] = {"n_rows": 7, "n_columns": 250, "random_state": 5}
    found = permuted_scores(score, "r2", n_repeats="auto", **sizes)
    everywhere, leading = tuple(range(250)), tuple(range(250 - N_LEADING, 250))
    assert [columns for columns, _ in asked] == [everywhere] * 4 + [leading] * 6
    assert found.n_repeats.tolist() == [4] * (250 - N_LEADING) + [10] * N_LEADING
    assert found.n_repeats.mean() == mean_repeats(250)
    np.testing.assert_array_equal(found.mean, np.arange(250.0))
    sources = [source for _, source in asked]
    asked.clear()
    permuted_scores(score, "r2", n_repeats=10, **sizes)
    assert [source for _, source in asked] == sources


def test_there_are_fewer_repeats_where_time_runs_out() -> None:
    seconds = iter(range(1000))
    job = Job(100, clock=lambda: float(next(seconds)))

    def score(columns: Sequence[int], source: Any) -> Any:
        for _ in range(8):
            job.clock()
        return np.zeros(len(columns))

    found = permuted_scores(score, "r2", n_rows=5, n_columns=2, n_repeats=10, random_state=0, job=job)
    n_repeats = found.repeats.shape[1]
    assert 1 <= n_repeats < 10
    assert job.shortened == [f"{n_repeats} of 10 shuffles"]
    assert next(seconds) <= 100


def test_the_error_of_the_ranks_is_none_where_all_repeats_agree() -> None:
    agreed = np.array([[3.0, 3.1, 2.9], [1.0, 1.1, 1.2], [2.0, 2.0, 2.1]])
    assert PermutationScores(agreed, "r2").rank_error == 0
    swapped = PermutationScores(np.array([[3.0, 1.0], [1.0, 3.0], [np.nan, 0.0]]), "r2")
    assert swapped.rank_error == pytest.approx(0.5)
    assert np.isnan(PermutationScores(agreed[:, :1], "r2").rank_error)
