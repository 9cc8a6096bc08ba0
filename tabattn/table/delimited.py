"""Text with separated cells to names and a table: separator, decimal separator and digits are inferred."""

import io
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from tabattn.errors import AmbiguousNumbersWarning, ColumnError, TableError, warn_all
from tabattn.process_state import exclusive
from tabattn.table.cells import holds_strings, integer_offset, is_missing, is_missing_word, parse_numbers
from tabattn.table.layout import Notes, Places, find_layout, foot_rows, names_of, units_of_row
from tabattn.table.numbers import (
    MAX_EXACT_INTEGER,
    DecimalSeparator,
    ambiguous_number,
    are_codes,
    infer_decimal,
    infer_number_format,
    is_limit,
    is_number,
    parse_integer,
    parse_number,
)
from tabattn.table.separators import are_spaced, find_separator, iterate_rows, split_rows

SAMPLED_BYTES, SAMPLED_LINES = 1 << 17, 200
MIN_SAMPLED_LINES = 3
TAIL_BYTES, SCANNED_BYTES = 1 << 15, 1 << 24
HEAD_ROWS = 60
ENOUGH_VOTES = 2
SPREAD_LINES, MIN_SPREAD_LINES, MAX_SPREAD_CELLS = 2_000, 12, 20_000
MAX_VOTERS, MAX_BLOCK_CELLS, N_FIRST_CELLS = 100, 5_000_000, 20
THOUSAND, MANY_COLUMNS = 1_000, 1_000
MAX_READ_AGAIN = 1e100
MAX_NAMED_ROWS = 5
_SEPARATOR_LINE = re.compile(rb'"?sep=(.)"?\n', re.IGNORECASE)
_LEADING_ZERO = re.compile(r"\s*0\d+\s*")
_COMMENT = re.compile(r"[#%]+\s*")


@dataclass(frozen=True)
class TextTable:
    """A table as it is written in a text file.

    Args:
        names: Names of the columns as they are written, "" for a blank one.
        cells: The columns.
        units: Units by name, of a row under the names.
        notes: What was left out.
    """

    names: list[str]
    cells: pd.DataFrame
    units: dict[str, str]
    notes: list[str]


