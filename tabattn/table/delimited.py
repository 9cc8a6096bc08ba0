"""Text with separated cells to names and a table: separator, decimal separator and digits are inferred."""

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

from tabattn.errors import AmbiguousNumbersWarning, ColumnError, warn_all
from tabattn.process_state import exclusive
from tabattn.table.cells import holds_strings, integer_offset, is_missing_word, parse_numbers
from tabattn.table.numbers import (
    MAX_EXACT_INTEGER,
    DecimalSeparator,
    ambiguous_number,
    are_codes,
    infer_decimal,
    infer_number_format,
    parse_integer,
    parse_number,
)

OTHER_SEPARATORS = ",;\t|"
SAMPLED_CHARACTERS, SAMPLED_LINES = 1 << 18, 200
MIN_EVEN_FRACTION = 0.9
ENOUGH_VOTES = 2
SPREAD_LINES = 2_000
THOUSAND = 1_000
MAX_READ_AGAIN = 1e100
_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n")
_SOME_LEADING_ZERO = re.compile(r"(?:^|[,;\t|\"\s])0\d+(?:[,;\t|\"\s]|$)")


def read_text(text: str, usual: str, file_name: str) -> tuple[list[str], pd.DataFrame]:
    r"""Read text with one line of column names.

    The decimal separator is that of most columns of numbers that can be read in one way only. Codes keep their leading
    zeros, integers beyond 2**53 all of their digits: such columns are returned as strings.

    Args:
        text: The file.
        usual: The separator if none can be inferred.
        file_name: For warnings.

    Returns:
        The names as they are written, and the table.

    Raises:
        ValueError: This is not text, or not a table.
        pd.errors.ParserWarning: Rows have more cells than there are names.

    Warns:
        AmbiguousNumbersWarning: Separators in numbers may be those of decimals or of thousands.
        UnparsedCellsWarning: Some cells of a column of numbers are not numbers.

    Example:
        >>> read_text("code;n\n007;1,5\n008;2\n", ",", "t.csv")[1].to_dict("list")
        {'code': ['007', '008'], 'n': [1.5, 2.0]}
    """
    if declared := _SEPARATOR_LINE.match(text):  # Excel's own first line
        usual, text = declared[1], text[declared.end() :]
    if "\0" in text:
        raise ValueError("it is not text: it holds a zero byte")
    separator = usual if declared else find_separator(text, usual)
    is_spaced = f"{separator} " in text[:SAMPLED_CHARACTERS].split("\n", 1)[0]
    columns = _columns_of(_spread_lines(text), separator, is_spaced=is_spaced)
    votes = Counter(infer_decimal(cells) for cells in columns if infer_number_format(cells))
    decimal = _majority_decimal(votes, separator)
    options: dict[str, Any] = {"sep": separator, "index_col": False, "skipinitialspace": is_spaced}
    header = pd.read_csv(io.StringIO(text), header=None, nrows=1, dtype=str, keep_default_na=False, **options)
    with exclusive(), warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        table = pd.read_csv(io.StringIO(text), decimal=decimal, low_memory=False, **options)
    _keep_digits(table, text, options)
    is_guess = separator == ";" and votes["."] == votes[","] == 0
    is_weak = decimal == "," and votes[","] < ENOUGH_VOTES
    table, ambiguous = _with_decimal(table, "." if is_guess else decimal)
    if separator != "," and (is_guess or is_weak or (votes["."] and votes[","])):
        ambiguous |= _parsed_ambiguously(table, columns)
        _warn_of_ambiguous(ambiguous, file_name)
    return names_in(header), table


