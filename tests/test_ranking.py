import re
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from matplotlib.figure import Figure

from tabattn.analysis import fewer_rows, n_affordable
from tabattn.comparing import compare_importances
from tabattn.diagnostics.leaks import SplitRows
from tabattn.errors import (
    DependentRowsWarning,
    IdentifierWarning,
    LeakWarning,
    ParameterError,
    TabAttnError,
    TableError,
    UninformativeColumnWarning,
    UnknownLevelsWarning,
    UnparsedCellsWarning,
    UntrustedRankingWarning,
)
from tabattn.estimator import TabAttnClassifier
from tabattn.explanation import explain
from tabattn.importance.effects import DIRECTIONS
from tabattn.importance.permutation import N_LEADING
from tabattn.importance.table import COLUMNS
from tabattn.progress import Job
from tabattn.ranking import rank
from tabattn.ranking_results import Ranking
from tabattn.rankings import Rankings, rank_targets
from tabattn.table.inference import infer_table
from tabattn.table.problem import split_target
from tabattn.table.schema import Kind
from tabattn.table.splits import Split
from tests.conftest import DATA, FILES, files

TINY: dict[str, Any] = {"n_repeats": 1, "n_members": 1, "n_layers": 1, "d_token": 4}


@pytest.fixture(scope="module")
def ranking() -> Ranking:
    table = pd.read_csv(DATA / "wine.csv").assign(cultivar_code=7)
    table.loc[::5, "ash"] = np.nan
    with pytest.warns(UninformativeColumnWarning, match=r"1 column\(s\) have no value.*'cultivar_code'"):
        return rank(table, "cultivar", max_epochs=12, n_repeats=2)


def test_a_ranking_has_all_its_parts(ranking: Ranking) -> None:
    assert isinstance(ranking.estimator, TabAttnClassifier)
    assert tuple(ranking.table.columns) == COLUMNS
    assert len(ranking.table) == 14
    assert ranking.table["importance"].sum() == pytest.approx(1.0)
    assert ranking.table["permutation_mean"].notna().all()
    last = ranking.table.iloc[-1]
    assert (last["feature"], last["importance"], last["permutation_mean"]) == ("cultivar_code", 0.0, 0.0)
    assert set(ranking.agreement) == {
        "spearman", "kendall", "weighted_kendall", "top_k_overlap", "ndcg", "p_value",
    }  # fmt: skip
    assert ranking.agreement["spearman"] == pytest.approx(
        ranking.table["importance"][:-1].corr(ranking.table["permutation_mean"][:-1], method="spearman")
    )
    assert (ranking.n_train, ranking.n_held_out) == (142, 36)


def test_models_are_scored_on_the_held_out_rows(ranking: Ranking) -> None:
    assert ranking.models["model"].tolist() == ["tabattn", "dummy", "hist_gradient_boosting"]
    ours, constant, boosting = ranking.models["accuracy"]
    assert ours > 0.85
    assert boosting > 0.85
    assert constant < 0.5


def test_files_hold_the_ranking(ranking: Ranking, tmp_path: Path) -> None:
    ranking.write(tmp_path)
    assert files(tmp_path) == FILES
    importance = pd.read_csv(tmp_path / "importance.csv")
    assert importance["feature"].tolist() == ranking.table["feature"].tolist()
    assert importance["importance"].tolist() == ranking.table["importance"].tolist()
    assert importance["importance"].between(importance["ci_low"], importance["ci_high"]).all()
    assert set(importance["direction"]) <= set(DIRECTIONS)
    effects = pd.read_csv(tmp_path / "effects.csv")
    assert set(effects["feature"]) == set(importance["feature"][:-1])  # the last one is constant
    assert set(effects["output"]) == {"class_0", "class_1", "class_2"}
    assert importance["selected"].dtype == bool
    assert importance["p_value"].between(0, 1).all()
    comparison = pd.read_csv(tmp_path / "comparison.csv").set_index("measure")["value"]
    assert comparison["spearman"] == ranking.agreement["spearman"]
    assert comparison["accuracy_tabattn"] == ranking.models["accuracy"][0]
    attention = pd.read_csv(tmp_path / "training_attention.csv")
    assert list(attention.columns) == ["mode", "epoch", "feature", "attention"]
    assert len(attention) == 2 * ranking.estimator.n_iter_ * 14
    total = attention.groupby(["mode", "epoch"])["attention"].sum()
    np.testing.assert_allclose(total, 1.0, rtol=1e-5)


