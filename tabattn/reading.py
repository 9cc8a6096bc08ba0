"""File, or any table in memory, to DataFrame."""

import bz2
import csv
import gzip
import io
import lzma
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from tabattn.errors import AmbiguousNumbersWarning, ColumnError, TabAttnError, TabAttnWarning, TableError
from tabattn.isolation import alone
from tabattn.notation import DecimalMark, are_codes, decimal_mark, either_way, number_marks, read_number, whole_number
from tabattn.values import MAX_EXACT_WHOLE, as_numbers, exact_origin, holds_strings, is_mark

SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
OTHER_SEPARATORS = ",;\t|"
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
SAMPLED_CHARACTERS, SAMPLED_LINES = 1 << 18, 200
MIN_EVEN_SHARE = 0.9
MIN_PRINTABLE_SHARE, MIN_ASCII_SHARE, MIN_ZERO_SHARE = 0.9, 0.01, 0.2
ENOUGH_VOTES = 2
SPREAD_LINES = 2_000
THOUSAND = 1_000
MAX_TITLE_LINES = 10
MAX_ODD_HANGUL_SHARE = 0.5
FIRST_FOREIGN, FIRST_CHINESE, LAST_CHINESE = 0x80, 0x4E00, 0x9FFF
N_KOREAN_BYTES = 2  # the codec writes syllables of cp949 alone in eight
MAX_READ_AGAIN = 1e100
_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n")
_SOME_LEADING_ZERO = re.compile(r"(?:^|[,;\t|\"\s])0\d+(?:[,;\t|\"\s]|$)")


