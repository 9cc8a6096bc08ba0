"""How dates, times and durations are written: strings or numbers to the format that they follow, and to values."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import pandas as pd

from tabattn.process_state import filters_restored, warnings_ignored
from tabattn.table.numbers import is_enough, is_likely

DIGITS_OF = {"%Y%m%d": 8, "%Y%m%d%H%M%S": 14, "%Y%m%d%H%M": 12, "%Y%m": 6, "%Y": 4}
PLAUSIBLE_YEARS = (1800, 2200)
FIRST_EXCEL_DAY, MIN_EXCEL_DAYS, MAX_EXCEL_DAYS = pd.Timestamp(1899, 12, 30), 10_000, 100_000
MIN_SECONDS_SINCE_1970 = 1e8  # fewer are days of 1970 to 1973, and likely to be something else
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
_DURATION = re.compile(
    r"[+-]?(?:\d+ days?,?(?: [+-]?\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?|\d{1,3}:\d{2}(?::\d{2}(?:\.\d+)?)?)"
)


@dataclass(frozen=True)
class DateFormat:
    """How a column writes its dates.

    Args:
        pattern: A format for `strptime`, of what `plain_date` returns; None if there are several.
        day_first: Without a pattern, whether the day stands before the month where both orders are possible.
    """

    pattern: str | None = None
    day_first: bool = False


class DateUnit(StrEnum):
    """What a column of numbers counts, if they are dates: days of Excel, or a unit of time since 1970."""

    EXCEL_DAYS = "days of Excel"
    SECONDS = "s"
    MILLISECONDS = "ms"
    MICROSECONDS = "us"
    NANOSECONDS = "ns"


UNITS_SINCE_1970 = {  # and the number that the next smaller unit is more likely from
    DateUnit.SECONDS: 1e11,
    DateUnit.MILLISECONDS: 1e14,
    DateUnit.MICROSECONDS: 1e17,
    DateUnit.NANOSECONDS: float("inf"),
}


def is_duration(strings: Sequence[str]) -> bool:
    """Return whether all strings are times of day or durations, such as 08:30, 26:15:00, -03:30 or 3 days 02:00:00."""
    return bool(strings) and all(_DURATION.fullmatch(string.strip()) for string in strings)


def plain_duration(text: str) -> str:
    """Return a time of day or a duration as pandas reads it: with seconds.

    Example:
        >>> plain_duration("08:30"), plain_duration("3 days, 2:00:00"), plain_duration("-03:30")
        ('08:30:00', '3 days 2:00:00', '-03:30:00')
    """
    text = text.strip().replace("days,", "days").replace("day,", "day")
    return f"{text}:00" if text.count(":") == 1 else text


def plain_date(text: str) -> str:
    """Return a date without its East Asian words and its spaces, any other text unchanged.

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


def infer_date_format(strings: Sequence[str]) -> DateFormat | None:
    """Infer how a column writes its dates.

    Args:
        strings: Its distinct cells, none missing.

    Returns:
        The format; None if these are not dates. One cell in twenty may be something else, where there are more than ten
        dates.

    Source: skrub's `ToDatetime`, which infers the order of day and month from all cells.

    Example:
        >>> infer_date_format(["13/02/2024", "01/02/2024"])
        DateFormat(pattern='%d/%m/%Y', day_first=False)
        >>> infer_date_format(["lot 1", "lot 2"]) is None
        True
    """
    if not strings or not is_likely(strings, lambda string: _is_date(plain_date(string))):
        return None
    plain = [plain_date(string) for string in strings]
    if all(_SHORT_DATE.fullmatch(text) for text in plain):
        return _infer_short_format(plain)
    dates = [text for text in plain if _DATE.fullmatch(text)]
    if not is_enough(len(dates), len(plain)):
        return None
    with filters_restored():
        from skrub import ToDatetime  # takes half a second, needed for dates only

    with warnings_ignored():
        series = pd.Series(dates, dtype="str")
        mixed = DateFormat(day_first=any(_DAY_FIRST.fullmatch(text) for text in dates))
        days = series[parse_dates(series, mixed).notna()]
        if not is_enough(len(days), len(plain)):
            return None
        try:
            pattern = str(ToDatetime().fit(days.reset_index(drop=True)).format_)
        except ValueError:
            return mixed
        if pattern.startswith("%m."):  # the day stands first where points separate
            day_first = DateFormat(pattern.replace("%m.%d.", "%d.%m."))
            return day_first if parse_dates(days, day_first).notna().all() else DateFormat(pattern)
    return DateFormat(pattern)


