"""Names of any characters: what a terminal, a spreadsheet, a reader of CSV and an SVG viewer make of them."""

import io
import tempfile
import unicodedata
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabattn import rank
from tabattn.diagnostics.findings import Finding
from tabattn.errors import printable
from tabattn.importance.table import ImportanceTable
from tabattn.output.plots import plot_importance, save_figure
from tabattn.output.results import csv_writer
from tabattn.output.terminal import PlainConsole, numbers_table, print_importance, print_notes
from tabattn.table.reading import read_table
from tests.conftest import FAST, run

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
HOSTILE = [
    "a\x1b[31mred",
    "b\r",
    "c\nd",
    ":smile:",
    "[bold]x[/bold]",
    "back\\slash\\",
    "e\u202ef",
    "=1+1",
    'q"uote,',
    "온도",
]


def ranking_of(names: list[str]) -> ImportanceTable:
    n = len(names)
    return ImportanceTable(
        pd.DataFrame(
            {
                "rank": range(1, n + 1), "feature": names, "kind": "numeric", "importance": np.linspace(1, 0, n) / n,
                "std": 0.1, "ci_low": 0.0, "ci_high": 0.5, "direction": "up", "effect": 1.0,
                "effect_on": names, "p_value": 0.5, "q_value": 0.5, "selected": False, "conditional": 0.1,
                "sampler_fit": 0.0, "permutation_mean": 0.1, "permutation_std": 0.1,
                "permutation_rank": range(1, n + 1),
            }
        )
    )  # fmt: skip


def printed(monkeypatch: pytest.MonkeyPatch, names: list[str]) -> str:
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    console = PlainConsole()
    print_importance(console, ranking_of(names))
    messages = (f"{names[0]!r} is a name", names[0])
    print_notes(console, [Finding("constant", "one value", message) for message in messages])
    console.print(numbers_table(pd.DataFrame({"model": names, "score": 1.0})))
    return out.getvalue()


@settings(deadline=None)
@given(st.lists(NAMES, min_size=1, max_size=3))
def test_nothing_that_steers_a_terminal_is_printed(names: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        said = printed(patch, names)
    assert {unicodedata.category(each) for each in said if each != "\n"} & {"Cc", "Cf", "Cs", "Zl", "Zp"} == set()


def test_names_are_printed_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    said = printed(monkeypatch, HOSTILE)
    for name in HOSTILE:
        assert printable(name) in said
    assert len(said.splitlines()) == len(printed(monkeypatch, ["x"] * len(HOSTILE)).splitlines())


@settings(deadline=None)
@given(st.lists(NAMES, min_size=1, max_size=4), st.booleans())
def test_csv_has_as_many_cells_in_each_row_whatever_the_names(names: list[str], excel_safe: bool) -> None:
    table = pd.DataFrame({"feature": names, "x": 1.5, names[0]: names})
    out = io.BytesIO()

    writer = csv_writer(table, excel_safe=excel_safe)
    writer(out)  # type: ignore[arg-type]
    read = pd.read_csv(io.BytesIO(out.getvalue()), dtype=object, keep_default_na=False, encoding="utf-8")
    assert read.shape == table.shape
    if not any("\0" in name for name in names):
        expected = [f"'{name}" if excel_safe and name[0] in "=+-@\t\r" else name for name in names]
        assert read["feature"].tolist() == expected


def test_korean_names_open_in_excel_and_ascii_files_are_plain(tmp_path: Path) -> None:
    for names, begins in ((["온도", "압력"], b"\xef\xbb\xbf"), (["heat", "line"], b"rank")):
        csv_writer(pd.DataFrame({"rank": [1, 2], "feature": names}))(tmp_path / "a.csv")
        assert (tmp_path / "a.csv").read_bytes().startswith(begins)
        read = read_table(tmp_path / "a.csv")
        assert (list(read.columns), list(read["feature"])) == (["rank", "feature"], names)
        assert list(pd.read_csv(tmp_path / "a.csv").columns) == ["rank", "feature"]


@settings(deadline=None, max_examples=25)
@given(st.lists(NAMES, min_size=1, max_size=3))
def test_svg_is_well_formed_for_any_name(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        save_figure(plot_importance(ranking_of(names)), Path(folder, "a.svg"))
        ET.parse(Path(folder, "a.svg"))


def test_the_command_writes_what_is_safe_in_a_spreadsheet(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(80, 3)), columns=["=cmd|' /C calc'!A0", "@sum", ":heart:"])
    table.assign(y=table.iloc[:, 0]).to_csv(tmp_path / "t.csv", index=False)
    out = str(tmp_path / "out")
    done = run("rank", str(tmp_path / "t.csv"), "--target", "y", "--out", out, "--max-epochs", "2", "--excel-safe")
    assert done.code == 0, done.err
    assert ":heart:" in done.out
    read = pd.read_csv(tmp_path / "out" / "importance.csv")["feature"]
    assert set(read) == {"'=cmd|' /C calc'!A0", "'@sum", ":heart:"}
    assert (pd.read_csv(tmp_path / "out" / "training_attention.csv").columns[-3:] != "=").all()


@pytest.mark.filterwarnings("ignore::tabattn.errors.MissingGlyphWarning")
def test_a_ranking_of_hostile_names_is_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(60, len(HOSTILE))), columns=HOSTILE).assign(
        y=lambda each: each.iloc[:, :3].sum(axis=1)
    )
    rank(table, "y", **FAST).write(tmp_path)
    assert set(pd.read_csv(tmp_path / "importance.csv")["feature"]) == set(HOSTILE)
    for path in (tmp_path / "plots").glob("*.svg"):
        ET.parse(path)
