"""File, or any table in memory, to DataFrame."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import narwhals as nw
import pandas as pd

from tabattn.errors import (
    ParameterError,
    ReadingNote,
    TabAttnError,
    TabAttnWarning,
    TableError,
    in_one_line,
    quoted,
    warn_all,
)
from tabattn.table.charset import as_utf8
from tabattn.table.content import decompressed, foreign, signature
from tabattn.table.delimited import read_text
from tabattn.table.file_sets import FileSet, is_file_set, location_of
from tabattn.table.layout import Places
from tabattn.table.limits import BYTES_PER_CHARACTER, BYTES_PER_VALUE, check_memory, memory_allowed
from tabattn.table.numbers import MAX_EXACT_INTEGER
from tabattn.table.sheets import read_workbook

SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
COLUMNAR = {".parquet": "parquet", ".feather": "arrow", ".arrow": "arrow"}
COMPRESSIONS = {".gz": "gz", ".bz2": "bz2", ".xz": "xz", ".zip": "zip", ".zst": "zst"}
FORMATS = (*SEPARATORS, *COLUMNAR, *WORKBOOKS[1:], WORKBOOKS[0])
EXTRAS = {"workbook": ("python-calamine", "excel"), "parquet": ("pyarrow", "parquet"), "arrow": ("pyarrow", "parquet")}


@dataclass(frozen=True)
class FileTable:
    """A table as it was found in a file.

    Args:
        names: Names of the columns as they are written, "" for a blank one.
        cells: The columns.
        units: Units by name.
        notes: What was left out, filled or read otherwise than the name of the file says.
    """

    names: list[str]
    cells: pd.DataFrame
    units: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()


def read_table(
    path: str | Path,
    *,
    sheet: str | int | None = None,
    header_row: int | None = None,
    units_row: int | None = None,
    max_memory: float | None = None,
    may_sample: bool = True,
) -> pd.DataFrame:
    r"""Read a table with a line of column names.

    What a file is follows from its content, not from its name. The encoding (UTF-8, UTF-16, UTF-32, cp949, Shift-JIS,
    GBK or cp1252), the separator (comma, semicolon, tab or bar) and the decimal separator of text are inferred. Codes
    keep their leading zeros. An index that has a name is a column. Titles and remarks above the names, a line of units
    under them, totals at the foot, blank rows and columns are left out, two lines of names are joined, and cells merged
    over rows are filled: all of this is said.

    Args:
        path: A .csv, .tsv or .txt file, also compressed as .gz, .bz2, .xz, .zip or .zst; a .parquet, .feather or .arrow
            file (extra `parquet`); or an .xlsx, .xlsm, .xlsb, .xls or .ods file (extra `excel`). Or many .parquet or
            .feather files that are one table: a directory, also hive-partitioned, a pattern of names,
            or an address such as "s3://bucket/lots".
        sheet: Name of the sheet, or its number from 1 on; None for the first that holds a table.
        header_row: Number of the row of names, from 1 on as people count; None to find it.
        units_row: Number of the row of units, 0 for none; None to find it.
        max_memory: Gigabytes that reading may take; None for most of what is free.
        may_sample: Whether a random sample of Parquet or Arrow files that do not fit will do; it is said then.

    Returns:
        The table, its column names as strings; `attrs["units"]` has the units by column.

    Raises:
        TableError: The file does not exist, it is not such a table, it is too large, or a column name occurs twice.
        ParameterError: An argument is outside its range.

    Warns:
        ReadingNote: What was left out, joined or filled.
        AmbiguousNumbersWarning: Separators in the numbers of a file may be those of decimals or of thousands.
        UnparsedCellsWarning: Some cells of a column of numbers are not numbers.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "t.csv"
        >>> _ = path.write_text("온도;line\n1,5;A\n", encoding="cp949")
        >>> read_table(path).to_dict("list")
        {'온도': [1.5], 'line': ['A']}
    """
    places = _checked_places(sheet, header_row, units_row, max_memory)
    if is_file_set(path) or _is_larger_parquet(Path(path), max_memory):
        return _with_notes(location_of(path), *_read_file_set(path, places, max_memory, may_sample=may_sample))
    path = Path(path)
    if not _exists(path):
        raise TableError(f"The table must be an existing file, got {str(path)!r}. Check the path.")
    if not path.is_file():
        raise TableError(f"The table must be a file, got the device or pipe {str(path)!r}. Save it as a file.")
    _refuse_suffix(path)
    check_memory(path.stat().st_size, f"{path.name!r}", max_memory)
    kind = _named_kind(path)
    try:
        data = path.read_bytes()
        kind, data, notes = _content(path, data, max_memory)
        found = _read(kind, data, path, places, max_memory)
    except (TabAttnError, TabAttnWarning):
        raise
    except ImportError as error:
        package, extra = EXTRAS.get(kind, EXTRAS["parquet"])
        raise TableError(
            f"Reading {path.name!r} needs {package}. Install it with: pip install 'tabattn[{extra}]'"
        ) from error
    except Exception as error:  # parsers of damaged bytes raise errors of any type
        raise TableError(
            f"{str(path)!r} must be a table with one line of column names: {_reason(error, kind)}."
        ) from error
    if not found.names:
        raise TableError(f"{str(path)!r} must be a table with one line of column names, got nothing.")
    _refuse_duplicates([name for name in found.names if name])
    return _with_notes(path.name, found, notes)


def _with_notes(name: str, found: FileTable, notes: Sequence[str]) -> pd.DataFrame:
    """Return a table with its names and units, and say what was found in its file."""
    table = found.cells
    table.columns = pd.Index(_all_named(found.names), dtype="str")
    if found.units:
        table.attrs["units"] = dict(found.units)
    said = [*notes, *found.notes]
    if said:
        warn_all([ReadingNote(f"{name!r}: {'; '.join(said)}.")])
    return table


def read_any(data: Any, **options: Any) -> pd.DataFrame:
    """Return a table in memory as DataFrame, or read the file whose path this is.

    Args:
        data: A table or a path.
        options: Arguments of `read_table`; for files only.

    Raises:
        ParameterError: It is neither, or options are given for a table in memory.
        TableError: As `read_table` and `as_pandas` raise it.
    """
    if isinstance(data, str | Path):
        return read_table(data, **options)
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise ParameterError(f"{given[0]} must be left out for a table in memory: it is for files.")
    table = as_pandas(data)
    if not isinstance(table, pd.DataFrame):
        raise ParameterError(f"data must be a table or the path of one, got {type(data).__name__}.")
    return table


def _checked_places(
    sheet: str | int | None, header_row: int | None, units_row: int | None, max_memory: float | None
) -> Places:
    for name, number, least in (("header_row", header_row, 1), ("units_row", units_row, 0)):
        is_number = isinstance(number, Integral) and not isinstance(number, bool)
        if number is not None and not (is_number and number >= least):
            raise ParameterError(f"{name} must be an integer of at least {least}, or None, got {number!r}.")
    if sheet is not None and (isinstance(sheet, bool) or not isinstance(sheet, str | Integral)):
        raise ParameterError(f"sheet must be the name or the number of a sheet, or None, got {sheet!r}.")
    is_amount = isinstance(max_memory, Real) and not isinstance(max_memory, bool)
    if max_memory is not None and not (is_amount and max_memory > 0):
        raise ParameterError(f"max_memory must be a positive number of gigabytes, or None, got {max_memory!r}.")
    return Places(sheet, header_row, units_row)


def _reason(error: Exception, kind: str) -> str:
    """Return in our words why bytes could not be read; our own errors say it themselves."""
    if isinstance(error, MemoryError):
        return "it is too large for the memory at hand"
    if isinstance(error, UnicodeDecodeError):
        return "its text ends within a character, or is in no encoding that is known"
    if isinstance(error, ValueError) and type(error) is ValueError and error.args and kind == "text":
        return str(error.args[0]).strip().splitlines()[0].rstrip(".")
    whole = {"workbook": "workbook", "parquet": "Parquet file", "arrow": "Arrow file"}.get(kind, "compressed text")
    return f"it is damaged, or no {whole}"


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


def _refuse_suffix(path: Path) -> None:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compression = suffixes.pop() if suffixes and suffixes[-1] in COMPRESSIONS else ""
    suffix = suffixes[-1] if suffixes else ""
    if suffix not in FORMATS or (compression and suffix not in SEPARATORS):
        raise TableError(
            f"The table must be a {', '.join(FORMATS[:-1])} or {FORMATS[-1]} file (text also compressed), "
            f"got {path.name!r}. Save it as CSV."
        )


def _named_kind(path: Path) -> str:
    """Return what a file is by its name."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in COMPRESSIONS]
    return COLUMNAR.get(suffixes[-1], "workbook" if suffixes[-1] in WORKBOOKS else "text")