def read_text(data: bytes, usual: str, file_name: str, places: Places | None = None) -> TextTable:
    r"""Read text with one line of column names, or two, and perhaps titles, a line of units and totals around it.

    The decimal separator is that of most columns of numbers that can be read in one way only. Codes keep their leading
    zeros, integers beyond 2**53 all of their digits: such columns are returned as strings.

    Args:
        data: The file, in UTF-8.
        usual: The separator if none can be inferred.
        file_name: For warnings.
        places: Which rows hold names and units; None to find them.

    Returns:
        The table.

    Raises:
        TableError: Rows have more cells than there are names, or no row holds names.
        ValueError: This is not text, or not a table.

    Warns:
        AmbiguousNumbersWarning: Separators in numbers may be those of decimals or of thousands.
        UnparsedCellsWarning: Some cells of a column of numbers are not numbers.

    Example:
        >>> read_text(b"Line 3\ncode;n\n007;1,5\n008;2\n", ",", "t.csv").cells.to_dict("list")
        {'code': ['007', '008'], 'n': [1.5, 2.0]}
    """
    places, notes = places or Places(), Notes()
    if b"\r" in data:
        data = data.replace(b"\r\r\n", b"\n").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if data.find(b"\0") >= 0:
        raise ValueError("it is not text: it holds a zero byte")
    declared = _SEPARATOR_LINE.match(data)  # Excel's own first line
    start = declared.end() if declared else 0
    sample = _head(data, start)
    separator = declared[1].decode() if declared else ""
    if not separator or separator not in sample.split("\n", 1)[0]:
        separator = find_separator(sample, usual)
    if separator not in sample and are_spaced(sample.split("\n")):
        notes.texts.append("separated by blanks")
        data = b"\n".join(b"\t".join(line.split()) for line in data[start:].split(b"\n"))
        start, separator = 0, "\t"
        sample = _head(data, start)
    lines = sample.split("\n", HEAD_ROWS)
    is_spaced = f"{separator} " in lines[0] or any(f'{separator} "' in line for line in lines[:HEAD_ROWS])
    rows, line_of_row = split_rows(sample, separator, is_spaced=is_spaced)
    grid = rows[: HEAD_ROWS + (places.header_row or 0)]
    layout = find_layout(grid, places, file_name)
    if not layout.names:
        return TextTable([], pd.DataFrame(), {}, [])
    notes.layout(layout, grid)
    names = names_of(rows[: layout.first], layout)
    names = names[: max(len(rows[row]) for row in layout.names)]
    if any(str(cell).startswith("#") for row in layout.skipped for cell in rows[row][:1]):
        names[0] = _COMMENT.sub("", names[0])
    cells = [row for row in rows[layout.first : layout.first + SAMPLED_LINES] if row]
    if all(not cell.strip() for row in cells for cell in row[len(names) :]):
        names += [""] * (max(map(len, cells), default=0) - len(names))
    units = {} if layout.units is None else units_of_row(rows[layout.units], names)
    n_lines = line_of_row[layout.first] if layout.first < len(line_of_row) else data.count(b"\n") + 1
    first = _after_lines(data, start, n_lines)
    end, foot = _foot(data, first, separator, len(names))
    if foot:
        notes.texts.append(f"the last row{'s' * (len(foot) > 1)}, {' and '.join(map(repr, foot))}: left out")
    ragged = partial(_ragged, data[first:], separator, len(names), file_name, n_lines, is_spaced=is_spaced)
    if any(len(row) > len(names) for row in cells):
        raise ragged()
    text = _Text(data[first:end], separator, len(names), is_spaced=is_spaced)
    shown = [name or f"column {place + 1}" for place, name in enumerate(names)]
    try:
        table, own_units = _cells(text, shown, file_name)
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise ragged() from error
    if own_units:
        taken = [f"{name!r} ({unit})" for name, unit in own_units.items()]
        notes.texts.append(
            f"units taken off: {', '.join(taken[:MAX_NAMED_ROWS])}{', ...' * (len(taken) > MAX_NAMED_ROWS)}"
        )
    kept = [place for place, name in enumerate(names) if name or table[place].notna().any()]
    names = [names[place] for place in kept]
    table = _without_blank_rows(table if len(kept) == table.shape[1] else table[kept], names, notes)
    table.columns = pd.Index(names)
    return TextTable(names, table, units | own_units, notes.texts)


@dataclass(frozen=True)
class _Text:
    """The cells of a table as text, without names.

    Args:
        data: The lines.
        separator: What separates the cells.
        n_columns: Cells of a line at most.
        is_spaced: Whether blanks follow the separators.
    """

    data: bytes
    separator: str
    n_columns: int
    is_spaced: bool

    def read(self, n_columns: int, **options: Any) -> pd.DataFrame:
        """Read the first columns with pandas' own parser."""
        with exclusive(), warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            read: pd.DataFrame = pd.read_csv(
                io.BytesIO(self.data),
                sep=self.separator,
                index_col=False,
                header=None,
                names=range(n_columns),
                skipinitialspace=self.is_spaced,
                low_memory=False,
                **options,
            )
            return read.copy() if n_columns > MANY_COLUMNS else read  # in one block of each dtype, not one a column

    def read_strings(self, places: Sequence[int]) -> pd.DataFrame:
        """Read some columns as strings, missing where they are empty."""
        options: dict[str, Any] = {"dtype": str, "keep_default_na": False, "na_values": [""]}
        try:
            return self.read(self.n_columns, usecols=places, **options)
        except pd.errors.ParserError:  # pandas refuses to choose among names if no row has as many cells
            return self.read(self.n_columns, **options)


