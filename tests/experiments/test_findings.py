from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments import findings
from tests.experiments.helpers import read


@pytest.mark.parametrize("what", findings.SOMETHING)
def test_what_is_wrong_is_there(what: str) -> None:
    seed = 1 if what in findings.FOR_CLASSES else 2
    plain = findings.nothing(seed)
    table = findings.SOMETHING[what](plain, np.random.default_rng(0))
    assert not table.equals(plain)
    if what == "absence_is_signal":
        high = plain["y"] > plain["y"].median()
        assert table["tilt"].isna()[high].mean() > 3 * table["tilt"].isna()[~high].mean()
    if what == "imbalance":
        assert (table["y"] == "good").mean() < 0.1
    if what == "rare_classes":
        assert table["y"].value_counts().min() == 6


def test_hits_and_false_alarms_are_shares_of_tables() -> None:
    cells = pd.DataFrame(
        [
            ("nothing", "nothing", 0, "leak few_rows", None, None), ("nothing", "nothing", 1, None, None, None),
            ("something", "leak", 0, "leak", None, None), ("something", "leak", 1, "constant", None, None),
            ("costs", "adult", 0, None, 10.0, 0.5),
        ],
        columns=["part", "what", "seed", "codes", "fit", "diagnostics"],
    )  # fmt: skip
    summary = findings.summarize(cells).set_index(["part", "what", "measure"])["value"]
    assert summary["nothing", "nothing", "leak"] == 0.5
    assert summary["nothing", "nothing", "constant"] == 0
    assert summary["something", "leak", "leak"] == 0.5
    assert summary["costs", "adult", "share of fit"] == 0.05


@pytest.mark.slow
def test_a_table_with_a_constant_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "N_EPOCHS", 2)
    monkeypatch.setattr(findings, "SOMETHING", {"constant": findings.SOMETHING["constant"]})
    arguments = ["--parts", "something", "--n-wrong", "1", "--out", str(tmp_path / "f.csv")]
    findings.main(arguments)
    assert "constant" in read(tmp_path / "f.csv")["codes"][0]


@pytest.mark.slow
def test_costs_are_those_of_the_fit_and_of_diagnostics(tmp_path: Path) -> None:
    table = findings.nothing(0)
    table.to_csv(tmp_path / "t.csv", index=False)
    seconds = findings.costs(str(tmp_path / "t.csv"), "y")
    assert 0 < seconds["diagnostics"] < seconds["fit"]