@pytest.mark.filterwarnings("ignore::tabattn.errors.UntrustedRankingWarning")
def test_features_may_have_the_names_of_our_columns() -> None:
    rng = np.random.default_rng(0)
    names = ["rank", "attention", "mode", "epoch", "feature", "y"]
    ranking = rank(pd.DataFrame(rng.normal(size=(60, 6)), columns=names), "y", max_epochs=1, n_repeats=1)
    assert ranking.training_attention["feature"].tolist() == names[:-1] * 2
    assert ranking.training_attention["mode"].tolist() == ["train"] * 5 + ["eval"] * 5


@pytest.mark.filterwarnings("ignore::tabattn.errors.UntrustedRankingWarning")
@pytest.mark.parametrize("test_fraction", [0.2, 0.6])
def test_every_class_is_fitted_however_rare(test_fraction: float) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.normal(size=80), "y": [f"k{i // 2}" for i in range(80)]})
    table.loc[30:, "y"] = "common"
    ranking = rank(table, "y", max_epochs=1, n_repeats=1, test_fraction=test_fraction)
    assert len(ranking.estimator.classes_) == 16
    assert ranking.n_train + ranking.n_held_out == 80


@pytest.mark.filterwarnings("ignore::tabattn.errors.UntrustedRankingWarning")
def test_columns_that_come_late_are_permuted_less_often_unless_asked() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(30, 251)), columns=[*(f"x{i}" for i in range(250)), "y"])
    small: dict[str, Any] = {"max_epochs": 1, "n_members": 1, "n_layers": 1, "d_token": 2}
    auto, four, ten = (rank(table, "y", n_repeats=each, **small) for each in ("auto", 4, 10))
    means = {each: found.permutation.mean for each, found in (("auto", auto), ("four", four), ("ten", ten))}
    leading = np.sort(np.argsort(-means["four"], kind="stable")[:N_LEADING])
    others = np.setdiff1d(np.arange(250), leading)
    assert np.flatnonzero(auto.permutation.n_repeats == 10).tolist() == leading.tolist()
    assert (auto.permutation.n_repeats[others] == 4).all()
    np.testing.assert_allclose(means["auto"][leading], means["ten"][leading], atol=1e-7)
    np.testing.assert_array_equal(means["auto"][others], means["four"][others])
    assert (ten.permutation.n_repeats == 10).all()
    few = rank(table, "y", drop=[f"x{i}" for i in range(100, 250)], **small)
    assert (few.permutation.n_repeats == 10).all()


@pytest.mark.filterwarnings("ignore::tabattn.errors.LeakWarning")
def test_permutation_importance_comes_from_enough_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(200, 2)), columns=["x", "noise"]).assign(y=lambda each: each["x"])
    small: dict[str, Any] = {
        "max_epochs": 40,
        "learning_rate": 0.02,
        "n_members": 1,
        "n_layers": 1,
        "d_token": 4,
        "n_repeats": 2,
    }
    whole = rank(table, "y", **small)
    monkeypatch.setattr("tabattn.analysis.enough_rows", lambda _: 15)
    sampled = rank(table, "y", **small)
    assert (whole.n_permuted, sampled.n_permuted, sampled.n_held_out) == (40, 15, 40)
    assert sampled.table["importance"].equals(whole.table["importance"])
    assert (sampled.permutation.mean != whole.permutation.mean).all()


@pytest.mark.parametrize("time_limit", [0, -1, "soon"])
def test_a_time_limit_is_a_positive_number_of_seconds(time_limit: Any) -> None:
    with pytest.raises(ParameterError, match="time_limit must be a positive number of seconds or None, got"):
        rank(DATA / "wine.csv", "cultivar", time_limit=time_limit)


def test_with_time_enough_a_limit_changes_nothing() -> None:
    small: dict[str, Any] = {"max_epochs": 3, "n_members": 1, "n_layers": 1, "d_token": 4, "n_repeats": 2}
    limited, free = (rank(DATA / "wine.csv", "cultivar", time_limit=each, **small) for each in (1_000, None))
    assert limited.shortened == free.shortened == ()
    pd.testing.assert_frame_equal(limited.table, free.table)


