"""What stands around a table is found, said and left out; a clean table is read without a word."""

import contextlib
import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabattn.errors import ParameterError, ReadingNote, TableError
from tabattn.table.charset import decode
from tabattn.table.reading import read_table

RNG = np.random.default_rng(0)
BODY: list[list[Any]] = [[f"K{i % 3}", round(20 + i / 7, 2), i * 11 % 17, round(i / 3, 3)] for i in range(40)]
NAMES: list[Any] = ["furnace", "heat", "speed", "yield"]
Writer = Callable[[Path, list[list[Any]]], Path]


def as_csv(path: Path, rows: list[list[Any]], separator: str = ",") -> Path:
    lines = [separator.join("" if cell is None else str(cell) for cell in row) for row in rows]
    target = path / "t.csv"
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return target


def as_sheet(path: Path, rows: list[list[Any]]) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path / "t.xlsx")
    return path / "t.xlsx"


WRITERS: dict[str, Writer] = {"csv": as_csv, "xlsx": as_sheet}
ABOVE: dict[str, list[list[Any]]] = {
    "one title": [["Furnace log"]],
    "a title and a date": [["Furnace log", None, "printed 2024-03-05"], []],
    "three titles": [["Plant 4"], ["Furnace log"], ["shift B"]],
    "keys and values": [["Device", "LX-4"], ["Operator", "Kim"], ["Interval", "10 s"], []],
    "comments": [["# logger 2.1"], ["# start 2024-03-05 08:00"]],
    "a blank row": [[]],
}


def assert_read(table: pd.DataFrame, names: list[Any] = NAMES, body: list[list[Any]] = BODY) -> None:
    assert table.columns.tolist() == names
    assert table.to_numpy(dtype=object).tolist() == body


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("what", ABOVE)
def test_what_stands_above_the_names_is_left_out_and_said(tmp_path: Path, what: str, writer: str) -> None:
    path = WRITERS[writer](tmp_path, [*ABOVE[what], NAMES, *BODY])
    with contextlib.nullcontext() if what == "a blank row" else pytest.warns(ReadingNote, match="above the names"):
        assert_read(read_table(path))


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("units", [[None, "°C", "m/min", "%"], ["-", "[°C]", "(1/s)", "kg/h"]])
def test_a_row_of_units_is_kept_as_units(tmp_path: Path, units: list[Any], writer: str) -> None:
    path = WRITERS[writer](tmp_path, [["Log"], NAMES, units, *BODY])
    with pytest.warns(ReadingNote, match="row 3: units"):
        table = read_table(path)
    assert_read(table)
    assert table.attrs["units"] == dict(zip(NAMES[1:], [str(unit).strip("[]()") for unit in units[1:]], strict=True))


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("label", ["합계", "Total:", "Summe", "合計", "Average"])
def test_a_total_at_the_foot_is_left_out_and_said(tmp_path: Path, label: str, writer: str) -> None:
    total = [label, *(round(sum(row[i] for row in BODY), 2) for i in (1, 2, 3))]
    path = WRITERS[writer](tmp_path, [NAMES, *BODY, [], total, ["* measured by Kim"]])
    with pytest.warns(ReadingNote, match=rf"the last rows, .*{label}.*left out"):
        assert_read(read_table(path))


def test_a_level_that_is_called_max_is_no_total(tmp_path: Path) -> None:
    body = [[name, i, i / 2] for i, name in enumerate(["Tom", "Kim", "Eva", "Max"] * 5)]
    assert_read(read_table(as_csv(tmp_path, [["who", "a", "b"], *body])), ["who", "a", "b"], body)


@pytest.mark.parametrize("writer", WRITERS)
def test_two_rows_of_names_are_joined(tmp_path: Path, writer: str) -> None:
    upper = ["Zone 1", None, "Zone 2", None]
    lower = ["min", "max", "min", "max"]
    body = [[i, i + 2.5, i + 1, i + 3.5] for i in range(30)]
    with pytest.warns(ReadingNote, match="rows 1, 2: names, joined"):
        table = read_table(WRITERS[writer](tmp_path, [upper, lower, *body]))
    assert table.columns.tolist() == ["Zone 1 / min", "Zone 1 / max", "Zone 2 / min", "Zone 2 / max"]
    assert table.to_numpy(dtype=object).tolist() == body


