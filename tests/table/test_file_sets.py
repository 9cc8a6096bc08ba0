"""One table in many files: directories, patterns, partitions, addresses; samples of what does not fit."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabattn import TabAttnRegressor, predict, rank
from tabattn.errors import ParameterError, ReadingNote, TableError
from tabattn.table.file_sets import FileSet, is_file_set, location_of
from tabattn.table.reading import read_table
from tests.conftest import FAST, files, run

pa = pytest.importorskip("pyarrow")
pytestmark = pytest.mark.filterwarnings("ignore::tabattn.errors.ReadingNote")


def make_table(n_rows: int = 300, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {"heat": rng.normal(size=n_rows), "line": rng.choice(["A", "B"], n_rows), "lot": range(n_rows)}
    )
    table.loc[::7, "heat"] = np.nan
    return table.assign(y=table["heat"].fillna(0) + (table["line"] == "A"))


def shards(table: pd.DataFrame, folder: Path, cuts: list[int], suffix: str = ".parquet") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    edges = [0, *cuts, len(table)]
    for number, (start, end) in enumerate(itertools.pairwise(edges)):
        part = table.iloc[start:end].reset_index(drop=True)
        path = folder / f"part-{number:03d}{suffix}"
        part.to_parquet(path) if suffix == ".parquet" else part.to_feather(path)
    return folder


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 60), max_size=4).map(sorted), st.sampled_from([".parquet", ".feather"]))
def test_however_it_is_cut_it_is_the_same_table(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], suffix: str
) -> None:
    table = make_table(60)
    folder = shards(table, tmp_path_factory.mktemp("t"), cuts, suffix)
    pd.testing.assert_frame_equal(read_table(folder), table, check_dtype=False)
    pd.testing.assert_frame_equal(read_table(f"{folder}/*{suffix}"), table, check_dtype=False)
    pd.testing.assert_frame_equal(read_table(f"file://{folder}"), table, check_dtype=False)


def test_partitions_are_columns(tmp_path: Path) -> None:
    table = make_table(60).assign(site=["N", "S", "S"] * 20, year=[2023, 2024] * 30)
    table.to_parquet(tmp_path / "t", partition_cols=["site", "year"])
    (tmp_path / "t" / "_SUCCESS").write_text("")
    (tmp_path / "t" / "_temporary").mkdir()
    (tmp_path / "t" / "_temporary" / "x.parquet").write_bytes(b"half")
    read = read_table(tmp_path / "t").sort_values("lot", ignore_index=True)
    assert set(read.columns) == set(table.columns)
    for name in table.columns:
        assert read[name].astype(str).tolist() == table[name].astype(str).tolist()


@pytest.mark.filterwarnings("ignore::tabattn.errors.TabAttnWarning")
def test_folders_above_the_table_are_no_partitions(tmp_path: Path) -> None:
    table = make_table(60)
    folder = shards(table, tmp_path / "run=5" / "t", [30])
    for place in (folder, f"{folder}/*.parquet", f"{folder}/part-*", f"file://{folder}"):
        assert list(read_table(place).columns) == list(table.columns), place
    table.to_parquet(folder.parent / "one.parquet")
    assert list(read_table(folder.parent / "one.parquet", max_memory=1e-6).columns) == list(table.columns)
    assert list(read_table(f"{tmp_path}/run=*").columns) == [*table.columns, "run"], "the pattern is of partitions"


def test_what_stands_for_several_files(tmp_path: Path) -> None:
    (tmp_path / "a[1].csv").write_text("x,y\n1,2\n")
    assert not is_file_set(tmp_path / "a[1].csv")
    assert not is_file_set("absent.csv")
    assert is_file_set(tmp_path)
    assert is_file_set(tmp_path / "*.parquet")
    assert is_file_set(Path("s3://bucket/lots"))
    assert location_of(Path("gs://b/k/*.parquet")) == "gs://b/k/*.parquet"
    assert location_of("C:/data/t.csv") == "C:/data/t.csv"


def test_a_table_that_does_not_fit_is_sampled_and_said(tmp_path: Path) -> None:
    table = pd.DataFrame({"x": np.arange(200_000, dtype=float), "y": np.arange(200_000) % 7})
    folder = shards(table, tmp_path / "t", [50_000, 120_000])
    with pytest.warns(ReadingNote, match=r"a random sample of \d+ rows is read, always the same"):
        sample = read_table(folder, max_memory=0.002)
    assert 0.5 < len(sample) * 16 * 2 / (0.25 * 0.002 * (1 << 30)) < 1.5
    assert sample["x"].is_monotonic_increasing
    assert abs(sample["x"].mean() / 100_000 - 1) < 0.05, "all files have their share"
    otherwise = shards(table, tmp_path / "o", [3, 4, 199_999])
    pd.testing.assert_frame_equal(read_table(otherwise, max_memory=0.002), sample)
    table.to_parquet(tmp_path / "one.parquet")
    pd.testing.assert_frame_equal(read_table(tmp_path / "one.parquet", max_memory=0.002), sample)
    with pytest.raises(TableError, match=r"must fit into memory, but needs about 0.00596 GB"):
        read_table(folder, max_memory=0.002, may_sample=False)
    assert len(read_table(folder)) == 200_000


def truncated(path: Path) -> str:
    path.write_bytes(path.read_bytes()[:-20])
    return "must be readable, got one that is damaged"


def empty(path: Path) -> str:
    path.write_bytes(b"")
    return "must be readable, got one that is damaged"


def without_a_column(path: Path) -> str:
    pd.read_parquet(path).drop(columns="heat").to_parquet(path)
    return "must have the same columns, got .* without 'heat'"


def with_another_column(path: Path) -> str:
    pd.read_parquet(path).assign(more=1).to_parquet(path)
    return "must have the same columns, got .* with 'more' too"


def with_text_for_numbers(path: Path) -> str:
    pd.read_parquet(path).assign(heat="hot").to_parquet(path)
    return "must have columns of one type, got .* with 'heat' as"


def damaged_within(path: Path) -> str:
    content = bytearray(path.read_bytes())
    content[4:30] = bytes(26)
    path.write_bytes(content)
    return "must be readable, got one that is damaged"


@pytest.mark.parametrize(
    "harm", [truncated, empty, without_a_column, with_another_column, with_text_for_numbers, damaged_within]
)
def test_the_file_that_is_wrong_is_named(tmp_path: Path, harm: Any) -> None:
    folder = shards(make_table(), tmp_path / "t", [100, 200])
    message = harm(folder / "part-001.parquet")
    with pytest.raises(TableError, match=message) as refused:
        read_table(folder)
    assert "part-001.parquet" in str(refused.value)


def test_a_file_that_goes_while_it_is_read_is_named(tmp_path: Path) -> None:
    found = FileSet.opened(shards(make_table(), tmp_path / "t", [100, 200]))
    (tmp_path / "t" / "part-002.parquet").unlink()
    with pytest.raises(TableError, match=r"part-002.parquet' must be readable, got one that is damaged or has gone"):
        list(found.batches())


def test_places_without_files_are_refused(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "*.parquet", f"file://{tmp_path}/absent"):
        with pytest.raises(TableError, match="must be in files"):
            read_table(place)
    (tmp_path / "a.parquet").write_bytes(b"x")
    (tmp_path / "b.feather").write_bytes(b"x")
    with pytest.raises(TableError, match="must be of one format, got feather and parquet"):
        read_table(tmp_path)
    with pytest.raises(TableError, match="must be text or a workbook"):
        read_table(tmp_path, sheet="s")


def test_numbers_may_be_wider_in_the_first_file_only(tmp_path: Path) -> None:
    wide = pd.DataFrame({"x": np.array([1.5, 2.5]), "y": ["a", "b"]})
    narrow = pd.DataFrame({"x": np.array([3, 4], dtype=np.int32), "y": [None, None]})
    for number, part in enumerate((wide, narrow)):
        part.to_parquet(tmp_path / f"{number}.parquet")
    assert read_table(tmp_path)["x"].tolist() == [1.5, 2.5, 3, 4]
    narrow.to_parquet(tmp_path / "0.parquet")
    wide.to_parquet(tmp_path / "1.parquet")
    with pytest.raises(TableError, match="columns of one type"):
        read_table(tmp_path)


@pytest.mark.filterwarnings("ignore::tabattn.errors.TabAttnWarning")
def test_rank_and_predict_read_them_too(tmp_path: Path) -> None:
    table = make_table()
    folder = shards(table, tmp_path / "t", [0, 100, 290])
    one, other = (rank(data, "y", drop=["lot"], n_repeats=1, **FAST) for data in (folder, table))
    pd.testing.assert_frame_equal(one.table, other.table)
    one.estimator.save(tmp_path / "model.tabattn")
    model, out = str(tmp_path / "model.tabattn"), tmp_path / "out"
    done = run("predict", model, str(folder), "--out", str(out))
    assert (done.code, done.out) == (0, f"300 rows predicted: {out}/\n")
    names = ["00000.parquet", "00001.parquet", "00002.parquet", "00003.parquet"]
    assert sorted(files(out)) == [*names, "_manifest.json"]
    assert len(pd.read_parquet(out)) == 300
    predicted = pd.concat([pd.read_parquet(out / name) for name in names], ignore_index=True)
    pd.testing.assert_frame_equal(predicted, predict(one.estimator, table), rtol=1e-5)
    pd.testing.assert_frame_equal(predict(one, table), predict(one.estimator, table))
    with pytest.raises(ParameterError, match="model must be a fitted estimator, a ranking, or the path"):
        predict(TabAttnRegressor(), table)
    table.to_csv(tmp_path / "t.csv", index=False)
    csv = run("predict", model, str(tmp_path / "t.csv"), "--out", str(tmp_path / "none"))
    assert (csv.code, "--out must end in .csv or .parquet" in csv.err) == (2, True)
    ignored = run("predict", model, str(folder), "--out", str(tmp_path / "none"), "--sheet", "1")
    assert (ignored.code, "--out must be a .csv or .parquet file" in ignored.err) == (2, True)
    truncated(folder / "part-003.parquet")
    refused = run("predict", model, str(folder), "--out", str(tmp_path / "none"))
    assert refused.code == 2
    assert "part-003.parquet" in refused.err
    assert not (tmp_path / "none").exists()