@pytest.mark.filterwarnings("ignore::tabattn.errors.UntrustedRankingWarning")
def test_a_table_is_ranked_within_a_time_limit_by_less_of_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        """A second for every look at it, and a minute for every tenth."""

        def __init__(self) -> None:
            self.now, self.n_looks = 0.0, 0

        def __call__(self) -> float:
            self.n_looks += 1
            self.now += 60 if self.n_looks % 10 == 0 else 1
            return self.now

    monkeypatch.setattr("tabattn.ranking.Job", partial(Job, clock=Clock()))
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(2_000, 6))).add_prefix("x").assign(y=rng.integers(0, 3, 2_000))
    small: dict[str, Any] = {"n_members": 1, "n_layers": 1, "d_token": 4, "max_epochs": 30}
    ranking = rank(table, "y", time_limit=200, **small)
    assert any(each.startswith("training ended in epoch") for each in ranking.shortened)
    assert any(each.endswith("of 10 shuffles") for each in ranking.shortened)
    assert len(ranking.table) == 6
    assert ranking.models["log_loss"].notna().all()
    assert rank(table, "y", **small).shortened == ()


def test_rows_that_time_does_not_suffice_for_are_left_out_but_no_class() -> None:
    assert n_affordable(1_000, 10.0, float("inf")) == n_affordable(1_000, 10.0, 10.0) == 1_000
    assert n_affordable(1_000, 10.0, 2.0) == 200
    assert n_affordable(1_000, 10.0, -5.0) == 50
    assert n_affordable(30, 10.0, -5.0) == 30
    table = pd.DataFrame({"x": np.arange(3_000.0), "y": ["rare"] * 2 + ["often"] * 2_998})
    problem = split_target(table, "y")
    rows = SplitRows(infer_table(problem.X), np.zeros((3_000, 1)), problem, np.arange(2_900), np.arange(2_900, 3_000))
    with Job(1e-9).phase("gradient boosting") as phase:
        fewer = fewer_rows(rows, phase, 0)
    assert 1_000 <= len(fewer.train) <= 1_001
    assert set(problem.y.iloc[fewer.train]) == {"rare", "often"}
    with Job().phase("gradient boosting") as phase:
        assert fewer_rows(rows, phase, 0) is rows


def test_csv_and_plot_of_the_ranking(ranking: Ranking, tmp_path: Path) -> None:
    ranking.to_csv(tmp_path / "r.csv")
    assert pd.read_csv(tmp_path / "r.csv")["rank"].tolist() == list(range(1, 15))
    ax = Figure().add_subplot()
    assert ranking.plot(ax) is ax


def test_a_model_that_a_constant_beats_is_not_trusted() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(60, 5)), columns=["a", "b", "c", "d", "y"])
    with pytest.warns(UntrustedRankingWarning, match=r"no better than a constant \(rmse .*do not trust"):
        rank(table, "y", max_epochs=1, n_repeats=1, learning_rate=0.3)  # a step so large that it leads astray


def test_columns_that_mislead_are_named() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"row": range(200), "lot": [f"L{i}" for i in range(200)], "x": rng.normal(size=200)})
    table["y"] = np.where(table["x"] + rng.normal(size=200) > 0, "scrap", "good")
    table["reason"] = np.where(table["y"] == "scrap", "thick", "none given")
    table["weight"] = pd.Series(rng.normal(size=200)).round(3).astype(object).mask(table.index == 7, "broken")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rank(table, "y", max_epochs=3, n_repeats=1)
    messages = [(each.category, str(each.message)) for each in caught]
    assert [category for category, _ in messages] == [UnparsedCellsWarning, IdentifierWarning, LeakWarning]
    unread, identifiers, leaks = (message for _, message in messages)
    assert unread.startswith("Column 'weight' holds numbers, and 1 cell(s) that are not, such as 'broken'")
    assert identifiers.startswith("'row', 'lot': these columns seem to number or name the rows")
    assert leaks.startswith("'reason': alone enough to predict the target")


LEAKS: dict[str, Callable[[np.random.Generator, Any], Any]] = {
    "a copy": lambda _, y: y,
    "a copy in other units": lambda _, y: -1.8 * y + 32,
    "a copy with holes": lambda rng, y: np.where(rng.random(len(y)) < 0.2, np.nan, y),
    "a monotone function": lambda _, y: np.cbrt(y),
    "an ordinary driver": lambda rng, y: y + 0.3 * y.std() * rng.normal(size=len(y)),
    "nothing": lambda rng, y: rng.normal(size=len(y)),
}


@pytest.mark.parametrize("n_rows", [60, 400])
@pytest.mark.parametrize("is_skewed", [False, True])
@pytest.mark.parametrize("what", LEAKS)
def test_copies_of_the_target_are_leaks_in_tables_of_any_size(what: str, is_skewed: bool, n_rows: int) -> None:
    rng = np.random.default_rng(0)
    y = rng.lognormal(sigma=2, size=n_rows) if is_skewed else rng.normal(size=n_rows)
    table = pd.DataFrame({"z": LEAKS[what](rng, y), "a": y + 2 * rng.normal(size=n_rows), "y": y})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rank(table, "y", max_epochs=1, n_repeats=1, n_members=1, n_layers=1, d_token=4)
    leaks = [str(each.message) for each in caught if each.category is LeakWarning]
    is_leak = what not in {"an ordinary driver", "nothing"}
    assert [message.split(":")[0] for message in leaks] == ["'z'"] * is_leak


