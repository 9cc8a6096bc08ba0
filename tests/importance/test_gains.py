import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabattn.importance.gains import extrapolated, gain_p_values


def test_the_limit_of_endlessly_many_draws_is_met_for_squared_errors() -> None:
    random, n = np.random.default_rng(0), 20_000
    truth, draws = random.normal(size=n), random.normal(size=(4, n))
    every, halves = (truth + draws.mean(axis=0)) ** 2, (truth + draws.reshape(2, 2, n).mean(axis=1)) ** 2
    assert every.mean() - (truth**2).mean() == pytest.approx(0.25, abs=0.02)
    assert (extrapolated(every, halves) - truth**2).mean() == pytest.approx(0.0, abs=0.02)


@settings(deadline=None)
@given(st.integers(0, 50), st.integers(2, 6))
def test_units_that_are_copies_count_once(seed: int, n_copies: int) -> None:
    gains = np.random.default_rng(seed).normal(0.1, 1, size=(30, 2))
    once = gain_p_values(gains, np.arange(30))
    copied = gain_p_values(np.repeat(gains, n_copies, axis=0), np.repeat(np.arange(30), n_copies))
    assert copied == pytest.approx(once)
    assert gain_p_values(-gains, np.arange(30)) == pytest.approx(1 - once)


def test_p_values_are_uniform_without_a_gain_and_small_with_one() -> None:
    random = np.random.default_rng(0)
    nothing = gain_p_values(random.normal(size=(100, 2_000)), np.arange(100))
    assert (nothing < 0.05).mean() == pytest.approx(0.05, abs=0.015)
    assert gain_p_values(random.normal(1, 1, size=(100, 1)), np.arange(100))[0] < 1e-6


def test_nothing_is_certain_from_one_unit_or_no_change() -> None:
    assert gain_p_values(np.ones((5, 1)), np.zeros(5)).tolist() == [1.0]
    assert gain_p_values(np.zeros((5, 2)), np.arange(5)).tolist() == [1.0, 1.0]
