"""Scores of a model of a linear function of correlated normal columns, whose values are known."""

import numpy as np
import pytest

from tabattn import TabAttnRegressor
from tabattn.choices import Method
from tabattn.importance.units import units_of

SLOPES, CORRELATION, N = np.array([1.0, 0.5, 0.0]), 0.8, 1_600
COVARIANCE = np.array([[1.0, CORRELATION, 0.0], [CORRELATION, 1.0, CORRELATION / 2], [0.0, CORRELATION / 2, 1.0]])


@pytest.fixture(scope="module")
def scores() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    X = random.multivariate_normal(np.zeros(3), COVARIANCE, N)
    y = X @ SLOPES + 0.1 * random.normal(size=N)
    est = TabAttnRegressor(n_members=2, d_token=16, max_epochs=60, random_state=0).fit(X[:800], y[:800])
    assert est.score(X[800:], y[800:]) > 0.97
    fitted, rows = est.fitted_model_, est.read(X[800:], y[800:])
    units, squared = units_of(fitted.schema), float(np.var(y[:800]))
    methods: tuple[Method, ...] = ("swap", "conditional", "shapley")
    return {method: squared * fitted.scores(rows, method, units).raw for method in methods}


def test_swap_is_twice_the_variance_of_the_part_of_a_column(scores: dict[str, np.ndarray]) -> None:
    np.testing.assert_allclose(scores["swap"], 2 * SLOPES**2, rtol=0.15, atol=0.03)


def test_conditional_is_twice_the_variance_of_what_the_others_do_not_say(scores: dict[str, np.ndarray]) -> None:
    left = 1 / np.diag(np.linalg.inv(COVARIANCE))
    np.testing.assert_allclose(scores["conditional"], 2 * SLOPES**2 * left, rtol=0.15, atol=0.03)


def test_shapley_divides_the_variance_of_the_sum(scores: dict[str, np.ndarray]) -> None:
    np.testing.assert_allclose(scores["shapley"], SLOPES * (COVARIANCE @ SLOPES), rtol=0.15, atol=0.04)
    assert scores["shapley"].sum() == pytest.approx(SLOPES @ COVARIANCE @ SLOPES, rel=0.1)