def read_table(path: str | Path) -> pd.DataFrame:
    r"""Read a table with one line of column names.

    The encoding (UTF-8, UTF-16, UTF-32, cp949 or cp1252), the separator (comma, semicolon, tab or bar) and the decimal
    mark of text are found out. Codes keep the zeros that they begin with. An index that has a name is a column.

    Args:
        path: A .csv, .tsv or .txt file, also compressed as .gz, .bz2, .xz, .zip or .zst; a .parquet, .feather or .arrow
            file (extra `parquet`); or an .xlsx file, of whose first sheet the used part is read, without a title above
            the names (extra `excel`).

    Returns:
        The table, its column names as strings.

    Raises:
        TableError: There is no such file, it is no such table, or a column name occurs twice.

    Warns:
        AmbiguousNumbersWarning: Marks in the numbers of a file may be decimal marks or ones between thousands.

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
    except Exception as error:  # of syntax, of type, anything: parsers meet damaged bytes here
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
        encoded = [name for name, dtype in data.dtypes.items() if _is_arrow_dictionary(dtype)]
        return data.astype(dict.fromkeys(encoded, "category")) if encoded else data
    try:
        known = nw.from_native(data, pass_through=True, allow_series=False)
        if isinstance(known, nw.LazyFrame):
            raise TableError("The table must be in memory, got a lazy one. Call its collect() first.")
        return _with_whole_numbers(known.to_pandas(), known) if isinstance(known, nw.DataFrame) else data
    except nw.exceptions.DuplicateError as error:
        raise TableError(f"Column names must be unique: {' '.join(str(error).split())}. Rename the columns.") from error
    except ImportError as error:
        raise TableError(
            f"Reading a {type(data).__module__.split('.')[0]} table needs pyarrow. "
            "Install it with: pip install 'tabattn[parquet]'"
        ) from error
    except (ValueError, TypeError, NotImplementedError) as error:  # what PyArrow's errors are
        raise TableError(
            f"A {type(data).__module__.split('.')[0]} table must have columns of types that pandas has, got: {error}. "
            "Turn such columns into numbers or strings."
        ) from error


def refuse_duplicate_names(table: pd.DataFrame) -> None:
    """Refuse a table in which a column name occurs twice, "1" and 1 being the same name.

    Args:
        table: Any table.

    Raises:
        TableError: A column name occurs twice.
    """
    _refuse_duplicates([str(name) for name in table.columns])


def _with_whole_numbers(table: pd.DataFrame, source: "nw.DataFrame[Any]") -> pd.DataFrame:
    """Put back the whole numbers beyond 2^53 of columns with holes, which pandas makes floats of."""
    for name in source.columns:
        is_rounded = name in table and pd.api.types.is_float_dtype(table[name]) and source[name].dtype.is_integer()
        if is_rounded and table[name].abs().max() >= MAX_EXACT_WHOLE:
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
    data = path.read_bytes()
    if suffix == EXCEL:
        return _read_sheet(pd.read_excel(io.BytesIO(data), header=None, dtype=object))
    if suffix in COLUMNAR:
        arrow = COLUMNAR[suffix](data)
        arrow.validate(full=True)  # what is damaged would end the process when it is read
        table = _with_whole_numbers(arrow.to_pandas(), nw.from_native(arrow, eager_only=True))
        named = [name for name in table.index.names if name is not None and name not in table.columns]
        table = table.reset_index(level=named).reset_index(drop=True) if named else table.reset_index(drop=True)
        return [str(name).strip() for name in table.columns], table
    text = decode(DECOMPRESSED[compression](data) if compression else data)
    return _read_text(text, SEPARATORS[suffix], path.name)


def _read_sheet(cells: pd.DataFrame) -> tuple[list[str], pd.DataFrame]:
    """Return the names and the rows of the used part of a sheet, with the types that its cells have."""
    used = cells.dropna(how="all", axis=0).dropna(how="all", axis=1)
    used = used.iloc[_n_title_lines(used) :].dropna(how="all", axis=1)
    if used.empty:
        return [], used
    rows = cells.loc[used.index[0] + 1 : used.index[-1], used.columns]
    names = [name.removesuffix(" 00:00:00") for name in _names(used.iloc[:1])]  # a name that is a day has no hour
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


def _read_text(text: str, usual: str, file_name: str) -> tuple[list[str], pd.DataFrame]:
    if said := _SEPARATOR_LINE.match(text):  # Excel's own first line
        usual, text = said[1], text[said.end() :]
    if "\0" in text:
        raise ValueError("this is no text: it holds a zero byte")
    separator = usual if said else find_separator(text, usual)
    is_spaced = f"{separator} " in text[:SAMPLED_CHARACTERS].split("\n", 1)[0]
    columns = _columns_of(_spread_lines(text), separator, is_spaced=is_spaced)
    votes = Counter(decimal_mark(cells) for cells in columns.values() if number_marks(cells))
    decimal = _elected(votes, separator)
    options: dict[str, Any] = {"sep": separator, "index_col": False, "skipinitialspace": is_spaced}
    header = pd.read_csv(io.StringIO(text), header=None, nrows=1, dtype=str, keep_default_na=False, **options)
    with alone(), warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        table = pd.read_csv(io.StringIO(text), decimal=decimal, low_memory=False, **options)
    _keep_digits(table, text, options)
    is_guess = separator == ";" and votes["."] == votes[","] == 0
    is_weak = decimal == "," and votes[","] < ENOUGH_VOTES
    table, ambiguous = _with_decimal(table, "." if is_guess else decimal)
    if separator != "," and (is_guess or is_weak or (votes["."] and votes[","])):
        ambiguous |= _parsed_either_way(table, columns)
        _warn_of_ambiguous(ambiguous, file_name)
    return _names(header), table


def _spread_lines(text: str) -> list[str]:
    """Return the first line and up to so many others, spread evenly over the file."""
    lines = text.splitlines(keepends=True)
    return lines[:1] + lines[1 :: max(1, len(lines) // SPREAD_LINES)]


def _keep_digits(table: pd.DataFrame, text: str, options: Mapping[str, Any]) -> None:
    """Read columns again as strings whose digits a number would lose: 00012, and whole numbers beyond 2^53."""
    has_codes = _SOME_LEADING_ZERO.search(text) is not None
    doubtful = [i for i in range(table.shape[1]) if _may_lose_digits(table.iloc[:, i], has_codes=has_codes)]
    if not doubtful:
        return
    again = pd.read_csv(io.StringIO(text), usecols=doubtful, dtype=str, low_memory=False, **options)
    for place, i in enumerate(doubtful):
        strings = again.iloc[:, place]
        is_code = strings.str.fullmatch(r"\s*0\d+\s*", na=False).any() and are_codes(strings.dropna().unique().tolist())
        is_rounded = (
            pd.api.types.is_float_dtype(table.dtypes.iloc[i]) and table.iloc[:, i].abs().max() >= MAX_EXACT_WHOLE
        )
        if is_code or (is_rounded and any(_is_beyond(whole_number(cell)) for cell in strings.dropna().unique())):
            table.isetitem(i, strings)


def _is_beyond(whole: int | None) -> bool:
    return whole is not None and abs(whole) > MAX_EXACT_WHOLE


def _may_lose_digits(column: "pd.Series[Any]", *, has_codes: bool) -> bool:
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return False
    if pd.api.types.is_integer_dtype(column):
        return has_codes
    numbers = column.to_numpy(dtype=np.float64)
    numbers = numbers[np.isfinite(numbers)]
    is_whole = len(numbers) > 0 and bool((numbers == np.floor(numbers)).all())
    return is_whole and (has_codes or bool(MAX_EXACT_WHOLE <= np.abs(numbers).max() < MAX_READ_AGAIN))


def _with_decimal(table: pd.DataFrame, decimal: DecimalMark) -> tuple[pd.DataFrame, dict[str, float]]:
    """Read the columns of strings that the decimal mark of their file makes numbers of.

    Returns:
        The table, and a number of each column of strings that can be read in two ways.
    """
    ambiguous = {}
    for i, name in enumerate(table.columns):
        column = table.iloc[:, i]
        if not holds_strings(column):
            continue
        strings = [str(cell) for cell in pd.unique(column.dropna()) if not is_mark(str(cell))]
        example = either_way(strings)
        marks = number_marks(strings, decimal) if example or decimal == "," else None
        if marks is None or exact_origin(column):
            continue
        with suppress(ColumnError):  # infinite numbers, in a column that may be dropped
            table.isetitem(i, as_numbers(column, str(name), marks))
            if example:
                ambiguous[str(name)] = read_number(example, marks)
    return table, ambiguous


def _parsed_either_way(table: pd.DataFrame, columns: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Return a number of each column that the parser made numbers of, though they can be read in two ways."""
    ambiguous = {}
    for i, cells in enumerate(columns.values()):
        if i < table.shape[1] and either_way(cells) and pd.api.types.is_float_dtype(table.dtypes.iloc[i]):
            numbers = table.iloc[:, i].dropna().to_numpy(dtype=np.float64)
            is_fraction = numbers != np.round(numbers)
            if (np.abs(numbers) < THOUSAND).all() and np.allclose(numbers * THOUSAND, np.round(numbers * THOUSAND)):
                ambiguous[str(table.columns[i])] = float(numbers[is_fraction][0]) if is_fraction.any() else numbers[0]
    return ambiguous


