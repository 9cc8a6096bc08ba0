from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabattn.diagnostics.redundancy import same_column_findings, same_columns
from tabattn.table.inference import infer_table

CHANGES: dict[str, Callable[[Any], Any]] = {
    "copy": lambda x: x,
    "reversed": lambda x: -x,
    "rounded": lambda x: np.round(x, 1),
    "another unit": lambda x: 32 + 1.8 * x,
    "logarithm": lambda x: np.log(x - x.min() + 1),
    "noisy": lambda x: x + 0.05 * np.sin(1e4 * x),
    "missing": lambda x: np.where(np.arange(len(x)) % 7 == 0, np.nan, x),
}


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(sorted(CHANGES)), st.integers(0, 99), st.integers(30, 400))
def test_numbers_that_say_the_same_are_found_however_they_are_written(change: str, seed: int, n_rows: int) -> None:
    x, other = np.random.default_rng(seed).normal(size=(2, n_rows))
    table = pd.DataFrame({"x": x, "other": other, "again": CHANGES[change](x)})
    assert same_columns(infer_table(table)) == {"x + 1": ("x", "again")}


def test_levels_under_other_names_are_found() -> None:
    line = np.random.default_rng(0).choice(list("ABCD"), 200)
    codes = pd.Series(line).map({"A": "Seoul", "B": "Busan", "C": "Ulsan", "D": "Jeju"})
    others = np.random.default_rng(1).choice(list("ABCD"), 200)
    table = pd.DataFrame({"line": line, "plant": codes, "other": others, "half": np.where(line < "C", "old", "new")})
    assert same_columns(infer_table(table)) == {"line + 1": ("line", "plant")}


def test_dates_and_counters_that_say_the_same_are_found() -> None:
    days = pd.date_range("2024-01-01", periods=60)
    noise = np.random.default_rng(0).normal(size=60)
    found = same_columns(infer_table(pd.DataFrame({"day": days, "noise": noise, "shift": np.arange(60) * 3.5})))
    assert found == {"day + 1": ("day", "shift")}


@pytest.mark.parametrize("seed", range(5))
def test_independent_and_correlated_columns_are_not_joined(seed: int) -> None:
    random = np.random.default_rng(seed)
    X = pd.DataFrame(random.normal(size=(60, 30)), columns=[f"x{i}" for i in range(30)])
    X["near"] = X["x0"] + 0.6 * random.normal(size=60)
    X["flag"], X["line"] = random.choice(["a", "b"], 60), random.choice(list("abcdefgh"), 60)
    assert same_columns(infer_table(X)) == {}


def test_a_cluster_gets_a_name_that_no_column_has() -> None:
    x = np.random.default_rng(0).normal(size=50)
    table = pd.DataFrame({"x": x, "y": -x, "x + 1": np.sin(1e6 * x)})
    assert same_columns(infer_table(table)) == {"x + 1'": ("x", "y")}


def test_many_groups_are_named_in_four_lines() -> None:
    clusters = {f"x{i} + 1": (f"x{i}", f"x{i} again") for i in range(12)} | {"z + 2": ("z", "z 2", "z 3")}
    found = list(same_column_findings(clusters))
    assert [each.numbers["columns"] for each in found] == [3, 2, 2, 20]
    assert found[-1].message.startswith("10 more groups of columns say the same ('x2', 'x2 again'; ")
    assert {name for each in found for name in each.columns} == {name for names in clusters.values() for name in names}
    assert len(list(same_column_findings(dict(list(clusters.items())[:4])))) == 4