def _cells(text: _Text, names: Sequence[str], file_name: str) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return the columns, and the units that were taken off."""
    separator, n_columns = text.separator, text.n_columns
    if not text.data[:SAMPLED_BYTES].strip() and not text.data.strip():
        return pd.DataFrame(columns=range(n_columns), dtype=object), {}
    columns = _columns_of(_spread_lines(text.data, n_columns), separator, n_columns, is_spaced=text.is_spaced)
    voters = list(map(_present, columns[:: max(1, n_columns // MAX_VOTERS)])) if separator != "," else []
    votes = Counter(infer_decimal(cells) for cells in voters if infer_number_format(cells))
    decimal = _majority_decimal(votes, separator)
    table = text.read(n_columns, decimal=decimal)
    table = _restored(table, text, columns)
    is_guess = separator == ";" and votes["."] == votes[","] == 0
    is_weak = decimal == "," and votes[","] < ENOUGH_VOTES
    table, ambiguous, units = _with_decimal(table, names, "." if is_guess else decimal, columns)
    if separator != "," and (is_guess or is_weak or (votes["."] and votes[","])):
        ambiguous |= _parsed_ambiguously(table, names, columns)
        _warn_of_ambiguous(ambiguous, file_name)
    return table, units


def _without_blank_rows(table: pd.DataFrame, names: Sequence[str], notes: Notes) -> pd.DataFrame:
    """Return a table without rows that are empty, and without those that repeat the names."""
    if not len(table) or not len(names):
        return table
    blank = np.flatnonzero(table.iloc[:, 0].isna())
    for place in range(table.shape[1]):
        if not len(blank):
            break
        blank = blank[table.iloc[blank, place].isna().to_numpy()]
    repeated = np.array([], dtype=np.intp)
    if holds_strings(table.iloc[:, 0]):
        doubtful = np.flatnonzero((table.iloc[:, 0] == names[0]).to_numpy(dtype=bool, na_value=False))
        same = (table.iloc[doubtful].astype(str) == list(names)).to_numpy().all(axis=1)
        repeated = doubtful[same]
    if len(blank):
        notes.texts.append(f"{len(blank)} row(s) without a value: left out")
    if len(repeated):
        notes.texts.append(f"{len(repeated)} row(s) that repeat the names: left out")
    if not len(blank) and not len(repeated):
        return table
    kept = table.drop(index=table.index[np.union1d(blank, repeated)]).reset_index(drop=True)
    return _as_numbers(kept) if len(repeated) else kept.infer_objects()


def _as_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Return columns of strings that are plain numbers as numbers."""
    new = {}
    for name, column in table.items():
        if holds_strings(column) and not are_codes(strings := column.dropna().astype(str).unique().tolist()):
            numbers = pd.to_numeric(column, errors="coerce")
            if numbers.notna().sum() == column.notna().sum() and strings:
                new[name] = numbers
    return pd.DataFrame({name: new.get(name, column) for name, column in table.items()})


def _head(data: bytes, start: int) -> str:
    """Return the first lines, as many as a sample holds, but at least a few, with plain line ends."""
    end = start + SAMPLED_BYTES
    for _ in range(MIN_SAMPLED_LINES):
        cut = data.rfind(b"\n", start, end) + 1 if end < len(data) else len(data)
        if cut > start and (end >= len(data) or data.count(b"\n", start, cut) >= MIN_SAMPLED_LINES):
            break
        after = data.find(b"\n", min(end, len(data)))
        end = len(data) if after < 0 else after + 1 + SAMPLED_BYTES
        cut = data.rfind(b"\n", start, end) + 1 if end < len(data) else len(data)
    return _plain_lines(data[start:cut])


def _plain_lines(data: bytes) -> str:
    return data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")


def _after_lines(data: bytes, start: int, n_lines: int) -> int:
    """Return the place after so many lines."""
    has_only_returns = data.find(b"\n", start) < 0
    for _ in range(n_lines):
        found = data.find(b"\r" if has_only_returns else b"\n", start)
        if found < 0:
            return len(data)
        start = found + 1
    return start


