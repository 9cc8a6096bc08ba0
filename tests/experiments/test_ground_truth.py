from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments import ground_truth, synthetic
from tests.experiments.helpers import read, run_twice


def test_drawn_tables_follow_their_formulas() -> None:
    for name, drivers in (("Syn1", {0, 1}), ("Syn2", {2, 3, 4, 5}), ("Syn3", {6, 7, 8, 9})):
        known = synthetic.syn(name, 50, 11, 0)
        assert set(np.flatnonzero(known.is_driver.all(axis=0))) == drivers == set(np.flatnonzero(known.is_driver[0]))
    many = synthetic.syn("Syn1", 40_000, 11, 0)
    probability = 1 / (1 + np.exp(many.X["x1"].to_numpy() * many.X["x2"].to_numpy()))
    for low, high in ((0.2, 0.4), (0.6, 0.8)):
        rows = (low < probability) & (probability < high)
        assert many.y[rows].mean() == pytest.approx(probability[rows].mean(), abs=0.02)
    switched = synthetic.syn("Syn5", 200, 11, 0)
    below = (switched.X["x11"] < 0).to_numpy()
    assert set(map(tuple, switched.is_driver[below].tolist())) == {tuple(i in {0, 1, 10} for i in range(11))}
    assert set(map(tuple, switched.is_driver[~below].tolist())) == {tuple(i in {6, 7, 8, 9, 10} for i in range(11))}
    xor = synthetic.small_and_wide("xor", 100, 6, 0)
    assert (xor.y == ((xor.X["x1"] > 0.5) != (xor.X["x2"] > 0.5))).all()
    for name in ("ring", "ring+xor"):
        assert 0.35 < synthetic.small_and_wide(name, 5_000, 6, 0).y.mean() < 0.65  # type: ignore[arg-type]


def test_added_columns_are_noise_copies_and_products() -> None:
    X = pd.DataFrame(np.random.default_rng(1).normal(size=(5_000, 3)) * [1, 10, 100], columns=["a", "b", "c"])
    random, corrupted, products = (synthetic.with_noise(X, kind, 0) for kind in ("random", "corrupted", "products"))
    assert list(random.columns) == ["a", "b", "c", "added_1", "added_2", "added_3"]
    assert abs(random["a"].corr(random["added_1"])) < 0.05
    assert corrupted["added_2"].std() == pytest.approx(X["b"].std() * 0.5**0.5, rel=0.05)
    assert corrupted["b"].corr(corrupted["added_2"]) == pytest.approx(0.5**0.5, abs=0.03)
    pairs = [X[first] * X[second] for first, second in (("a", "b"), ("a", "c"), ("b", "c"))]
    assert all(any(np.allclose(products[f"added_{i}"], pair) for pair in pairs) for i in (1, 2, 3))


def test_discoveries_are_counted_by_row() -> None:
    is_driver = np.array([[True, True, False], [True, False, False]])
    known = synthetic.KnownTable(pd.DataFrame(), np.zeros(2), is_driver)
    selected = np.array([[True, False, False], [True, True, True]])
    np.testing.assert_allclose(ground_truth.discoveries(selected, known), (75.0, 100 / 3))
    local = pd.DataFrame(np.random.default_rng(0).normal([0.0, 1.0, -1.0], 1.0, size=(200, 3)))
    assert ground_truth.selected_globally(local).tolist() == [False, True, False]
    assert ground_truth.recall_at_k(pd.Series([1, 2, 3], index=["a", "b", "c"]), {"a", "c"}) == 0.5


def test_columns_are_selected_where_they_matter() -> None:
    random = np.random.default_rng(0)
    X = pd.DataFrame(random.normal(size=(2_000, 3)), columns=["a", "b", "switch"])
    matters = np.column_stack([X["switch"] < 0, X["switch"] >= 0, np.ones(len(X), dtype=bool)])
    local = pd.DataFrame(matters + random.normal(size=X.shape))
    selected = ground_truth.selected_by_region(X[:1_500], local[:1_500], X[1_500:])
    assert (selected == matters[1_500:]).mean() > 0.98


def test_ground_truth_is_measured_once(tmp_path: Path) -> None:
    out = tmp_path / "cells.csv"
    sizes = "--syn-columns 11 --wide-columns 6 --max-rows 80 --max-epochs 2"
    command = f"--parts syn wide --tables Syn4 xor {sizes} --out {out}"
    run_twice(ground_truth.main, command.split(), out)
    summary = read(tmp_path / "cells_summary.csv")
    assert set(summary["table"]) == {"Syn4", "xor"}
    fractions = summary[summary["measure"].isin(["true discoveries", "false discoveries"])]
    assert len(fractions) == 4
    assert fractions["mean"].between(0, 100).all()
    assert summary["published"].str.contains("Hide-and-Seek 99/4").any()


def test_drivers_of_real_tables_are_looked_for_in_the_catalog(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    X = pd.DataFrame(random.normal(size=(150, 6)), columns=[f"X{i}" for i in range(1, 7)])
    X.assign(Y=X["X1"] + X["X2"] + X["X3"] + X["X4"] + X["X5"]).to_csv(tmp_path / "fried.csv", index=False)
    (tmp_path / "catalog.csv").write_text("name,file,target,task\nfried,fried.csv,Y,regression\n", encoding="utf-8")
    out = tmp_path / "cells.csv"
    command = f"--data {tmp_path} --parts real --tables fried --max-epochs 20 --out {out}"
    ground_truth.main(command.split())
    assert read(out).set_index("method")["value"].to_dict()["swap"] >= 0.8
    assert read(out)["measure"].unique().tolist() == ["recall at k"]