def _content(path: Path, data: bytes, max_memory: float | None) -> tuple[str, bytes, list[str]]:
    """Return what a file is, its bytes without compression, and what to say if its name says something else."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    expected = COMPRESSIONS.get(suffixes[-1], "")
    suffix = suffixes[-2] if expected else suffixes[-1]
    named = _named_kind(path)
    found, compression = signature(data), ""
    if found in COMPRESSIONS.values():
        compression = found
        data = decompressed(data, found, path.name, max_memory)
        found = signature(data)
    what = foreign(data)
    if what is not None:
        raise ValueError(f"it is {what}")
    kind = found if found in {"workbook", "parquet", "arrow"} else "text"
    if found in COMPRESSIONS.values():
        raise ValueError("it is compressed twice")
    notes = []
    if kind != named and data:
        notes.append(f"the file is {_KINDS[kind]}, though its name ends in {suffix!r}: read as what it is")
    elif compression != expected and data:
        said = f"compressed (.{compression})" if compression else "not compressed"
        notes.append(f"the file is {said}, though its name ends in {path.suffixes[-1]!r}: read as what it is")
    return kind, data, notes


_KINDS = {"text": "text", "workbook": "a workbook", "parquet": "a Parquet file", "arrow": "an Arrow file"}


def _read(kind: str, data: bytes, path: Path, places: Places, max_memory: float | None) -> FileTable:
    if kind == "workbook":
        sheet = read_workbook(data, path.name, places, max_memory)
        return FileTable(sheet.names, sheet.cells, sheet.units, sheet.notes)
    if kind in {"parquet", "arrow"} and places != Places():
        raise TableError(f"{path.name!r} must be text or a workbook to have such rows or sheets, got {_KINDS[kind]}.")
    if kind in {"parquet", "arrow"}:
        return _of_arrow(_arrow_parquet(data, path.name, max_memory) if kind == "parquet" else _arrow_file(data))
    if places.sheet is not None:
        raise TableError(f"{path.name!r} must be a workbook to have a sheet, got text. Leave sheet (--sheet) out.")
    check_memory(len(data) * BYTES_PER_CHARACTER, f"{path.name!r}", max_memory)
    usual = next((SEPARATORS[each.lower()] for each in path.suffixes if each.lower() in SEPARATORS), ",")
    text = read_text(as_utf8(data), usual, path.name, places)
    return FileTable(text.names, text.cells, text.units, text.notes)


def table_of_batch(batch: Any) -> pd.DataFrame:
    """Return a batch of rows of PyArrow as a table, as `read_table` would.

    Args:
        batch: The rows.
    """
    import pyarrow as pa

    return table_of(pa.Table.from_batches([batch]))


def table_of(rows: Any) -> pd.DataFrame:
    """Return a table of PyArrow, as `read_table` would.

    Args:
        rows: The table.
    """
    found = _of_arrow(rows)
    return found.cells.set_axis(_all_named(found.names), axis=1)


def _of_arrow(arrow: Any) -> FileTable:
    arrow.validate(full=True)  # damaged data would end the process when it is read
    table = _with_integers(arrow.to_pandas(), nw.from_native(arrow, eager_only=True))
    named = [name for name in table.index.names if name is not None and name not in table.columns]
    table = table.reset_index(level=named).reset_index(drop=True) if named else table.reset_index(drop=True)
    return FileTable([str(name).strip() for name in table.columns], table)


def _read_file_set(
    path: str | Path, places: Places, max_memory: float | None, *, may_sample: bool
) -> tuple[FileTable, list[str]]:
    """Read files that are one table, or a sample of their rows."""
    if places != Places():
        raise TableError(f"{str(path)!r} must be text or a workbook to have such rows or sheets, got Parquet or Arrow.")
    arrow, said = FileSet.opened(path).read(max_memory, may_sample=may_sample)
    found = _of_arrow(arrow)
    _refuse_duplicates([name for name in found.names if name])
    return found, said


def _is_larger_parquet(path: Path, max_memory: float | None) -> bool:
    """Return whether this is a Parquet file whose cells do not fit into memory."""
    if path.suffix.lower() != ".parquet" or find_spec("pyarrow") is None:
        return False
    from pyarrow import parquet

    try:
        metadata = parquet.read_metadata(path)
    except (OSError, ValueError):
        return False
    needed = max(metadata.num_rows * metadata.num_columns * BYTES_PER_VALUE, path.stat().st_size)
    return bool(needed > memory_allowed(max_memory))


def _all_named(names: Sequence[str]) -> list[str]:
    """Name columns without a name by their places, so that names are unique."""
    named: list[str] = []
    known = set(names)
    for place, name in enumerate(names, start=1):
        new = name or f"unnamed_{place}"
        while not name and new in known:
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


def _arrow_parquet(data: bytes, file_name: str, max_memory: float | None) -> Any:
    import pyarrow as pa
    from pyarrow import parquet

    file = parquet.ParquetFile(pa.BufferReader(data))
    _refuse_duplicates(file.schema_arrow.names)
    n_cells = file.metadata.num_rows * file.metadata.num_columns
    check_memory(n_cells * BYTES_PER_VALUE, f"What is inside {file_name!r}", max_memory)
    return file.read()