@pytest.mark.filterwarnings("ignore::tabattn.errors.UntrustedRankingWarning")
def test_a_lot_that_says_the_target_is_a_leak_and_so_is_a_copy_behind_many_others() -> None:
    rng = np.random.default_rng(0)
    lots = rng.permutation(np.arange(300) % 60)
    y = rng.normal(size=60)[lots]
    table = pd.DataFrame({"lot": [f"L{lot}" for lot in lots], "x": rng.normal(size=300), "y": y})
    with pytest.warns(LeakWarning, match="'lot': alone enough"):
        rank(table, "y", max_epochs=1, **TINY)
    reasons = table.assign(y=np.where(y > 0, "scrap", "good"), lot=pd.Series("thick", index=table.index).where(y > 0))
    with pytest.warns(LeakWarning, match="'lot': alone enough"):
        rank(reasons, "y", max_epochs=1, **TINY)
    copies = pd.DataFrame({f"copy {i}": y * (i + 1) for i in range(8)}).assign(y=y)
    with pytest.warns(LeakWarning, match="'copy 0', .*'copy 7': alone enough"):
        rank(copies, "y", max_epochs=1, **TINY)


def test_tables_of_other_packages_give_the_same_ranking() -> None:
    table = pd.read_csv(DATA / "wine.csv")
    packages = (pd.DataFrame, pl.from_pandas, pa.Table.from_pandas)
    ours, *theirs = (rank(convert(table), "cultivar", max_epochs=2, **TINY).table for convert in packages)
    for each in theirs:
        pd.testing.assert_frame_equal(ours, each)


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(ParameterError, match="data must be a table or the path of one, got list"):
        rank([1, 2], "y")


