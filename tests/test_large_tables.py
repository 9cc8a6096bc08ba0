"""Tables larger than memory are learned from as a whole, and what is held out is held out everywhere."""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabattn import rank, rank_targets
from tabattn.errors import DroppedRowsWarning, ParameterError, TableError
from tabattn.large_tables import LargeSplit, open_large
from tabattn.ranking_results import Ranking
from tabattn.table.file_sets import fractions_of
from tests.conftest import run

pytestmark = pytest.mark.filterwarnings("ignore::tabattn.errors.TabAttnWarning")
SMALL = 0.0005
CELLS = st.one_of(
    st.lists(st.one_of(st.none(), st.integers(-(2**40), 2**40)), min_size=2, max_size=12).map(pa.array),
    st.lists(st.one_of(st.none(), st.floats(allow_nan=True)), min_size=2, max_size=12).map(
        lambda cells: pa.array(cells, pa.float64())
    ),
    st.lists(st.one_of(st.none(), st.text(max_size=4)), min_size=2, max_size=12).map(
        lambda cells: pa.array(cells, pa.string())
    ),
    st.lists(st.one_of(st.none(), st.booleans()), min_size=2, max_size=12).map(
        lambda cells: pa.array(cells, pa.bool_())
    ),
    st.lists(st.one_of(st.none(), st.datetimes()), min_size=2, max_size=12).map(
        lambda cells: pa.array(cells, pa.timestamp("us"))
    ),
)


@settings(deadline=None, max_examples=60)
@given(CELLS, st.integers(1, 11))
def test_fractions_follow_from_the_cells_of_a_row_alone(cells: Any, cut: int) -> None:
    table = pa.table({"x": cells})
    whole = fractions_of(table)
    assert ((whole >= 0) & (whole < 1)).all()
    parts = [fractions_of(part) for part in (table.slice(0, cut), table.slice(cut)) if len(part)]
    assert np.concatenate(parts).tolist() == whole.tolist()
    again = fractions_of(pa.table({"x": cells.dictionary_encode()})) if pa.types.is_string(cells.type) else whole
    assert again.tolist() == whole.tolist()
    for i in range(len(cells)):
        for j in range(i):
            if cells[i].equals(cells[j]):
                assert whole[i] == whole[j]


def test_fractions_are_spread_evenly_and_belong_to_rows_and_to_lots() -> None:
    table = pa.table({"a": np.arange(20_000), "lot": np.arange(20_000) % 400})
    assert np.histogram(fractions_of(table), bins=10, range=(0, 1))[0] == pytest.approx(2_000, rel=0.1)
    by_lot = fractions_of(table, ["lot"])
    assert len(np.unique(by_lot)) == 400
    with_gaps = table.set_column(1, "lot", pa.array([None] * 500 + list(np.arange(19_500) % 400)))
    fractions = fractions_of(with_gaps, ["lot"])
    assert len(np.unique(fractions[:500])) == 500
    assert len(np.unique(fractions[500:])) == 400
    assert np.histogram(by_lot, bins=4, range=(0, 1))[0] == pytest.approx(5_000, rel=0.25)