def _columns_of(lines: Sequence[str], separator: str, *, is_spaced: bool) -> dict[str, list[str]]:
    """Return the different cells of each column in some lines, none of them missing; the first line has the names."""
    sample = list(csv.reader(lines, delimiter=separator, skipinitialspace=is_spaced))
    names = sample[0] if sample else []
    rows = [row for row in sample[1:] if len(row) == len(names)]
    return {
        name.strip(): [cell for cell in dict.fromkeys(row[i] for row in rows) if not is_mark(cell)]
        for i, name in enumerate(names)
    }


def _elected(votes: Mapping[DecimalMark | None, int], separator: str) -> DecimalMark:
    """Return the decimal mark of a file: that of most columns of numbers that can be read in one way only.

    Where commas separate cells a point is taken, whatever quoted cells hold: their columns are read each for itself.
    """
    if separator == "," or votes.get(".", 0) > votes.get(",", 0):
        return "."
    return "," if separator == ";" or votes.get(",", 0) > votes.get(".", 0) else "."


def _warn_of_ambiguous(ambiguous: Mapping[str, float], file_name: str) -> None:
    """Warn of numbers whose mark nothing but a guess, or a single other column, tells the meaning of."""
    if ambiguous:
        name, number = next(iter(ambiguous.items()))
        warnings.warn(
            f"{file_name!r} holds numbers in the column {name!r} whose mark may be a decimal mark or one between "
            f"thousands, and few or no others tell: read as {number:g}. If it is another number, save the table with "
            "other marks.",
            AmbiguousNumbersWarning,
            stacklevel=5,
        )


