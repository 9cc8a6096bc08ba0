"""How numbers, dates and durations are written: texts to the convention that they follow, and one text to its value."""

import re
from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

import pandas as pd

from tabattn.isolation import warnings_ignored

DecimalMark: TypeAlias = Literal[".", ","]
MIN_READ_SHARE = 0.95
MIN_READ_NUMBERS = 10
N_GROUPED_DIGITS = 3
MAX_WHOLE = 10**300  # floats end beyond
MAX_DIGITS = 4_000  # Python refuses to read more than 4,300
_SIGN, _EXPONENT = r"[+\-\u2212]?", r"(?:[eE][+-]?\d+)?"
_NUMBER_PATTERNS = {
    marks: re.compile(rf"{_SIGN}(?:{pattern}){_EXPONENT}%?")
    for marks, pattern in {
        ".": r"\d+\.?\d*|\.\d+",
        ".,": r"[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?|\d+\.?\d*|\.\d+",
        ",": r"\d+,?\d*|,\d+",
        ",.": r"[1-9]\d{0,2}(?:\.\d{3})+(?:,\d*)?|\d+,?\d*|,\d+",
        ". ": r"[1-9]\d{0,2}(?:[ \u00a0\u202f]\d{3})+(?:\.\d*)?|\d+\.?\d*|\.\d+",
        ", ": r"[1-9]\d{0,2}(?:[ \u00a0\u202f]\d{3})+(?:,\d*)?|\d+,?\d*|,\d+",
        ".'": r"[1-9]\d{0,2}(?:['\u2019]\d{3})+(?:\.\d*)?|\d+\.?\d*|\.\d+",
    }.items()
}
_SOME_NUMBER = re.compile("|".join(pattern.pattern for pattern in _NUMBER_PATTERNS.values()))
_LEADING_ZERO = re.compile(r"0\d+")
_WHOLE = re.compile(r"[+\-\u2212]?\d+")
_EITHER_WAY = re.compile(rf"{_SIGN}[1-9]\d{{0,2}}([.,])\d{{3}}")
_ONLY_DECIMAL = {
    mark: re.compile(
        rf"{_SIGN}(?:0?{re.escape(mark)}\d+|\d+{re.escape(mark)}(?:\d{{1,2}}|\d{{4,}})|[\d{other}]*\d{other}\d{{3}}{re.escape(mark)}\d+){_EXPONENT}%?"
    )
    for mark, other in ((".", ","), (",", "."))
}
MIXED_DATES = "mixed"
UNITS_SINCE_1970: dict[str, float] = {"s": 1e11, "ms": 1e14, "us": 1e17, "ns": float("inf")}
_DATE = re.compile(
    r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}|\d{1,2}[ -][A-Za-z]{3,9}\.?[ -]\d{4})([T\s].*)?"
)
_EAST_ASIAN_DATE = re.compile(
    r"(\d{4})\s*[년年]\s*(\d{1,2})\s*[월月](?:\s*(\d{1,2})\s*[일日])?(.*)|(\d{4})\.\s*(\d{1,2})\.\s*(\d{1,2})\.?(\s.*)?"
)
_MONTH = re.compile(r"(\d{4})[-/](0[1-9]|1[0-2])")
_HALF_OF_DAY = re.compile(r"(오전|오후)\s*(\d{1,2}:\d{2}(?::\d{2})?)")
_SPAN = re.compile(
    r"[+-]?(?:\d+ days?,?(?: [+-]?\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?|\d{1,3}:\d{2}(?::\d{2}(?:\.\d+)?)?)"
)
_TRUE, _FALSE = frozenset({"true", "t", "yes", "y", "on", "1"}), frozenset({"false", "f", "no", "n", "off", "0"})


