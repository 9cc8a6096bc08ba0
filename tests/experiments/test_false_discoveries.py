from pathlib import Path

import pandas as pd
import pytest

from experiments import false_discoveries
from experiments.significance import table_of
from tests.experiments.helpers import read


def test_what_is_selected_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    table, drivers = table_of("ar1", 100, 0)
    is_chosen = table.columns[:-1].isin([*drivers[:4], "x0"])
    monkeypatch.setattr(false_discoveries, "CONTENDERS", {"rule": lambda X, y, seed: is_chosen})
    found = false_discoveries.measure(table, drivers, "rule", 0)
    assert found == {"fdr": 0.2, "power": 0.8, "any_false": 1.0}
    table, drivers = table_of("null", 100, 0)
    assert false_discoveries.measure(table, drivers, "rule", 0)["fdr"] == 1.0


def test_ours_are_the_means_over_the_same_tables(tmp_path: Path) -> None:
    known = {"n_rows": 500, "power": 1.0, "any_false": 0.0}
    ours = pd.DataFrame({"design": ["ar1", "ar1", "block"], "seed": [0, 7, 0], "fdr": [0.1, 0.5, 0.9], **known})
    ours.to_csv(tmp_path / "ours.csv", index=False)
    out = tmp_path / "f.csv"
    options = ["--designs", "ar1", "--n-seeds", "1", "--contenders", "permutation", "--out", str(out)]
    false_discoveries.main([*options, "--ours", str(tmp_path / "ours.csv")])
    summary = read(tmp_path / "f_summary.csv").set_index("contender")
    assert (summary["fdr"].to_dict()["tabattn"], summary["tables"].to_dict()["tabattn"]) == (0.1, 1)
    assert summary["power"].to_dict()["permutation"] > 0.5
    assert (tmp_path / "f.png").stat().st_size > 10_000
