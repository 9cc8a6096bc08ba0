from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from experiments import fetch
from experiments.fetch import Source
from experiments.splits import split_table
from experiments.tables import load_catalog


def unreachable() -> Any:
    raise OSError("<urlopen error\nName or service not known>")


def bunch(target: list[Any] | None, **columns: list[Any]) -> Callable[[], Any]:
    """Return a loader of a table."""
    frame = pd.DataFrame(columns if target is None else columns | {"goal": target})
    return lambda: SimpleNamespace(frame=frame, target=None if target is None else frame["goal"])


def test_splits_are_the_published_ones_where_there_are_some(tmp_path: Path) -> None:
    rows = pd.DataFrame({"x": range(60), "y": [1.0, 2.0, None] * 20})
    rows.to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "catalog.csv").write_text("name,file,target,task\nt,t.csv,y,regression\n", encoding="utf-8")
    table = load_catalog(tmp_path)["t"]
    drawn = split_table(table)
    assert [len(part) for part in (drawn.train, drawn.validation, drawn.test)] == [25, 7, 8]
    assert not drawn.is_published
    (tmp_path / "splits").mkdir()
    parts = ["train"] * 20 + ["val"] * 20 + ["test"] * 20
    pd.DataFrame({"row": range(60), "split": parts}).to_csv(tmp_path / "splits" / "t.split.csv", index=False)
    published = split_table(table)
    assert published.is_published
    assert published.problem.X["x"].iloc[published.test].tolist() == [i for i in range(40, 60) if i % 3 != 2]
    assert published.problem.X["x"].iloc[published.validation].tolist() == [i for i in range(20, 40) if i % 3 != 2]


@pytest.mark.parametrize("is_there", [True, False])
def test_a_directory_without_a_catalog_is_refused(tmp_path: Path, is_there: bool) -> None:
    with pytest.raises(
        SystemExit, match=r"must be a directory with catalog\.csv, got .* or .*experiments\.fetch --out DIR"
    ):
        load_catalog(tmp_path if is_there else None)


def test_tables_that_come_with_scikit_learn_are_written_and_read(tmp_path: Path) -> None:
    fetch.main(["--out", str(tmp_path / "new"), "--tables", "diabetes", "wine", "breast_cancer"])
    catalog = load_catalog(tmp_path / "new")
    assert {name: table.read().shape for name, table in catalog.items()} == {
        "diabetes": (442, 11),
        "wine": (178, 14),
        "breast_cancer": (569, 31),
    }
    assert {name: table.task for name, table in catalog.items()} == {
        "diabetes": "regression",
        "wine": "classification",
        "breast_cancer": "classification",
    }
    assert [len(split_table(table).test) for table in catalog.values()] == [89, 36, 114]


def test_a_table_that_cannot_be_had_is_named_and_the_others_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = {
        "far": Source("binary", unreachable),
        "near": Source("binary", bunch(["yes", "no"], x=[1, 2], later=[3, 4]), dropped=("later",)),
        "aimless": Source("binary", bunch(None, x=[1, 2])),
        "words": Source("regression", bunch(["P", "N"], x=[1, 2])),
    }
    fetch.main(["--out", str(tmp_path)], sources)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "could not fetch far: <urlopen error Name or service not known>; name a folder with --data DIR or TABATTN_DATA"
    )
    assert [line.split(":")[0] for line in lines[1:4]] == ["near", "could not fetch aimless", "could not fetch words"]
    [table] = load_catalog(tmp_path).values()
    assert table.read().columns.tolist() == ["x", "goal"]
    assert (table.name, table.target, table.task) == ("near", "goal", "classification")


def test_nothing_fetched_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"^1$"):
        fetch.main(["--out", str(tmp_path)], {"far": Source("binary", unreachable)})


def test_what_a_directory_has_is_not_fetched_again(tmp_path: Path) -> None:
    fetch.main(["--out", str(tmp_path)], {"a": Source("binary", bunch(["yes", "no"], x=[1, 2]))})
    fetch.main(["--out", str(tmp_path)], {"a": Source("binary", bunch(["yes", "no"], x=[3, 4]))})
    assert load_catalog(tmp_path)["a"].read()["x"].tolist() == [1, 2]
    fetch.main(["--out", str(tmp_path)], {"b": Source("regression", bunch([1.5, 2.5], x=[1, 2]))})
    assert list(load_catalog(tmp_path)) == ["a", "b"]
