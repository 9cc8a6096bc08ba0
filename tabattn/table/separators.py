"""Text to rows of cells: what separates them, and where they end."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache

from tabattn.table.layout import is_value

OTHER_SEPARATORS = ",;\t|"
SAMPLED_LINES, MAX_SAMPLED_CELLS = 200, 2_000
MIN_BETTER, WORD_WEIGHT, NAMED_BONUS, SPACED_MALUS = 1.02, 0.6, 3.0, 0.9
_WORD = re.compile(r"[^\d\W][\w .()/-]{0,60}")


def split_rows(text: str, separator: str, *, is_spaced: bool = False) -> tuple[list[list[str]], list[int]]:
    r"""Split text into rows of cells, and return with each row the line in which it begins.

    Cells are of any length: Python's csv module refuses those above 131,072 characters unless a limit of the whole
    process is lifted.

    Args:
        text: Lines that end with a line feed.
        separator: What separates the cells.
        is_spaced: Whether blanks follow the separators.

    Example:
        >>> split_rows('a;b\n"1;2";"x\ny"\n\n3;4', ";")
        ([['a', 'b'], ['1;2', 'x\ny'], [], ['3', '4']], [0, 1, 3, 4])
    """
    found = list(iterate_rows(text, separator, is_spaced=is_spaced))
    return [row for row, _ in found], [line for _, line in found]


def iterate_rows(text: str, separator: str, *, is_spaced: bool = False) -> Iterator[tuple[list[str], int]]:
    """Yield what `split_rows` returns, row by row."""
    cell = _cell_pattern(separator, is_spaced=is_spaced)
    place, line, n_lines = 0, 0, 1
    while place < len(text) or line == 0:
        end = text.find("\n", place)
        end = len(text) if end < 0 else end
        if text.find('"', place, end) < 0:
            row, place, n_lines = text[place:end].split(separator), end + 1, 1
            row = [each.lstrip(" ") for each in row] if is_spaced else row
        else:
            row, place, n_lines = _quoted_row(text, place, cell, separator)
        yield [] if row == [""] else row, line
        line += n_lines


def _quoted_row(text: str, place: int, cell: re.Pattern[str], separator: str) -> tuple[list[str], int, int]:
    """Return a row in which cells are quoted, the place after it, and how many lines it takes."""
    row: list[str] = []
    n_lines = 1
    while True:
        found = cell.match(text, place)
        assert found is not None, "the pattern matches everywhere"
        quoted, rest, plain, end = found.groups()
        row.append(plain if quoted is None else quoted.replace('""', '"') + rest)
        n_lines += 0 if quoted is None else quoted.count("\n")
        place = found.end()
        if end != separator:
            return row, place + (end == ""), n_lines


@lru_cache(maxsize=32)
def _cell_pattern(separator: str, *, is_spaced: bool) -> re.Pattern[str]:
    mark, blanks = re.escape(separator), " *" if is_spaced else ""
    return re.compile(rf'{blanks}(?:"((?:[^"]+|"")*+)"([^{mark}\n]*)|([^{mark}\n]*))({mark}|\n|\Z)')


def find_separator(text: str, usual: str) -> str:
    r"""Infer which character separates the cells of a line.

    Args:
        text: The first lines of the file.
        usual: Returned if nothing separates lines evenly.

    Returns:
        Comma, semicolon, tab or bar: the one for which the lines are most alike and most cells are numbers, dates or
        truth values.

    Source: the consistency of clevercsv (van den Burg et al. 2019, arXiv 1811.11242): patterns of rows times types of
    cells.

    Example:
        >>> find_separator("a;b\n1,5;2\n", ","), find_separator("a\n1\n", ",")
        (';', ',')
        >>> find_separator("Temp, °C;Druck, bar\n20,5;1,2\n21,5;1,3\n", ",")
        ';'
    """
    lines = text.split("\n", SAMPLED_LINES)[:SAMPLED_LINES]
    sample = "\n".join(lines)
    best, best_score = usual, 0.0
    for separator in dict.fromkeys(usual + OTHER_SEPARATORS):
        if separator not in sample:
            continue
        is_spaced = f"{separator} " in lines[0]
        rows = [row for row in split_rows(sample, separator, is_spaced=is_spaced)[0] if row]
        n_cells, score = _pattern_score(rows)
        score *= _type_score(rows) * (NAMED_BONUS if len(rows[0]) == n_cells else 1.0)
        score *= SPACED_MALUS if is_spaced and separator == "," else 1.0
        if score > best_score * MIN_BETTER:
            best, best_score = separator, score
    return best


def _pattern_score(rows: Sequence[Sequence[str]]) -> tuple[int, float]:
    """Return how many cells most rows have, and how alike rows are: 1 for equally many cells, many of them."""
    counts = Counter(len(row) for row in rows)
    n_cells, n_rows = max(counts.items(), key=lambda item: (item[1] * (item[0] - 1) / item[0], item[0]))
    return n_cells, n_rows / len(rows) * (n_cells - 1) / n_cells


def _type_score(rows: Sequence[Sequence[str]]) -> float:
    """Return which fraction of the cells have a type, those of the first row left out; words count half."""
    cells = [cell.strip() for row in rows[1:] or rows for cell in row]
    cells = cells[:: max(1, len(cells) // MAX_SAMPLED_CELLS)]
    weights = [1.0 if is_value(cell) or not cell else WORD_WEIGHT if _WORD.fullmatch(cell) else 0.1 for cell in cells]
    return sum(weights) / max(len(weights), 1)


def are_spaced(lines: Sequence[str]) -> bool:
    """Return whether blanks separate the cells of lines: equally many in all of them, most of them values.

    Example:
        >>> are_spaced(["x  y", "1.5  2", "  3  4"]), are_spaced(["remark", "all is well", "two words"])
        (True, False)
    """
    rows = [cells for line in lines[:SAMPLED_LINES] if (cells := line.split())]
    n_cells = len(rows[0]) if rows else 0
    below = [cell for row in rows[1:] for cell in row]
    are_even = n_cells > 1 and len(below) > n_cells and all(len(row) == n_cells for row in rows)
    return are_even and sum(map(is_value, below)) > len(below) / 2
