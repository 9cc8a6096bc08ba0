from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments import significance
from tests.experiments.helpers import read


@pytest.mark.parametrize("design", significance.DESIGNS)
def test_designs_are_what_they_say(design: str) -> None:
    table, drivers = significance.table_of(design, 4_000, 0)
    assert len(drivers) == (0 if design == "null" else 5)
    if design == "mixed":
        X = table.drop(columns="y")
        assert X.select_dtypes("number").shape[1] == 15
        assert X["x2"].value_counts().tolist() == pytest.approx([1_000] * 4, rel=0.1)
        assert X.isna().mean().gt(0).sum() == 5
        assert X["x3"].isna().mean() == pytest.approx(0.15, abs=0.02)
        assert np.corrcoef(X["x0"], np.log(X["x1"]))[0, 1] == pytest.approx(0.6, abs=0.06)
        return
    correlation = table.drop(columns="y").corr().to_numpy()
    wanted = dict.fromkeys(("ar1", "noisy", "folds", "additive", "classes"), 0.6) | {"block": 0.8}
    assert correlation[0, 1] == pytest.approx(wanted.get(design, 0.0), abs=0.06)
    if design == "classes":
        assert table["y"].value_counts(normalize=True)["high"] == pytest.approx(0.5, abs=0.05)
    if design == "folds":
        assert table.equals(significance.table_of("noisy", 4_000, 0)[0])
    if design == "curve":
        assert np.corrcoef(table["x0"] ** 2, table["x1"])[0, 1] > 0.9


def test_shares_are_means_over_tables() -> None:
    measures = {"p < 0.01": [0.0, 0.1], "fdr": [0.0, 0.5], "power": [1.0, 0.8]}
    cells = pd.DataFrame({"design": "ar1", "n_rows": 500, "seed": [0, 1], **measures, "commit": "", "code": ""})
    (row,) = significance.summarize(cells).to_dict("records")
    assert (row["p < 0.01"], row["fdr"], row["power"], row["tables"]) == (0.05, 0.25, 0.9, 2)


@pytest.mark.slow
def test_a_table_is_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"n_members": 2, "n_layers": 1, "d_token": 16, "max_epochs": 20, "learning_rate": 1e-2}
    monkeypatch.setattr(significance, "SMALL", small)
    monkeypatch.setattr(significance, "DESIGNS", ("ar1",))
    monkeypatch.setattr(significance, "N_OTHERS", 200)
    monkeypatch.setattr(significance, "N_FRESH", 300)
    table, drivers = significance.table_of("ar1", 300, 1)
    found = significance.measure(table, drivers, 1, significance.table_of("ar1", 700, 2)[0])
    assert found["power"] > 0.5
    assert 0.4 < found["covered"] <= 1
    assert {"pair_found", "any_other_pair", "drivers_in_set", "others_in_set"} < set(found)
    significance.main(["--designs", "ar1", "--n-rows", "60", "--n-seeds", "1", "--out", str(tmp_path / "s.csv")])
    assert read(tmp_path / "s.csv")["design"].tolist() == ["ar1"]
