"""File to DataFrame."""

import lzma
import warnings
import zipfile
import zlib
from pathlib import Path

import pandas as pd

from tabattn.errors import TableError

SEPARATORS = {".csv": ",", ".tsv": "\t"}
COMPRESSIONS = (".gz", ".bz2", ".xz", ".zip")
UNREADABLE = (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)


def read_table(path: str | Path) -> pd.DataFrame:
    r"""Read a table with one line of column names.

    Args:
        path: A .csv file (comma) or .tsv file (tab), UTF-8 with or without byte order mark, also compressed as .gz,
            .bz2, .xz or .zip; or an .xlsx file, whose first sheet is read (needs the extra `excel`).

    Returns:
        The table, its column names as strings.

    Raises:
        TableError: There is no such file, it is no such table, or a column name occurs twice.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "t.csv"
        >>> _ = path.write_text("온도,line\n1.5,A\n", encoding="utf-8")
        >>> read_table(path).to_dict("list")
        {'온도': [1.5], 'line': ['A']}
    """
    path = Path(path)
    if not _exists(path):
        raise TableError(f"The table must be an existing file, got {str(path)!r}. Check the path.")
    if not path.is_file():
        raise TableError(f"The table must be a file, got the directory {str(path)!r}. Name a file in it.")
    suffix = _format_suffix(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            header = _read(path, suffix, header=None, n_rows=1)
            table = _read(path, suffix, header=0, n_rows=None)
    except pd.errors.ParserWarning as error:
        raise TableError(
            f"{str(path)!r} must have one name for each column, got rows with more cells than names. Name all columns."
        ) from error
    except ImportError as error:
        raise TableError(
            f"Reading {path.name!r} needs openpyxl. Install it with: pip install 'tabattn[excel]'"
        ) from error
    except UNREADABLE as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise TableError(
            f"{str(path)!r} must be a table with one line of column names, UTF-8 text if it is no Excel file: {reason}."
        ) from error
    if header.empty:
        raise TableError(f"{str(path)!r} must be a table with one line of column names, got nothing.")
    names = ["" if pd.isna(name) else str(name).strip() for name in header.iloc[0]]
    _refuse_duplicates([name for name in names if name])
    if len(names) == len(table.columns):
        table.columns = pd.Index([name or f"unnamed_{i}" for i, name in enumerate(names, start=1)], dtype="str")
    else:
        raise TableError(
            f"{str(path)!r} must have as many column names as columns, got {len(names)} names. "
            "Check the separator and the first line."
        )
    return table


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
    duplicated = sorted({name for name in names if names.count(name) > 1})
    if duplicated:
        shown = ", ".join(repr(name) for name in duplicated[:5]) + (", ..." if len(duplicated) > 5 else "")
        raise TableError(f"Column names must be unique, got {shown} more than once. Rename the columns.")


def _format_suffix(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    if suffix not in SEPARATORS and suffix != ".xlsx":
        raise TableError(
            f"The table must be a .csv, .tsv or .xlsx file (.csv and .tsv also compressed), got {path.name!r}. "
            "Save it as CSV."
        )
    return suffix


def _read(path: Path, suffix: str, *, header: int | None, n_rows: int | None) -> pd.DataFrame:
    if suffix == ".xlsx":
        return pd.read_excel(path, header=header, nrows=n_rows)
    return pd.read_csv(
        path,
        sep=SEPARATORS[suffix],
        header=header,
        nrows=n_rows,
        encoding="utf-8-sig",
        index_col=False,
        low_memory=False,
        dtype=str if header is None else None,
        keep_default_na=header is not None,
    )
