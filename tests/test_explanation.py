"""A saved model reads new rows: what it says, why, and whether it looks at them as in training."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from tabattn import TabAttnClassifier, TabAttnRegressor, explain, rank
from tabattn.errors import ModelFileError, ParameterError, TableError, TargetError
from tabattn.importance.drift import attention_drift
from tests.conftest import FAST, files, run

NAMES = ("predictions", "explanations", "importance", "attention", "drift", "scores", "diagnostics")
TABLES = {"manifest.json", "report.html", "report.json", "report.md", *(f"{name}.csv" for name in NAMES)}
PLOTS = {
    f"plots/{name}{suffix}" for name in ("importance", "attention", "drift", "rows") for suffix in (".png", ".svg")
}


@pytest.fixture(scope="module")
def model(mixed: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.tabattn"
    classes = np.where(mixed["y"] > 0, "high", "low")
    TabAttnClassifier(**FAST, random_state=0).fit(mixed.drop(columns="y"), classes).save(path)
    return path


def test_the_command_writes_what_the_model_makes_of_new_rows(model: Path, mixed: pd.DataFrame, tmp_path: Path) -> None:
    table = mixed.assign(grade=np.where(mixed["y"] > 0, "high", "low"), other=1)[:80]
    shuffled = table[["other", "grade", "flag", "noise", "line", "heat"]]
    shuffled.to_csv(tmp_path / "new.csv", index=False)
    command = ["explain", str(model), str(tmp_path / "new.csv"), "--out", str(tmp_path / "out")]
    done = run(*command, "--target", "grade", "--method", "swap", "--group", "idle=noise", "--group", "idle=flag")
    assert done.code == 0, done.err
    assert files(tmp_path / "out") == TABLES | PLOTS
    predictions, local, importance, attention, drift = (
        pd.read_csv(tmp_path / "out" / f"{name}.csv")
        for name in ("predictions", "explanations", "importance", "attention", "drift")
    )
    assert list(predictions) == ["row", "other", "grade", "prediction", "probability_high", "probability_low"]
    assert (predictions["prediction"] == table["grade"]).mean() > 0.8
    assert list(local) == ["heat", "line", "idle"]
    np.testing.assert_allclose(
        local.mean().clip(lower=0), importance.set_index("feature")["importance"][local.columns], atol=1e-9
    )
    np.testing.assert_allclose(attention.sum(axis=1), 1, rtol=1e-5)
    assert attention.shape == (80, 4)
    assert set(drift["feature"]) == {"heat", "line", "noise", "flag"}
    np.testing.assert_allclose(drift.set_index("feature")["inference"][attention.columns], attention.mean())
    assert "80 rows read, 3 columns." in done.out
    before = {name: (tmp_path / "out" / name).read_bytes() for name in files(tmp_path / "out")}
    run(*command, "--target", "grade", "--method", "swap", "--group", "idle=noise", "--group", "idle=flag")
    assert before == {name: (tmp_path / "out" / name).read_bytes() for name in files(tmp_path / "out")}


def test_a_page_alone_is_written_and_opened(
    model: Path, mixed: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    mixed[:40].to_csv(tmp_path / "new.csv", index=False)
    page = tmp_path / "page.html"
    done = run("report", str(model), str(tmp_path / "new.csv"), "--out", str(page), "--lang", "ko", "--open")
    assert (done.code, done.out) == (0, f"보고서: {page}\n"), done.err
    assert files(tmp_path) == {"new.csv", "page.html"}
    assert "이 행들의 예측을 움직이는 것은 무엇인가?" in page.read_text(encoding="utf-8")
    assert opened == [page.as_uri()]


def test_drift_is_found_where_attention_follows_the_rows(mixed: pd.DataFrame) -> None:
    X, y = mixed.drop(columns="y"), mixed["y"]
    est = TabAttnRegressor(**(FAST | {"max_epochs": 25}), random_state=0).fit(X, y)
    same, other = est.attention_drift(X[::2]), est.attention_drift(X.assign(heat=3.0, line="C"))
    assert not same["drifted"].any()
    assert other["drifted"].any()
    assert other["statistic"].is_monotonic_decreasing
    np.testing.assert_allclose(other["change"], other["inference"] - other["training"])
    by_row = est.row_attention(X)
    raw = est.attention(X).weights.mean(axis=(1, 2, 3))
    np.testing.assert_allclose(by_row, raw, rtol=1e-5)


def test_the_test_of_drift_is_that_of_kolmogorov_and_smirnov_for_many_columns() -> None:
    rng = np.random.default_rng(0)
    before, after = rng.random((200, 30)), rng.random((100, 30))
    after[:, 7] += 0.5
    table = attention_drift(before, after, tuple(f"x{i}" for i in range(30)))
    assert table["feature"][0] == "x7"
    assert table["drifted"].sum() == 1
    assert table["statistic"][0] == ks_2samp(before[:, 7], after[:, 7]).statistic
    assert table["p_value"][0] == pytest.approx(30 * ks_2samp(before[:, 7], after[:, 7]).pvalue, rel=1e-6, abs=0)


def test_drift_of_faint_attention_is_found_as_that_of_strong_attention() -> None:
    rng = np.random.default_rng(0)
    before, after = rng.random((200, 3)), rng.random((100, 3))
    after[:, 1] += 0.5
    strong, faint = (attention_drift(k * before, k * after, ("a", "b", "c")) for k in (1, 1e-6))
    assert faint["drifted"].tolist() == [True, False, False]
    pd.testing.assert_frame_equal(
        faint[["feature", "statistic", "p_value"]], strong[["feature", "statistic", "p_value"]]
    )
    assert not attention_drift(0 * before, 0 * after, ("a", "b", "c"))["drifted"].any()


def test_encoders_that_mix_columns_show_how(mixed: pd.DataFrame, tmp_path: Path) -> None:
    X = mixed.drop(columns="y")
    est = TabAttnRegressor(**(FAST | {"max_epochs": 3}), encoder="bert", random_state=0).fit(X, mixed["y"])
    found = explain(est, X[:50])
    assert found.between is not None
    maps = est.attention(X[:50])
    np.testing.assert_allclose(found.between, maps.between_columns(), rtol=1e-5)
    one = maps.between_columns(row=3, member=1, layer=1, head=2)
    assert maps.between is not None
    np.testing.assert_allclose(one, maps.between[3, 1, 0, 1], rtol=1e-6)
    assert list(one.index) == list(one.columns) == list(X)
    np.testing.assert_allclose(maps.mean_by_head(row=3, member=0), maps.weights[3, 0].reshape(-1, 4), rtol=1e-6)
    found.write(tmp_path)
    assert files(tmp_path) == TABLES | PLOTS | {"plots/columns.png", "plots/columns.svg"}


def test_arrays_and_several_targets_are_explained(mixed: pd.DataFrame) -> None:
    X = mixed[["heat", "noise"]].to_numpy()
    Y = np.column_stack([mixed["heat"], -mixed["heat"]])
    est = TabAttnRegressor(**(FAST | {"max_epochs": 2}), random_state=0).fit(X, Y)
    found = explain(est, pd.DataFrame(X, columns=["x0", "x1"]))
    sides = [f"{name}_{i}" for name in ("prediction", "low", "high") for i in (0, 1)]
    assert list(found.predictions) == ["row", *sides]
    with pytest.raises(ParameterError, match="must come from an encoder that mixes them"):
        est.attention(X[:2]).between_columns()


@pytest.mark.parametrize(
    ("change", "target", "error", "message"),
    [
        ({"drop": ["heat", "line"]}, None, TableError, "got none named 'heat', 'line'"),
        ({}, "grade", TargetError, "The target must be a column of the table, got 'grade'"),
        ({"hole": True}, "y", TargetError, "The target must be known in every row, got 'y' with 1 cell"),
        ({}, "flag", TargetError, "classes that fit has seen"),
    ],
)
def test_what_the_model_can_not_read_is_refused(
    model: Path, mixed: pd.DataFrame, change: dict[str, Any], target: str | None, error: type[Exception], message: str
) -> None:
    table = mixed.drop(columns=change.get("drop", []))
    if "hole" in change:
        table.loc[0, "y"] = np.nan
    with pytest.raises(error, match=message):
        explain(model, table, target=target)


def test_a_file_that_is_no_model_ends_in_one_line(model: Path, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    done = run("explain", str(tmp_path / "table.csv"), str(tmp_path / "table.csv"), "--out", str(tmp_path / "out"))
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert not (tmp_path / "out").exists()
    with pytest.raises(ModelFileError):
        explain(tmp_path / "absent", tmp_path / "table.csv")


@pytest.mark.parametrize("written", ["booleans", "decimal commas", "whole numbers", "gaps"])
def test_true_classes_are_read_as_training_read_them(mixed: pd.DataFrame, written: str) -> None:
    high = mixed["y"] > 0
    columns: dict[str, Any] = {
        "booleans": high,
        "decimal commas": pd.Series(np.where(high, "1,5", "0,5")),
        "whole numbers": pd.Series(np.where(high, 2, 1)),
        "gaps": pd.Series(np.where(high, 2.5, 1.0)),
    }
    column = columns[written]
    table = mixed[["heat", "noise"]].assign(y=column)
    found = rank(table, "y", task="classification", max_epochs=2, n_repeats=1)
    read = explain(found.estimator, table[:40], target="y")
    assert read.importance["importance"].sum() == pytest.approx(1)
    if written == "gaps":
        only_whole = table[table["y"] == 1.0].astype({"y": int})
        explain(found.estimator, only_whole[:20], target="y")
    if written == "whole numbers":
        with pytest.raises(TargetError, match="classes that fit has seen"):
            explain(found.estimator, table[:40].assign(y=column + 0.5), target="y")


def test_rounding_is_no_drift() -> None:
    """With categories attention takes few values, which the size of a batch must not tell apart."""
    rng = np.random.default_rng(0)
    rows = [rng.choice(["A", "B"], 1200, p=p) for p in [(0.5, 0.5), *[(0.01, 0.99)] * 16]]
    X = pd.DataFrame({f"k{i}": row for i, row in enumerate(rows)})
    est = TabAttnRegressor(n_members=8, d_token=8, n_layers=2, max_epochs=1, random_state=0)
    est.fit(X, (X["k0"] == "A") + rng.normal(size=1200))
    for n_rows in (257, 401):
        assert not est.attention_drift(X[:n_rows])["drifted"].any()


def line_rows(n_rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"lot": [f"L{i}" for i in range(n_rows)], "heat": rng.normal(size=n_rows)})
    table = table.assign(line=rng.choice(["A", "B"], n_rows), when=pd.date_range("2024-01-01", periods=n_rows))
    return table.assign(y=3 * table["heat"] + (table["line"] == "A") + rng.normal(size=n_rows))


@pytest.fixture(scope="module")
def line_model() -> TabAttnRegressor:
    train = line_rows(400, 0)
    return TabAttnRegressor(**FAST, random_state=0).fit(train[["heat", "line", "when"]], train["y"])


def test_predictions_have_the_keys_of_their_rows_and_a_range(line_model: TabAttnRegressor, tmp_path: Path) -> None:
    line_model.save(tmp_path / "model")
    new = line_rows(300, 1).assign(low="mine")
    found = explain(tmp_path / "model", new, target="y")
    assert list(found.predictions) == ["row", "lot", "low (table)", "y", "prediction", "low", "high"]
    assert found.predictions["row"].tolist() == list(range(1, 301))
    assert found.predictions["lot"].tolist() == new["lot"].tolist()
    inside = new["y"].between(found.predictions["low"], found.predictions["high"]).mean()
    assert 0.84 < inside < 0.96
    assert found.scores["rows"].tolist() == ["held out in training", "these"]
    assert found.scores["n_rows"].tolist() == [160, 300]
    assert found.scores["r2"][1] == pytest.approx(line_model.score(new[["heat", "line", "when"]], new["y"]))
    assert abs(found.scores["rmse"][0] - found.scores["rmse"][1]) < 0.2
    unknown = explain(line_model, new)
    assert unknown.scores["rows"].tolist() == ["held out in training"]
    assert unknown.predictions["y"].tolist() == new["y"].tolist(), "then it is a column that the model does not read"


def test_cells_beyond_what_was_fitted_are_counted(line_model: TabAttnRegressor) -> None:
    new = line_rows(100, 1).assign(when=pd.Timestamp("2024-02-01"))
    new.loc[:24, "heat"] = 100.0
    new.loc[25:29, "heat"] = np.nan
    new.loc[:9, "line"] = "C"
    new.loc[10:59, "when"] = pd.Timestamp("2031-01-01")
    new.loc[99, ["heat", "line", "when"]] = [np.nan, None, pd.NaT]
    found = explain(line_model, new)
    shares = found.drift.set_index("feature")
    assert shares["outside"].round(2).to_dict() == {"heat": 0.25, "line": 0.1, "when": 0.5}
    assert shares["missing"].round(2).to_dict() == {"heat": 0.06, "line": 0.01, "when": 0.01}
    assert found.drift["statistic"].is_monotonic_decreasing
    messages = dict(zip(found.diagnostics["code"], found.diagnostics["message"], strict=True))
    assert messages["outside_range"].startswith("'when' (50%), 'heat' (25%), 'line' (10%): ")
    assert "(row '100')" in messages["empty_rows"]
    assert not explain(line_model, line_rows(400, 0)).findings


def test_rows_that_are_predicted_worse_than_in_training_are_told(line_model: TabAttnRegressor) -> None:
    new = line_rows(120, 2)
    changed = new.assign(y=-new["y"])
    assert [each.code for each in explain(line_model, changed, target="y").findings] == ["worse_than_training"]
    assert explain(line_model, new, target="y").findings == ()
    classes = line_rows(300, 3)
    high = np.where(classes["y"] > 0, "high", "low")
    est = TabAttnClassifier(**FAST, random_state=0).fit(classes[["heat", "line"]], high)
    wrong = new.assign(y=np.where(new["y"] > 0, "low", "high"))
    found = explain(est, wrong, target="y")
    assert [each.code for each in found.findings] == ["worse_than_training"]
    assert found.scores["accuracy"][0] > 0.7 > found.scores["accuracy"][1]


@pytest.mark.parametrize("loss", ["squared", "squared_log", "absolute", "poisson"])
def test_nine_tenths_of_targets_lie_within_their_range(loss: Any) -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(900, 2)), columns=["heat", "dust"])
    y = rng.poisson(np.exp(1 + 0.5 * X["heat"])) + (loss == "squared_log")
    est = TabAttnRegressor(**FAST, loss=loss, random_state=0).fit(X[:450], y[:450])
    found = explain(est, X[450:].assign(y=y[450:]), target="y").predictions
    inside = found["y"].between(found["low"] - 1e-6, found["high"] + 1e-6).mean()
    assert 0.84 < inside < 0.97
    assert (found["low"] >= 0).all() or loss not in {"poisson", "squared_log"}


def test_additive_values_add_up_to_each_prediction(mixed: pd.DataFrame, tmp_path: Path) -> None:
    X, y = mixed.drop(columns="y").rename(columns={"noise": "mean"}), mixed["y"]
    levels = np.select([y > 1, y < -1], ["high", "low"], "middle")
    for estimator, target in ((TabAttnRegressor, y), (TabAttnClassifier, levels), (TabAttnClassifier, levels == "low")):
        est = estimator(**FAST, random_state=0).fit(X, target)
        found = explain(est, X[:20], additive=True, groups={"idle": ["mean", "flag"]})
        table = found.additive
        assert table is not None
        assert list(table) == ["row", "of", "mean", "heat", "line", "idle", "prediction"]
        np.testing.assert_allclose(table[["mean", "heat", "line", "idle"]].sum(axis=1), table["prediction"])
        if estimator is TabAttnRegressor:
            np.testing.assert_allclose(table["prediction"], found.predictions["prediction"], rtol=1e-5, atol=1e-6)
            assert set(table["of"]) == {"prediction"}
        for name in set(table["of"]) - {"prediction"}:
            own = table[table["of"] == name]
            predicted = found.predictions[f"probability_{name.removeprefix('probability of ')}"]
            np.testing.assert_allclose(own["prediction"], predicted, atol=1e-6)
    alone = explain(est, X[:5], additive=True).additive
    assert alone is not None
    assert "mean (feature)" in alone
    assert explain(est, X[:5]).additive is None
    est.save(tmp_path / "model.tabattn")
    X[:5].to_csv(tmp_path / "new.csv", index=False)
    command = ["explain", str(tmp_path / "model.tabattn"), str(tmp_path / "new.csv"), "--out", str(tmp_path / "out")]
    done = run(*command, "--additive", "--method", "shapley")
    assert done.code == 0, done.err
    assert "additive.csv" in done.out
    np.testing.assert_allclose(pd.read_csv(tmp_path / "out" / "additive.csv")["prediction"], alone["prediction"])