def _spread_lines(data: bytes, n_columns: int) -> str:
    """Return a sample of lines, spread evenly over the text: fewer of them where there are many columns."""
    n_lines = max(MIN_SPREAD_LINES, min(SPREAD_LINES, MAX_SPREAD_CELLS // n_columns))
    if data.count(b"\n", 0, SAMPLED_BYTES) < n_lines and len(data) <= SAMPLED_BYTES:
        return _plain_lines(data)
    parts, before = [], -1
    for place in np.linspace(0, len(data) - 1, n_lines).astype(int):
        begin = data.find(b"\n", place) + 1 if place else 0
        if begin <= before or (begin == 0 and place):
            continue
        end = data.find(b"\n", begin)
        before = begin
        parts.append(data[begin : len(data) if end < 0 else end])
    return _plain_lines(b"\n".join(parts))


def _foot(data: bytes, first: int, separator: str, n_columns: int) -> tuple[int, list[str]]:
    """Return where the cells end, and what the rows after that place hold: totals and remarks."""
    begin = max(first, len(data) - TAIL_BYTES)
    begin = data.find(b"\n", begin) + 1 if begin > first else begin
    tail = data[begin:]
    lines = tail.rstrip().splitlines(keepends=True)
    if len(lines) < 2 or any(line.count(b'"') % 2 for line in lines[-2 * MAX_NAMED_ROWS :]):
        return len(data), []
    rows = [split_rows(_plain_lines(line).rstrip("\n"), separator)[0][0] for line in lines[-2 * MAX_NAMED_ROWS :]]
    found = foot_rows(rows, n_columns)
    if not found or (begin == first and len(rows) - min(found) >= len(lines)):
        return len(data), []
    labels = {next(str(cell).strip() for cell in rows[each] if str(cell).strip()) for each in found}
    if any(f"\n{label}{separator}".encode() in data[max(0, first - 1) : begin] for label in labels):
        return len(data), []  # a level of the first column
    n_left = len(rows) - min(found)
    return begin + sum(map(len, lines[:-n_left])), [found[each] for each in sorted(found)]


def _ragged(body: bytes, separator: str, n_names: int, file_name: str, n_lines: int, *, is_spaced: bool) -> TableError:
    """Return the error that names the rows with more cells than there are names."""
    wide, n_rows = [], 0
    for row, line in iterate_rows(_plain_lines(body), separator, is_spaced=is_spaced):
        n_rows += bool(row)
        if len(row) > n_names:
            wide.append(line + n_lines + 1)
    if not wide:
        return TableError(
            f"{file_name!r} must be a table with one line of column names: the quotes in it do not match. "
            "Save it as a CSV file again."
        )
    shown = ", ".join(map(str, wide[:MAX_NAMED_ROWS])) + (", ..." if len(wide) > MAX_NAMED_ROWS else "")
    which = f"row{'s' * (len(wide) > 1)} {shown}"
    if len(wide) == n_rows:
        return TableError(
            f"{file_name!r} must be a table with one name for each column, got rows with more cells than names "
            f"({n_names} names, {which}). Name all columns."
        )
    return TableError(
        f"{file_name!r} must be a table with one name for each column, got more cells than names in {which} "
        f"({n_names} names). Put cells that hold {separator!r} into quotes there."
    )


def _restored(table: pd.DataFrame, text: _Text, columns: Sequence[Sequence[str]]) -> pd.DataFrame:
    """Read columns again as strings where something would be lost.

    Numbers lose digits, of codes such as 00012 and of integers beyond 2**53; texts lose words such as "None", which may
    be levels.
    """
    rounded, codes = _lost_digits(table, columns)
    doubtful = rounded + (codes if codes and _has_leading_zero(text.data) else [])
    worded = _lost_words(table)
    if not doubtful and not worded:
        return table
    chosen = sorted({*doubtful, *worded})
    again = text.read_strings(chosen)
    new: dict[int, pd.Series[Any]] = {}
    for i in worded:
        new[i] = again[i]
    for i in doubtful:
        distinct = [cell for cell in dict.fromkeys(again[i].to_numpy(dtype=object)) if isinstance(cell, str)]
        has_zero = any(cell.lstrip()[:1] == "0" for cell in distinct)
        present = [cell for cell in distinct if not is_missing_word(cell)] if has_zero or i in rounded else []
        is_code = has_zero and any(map(_LEADING_ZERO.fullmatch, present)) and are_codes(present)
        if is_code or (i in rounded and any(_is_beyond(parse_integer(cell)) for cell in present)):
            new[i] = again[i].mask(is_missing(again[i]))
    return _replaced(table, new)


def _columns(table: pd.DataFrame) -> Iterator[tuple[int, "pd.Series[Any]"]]:
    """Return the columns of strings and their places."""
    places = [i for i, dtype in enumerate(table.dtypes) if dtype.kind == "O" or isinstance(dtype, pd.StringDtype)]
    return ((i, table[i]) for i in places)


def _replaced(table: pd.DataFrame, new: Mapping[int, "pd.Series[Any]"]) -> pd.DataFrame:
    if not new:
        return table
    kept = table.drop(columns=list(new))
    return pd.concat([kept, pd.DataFrame(dict(new), index=table.index)], axis=1)[list(range(table.shape[1]))]


def _lost_words(table: pd.DataFrame) -> list[int]:
    """Return the columns of strings, and those that seem empty, that have missing cells: these may have been words."""
    floats = [i for i, dtype in enumerate(table.dtypes) if dtype.kind == "f"]
    empty = (
        np.isnan(table[floats].to_numpy()).all(axis=0) if len(table) and floats else np.zeros(len(floats), dtype=bool)
    )
    texts = [i for i, column in _columns(table) if column.hasnans]
    return sorted(texts + [i for i, is_empty in zip(floats, empty, strict=True) if is_empty])


def _has_leading_zero(data: bytes) -> bool:
    """Return whether a cell may begin with 0 and another digit."""
    is_digit, is_inner = np.zeros(256, dtype=bool), np.zeros(256, dtype=bool)
    is_digit[list(b"0123456789")] = True
    is_inner[list(b"0123456789.:+-/")] = True
    for start in range(0, len(data), SCANNED_BYTES):
        part = np.frombuffer(data[max(0, start - 1) : start + SCANNED_BYTES + 1], dtype=np.uint8)
        zeros = np.flatnonzero(part[:-1] == ord("0"))
        before = np.where(zeros > 0, part[zeros - 1], ord("\n"))
        if (is_digit[part[zeros + 1]] & ~is_inner[before]).any():
            return True
    return False


def _lost_digits(table: pd.DataFrame, sampled: Sequence[Sequence[str]]) -> tuple[list[int], list[int]]:
    """Return the columns of integers that are rounded, and those of numbers that may be codes such as 00012."""
    if len(table) == 0:
        return [], []
    integers = [i for i, dtype in enumerate(table.dtypes) if dtype.kind in "iu"]
    floats = [i for i, dtype in enumerate(table.dtypes) if dtype.kind == "f"]
    first = table[floats].iloc[:THOUSAND].to_numpy()
    with np.errstate(invalid="ignore"):
        whole = [
            i
            for i, keeps in zip(floats, ((first == np.floor(first)) | np.isnan(first)).all(axis=0), strict=True)
            if keeps
        ]
    rounded, codes = [], []
    n_at_once = max(1, MAX_BLOCK_CELLS // len(table))
    for chosen in (integers, whole):
        for start in range(0, len(chosen), n_at_once):
            block = chosen[start : start + n_at_once]
            numbers = table[block].to_numpy()
            is_whole = np.ones(len(block), dtype=bool)
            if numbers.dtype.kind == "f":
                with np.errstate(invalid="ignore"):
                    is_whole = ((numbers == np.floor(numbers)) | ~np.isfinite(numbers)).all(axis=0)
                numbers = np.where(np.isfinite(numbers), numbers, np.nan)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # a column may be empty
                smallest, largest = np.nanmin(numbers, axis=0), np.nanmax(np.abs(numbers.astype(np.float64)), axis=0)
            for i, low, high, keeps in zip(block, smallest.tolist(), largest.tolist(), is_whole, strict=True):
                if keeps and numbers.dtype.kind == "f" and MAX_EXACT_INTEGER <= high < MAX_READ_AGAIN:
                    rounded.append(i)
                elif keeps and not np.isnan(low) and _may_be_code(sampled[i], low):
                    codes.append(i)
    return rounded, codes


def _is_beyond(integer: int | None) -> bool:
    return integer is not None and abs(integer) > MAX_EXACT_INTEGER


def _may_be_code(sampled: Sequence[str], smallest: float) -> bool:
    """Return whether some cells begin with 0; or whether all have the same length, and a number has fewer digits."""
    stripped = list(map(str.strip, sampled))
    if any(cell[:1] == "0" and cell[1:2].isdigit() for cell in stripped):
        return True
    lengths = {len(cell) for cell in stripped if cell.isdigit()}
    return len(lengths) == 1 and 0 <= smallest < 10.0 ** (min(lengths) - 1)


def _with_decimal(
    table: pd.DataFrame, names: Sequence[str], decimal: DecimalSeparator, sampled: Sequence[Sequence[str]]
) -> tuple[pd.DataFrame, dict[str, float], dict[str, str]]:
    """Parse the columns of strings that are numbers by the decimal separator of their file.

    Returns:
        The table, a number of each column of strings that can be read in two ways, and the units that were taken off.
    """
    ambiguous, units, new = {}, {}, {}
    for i, column in _columns(table):
        first = _present(sampled[i][:N_FIRST_CELLS])
        if first and not any(map(is_number, first)):
            continue
        strings = [str(cell) for cell in pd.unique(column.dropna()) if not is_missing_word(str(cell))]
        example = ambiguous_number(strings)
        number_format = infer_number_format(strings, decimal) if example or decimal == "," else None
        if number_format is None or integer_offset(column):
            continue
        with suppress(ColumnError):  # infinite numbers, in a column that may be dropped
            if any(map(is_limit, strings)):
                continue  # limits are read by the rules of whoever uses the column
            numbers, warnings_ = parse_numbers(column, names[i], number_format)
            new[i] = pd.Series(numbers, index=table.index)
            warn_all(warnings_)
            if number_format.unit:
                units[names[i]] = number_format.unit
            if example:
                ambiguous[names[i]] = parse_number(example, number_format)
    return _replaced(table, new), ambiguous, units


def _parsed_ambiguously(
    table: pd.DataFrame, names: Sequence[str], columns: Sequence[Sequence[str]]
) -> dict[str, float]:
    """Return a number of each column that the parser read as numbers, though they can be read in two ways."""
    ambiguous = {}
    for i, cells in enumerate(columns):
        if table.dtypes.iloc[i].kind == "f" and ambiguous_number(_present(cells)):
            numbers = table[i].dropna().to_numpy(dtype=np.float64)
            is_fraction = numbers != np.round(numbers)
            if (np.abs(numbers) < THOUSAND).all() and np.allclose(numbers * THOUSAND, np.round(numbers * THOUSAND)):
                ambiguous[names[i]] = float(numbers[is_fraction][0]) if is_fraction.any() else numbers[0]
    return ambiguous


def _columns_of(text: str, separator: str, n_columns: int, *, is_spaced: bool) -> list[tuple[str, ...]]:
    """Return the cells of each column in some lines."""
    rows = [row for row in split_rows(text, separator, is_spaced=is_spaced)[0] if len(row) == n_columns]
    return list(zip(*rows, strict=True)) if rows else [()] * n_columns


def _present(cells: Sequence[str]) -> list[str]:
    """Return the distinct cells that are not missing."""
    return [cell for cell in dict.fromkeys(cells) if not is_missing_word(cell)]


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
