"""ONNX graphs say what the estimators say, row by row, from raw inputs."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pandas as pd
import pytest
import torch
from scipy.special import ndtri

from tabattn import TabAttnClassifier, TabAttnRegressor
from tabattn.choices import EncoderKind
from tabattn.encoding.preprocessing import Preprocessor
from tabattn.errors import OutputError, UnknownLevelsWarning
from tabattn.fitted.onnx import QuantileScores, normal_scores
from tabattn.table.inference import infer_table
from tests.conftest import FAST

N = 120


@pytest.fixture(scope="module", name="X")
def rows() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "line": rng.choice(["A", "B", "C"], N),
            "heat": rng.normal(size=N),
            "same": 1,
            "step": rng.integers(0, 4, N),
            "when": pd.date_range("2024-01-01", periods=N, freq="7h"),
        }
    )
    rng = np.random.default_rng(1)
    table["spell"] = pd.to_timedelta(rng.integers(0, 500, N), unit="s")
    table["note"] = [" ".join(rng.choice(["belt", "oil", "leaks", "pump"], 4)) + f" {i}" for i in range(N)]
    table["serial"] = 2**60 + rng.permutation(N)
    table["on"] = rng.random(N) < 0.5
    table.loc[::7, "heat"] = np.nan
    table.loc[::11, "line"] = None
    table.loc[3, "when"] = pd.NaT
    return table


@pytest.fixture(scope="module", name="new")
def other_rows(X: pd.DataFrame) -> pd.DataFrame:
    new = X.sample(frac=1, random_state=0)[:50].reset_index(drop=True)
    new.loc[0:4, "heat"] = [1e300, -1e300, 0.0, 5.0, np.nan]
    new.loc[2, "line"] = "a new one"
    return new


def run(path: Path, inputs: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    prediction, attention = session.run(["prediction", "attention"], inputs)
    return prediction, attention, json.loads(session.get_modelmeta().custom_metadata_map["tabattn"])


@pytest.mark.slow
def test_a_graph_predicts_and_attends_as_the_estimator_does(X: pd.DataFrame, new: pd.DataFrame, tmp_path: Path) -> None:
    est = TabAttnRegressor(**FAST, random_state=0).fit(X, 1000 + 50 * X["step"])
    est.to_onnx(tmp_path / "model.onnx")
    for table in (new, new[:1]):
        prediction, attention, described = run(tmp_path / "model.onnx", est.onnx_inputs(table))
        np.testing.assert_allclose(prediction, est.predict(table), rtol=1e-6)
        np.testing.assert_allclose(attention, est.attention(table).weights, atol=1e-5)
    assert described["attention"] == list(X)
    operators = {node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node}
    assert not any("Scatter" in name for name in operators)  # onnxruntime's threads add up in any order
    assert described["classes"] is None
    flags = {"column": "on", "codes": {"False": 1, "True": 2}}
    assert described["codes"] == [{"column": "line", "codes": {"A": 1, "B": 2, "C": 3}}, flags]
    origins = {each["column"]: each["offset"] for each in described["numbers"]}
    assert origins == {"heat": 0, "step": 0, "spell": 0, "serial": 2**60, "when": 0, "note": 0}
    by_hand = {
        "numbers": est.onnx_inputs(new)["numbers"],
        "codes": np.array(
            [
                [-1 if pd.isna(level) else {"A": 1, "B": 2, "C": 3}.get(level, 0), 1 + int(is_on)]
                for level, is_on in zip(new["line"], new["on"], strict=True)
            ]
        ),
    }
    np.testing.assert_allclose(run(tmp_path / "model.onnx", by_hand)[0], est.predict(new), rtol=1e-6)
    unknown = by_hand | {"codes": np.where([True, False], 99, by_hand["codes"])}
    with pytest.warns(UnknownLevelsWarning, match="'line' holds none of the levels"):
        expected = est.predict(new.assign(line="a new one"))
    np.testing.assert_allclose(run(tmp_path / "model.onnx", unknown)[0], expected, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["bert", "gpt", "xlnet", "t5", "class"])
def test_graphs_of_each_encoder_and_of_other_targets(
    X: pd.DataFrame, new: pd.DataFrame, encoder: EncoderKind, tmp_path: Path
) -> None:
    step, levels = X["step"], X["line"].fillna("?")
    settings: dict[str, Any] = FAST | {"max_epochs": 5, "encoder": encoder, "random_state": 0}
    cases: dict[EncoderKind, tuple[TabAttnRegressor | TabAttnClassifier, Any, list[Any]]] = {
        "bert": (TabAttnRegressor(**settings, loss="pinball"), 1 + step, list(X)),
        "gpt": (TabAttnRegressor(**settings, loss="squared_log"), 1 + step, list(X)),
        "xlnet": (TabAttnClassifier(**settings), levels, ["heat", "step"]),
        "t5": (TabAttnClassifier(**settings), pd.get_dummies(levels), ["heat", "same", "line", "on"]),
        "class": (TabAttnRegressor(**settings, loss="poisson"), np.c_[step, step + 1], ["line"]),
    }
    est, y, columns = cases[encoder]
    est.fit(X[columns], y).to_onnx(tmp_path / "model.onnx")
    table = new[columns]
    prediction, attention, described = run(tmp_path / "model.onnx", est.onnx_inputs(table))
    expected = est.predict_proba(table) if isinstance(est, TabAttnClassifier) else est.predict(table)
    np.testing.assert_allclose(prediction, expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(attention, est.attention(table).weights, atol=1e-5)
    assert described["classes"] == (["?", "A", "B", "C"] if encoder == "xlnet" else None)


def test_scores_are_those_of_the_preprocessor() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "smooth": rng.normal(size=500),
            "tied": rng.integers(0, 3, 500) / 3,
            "first often": np.where(rng.random(500) < 0.4, 0.0, rng.exponential(size=500)),
            "heavy": rng.standard_cauchy(500) ** 5,
            "one value": 5.0,
        }
    )
    table.loc[::2, "one value"] = np.nan
    typed = infer_table(table)
    preprocessor, _ = Preprocessor.learned(typed)
    assert preprocessor.normal_scores is not None
    new = pd.concat([table, table + 0.01, table * 3, -table, table.sample(frac=1, random_state=0) / 2])
    scores = QuantileScores(preprocessor.normal_scores)
    expected = preprocessor.transform(preprocessor.raw(typed.schema.read(new.reset_index(drop=True)))).numeric
    found = scores(torch.tensor(new.fillna(5.0).to_numpy())).float()
    is_known = torch.tensor(new.notna().to_numpy())
    torch.testing.assert_close(torch.where(is_known, found, 0.0), expected, atol=1e-6, rtol=1e-6)
    p = np.linspace(0.0001, 0.9999, 2001)
    np.testing.assert_allclose(normal_scores(torch.tensor(p)), ndtri(p), rtol=1e-13, atol=1e-15)


def test_what_is_missing_to_write_a_graph_is_named(
    X: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    est = TabAttnRegressor(**(FAST | {"max_epochs": 1}), random_state=0).fit(X[["step"]], X["step"])
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(OutputError, match=r"pip install 'tabattn\[onnx\]'"):
        est.to_onnx(tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
