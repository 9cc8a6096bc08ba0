"""Text with separated cells to names and a table: encoding, separator, decimal mark and digits are found out."""

import csv
import io
import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd

from tabattn.errors import AmbiguousNumbersWarning, ColumnError
from tabattn.process_state import alone
from tabattn.table.cells import MAX_EXACT_WHOLE, as_numbers, exact_origin, holds_strings, is_mark
from tabattn.table.notation import (
    DecimalMark,
    are_codes,
    decimal_mark,
    either_way,
    number_marks,
    read_number,
    whole_number,
)

OTHER_SEPARATORS = ",;\t|"
SAMPLED_CHARACTERS, SAMPLED_LINES = 1 << 18, 200
MIN_EVEN_SHARE = 0.9
MIN_PRINTABLE_SHARE, MIN_ASCII_SHARE, MIN_ZERO_SHARE = 0.9, 0.01, 0.2
ENOUGH_VOTES = 2
SPREAD_LINES = 2_000
THOUSAND = 1_000
MAX_ODD_HANGUL_SHARE = 0.5
FIRST_FOREIGN, FIRST_CHINESE, LAST_CHINESE = 0x80, 0x4E00, 0x9FFF
N_KOREAN_BYTES = 2  # the codec writes syllables of cp949 alone in eight
MAX_READ_AGAIN = 1e100
_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n")
_SOME_LEADING_ZERO = re.compile(r"(?:^|[,;\t|\"\s])0\d+(?:[,;\t|\"\s]|$)")


def read_text(text: str, usual: str, file_name: str) -> tuple[list[str], pd.DataFrame]:
    r"""Read text with one line of column names.

    The decimal mark is that of most columns of numbers that can be read in one way only. Codes keep the zeros that they
    begin with, whole numbers beyond 2^53 all of their digits: such columns are returned as strings.

    Args:
        text: The file.
        usual: The separator that is taken if none is found.
        file_name: For warnings.

    Returns:
        The names as they are written, and the table.

    Raises:
        ValueError: This is no text, or no table.
        pd.errors.ParserWarning: Rows have more cells than there are names.

    Warns:
        AmbiguousNumbersWarning: Marks in numbers may be decimal marks or ones between thousands.

    Example:
        >>> read_text("code;n\n007;1,5\n008;2\n", ",", "t.csv")[1].to_dict("list")
        {'code': ['007', '008'], 'n': [1.5, 2.0]}
    """
    if said := _SEPARATOR_LINE.match(text):  # Excel's own first line
        usual, text = said[1], text[said.end() :]
    if "\0" in text:
        raise ValueError("this is no text: it holds a zero byte")
    separator = usual if said else find_separator(text, usual)
    is_spaced = f"{separator} " in text[:SAMPLED_CHARACTERS].split("\n", 1)[0]
    columns = _columns_of(_spread_lines(text), separator, is_spaced=is_spaced)
    votes = Counter(decimal_mark(cells) for cells in columns if number_marks(cells))
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
    return names_in(header), table


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


def _parsed_either_way(table: pd.DataFrame, columns: Sequence[Sequence[str]]) -> dict[str, float]:
    """Return a number of each column that the parser made numbers of, though they can be read in two ways."""
    ambiguous = {}
    for i, cells in enumerate(columns):
        if i < table.shape[1] and either_way(cells) and pd.api.types.is_float_dtype(table.dtypes.iloc[i]):
            numbers = table.iloc[:, i].dropna().to_numpy(dtype=np.float64)
            is_fraction = numbers != np.round(numbers)
            if (np.abs(numbers) < THOUSAND).all() and np.allclose(numbers * THOUSAND, np.round(numbers * THOUSAND)):
                ambiguous[str(table.columns[i])] = float(numbers[is_fraction][0]) if is_fraction.any() else numbers[0]
    return ambiguous


def _columns_of(lines: Sequence[str], separator: str, *, is_spaced: bool) -> list[list[str]]:
    """Return the different cells of each column in some lines, none of them missing; the first line has the names."""
    names, *sample = list(csv.reader(lines, delimiter=separator, skipinitialspace=is_spaced)) or [[]]
    rows = [row for row in sample if len(row) == len(names)]
    return [[cell for cell in dict.fromkeys(row[i] for row in rows) if not is_mark(cell)] for i in range(len(names))]


def _elected(votes: Counter[DecimalMark | None], separator: str) -> DecimalMark:
    """Return the decimal mark of a file: that of most columns of numbers that can be read in one way only.

    Where commas separate cells a point is taken, whatever quoted cells hold: their columns are read each for itself.
    """
    if votes["."] == votes[","]:
        return "," if separator == ";" else "."
    return "," if separator != "," and votes[","] > votes["."] else "."


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


def names_in(header: pd.DataFrame) -> list[str]:
    """Return the names that a first row holds, "" where there is none."""
    return [] if header.empty else ["" if pd.isna(name) else str(name).strip() for name in header.iloc[0]]


def decode(data: bytes) -> str:
    """Return text of unknown encoding: UTF-8, UTF-16, UTF-32, cp949 (Korean) or cp1252 (Western).

    A byte order mark decides; then the places of zero bytes, which UTF-16 has; then what can be decoded at all, in
    this order. Western text can often be decoded as Korean too: it is not, if most of what is not ASCII would be
    syllables that Korean hardly uses, or Chinese characters.

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
    sample = data[:SAMPLED_CHARACTERS]
    if sample.count(0) <= MIN_ZERO_SHARE * len(sample):
        with suppress(UnicodeDecodeError):
            return data.decode("utf-8-sig")
    if 0 in sample:
        return _decode_utf_16(data)
    readings = _readings(data, "cp949", "cp1252")
    if not readings:
        raise ValueError("the text must be UTF-8, UTF-16, cp949 or cp1252")
    return readings[0] if _is_likely_korean(readings[0]) else readings[-1]


def _readings(data: bytes, *encodings: str) -> list[str]:
    """Return the texts that bytes are in the encodings in which they are any."""
    readings = []
    for encoding in encodings:
        with suppress(UnicodeDecodeError):
            readings.append(data.decode(encoding))
    return readings


def _decode_utf_16(data: bytes) -> str:
    """Return text with zero bytes but no byte order mark, in the order of bytes that makes more ASCII letters of it."""
    readings = _readings(data, "utf-16-le", "utf-16-be")
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