def test_merged_cells_are_filled_in_names_and_down(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    for row in [
        ["lot", "Zone", None, "yield"],
        [None, "in", "out", None],
        *([f"L{i // 5}", i, i / 2, i] for i in range(20)),
    ]:
        sheet.append(row)
    for block in range(4):
        sheet.merge_cells(start_row=3 + 5 * block, end_row=7 + 5 * block, start_column=1, end_column=1)
    sheet.merge_cells("B1:C1")
    sheet.merge_cells("A1:A2")
    sheet.merge_cells("D1:D2")
    book.save(tmp_path / "t.xlsx")
    with pytest.warns(ReadingNote, match=r"16 cell\(s\) merged with the one above: filled"):
        table = read_table(tmp_path / "t.xlsx")
    assert table.columns.tolist() == ["lot", "Zone / in", "Zone / out", "yield"]
    assert table["lot"].tolist() == [f"L{i // 5}" for i in range(20)]


def test_the_sheet_with_the_table_is_read_and_another_one_on_request(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    with pd.ExcelWriter(path) as writer:
        pd.DataFrame({"Report": ["by Kim", "see Data"]}).to_excel(writer, sheet_name="Cover", index=False)
        pd.DataFrame(BODY, columns=NAMES).to_excel(writer, sheet_name="Data", index=False)
        pd.DataFrame({"a": range(30), "b": range(30)}).to_excel(writer, sheet_name="More", index=False)
    with pytest.warns(ReadingNote, match="sheet 'Data' is read, and 'Cover' before it is not"):
        assert_read(read_table(path))
    assert read_table(path, sheet="More").shape == read_table(path, sheet=3).shape == (30, 2)
    with pytest.raises(TableError, match=r"must have the sheet that sheet .* got 'Dat' .*Did you mean 'Data'"):
        read_table(path, sheet="Dat")
    with pytest.raises(TableError, match="must be a workbook to have a sheet"):
        read_table(as_csv(tmp_path, [NAMES, *BODY]), sheet=1)


@pytest.mark.parametrize("writer", WRITERS)
def test_the_user_decides_which_rows_hold_names_and_units(tmp_path: Path, writer: str) -> None:
    other = ["w", "x", "y", "z"]
    path = WRITERS[writer](tmp_path, [NAMES, other, ["a", "b", "c", "d"], *BODY])
    with pytest.warns(ReadingNote, match="row 3: units"):
        table = read_table(path, header_row=2, units_row=3)
    assert_read(table, other)
    assert table.attrs["units"] == {"w": "a", "x": "b", "y": "c", "z": "d"}
    for wrong in ({"header_row": 0}, {"header_row": 1.5}, {"units_row": -1}, {"sheet": 1.5}, {"max_memory": 0}):
        with pytest.raises(ParameterError, match=f"^{next(iter(wrong))} must be"):
            read_table(path, **wrong)
    with pytest.raises(TableError, match=r"--header-row"):
        read_table(path, header_row=900)


def test_a_table_without_names_under_a_title_is_asked_about(tmp_path: Path) -> None:
    numbers = [[i, i / 2, i / 3] for i in range(30)]
    with pytest.raises(TableError, match=r"name for each of its 3 columns, got none above row 2.*--header-row"):
        read_table(as_csv(tmp_path, [["Log", "", ""], *numbers]))


def test_rows_with_too_many_cells_are_named(tmp_path: Path) -> None:
    rows = [NAMES, *([*row] for row in BODY)]
    rows[6], rows[9] = [*rows[6], "x"], [*rows[9], "x"]
    with pytest.raises(TableError, match=r"more cells than names in rows 7, 10 \(4 names\). Put cells that hold ','"):
        read_table(as_csv(tmp_path, rows))


def test_blank_rows_and_columns_are_left_out(tmp_path: Path) -> None:
    rows = [[None, *row[:2], None, *row[2:]] for row in [NAMES, *BODY[:20]]]
    table = read_table(
        as_sheet(tmp_path, [[], [], *rows, [], *([None, *row[:2], None, *row[2:]] for row in BODY[20:])])
    )
    assert_read(table)


def test_names_with_the_mark_of_another_separator(tmp_path: Path) -> None:
    lines = ["Temp, °C;Druck, bar;Menge, kg", *(f"{20 + i},{i % 10};{i},5;{i % 7},25" for i in range(30))]
    (tmp_path / "t.csv").write_text("\n".join(lines), encoding="utf-8")
    table = read_table(tmp_path / "t.csv")
    assert table.columns.tolist() == ["Temp, °C", "Druck, bar", "Menge, kg"]
    assert table.iloc[3].tolist() == [23.3, 3.5, 3.25]


def test_errors_formulas_and_hidden_cells_are_said(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    for row in [NAMES, *BODY]:
        sheet.append(row)
    sheet["C5"], sheet["D6"] = "#DIV/0!", "=C6/2"
    sheet.row_dimensions[9].hidden = True
    sheet.column_dimensions["B"].hidden = True
    book.save(tmp_path / "t.xlsx")
    with pytest.warns(ReadingNote) as said:
        read_table(tmp_path / "t.xlsx")
    text = str(said[0].message)
    for part in ("1 hidden row", "1 group(s) of hidden columns", "1 formula(s) without a stored value", "1 error cell"):
        assert part in text, text


def test_times_and_dates_of_a_sheet(tmp_path: Path) -> None:
    rows = [[dt.time(i % 24, 5), dt.datetime(2024, 1, 1) + dt.timedelta(days=i), i / 3] for i in range(30)]
    table = read_table(as_sheet(tmp_path, [["clock", "day", "y"], *rows]))
    assert table["clock"].tolist() == [row[0] for row in rows]
    assert table["day"].dtype.kind == "M"


@pytest.mark.parametrize("suffix", [".ods", ".xlsx"])
def test_other_workbooks(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    pd.DataFrame(BODY, columns=NAMES).to_excel(path, index=False)
    assert_read(read_table(path))


def test_what_a_file_is_follows_from_its_bytes(tmp_path: Path) -> None:
    table = pd.DataFrame(BODY, columns=NAMES)
    table.to_excel(tmp_path / "t.xlsx", index=False)
    table.to_parquet(tmp_path / "t.parquet")
    table.to_csv(tmp_path / "t.csv.gz", index=False)
    for source, name, said in (
        ("t.xlsx", "a.csv", "a workbook"),
        ("t.xlsx", "a.xls", None),
        ("t.parquet", "b.csv", "a Parquet file"),
        ("t.csv.gz", "c.csv", r"compressed \(.gz\)"),
        ("t.csv.gz", "d.txt.bz2", r"compressed \(.gz\)"),
    ):
        (tmp_path / name).write_bytes((tmp_path / source).read_bytes())
        with pytest.warns(ReadingNote, match=f"the file is {said}") if said else contextlib.nullcontext():
            assert_read(read_table(tmp_path / name))
    (tmp_path / "p.csv").write_bytes(b"%PDF-1.7 ...")
    with pytest.raises(TableError, match="it is a PDF document"):
        read_table(tmp_path / "p.csv")


def test_a_stray_cell_at_the_end_of_a_sheet_is_refused_at_once(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active["A1"], book.active["XFD1048576"] = "a", 1
    book.save(tmp_path / "t.xlsx")
    with pytest.raises(TableError, match=r"reaches to row 1048576 and column 16384, must fit into memory"):
        read_table(tmp_path / "t.xlsx")


def test_what_grows_beyond_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    pd.DataFrame({"a": np.zeros(3_000_000), "b": 1.0}).to_csv(path, index=False)
    with pytest.raises(TableError, match=r"must fit into memory, but needs about .* GB.*--max-memory"):
        read_table(path, max_memory=0.01)
    assert len(read_table(path, max_memory=8)) == 3_000_000


def test_cells_of_any_length(tmp_path: Path) -> None:
    long = "word " * 40_000
    (tmp_path / "t.csv").write_text(f'a,remark\n1,"{long}"\n2,short\n3,"x ""y"""\n', encoding="utf-8")
    table = read_table(tmp_path / "t.csv")
    assert table["remark"].tolist() == [long, "short", 'x "y"']


names_of_columns = st.lists(
    st.text("abcdefghij 온도압력", min_size=2, max_size=8).map(str.strip).filter(lambda name: len(name) > 1),
    min_size=3,
    max_size=6,
    unique=True,
)


@settings(max_examples=60, deadline=None)
@given(
    names=names_of_columns,
    n_titles=st.integers(0, 4),
    n_blank=st.integers(0, 2),
    has_units=st.booleans(),
    has_total=st.booleans(),
    separator=st.sampled_from(",;\t|"),
    seed=st.integers(0, 1000),
)
def test_furniture_of_any_kind_leaves_the_cells_as_they_are(
    tmp_path_factory: pytest.TempPathFactory,
    names: list[str],
    n_titles: int,
    n_blank: int,
    has_units: bool,
    has_total: bool,
    separator: str,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    body: list[list[Any]] = [
        [f"K{rng.integers(3)}", *(round(float(x), 3) for x in rng.normal(size=len(names) - 1))] for _ in range(25)
    ]
    above: list[list[Any]] = [[f"title {i}"] for i in range(n_titles)] + [[]] * n_blank
    units = [["", *["kg", "°C", "bar", "m/s", "%"][: len(names) - 1]]] if has_units else []
    total = [["Total", *[1.5] * (len(names) - 1)]] if has_total else []
    path = as_csv(tmp_path_factory.mktemp("t"), [*above, names, *units, *body, *total], separator)
    is_said = n_titles or has_units or has_total
    with pytest.warns(ReadingNote) if is_said else contextlib.nullcontext():
        assert_read(read_table(path), names, body)


CLEAN: dict[str, str] = {
    "the first row lacks its numbers": "batch,who,purity\nL0,Kim,\n"
    + "".join(f"L{i},Kim,{i}.5\n" for i in range(1, 25)),
    "the first rows hold words": "t,a,b\n0,warm-up,warm-up\n1,warm-up,warm-up\n"
    + "".join(f"{i},{i},2\n" for i in range(20)),
    "limits of detection come first": "id,Pb\nS1,<LOD\nS2,<LOD\n" + "".join(f"S{i},0.{i}\n" for i in range(3, 20)),
    "levels that are letters of units": "flag,grade\n1,A\n1,-\n1,-\n0,-\n1,A\n0,V\n",
    "a column of units": "value,unit\n1,kg\n1,kg\n2,g\n3,kg\n",
    "a list in a cell": "id,val,peaks\n" + "".join(f"{i},{i}.5,1|3|5|7\n" for i in range(9)),
    "words with commas": "Name;Ort, Land\nKim;Seoul, KR\nLee;Busan, KR\n",
    "sparse columns": "a,b,c,d\nx,,,y\nx,,,\nx,1,,\nx,,,\nx,,2,\n",
    "names of rows without a name": ",model,fuel\n" + "".join(f"car{i},Golf,petrol\n" for i in range(9)),
    "a level at the foot": "grade,a\n" + "".join(f"{['Good', 'Poor', 'Average'][i % 3]},{i}\n" for i in range(30)),
    "a name that begins like a total": "who,a,b\n" + "".join(f"N{i},{i},{i}\n" for i in range(9)) + "Total SA,3,4\n",
    "a last row without numbers": "who,a,b\n" + "".join(f"N{i},{i},{i}\n" for i in range(9)) + "row 40 of plant,,\n",
    "a sign in a name": "# of rooms,price\n1,2\n3,4\n5,6\n",
    "fewer cells than names": "a,b,c,,,\n1,2,3\n4,5,6\n",
}


@pytest.mark.parametrize("what", CLEAN)
def test_a_clean_table_keeps_its_names_and_rows_without_a_word(tmp_path: Path, what: str) -> None:
    (tmp_path / "t.csv").write_text(CLEAN[what], encoding="utf-8")
    table = read_table(tmp_path / "t.csv")
    separator = ";" if ";" in CLEAN[what] else ","
    first, *rows = CLEAN[what].splitlines()
    names = [name or f"unnamed_{place}" for place, name in enumerate(first.rstrip(",").split(separator), start=1)]
    assert table.columns.tolist() == names
    assert len(table) == len(rows)


@pytest.mark.parametrize("end", ["\r\n", "\r", "\r\r\n"])
def test_lines_may_end_in_any_way(tmp_path: Path, end: str) -> None:
    text = end.join(["Report", "a,b,c", *(f"{i},{i},x" for i in range(20))]) + "\n"
    (tmp_path / "t.csv").write_bytes(text.encode())
    with pytest.warns(ReadingNote, match="row 1: above the names"):
        table = read_table(tmp_path / "t.csv")
    assert table["a"].tolist() == list(range(20))


@pytest.mark.parametrize(
    "labels", [["Min", "Max", "Avg", "Mean"], ["Mean", "SD", "RSD"], ["최소", "최대", "평균"], ["합 계"]]
)
def test_statistics_at_the_foot_go_together(tmp_path: Path, labels: list[str]) -> None:
    rows = [[f"P{i}", i, i * 2] for i in range(20)]
    path = as_csv(tmp_path, [["part", "a", "b"], *rows, *([label, 1.5, 2.5] for label in labels)])
    with pytest.warns(ReadingNote, match="left out"):
        assert len(read_table(path)) == 20


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("溫度,壓力\n1,2\n", "cp949"),
        ("温度,ライン\n1,2\n", "cp932"),
        ("ﾗｲﾝ,ｵﾝﾄﾞ\n1,2\n", "cp932"),
        ("批号,数量\n1,2\n", "gbk"),
        ("温度,压力,设备编号\n1,2,3\n", "gbk"),
        ("time;note\n" + "1;x\n" * 90_000 + "1;Prüfung läuft\n", "cp1252"),
    ],
)
def test_characters_of_other_scripts(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


def test_blanks_may_separate_cells(tmp_path: Path) -> None:
    lines = ["  depth   flow  grade", *(f"  {i}   {i / 4}  A" for i in range(20))]
    (tmp_path / "t.txt").write_text("\n".join(lines), encoding="utf-8")
    with pytest.warns(ReadingNote, match="separated by blanks"):
        table = read_table(tmp_path / "t.txt")
    assert table["flow"].tolist() == [i / 4 for i in range(20)]
    (tmp_path / "t.txt").write_text("remark\nall is well\nall is well\nit is 5\n", encoding="utf-8")
    assert read_table(tmp_path / "t.txt").shape == (3, 1)
