import gzip
from pathlib import Path

import pandas as pd
import pytest

from tabattn.errors import TableError
from tabattn.reading import read_table


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


TABLE = pd.DataFrame({"온도": [1.5, None], "line, no": ["A", 'B"c']})


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.CSV", "t.tsv", "t.tsv.xz", "t.csv.bz2", "t.xlsx"])
def test_formats(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("xlsx"):
        TABLE.to_excel(path, index=False)
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
        ("t.docx", "a,b\n", "must be a .csv, .tsv or .xlsx file .*, got 't.docx'"),
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
        ("broken.csv.gz", gzip.compress(b"a,b\n1,2\n" * 99)[:30], "must be a table"),
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
