"""File, or any table in memory, to DataFrame."""

import bz2
import csv
import gzip
import io
import lzma
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import narwhals as nw
import pandas as pd

from tabattn.errors import TableError

SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
OTHER_SEPARATORS = ",;\t|"
COLUMNAR: Mapping[str, Callable[[Path], pd.DataFrame]] = {
    ".parquet": pd.read_parquet,
    ".feather": pd.read_feather,
    ".arrow": pd.read_feather,
}
EXCEL = ".xlsx"
FORMATS = (*SEPARATORS, *COLUMNAR, EXCEL)
DECOMPRESSED: Mapping[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".xz": lzma.decompress,
    ".zip": lambda data: _unzip(data),
}
UNREADABLE = (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, csv.Error)
SAMPLED_CHARACTERS, SAMPLED_LINES = 1 << 18, 200
MIN_EVEN_SHARE = 0.9


def read_table(path: str | Path) -> pd.DataFrame:
    r"""Read a table with one line of column names.

    The encoding (UTF-8, UTF-16, cp949 or cp1252) and the separator (comma, semicolon, tab or bar) of text are found
    out; in files with semicolons 3,14 is a number.

    Args:
        path: A .csv, .tsv or .txt file, also compressed as .gz, .bz2, .xz or .zip; a .parquet, .feather or .arrow file
            (extra `parquet`); or an .xlsx file, whose first sheet is read (extra `excel`).

    Returns:
        The table, its column names as strings.

    Raises:
        TableError: There is no such file, it is no such table, or a column name occurs twice.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "t.csv"
        >>> _ = path.write_text("온도;line\n1,5;A\n", encoding="cp949")
        >>> read_table(path).to_dict("list")
        {'온도': [1.5], 'line': ['A']}
    """
    path = Path(path)
    if not _exists(path):
        raise TableError(f"The table must be an existing file, got {str(path)!r}. Check the path.")
    if not path.is_file():
        raise TableError(f"The table must be a file, got the directory {str(path)!r}. Name a file in it.")
    suffix, compression = _suffixes(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            names, table = _read(path, suffix, compression)
    except pd.errors.ParserWarning as error:
        raise TableError(
            f"{str(path)!r} must have one name for each column, got rows with more cells than names. Name all columns."
        ) from error
    except ImportError as error:
        package, extra = ("openpyxl", "excel") if suffix == EXCEL else ("pyarrow", "parquet")
        raise TableError(
            f"Reading {path.name!r} needs {package}. Install it with: pip install 'tabattn[{extra}]'"
        ) from error
    except UNREADABLE as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise TableError(
            f"{str(path)!r} must be a table with one line of column names: {reason.rstrip('.')}."
        ) from error
    if not names:
        raise TableError(f"{str(path)!r} must be a table with one line of column names, got nothing.")
    _refuse_duplicates([name for name in names if name])
    if len(names) == len(table.columns):
        table.columns = pd.Index([name or f"unnamed_{i}" for i, name in enumerate(names, start=1)], dtype="str")
    else:
        raise TableError(
            f"{str(path)!r} must have as many column names as columns, got {len(names)} names. "
            "Check the separator and the first line."
        )
    return table


def as_pandas(data: Any) -> Any:
    """Return any eager table that Narwhals knows (Polars, PyArrow, Modin, ...) as DataFrame, anything else as it is.

    Args:
        data: A table, or something else.

    Raises:
        TableError: The table is lazy, or its package can't hand it over.

    Example:
        >>> as_pandas(pd.DataFrame({"a": [1]})).shape, as_pandas("table.csv")
        ((1, 1), 'table.csv')
    """
    if isinstance(data, pd.DataFrame):
        return data
    try:
        known = nw.from_native(data, pass_through=True, allow_series=False)
        if isinstance(known, nw.LazyFrame):
            raise TableError("The table must be in memory, got a lazy one. Call its collect() first.")
        return known.to_pandas() if isinstance(known, nw.DataFrame) else data
    except nw.exceptions.DuplicateError as error:
        raise TableError(f"Column names must be unique: {' '.join(str(error).split())}. Rename the columns.") from error
    except ImportError as error:
        raise TableError(
            f"Reading a {type(data).__module__.split('.')[0]} table needs pyarrow. "
            "Install it with: pip install 'tabattn[parquet]'"
        ) from error


def refuse_duplicate_names(table: pd.DataFrame) -> None:
    """Refuse a table in which a column name occurs twice, "1" and 1 being the same name.

    Args:
        table: Any table.

    Raises:
        TableError: A column name occurs twice.
    """
    _refuse_duplicates([str(name) for name in table.columns])


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long, a directory that may not be searched
        return False


def _refuse_duplicates(names: list[str]) -> None:
    duplicated = sorted(name for name, count in Counter(names).items() if count > 1)
    if duplicated:
        shown = ", ".join(repr(name) for name in duplicated[:5]) + (", ..." if len(duplicated) > 5 else "")
        raise TableError(f"Column names must be unique, got {shown} more than once. Rename the columns.")


def _suffixes(path: Path) -> tuple[str, str]:
    """Return the suffix of the format, and that of the compression or nothing."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compression = suffixes.pop() if suffixes and suffixes[-1] in DECOMPRESSED else ""
    suffix = suffixes[-1] if suffixes else ""
    if suffix not in FORMATS or (compression and suffix not in SEPARATORS):
        raise TableError(
            f"The table must be a {', '.join(FORMATS[:-1])} or {FORMATS[-1]} file (text also compressed), "
            f"got {path.name!r}. Save it as CSV."
        )
    return suffix, compression


def _read(path: Path, suffix: str, compression: str) -> tuple[list[str], pd.DataFrame]:
    if suffix == EXCEL:
        header = pd.read_excel(path, header=None, nrows=1)
        return _names(header), pd.read_excel(path)
    if suffix in COLUMNAR:
        table = COLUMNAR[suffix](path).reset_index(drop=True)
        return [str(name).strip() for name in table.columns], table
    data = path.read_bytes()
    text = decode(DECOMPRESSED[compression](data) if compression else data)
    separator = find_separator(text, SEPARATORS[suffix])
    header = pd.read_csv(
        io.StringIO(text), sep=separator, header=None, nrows=1, dtype=str, keep_default_na=False, index_col=False
    )
    decimal = "," if separator == ";" else "."
    return _names(header), pd.read_csv(
        io.StringIO(text), sep=separator, decimal=decimal, index_col=False, low_memory=False
    )


def _names(header: pd.DataFrame) -> list[str]:
    return [] if header.empty else ["" if pd.isna(name) else str(name).strip() for name in header.iloc[0]]


def decode(data: bytes) -> str:
    """Return text of unknown encoding: UTF-8, UTF-16, cp949 (Korean) or cp1252 (Western).

    A byte order mark decides; then the places of zero bytes, which UTF-16 has; then what can be decoded at all, in
    this order.

    Args:
        data: The bytes.

    Raises:
        ValueError: This is no text.

    Example:
        >>> decode("온도,ü".encode("utf-16")), decode("온도".encode("cp949")), decode("Höhe;für".encode("cp1252"))
        ('온도,ü', '온도', 'Höhe;für')
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16")
    sample = data[:4096]
    if len(sample) >= 2 and len(data) % 2 == 0:
        for encoding, zeros in (("utf-16-le", sample[1::2]), ("utf-16-be", sample[::2])):
            if zeros.count(0) > 0.5 * len(zeros):
                return data.decode(encoding)
    if b"\0" in sample:
        raise ValueError("this is no text")
    for encoding in ("utf-8-sig", "cp949", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ValueError("the text must be UTF-8, UTF-16, cp949 or cp1252")


def find_separator(text: str, usual: str) -> str:
    r"""Find out what separates the cells of a line.

    Args:
        text: The file.
        usual: What is taken if nothing separates the first line and nearly all others into equally many cells.

    Returns:
        Comma, semicolon, tab or bar: the one that makes most cells.

    Example:
        >>> find_separator("a;b\n1,5;2\n", ","), find_separator("a\n1\n", ",")
        (';', ',')
    """
    lines = text[:SAMPLED_CHARACTERS].splitlines(keepends=True)
    lines = lines[:-1] if len(text) > SAMPLED_CHARACTERS else lines
    best, n_best = usual, 1
    for separator in dict.fromkeys(usual + OTHER_SEPARATORS):
        rows = [row for row in csv.reader(lines[:SAMPLED_LINES], delimiter=separator) if row]
        counts = Counter(len(row) for row in rows)
        n_cells = len(rows[0]) if rows else 0
        if n_cells > n_best and counts[n_cells] >= MIN_EVEN_SHARE * len(rows):
            best, n_best = separator, n_cells
    return best


def _unzip(data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX")]
        if len(names) != 1:
            raise ValueError(f"a .zip must hold one file, got {len(names)}")
        return archive.read(names[0])
