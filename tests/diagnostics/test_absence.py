from typing import Any

import numpy as np
import pandas as pd
import pytest

from tabattn.diagnostics.absence import absence_findings
from tabattn.diagnostics.findings import Finding
from tabattn.table.inference import infer_table
from tabattn.table.problem import split_target


def found(table: pd.DataFrame) -> list[Finding]:
    problem = split_target(table, "y")
    return list(absence_findings(infer_table(problem.X), problem))


def holes(n_rows: int, chance: Any, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    table = pd.DataFrame(random.normal(size=(n_rows, 30)), columns=[f"x{i}" for i in range(30)])
    table["y"] = random.normal(size=n_rows)
    gone = random.random((n_rows, 30)) < 0.2
    gone[:, 7] = random.random(n_rows) < np.where(table["y"] > 0.5, chance, 0.1)
    table.iloc[:, :30] = table.iloc[:, :30].mask(gone)
    return table


@pytest.mark.parametrize("target", ["numbers", "classes", "skewed"])
def test_a_column_whose_cells_are_missing_with_the_target_is_named_and_no_other(target: str) -> None:
    table = holes(400, 0.6)
    if target == "classes":
        table["y"] = np.where(table["y"] > 0.5, "bad", "good")
    if target == "skewed":
        table["y"] = np.exp(5 * table["y"])
    (finding,) = found(table)
    assert (finding.code, finding.columns, finding.severity) == ("absence_is_signal", ("x7",), "note")
    assert finding.message.startswith("'x7': the target differs where their cells are missing (2")


def test_cells_that_are_missing_at_random_are_no_signal() -> None:
    assert sum(bool(found(holes(300, 0.1, seed))) for seed in range(60)) <= 2, (
        "at most 1 % of tables are to be expected"
    )


def test_few_missing_cells_and_weak_effects_are_not_named() -> None:
    table = holes(400, 0.6)
    first = table["x7"].isna() & (table["x7"].isna().cumsum() <= 9)
    assert found(table.assign(x7=np.where(first, np.nan, 1.0))) == []
    assert found(holes(20_000, 0.14)) == [], "significant in so many rows, but of no weight"
