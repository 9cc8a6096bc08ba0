"""How numbers, dates and durations are written: texts to the convention that they follow, and one text to its value."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, TypeAlias

import pandas as pd

from tabattn.process_state import filters_kept, warnings_ignored

DecimalMark: TypeAlias = Literal[".", ","]
MIN_READ_SHARE = 0.95
MIN_READ_NUMBERS = 10
N_GROUPED_DIGITS = 3
MAX_WHOLE = 10**300  # floats end beyond
MAX_DIGITS = 4_000  # Python refuses to read more than 4,300
_SIGN, _END = r"[+\-\u2212]?", r"(?:[eE][+-]?\d+)?(?:\s?%)?"
_NUMBER_PATTERNS = {
    marks: re.compile(rf"{_SIGN}(?:{pattern}){_END}")
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
_ONLY_POINT, _ONLY_COMMA = (
    re.compile(rf"{_SIGN}(?:0?{mark}\d+|\d+{mark}(?:\d{{1,2}}|\d{{4,}})|[\d{other}]*{other}\d{{3}}{mark}\d+){_END}")
    for mark, other in ((r"\.", ","), (",", r"\."))
)
MIXED_DATES, MIXED_DAYS_FIRST = "mixed", "mixed, days first"
N_LOOKED_AT, MIN_LIKELY_SHARE = 1_000, 0.5
UNITS_SINCE_1970 = {"s": 1e11, "ms": 1e14, "us": 1e17, "ns": float("inf")}
MIN_SECONDS_SINCE_1970 = 1e8  # fewer are days of 1970 to 1973, and likely to be something else
EXCEL_DAYS, FIRST_EXCEL_DAY, MAX_EXCEL_DAYS = "days of Excel", pd.Timestamp(1899, 12, 30), 100_000
MIN_EXCEL_DAYS = 10_000
DATES_IN_DIGITS = {"%Y%m%d": 8, "%Y%m%d%H%M%S": 14, "%Y%m%d%H%M": 12, "%Y%m": 6, "%Y": 4}
PLAUSIBLE_YEARS = (1800, 2200)
_DATE = re.compile(
    r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}"
    r"|\d{1,2}[ -][A-Za-z]{3,9}\.?[ -]\d{4}|[A-Za-z]{3,9}\.? \d{1,2},? \d{4})([T\s].*)?"
)
_EAST_ASIAN_DATE = re.compile(
    r"(\d{4})\s*[년年]\s*(\d{1,2})\s*[월月](?:\s*(\d{1,2})\s*[일日])?(.*)|(\d{4})\.\s*(\d{1,2})\.\s*(\d{1,2})\.?(\s.*)?"
)
_MONTH = re.compile(r"((?:18|19|20|21)\d{2})[-/](0[1-9]|1[0-2])")
_SHORT_DATE = re.compile(r"\d{2}([-/.])\d{2}\1\d{2}")
_DAY_FIRST = re.compile(r"\d{1,2}\.\d{1,2}\.\d{4}.*|(?:1[3-9]|2\d|3[01])[-/.]\d{1,2}[-/.]\d{4}.*")
_HALF_OF_DAY = re.compile(r"(오전|오후)\s*(\d{1,2}:\d{2}(?::\d{2})?)")
_SPAN = re.compile(
    r"[+-]?(?:\d+ days?,?(?: [+-]?\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?|\d{1,3}:\d{2}(?::\d{2}(?:\.\d+)?)?)"
)
_TRUE = frozenset({"true", "t", "yes", "y", "on", "1", "wahr", "ja", "예", "네"})
_FALSE = frozenset({"false", "f", "no", "n", "off", "0", "falsch", "nein", "아니오", "아니요"})
TRUTHS = frozenset({"true", "false", "wahr", "falsch"})


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
    if not strings or not _is_likely(strings, is_number):
        return None
    stripped = [string.strip() for string in strings]
    if not are_numbers and are_codes(stripped):
        return None
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
    stripped = [string.strip() for string in strings]
    n_points, n_commas = (sum(map(bool, map(pattern.fullmatch, stripped))) for pattern in (_ONLY_POINT, _ONLY_COMMA))
    if n_points == n_commas:
        return None
    return "." if n_points > n_commas else ","


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
    text = text.rstrip("%").rstrip().replace("\u2212", "-")
    for mark in "\u00a0\u202f \u2019'":
        text = text.replace(mark, "")
    if marks[1:] in {",", "."}:
        text = text.replace(marks[1], "")
    text = text.replace(marks[0], ".")
    if origin and (whole := whole_number(text)) is not None:
        return float(whole - origin) if abs(whole) <= MAX_WHOLE else float(text)
    return float(text) - origin


def is_number(text: str) -> bool:
    """Say whether a text is a number, however it is written."""
    return _SOME_NUMBER.fullmatch(text.strip()) is not None


def whole_number(text: str) -> int | None:
    """Return the whole number that a text of digits stands for, None if it is another text."""
    text = text.strip().replace("\u2212", "-")
    return int(text) if _WHOLE.fullmatch(text) and len(text) <= MAX_DIGITS else None


def are_codes(strings: Sequence[str]) -> bool:
    """Say whether digits that begin with 0 are codes, which lose it as numbers: if they are many, or of one length.

    Args:
        strings: The different cells of a column, none missing.

    Example:
        >>> are_codes(["007", "012"]), are_codes(["05", *map(str, range(99))]), are_codes(["7", "12"])
        (True, False, False)
    """
    n_zeros = sum(_LEADING_ZERO.fullmatch(string.strip()) is not None for string in strings)
    return n_zeros > (1 - MIN_READ_SHARE) * len(strings) or (n_zeros > 0 and len({len(each) for each in strings}) == 1)


def is_span(strings: Sequence[str]) -> bool:
    """Say whether all strings are times of day or durations, such as 08:30, 26:15:00, -03:30 or 3 days 02:00:00."""
    return bool(strings) and all(_SPAN.fullmatch(string.strip()) for string in strings)


def span_text(text: str) -> str:
    """Return a time of day or a duration as pandas reads it: with seconds.

    Example:
        >>> span_text("08:30"), span_text("3 days, 2:00:00"), span_text("-03:30")
        ('08:30:00', '3 days 2:00:00', '-03:30:00')
    """
    text = text.strip().replace("days,", "days").replace("day,", "day")
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
        return f"{year}-{int(month_):02}-{int(day or 1):02} {_western_clock(rest or '').strip()}".strip()
    return _western_clock(text)


def _western_clock(text: str) -> str:
    return _HALF_OF_DAY.sub(lambda half: f"{half[2]} {'AM' if half[1] == '오전' else 'PM'}", text)


def date_format(strings: Sequence[str]) -> str | None:
    """Find out how a column writes its dates.

    Args:
        strings: Its different cells, none missing.

    Returns:
        A format for `strptime`, of what `plain_date` returns; "mixed" if there are several; None if these are no dates.
        One cell in twenty may be something else, where there are more than ten dates.

    Source: skrub's `ToDatetime`, which tells day and month apart by all cells.

    Example:
        >>> date_format(["13/02/2024", "01/02/2024"]), date_format(["lot 1", "lot 2"])
        ('%d/%m/%Y', None)
    """
    if not strings or not _is_likely(strings, lambda string: _is_date(plain_date(string))):
        return None
    plain = [plain_date(string) for string in strings]
    if all(_SHORT_DATE.fullmatch(text) for text in plain):
        return _short_date_format(plain)
    dates = [text for text in plain if _DATE.fullmatch(text)]
    if not _is_enough(len(dates), len(plain)):
        return None
    with filters_kept():
        from skrub import ToDatetime  # half a second that tables without dates don't pay

    with warnings_ignored():
        series = pd.Series(dates, dtype="str")
        mixed = MIXED_DAYS_FIRST if any(_DAY_FIRST.fullmatch(text) for text in dates) else MIXED_DATES
        days = series[read_dates(series, mixed).notna()]
        if not _is_enough(len(days), len(plain)):
            return None
        try:
            found = str(ToDatetime().fit(days.reset_index(drop=True)).format_)
        except ValueError:
            return mixed
        if found.startswith("%m."):  # a point follows the day everywhere
            day_first = found.replace("%m.%d.", "%d.%m.")
            return day_first if read_dates(days, day_first).notna().all() else found
    return found


def _is_date(text: str) -> bool:
    return _DATE.fullmatch(text) is not None or _SHORT_DATE.fullmatch(text) is not None


def _short_date_format(strings: Sequence[str]) -> str | None:
    """Return the only likely order of day, month and year, of two digits each, that reads all dates.

    The year is the part that takes fewer values. With points the day stands before the month.
    """
    mark, series = strings[0][2], pd.Series(strings, dtype="str")
    n_first, n_last = len({text[:2] for text in strings}), len({text[-2:] for text in strings})
    orders = ["%d.%m.%y"] if mark == "." else ["%d.%m.%y", "%m.%d.%y"]
    orders = ["%y.%m.%d"] if n_first < n_last else orders if n_last < n_first else [*orders, "%y.%m.%d"]
    written = [order.replace(".", mark) for order in orders]
    readable = [each for each in written if read_dates(series, each).notna().all()]
    return readable[0] if len(readable) == 1 else None


def read_dates(texts: "pd.Series[str]", written: str) -> "pd.Series[pd.Timestamp]":
    """Return the times that texts stand for, in UTC, NaT for what is none.

    Args:
        texts: What `plain_date` returned.
        written: What `date_format` returned.
    """
    how = {"format": "mixed", "dayfirst": True} if written == MIXED_DAYS_FIRST else {"format": written}
    times: pd.Series[pd.Timestamp] = pd.to_datetime(texts, errors="coerce", utc=True, **how)
    return times


def _is_likely(strings: Sequence[str], holds: Callable[[str], bool]) -> bool:
    """Say whether half of up to a thousand strings, spread evenly, are of some form: most columns fail at once."""
    looked_at = strings[:: max(1, len(strings) // N_LOOKED_AT)]
    return sum(map(holds, looked_at)) >= MIN_LIKELY_SHARE * len(looked_at)


def number_date_format(numbers: Sequence[float]) -> str | None:
    """Find out how a column writes its dates as numbers.

    Args:
        numbers: Its different cells, none missing.

    Returns:
        A format for `strptime` if they are calendar days (20240105), with a time (20240105083000), months (202401) or
        years (2024); "days of Excel" for numbers such as 45296; otherwise the unit that they count since 1970, by the
        size of the largest: "s", "ms", "us" or "ns"; None if they are none of these. One cell in twenty may be
        something else, where there are more than ten dates.

    Example:
        >>> number_date_format([20240105, 20231231]), number_date_format([1704412800.0]), number_date_format([45296])
        ('%Y%m%d', 's', 'days of Excel')
        >>> number_date_format([1.0, 2.0]) is None
        True
    """
    texts = [f"{number:.0f}" if float(number).is_integer() else "" for number in numbers]
    for written, n_digits in DATES_IN_DIGITS.items():
        if _is_enough(sum(len(text) == n_digits for text in texts), len(texts)):
            days = pd.to_datetime(pd.Series(texts, dtype="str"), format=written, errors="coerce")
            is_plausible = days.dt.year.between(*PLAUSIBLE_YEARS)
            if _is_enough(int(is_plausible.sum()), len(texts)):
                return written
    smallest, largest = min(numbers, default=0.0), max(numbers, default=0.0)
    if smallest >= MIN_EXCEL_DAYS and largest < MAX_EXCEL_DAYS:
        return EXCEL_DAYS
    if max(abs(smallest), abs(largest)) < MIN_SECONDS_SINCE_1970:
        return None
    return next(unit for unit, limit in UNITS_SINCE_1970.items() if largest < limit)


def read_flag(cell: object) -> bool | None:
    """Return True or False for a cell that stands for one of them, None for others.

    Example:
        >>> [read_flag(cell) for cell in (True, 0, "yes", "FALSE", 1.0, "A", 2)]
        [True, False, True, False, True, None, None]
    """
    text = str(cell).strip().casefold().removesuffix(".0")
    return True if text in _TRUE else False if text in _FALSE else None
