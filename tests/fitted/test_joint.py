"""Pairs that act together, and the smallest set of columns that predicts as well as all."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tabattn import Ranking, rank
from tabattn.errors import TabAttnWarning
from tabattn.fitted.interactions import INTERACTION_COLUMNS, MAX_PAIRED, paired_units
from tabattn.fitted.sufficient import SUFFICIENT_COLUMNS, Elimination, elimination_table, sufficient_features

SMALL: dict[str, Any] = {"n_members": 4, "d_token": 16, "n_layers": 2, "n_repeats": 1, "random_state": 0}


def rows(n_rows: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(rng.normal(size=(n_rows, 5)), columns=["heat", "flow", "dose", "idle", "copy"])
    table["copy"] = table["dose"] + 0.05 * table["copy"]
    table["line"] = rng.choice(["A", "B"], n_rows)
    signal = 1.5 * table["heat"] * table["flow"] + 2 * table["dose"] + (table["line"] == "A")
    return table.assign(y=signal + 0.5 * rng.normal(size=n_rows))


@pytest.fixture(scope="module")
def ranking() -> Ranking:
    return rank(rows(700), "y", **SMALL)


def test_the_pair_that_acts_together_is_the_only_one(ranking: Ranking) -> None:
    found = ranking.interactions
    assert tuple(found) == INTERACTION_COLUMNS
    assert set(found.loc[0, ["feature_1", "feature_2"]]) == {"heat", "flow"}
    assert found["selected"].tolist() == [True] + [False] * (len(found) - 1)
    assert found["gain"][0] > 10 * found["gain"][1:].max()
    assert found["rank"].tolist() == list(range(1, len(found) + 1))


def test_one_of_two_copies_and_all_other_drivers_are_needed(ranking: Ranking) -> None:
    steps = ranking.sufficient_set
    assert tuple(steps) == SUFFICIENT_COLUMNS
    kept = set(sufficient_features(steps))
    assert {"heat", "flow", "line"} < kept
    assert len(kept & {"dose", "copy"}) == 1
    assert "idle" not in kept
    assert steps["kept"].iloc[0] == 1
    assert steps["kept"].iloc[-1] == 0
    assert steps["n_left"].is_monotonic_decreasing
    assert set(steps["feature"][1:]) == set(ranking.table["feature"])


def test_copies_add_something_together(ranking: Ranking) -> None:
    assert ranking.clusters is not None
    clusters = ranking.clusters.set_index("kind")
    joint = clusters.loc["group"]
    assert joint["selected"]
    assert joint["conditional"] > 5 * ranking.table.set_index("feature")["conditional"][["dose", "copy"]].max()
    assert joint["ci_low"] < joint["importance"] < joint["ci_high"]


@pytest.mark.slow
def test_classes_with_an_exclusive_or_are_found_too() -> None:
    table = rows(900, 1)
    table["y"] = np.where(table["heat"] * table["flow"] + 0.2 * table["dose"] > 0, "good", "bad")
    found = rank(table, "y", **SMALL).interactions
    assert set(found.loc[0, ["feature_1", "feature_2"]]) == {"heat", "flow"}
    assert found["selected"][0]


def test_noise_has_no_pairs_and_no_sufficient_set() -> None:
    table = rows(120).assign(y=np.random.default_rng(5).normal(size=120))
    with pytest.warns(UserWarning, match="better than"):
        found = rank(table, "y", **(SMALL | {"max_epochs": 10}))
    assert found.interactions.empty
    assert found.sufficient_set.empty


def test_time_that_is_short_leaves_them_out() -> None:
    with pytest.warns(UserWarning, match="better than"):
        found = rank(rows(200), "y", **SMALL, time_limit=0.01)
    assert "no interactions" in found.shortened
    assert found.sufficient_set.empty


def test_the_most_important_of_those_that_are_selected_are_paired() -> None:
    importance, selected = np.arange(12) / 66, np.arange(12) % 4 > 0
    assert paired_units(importance, selected) == [11, 10, 9, 7, 6, 5, 3, 2][:MAX_PAIRED]


def test_steps_become_rows_of_the_table() -> None:
    steps = [
        Elimination((), 3, 0.2, 1.0, True),
        Elimination((2, 0), 1, 0.3, 0.4, True),
        Elimination((1,), 0, 1.2, 0.0, False),
    ]
    table = elimination_table(steps, ["a", "b", "c"])
    assert table["feature"].tolist() == ["", "c", "a", "b"]
    assert table["kept"].tolist() == pytest.approx([1.0, 0.9, 0.9, 0.0])
    assert sufficient_features(table) == ["b"]
    assert elimination_table([], ["a"]).empty
    assert sufficient_features(elimination_table([], ["a"])) == []


def test_wide_tables_with_copies_are_drawn_as_often_alone_as_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tabattn.fitted.evaluation.MANY_UNITS", 10)
    monkeypatch.setattr("tabattn.importance.conditional.MANY_UNITS", 10)
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(150, 12))).add_prefix("x")
    table["copy"], table["same"] = table["x0"] * 2, 1.0
    table["y"] = 3 * table["x0"] + table["x1"] + 0.3 * rng.normal(size=150)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TabAttnWarning)
        found = rank(table, "y", **(SMALL | {"max_epochs": 25}))
    assert found.clusters is not None
    assert found.clusters["p_value"].notna().all()
    assert found.clusters.set_index("kind").loc["group", "selected"]
    assert "same" not in sufficient_features(found.sufficient_set), "the model does not read it"