def _spread_lines(text: str) -> list[str]:
    """Return the first line and a sample of others, spread evenly over the file."""
    lines = text.splitlines(keepends=True)
    return lines[:1] + lines[1 :: max(1, len(lines) // SPREAD_LINES)]


def _keep_digits(table: pd.DataFrame, text: str, options: Mapping[str, Any]) -> None:
    """Read columns again as strings where numbers would lose digits: codes such as 00012, integers beyond 2**53."""
    has_codes = _SOME_LEADING_ZERO.search(text) is not None
    doubtful = [i for i in range(table.shape[1]) if _may_lose_digits(table.iloc[:, i], has_codes=has_codes)]
    if not doubtful:
        return
    again = pd.read_csv(io.StringIO(text), usecols=doubtful, dtype=str, low_memory=False, **options)
    for place, i in enumerate(doubtful):
        strings = again.iloc[:, place]
        is_code = strings.str.fullmatch(r"\s*0\d+\s*", na=False).any() and are_codes(strings.dropna().unique().tolist())
        is_rounded = (
            pd.api.types.is_float_dtype(table.dtypes.iloc[i]) and table.iloc[:, i].abs().max() >= MAX_EXACT_INTEGER
        )
        if is_code or (is_rounded and any(_is_beyond(parse_integer(cell)) for cell in strings.dropna().unique())):
            table.isetitem(i, strings)


def _is_beyond(integer: int | None) -> bool:
    return integer is not None and abs(integer) > MAX_EXACT_INTEGER


def _may_lose_digits(column: "pd.Series[Any]", *, has_codes: bool) -> bool:
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return False
    if pd.api.types.is_integer_dtype(column):
        return has_codes
    numbers = column.to_numpy(dtype=np.float64)
    numbers = numbers[np.isfinite(numbers)]
    are_integers = len(numbers) > 0 and bool((numbers == np.floor(numbers)).all())
    return are_integers and (has_codes or bool(MAX_EXACT_INTEGER <= np.abs(numbers).max() < MAX_READ_AGAIN))


def _with_decimal(table: pd.DataFrame, decimal: DecimalSeparator) -> tuple[pd.DataFrame, dict[str, float]]:
    """Parse the columns of strings that are numbers by the decimal separator of their file.

    Returns:
        The table, and a number of each column of strings that can be read in two ways.
    """
    ambiguous = {}
    for i, name in enumerate(table.columns):
        column = table.iloc[:, i]
        if not holds_strings(column):
            continue
        strings = [str(cell) for cell in pd.unique(column.dropna()) if not is_missing_word(str(cell))]
        example = ambiguous_number(strings)
        number_format = infer_number_format(strings, decimal) if example or decimal == "," else None
        if number_format is None or integer_offset(column):
            continue
        with suppress(ColumnError):  # infinite numbers, in a column that may be dropped
            numbers, warning = parse_numbers(column, str(name), number_format)
            table.isetitem(i, numbers)
            warn_all([] if warning is None else [warning])
            if example:
                ambiguous[str(name)] = parse_number(example, number_format)
    return table, ambiguous


def _parsed_ambiguously(table: pd.DataFrame, columns: Sequence[Sequence[str]]) -> dict[str, float]:
    """Return a number of each column that the parser read as numbers, though they can be read in two ways."""
    ambiguous = {}
    for i, cells in enumerate(columns):
        if i < table.shape[1] and ambiguous_number(cells) and pd.api.types.is_float_dtype(table.dtypes.iloc[i]):
            numbers = table.iloc[:, i].dropna().to_numpy(dtype=np.float64)
            is_fraction = numbers != np.round(numbers)
            if (np.abs(numbers) < THOUSAND).all() and np.allclose(numbers * THOUSAND, np.round(numbers * THOUSAND)):
                ambiguous[str(table.columns[i])] = float(numbers[is_fraction][0]) if is_fraction.any() else numbers[0]
    return ambiguous


def _columns_of(lines: Sequence[str], separator: str, *, is_spaced: bool) -> list[list[str]]:
    """Return the distinct cells of each column in some lines, none of them missing; the first line has the names."""
    names, *sample = list(csv.reader(lines, delimiter=separator, skipinitialspace=is_spaced)) or [[]]
    rows = [row for row in sample if len(row) == len(names)]
    return [
        [cell for cell in dict.fromkeys(row[i] for row in rows) if not is_missing_word(cell)] for i in range(len(names))
    ]


def _majority_decimal(votes: Counter[DecimalSeparator | None], separator: str) -> DecimalSeparator:
    """Return the decimal separator of a file: that of most columns of numbers that can be read in one way only.

    Where commas separate cells it is a point, whatever quoted cells hold: their columns are read one by one.
    """
    if votes["."] == votes[","]:
        return "," if separator == ";" else "."
    return "," if separator != "," and votes[","] > votes["."] else "."


def _warn_of_ambiguous(ambiguous: Mapping[str, float], file_name: str) -> None:
    """Warn of numbers whose separator is inferred from a guess, or from a single other column."""
    if ambiguous:
        name, number = next(iter(ambiguous.items()))
        message = (
            f"{file_name!r} holds numbers in the column {name!r} whose separator may be one of decimals or of "
            f"thousands, and few or no others decide: read as {number:g}. If it is another number, save the table with "
            "other separators."
        )
        warn_all([AmbiguousNumbersWarning(message)])


def names_in(header: pd.DataFrame) -> list[str]:
    """Return the names in a first row, "" for an empty cell."""
    return [] if header.empty else ["" if pd.isna(name) else str(name).strip() for name in header.iloc[0]]


def find_separator(text: str, usual: str) -> str:
    r"""Infer which character separates the cells of a line.

    Args:
        text: The file.
        usual: Returned if nothing separates the first line and nearly all others into equally many cells.

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
        if n_cells > n_best and counts[n_cells] >= MIN_EVEN_FRACTION * len(rows):
            best, n_best = separator, n_cells
    return best
