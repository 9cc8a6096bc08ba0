"""File, or any table in memory, to DataFrame."""

import bz2
import gzip
import io
import lzma
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import narwhals as nw
import pandas as pd

from tabattn.errors import TabAttnError, TabAttnWarning, TableError, in_one_line, quoted
from tabattn.table.charset import decode
from tabattn.table.delimited import names_in, read_text
from tabattn.table.numbers import MAX_EXACT_INTEGER

SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
COLUMNAR: Mapping[str, Callable[[bytes], Any]] = {
    ".parquet": lambda data: _arrow_parquet(data),
    ".feather": lambda data: _arrow_file(data),
    ".arrow": lambda data: _arrow_file(data),
}
EXCEL = ".xlsx"
FORMATS = (*SEPARATORS, *COLUMNAR, EXCEL)
DECOMPRESSED: Mapping[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".xz": lzma.decompress,
    ".zip": lambda data: _unzip(data),
    ".zst": lambda data: _unzstd(data),
}
MAX_TITLE_LINES = 10


def read_table(path: str | Path) -> pd.DataFrame:
    r"""Read a table with one line of column names.

    The encoding (UTF-8, UTF-16, UTF-32, cp949 or cp1252), the separator (comma, semicolon, tab or bar) and the decimal
    separator of text are inferred. Codes keep their leading zeros. An index that has a name is a column.

    Args:
        path: A .csv, .tsv or .txt file, also compressed as .gz, .bz2, .xz, .zip or .zst; a .parquet, .feather or .arrow
            file (extra `parquet`); or an .xlsx file, of whose first sheet the used part is read, without a title above
            the names (extra `excel`).

    Returns:
        The table, its column names as strings.

    Raises:
        TableError: The file does not exist, it is not such a table, or a column name occurs twice.

    Warns:
        AmbiguousNumbersWarning: Separators in the numbers of a file may be those of decimals or of thousands.
        UnparsedCellsWarning: Some cells of a column of numbers are not numbers.

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
        names, table = _read(path, suffix, compression)
    except (TabAttnError, TabAttnWarning):
        raise
    except pd.errors.ParserWarning as error:
        raise TableError(
            f"{str(path)!r} must have one name for each column, got rows with more cells than names. Name all columns."
        ) from error
    except ImportError as error:
        package, extra = ("openpyxl", "excel") if suffix == EXCEL else ("pyarrow", "parquet")
        raise TableError(
            f"Reading {path.name!r} needs {package}. Install it with: pip install 'tabattn[{extra}]'"
        ) from error
    except Exception as error:  # parsers of damaged bytes raise errors of any type
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise TableError(
            f"{str(path)!r} must be a table with one line of column names: {reason.rstrip('.')}."
        ) from error
    if not names:
        raise TableError(f"{str(path)!r} must be a table with one line of column names, got nothing.")
    _refuse_duplicates([name for name in names if name])
    if len(names) == len(table.columns):
        table.columns = pd.Index(_all_named(names), dtype="str")
    else:
        raise TableError(
            f"{str(path)!r} must have as many column names as columns, got {len(names)} names. "
            "Check the separator and the first line."
        )
    return table


def as_pandas(data: Any) -> Any:
    """Return any eager table that Narwhals supports (Polars, PyArrow, Modin, ...) as DataFrame, all else unchanged.

    Args:
        data: A table, or something else.

    Raises:
        TableError: The table is lazy, or its package can't convert it.

    Example:
        >>> as_pandas(pd.DataFrame({"a": [1]})).shape, as_pandas("table.csv")
        ((1, 1), 'table.csv')
    """
    if isinstance(data, pd.DataFrame):
        encoded = [name for name, dtype in data.dtypes.items() if _is_arrow_dictionary(dtype)]
        return data.astype(dict.fromkeys(encoded, "category")) if encoded else data
    try:
        known = nw.from_native(data, pass_through=True, allow_series=False)
    except nw.exceptions.DuplicateError as error:
        raise TableError(f"Column names must be unique: {in_one_line(error)}. Rename the columns.") from error
    if isinstance(known, nw.LazyFrame):
        raise TableError("The table must be in memory, got a lazy one. Call its collect() first.")
    if not isinstance(known, nw.DataFrame):
        return data
    try:
        return _with_integers(known.to_pandas(), known)
    except ImportError as error:
        raise TableError(
            f"Reading a {type(data).__module__.split('.')[0]} table needs pyarrow. "
            "Install it with: pip install 'tabattn[parquet]'"
        ) from error
    except (ValueError, TypeError, NotImplementedError) as error:  # the bases of PyArrow's, which may be absent
        raise TableError(
            f"A {type(data).__module__.split('.')[0]} table must have columns of types that pandas has, got: "
            f"{in_one_line(error)}. Turn such columns into numbers or strings."
        ) from error


def refuse_duplicate_names(table: pd.DataFrame) -> None:
    """Refuse a table in which a column name occurs twice, "1" and 1 being the same name.

    Args:
        table: Any table.

    Raises:
        TableError: A column name occurs twice.
    """
    _refuse_duplicates([str(name) for name in table.columns])


def _with_integers(table: pd.DataFrame, source: "nw.DataFrame[Any]") -> pd.DataFrame:
    """Restore the integers beyond 2**53 of columns with missing cells, which pandas converts to floats."""
    for name in source.columns:
        is_rounded = name in table and pd.api.types.is_float_dtype(table[name]) and source[name].dtype.is_integer()
        if is_rounded and table[name].abs().max() >= MAX_EXACT_INTEGER:
            dtype = "UInt64" if source[name].dtype.is_unsigned_integer() else "Int64"
            table[name] = pd.Series(source[name].to_list(), index=table.index, dtype=dtype)
    return table


def _is_arrow_dictionary(dtype: object) -> bool:
    return isinstance(dtype, pd.ArrowDtype) and str(dtype).startswith("dictionary")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long, a directory that may not be searched
        return False


def _refuse_duplicates(names: list[str]) -> None:
    duplicated = sorted(name for name, count in Counter(names).items() if count > 1)
    if duplicated:
        raise TableError(f"Column names must be unique, got {quoted(duplicated)} more than once. Rename the columns.")


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
    data = path.read_bytes()
    if suffix == EXCEL:
        return _read_sheet(pd.read_excel(io.BytesIO(data), header=None, dtype=object))
    if suffix in COLUMNAR:
        arrow = COLUMNAR[suffix](data)
        arrow.validate(full=True)  # damaged data would end the process when it is read
        table = _with_integers(arrow.to_pandas(), nw.from_native(arrow, eager_only=True))
        named = [name for name in table.index.names if name is not None and name not in table.columns]
        table = table.reset_index(level=named).reset_index(drop=True) if named else table.reset_index(drop=True)
        return [str(name).strip() for name in table.columns], table
    text = decode(DECOMPRESSED[compression](data) if compression else data)
    return read_text(text, SEPARATORS[suffix], path.name)


def _read_sheet(cells: pd.DataFrame) -> tuple[list[str], pd.DataFrame]:
    """Return the names and the rows of the used part of a sheet, with the types that its cells have."""
    used = cells.dropna(how="all", axis=0).dropna(how="all", axis=1)
    used = used.iloc[_n_title_lines(used) :].dropna(how="all", axis=1)
    if used.empty:
        return [], used
    rows = cells.loc[used.index[0] + 1 : used.index[-1], used.columns]
    names = [name.removesuffix(" 00:00:00") for name in names_in(used.iloc[:1])]  # a name that is a day has no hour
    return names, rows.reset_index(drop=True).infer_objects()


def _n_title_lines(used: pd.DataFrame) -> int:
    """Count the lines above the names: of one cell each, in the first column, above a line of names and typed cells."""
    for n_lines in range(min(MAX_TITLE_LINES, len(used) - 1) + 1):
        line = used.iloc[n_lines]
        if all(isinstance(cell, str) for cell in line):
            below = used.iloc[n_lines + 1 :].to_numpy().ravel() if n_lines else ()
            return n_lines if any(not isinstance(cell, str) and not pd.isna(cell) for cell in below) else 0
        if line.notna().sum() != 1 or pd.isna(line.iloc[0]):
            return 0
    return 0


def _all_named(names: Sequence[str]) -> list[str]:
    """Name columns without a name by their places, so that names are unique."""
    named: list[str] = []
    for place, name in enumerate(names, start=1):
        new = name or f"unnamed_{place}"
        while not name and new in names:
            new += "_"
        named.append(new)
    return named


def _arrow_file(data: bytes) -> Any:
    import pyarrow as pa
    from pyarrow import feather

    try:
        return feather.read_table(pa.BufferReader(data))
    except pa.ArrowInvalid:
        return pa.ipc.open_stream(pa.BufferReader(data)).read_all()


def _arrow_parquet(data: bytes) -> Any:
    import pyarrow as pa
    from pyarrow import parquet

    file = parquet.ParquetFile(pa.BufferReader(data))
    _refuse_duplicates(file.schema_arrow.names)
    return file.read()


def _unzstd(data: bytes) -> bytes:
    import pyarrow as pa

    decompressed: bytes = pa.CompressedInputStream(pa.BufferReader(data), "zstd").read()
    return decompressed


def _unzip(data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX")]
        if len(names) != 1:
            raise ValueError(f"a .zip must hold one file, got {len(names)}")
        return archive.read(names[0])
