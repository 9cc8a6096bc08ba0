"""Draws of a column given the others: what they keep, what they may not know, and what they must not invent."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from tabattn.importance.conditional import ConditionalDraws, Ridge, conditional_draws, near_rows, nearest
from tabattn.nn.tokens import CellLayout, Cells

N, N_DRAWS = 600, 6
Array = np.ndarray[Any, np.dtype[Any]]


def draws_of(
    numeric: Array, codes: Array | None = None, missing: Array | None = None, units: list[list[int]] | None = None
) -> ConditionalDraws:
    codes = np.zeros((len(numeric), 0), dtype=np.int64) if codes is None else codes
    layout = CellLayout(numeric.shape[1], (), tuple(int(each.max()) + 1 for each in codes.T))
    cells = Cells(
        torch.from_numpy(numeric.astype(np.float32)),
        torch.from_numpy(codes),
        None if missing is None else torch.from_numpy(missing),
    )
    units = [[column] for column in range(layout.n_columns)] if units is None else units
    return conditional_draws(cells, layout, units, np.arange(len(numeric)) % 4, N_DRAWS, 0)


def normal(n_columns: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(N, n_columns)).clip(-3, 3)


def numbers(draws: ConditionalDraws) -> Array:
    return np.stack([each.numeric.numpy() for each in draws.cells])


def test_independent_columns_are_drawn_from_their_distribution() -> None:
    X = normal(3)
    found = draws_of(X)
    assert np.abs(found.fit).max() < 0.06
    drawn = numbers(found)
    assert min(ks_2samp(drawn[:, :, j].ravel(), X[:, j]).pvalue for j in range(3)) > 1e-3
    assert np.abs(np.corrcoef(drawn[0, :, 0], X[:, 0])[0, 1]) < 0.15
    assert np.abs(np.corrcoef(drawn[0, :, 0], drawn[1, :, 0])[0, 1]) < 0.15


@pytest.mark.parametrize("rho", [0.5, 0.9])
def test_a_draw_goes_with_the_other_columns_as_the_column_does_and_no_more(rho: float) -> None:
    X = normal(2)
    X[:, 1] = rho * X[:, 0] + (1 - rho**2) ** 0.5 * X[:, 1]
    found = draws_of(X)
    assert found.fit == pytest.approx(rho**2, abs=0.08)
    drawn = numbers(found)[:, :, 1]
    given_others = X[:, 1] - rho * X[:, 0]
    for draw in drawn:
        assert np.corrcoef(draw, X[:, 0])[0, 1] == pytest.approx(np.corrcoef(X.T)[0, 1], abs=0.06)
        assert abs(np.corrcoef(draw - rho * X[:, 0], given_others)[0, 1]) < 0.15


def test_curves_and_spreads_are_followed() -> None:
    X = normal(3)
    X[:, 1] = X[:, 0] ** 2 - 1 + 0.3 * X[:, 1]
    X[:, 2] = np.exp(0.7 * X[:, 0]) * X[:, 2] / 2
    X = X.clip(-3, 3)
    found = draws_of(X)
    assert found.fit[1] > 0.7
    drawn = numbers(found)
    assert np.corrcoef(drawn[0, :, 1], X[:, 0] ** 2)[0, 1] > 0.75
    wide, narrow = X[:, 0] > 0.8, X[:, 0] < -0.8
    for rows in (wide, narrow):
        assert drawn[:, rows, 2].std() == pytest.approx(X[rows, 2].std(), rel=0.35)


def test_no_number_and_no_level_is_invented() -> None:
    X = normal(3).round(1)
    X[:, 2] = np.repeat([-1.0, 0.0, 1.0], N // 3)
    codes = np.random.default_rng(1).integers(1, 40, size=(N, 1))
    found = draws_of(X, codes)
    drawn = numbers(found)
    for column in range(3):
        assert np.isin(drawn[:, :, column].round(4), X[:, column].astype(np.float32).round(4)).all()
    levels = np.stack([each.codes.numpy() for each in found.cells])
    assert np.isin(levels, codes).all()


def test_levels_and_gaps_go_with_the_other_columns() -> None:
    X = normal(2)
    level = (X[:, 0] > 0).astype(np.int64) + 1
    level[np.random.default_rng(1).random(N) < 0.1] = 3
    missing = np.zeros((N, 3), dtype=bool)
    missing[:, 1] = np.random.default_rng(2).random(N) < np.where(X[:, 0] > 0, 0.5, 0.05)
    X[missing[:, 1], 1] = 0.0
    found = draws_of(X, level[:, None], missing)
    drawn = np.stack([each.codes.numpy()[:, 0] for each in found.cells])
    assert (drawn == level).mean() > 0.7
    assert (drawn == 3).mean() == pytest.approx(0.1, abs=0.04)
    gaps = np.stack([each.missing.numpy()[:, 1] for each in found.cells if each.missing is not None])
    assert gaps[:, X[:, 0] > 0].mean() == pytest.approx(0.5, abs=0.1)
    assert gaps[:, X[:, 0] < 0].mean() == pytest.approx(0.05, abs=0.06)
    assert (numbers(found)[:, :, 1][gaps] == 0).all()
    assert not np.stack([each.missing.numpy()[:, 0] for each in found.cells if each.missing is not None]).any()


def test_columns_of_a_unit_are_drawn_together_and_without_each_other() -> None:
    X = normal(3)
    X[:, 1] = X[:, 0] + 0.1 * X[:, 1]
    X = X.clip(-3, 3)
    alone, together = draws_of(X), draws_of(X, units=[[0, 1], [2]])
    assert alone.fit[0] > 0.95
    assert together.fit[0] < 0.1
    drawn = numbers(together)
    assert np.corrcoef(drawn[0, :, 0], X[:, 0])[0, 1] < 0.15
    assert np.corrcoef(drawn[0, :, 0], drawn[0, :, 1])[0, 1] > 0.95


def test_the_same_seed_draws_the_same_and_each_fold_is_drawn_without_its_own_rows() -> None:
    X = normal(2)
    one, two = numbers(draws_of(X)), numbers(draws_of(X))
    assert (one == two).all()
    changed = X.copy()
    changed[::4, 0] = 3.0  # a whole fold
    other = numbers(draws_of(changed))
    assert set(np.unique(other[:, 1::4, 0]).round(4)) - {3.0} <= set(X[:, 0].astype(np.float32).round(4))


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 40), st.integers(0, 30), st.integers(1, 60), st.integers(0, 10**6))
def test_a_row_is_never_drawn_for_itself(n_donors: int, n_others: int, n_near: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    n_rows = n_donors + n_others
    own = np.sort(random.permutation(n_rows)[:n_donors])
    predicted = random.integers(0, 5, n_rows).astype(float)
    chosen = near_rows(predicted, predicted[own], own, n_near, 3, random)
    assert chosen.shape == (3, n_rows)
    assert ((chosen >= 0) & (chosen < n_donors)).all()
    assert (own[chosen] != np.arange(n_rows)).all()


def test_the_nearest_known_number_is_taken() -> None:
    assert nearest(np.array([-1.0, 0.0, 2.0]), np.array([-9.0, -0.4, 0.9, 1.1, 9.0])).tolist() == [-1, 0, 0, 2, 2]


def test_ridge_predicts_a_line_and_shrinks_noise() -> None:
    X = normal(20)
    y = 3 * X[:, 0] + 1
    np.testing.assert_allclose(Ridge.of(X[:300], X[300:]).predictions(y[:300]), y[300:], atol=0.05)
    noise = np.random.default_rng(1).normal(size=N)
    assert Ridge.of(X[:300], X[300:]).predictions(noise[:300]).std() < 0.2


def test_the_curve_of_one_column_among_many_is_followed() -> None:
    X = normal(20)
    X[:, 7] = np.abs(X[:, 6]) + 0.3 * X[:, 7]
    X[:, 7] = (X[:, 7] - X[:, 7].mean()) / X[:, 7].std()
    found = draws_of(X, units=[[7]])
    known = np.var(np.abs(X[:, 6]))
    assert found.fit[0] == pytest.approx(known / (known + 0.09), abs=0.03)
