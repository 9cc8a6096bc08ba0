from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabattn.arrays import Array
from tabattn.importance.effects import (
    EFFECT_COLUMNS,
    Grid,
    direction_of,
    effect_of,
    effects_table,
)

N_ROWS, N_VALUES = 40, 9


def grid_of(n: int = N_VALUES, *, is_ordered: bool = True, has_missing: bool = False) -> Grid:
    names = tuple(str(each) for each in range(n)) + ("",) * has_missing
    return Grid(names, np.arange(len(names)), np.arange(N_ROWS) % len(names), is_ordered, 1, n - 2)


def predictions_of(curve: Array) -> Array:
    rows = np.random.default_rng(0).normal(size=N_ROWS)
    return (curve[:, None] + rows)[:, :, None]


@pytest.mark.parametrize(
    ("curve", "wanted"),
    [
        (lambda x: x, "up"),
        (lambda x: -(x**3), "down"),
        (lambda x: -(x**2), "peak"),
        (lambda x: np.abs(x), "valley"),
        (lambda x: np.minimum(x, 0.2) - 0.02 * x, "up"),
        (lambda x: 0 * x, "none"),
    ],
)
def test_curves_have_the_direction_that_one_sees(curve: Callable[[Array], Array], wanted: str) -> None:
    x = np.linspace(-1, 1, N_VALUES)
    assert direction_of(curve(x), np.ones(N_VALUES)) == wanted


@settings(deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=2, max_size=12), st.floats(0.1, 10), st.floats(-5, 5))
def test_directions_turn_with_the_curve_and_do_not_depend_on_its_units(
    heights: list[int], scale: float, shift: float
) -> None:
    curve, weight = np.array(heights, float), np.ones(len(heights))
    way = direction_of(curve, weight)
    assert direction_of(scale * curve + shift, weight) == way
    turned = {"up": "down", "down": "up", "none": "none"}
    has_turn = {"peak", "valley"}
    for other in (-curve, curve[::-1]):
        found = direction_of(other, weight)
        assert found == turned[way] if way in turned else found in has_turn


def test_the_effect_is_the_difference_of_the_percentiles_in_units_of_the_target() -> None:
    curve = np.linspace(-3.0, 5.0, N_VALUES)
    targets = np.random.default_rng(1).normal(size=(N_ROWS, 1)) * 4
    effect = effect_of("heat", grid_of(), predictions_of(curve), targets, np.ones(N_ROWS), [0])
    assert (effect.direction, effect.output) == ("up", 0)
    assert effect.effect == pytest.approx(curve[-2] - curve[1])
    assert effect.n_rows.sum() == N_ROWS
    assert effect.target_mean[0, 0] == pytest.approx(targets[::N_VALUES].mean())
    assert np.allclose(effect.high - effect.low, 0)  # the same in every row


def test_rows_that_differ_widen_the_band() -> None:
    random, curve = np.random.default_rng(0), np.linspace(-1, 1, N_VALUES)
    slopes = random.normal(size=N_ROWS)
    effect = effect_of(
        "heat",
        grid_of(),
        (curve[:, None] * slopes)[:, :, None],
        random.normal(size=(N_ROWS, 1)) / 5,
        np.ones(N_ROWS),
        [0],
    )
    width = (effect.high - effect.low)[:, 0]
    assert width[0] > 5 * width[N_VALUES // 2]


@pytest.mark.parametrize("is_ordered", [True, False])
def test_small_effects_have_no_direction_and_unordered_ones_are_of_levels(is_ordered: bool) -> None:
    curve, targets = np.linspace(0, 1, N_VALUES), np.random.default_rng(0).normal(size=(N_ROWS, 1))
    grid = grid_of(is_ordered=is_ordered)
    small = effect_of("heat", grid, predictions_of(0.01 * curve), targets, np.ones(N_ROWS), [0])
    large = effect_of("heat", grid, predictions_of(curve), targets, np.ones(N_ROWS), [0])
    assert small.direction == "none"
    assert large.direction == ("up" if is_ordered else "levels")
    assert large.effect == pytest.approx(curve[-2] - curve[1] if is_ordered else 1.0)


def test_a_column_whose_absence_alone_counts_acts_by_levels() -> None:
    targets = np.random.default_rng(0).normal(size=(N_ROWS, 1))
    curve = np.array([*[0.0] * 4, 2.0])
    effect = effect_of("heat", grid_of(4, has_missing=True), predictions_of(curve), targets, np.ones(N_ROWS), [0])
    assert effect.direction == "levels"
    assert effect.effect == pytest.approx(2.0)


def test_the_direction_is_that_of_the_class_that_moves_most_among_those_that_are_shown() -> None:
    targets = np.eye(3)[np.arange(N_ROWS) % 3]
    x = np.linspace(-1, 1, N_VALUES)
    moved = np.stack([0.4 * x, 0.1 * x, -0.5 * x], axis=1)[:, None] + np.zeros((1, N_ROWS, 1))
    assert effect_of("heat", grid_of(), moved, targets, np.ones(N_ROWS), [0, 1, 2]).direction == "down"
    assert effect_of("heat", grid_of(), moved, targets, np.ones(N_ROWS), [0, 1]).output == 0


def test_the_table_has_a_row_for_each_value_and_shown_output() -> None:
    targets = np.eye(2)[np.arange(N_ROWS) % 2]
    predictions = np.full((N_VALUES, N_ROWS, 2), 0.5)
    effect = effect_of("heat", grid_of(), predictions, targets, np.ones(N_ROWS), [1])
    table = effects_table([effect], [(1, "yes")])
    assert tuple(table) == EFFECT_COLUMNS
    assert len(table) == N_VALUES
    assert set(table["output"]) == {"yes"}
    assert table["target_mean"].between(0, 1).all()
    assert effects_table((), ()).empty
    assert isinstance(table, pd.DataFrame)
