from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments import known_effects
from tests.experiments.helpers import read


@pytest.mark.parametrize("function", known_effects.MADE)
def test_totals_are_half_the_mean_squared_change_when_one_column_is_drawn_anew(function: str) -> None:
    """Jansen's estimator of the total index; for correlated columns what permuting costs, which is twice that."""
    make, value, totals = known_effects.MADE[function]
    random = np.random.default_rng(0)
    X, others = make(200_000, random), make(200_000, random)
    for column, total in enumerate(totals):
        changed = X.copy()
        changed[:, column] = others[:, column]
        found = ((value(changed) - value(X)) ** 2).mean() / 2
        assert found == pytest.approx(total, rel=0.05, abs=0.01 * totals.max())


def test_tables_hold_the_function_and_idle_columns() -> None:
    table = known_effects.table_of("friedman", 4_000, 0)
    assert list(table.columns[-4:]) == ["idle1", "idle2", "idle3", "y"]
    signal = known_effects.MADE["friedman"][1](table.to_numpy())
    assert (table["y"] - signal).std() / signal.std() == pytest.approx(1 / 3, abs=0.03)
    assert known_effects.truth_of("friedman").sum() == pytest.approx(1)


def test_the_truth_has_no_distance_and_all_pairs_in_order() -> None:
    truth = known_effects.truth_of("ishigami")
    assert known_effects.compare(5 * truth, truth) == {"distance": 0.0, "in_order": 1.0}
    swapped = truth.rename({"x1": "x2", "x2": "x1"})
    found = known_effects.compare(swapped, truth)
    assert found["distance"] == pytest.approx(abs(truth["x1"] - truth["x2"]))
    assert found["in_order"] < 1


def test_means_are_over_seeds() -> None:
    cells = pd.DataFrame(
        {"function": "linear", "n_rows": 500, "seed": [0, 1], "method": "swap", "distance": [0.1, 0.3], "in_order": 1.0}
    )
    summary = known_effects.summarize(cells)
    assert summary["distance"].tolist() == [0.2, 0.2]
    assert summary["function"].tolist() == ["linear", "all"]


@pytest.mark.slow
def test_a_function_is_measured(tmp_path: Path) -> None:
    pytest.importorskip("catboost")
    pytest.importorskip("lightgbm")
    known_effects.main(["--functions", "linear", "--n-rows", "200", "--n-seeds", "1", "--out", str(tmp_path / "k.csv")])
    assert len(read(tmp_path / "k.csv")) == 7