class Written(NamedTuple):
    folder: Path
    table: pd.DataFrame


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Files of different sizes: `a` drives the target alone, and with `line`; some rows have none."""
    random = np.random.default_rng(0)
    table = pd.DataFrame(random.normal(size=(6_000, 3)), columns=["a", "b", "c"])
    table["line"] = pd.Series(["A", "B", None]).sample(6_000, replace=True, random_state=0).to_numpy()
    table["lot"] = random.integers(0, 150, 6_000)
    table["y"] = 2 * table["a"] + (table["line"] == "A") + 0.2 * random.normal(size=6_000)
    table.loc[::40, "y"] = None
    folder = tmp_path_factory.mktemp("large")
    for number, part in enumerate(np.split(np.arange(6_000), [10, 30, 3_000])):
        table.iloc[part].to_parquet(folder / f"{number}.parquet", index=False)
    return Written(folder, table)


def ranked(written: Written, target: str = "y", **options: Any) -> Ranking:
    fast: dict[str, Any] = {"max_epochs": 4, "n_repeats": 1, "n_members": 2, "d_token": 16, "max_memory": SMALL}
    return rank(written.folder, target, **(fast | options))


@pytest.mark.slow
def test_all_rows_are_learned_from_but_those_that_are_held_out(written: Written) -> None:
    sampled, found = ranked(written, drop=["lot"]), ranked(written, drop=["lot"], all_rows=True)
    n_known = int(written.table["y"].notna().sum())
    assert sampled.n_train < 0.3 * n_known
    assert found.n_train == pytest.approx(0.64 * n_known, rel=0.06)
    assert found.n_held_out < 0.1 * n_known
    assert found.table["feature"][:2].tolist() == ["a", "line"]
    errors = [each.models.set_index("model")["rmse"]["tabattn"] for each in (found, sampled)]
    assert errors[0] < 1.05 * errors[1]
    by_lot = ranked(written, split_by="lot", all_rows=True)
    assert "of 150 values of 'lot'" in by_lot.held_out or "values of 'lot'" in by_lot.held_out
    assert ranked(written, drop=["lot"], all_rows=True).table.equals(found.table)


@pytest.mark.slow
def test_classes_are_learned_from_all_rows_too(written: Written, tmp_path: Path) -> None:
    table = written.table.dropna(subset="y")
    table = table.assign(y=np.where(table["a"] + 0.3 * table["b"] > 0, "good", "bad"))
    table.loc[table.index[7], "y"] = "seen once"
    table.iloc[:3_000].to_parquet(tmp_path / "1.parquet")
    table.iloc[3_000:].to_parquet(tmp_path / "2.parquet")
    with pytest.warns(DroppedRowsWarning, match=r"1 row\(s\) left out because no row of the sample has their class"):
        found = ranked(Written(tmp_path, table), drop=["lot"], all_rows=True)
    assert found.table["feature"][0] == "a"
    assert found.n_train > 0.58 * len(table)


def test_no_row_is_both_held_out_and_learned_from(written: Written) -> None:
    table = open_large(written.folder, ("lot",), None, 0, SMALL)
    assert table is not None
    split = LargeSplit.of(table, np.ones(len(table.sample), dtype=bool), 0.2, 0.25)
    lots = {
        what: set(table.sample["lot"][rows])
        for what, rows in (("held", split.held_out), ("stop", split.validates), ("fit", split.learned))
    }
    assert not lots["held"] & lots["fit"]
    assert not lots["held"] & lots["stop"]
    assert not lots["stop"] & lots["fit"]
    whole = pa.Table.from_pandas(written.table, preserve_index=False)
    fractions = pd.Series(fractions_of(whole, ["lot"])).groupby(written.table["lot"]).first()
    assert set(fractions[fractions < split.held_out_below].index) >= lots["held"]


DAYS = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(6_000) // 3, unit="h")


@pytest.mark.parametrize("gap", [0, 600])
@pytest.mark.parametrize(
    "times", [np.arange(6_000) / 7, DAYS, DAYS.date, np.arange(6_000)[::-1].copy()], ids=["number", "time", "date", "-"]
)
def test_in_the_order_of_a_column_the_last_rows_are_held_out(tmp_path: Path, times: Any, gap: int) -> None:
    table = pd.DataFrame({"when": times, "x": np.random.default_rng(0).normal(size=6_000), "y": 1.0})
    table.sample(frac=1.0, random_state=1).to_parquet(tmp_path / "t.parquet", index=False)
    large = open_large(tmp_path, (), "when", gap, SMALL / 4)
    assert large is not None
    split = LargeSplit.of(large, np.ones(len(large.sample), dtype=bool), 0.2, 0.25)
    when = large.sample["when"]
    assert when[split.learned].max() < when[split.validates].min()
    assert when[split.validates].max() < when[split.held_out].min()
    fractions = large.fractions.of(pa.Table.from_pandas(table, preserve_index=False))
    place = pd.Series(table["when"]).rank(method="first").to_numpy()
    assert np.diff(fractions[place.argsort()]).max() <= 0, "later rows have lower fractions"
    assert (fractions < split.held_out_below).mean() == pytest.approx(0.2, abs=0.05)
    left_out = (fractions >= split.held_out_below) & (fractions < split.validates_from)
    assert left_out.mean() == pytest.approx(gap / 6_000, abs=0.04)
    assert (fractions >= split.learned_from).mean() == pytest.approx(0.6 - 1.75 * gap / 6_000, abs=0.05)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (["day 1", "day 2"] * 3_000, "must be of numbers, dates or times, got 'when' of .*string"),
        ([None, 2.0] * 3_000, r"must have a value in every row, got 'when' with \d+ cell\(s\) missing"),
        ([np.nan, 2.0] * 3_000, r"must have a value in every row, got 'when' with \d+ cell\(s\) missing"),
        ([True, False] * 3_000, "must be of numbers, dates or times, got 'when' of bool"),
    ],
)
def test_columns_that_order_nothing_are_refused(tmp_path: Path, times: Any, message: str) -> None:
    pq.write_table(pa.table({"when": pa.array(times), "y": np.ones(len(times))}), tmp_path / "t.parquet")
    with pytest.raises(TableError, match=message):
        open_large(tmp_path, (), "when", 0, SMALL / 8)


@pytest.mark.slow
def test_the_last_rows_of_all_are_held_out_from_all_rows(written: Written) -> None:
    found = ranked(written, drop=["lot"], order_by="b", all_rows=True)
    assert found.held_out == f"the last {found.n_held_out} rows by 'b'"
    assert "b" not in set(found.table["feature"])
    n_known = int(written.table["y"].notna().sum())
    assert found.n_train == pytest.approx(0.64 * n_known, rel=0.06)
    assert found.table["feature"][0] == "a"
    sample = found.problem.aside["b"]
    held = sample.iloc[found.held_out_positions]
    assert held.min() > sample.drop(held.index).max()


def test_what_needs_all_rows_in_memory_is_refused(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {"folds": 3, "weight": "b", "class_weight": "balanced"}
    for name, value in asked.items():
        with pytest.raises(ParameterError, match=f"all_rows must stand without {name}"):
            ranked(written, all_rows=True, **{name: value})
    with pytest.raises(ParameterError, match="all_rows must stand with one target, got 2"):
        rank_targets(written.folder, ["y", "a"], all_rows=True)
    with pytest.raises(TableError, match=r"split_by must name columns of the table, got 'lots'. Did you mean 'lot'"):
        ranked(written, all_rows=True, split_by="lots")
    with pytest.raises(TableError, match=r"order_by must name columns of the table, got 'lots'. Did you mean 'lot'"):
        ranked(written, all_rows=True, order_by="lots")
    with pytest.raises(ParameterError, match=r"all_rows must stand with split_by or with order_by .* got both"):
        ranked(written, all_rows=True, order_by="a", split_by="lot")
    usage = shutil.disk_usage(".")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=10))
    with (
        pytest.raises(
            TableError, match=r"Learning from all rows needs .* GB in .* set TMPDIR, or leave --all-rows out"
        ),
        pytest.warns(match="all others are learned from"),
    ):
        ranked(written, all_rows=True)


@pytest.mark.slow
def test_a_table_that_fits_is_read_as_ever(written: Written, tmp_path: Path) -> None:
    written.table.head(200).to_csv(tmp_path / "t.csv", index=False)
    options = ("--target", "y", "--max-epochs", "2", "--repeats", "1", "--drop", "lot", "--quiet")
    for name, more in (("one", ()), ("two", ("--all-rows",))):
        done = run("rank", str(tmp_path / "t.csv"), *options, *more, "--out", str(tmp_path / name))
        assert done.code == 0, done.err
    assert (tmp_path / "one" / "importance.csv").read_bytes() == (tmp_path / "two" / "importance.csv").read_bytes()
