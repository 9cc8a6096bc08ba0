"""Several methods side by side: the same rows, the same features, and known drivers first by all of them."""

import json
import subprocess
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression

import tabattn
from tabattn import compare, compare_importances, rank
from tabattn.arrays import Array
from tabattn.comparing import OUR_PERMUTATION, OURS, PEERS, PeerRows, peer_rows
from tabattn.errors import ParameterError
from tabattn.ranking_results import Ranking
from tests.conftest import FAST, files, run

PLAIN = [name for name, peer in PEERS.items() if not peer.package]
INSTALLED = [name for name, peer in PEERS.items() if not peer.package or find_spec(peer.package)]


def make_table(n_rows: int = 240) -> pd.DataFrame:
    """Heat drives the yield, line less; a date and a text, which become several numbers, do not."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"dust": rng.normal(size=n_rows), "heat": rng.normal(size=n_rows)})
    table["line"] = rng.choice(["A", "B", "C"], n_rows)
    table["day"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 900, n_rows), "D")
    table.loc[::11, "dust"] = np.nan
    table["yield"] = 3 * table["heat"] + 1.5 * (table["line"] == "A") + 0.3 * rng.normal(size=n_rows)
    return table


@pytest.fixture(scope="module", name="ranking")
def made_ranking() -> Ranking:
    return rank(make_table(), "yield", **FAST)


@pytest.fixture(scope="module", name="rows")
def made_rows(ranking: Ranking) -> PeerRows:
    return peer_rows(ranking, 0)


def test_other_methods_are_given_the_rows_of_the_ranking(ranking: Ranking, rows: PeerRows) -> None:
    assert len(rows.held_out) == ranking.n_held_out
    assert len(rows.train) == ranking.n_train
    names = np.array(ranking.units.names)[rows.unit]
    assert (names == "day").sum() > 3, "a date is several numbers"
    np.testing.assert_array_equal(rows.design[:, names == "heat"][:, 0], make_table()["heat"])
    np.testing.assert_array_equal(np.isnan(rows.design[:, names == "dust"][:, 0]), make_table()["dust"].isna())


def test_units_are_permuted_as_a_whole_by_the_function_of_scikit_learn(rows: PeerRows) -> None:
    design = np.nan_to_num(rows.design)
    model = LinearRegression().fit(design[rows.train], rows.y[rows.train])
    alone = np.unique(rows.unit, return_index=True)[1]
    single = np.isin(rows.unit, np.flatnonzero(np.bincount(rows.unit) == 1))
    assert single[alone].sum() >= 3
    plain = PeerRows(**(vars(rows) | {"design": design}))
    ours = plain.permuted(model)
    theirs = permutation_importance(
        model, design[rows.held_out], rows.y[rows.held_out], scoring="r2", n_repeats=200, random_state=0
    ).importances_mean
    for column in np.flatnonzero(single):
        assert ours[rows.unit[column]] == pytest.approx(theirs[column], abs=0.15 * theirs.max() + 0.01)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", INSTALLED)
def test_every_method_finds_the_driver(ranking: Ranking, rows: PeerRows, name: str) -> None:
    found = pd.Series(PEERS[name].importance(rows), index=list(ranking.units.names))
    assert found["heat"] == found.max()
    assert len(found) == 4


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", INSTALLED)
def test_every_method_ranks_for_classes(name: str) -> None:
    table = make_table()
    table["yield"] = pd.cut(table["yield"], 3, labels=["low", "middle", "high"]).astype(str)
    found = compare(table, "yield", methods=[name], **FAST)
    assert found.ranks[name].idxmin() == "heat"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", INSTALLED)
def test_every_method_gives_the_same_again_and_leaves_nothing_behind(
    rows: PeerRows, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    def state() -> tuple[object, ...]:
        return np.random.get_state()[1].tolist(), list(warnings.filters)  # type: ignore[index]  # noqa: NPY002

    before = state()
    found = PEERS[name].importance(rows)
    assert state() == before
    np.testing.assert_array_equal(PEERS[name].importance(rows), found)
    assert capfd.readouterr() == ("", "")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", INSTALLED)
def test_every_method_ranks_what_the_model_does_not_read_and_groups(name: str) -> None:
    table = make_table().assign(same=1.0)
    found = compare(table, "yield", methods=[name], groups={"both": ["heat", "line"]}, **FAST)
    assert found.ranks[name].idxmin() == "both"
    assert found.ranks[name]["same"] > found.ranks[name]["both"]
    assert set(found.ranks.index) == {"both", "dust", "day", "same"}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", INSTALLED)
def test_every_method_ranks_a_single_column(name: str) -> None:
    found = compare(make_table()[["heat", "yield"]], "yield", methods=[name], **FAST)
    assert found.ranks[name].to_dict() == {"heat": 1.0}


@pytest.mark.skipif(not find_spec("boruta"), reason="boruta is not installed")
def test_columns_that_boruta_confirms_share_the_first_place(ranking: Ranking, rows: PeerRows) -> None:
    found = dict(zip(ranking.units.names, PEERS["Boruta"].importance(rows).tolist(), strict=True))
    assert found["heat"] == found["line"] > found["day"]


@pytest.mark.skipif(not find_spec("shap"), reason="shap is not installed")
def test_shap_values_of_boosting_add_up_to_what_it_predicts(rows: PeerRows, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Array] = []
    monkeypatch.setattr(PeerRows, "mean_absolute", lambda _, values: given.append(values))
    PEERS["gradient boosting, SHAP"].importance(rows)
    model = HistGradientBoostingRegressor(random_state=0).fit(rows.design[rows.train], rows.y[rows.train])
    expected = model.predict(rows.design[rows.held_out]) - given[0].sum(axis=(1, 2))
    np.testing.assert_allclose(expected, expected.mean(), rtol=1e-9)


def test_importances_of_any_source_are_compared() -> None:
    one, other = {"a": 3.0, "b": 1.0, "c": -1.0}, pd.Series({"c": 0.2, "a": 0.1, "b": 0.7})
    table = pd.DataFrame({"feature": ["b", "c", "a"], "importance": [0.0, 0.0, 0.0]})
    found = compare_importances({"one": one, "other": other, "third": table}, {"one": 1.5})
    assert list(found.shares.index) == ["a", "b", "c"]
    np.testing.assert_allclose(found.shares["one"], [0.75, 0.25, 0.0])
    np.testing.assert_allclose(found.shares["third"], 1 / 3)
    np.testing.assert_allclose(found.ranks["other"], [3, 1, 2])
    expected = spearmanr([3.0, 1.0, -1.0], [0.1, 0.7, 0.2]).statistic
    assert found.agreement.loc["one", "other"] == pytest.approx(expected)
    assert found.seconds.tolist()[0] == 1.5


@pytest.mark.parametrize(
    ("importances", "message"),
    [
        ({"a": {"x": 1.0}}, "of at least two methods, got 1"),
        ({"a": {"x": 1.0}, "b": {"y": 1.0}}, "of the same features, 'b' differs by 'x', 'y'"),
        ({"a": {"x": 1.0}, "b": pd.DataFrame({"x": [1]})}, "must have the columns feature and importance"),
        ({"a": {"x": 1.0}, "b": pd.Series([1.0, 2.0], ["x", "x"])}, "must name each feature once, got 'b'"),
    ],
)
def test_what_can_not_be_compared_is_refused(importances: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        compare_importances(importances)


def test_methods_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ParameterError, match=r"methods must be among .*, got 'magic'"):
        compare(make_table(40), "yield", methods=["magic"])
    with pytest.raises(ParameterError, match="folds must be 1"):
        compare(make_table(40), "yield", methods=PLAIN[:1], folds=3)
    monkeypatch.setattr("tabattn.comparing.find_spec", lambda _: None)
    with pytest.raises(ParameterError, match="must have lightgbm, which is not installed"):
        compare(make_table(40), "yield", methods=["LightGBM, gain"])


def test_the_command_compares(tmp_path: Path) -> None:
    make_table().to_csv(tmp_path / "t.csv", index=False)
    options = [f"--method={PLAIN[0]}", f"--method={PLAIN[2]}", "--drop", "day", "--max-epochs", "3"]
    done = run("compare", str(tmp_path / "t.csv"), "--target", "yield", "--out", str(tmp_path / "out"), *options)
    assert done.code == 0, done.err
    names = {"shares.csv", "ranks.csv", "agreement.csv", "seconds.csv", "manifest.json"}
    assert files(tmp_path / "out") == names | {"plots/methods.png", "plots/methods.svg"}
    ranks = pd.read_csv(tmp_path / "out" / "ranks.csv")
    assert list(ranks) == ["feature", OURS, OUR_PERMUTATION, PLAIN[0], PLAIN[2]]
    assert set(ranks["feature"]) == {"dust", "heat", "line"}
    agreement = pd.read_csv(tmp_path / "out" / "agreement.csv", index_col=0)
    np.testing.assert_allclose(np.diag(agreement), 1)
    assert "how far do they agree" in done.out


def test_nothing_of_other_packages_is_imported_before_it_is_asked_for() -> None:
    code = "import json, sys; import tabattn; tabattn.compare; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert not {"lightgbm", "xgboost", "catboost", "shap", "boruta", "hidimstat"} & set(json.loads(done.stdout))
    assert {"compare", "compare_importances"} <= set(tabattn.__all__)