def _is_date(text: str) -> bool:
    return _DATE.fullmatch(text) is not None or _SHORT_DATE.fullmatch(text) is not None


def _infer_short_format(strings: Sequence[str]) -> DateFormat | None:
    """Return the only likely order of day, month and year, of two digits each, that reads all dates.

    The year is the part that takes fewer values. With points the day stands before the month.
    """
    separator, series = strings[0][2], pd.Series(strings, dtype="str")
    n_first, n_last = len({text[:2] for text in strings}), len({text[-2:] for text in strings})
    orders = ["%d.%m.%y"] if separator == "." else ["%d.%m.%y", "%m.%d.%y"]
    orders = ["%y.%m.%d"] if n_first < n_last else orders if n_last < n_first else [*orders, "%y.%m.%d"]
    formats = [DateFormat(order.replace(".", separator)) for order in orders]
    readable = [each for each in formats if parse_dates(series, each).notna().all()]
    return readable[0] if len(readable) == 1 else None


def parse_dates(texts: "pd.Series[str]", date_format: DateFormat) -> "pd.Series[pd.Timestamp]":
    """Return the times that texts stand for, in UTC, NaT for other texts.

    Args:
        texts: What `plain_date` returned.
        date_format: Their format.
    """
    how = (
        {"format": "mixed", "dayfirst": date_format.day_first}
        if date_format.pattern is None
        else {"format": date_format.pattern}
    )
    times: pd.Series[pd.Timestamp] = pd.to_datetime(texts, errors="coerce", utc=True, **how)
    return times


def parse_counts(counts: "pd.Series[float]", unit: DateUnit) -> "pd.Series[pd.Timestamp]":
    """Return the times that numbers count, in UTC, NaT where they are missing or too large.

    Args:
        counts: The numbers.
        unit: What they count.
    """
    since = {"unit": "D", "origin": FIRST_EXCEL_DAY} if unit is DateUnit.EXCEL_DAYS else {"unit": unit.value}
    times: pd.Series[pd.Timestamp] = pd.to_datetime(counts, errors="coerce", utc=True, **since)
    return times


def infer_numeric_date_format(numbers: Sequence[float]) -> DateFormat | DateUnit | None:
    """Infer how a column writes its dates as numbers.

    Args:
        numbers: Its distinct cells, none missing.

    Returns:
        A format of digits if they are calendar days (20240105), with a time (20240105083000), months (202401) or years
        (2024); days of Excel for numbers such as 45296; otherwise the unit that they count since 1970, by the size of
        the largest; None if they match none of these. One cell in twenty may be something else, where there are more
        than ten dates.

    Example:
        >>> infer_numeric_date_format([20240105, 20231231])
        DateFormat(pattern='%Y%m%d', day_first=False)
        >>> infer_numeric_date_format([1704412800.0]).value, infer_numeric_date_format([45296]).value
        ('s', 'days of Excel')
        >>> infer_numeric_date_format([1.0, 2.0]) is None
        True
    """
    texts = [f"{number:.0f}" if float(number).is_integer() else "" for number in numbers]
    for pattern, n_digits in DIGITS_OF.items():
        if is_enough(sum(len(text) == n_digits for text in texts), len(texts)):
            days = pd.to_datetime(pd.Series(texts, dtype="str"), format=pattern, errors="coerce")
            is_plausible = days.dt.year.between(*PLAUSIBLE_YEARS)
            if is_enough(int(is_plausible.sum()), len(texts)):
                return DateFormat(pattern)
    smallest, largest = min(numbers, default=0.0), max(numbers, default=0.0)
    if smallest >= MIN_EXCEL_DAYS and largest < MAX_EXCEL_DAYS:
        return DateUnit.EXCEL_DAYS
    if max(abs(smallest), abs(largest)) < MIN_SECONDS_SINCE_1970:
        return None
    return next(unit for unit, limit in UNITS_SINCE_1970.items() if largest < limit)
