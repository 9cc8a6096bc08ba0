import contextlib
import datetime as dt
import gzip
import os
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from tabattn.errors import AmbiguousNumbersWarning, ReadingNote, TableError
from tabattn.table.charset import decode
from tabattn.table.inference import infer_schema
from tabattn.table.reading import as_pandas, read_table
from tests.table.formats import parse_numbers


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


TABLE = pd.DataFrame({"온도": [1.5, None], "line, no": ["A", 'B"c']})


@pytest.mark.parametrize(
    "name",
    [
        *("t.csv", "t.csv.gz", "t.CSV", "t.tsv", "t.tsv.xz", "t.csv.bz2", "t.csv.zip", "t.csv.zst"),
        *("t.xlsx", "t.parquet", "t.feather", "t.arrow"),
    ],
)
def test_formats(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("xlsx"):
        TABLE.to_excel(path, index=False)
    elif name.endswith("parquet"):
        TABLE.to_parquet(path)
    elif name.endswith("feather"):
        TABLE.to_feather(path)
    elif name.endswith("arrow"):  # a stream, which .arrow may be too
        stream = pa.Table.from_pandas(TABLE)
        with pa.ipc.new_stream(path, stream.schema) as writer:
            writer.write_table(stream)
    elif name.endswith("zst"):
        path.write_bytes(pa.compress(TABLE.to_csv(index=False).encode(), "zstd", asbytes=True))
    else:
        TABLE.to_csv(path, index=False, sep="\t" if "tsv" in name else ",")
    pd.testing.assert_frame_equal(read_table(path), TABLE)


def test_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "\ufeffa,b\n1,2\n".encode())
    assert read_table(path).columns.tolist() == ["a", "b"]


def test_names_are_kept_as_written(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "1, b ,NA,,True\n1,2,3,4,5\n")
    assert read_table(path).columns.tolist() == ["1", "b", "NA", "unnamed_4", "True"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.csv", None, "must be an existing file, got .*absent.csv"),
        ("t.docx", "a,b\n", "must be a .csv, .tsv, .* or .xlsx file .*, got 't.docx'"),
        ("noextension", "a,b\n", "must be a .csv"),
        ("empty.csv", "", "must be a table with one line of column names"),
        ("picture.csv", b"\x89PNG\r\n\x1a\n\x00\x00\xff\xfe", "must be a table"),
        ("ragged.csv", "a,b\n1,2\n1,2,3,4\n", "must be a table.* more cells than names in row 3"),
        ("twice.csv", "a,b,a,c,b\n1,2,3,4,5\n", "must be unique, got 'a', 'b' more than once"),
        ("r_style.csv", "a,b,y\n1,7,1,3.5\n2,8,0,4.5\n", "more cells than names"),
        ("n" * 300 + ".csv", None, "must be an existing file"),
        ("cut.csv.gz", b"\x1f\x8b\x08\x00", "must be a table"),
        ("t.parquet.gz", "a,b\n1,2\n", "must be a .csv"),
        ("cut.csv", "온도".encode("utf-16")[:-1], "must be a table"),
        (
            "zero.csv",
            "a,b\n" + "1,2\n" * 30_000 + "1,\0\n",
            "must be a table.*holds a zero byte|must be a table.*no text",
        ),
        ("utf32.csv", "a,b\n1,2\n".encode("utf-32")[:-1], "must be a table"),
        ("broken.csv.gz", gzip.compress(b"a,b\n1,2\n" * 99, mtime=0)[:30], "must be a table"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, name: str, content: str | bytes | None, message: str) -> None:
    path = tmp_path / name
    if content is not None:
        write(path, content)
    with pytest.raises(TableError, match=message):
        read_table(path)


def test_an_empty_sheet_is_no_table(tmp_path: Path) -> None:
    pd.DataFrame().to_excel(tmp_path / "t.xlsx", index=False)
    with pytest.raises(TableError, match="got nothing"):
        read_table(tmp_path / "t.xlsx")


def test_devices_and_pipes_are_no_tables(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    for name in ("pipe.csv", "zero.csv"):
        with pytest.raises(TableError, match="must be a file, got the device or pipe"):
            read_table(tmp_path / name)


def test_what_is_compressed_and_has_no_lines_is_refused_before_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"a,y\n" + b"1," * (1 << 26), 1))
    tracemalloc.start()
    with pytest.raises(TableError, match="a line of it is longer than 64 MB"):
        read_table(path)
    assert tracemalloc.get_traced_memory()[1] < 100_000_000
    tracemalloc.stop()


