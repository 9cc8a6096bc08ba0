"""How times of day and durations are written."""

import re
from collections.abc import Sequence

from tabattn.table.dates import CLOCK, DAY, HALF, HOUR, MAX_LENGTH, MINUTE, seconds_of

_DURATION = re.compile(
    r"[+-]?(?:\d+ days?,?(?: [+-]?\d{1,2}:[0-5]\d(?::[0-5]\d(?:\.\d+)?)?)?|\d{1,4}:[0-5]\d(?::[0-5]\d(?:\.\d+)?)?)"
)
_SPAN = re.compile(
    r"(?:(?P<days>\d+)\s*(?:일|d|days?)\s*)?(?:(?P<hours>\d+)\s*(?:시간|時間|h|hrs?|hours?)\s*)?"
    r"(?:(?P<minutes>\d+)\s*(?:분|分|m|mins?|minutes?)\s*)?(?:(?P<seconds>\d+(?:\.\d+)?)\s*(?:초|秒|s|secs?|seconds?))?",
    re.IGNORECASE,
)
_WORDED_CLOCK = re.compile(
    rf"(?:{HALF})\s*\d{{1,2}}[:시時].*|\d{{1,2}}\s*[ap]\.?m\.?|\d{{1,2}}:\d{{2}}(?::\d{{2}}(?:\.\d+)?)?\s*(?:{HALF})"
    r"|\d{1,2}\s*[시時时点點]"
    r"(?!間|间|간)(?:\s*\d{1,2}\s*[분分](?:\s*\d{1,2}\s*[초秒])?)?",
    re.IGNORECASE,
)


def is_duration(strings: Sequence[str]) -> bool:
    """Return whether all strings are times of day or durations, such as 08:30, 오후 3:10 or 3 days 02:00:00."""
    return bool(strings) and all(_is_duration(string) for string in strings)


def _is_duration(text: str) -> bool:
    text = text.strip()
    return len(text) <= MAX_LENGTH and (
        _DURATION.fullmatch(text) is not None or _WORDED_CLOCK.fullmatch(text) is not None or _span(text) is not None
    )


def _span(text: str) -> float | None:
    """Return the seconds of a span that names at least two of its units, None for other texts."""
    found = _SPAN.fullmatch(text)
    named = {} if found is None else {unit: float(number) for unit, number in found.groupdict().items() if number}
    if len(named) < 2:
        return None
    return sum(
        number * {"days": DAY, "hours": HOUR, "minutes": MINUTE, "seconds": 1}[unit] for unit, number in named.items()
    )


def plain_duration(text: str) -> str:
    """Return a time of day or a duration as pandas reads it: with seconds.

    Example:
        >>> plain_duration("08:30"), plain_duration("3 days, 2:00:00"), plain_duration("-03:30")
        ('08:30:00', '3 days 2:00:00', '-03:30:00')
        >>> plain_duration("오후 3:10"), plain_duration("9시 5분")
        ('54600 s', '32700 s')
    """
    text = text.strip().replace("days,", "days").replace("day,", "day")
    if not _DURATION.fullmatch(text) and (span := _span(text)) is not None:
        return f"{span:.15g} s"
    if _WORDED_CLOCK.fullmatch(text) and (clock := CLOCK.fullmatch(text)):
        seconds = seconds_of(clock.groupdict())
        return "" if seconds is None else f"{seconds:.15g} s"
    return f"{text}:00" if text.count(":") == 1 else text
