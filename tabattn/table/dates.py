"""How dates, times and durations are written: strings or numbers to the format that they follow, and to values."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from tabattn.table.numbers import is_enough, is_likely
from tabattn.table.units import half_width

Order: TypeAlias = Literal["ymd", "dmy", "mdy"]
Marks: TypeAlias = Literal["ymd", "dmy", "mdy", "none"]
Seconds: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
N_DIGITS = (14, 12, 10)
PLAUSIBLE_YEARS, MARKED_YEARS, RECENT_YEARS = (1800, 2200), (1000, 2700), (1950, 2100)
MIN_DISTINCT_DIGITS = 3
MAX_MONTHLY_YEARS, MAX_SHORT_SPAN = 15, 60
FIRST_EXCEL_DAY, MIN_EXCEL_DAYS, MAX_EXCEL_DAYS = pd.Timestamp(1899, 12, 30), 10_000, 100_000
MIN_SECONDS_SINCE_1970 = 1e8  # fewer are days of 1970 to 1973, and likely to be something else
MAX_LENGTH = 80
MAX_VARIATION, MIN_IRREGULARITY, MIN_STEPS = 1.5, 3.0, 5
SHORT, LAST_SHORT_YEAR, CENTURY = 2, 68, 100  # of this century, as POSIX has it
DAY, HOUR, MINUTE = 86_400, 3_600, 60
NOON, MIDNIGHT_AFTER = 12, 24
MONTHS = {
    name: number
    for number, names in enumerate(
        ("jan january januar", "feb february februar", "mar march märz mrz", "apr april", "may mai", "jun june juni"), 1
    )
    for name in names.split()
} | {
    name: number
    for number, names in enumerate(
        ("jul july juli", "aug august", "sep sept september", "oct october okt oktober", "nov november"), 7
    )
    for name in names.split()
}
MONTHS |= {"dec": 12, "december": 12, "dez": 12, "dezember": 12}
_WEEKDAY = (
    r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?|(?:mo|di|mi|do|fr|sa|so)\b"
    r"|[월화수목금토일](?:요일)?|[月火水木金土日](?:曜日)?)"
)
_MONTH = "|".join(sorted(MONTHS, key=len, reverse=True))
_AFTERNOON = frozenset({"pm", "p.m.", "p.m", "오후", "午後", "下午"})
HALF = r"[ap]\.?m\b\.?|오전|오후|午前|午後|上午|下午"
_TIME = (
    rf"(?P<before>{HALF})?\s*(?:(?P<hour>\d{{1,2}})"
    r"(?:\s*[시時时点點]\s*(?:(?P<east_minute>\d{1,2})\s*[분分]\s*(?:(?P<east_second>\d{1,2})\s*[초秒])?)?"
    r"|[:.h](?P<minute>\d{2})(?:[:.](?P<second>\d{2})(?:[.,:](?P<fraction>\d{1,9}))?)?)?"
    r"|(?P<compact>\d{4}(?:\d{2}(?:\.\d{1,9})?)?))"
    rf"\s*(?P<after>{HALF})?(?: uhr)?"
    r"\s*(?P<zone>z|(?:utc|gmt)[+-]\d{1,2}(?::?\d{2})?|utc|gmt|kst|jst|cet|cest|est|edt|pst|pdt|[+-]\d{2}:?\d{2}|[+-]\d{2})?"
)
_DATE = re.compile(
    rf"(?:{_WEEKDAY}\.?,?\s+)?(?:"
    r"(?P<year>\d{4}|\d{2}(?=\s*년))\s*(?:(?P<mark>[-/._ ])\s?(?P<month>\d{1,2})(?P=mark)\s?(?P<day>\d{1,2})\.?"
    r"|[년年]\s*(?P<east_month>\d{1,2})\s*[월月](?:\s*(?P<east_day>\d{1,2})\s*[일日号])?"
    rf"|[-/ ](?P<month_between>{_MONTH})[-/ ](?P<day_last>\d{{1,2}})"
    r"|(?P<digits>(?:0[1-9]|1[0-2])\d{2}))"
    r"|(?P<first>\d{1,2})(?P<between>[-/.])\s?(?P<second_part>\d{1,2})(?P=between)\s?(?P<last>\d{4}|\d{2})\.?"
    rf"|(?P<day_first>\d{{1,2}})(?:st|nd|rd|th)?[-/. ]{{0,2}}(?P<month_second>{_MONTH})\.?[-/., ']{{0,2}}"
    r"(?P<year_third>\d{4}|\d{2})"
    rf"|(?P<month_first>{_MONTH})\.?[-/. ]{{1,2}}(?P<day_second>\d{{1,2}})(?:st|nd|rd|th)?(?:, ?|[-/. ])"
    r"(?P<year_last>\d{4})"
    rf"|(?P<month_alone>{_MONTH})\.?(?:[-/ '](?P<year_alone>\d{{4}})|[-'](?P<short_year>\d{{2}}))"
    r"|(?P<month_before>0[1-9]|1[0-2])/(?P<year_after>\d{4})"
    r"|(?P<year_of_month>(?:18|19|20|21)\d{2})[-/](?P<month_of_year>0[1-9]|1[0-2])"
    rf")(?:,?\s*\({_WEEKDAY}\)| {_WEEKDAY})?"
    rf"(?:\s*(?P<gap>[T\s,_:-])\s*{_TIME}|(?<=[일日号])\s*{_TIME.replace('?P<', '?P<east_time_')})?",
    re.IGNORECASE,
)
CLOCK = re.compile(_TIME, re.IGNORECASE)
_DAY_OF_MONTH = re.compile(r"[^\W\d_]{3,9}\.?[-'](\d{2})")
_SEASON = re.compile(r"(\d{4})[-/](\d{2})")
_ZONES = {
    "z": 0,
    "utc": 0,
    "gmt": 0,
    "kst": 9,
    "jst": 9,
    "cet": 1,
    "cest": 2,
    "est": -5,
    "edt": -4,
    "pst": -8,
    "pdt": -7,
}
_DIGITS = re.compile(r"(\d{4})(\d{2})(\d{2})(?:(\d{2})(?:(\d{2})(\d{2})?)?)?")
_ISO = r"\d{4}-\d\d-\d\d(?:[T ](?:[01]\d|2[0-3]):\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)?)?"


@dataclass(frozen=True)
class DateFormat:
    """How a column writes its dates.

    Args:
        order: The order of year, month and day in dates such as 01/02/2024 or 01.02.24. Dates that begin with four
            digits or name their month need none: "none" where the column has no others.
        has_zone: Whether times name their zone.
    """

    order: Marks = "none"
    has_zone: bool = False


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


class DateParts(NamedTuple):
    """Dates taken apart, an element for each text.

    Args:
        parts: The three numbers of each date in the order in which they stand, shape (text, 3); 0 for other texts.
        orders: The orders in which each date can be read by its form: True at the place of an order in `ORDERS`.
        seconds: Seconds since midnight UTC, which may be of the day before or of the next one.
        has_zone: Which name their time zone.
    """

    parts: np.ndarray[Any, np.dtype[np.int64]]
    orders: np.ndarray[Any, np.dtype[np.bool_]]
    seconds: Seconds
    has_zone: "np.ndarray[Any, np.dtype[np.bool_]]"

    def times(self, marks: Marks) -> "pd.Series[pd.Timestamp]":
        """Return the times that the texts stand for, NaT where they are none.

        Args:
            marks: The order of dates that begin neither with four digits nor name their month.
        """
        order: Order = "ymd" if marks == "none" else marks
        chosen = np.where(self.is_open, self.orders[:, ORDERS.index(order)], self.orders[:, 0])
        places = np.where(self.is_open[:, None], [order.index(part) for part in "ymd"], [0, 1, 2])
        year, month, day = np.take_along_axis(self.parts, places, axis=1).T
        is_short = self.is_open & (year < CENTURY)
        year = np.where(is_short, year + np.where(year <= LAST_SHORT_YEAR, 2000, 1900), year)
        is_date = chosen & (month >= 1) & (month <= 12) & (day >= 1) & (year >= 1) & (year <= 9999)
        months = ((np.where(is_date, year, 1970) - 1970) * 12 + np.where(is_date, month, 1) - 1).astype("datetime64[M]")
        last = (months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")
        is_date &= day <= last.astype(np.int64)
        days = months.astype("datetime64[D]").astype(np.int64) + np.where(is_date, day, 1) - 1
        microseconds = days * (DAY * 1_000_000) + np.round(self.seconds * 1e6).astype(np.int64)
        stamps = np.where(is_date, microseconds.astype("datetime64[us]"), np.datetime64("NaT", "us"))
        return pd.Series(pd.DatetimeIndex(stamps).tz_localize("UTC"))

    @property
    def is_open(self) -> "np.ndarray[Any, np.dtype[np.bool_]]":
        """Which dates can be read in several orders by their form."""
        return np.asarray(self.orders[:, 1:].any(axis=1), dtype=bool)


ORDERS: tuple[Order, ...] = ("ymd", "dmy", "mdy")
NO_DATE = ((0, 0, 0), (False, False, False), 0.0, False)
FIXED, DAY_OR_MONTH, ANY_ORDER = (True, False, False), (False, True, True), (True, True, True)


def infer_date_format(strings: Sequence[str]) -> DateFormat | None:
    """Infer how a column writes its dates, by its strings alone, see `infer_dates`.

    Args:
        strings: Its distinct cells, none missing.

    Example:
        >>> infer_date_format(["13/02/2024", "01/02/2024"])
        DateFormat(order='dmy', has_zone=False)
        >>> infer_date_format(["lot 1", "lot 2"]) is None
        True
    """
    return infer_dates(strings, lambda times: times)[0]


def infer_dates(
    strings: Sequence[str], in_rows: Callable[["pd.Series[pd.Timestamp]"], "pd.Series[pd.Timestamp]"]
) -> tuple[DateFormat | None, str | None]:
    """Infer how a column writes its dates.

    Where the order of day and month is open in all cells, the one in which the rows follow each other in time is
    taken; where neither or both do, the month stands first, but after it where points or hyphens separate them.

    Args:
        strings: Its distinct cells, none missing.
        in_rows: Takes the times of these and returns those of all rows, in their order.

    Returns:
        The format, None if these are not dates: one cell in twenty may be something else, where there are more than ten
        dates. And a date that can be read in two ways, if nothing decides.
    """
    if not strings or not is_likely(strings, is_date):
        return None, None
    dates = date_parts(strings)
    readings = {order: dates.times(order) for order in ORDERS}
    counts = {order: int(times.notna().sum()) for order, times in readings.items()}
    n_most = max(counts.values())
    if not is_enough(n_most, len(strings)) or _are_seasons(strings):
        return None, None
    has_zone = bool(dates.has_zone.any())
    is_open = dates.is_open & dates.orders[:, 1]
    if not is_open.any():
        return DateFormat(has_zone=has_zone), None
    stamps = np.array([readings[order].dt.tz_localize(None).to_numpy() for order in ORDERS])
    differs = is_open & ((stamps != stamps[1]) & ~np.isnat(stamps)).any(axis=0)
    example = strings[int(np.flatnonzero(differs if differs.any() else is_open)[0])]
    orders = [order for order in ORDERS if counts[order] == n_most]
    if len(orders) > 1 and (by_time := _in_time({order: in_rows(readings[order]) for order in orders})):
        orders = [by_time]
    is_sure = len(orders) == 1
    if not is_sure:
        likely, is_sure = _likely_orders(strings, dates)
        orders = [order for order in likely if order in orders] or orders
    years = readings[orders[0]].dt.year
    is_short = bool(dates.orders[is_open, 0].any())
    is_long_ago = is_short and years.max() - years.min() > MAX_SHORT_SPAN
    if is_sure and is_long_ago:
        in_one_way = is_open & ((~np.isnat(stamps)).sum(axis=0) == 1)
        example = strings[int(np.flatnonzero(in_one_way if in_one_way.any() else is_open)[0])]
    return DateFormat(orders[0], has_zone), None if is_sure and not is_long_ago else example


def _are_seasons(strings: Sequence[str]) -> bool:
    """Return whether strings such as 2009/10 name a year and the next one, or such as Jan-17 a day without a year."""
    found = [_SEASON.fullmatch(string.strip()) for string in strings]
    if all(each is not None and (int(each[1]) + 1) % CENTURY == int(each[2]) for each in found):
        return True
    days = [_DAY_OF_MONTH.fullmatch(string.strip()) for string in strings]
    return all(days) and len({each[1] for each in days if each is not None}) > MAX_MONTHLY_YEARS


def _likely_orders(strings: Sequence[str], dates: DateParts) -> tuple[list[Order], bool]:
    """Return the orders in which dates are likely to be read by their marks, and whether the first one is sure enough.

    The year is the part that takes fewer values. With points the day stands before the month.
    """
    where = np.flatnonzero(dates.is_open)
    marks = {next(each for each in strings[i] if each in "-/.") for i in where[:100]}
    months: list[Order] = ["mdy", "dmy"] if marks == {"/"} else ["dmy", "mdy"]
    has_points = marks == {"."}
    is_short = dates.orders[where, 0]
    if not is_short.all():
        return months, has_points
    n_first, n_last = (len(np.unique(dates.parts[where, place])) for place in (0, 2))
    if n_first < n_last:
        return ["ymd", *months], False
    return ([*months, "ymd"], has_points) if n_last < n_first else ([*months, "ymd"], False)


def _in_time(readings: dict[Order, "pd.Series[pd.Timestamp]"]) -> Order | None:
    """Return the only order in which the rows follow each other in time, or do so in more even steps and less time."""
    found: dict[Order, tuple[float, float]] = {}
    for order, times in readings.items():
        times = times.dt.tz_localize(None) if times.dt.tz is not None else times
        steps = np.diff(times.dropna().to_numpy().astype("datetime64[us]").astype(np.float64))
        if len(steps) >= MIN_STEPS and (span := abs(steps.sum())) > 0 and np.abs(steps).sum() <= MAX_VARIATION * span:
            sizes = np.abs(steps[steps != 0])
            found[order] = (float(sizes.max() / np.median(sizes)), float(span))
    if len(found) < 2:
        return next(iter(found), None)
    evenest, second = sorted(found, key=lambda order: found[order][0])[:2]
    is_even = found[second][0] > MIN_IRREGULARITY * found[evenest][0]
    return evenest if is_even and found[evenest][1] <= min(span for _, span in found.values()) else None


def is_date(text: str) -> bool:
    """Return whether a text has the form of a date.

    Example:
        >>> [is_date(text) for text in ("2024-03-05", "5.3.2024 24:00", "15-MAY-21", "20230301T0100", "lot 5", "2024")]
        [True, True, True, True, False, False]
    """
    return _date_of(text) != NO_DATE


def date_parts(texts: Sequence[str]) -> DateParts:
    """Take dates apart.

    Args:
        texts: Any texts.

    Example:
        >>> dates = date_parts(["2024년 3월 5일 오후 3:10", "2023-03-01 24:00", "x"])
        >>> [str(time) for time in dates.times("ymd")]
        ['2024-03-05 15:10:00+00:00', '2023-03-02 00:00:00+00:00', 'NaT']
    """
    found = [_date_of(text) for text in texts]
    return DateParts(
        np.array([each[0] for each in found], dtype=np.int64).reshape(-1, 3),
        np.array([each[1] for each in found], dtype=bool).reshape(-1, 3),
        np.array([each[2] for each in found], dtype=np.float64),
        np.array([each[3] for each in found], dtype=bool),
    )


def _date_of(text: str) -> tuple[tuple[int, int, int], tuple[bool, bool, bool], float, bool]:
    """Return the numbers of a date, the orders in which they can be read, seconds since midnight, if it has a zone."""
    if len(text) > MAX_LENGTH:
        return NO_DATE
    text = " ".join(half_width(text).split())
    if digits := _DIGITS.fullmatch(text):
        return _of_digits(digits)
    found = _DATE.fullmatch(text)
    if found is None:
        return NO_DATE
    of = found.groupdict()
    prefix = "east_time_" if of["east_time_hour"] or of["east_time_compact"] else ""
    times = {name: of[prefix + name] for name in CLOCK.groupindex}
    seconds = 0.0 if times["hour"] is None and times["compact"] is None else seconds_of(times)
    is_month = bool(of["year_of_month"] or of["month_alone"] or of["month_before"])
    has_time = times["hour"] is not None or times["compact"] is not None
    is_serial = of["gap"] in {"-", "_"} and times["minute"] is None  # 20240115-1 is no time
    is_clock = of["gap"] == ":" and len(of["year_third"] or "year") == SHORT  # 03 Jan 10:15 has no year
    if seconds is None or (has_time and (is_month or is_serial or is_clock)):
        return NO_DATE
    has_zone = times["zone"] is not None
    if of["first"]:
        is_short = len(of["last"]) == SHORT
        if is_short and of["between"] != "/" and not len(of["first"]) == len(of["second_part"]) == SHORT:
            return NO_DATE
        orders = ANY_ORDER if is_short else DAY_OR_MONTH
        return (int(of["first"]), int(of["second_part"]), int(of["last"])), orders, seconds, has_zone
    parts = _fixed(of)
    first, last = MARKED_YEARS if of["mark"] else PLAUSIBLE_YEARS
    return (parts, FIXED, seconds, has_zone) if first <= parts[0] <= last else NO_DATE


def _fixed(of: dict[str, Any]) -> tuple[int, int, int]:
    """Return year, month and day of a date that can be read in one way."""
    if of["digits"]:
        return int(of["year"]), int(of["digits"][:2]), int(of["digits"][2:])
    if of["year"]:
        named = of["month_between"]
        month = MONTHS[named.lower()] if named else int(of["month"] or of["east_month"])
        return _whole_year(of["year"]), month, int(of["day"] or of["east_day"] or of["day_last"] or 1)
    if of["year_of_month"]:
        return int(of["year_of_month"]), int(of["month_of_year"]), 1
    if of["month_before"]:
        return int(of["year_after"]), int(of["month_before"]), 1
    year = _whole_year(of["year_third"] or of["year_last"] or of["year_alone"] or of["short_year"])
    named = of["month_second"] or of["month_first"] or of["month_alone"]
    return year, MONTHS[named.lower()], int(of["day_first"] or of["day_second"] or 1)


def _whole_year(digits: str) -> int:
    year = int(digits)
    return year if len(digits) > 2 else year + (2000 if year <= LAST_SHORT_YEAR else 1900)


def seconds_of(of: dict[str, Any]) -> float | None:
    """Return the seconds since midnight UTC of a time of day, None if there is no such time."""
    if of["compact"]:
        digits = of["compact"]
        hour, minute, second = int(digits[:2]), int(digits[2:4]), float(digits[4:] or 0)
    else:
        hour, minute = int(of["hour"]), int(of["minute"] or of["east_minute"] or 0)
        second = float(f"{of['second'] or of['east_second'] or 0}.{of['fraction'] or 0}")
    half = of["before"] or of["after"]
    if half is not None:
        if not 0 <= hour <= NOON:
            return None
        hour = hour % NOON + NOON * (half.lower() in _AFTERNOON)
    if minute >= MINUTE or second > MINUTE or hour > MIDNIGHT_AFTER or (hour == MIDNIGHT_AFTER and (minute or second)):
        return None
    return hour * HOUR + minute * MINUTE + second - _zone_seconds(of["zone"])


def _zone_seconds(zone: str | None) -> int:
    if zone is None:
        return 0
    if (hours := _ZONES.get(zone.lower())) is not None:
        return hours * HOUR
    signed = zone[3:] if zone[0].isalpha() else zone
    digits = signed[1:].replace(":", "")
    hours, minutes = (int(digits), 0) if len(digits) <= 2 else (int(digits[:-2]), int(digits[-2:]))
    return (-1 if signed[0] == "-" else 1) * (hours * HOUR + minutes * MINUTE)


def _of_digits(found: re.Match[str]) -> tuple[tuple[int, int, int], tuple[bool, bool, bool], float, bool]:
    """Return a date of 8 to 14 digits."""
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
    is_time = hour < MIDNIGHT_AFTER or (hour == MIDNIGHT_AFTER and not minute and not second)
    is_plausible = PLAUSIBLE_YEARS[0] <= year <= PLAUSIBLE_YEARS[1] and 1 <= month <= 12
    if not is_plausible or not is_time or minute >= MINUTE or second > MINUTE:
        return NO_DATE
    return (year, month, day), FIXED, float(hour * HOUR + minute * MINUTE + second), False


def parse_dates(texts: "pd.Series[str]", date_format: DateFormat) -> "pd.Series[pd.Timestamp]":
    """Return the times that texts stand for, in UTC, NaT for other texts.

    Args:
        texts: The texts, NaN where missing.
        date_format: Their format.
    """
    codes, values = pd.factorize(texts)
    distinct = pd.Series([str(text) for text in values], dtype="str")
    is_iso = distinct.str.fullmatch(_ISO).to_numpy(dtype=bool)
    stamps = np.full(len(distinct) + 1, np.datetime64("NaT", "us"))
    iso = pd.to_datetime(distinct[is_iso], errors="coerce", utc=True, format="ISO8601")
    others = date_parts(distinct[~is_iso].tolist()).times(date_format.order)
    places = np.arange(len(distinct))
    for where, times in ((places[is_iso], iso), (places[~is_iso], others)):
        stamps[where] = times.dt.tz_localize(None).to_numpy().astype("datetime64[us]")
    return pd.Series(pd.DatetimeIndex(stamps[codes]).tz_localize("UTC"), index=texts.index)


def parse_counts(counts: "pd.Series[float]", unit: DateUnit) -> "pd.Series[pd.Timestamp]":
    """Return the times that numbers count, in UTC, NaT where they are missing or too large.

    Args:
        counts: The numbers.
        unit: What they count.
    """
    since = {"unit": "D", "origin": FIRST_EXCEL_DAY} if unit is DateUnit.EXCEL_DAYS else {"unit": unit.value}
    times: pd.Series[pd.Timestamp] = pd.to_datetime(counts, errors="coerce", utc=True, **since)
    return times


def plain_digits(text: str) -> str:
    """Return digits as a day that `parse_dates` reads: the first one of a month (202403) or of a year (2024)."""
    is_short = len(text) in {4, 6} and text.isdigit()
    return f"{text}0101"[:8] if is_short and len(text) == 4 else f"{text}01" if is_short else text


def are_digit_dates(numbers: Sequence[float]) -> bool:
    """Return whether distinct numbers are times by their digits beyond doubt: 10, 12 or 14 of them, all plausible.

    Args:
        numbers: The numbers.

    Example:
        >>> are_digit_dates([2023030101, 2023030102, 2023030124]), are_digit_dates([1709596800, 1709596801, 1709596802])
        (True, False)
    """
    texts = [f"{number:.0f}" for number in numbers if float(number).is_integer()]
    lengths = Counter(map(len, texts)).most_common(1)
    if not lengths or lengths[0][0] not in N_DIGITS:
        return False
    years = date_parts([text for text in texts if len(text) == lengths[0][0]]).times("none").dt.year
    n_dates = int(years.between(*RECENT_YEARS).sum())
    return n_dates >= MIN_DISTINCT_DIGITS and is_enough(n_dates, len(numbers))


def infer_numeric_date_format(numbers: Sequence[float]) -> DateFormat | DateUnit | None:
    """Infer how a column writes its dates as numbers.

    Args:
        numbers: Its distinct cells, none missing.

    Returns:
        A format of digits if they are calendar days (20240105), with a time (2024010508, 20240105083000), months
        (202401) or years (2024); days of Excel for numbers such as 45296; otherwise the unit that they count since
        1970, by the size of the largest; None if they match none of these. One cell in twenty may be something else,
        where there are more than ten dates.

    Example:
        >>> infer_numeric_date_format([20240105, 20231231])
        DateFormat(order='none', has_zone=False)
        >>> infer_numeric_date_format([1704412800.0]).value, infer_numeric_date_format([45296]).value
        ('s', 'days of Excel')
        >>> infer_numeric_date_format([1.0, 2.0]) is None
        True
    """
    texts = [plain_digits(f"{number:.0f}") if float(number).is_integer() else "" for number in numbers]
    if texts and is_enough(int(date_parts(texts).times("none").notna().sum()), len(texts)):
        return DateFormat()
    smallest, largest = min(numbers, default=0.0), max(numbers, default=0.0)
    if smallest >= MIN_EXCEL_DAYS and largest < MAX_EXCEL_DAYS:
        return DateUnit.EXCEL_DAYS
    if max(abs(smallest), abs(largest)) < MIN_SECONDS_SINCE_1970:
        return None
    return next(unit for unit, limit in UNITS_SINCE_1970.items() if largest < limit)
