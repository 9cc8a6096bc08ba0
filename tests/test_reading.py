import gzip
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tabattn.errors import TableError
from tabattn.reading import as_pandas, read_table
from tabattn.schema import infer_schema


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


TABLE = pd.DataFrame({"온도": [1.5, None], "line, no": ["A", 'B"c']})


@pytest.mark.parametrize(
    "name",
    ["t.csv", "t.csv.gz", "t.CSV", "t.tsv", "t.tsv.xz", "t.csv.bz2", "t.csv.zip", "t.xlsx", "t.parquet", "t.feather"],
)
def test_formats(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("xlsx"):
        TABLE.to_excel(path, index=False)
    elif name.endswith("parquet"):
        TABLE.to_parquet(path)
    elif name.endswith("feather"):
        TABLE.to_feather(path)
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
        ("ragged.csv", "a,b\n1,2\n1,2,3,4\n", "must be a table"),
        ("twice.csv", "a,b,a,c,b\n1,2,3,4,5\n", "must be unique, got 'a', 'b' more than once"),
        ("r_style.csv", "a,b,y\n1,7,1,3.5\n2,8,0,4.5\n", "more cells than names"),
        ("n" * 300 + ".csv", None, "must be an existing file"),
        ("cut.csv.gz", b"\x1f\x8b\x08\x00", "must be a table"),
        ("fake.csv.gz", "a,b\n1,2\n", "must be a table"),
        ("fake.xlsx", "a,b\n1,2\n", "must be a table"),
        ("fake.csv.zip", "a,b\n1,2\n", "must be a table"),
        ("fake.csv.xz", "a,b\n1,2\n", "must be a table"),
        ("fake.parquet", "a,b\n1,2\n", "must be a table"),
        ("fake.feather", "a,b\n1,2\n", "must be a table"),
        ("t.parquet.gz", "a,b\n1,2\n", "must be a .csv"),
        ("cut.csv", "온도".encode("utf-16")[:-1], "must be a table"),
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


def test_a_directory_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="must be a file, got the directory"):
        read_table(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp949"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_encodings_and_separators_are_found_out(tmp_path: Path, encoding: str, separator: str) -> None:
    rows = [["온도", "line, no"], ["1.5", '"A, B"'], ["2.5", "C"]]
    rows[0][1] = f'"{rows[0][1]}"'
    path = write(tmp_path / "t.csv", "\n".join(separator.join(row) for row in rows).encode(encoding))
    decimal = path.read_bytes().replace(b".", b",") if separator == ";" else path.read_bytes()
    path.write_bytes(decimal)
    assert read_table(path).to_dict("list") == {"온도": [1.5, 2.5], "line, no": ["A, B", "C"]}


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
    with pytest.raises(TableError, match="collect"):
        as_pandas(table.lazy())
    twice = pa.table([[1], [2]], names=["a", "a"])
    with pytest.raises(TableError, match=r"must be unique.*'a'"):
        as_pandas(twice)