def test_numbers_may_be_written_with_a_decimal_comma(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"온도": rng.normal(100, 20, 90).round(2), "count": rng.integers(1000, 9000, 90)})
    table["품질"] = (table["온도"] * 30 + 2000).round(3)
    german = table.assign(count=[f"{n // 1000}.{n % 1000:03}" for n in table["count"]])
    german.to_csv(tmp_path / "t.csv", sep=";", decimal=",", index=False, encoding="cp949")
    with pytest.warns(LeakWarning, match="'온도': alone enough"):
        ranking = rank(tmp_path / "t.csv", "품질", max_epochs=2, n_repeats=1)
    assert ranking.table["kind"].tolist() == ["numeric", "numeric"]
    np.testing.assert_allclose(ranking.problem.y, table["품질"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"test_fraction": 0.0}, "test_fraction must be greater than 0 and less than 1"),
        ({"n_repeats": 0}, "n_repeats must be 'auto' or an integer of at least 1, got 0"),
        ({"n_repeats": "many"}, "n_repeats must be 'auto' or an integer of at least 1, got 'many'"),
        ({"kinds": {"colour": "text"}}, "kinds must name columns of the table, got 'colour'"),
        ({"method": "lime"}, "method must be one of contribution, swap"),
        ({"encoder": "rnn"}, "encoder must be one of class, bert"),
        ({"max_epochs": 0}, "max_epochs must be an integer"),
        ({"n_layer": 2}, "must be those of the estimator of a classification, got 'n_layer'. Did you mean 'n_layers'?"),
        ({"class_weights": {}}, "got 'class_weights'. Did you mean 'class_weight'?"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        rank(DATA / "wine.csv", "cultivar", **arguments)  # type: ignore[arg-type]


@pytest.mark.slow
def test_friedmans_five_drivers_lead_both_rankings() -> None:
    rows = pd.read_csv(DATA / "friedman.csv").head(600)
    table = rank(rows, "y", n_members=2, d_token=16, n_layers=2, n_repeats=3, max_epochs=20, learning_rate=1e-2).table
    drivers = {"x1", "x2", "x3", "x4", "x5"}
    assert set(table["feature"][:5]) == drivers
    assert set(table.sort_values("permutation_rank")["feature"][:5]) == drivers


@pytest.mark.slow
def test_the_true_drivers_of_the_process_lead_both_rankings() -> None:
    rows = pd.read_csv(DATA / "process.csv").head(1000)
    sizes: dict[str, Any] = {"n_members": 4, "d_token": 16, "n_layers": 2, "max_epochs": 30, "learning_rate": 5e-3}
    ranking = rank(rows, "thickness_um", **sizes, n_repeats=3)
    drivers = {
        "line_speed_m_min", "oven_temperature_c", "pump_pressure_bar", "viscosity_mpas", "resin_supplier",
        "nozzle_age_h",
    }  # fmt: skip
    assert set(ranking.table["feature"][:6]) == drivers
    assert set(ranking.table.sort_values("permutation_rank")["feature"][:6]) == drivers
    scores = ranking.models.set_index("model")["r2"]
    assert scores["tabattn"] > 0.9


def test_a_quantile_and_groups_go_through_the_whole_job(tmp_path: Path) -> None:
    table = pd.read_csv(DATA / "friedman.csv")
    target = table.columns[-1]
    found = rank(
        table,
        target,
        groups={"product": list(table.columns[:2])},
        loss="pinball",
        quantile=0.9,
        max_epochs=10,
        n_repeats=1,
        n_members=4,
        d_token=16,
    )
    assert found.table["feature"][0] == "product"
    assert found.table["permutation_rank"][0] == 1
    assert len(found.table) == table.shape[1] - 2
    assert list(found.models) == ["model", "d2_pinball", "r2", "rmse"]
    scores = found.models.set_index("model")["d2_pinball"]
    assert scores["tabattn"] > 0.3
    assert scores["hist_gradient_boosting"] > 0.3
    assert abs(scores["dummy"]) < 0.1
    found.write(tmp_path)
    assert files(tmp_path) == FILES


@pytest.mark.parametrize("loss", ["absolute", "poisson"])
def test_other_losses_are_compared_with_their_own_constants(loss: Literal["absolute", "poisson"]) -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(200, 2)), columns=["heat", "dust"])
    table = X.assign(count=rng.poisson(np.exp(X["heat"])) + 0.5)
    found = rank(table, "count", loss=loss, max_epochs=15, n_repeats=1, n_members=4, d_token=32)
    scores = found.models.set_index("model")[f"d2_{loss}"]
    assert scores["tabattn"] > 0.15
    assert abs(scores["dummy"]) < 0.1
    table["count"] = rng.permutation(table["count"])
    with pytest.warns(UntrustedRankingWarning, match=f"d2_{loss}"):
        rank(
            table.assign(count=rng.exponential(size=200)),
            "count",
            loss=loss,
            max_epochs=40,
            n_repeats=1,
            n_members=4,
            d_token=32,
        )


def test_a_loss_for_numbers_is_refused_for_classes() -> None:
    with pytest.raises(ParameterError, match="loss must be left out for a classification, got 'absolute'"):
        rank(DATA / "wine.csv", "cultivar", loss="absolute")


def test_weights_of_classes_reach_the_fit() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.normal(size=200), "y": np.where(np.arange(200) % 10 == 0, "rare", "common")})
    small: dict[str, Any] = {"max_epochs": 15, "n_repeats": 1, "n_members": 1, "n_layers": 1, "d_token": 4}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UntrustedRankingWarning)
        plain, balanced = (rank(table, "y", **small, class_weight=weight) for weight in (None, "balanced"))
    assert [list(each.estimator.classes_) for each in (plain, balanced)] == [["common", "rare"]] * 2
    of_rare = [each.estimator.predict_proba(table[["x"]])[:, 1].mean() for each in (plain, balanced)]
    assert of_rare[1] > of_rare[0] + 0.1


KINDS: dict[str, tuple[list[Any], list[Any], Kind]] = {  # cells of fitted rows, those of held-out rows, kind
    "numbers": (["1.5", "2.25", "3"], ["thick", "thin", "none"], Kind.NUMERIC),
    "a decimal comma": (["1,5", "2,25", "3,125"], ["1.500,5", "2,5", "3,5"], Kind.NUMERIC),
    "days": (["13.01.2024", "14.02.2024", "25.03.2024"], ["never", "later", "?"], Kind.DATETIME),
    "words": (["A", "B", "C"], ["1", "2", "3"], Kind.CATEGORICAL),
}