def test_what_a_small_file_holds_many_times_must_fit_into_memory(tmp_path: Path) -> None:
    pd.DataFrame({"x": np.ones(1 << 20), "y": np.ones(1 << 20)}).to_parquet(tmp_path / "t.parquet")
    assert (tmp_path / "t.parquet").stat().st_size < 20_000
    with pytest.raises(TableError, match=r"must fit into memory, but needs about 0.0312 GB"):
        read_table(tmp_path / "t.parquet", max_memory=0.03, may_sample=False)
    assert len(read_table(tmp_path / "t.parquet", max_memory=0.04)) == 1 << 20


def test_a_quote_without_an_end_takes_no_more_memory_than_its_file(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", 'x,y\n1,"' + "2,3\n" * (1 << 19))
    tracemalloc.start()
    with pytest.raises(TableError, match=r"more cells than names in row 2|the quotes in it do not match"):
        read_table(path)
    assert tracemalloc.get_traced_memory()[1] < 20 * path.stat().st_size
    tracemalloc.stop()


def test_a_directory_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"must be in files that end in .parquet, .pq, .feather, .arrow, got none"):
        read_table(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp949"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_encodings_and_separators_are_found_out(tmp_path: Path, encoding: str, separator: str) -> None:
    rows = [["온도", "line, no"], ["1.5", '"A, B"'], ["2.5", "C"]]
    rows[0][1] = f'"{rows[0][1]}"'
    path = write(tmp_path / "t.csv", "\n".join(separator.join(row) for row in rows).encode(encoding))
    decimal = path.read_bytes().replace(b".", b",") if separator == ";" else path.read_bytes()
    path.write_bytes(decimal)
    assert read_table(path).to_dict("list") == {"온도": [1.5, 2.5], "line, no": ["A, B", "C"]}


def test_columns_without_a_name_are_told_apart_where_marks_are_told(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", ";;c\nA;B;17,027\nA;B;2,309\n")
    with pytest.warns(AmbiguousNumbersWarning, match="in the column 'c'"):
        assert read_table(path)["c"].tolist() == [17.027, 2.309]


def test_western_letters_are_no_korean_ones(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "Höhe;Größe\n1,5;für\n".encode("cp1252"))
    assert read_table(path).to_dict("list") == {"Höhe": [1.5], "Größe": ["für"]}


def test_commas_in_texts_separate_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "a;remark\n1;one, two, three\n2;four\n3;five, six\n")
    assert read_table(path)["remark"].tolist() == ["one, two, three", "four", "five, six"]
    single = write(tmp_path / "s.csv", "remark\none\ntwo\n")
    assert read_table(single).shape == (2, 1)


@pytest.mark.parametrize("convert", [pl.from_pandas, pa.Table.from_pandas], ids=["polars", "pyarrow"])
def test_tables_of_other_packages(convert: Callable[[pd.DataFrame], object]) -> None:
    table = pd.DataFrame({"n": [1.5, None], "s": ["a", None], "t": [pd.Timestamp(2024, 1, 5), pd.NaT]})
    read = as_pandas(convert(table))
    assert [column.kind for column in infer_schema(read).columns] == ["numeric", "categorical", "datetime"]
    assert read.isna().equals(table.isna())


def test_levels_of_polars_are_categories_and_lazy_tables_are_refused() -> None:
    table = pl.DataFrame({"c": pl.Series(["1", "2", "1"], dtype=pl.Categorical), "e": pl.Series([1, 2, 1])})
    enum = table.with_columns(pl.col("e").cast(pl.String).cast(pl.Enum(["1", "2"])))
    assert [column.kind for column in infer_schema(as_pandas(enum)).columns] == ["categorical", "categorical"]
    with pytest.raises(TableError, match=r"^The table must be in memory, got a lazy one"):
        as_pandas(table.lazy())
    twice = pa.table([[1], [2]], names=["a", "a"])
    with pytest.raises(TableError, match=r"must be unique.*'a'"):
        as_pandas(twice)


@pytest.mark.parametrize("text", ["T °C;p µbar;Äpfel\n1,5;2;für\n", "é;ß\n1;2\n", "Größe\n1\n", "½;°\n1;2\n"])
def test_western_signs_are_no_korean_ones(text: str) -> None:
    assert decode(text.encode("cp1252")) == text


@pytest.mark.parametrize("text", ["온도(℃);두께(㎛)\n1,5;2\n", "℃\n1\n", "공정,설비\n가,나\n", "온도 °C\n1\n"])
def test_korean_signs_are_no_western_ones(text: str) -> None:
    assert decode(text.encode("cp949")) == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_of_hangul_without_a_mark(encoding: str) -> None:
    text = "공정온도,설비압력상태\n" + "가나다라마바사아자차,타파하거너더러머버서어저\n" * 50
    assert decode(text.encode(encoding)) == text
    with pytest.raises(ValueError, match="not text"):
        decode(bytes(range(256)) * 8)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (
            "a;b;c\n17.027;0,5;0,1\n237;1,5;2\n2.309;2;3\n",
            {"a": [17027, 237, 2309], "b": [0.5, 1.5, 2], "c": [0.1, 2, 3]},
        ),
        (
            "a;b;c\n17,027;0.5;0.1\n237;1.5;2\n2,309;2;3\n",
            {"a": [17027, 237, 2309], "b": [0.5, 1.5, 2], "c": [0.1, 2, 3]},
        ),
        ("a\tb\tc\n17.027\t0,5\t0,1\n237\t1,5\t2\n", {"a": [17027, 237], "b": [0.5, 1.5], "c": [0.1, 2]}),
        ("a\tb\n0,100\t1\n0,250\t2\n", {"a": [0.1, 0.25], "b": [1, 2]}),
        ("a;b;c\n7.123;0.5;0.1\n5.321;1.5;2\n", {"a": [7.123, 5.321], "b": [0.5, 1.5], "c": [0.1, 2]}),
        (
            'x,answers,t\n12.345,"1,3",1\n-,"1,2",2\n13.500,"2,3",3\n',
            {"x": [12.345, np.nan, 13.5], "answers": [1.3, 1.2, 2.3], "t": [1, 2, 3]},
        ),
        ('a,b\n"17,027",0.5\n"2,309",1.5\n', {"a": [17027, 2309], "b": [0.5, 1.5]}),
        ("sep=;\na;b\n1,5;2\n", {"a": [1.5], "b": [2]}),
        ('a, b\n1, "x, y"\n', {"a": [1], "b": ["x, y"]}),
    ],
)
def test_marks_in_numbers_are_those_of_the_file(tmp_path: Path, text: str, values: dict[str, list[object]]) -> None:
    table = read_table(write(tmp_path / ("t.tsv" if "\t" in text else "t.csv"), text))
    read = {
        column.name: parse_numbers(table[column.name], column.name, column.format)
        for column in infer_schema(table).columns
        if column.kind == "numeric"
    }
    for name, cells in values.items():
        if name in read:
            np.testing.assert_array_equal(read[name], np.array(cells, dtype=np.float64))
        else:
            assert table[name].tolist() == cells