def _names(header: pd.DataFrame) -> list[str]:
    return [] if header.empty else ["" if pd.isna(name) else str(name).strip() for name in header.iloc[0]]


def _all_named(names: Sequence[str]) -> list[str]:
    """Give names to columns without one, by their places, that no other column has."""
    named: list[str] = []
    for place, name in enumerate(names, start=1):
        new = name or f"unnamed_{place}"
        while not name and new in names:
            new += "_"
        named.append(new)
    return named


def decode(data: bytes) -> str:
    """Return text of unknown encoding: UTF-8, UTF-16, UTF-32, cp949 (Korean) or cp1252 (Western).

    A byte order mark decides; then the places of zero bytes, which UTF-16 has; then what can be decoded at all, in
    this order. Western text can often be decoded as Korean too: it is, if most of the syllables are ones that Korean
    hardly uses, or Chinese characters.

    Args:
        data: The bytes.

    Raises:
        ValueError: This is no text.

    Example:
        >>> decode("온도,ü".encode("utf-16")), decode("온도".encode("cp949")), decode("Höhe;für".encode("cp1252"))
        ('온도,ü', '온도', 'Höhe;für')
        >>> decode("µm;°C".encode("cp1252"))
        'µm;°C'
    """
    if data.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return data.decode("utf-32")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16")
    zeros = data[: 1 << 16].count(0)
    try:
        text = data.decode("utf-8-sig")
        if zeros < MIN_ZERO_SHARE * len(data[: 1 << 16]):
            return text
    except UnicodeDecodeError:
        pass
    if zeros:
        return _decode_utf_16(data)
    readings = []
    for encoding in ("cp949", "cp1252"):
        try:
            readings.append(data.decode(encoding))
        except UnicodeDecodeError:
            continue
    if not readings:
        raise ValueError("the text must be UTF-8, UTF-16, cp949 or cp1252")
    return readings[0] if _is_likely_korean(readings[0]) else readings[-1]


def _decode_utf_16(data: bytes) -> str:
    """Return text with zero bytes but no byte order mark, in the order of bytes that makes more ASCII letters of it."""
    readings = []
    for encoding in ("utf-16-le", "utf-16-be"):
        with suppress(UnicodeDecodeError):
            readings.append(data.decode(encoding))
    text = max(readings, key=lambda reading: sum(map(str.isascii, reading[:SAMPLED_CHARACTERS])), default="")
    shown = text[:SAMPLED_CHARACTERS]
    n_readable = sum(letter.isprintable() or letter in "\r\n\t" for letter in shown)
    n_ascii = sum(map(str.isascii, shown))
    if n_readable < MIN_PRINTABLE_SHARE * len(shown) or "\0" in shown or not n_ascii > MIN_ASCII_SHARE * len(shown):
        raise ValueError("this is no text")
    return text


def _is_likely_korean(text: str) -> bool:
    """Say whether most of the letters that are not ASCII are Hangul or signs of the older, smaller set of characters.

    Source: KS X 1001, which has the 2,350 syllables that Korean is written with; cp949 adds 8,822 others.
    """
    n_odd = n_foreign = 0
    for letter, count in Counter(text).items():
        if ord(letter) >= FIRST_FOREIGN:
            n_foreign += count
            is_chinese = FIRST_CHINESE <= ord(letter) <= LAST_CHINESE
            n_odd += count * (is_chinese or len(letter.encode("euc-kr", "ignore")) != N_KOREAN_BYTES)
    return n_odd <= MAX_ODD_HANGUL_SHARE * n_foreign


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
    lines = (lines[:-1] if len(text) > SAMPLED_CHARACTERS else lines)[:SAMPLED_LINES]
    best, n_best = usual, 1
    for separator in dict.fromkeys(usual + OTHER_SEPARATORS):
        is_spaced = bool(lines) and f"{separator} " in lines[0]
        rows = [row for row in csv.reader(lines, delimiter=separator, skipinitialspace=is_spaced) if row]
        counts = Counter(len(row) for row in rows)
        n_cells = len(rows[0]) if rows else 0
        if n_cells > n_best and counts[n_cells] >= MIN_EVEN_SHARE * len(rows):
            best, n_best = separator, n_cells
    return best


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