@pytest.mark.parametrize("what", KINDS)
@pytest.mark.filterwarnings("ignore::tabattn.errors.TabAttnWarning")
def test_kinds_are_those_of_the_rows_that_were_fitted(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted, held_out, kind = KINDS[what]
    rows = np.arange(90)
    monkeypatch.setattr("tabattn.held_out.split_rows", lambda *_: Split(rows[:60], rows[60:]))
    cells = (fitted * 20) + (held_out * 9 + fitted)
    table = pd.DataFrame({"x": cells, "z": np.sin(rows), "y": np.cos(rows)})
    ranking = rank(table, "y", max_epochs=1, n_repeats=1, n_members=1, n_layers=1, d_token=4)
    alone = rank(table.assign(x=fitted * 30), "y", max_epochs=1, n_repeats=1, n_members=1, n_layers=1, d_token=4)
    assert ranking.estimator.schema_ == alone.estimator.schema_
    assert ranking.estimator.schema_.columns[0].kind is kind


@pytest.mark.filterwarnings("ignore::tabattn.errors.UntrustedRankingWarning")
def test_held_out_levels_that_were_not_fitted_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.arange(60)
    monkeypatch.setattr("tabattn.held_out.split_rows", lambda *_: Split(rows[:40], rows[40:]))
    table = pd.DataFrame({"line": np.where(rows < 40, rows % 2, 2 + rows % 2), "z": np.sin(rows), "y": np.cos(rows)})
    table["line"] = table["line"].map(dict(enumerate("ABCD")))
    with pytest.warns(UnknownLevelsWarning, match="'line'"):
        rank(table, "y", max_epochs=1, n_repeats=1, n_members=1, n_layers=1, d_token=4)


def lots(n_lots: int = 32, size: int = 10) -> pd.DataFrame:
    random = np.random.default_rng(0)
    lot = np.repeat(np.arange(n_lots), size)
    table = pd.DataFrame(random.normal(size=(n_lots, 3))[lot], columns=["heat", "flow", "gas"])
    y = 2 * random.normal(size=n_lots)[lot] + random.normal(size=len(lot))
    return table.assign(lot=[f"L{each}" for each in lot], dose=random.normal(size=len(lot)), y=y)


def test_lots_are_told_and_held_out_together() -> None:
    table = lots()
    fast: dict[str, Any] = {"n_repeats": 2, "max_epochs": 15, "n_members": 2, "d_token": 16}
    with pytest.warns(DependentRowsWarning, match="Type --split-by lot"):
        free = rank(table, "y", **fast)
    first = free.diagnostics.iloc[0]
    assert (first["code"], first["severity"], first["columns"]) == ("rows_in_blocks", "serious", "lot")
    with pytest.warns(UntrustedRankingWarning, match="no better than a constant"):
        asked = rank(table, "y", split_by="lot", **fast)
    assert "lot" not in asked.table["feature"].to_numpy()
    assert re.fullmatch(r"\d+ of 32 values of 'lot' \(\d+ rows\)", asked.held_out)
    assert "rows_in_blocks" not in asked.diagnostics["code"].to_numpy()
    assert free.models["r2"][0] > 0.4 > 0.2 > asked.models["r2"][0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kept = rank(table, "y", split_by=["lot"], split_features=True, **fast)
    assert "lot" in kept.table["feature"].to_numpy()


def test_folds_hold_every_row_out_once_and_pool() -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame(random.normal(size=(150, 3)), columns=["heat", "dust", "noise"])
    table["y"] = 2 * table["heat"] + table["dust"] + 0.3 * random.normal(size=150)
    fast: dict[str, Any] = {"n_repeats": 2, "max_epochs": 20, "n_members": 2, "d_token": 16}
    found = rank(table, "y", folds=3, **fast)
    assert (found.n_held_out, found.n_train, found.held_out) == (150, 150, "all 150 rows, in 3 folds")
    assert found.table["feature"].tolist() == ["heat", "dust", "noise"]
    assert found.table["permutation_rank"].tolist() == [1, 2, 3]
    assert found.table["importance"].sum() == pytest.approx(1)
    assert found.models["r2"][0] > 0.8
    assert found.mean_attention.to_numpy().sum(axis=1) == pytest.approx(1)
    assert len(found.estimator.read(table.drop(columns="y"))) == 150
    again = rank(table, "y", folds=3, **fast)
    pd.testing.assert_frame_equal(again.table, found.table)


def test_the_last_rows_are_held_out_in_time() -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame(random.normal(size=(100, 2)), columns=["heat", "dust"])
    table["y"] = table["heat"] + 0.6 * table["dust"] + 0.3 * random.normal(size=100)
    table["day"] = pd.date_range("2024-01-01", periods=100)
    table = table.sample(frac=1, random_state=0, ignore_index=True)
    found = rank(table, "y", order_by="day", gap=10, max_epochs=15, n_repeats=1, n_members=4)
    assert (found.n_train, found.n_held_out, found.held_out) == (70, 20, "the last 20 rows by 'day'")
    assert found.table["feature"].tolist() == ["heat", "dust"]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"split_by": "Lot"}, "got 'Lot'. Did you mean 'lot'"),
        ({"split_by": "y"}, "split_by, order_by and by must name columns of the table other than the target, got 'y'"),
        ({"order_by": "lot"}, "must hold numbers or dates"),
        ({"gap": 3}, "gap must be 0 where rows have no order"),
        ({"folds": 0}, "folds must be an integer of at least 1, got 0"),
        ({"folds": 40, "split_by": "lot"}, "must not be more than the 32 units"),
    ],
)
def test_wrong_splits_are_refused(how: dict[str, Any], message: str) -> None:
    with pytest.raises(TabAttnError, match=message):
        rank(lots(), "y", max_epochs=1, **how)