@pytest.mark.parametrize(
    ("text", "column", "read"),
    [
        ("x;answers\n12.345;1,3\n14.200;1,2\n", "x", 12345),
        ("x\tanswers\n12.345\t1,3\n14.200\t1,2\n", "x", 12345),
        ("x;y\n27.857;1\n5.125;2\n", "x", 27.857),
        ("x;y\n27,857;1\n5,125;2\n", "x", 27.857),
        ("x;y;z;w\n2.309;0,5;0.5;0,1\n", "x", 2309),
    ],
)
def test_marks_that_little_explains_are_told(tmp_path: Path, text: str, column: str, read: float) -> None:
    path = write(tmp_path / ("t.tsv" if "\t" in text else "t.csv"), text)
    with pytest.warns(
        AmbiguousNumbersWarning,
        match=rf"in the column '{column}' whose separator .* few or no others decide: read as {read}",
    ):
        table = read_table(path)
    number_format = infer_schema(table[[column]]).columns[0].format
    assert parse_numbers(table[column], column, number_format)[0] == read


def test_one_padded_number_makes_no_codes(tmp_path: Path) -> None:
    numbers = [*range(90), 5]
    text = "x\n" + "\n".join(map(str, numbers[:-1])) + "\n05\n"
    assert read_table(write(tmp_path / "t.csv", text))["x"].tolist() == numbers