def number_marks(strings: Sequence[str], decimal: DecimalMark = ".", *, are_numbers: bool = False) -> str | None:
    """Find out how a column writes its numbers.

    Args:
        strings: Its different cells, none missing.
        decimal: The decimal mark to think of first, if the cells can be read in two ways.
        are_numbers: Whether strings of digits that begin with 0 are numbers and not codes.

    Returns:
        The decimal mark and, where there is one, the mark between thousands; None if these are no numbers. One cell in
        twenty may be something else, where there are more than ten numbers.

    Example:
        >>> number_marks(["1,234.5", "7"]), number_marks(["1.234,5", "7"]), number_marks(["0,5", "7"])
        ('.,', ',.', ',')
        >>> number_marks(["2.309", "237"]), number_marks(["2.309", "237"], decimal=",")
        ('.', ',.')
        >>> number_marks(["007", "012"]), number_marks(["1", "b"])
        (None, None)
    """
    stripped = [string.strip() for string in strings]
    if not stripped or (not are_numbers and any(_LEADING_ZERO.fullmatch(string) for string in stripped)):
        return None
    if not _is_enough(sum(_SOME_NUMBER.fullmatch(string) is not None for string in stripped), len(stripped)):
        return None  # most columns of texts end here
    best, n_best = None, 0
    for marks in sorted(_NUMBER_PATTERNS, key=lambda marks: marks[0] != decimal):
        n_read = sum(_NUMBER_PATTERNS[marks].fullmatch(string) is not None for string in stripped)
        if n_read > n_best:
            best, n_best = marks, n_read
        if n_best == len(stripped):
            break
    return best if _is_enough(n_best, len(stripped)) else None


def _is_enough(n_read: int, n_strings: int) -> bool:
    return n_read == n_strings or (n_read > MIN_READ_NUMBERS and n_read >= MIN_READ_SHARE * n_strings)


def either_way(strings: Iterable[str]) -> str | None:
    """Return a number whose mark may be a decimal mark or one between thousands, if no cell of its column tells.

    Args:
        strings: The different cells of the column, none missing.

    Example:
        >>> either_way(["17.027", "237"]), either_way(["17.027", "0.5"]), either_way(["17.027", "1234"])
        ('17.027', None, None)
    """
    found: dict[str, str] = {}
    for string in strings:
        text = string.strip()
        if match := _EITHER_WAY.fullmatch(text):
            found.setdefault(match[1], text)
        elif not _WHOLE.fullmatch(text) or len(text.lstrip("+-\u2212")) > N_GROUPED_DIGITS:
            return None
    return next(iter(found.values())) if len(found) == 1 else None


def decimal_mark(strings: Iterable[str]) -> DecimalMark | None:
    """Find out which decimal mark the cells of a table are written with, whatever they hold.

    Args:
        strings: Cells.

    Returns:
        The mark of most numbers that can be read in one way only; None if there is none.

    Example:
        >>> decimal_mark(["3,14", "17.027", "A"]), decimal_mark(["17.027", "2,309"])
        (',', None)
    """
    counts = dict.fromkeys(_ONLY_DECIMAL, 0)
    for string in strings:
        for mark, pattern in _ONLY_DECIMAL.items():
            counts[mark] += pattern.fullmatch(string.strip()) is not None
    if counts["."] == counts[","]:
        return None
    return "." if counts["."] > counts[","] else ","


def read_number(text: str, marks: str, origin: int = 0) -> float:
    """Return the number that a text stands for, less an origin, NaN if it is none.

    Args:
        text: The text.
        marks: What `number_marks` returned.
        origin: Taken from whole numbers before they are rounded to a float.

    Example:
        >>> read_number("1.234,5", ",."), read_number("12%", "."), read_number("1152921504606846977", ".", 2**60)
        (1234.5, 12.0, 1.0)
    """
    text = text.strip()
    if not _NUMBER_PATTERNS[marks].fullmatch(text):
        return float("inf") if text.casefold().lstrip("+-") in {"inf", "infinity"} else float("nan")
    text = text.rstrip("%").replace("\u2212", "-")
    for mark in "\u00a0\u202f \u2019'":
        text = text.replace(mark, "")
    if marks[1:] in {",", "."}:
        text = text.replace(marks[1], "")
    text = text.replace(marks[0], ".")
    if origin and (whole := whole_number(text)) is not None:
        return float(whole - origin) if abs(whole) <= MAX_WHOLE else float(text)
    return float(text) - origin


def whole_number(text: str) -> int | None:
    """Return the whole number that a text of digits stands for, None if it is another text."""
    text = text.strip().replace("\u2212", "-")
    return int(text) if _WHOLE.fullmatch(text) and len(text) <= MAX_DIGITS else None


def has_leading_zero(text: str) -> bool:
    """Say whether a text is digits that begin with a 0, which a number would lose."""
    return _LEADING_ZERO.fullmatch(text.strip()) is not None


