"""Files that earlier versions wrote, with columns of every kind and format.

Format 1 is of 35ed1f5, before fitted models were objects; format 2 of 0.1.0 (its file was written by `write_format_2`).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tabattn import TabAttnClassifier, TabAttnRegressor, load
from tabattn.table.dates import DateFormat, DateUnit
from tabattn.table.numbers import NumberFormat

DATA = Path(__file__).parent / "data"
EXPECTED: dict[str, Any] = json.loads((DATA / "format_1.json").read_text(encoding="utf-8"))
EXPECTED_2: dict[str, Any] = json.loads((DATA / "format_2.json").read_text(encoding="utf-8"))


def make_table() -> pd.DataFrame:
    i = np.arange(40)
    table = pd.DataFrame(
        {
            "number": np.sin(i),
            "large": 2**60 + (i * 7) % 23,
            "german": [f"{k * 37 % 100 / 10:.1f}".replace(".", ",") for k in i],
            "thousands": [f"{1 + k}.{k * 13 % 1000:03},5" for k in i],
            "line": [["A", "B", "C"][k % 3] for k in i],
            "flag": i % 2 == 0,
            "day": [f"{1 + k % 28:02}.03.2024" for k in i],
            "mixed": [f"2024-03-{1 + k % 28:02}" if k % 2 else f"{1 + k % 28}.3.2024 10:00" for k in i],
            "epoch": 1709596800 + 86400 * ((i * 5) % 24),
            "excel": 45000 + (i * 5) % 24,
            "clock": [f"{k % 24:02}:30" for k in i],
            "remark": [f"p{k % 7} is {['smooth', 'dented', 'wet'][k % 3]}" for k in i],
            "same": 1,
        }
    )
    table.loc[3, "number"] = np.nan
    table.loc[5, "line"] = None
    return table


@pytest.fixture(scope="module", name="X")
def made_table() -> pd.DataFrame:
    return make_table()


def write_format_2() -> None:
    """Write a small model in the present format; to be run once for each format."""
    X = make_table()
    y = pd.Series(np.where(np.arange(40) % 3, "good", "불량"), name="quality")
    est = TabAttnClassifier(n_members=2, n_layers=1, d_token=8, n_heads=2, max_epochs=2, random_state=0)
    est.set_params(kinds={"epoch": "datetime", "excel": "datetime", "remark": "text"}).fit(X, y)
    est.save(DATA / "format_2.tabattn")
    expected = {"probabilities": est.predict_proba(X).tolist(), "importances": est.feature_importances_.tolist()}
    (DATA / "format_2.json").write_text(json.dumps(expected), encoding="utf-8")


def test_a_model_of_format_1_predicts_what_it_predicted(X: pd.DataFrame, tmp_path: Path) -> None:
    est = load(DATA / "format_1.tabattn")
    assert isinstance(est, TabAttnRegressor)
    np.testing.assert_allclose(est.predict(X), EXPECTED["prediction"], rtol=1e-5)  # other processors round otherwise
    assert est.feature_importances_.tolist() == EXPECTED["importances"]
    assert est.attention_history_.loc["eval"].iloc[-1].tolist() == EXPECTED["attention"]
    assert (est.loss, est.quantile, est.encoder, est.random_state) == ("pinball", 0.7, "class", 0)
    assert len(est.pretraining_history_) == 2
    assert est.feature_names_in_.tolist() == list(X.columns)
    est.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.predict(X).tobytes() == est.predict(X).tobytes()
    assert again.schema_ == est.schema_


def test_the_kinds_and_formats_of_format_1_are_those_of_today() -> None:
    est = load(DATA / "format_1.tabattn")
    kinds = {"epoch": "datetime", "excel": "datetime", "remark": "text", "mixed": "datetime"}
    assert est.kinds == kinds
    formats = {column.name: column.format for column in est.schema_.columns}
    assert formats == {
        "number": NumberFormat(),
        "large": NumberFormat(offset=2**60),
        "german": NumberFormat(","),
        "thousands": NumberFormat(",", "."),
        "line": None,
        "flag": None,
        "day": DateFormat("dmy"),
        "mixed": DateFormat("dmy"),
        "epoch": DateUnit.SECONDS,
        "excel": DateUnit.EXCEL_DAYS,
        "clock": NumberFormat(),
        "remark": None,
        "same": NumberFormat(),
    }
    assert est.schema_.constant_names == ("same",)


def test_warm_starts_go_on_from_a_model_of_format_1(X: pd.DataFrame) -> None:
    est = load(DATA / "format_1.tabattn").set_params(warm_start=True, max_epochs=1, pretrain="none")
    before = est.predict(X)
    assert not np.array_equal(est.fit(X, np.arange(40.0)).predict(X), before)


def test_a_model_of_format_2_predicts_what_it_predicted(X: pd.DataFrame) -> None:
    est = load(DATA / "format_2.tabattn")
    assert isinstance(est, TabAttnClassifier)
    assert est.classes_.tolist() == ["good", "불량"]
    np.testing.assert_allclose(est.predict_proba(X), EXPECTED_2["probabilities"], rtol=1e-5)
    assert est.feature_importances_.tolist() == EXPECTED_2["importances"]
    kinds = {column.name: column.kind for column in est.schema_.columns}
    assert {kinds[name] for name in ("day", "mixed", "epoch", "excel")} == {"datetime"}
    assert [kinds[name] for name in ("german", "line", "flag", "remark")] == [
        *("numeric", "categorical", "boolean", "text")
    ]