def test_digits_that_a_number_would_lose_are_kept(tmp_path: Path) -> None:
    big = 10**18
    text = f"code,big,hole,plain,word\n00012,{big + 1},{big + 1},1,a\n00345,{big + 2},,2,b\n,{big + 4},{big + 2},3,0x\n"
    table = read_table(write(tmp_path / "t.csv", text))
    assert table["code"].tolist()[:2] == ["00012", "00345"]
    assert table["big"].tolist() == [big + 1, big + 2, big + 4]
    assert table["hole"].dropna().tolist() == [str(big + 1), str(big + 2)]
    assert table["plain"].tolist() == [1, 2, 3]
    schema = infer_schema(table)
    assert [column.kind for column in schema.columns] == ["categorical", "numeric", "numeric", "numeric", "categorical"]
    assert schema.columns[2].offset == big + 1


@pytest.mark.parametrize("name", ["t.parquet", "t.feather"])
def test_an_index_with_a_name_is_a_column(tmp_path: Path, name: str) -> None:
    table = pd.DataFrame({"a": [1, 2]}, index=pd.Index(["x", "y"], name="lot"))
    pa_table = pa.Table.from_pandas(table)
    (pa.parquet.write_table if name == "t.parquet" else pa.feather.write_feather)(pa_table, tmp_path / name)
    assert read_table(tmp_path / name).to_dict("list") == {"lot": ["x", "y"], "a": [1, 2]}


def test_the_used_part_of_a_sheet_is_the_table(tmp_path: Path) -> None:
    table = pd.DataFrame({"온도": [1.5, 2.0, None], "on": [True, False, True], "code": ["007", "008", "009"]})
    for titled in (False, True):
        path = tmp_path / f"{titled}.xlsx"
        with pd.ExcelWriter(path, engine="openpyxl") as writer:
            table.to_excel(writer, index=False, startrow=3, startcol=1)
            if titled:
                writer.book.active.cell(2, 2, "생산 기록")
        with pytest.warns(ReadingNote, match="row 2: above the names") if titled else contextlib.nullcontext():
            pd.testing.assert_frame_equal(read_table(path), table)


SHEETS: dict[str, tuple[list[list[object]], dict[str, list[object]]]] = {
    "numbers as names": (
        [["id", 2020, 2021], ["a", "007", 1.5], ["b", "012", None]],
        {"id": ["a", "b"], "2020": ["007", "012"], "2021": [1.5, np.nan]},
    ),
    "a blank name of an index": ([[None, "a"], ["x", 1], ["y", 2]], {"unnamed_1": ["x", "y"], "a": [1, 2]}),
    "a blank last name": ([["a", None], ["x", 1], ["y", 2]], {"a": ["x", "y"], "unnamed_2": [1, 2]}),
    "two titles": ([["Report 2024"], ["of line 3"], ["a", "b"], ["x", 1]], {"a": ["x"], "b": [1]}),
    "a day as a name": ([["id", dt.datetime(2024, 3, 5)], ["a", 1]], {"id": ["a"], "2024-03-05": [1]}),
}


@pytest.mark.parametrize("what", SHEETS)
def test_names_and_titles_of_sheets(tmp_path: Path, what: str) -> None:
    rows, columns = SHEETS[what]
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    with pytest.warns(ReadingNote, match="rows 1, 2") if what == "two titles" else contextlib.nullcontext():
        assert str(read_table(tmp_path / "t.xlsx").to_dict("list")) == str(columns)