def test_a_second_measurement_of_the_target_is_suspected_and_the_rest_ranked_without_it() -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame(random.normal(size=(300, 4)), columns=["heat", "dust", "flow", "gas"])
    table["y"] = table["heat"] + 0.6 * table["dust"] + 0.8 * random.normal(size=300)
    table["gauge"] = table["y"] + 0.15 * random.normal(size=300)
    with pytest.warns(LeakWarning, match="'gauge': alone as good as all columns together"):
        found = rank(table, "y", max_epochs=30, n_repeats=2, n_members=4)
    assert found.table["feature"][0] == "gauge"
    assert found.without_leaks is not None
    assert found.without_leaks["feature"].tolist()[:2] == ["heat", "dust"]
    assert len(found.without_leaks) == 4
    honest = rank(table.drop(columns="gauge"), "y", max_epochs=10, n_repeats=1, n_members=4)
    assert honest.without_leaks is None
    assert honest.diagnostics["code"].tolist() == []


def test_columns_that_say_the_same_are_named_and_ranked_as_one() -> None:
    random = np.random.default_rng(0)
    main = random.normal(size=200)
    table = pd.DataFrame({f"sensor {i}": main + 0.01 * random.normal(size=200) for i in range(5)})
    table = table.assign(single=random.normal(size=200), noise=random.normal(size=200))
    table["y"] = main + 0.7 * table["single"] + 0.2 * random.normal(size=200)
    found = rank(table, "y", max_epochs=40, n_repeats=1)
    assert found.table["feature"][0] == "single"
    assert found.clusters is not None
    assert found.clusters["feature"].tolist() == ["sensor 0 + 4", "single", "noise"]
    (message,) = found.diagnostics.query("code == 'same_columns'")["message"]
    assert message.startswith("'sensor 0', 'sensor 1', 'sensor 2', 'sensor 3', 'sensor 4': these 5 columns")


def machines(n_rows: int = 240) -> pd.DataFrame:
    """Rows of two machines, driven by heat in one, by flow in the other; `w` counts pieces."""
    random = np.random.default_rng(0)
    table = pd.DataFrame(random.normal(size=(n_rows, 3)), columns=["heat", "flow", "gas"])
    table["machine"] = random.choice(["press", "oven"], n_rows)
    driver = table["heat"].where(table["machine"] == "press", table["flow"])
    return table.assign(w=random.integers(0, 4, n_rows), y=3 * driver + 0.3 * random.normal(size=n_rows))


SMALL: dict[str, Any] = {"n_repeats": 2, "max_epochs": 30, "n_members": 4, "d_token": 16}


@pytest.mark.parametrize("how", [{}, {"folds": 2}])
def test_a_row_of_weight_two_is_two_rows(how: dict[str, Any]) -> None:
    table = machines(120)
    weighted = rank(table, "y", weight="w", by="machine", **how, **SMALL | {"max_epochs": 5})
    repeated = table.loc[table.index.repeat(table["w"])].drop(columns="w")
    counted = rank(repeated, "y", by="machine", **how, **SMALL | {"max_epochs": 5})
    assert weighted.by_level is not None
    assert counted.by_level is not None
    for one, other in (
        (weighted.table, counted.table),
        (weighted.models, counted.models),
        (weighted.by_level, counted.by_level),
        (weighted.diagnostics, counted.diagnostics),
    ):
        pd.testing.assert_frame_equal(one, other)
    assert (weighted.n_train, weighted.n_held_out) == (counted.n_train, counted.n_held_out)


