import numpy as np
import pandas as pd
import pytest

from tabattn.diagnostics.associations import MAX_COLUMNS, associations
from tabattn.table.inference import infer_table


def of(table: pd.DataFrame) -> pd.DataFrame:
    return associations(infer_table(table), list(table.columns))


def test_known_strengths() -> None:
    """Numbers by ranks, of either sign; levels that are the same under other names; levels that give a number away."""
    random = np.random.default_rng(0)
    x, lot = random.normal(size=400), random.choice(["A", "B", "C"], 400)
    table = pd.DataFrame({"x": x, "cubed": -(x**3), "idle": random.normal(size=400), "lot": lot})
    table["name"] = table["lot"].map({"A": "one", "B": "two", "C": "three"})
    table["level"] = table["lot"].map({"A": 1.0, "B": 20.0, "C": 300.0}) + 1e-3 * random.normal(size=400)
    found = of(table)
    assert found.loc["x", "cubed"] == pytest.approx(1)
    assert found.loc["lot", "name"] == pytest.approx(1)
    assert found.loc["lot", "level"] == pytest.approx(0.943, abs=0.02), "ranks differ within levels too"
    assert found.loc["idle"].drop("idle").max() < 0.15
    np.testing.assert_array_equal(found, found.T)
    assert (np.diag(found) == 1).all()


def test_those_that_go_together_are_next_to_each_other() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(size=(2, 300))
    table = pd.DataFrame({"a": first, "b": second, "c": first + 0.1 * second, "d": second - 0.1 * first})
    order = list(of(table).columns)
    assert abs(order.index("a") - order.index("c")) == 1
    assert abs(order.index("b") - order.index("d")) == 1


def test_missing_cells_texts_constants_and_many_columns() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=200)
    table = pd.DataFrame({"x": x, "half": np.where(np.arange(200) % 2, x, np.nan), "one": 1.0})
    table["few"] = np.where(np.arange(200) < 4, x, np.nan)
    found = of(table)
    assert set(found.columns) == {"x", "half", "few"}
    assert found.loc["x", "half"] == pytest.approx(1)
    assert found.loc["x", "few"] == 0, "too few rows to tell"
    assert of(pd.DataFrame({"x": x, "one": 1.0})).shape == (1, 1)
    assert of(pd.DataFrame(random.normal(size=(30, 70))).add_prefix("c")).shape == (MAX_COLUMNS, MAX_COLUMNS)
