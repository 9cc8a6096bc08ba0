from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.inspection import partial_dependence

from tabattn import TabAttnClassifier, TabAttnRegressor
from tabattn.fitted.effects import column_effects, shown_outputs
from tabattn.fitted.grids import MAX_LEVELS, PROBABILITIES, value_grid
from tabattn.importance.effects import Effect, Grid
from tabattn.table.inference import infer_table
from tests.conftest import FAST


def grids(cells: "pd.Series[Any]", **settings: Any) -> Grid | None:
    table = infer_table(cells.to_frame("x"), **settings)
    return value_grid(table.schema.columns[0], table.cells[0])


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=5, max_size=60))
def test_values_of_a_grid_are_values_of_the_column(values: list[float | None]) -> None:
    cells = pd.Series(values, dtype=float)
    if cells.nunique() < 3:
        return
    grid = grids(cells, kinds={"x": "numeric"})
    assert grid is not None
    own = cells.to_numpy()[grid.rows[: grid.n_present]]
    assert (np.diff(own) > 0).all()
    assert [float(each) for each in grid.values[: grid.n_present]] == pytest.approx(own.tolist(), rel=1e-6)
    assert own[grid.low] <= cells.quantile(0.1, interpolation="higher")
    assert own[grid.high] >= cells.quantile(0.9, interpolation="lower")
    assert ((grid.nearest == grid.n_present) == cells.isna()).all()
    known = cells.notna().to_numpy()
    nearest = np.abs(cells.to_numpy()[known, None] - own).min(axis=1)
    assert np.abs(cells.to_numpy()[known] - own[grid.nearest[known]]) == pytest.approx(nearest, rel=1e-9, abs=1e-9)
    assert grid.n_present <= max(len(PROBABILITIES), cells.nunique() if cells.nunique() <= len(PROBABILITIES) else 0)


def test_levels_are_the_most_frequent_ones() -> None:
    random = np.random.default_rng(0)
    cells = pd.Series(random.choice([f"l{i}" for i in range(40)], 2_000, p=np.arange(1, 41) / 820))
    grid = grids(cells)
    assert grid is not None
    assert set(grid.values) == set(cells.value_counts().index[:MAX_LEVELS])
    assert not grid.is_ordered
    assert set(np.unique(grid.nearest)) == set(range(-1, MAX_LEVELS))


def test_dates_durations_and_booleans_are_written_as_people_do_and_texts_have_no_grid() -> None:
    dates = grids(pd.Series(pd.date_range("2024-03-01", periods=30)))
    assert dates is not None
    assert dates.values[0].startswith("2024-03-01")
    booleans = grids(pd.Series([True, False, None, True] * 5))
    assert booleans is not None
    assert booleans.values == ("False", "True", "")
    assert booleans.is_ordered
    durations = grids(pd.Series(pd.to_timedelta(np.arange(20), unit="min")))
    assert durations is not None
    assert durations.values[1] == "0 days 00:01:00"
    texts = pd.Series([f"a long sentence about {i} and {i * i}, which nobody wrote twice" for i in range(40)])
    assert grids(texts, kinds={"x": "text"}) is None
    assert grids(pd.Series([1.0] * 5), kinds={"x": "numeric"}) is None


def effects(X: pd.DataFrame, y: Any, estimator: Any, n_rows: int = 300, weight: Any = None) -> dict[str, Effect]:
    fitted = estimator.fit(X, y).fitted_model_
    table = infer_table(X)
    return {each.feature: each for each in column_effects(fitted, table, np.asarray(y), weight, n_rows, 0)}


def test_effects_are_the_partial_dependence_of_scikit_learn(mixed: pd.DataFrame) -> None:
    X, y = mixed.drop(columns="y"), mixed["y"].to_numpy()
    estimator = TabAttnRegressor(**FAST, random_state=0)
    found = effects(X, y, estimator)
    for name in ("heat", "noise", "line", "flag"):
        grid = found[name].grid
        values = X[name].to_numpy()[grid.rows[: grid.n_present]]
        theirs = partial_dependence(estimator, X, [name], custom_values={name: values}, kind="both")
        ours = found[name].prediction[: grid.n_present, 0]
        assert ours == pytest.approx(theirs["average"][0], abs=1e-5)
        rows = theirs["individual"][0]
        shifted = rows - rows.mean(axis=1, keepdims=True)
        if grid.n_present == len(grid.values):  # where none is missing, the band is that of the same values
            low = np.quantile(shifted, 0.1, axis=0) + rows.mean()
            assert found[name].low[:, 0] == pytest.approx(low, abs=1e-5)
    assert found["heat"].direction == "up"
    assert found["line"].direction == "levels"
    assert found["noise"].direction == "none"
    assert list(found) == list(X)


def test_missing_cells_get_a_value_of_their_own(mixed: pd.DataFrame) -> None:
    X, y = mixed.drop(columns="y"), mixed["y"].to_numpy()
    estimator = TabAttnRegressor(**FAST, random_state=0)
    found = effects(X, y, estimator)["line"]
    assert found.grid.values == ("A", "B", "C", "")
    predicted = estimator.predict(X.assign(line=None)).mean()
    assert found.prediction[-1, 0] == pytest.approx(predicted, abs=1e-5)
    assert found.n_rows[-1] == X["line"].isna().sum()


def test_probabilities_of_the_second_of_two_classes_are_shown(mixed: pd.DataFrame) -> None:
    X, y = mixed.drop(columns="y"), np.where(mixed["y"] > 0, "good", "bad")
    estimator = TabAttnClassifier(**FAST, random_state=0)
    found = effects(X, y, estimator)
    assert shown_outputs(estimator.fitted_model_) == [(1, "good")]
    assert found["heat"].direction == "up"
    assert found["heat"].output == 1
    assert 0.1 < found["heat"].effect <= 1


def test_the_same_seed_gives_the_same_effects_and_few_rows_are_enough(mixed: pd.DataFrame) -> None:
    X, y = mixed.drop(columns="y"), mixed["y"].to_numpy()
    estimator = TabAttnRegressor(**FAST, random_state=0)
    first, again = (effects(X, y, estimator, 50)["heat"] for _ in range(2))
    assert (first.prediction == again.prediction).all()
    assert first.direction == "up"


def test_rows_without_weight_do_not_count(mixed: pd.DataFrame) -> None:
    X, y = mixed.drop(columns="y"), mixed["y"].to_numpy()
    estimator = TabAttnRegressor(**FAST, random_state=0)
    weight = np.where(X["flag"], 0.5, 0.0)
    found = effects(X, y, estimator, weight=weight)["flag"]
    assert np.isnan(found.target_mean[0, 0])
    assert found.target_mean[1, 0] == pytest.approx(y[X["flag"]].mean())
    theirs = partial_dependence(estimator, X[X["flag"]], ["flag"], custom_values={"flag": np.array([False, True])})
    assert found.prediction[:, 0] == pytest.approx(theirs["average"][0], abs=1e-5)