@pytest.mark.parametrize("package", ["parquet", "pyarrow", "polars"])
def test_whole_numbers_beyond_doubles_keep_their_digits_beside_holes(tmp_path: Path, package: str) -> None:
    cells = [None, 2**60, 2**60 + 1]
    arrow = pa.table({"n": cells, "u": pa.array([None, 2**63, 2**63 + 1], pa.uint64()), "small": [None, 1, 2]})
    pyarrow.parquet.write_table(arrow, tmp_path / "t.parquet")
    given = {"pyarrow": arrow, "polars": pl.from_arrow(arrow)}.get(package)
    table = read_table(tmp_path / "t.parquet") if given is None else as_pandas(given)
    assert table["n"].dropna().tolist() == cells[1:]
    assert table["u"].dropna().tolist() == [2**63, 2**63 + 1]
    assert table["small"].dtype == np.float64


def test_an_index_that_is_a_column_too_is_one_column(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1, 2], "b": [3, 4]}).set_index("a", drop=False).to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").to_dict("list") == {"a": [1, 2], "b": [3, 4]}
    pyarrow.parquet.write_table(pa.table([[1], [2]], names=["a", "a"]), tmp_path / "twice.parquet")
    with pytest.raises(TableError, match="must be unique, got 'a' more than once"):
        read_table(tmp_path / "twice.parquet")


@pytest.mark.parametrize("data", [b"a,b\n1,\0\n", "온도,b\n1,\0\n".encode(), "온도,설비\n1,\0\n".encode("cp949")])
def test_a_zero_byte_in_a_text_makes_no_chinese_of_it(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(TableError, match=r"it is not text"):
        read_table(write(tmp_path / "t.csv", data))


def test_a_name_given_to_a_column_is_no_other_one_s(tmp_path: Path) -> None:
    assert read_table(write(tmp_path / "t.csv", "unnamed_2,,b\n1,2,3\n")).columns.tolist() == [
        "unnamed_2",
        "unnamed_2_",
        "b",
    ]


def test_types_that_pandas_lacks_are_refused_in_our_words() -> None:
    huge = pl.DataFrame({"a": pl.Series([2**100, 1], dtype=pl.Int128)})
    with pytest.raises(TableError, match="polars table must have columns of types that pandas has"):
        as_pandas(huge)


def test_dictionaries_of_arrow_are_categories() -> None:
    column = pd.Series(["A", "B", "A"], dtype=pd.ArrowDtype(pa.dictionary(pa.int8(), pa.string())))
    schema = infer_schema(as_pandas(pd.DataFrame({"x": column})))
    assert (schema.columns[0].kind, schema.columns[0].categories) == ("categorical", ("A",))


def damaged(path: Path, kind: str) -> Path:
    """Write a file that is whole but for what `kind` says."""
    if kind == "locked":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("t.csv", "a,b\n1,2\n")
        data = bytearray(path.read_bytes())
        for start in (data.find(b"PK\x03\x04") + 6, data.find(b"PK\x01\x02") + 8):
            data[start] |= 1
        path.write_bytes(data)
    elif kind == "unknown method":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("t.csv", "a,b\n1,2\n")
        data = bytearray(path.read_bytes())
        for start in (data.find(b"PK\x03\x04") + 8, data.find(b"PK\x01\x02") + 10):
            data[start] = 99
        path.write_bytes(data)
    else:
        TABLE.to_excel(path, index=False)
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        parts["xl/worksheets/sheet1.xml"] = parts["xl/worksheets/sheet1.xml"][:-90]
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in parts.items():
                archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("name", "kind"), [("t.csv.zip", "locked"), ("t.csv.zip", "unknown method"), ("t.xlsx", "cut inside")]
)
def test_archives_that_can_not_be_opened_are_refused(tmp_path: Path, name: str, kind: str) -> None:
    with pytest.raises(TableError, match="must be a table with one line of column names: "):
        read_table(damaged(tmp_path / name, kind))