def test_fractions_weight_fit_and_scores_alike() -> None:
    table = machines()
    table["w"] = np.where(table["machine"] == "press", 1.5, 1e-4)
    found = rank(table, "y", weight="w", **SMALL)
    press = table[table["machine"] == "press"]
    assert found.table["feature"][0] == "heat"
    assert found.table["importance"][0] > 0.9
    assert found.table["permutation_rank"][0] == 1
    held_out = found.estimator.score(press[["heat", "flow", "gas", "machine"]], press["y"])
    assert found.models["r2"][0] == pytest.approx(held_out, abs=0.1)
    assert found.models["r2"][0] > 0.8
    units = rank(table.assign(w=table["w"] * 4), "y", weight="w", **SMALL)
    pd.testing.assert_frame_equal(units.table, found.table, rtol=1e-4)


@pytest.mark.parametrize("weights", [[-1.0, 1.0], [None, 1.0], ["heavy", "light"], [0.0, 0.0]])
def test_what_are_no_weights_is_refused(weights: list[Any]) -> None:
    with pytest.raises(ParameterError, match=r"Weights must be numbers of at least 0 in every row.*got 'w'"):
        rank(machines(40).assign(w=weights * 20), "y", weight="w")


def test_columns_are_ranked_within_the_levels_of_another() -> None:
    found = rank(machines(), "y", drop=["w"], by=["machine", "gas"], **SMALL)
    by_level = found.by_level
    assert by_level is not None
    of_machine = by_level[by_level["column"] == "machine"]
    first = of_machine.groupby("level")["feature"].first()
    assert first.to_dict() == {"oven": "flow", "press": "heat"}
    assert of_machine.groupby("level")["n_rows"].first().sum() == found.n_held_out
    assert by_level.groupby(["column", "level"])["importance"].sum().to_numpy() == pytest.approx(1)
    assert len(by_level[by_level["column"] == "gas"]) == 4 * len(found.table), "four ranges of numbers"
    assert found.by_class is None


def test_columns_are_ranked_within_each_class() -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame(random.normal(size=(400, 3)), columns=["heat", "flow", "gas"])
    score = np.column_stack([np.zeros(400), 3 * table["heat"], 3 * table["flow"]])
    table["grade"] = np.array(["A", "B", "C"])[(score + 0.2 * random.normal(size=score.shape)).argmax(axis=1)]
    found = rank(table, "grade", **SMALL)
    assert found.by_class is not None
    first = found.by_class.groupby("level")["feature"].first()
    assert (first["B"], first["C"]) == ("heat", "flow")
    assert found.by_class["column"].unique().tolist() == ["grade"]


def test_a_column_of_too_many_levels_is_refused() -> None:
    table = machines().assign(serial=[f"P{i // 2}" for i in range(240)])
    with pytest.raises(TableError, match="at most 100 levels, or numbers, got 'serial' with 120 levels"):
        rank(table, "y", by="serial", kinds={"serial": "categorical"}, **SMALL)


def test_several_targets_are_ranked_each_without_the_others(tmp_path: Path) -> None:
    tiny = TINY | {"d_token": 8, "max_epochs": 20, "learning_rate": 0.02}
    table = machines().rename(columns={"y": "길이 / mm"}).drop(columns="w")
    table["gloss"] = table["gas"] + 0.1 * table["길이 / mm"]
    found = rank_targets(table, ["gloss", "길이 / mm"], **tiny)
    assert found.table.columns[0] == "target"
    assert len(found.table) == 8
    alone = rank(table.drop(columns="길이 / mm"), "gloss", **tiny)
    pd.testing.assert_frame_equal(found.by_target["gloss"].table, alone.table)
    found.write(tmp_path)
    written = {f"{folder}/{name}" for folder in ("1_gloss", "2_길이_mm") for name in FILES - {"manifest.json"}}
    assert files(tmp_path) == {"importance_of_targets.csv", "manifest.json", *written}
    with pytest.raises(ParameterError, match="each once, got gloss, gloss"):
        rank_targets(table, ["gloss", "gloss"])


def test_results_print_themselves_as_the_command_line_does(ranking: Ranking) -> None:
    said = repr(ranking)
    assert said == str(ranking)
    assert said.startswith("Target 'cultivar': classification, 3 classes;")
    assert str(ranking.table["feature"].iloc[0]) in said
    assert "object at 0x" not in said
    both = repr(Rankings({"cultivar": ranking, "again": ranking}))
    assert both.count("Does the model predict?") == 2
    assert repr(explain(ranking.estimator, ranking.problem.X)).startswith("178 rows read, 14 columns.")
    importances = {"one": {"a": 1.0, "b": 0.0}, "other": {"a": 0.0, "b": 1.0}}
    assert "Ranks by each method:" in repr(compare_importances(importances))
