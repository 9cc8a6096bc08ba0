import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from experiments import (
    accuracy,
    agreement,
    defaults,
    every_table,
    fuzz,
    gpu,
    ground_truth,
    holes,
    kinds,
    overhead,
    same_results,
    speed,
    whole_fit,
)
from experiments.machine import CODE, COMMIT, code_hash, describe_machine
from experiments.result_file import RESULTS, ResultFile, with_sizes
from tests.experiments.helpers import OTHER_CODE, replace_in

COMMAND = "python -m experiments.some"
KEYS = ("table", "fraction")
RESTARTABLE = (accuracy, agreement, defaults, every_table, ground_truth, holes, kinds, speed, whole_fit)


def cell(table: str, fraction: float, value: Any) -> dict[str, Any]:
    return {"table": table, "fraction": fraction, "value": value}


@pytest.fixture
def results(tmp_path: Path) -> ResultFile:
    return ResultFile(tmp_path / "new" / "some.csv", COMMAND, KEYS)


def test_whatever_is_kept_is_read(results: ResultFile) -> None:
    notes = ['a "quoted" note, with a comma', "# no comment", "two\nlines", "None", "없음", None]
    results.keep([cell("a, b", 0.5, note) for note in notes])
    assert results.read()["value"].tolist()[:-1] == notes[:-1]
    assert pd.isna(results.read()["value"].iloc[-1])
    assert results.read()[["commit", "code"]].drop_duplicates().to_numpy().tolist() == [[COMMIT, CODE]]
    assert results.path.read_text(encoding="utf-8").startswith(f"# {COMMAND}; {describe_machine()}\ntable,fraction")


def test_a_cell_is_measured_when_it_was_kept(results: ResultFile) -> None:
    assert not results.is_measured("a", 0.5)
    results.keep(cell("a", 0.5, 1.0))
    assert results.is_measured("a", 0.5)
    assert not results.is_measured("a", 0.0)
    assert not results.is_measured("b", 0.5)


def test_hashes_and_commits_are_text(results: ResultFile) -> None:
    results.keep(cell("a", 0.5, 1))
    replace_in(results.path, f"{COMMIT},{CODE}", "1234567,5e0000000012")
    assert results.read()[["commit", "code"]].to_numpy().tolist() == [["1234567", "5e0000000012"]]


def test_a_cell_of_several_rows_takes_the_place_of_its_old_rows(results: ResultFile) -> None:
    results.keep([cell("a", 0.5, i) for i in range(3)])
    results.keep(cell("b", 0.5, 7))
    results.keep([cell("a", 0.5, i) for i in (8, 9)])
    assert results.read()["value"].tolist() == [7, 8, 9]


@pytest.mark.parametrize("code", [OTHER_CODE, ""])
def test_cells_of_other_code_are_measured_again_where_that_is_asked_for(results: ResultFile, code: str) -> None:
    results.keep(cell("a", 0.5, 1))
    replace_in(results.path, CODE, code)
    results.keep(cell("b", 0.5, 2))
    assert results.is_measured("a", 0.5)
    again = ResultFile(results.path, COMMAND, KEYS, measures_stale=True)
    assert [again.is_measured(table, 0.5) for table in ("a", "b")] == [False, True]


def test_a_file_without_hashes_stays_a_csv_file_with_its_texts(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    path.write_text('# old command; old machine\ntable,fraction,value\n"a, b",0.50,nan\n', encoding="utf-8")
    results = ResultFile(path, COMMAND, KEYS)
    results.keep(cell("b", 0.5, 2))
    head, *lines = path.read_text(encoding="utf-8").splitlines()
    assert head == f"# old command; old machine; then {COMMAND}; {describe_machine()}"
    assert lines == ["table,fraction,value,commit,code", '"a, b",0.50,nan,,', f"b,0.5,2,{COMMIT},{CODE}"]
    results.keep(cell("c", 0.5, 3))
    assert path.read_text(encoding="utf-8").splitlines()[:-1] == [head, *lines]


def test_a_summary_has_the_first_line_of_its_cells(results: ResultFile) -> None:
    results.keep(cell("a", 0.5, 1))
    replace_in(results.path, describe_machine(), "another machine")
    results.write_summary(pd.DataFrame({"mean": [1.0]}))
    summary = results.path.with_name("some_summary.csv")
    assert summary.read_text(encoding="utf-8") == f"# {COMMAND}; another machine\nmean\n1.0\n"


def test_one_run_writes_a_whole_file(results: ResultFile) -> None:
    for value in (1, 2):
        results.write([cell("a", 0.5, value)])
    assert results.read()["value"].tolist() == [2]
    assert results.read()["code"].tolist() == [CODE]


@pytest.mark.parametrize("module", RESTARTABLE, ids=lambda module: module.__name__.rpartition(".")[2])
def test_committed_cells_are_known_by_their_keys(module: Any) -> None:
    keys = module.SETTING if module is speed else module.KEYS
    name = "agreement_scores" if module is agreement else module.__name__.rpartition(".")[2]
    results = ResultFile(RESULTS / f"{name}.csv", COMMAND, tuple(keys))
    if module is defaults:
        assert not results.path.exists()
        return
    for key in results.read()[list(keys)].iloc[[0, -1]].itertuples(index=False, name=None):
        assert results.is_measured(*key)


@pytest.mark.parametrize(
    "main",
    [module.main for module in (*RESTARTABLE, fuzz, gpu, overhead, same_results)],
    ids=lambda main: main.__module__,
)
def test_every_script_says_where_its_results_go(main: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["--help"])
    shown = capsys.readouterr().out
    assert "--out" in shown
    assert ("--stale" in shown) == any(main is module.main for module in RESTARTABLE)


def test_the_hash_is_that_of_the_code_that_results_depend_on(tmp_path: Path) -> None:
    for name in ("nn/model.py", "training/a.py", "encoding/a.py", "importance/a.py", "output/plots.py"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("x = 1\n", encoding="utf-8")
    first = code_hash(tmp_path)
    assert len(first) == 12
    (tmp_path / "output" / "plots.py").write_text("x = 2\n", encoding="utf-8")
    (tmp_path / "nn" / "notes.txt").write_text("x = 2\n", encoding="utf-8")
    assert code_hash(tmp_path) == first
    for folder in ("nn", "training", "encoding", "importance"):
        before = code_hash(tmp_path)
        (tmp_path / folder / "new.py").write_text("x = 1\n", encoding="utf-8")
        assert code_hash(tmp_path) != before


def test_the_command_names_the_sizes_that_are_not_the_defaults() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--max-epochs", type=int, default=40)
    parser.add_argument("--rows", type=int, nargs="+", default=(1, 2))
    parser.add_argument("--repeats", type=int)
    options = parser.parse_args(["--max-epochs", "3", "--rows", "4", "5"])
    names = ["max_epochs", "rows", "repeats"]
    assert with_sizes(COMMAND, parser, options, names) == f"{COMMAND} --max-epochs 3 --rows 4 5"
    assert with_sizes(COMMAND, parser, parser.parse_args([]), names) == COMMAND
