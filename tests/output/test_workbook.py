"""Workbooks hold what the tables hold; text stays text, and the same tables have the same bytes."""

import tempfile
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabattn.errors import ParameterError, printable
from tabattn.output.report.files import ReportedResults
from tabattn.output.workbook import workbook_writer
from tests.conftest import run

NAMES = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs", "Cc")), min_size=1, max_size=12)


def read(path: Path, sheet: str) -> list[list[object]]:
    book = openpyxl.load_workbook(path)
    assert not any(cell.data_type == "f" for row in book[sheet].rows for cell in row), "nothing is a formula"
    return [[cell.value for cell in row] for row in book[sheet].rows]


@settings(deadline=None, max_examples=25)
@given(st.lists(NAMES, min_size=1, max_size=4), st.lists(st.floats(allow_nan=True), min_size=4, max_size=4))
def test_cells_are_read_as_they_were_written(names: list[str], numbers: list[float]) -> None:
    n = len(names)
    table = pd.DataFrame({"feature": names, "importance": numbers[:n], "rank": range(n), "selected": [True] * n})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.xlsx")
        workbook_writer({"importance": table})(path)
        head, *rows = read(path, "importance")
    assert head == list(table.columns)
    for row, name, number in zip(rows, names, numbers, strict=False):
        assert str(row[0]).replace("\r", "\n") == printable(name, keeps="\n\t").replace("\r", "\n")
        expected = pytest.approx(number) if abs(number) < 9.99e307 else str(number)
        assert row[1] == (expected if np.isfinite(number) else None)
        assert row[3] is True


def test_the_same_tables_have_the_same_bytes(tmp_path: Path) -> None:
    tables = {"온도": pd.DataFrame({"a": [1, 2], "b": ["=1+1", "http://a.b"]}), "empty": pd.DataFrame(columns=["a"])}
    for name in ("one.xlsx", "two.xlsx"):
        workbook_writer(tables)(tmp_path / name)
    assert (tmp_path / "one.xlsx").read_bytes() == (tmp_path / "two.xlsx").read_bytes()
    assert read(tmp_path / "one.xlsx", "온도") == [["a", "b"], [1, "=1+1"], [2, "http://a.b"]]
    assert read(tmp_path / "one.xlsx", "empty") == [["a"]]
    workbook_writer({"large": pd.DataFrame({"a": [np.inf, 1.7e308, -1e300]})})(tmp_path / "large.xlsx")
    assert read(tmp_path / "large.xlsx", "large") == [["a"], [None], ["1.7e+308"], [-1e300]]


def test_tables_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ParameterError, match="A sheet must have at most 1048575 rows and 16384 columns"):
        workbook_writer({"a": pd.DataFrame(np.zeros((1, 17_000)))})


def test_a_workbook_is_a_file_that_ends_so(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"must end in .xlsx, got .*x.csv"):
        ReportedResults.to_excel(None, tmp_path / "x.csv")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_the_command_writes_a_workbook(mixed: pd.DataFrame, tmp_path: Path) -> None:
    mixed.to_csv(tmp_path / "t.csv", index=False)
    options = ["--target", "y", "--out", str(tmp_path / "out"), "--max-epochs", "2", "--repeats", "1", "--excel"]
    done = run("rank", str(tmp_path / "t.csv"), *options)
    assert done.code == 0, done.err
    sheets = pd.read_excel(tmp_path / "out" / "results.xlsx", sheet_name=None, engine="openpyxl")
    table = pd.read_csv(tmp_path / "out" / "importance.csv")
    assert set(sheets) == {path.stem for path in (tmp_path / "out").glob("*.csv")}
    assert list(sheets["importance"]) == list(table)
    assert sheets["importance"]["feature"].tolist() == table["feature"].tolist()
    np.testing.assert_allclose(sheets["importance"]["importance"], table["importance"])
