"""Tests of what a column adds: their size, their power, and what they equal where that is known."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import false_discovery_control, kstest

from tabattn.importance.conditional import conditional_draws
from tabattn.importance.significance import RowLosses, Selection, exact_p_values, randomization_p_values, select
from tabattn.nn.tokens import CellLayout, Cells

Array = np.ndarray[Any, np.dtype[Any]]


def null_losses(n_rows: int, n_columns: int, n_draws: int, seed: int, tail: float = 0.0) -> tuple[Array, Array]:
    """Losses of rows and of their draws that are exchangeable, more skewed than squared errors the longer the tail."""
    random = np.random.default_rng(seed)
    scale = np.exp(tail * random.normal(size=(n_rows, n_columns)))
    all_of_them = scale * random.normal(size=(n_draws + 1, n_rows, n_columns)) ** 2
    base = random.normal(size=n_rows) ** 2
    rise = all_of_them[1:] - all_of_them[:1]
    return base, base[:, None] + rise


def p_of(base: Array, drawn: Array, **how: Any) -> Array:
    return randomization_p_values(RowLosses(base, drawn, np.arange(len(base)), **how))


def test_p_values_of_nothing_are_uniform() -> None:
    p_values = np.concatenate([p_of(*null_losses(150, 20, 8, seed)) for seed in range(100)])
    assert (p_values < 0.05).mean() == pytest.approx(0.05, abs=0.015)
    assert (p_values < 0.01).mean() < 0.02
    assert kstest(p_values, "uniform").statistic < 0.05


@pytest.mark.parametrize("tail", [1.0, 2.0])
def test_p_values_of_nothing_are_not_too_small_where_a_few_rows_have_most_of_the_loss(tail: float) -> None:
    p_values = np.concatenate([p_of(*null_losses(150, 20, 8, seed, tail)) for seed in range(60)])
    assert (p_values < 0.05).mean() < 0.06
    assert (p_values < 0.01).mean() < 0.015


def test_the_exact_test_of_999_draws_says_the_same() -> None:
    base, drawn = null_losses(200, 30, 999, 0)
    drawn[:, :, :10] += np.linspace(0, 0.4, 10)
    exact = exact_p_values(base, drawn)
    assert np.abs(p_of(base, drawn) - exact).max() < 0.05
    assert exact.min() >= 0.001


def test_a_row_that_is_evaluated_twice_counts_once() -> None:
    base, drawn = null_losses(100, 200, 8, 1)
    twice = RowLosses(np.tile(base, 2), np.tile(drawn, (1, 2, 1)), np.tile(np.arange(100), 2))
    np.testing.assert_allclose(randomization_p_values(twice), p_of(base, drawn), rtol=1e-9)


def test_lots_are_the_sample_where_rows_are_linked() -> None:
    random = np.random.default_rng(0)
    lot = np.repeat(np.arange(25), 10)
    base = random.random(250)
    shared = random.normal(size=(1, 25, 40))[:, lot] + 0.3 * random.normal(size=(8, 250, 40))
    drawn = base[:, None] + shared
    free = randomization_p_values(RowLosses(base, drawn, np.arange(250)))
    linked = randomization_p_values(RowLosses(base, drawn, lot, are_linked=True))
    assert (free < 0.05).mean() > 0.2
    assert (linked < 0.05).mean() < 0.15


def test_what_changes_nothing_has_no_p_value_by_division() -> None:
    base = np.random.default_rng(0).random(50)
    drawn = np.repeat(base[None, :, None], 8, axis=0)
    assert p_of(base, drawn).tolist() == [1.0]


def test_selection_is_that_of_benjamini_and_hochberg_and_nothing_without_trust() -> None:
    p_values = np.array([0.001, 0.02, 0.04, 0.5, 1.0])
    q_values, selected = select(p_values, Selection(0.1, "bh", is_trusted=True))
    np.testing.assert_allclose(q_values, false_discovery_control(p_values))
    assert selected.tolist() == [True, True, True, False, False]
    assert not select(p_values, Selection(0.1, "bh", is_trusted=False))[1].any()
    assert select(p_values, Selection(0.1, "by", is_trusted=True))[1].tolist() == [True, False, False, False, False]


@pytest.mark.parametrize("rho", [0.0, 0.6])
def test_the_increase_of_a_linear_target_is_twice_slope_squared_times_the_conditional_variance(
    rho: float,
) -> None:
    random = np.random.default_rng(0)
    n_rows, slopes = 3_000, np.array([2.0, 1.0, 0.0])
    X = random.normal(size=(n_rows, 3))
    X[:, 1] = rho * X[:, 0] + (1 - rho**2) ** 0.5 * X[:, 1]
    X = X.clip(-3, 3)
    y = X @ slopes + random.normal(size=n_rows)
    cells = Cells(torch.from_numpy(X.astype(np.float32)), torch.zeros(n_rows, 0, dtype=torch.long), None)
    draws = conditional_draws(cells, CellLayout(3, (), ()), [[0], [1], [2]], np.arange(n_rows) % 4, 8, 0)
    losses = (y - X @ slopes) ** 2
    drawn = np.empty((8, n_rows, 3))
    for number, draw in enumerate(draws.cells):
        for column in range(3):
            changed = X.copy()
            changed[:, column] = draw.numeric[:, column].numpy()
            drawn[number, :, column] = (y - changed @ slopes) ** 2
    evaluated = RowLosses(losses, drawn, np.arange(n_rows))
    np.testing.assert_allclose(
        evaluated.increase, 2 * slopes**2 * (1 - rho**2 * np.array([1, 1, 0])), rtol=0.12, atol=1e-9
    )
    assert randomization_p_values(evaluated)[2] == 1
