from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments import dependent_rows
from tests.experiments.helpers import read


@pytest.mark.parametrize("seed", range(3))
def test_blocks_have_the_share_of_variance_that_was_asked_for(seed: int) -> None:
    table, block = dependent_rows.blocks(5, 0.9, seed)
    between = table["y"].groupby(block).mean().var() / table["y"].var()
    assert between == pytest.approx(0.9, abs=0.1)
    assert (table.groupby(block)[["heat", "flow", "gas"]].std() < 1e-9).all().all()
    assert ("lot" in table) == (seed % 2 == 1)
    assert (np.diff(block) >= 0).all() == (seed % 3 == 0)


def test_columns_in_time_have_the_parameter_that_was_asked_for() -> None:
    table, _ = dependent_rows.in_time(0.9, 0)
    found = [table[name].autocorr() for name in ("heat", "flow", "gas", "a", "b", "c")]
    assert np.mean(found) == pytest.approx(0.9, abs=0.06)
    assert abs(table["dose"].autocorr()) < 0.15


def test_what_should_be_warned_of_is_counted() -> None:
    cells = pd.DataFrame(
        {
            "kind": "blocks", "size": 5, "strength": 0.9, "seed": range(4), "warned": [1.0, 0.0, 1.0, 0.0],
            "random": [0.8, 0.8, 0.3, 0.05], "right": [0.1, 0.1, 0.25, -0.3],
            "idle rank, random": 1.0, "idle rank, right": 2.0,
            "idle rank of rank, random": [1.0, np.nan, 3.0, np.nan], "idle rank of rank, right": 2.0,
        }
    )  # fmt: skip
    (row,) = dependent_rows.summarize(cells).to_dict("records")
    assert row["idle rank of rank, random"] == 2
    assert (row["overstated"], row["warned"], row["warned where overstated"], row["tables"]) == (0.5, 0.5, 0.5, 4)


def test_one_table_of_each_strength_in_time_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dependent_rows, "PARAMETERS", (0.0, 0.99))
    dependent_rows.main(["--kinds", "time", "--n-tables", "1", "--n-ranked", "0", "--out", str(tmp_path / "d.csv")])
    cells = read(tmp_path / "d.csv").set_index("strength")
    assert cells["warned"].tolist() == [0, 1]
    assert cells["random"][0.99] > 0.6 > cells["right"][0.99]
    assert cells["idle rank, right"][0.0] > 1
    assert {"d_summary.csv", "d.png"} <= {path.name for path in tmp_path.iterdir()}


def test_the_best_rank_of_an_idle_column_is_that_of_the_ranking(monkeypatch: pytest.MonkeyPatch) -> None:
    importances = pd.DataFrame({"feature": ["a", "dose", "b"], "importance": [0.1, 0.6, 0.3]})
    asked: dict[str, Any] = {}

    def rank(table: pd.DataFrame, target: str, **options: Any) -> SimpleNamespace:
        asked.update(options, columns=list(table), target=target)
        return SimpleNamespace(table=importances)

    monkeypatch.setattr(dependent_rows, "rank", rank)
    measured = dependent_rows.measure("blocks", *dependent_rows.blocks(10, 0.9, 1), is_ranked=True)
    assert measured["idle rank of rank, random"] == measured["idle rank of rank, right"] == 2
    assert (asked["split_by"], asked["order_by"]) == ("block", None)
    assert "lot" not in asked["columns"]