def is_span(strings: Sequence[str]) -> bool:
    """Say whether all strings are times of day or durations, such as 08:30, 26:15:00, -03:30 or 3 days 02:00:00."""
    return bool(strings) and all(_SPAN.fullmatch(string.strip()) for string in strings)


def span_text(text: str) -> str:
    """Return a time of day or a duration as pandas reads it: with seconds.

    Example:
        >>> span_text("08:30"), span_text("3 days, 2:00:00"), span_text("-03:30")
        ('08:30:00', '3 days 2:00:00', '-03:30:00')
    """
    text = text.strip().replace(",", "")
    return f"{text}:00" if text.count(":") == 1 else text


def plain_date(text: str) -> str:
    """Return a date with its East Asian words and its spaces taken out, anything else as it is.

    Example:
        >>> plain_date("2024년 3월 5일"), plain_date("2024. 3. 5. 오후 3:10"), plain_date("2024-03"), plain_date("A")
        ('2024-03-05', '2024-03-05 3:10 PM', '2024-03-01', 'A')
    """
    text = text.strip()
    if month := _MONTH.fullmatch(text):
        return f"{month[1]}-{month[2]}-01"
    if date := _EAST_ASIAN_DATE.fullmatch(text):
        year, month_, day, rest = date.groups()[:4] if date[1] else date.groups()[4:]
        clock = _HALF_OF_DAY.sub(lambda half: f"{half[2]} {'AM' if half[1] == '오전' else 'PM'}", rest or "").strip()
        return f"{year}-{int(month_):02}-{int(day or 1):02} {clock}".strip()
    return _HALF_OF_DAY.sub(lambda half: f"{half[2]} {'AM' if half[1] == '오전' else 'PM'}", text)


def date_format(strings: Sequence[str]) -> str | None:
    """Find out how a column writes its dates.

    Args:
        strings: Its different cells, none missing.

    Returns:
        A format for `strptime`, of what `plain_date` returns; "mixed" if there are several; None if these are no dates.

    Source: skrub's `ToDatetime`, which tells day and month apart by all cells.

    Example:
        >>> date_format(["13/02/2024", "01/02/2024"]), date_format(["lot 1", "lot 2"])
        ('%d/%m/%Y', None)
    """
    plain = [plain_date(string) for string in strings]
    if not plain or not all(_DATE.fullmatch(string) for string in plain):
        return None
    from skrub import ToDatetime  # half a second that tables without dates don't pay

    with warnings_ignored():
        series = pd.Series(plain, dtype="str")
        try:
            reader = ToDatetime().fit(series)
        except ValueError:
            return (
                MIXED_DATES if pd.to_datetime(series, errors="coerce", format="mixed", utc=True).notna().all() else None
            )
    return str(reader.format_)


def number_date_format(numbers: Sequence[float]) -> str:
    """Find out how a column writes its dates as numbers.

    Args:
        numbers: Its different cells, none missing.

    Returns:
        A format for `strptime` if all are calendar days (20240105), with or without a time (20240105083000); otherwise
        the unit that they count since 1970, by the size of the largest: "s", "ms", "us" or "ns".

    Example:
        >>> number_date_format([20240105, 20231231]), number_date_format([1704412800.0])
        ('%Y%m%d', 's')
    """
    texts = [f"{number:.0f}" if float(number).is_integer() else "" for number in numbers]
    for n_digits, written in ((8, "%Y%m%d"), (14, "%Y%m%d%H%M%S")):
        if texts and all(len(text) == n_digits for text in texts):
            days = pd.to_datetime(pd.Series(texts, dtype="str"), format=written, errors="coerce")
            if days.notna().all():
                return written
    largest = max((abs(number) for number in numbers), default=0.0)
    return next(unit for unit, limit in UNITS_SINCE_1970.items() if largest < limit)


def read_flag(cell: object) -> bool | None:
    """Return True or False for a cell that stands for one of them, None for others.

    Example:
        >>> [read_flag(cell) for cell in (True, 0, "yes", "FALSE", 1.0, "A", 2)]
        [True, False, True, False, True, None, None]
    """
    text = str(cell).strip().casefold().removesuffix(".0")
    return True if text in _TRUE else False if text in _FALSE else None