@pytest.mark.parametrize("name", ["t.parquet", "t.feather", "t.xlsx", "t.csv.zip", "t.csv.gz"])
def test_flipped_bits_are_refused_or_read(tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"n": rng.normal(size=30), "s": rng.choice(["A", "", "BC"], 30), "t": range(30)})
    path = tmp_path / name
    if name == "t.parquet":
        table.to_parquet(path)
    elif name == "t.feather":
        table.to_feather(path)
    else:
        (table.to_excel if name == "t.xlsx" else table.to_csv)(path, index=False)
    whole = path.read_bytes()
    for _ in range(60 if name != "t.xlsx" else 10):
        data = bytearray(whole)
        for place in rng.integers(len(data), size=rng.integers(1, 4)):
            data[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        with contextlib.suppress(TableError):
            read_table(path)


def test_marks_that_nothing_explains_are_decimal_marks_and_told(tmp_path: Path) -> None:
    for cells in ("17,027;2,309", "17.027;2.309"):
        path = write(tmp_path / "t.csv", "a;b\n" + f"{cells}\n" * 3)
        with pytest.warns(AmbiguousNumbersWarning, match=r"'t.csv' holds numbers in the column 'a' .* read as 17.027"):
            assert read_table(path).iloc[0].tolist() == [17.027, 2.309]


def test_all_of_a_file_tells_what_its_marks_mean(tmp_path: Path) -> None:
    cells = [f"{cell:.3f}" for cell in np.random.default_rng(0).uniform(10, 100, 500)]
    late = "a;b\n" + "\n".join(f"{cell};{i}" for i, cell in enumerate(cells)) + "\n0.125;7\n"
    table = read_table(write(tmp_path / "late.csv", late))
    assert parse_numbers(table["a"], "a", infer_schema(table).columns[0].format)[0] == float(cells[0])
    lines = [f"{'5' if i < 250 else '1.5'};{cell}" for i, cell in enumerate(cells)]
    table = read_table(write(tmp_path / "t.csv", "a;c\n" + "\n".join(lines) + "\n"))
    assert table["c"].tolist() == [float(cell) for cell in cells]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("one.tsv", "x\ty\n8.554\t6.73\n7.123\t5.1\n"),
        ("whole.tsv", "x\ty\n857.391\t642555\n"),
        ("clear.csv", "x;y\n34.399;19.1\n"),
        ("thousands.csv", 'a,x\n"1,012,345",2.5\n"2,045,678",3.5\n'),
        ("days.csv", "a,x\n05 Mar 2024,1.5\n06 Mar 2024,2.5\n"),
    ],
)
def test_ordinary_tables_are_read_without_a_word(tmp_path: Path, name: str, text: str) -> None:
    assert read_table(write(tmp_path / name, text))["x"].dtype == np.float64


def test_a_damaged_place_of_a_string_is_found_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.arrow"
    table = pa.table({"s": pa.array(["A", "BC", "D"])})
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)
    data, places = path.read_bytes(), np.array([0, 1, 3, 4], dtype="<i4")
    assert data.count(places.tobytes()) == 1
    path.write_bytes(data.replace(places.tobytes(), np.array([0, 10**9, 3, 4], dtype="<i4").tobytes()))
    with pytest.raises(TableError, match="must be a table"):
        read_table(path)


def test_whole_numbers_keep_their_digits_beside_decimal_commas(tmp_path: Path) -> None:
    big = 10**18
    text = f"n;x;y\n{big + 1};0,5;0,1\n;1,5;0,2\n{big + 2};2,5;0,3\n"
    table = read_table(write(tmp_path / "t.csv", text))
    column = infer_schema(table).columns[0]
    numbers = parse_numbers(table["n"], "n", column.format)
    assert numbers[[0, 2]].tolist() == [0, 1]


def test_infinite_numbers_are_left_to_whoever_uses_their_column(tmp_path: Path) -> None:
    table = read_table(
        write(tmp_path / "t.csv", "a;x\n" + "".join(f"1.{i:03},5;0,{i}\n" for i in range(30)) + "inf;2,5\n")
    )
    assert table["a"].iloc[-1] == "inf"
    assert table["x"].iloc[-1] == 2.5
