"""How numbers and booleans are written: strings to the format that they follow, and one string to its value."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

from tabattn.table.units import MAX_UNIT_LENGTH, PREFIXES, canonical_unit, half_width, is_unit

DecimalSeparator: TypeAlias = Literal[".", ","]
MIN_PARSED_FRACTION, MIN_PARSED = 0.95, 10
MAX_SAMPLED, MIN_LIKELY_FRACTION = 1_000, 0.5
MAX_CENSORED_FRACTION = 0.5
N_GROUPED_DIGITS = 3
MAX_EXACT_INTEGER = 2**53  # floats hold all integers up to it
MAX_INTEGER = 10**300  # floats end beyond
MAX_DIGITS = 4_000  # Python refuses to read more than 4,300
MAX_LENGTH = 2_000  # of a cell that is a number
MIN_UNIT_FRACTION = 0.1
MAX_UNITS, MAX_SHOWN, MAX_KEPT = 3, 40, 40
MIN_FEW, MIN_FEW_FRACTION = 2, 0.8
BLANKS = " \u00a0\u202f\u2009"
QUOTES = "'\u2019"
_POWER_OF_TEN = r"(?:[eE][+-]?\d{1,5})?"
_BODY = rf"(?:\d+(?:[.,{BLANKS}{QUOTES}]\d+)*[.,]?|[.,]\d+)"
_PREFIX = "|".join(re.escape(each) for each in sorted(PREFIXES, key=len, reverse=True))
_CELL = re.compile(
    rf"(?P<mark><=|>=|=<|=>|[<>≤≥≦≧⩽⩾])?\s*(?P<sign>[+-])?\s*(?P<prefix>{_PREFIX})?(?P<gap>\s*)(?P<inner>[+-])?"
    rf"(?P<body>{_BODY}{_POWER_OF_TEN})[{BLANKS}]*(?P<rest>[^\t]*)",
    re.DOTALL,
)
_UNCERTAINTY = re.compile(rf"([^±+]*)(?:±|\+/-)\s*{_BODY}{_POWER_OF_TEN}([^±]*)")
_BRACKETED = re.compile(rf"({_PREFIX}|)\s*\(([^()]+)\)\s*(%|)")
_DASHES = frozenset("\u2012\u2013\u2014\u2212")
_WORD_BEFORE = re.compile(r"([^\W\d_]{1,5}[.$]?\s?)(\d[\d.,]*[.,]\d+)")
_LIMIT_WORDS = {
    "이하": "<",
    "미만": "<",
    "이상": ">",
    "초과": ">",
    "以下": "<",
    "未満": "<",
    "未满": "<",
    "以上": ">",
    "超": ">",
}
_GROUPED = r"[1-9]\d{{0,2}}(?:{thousands}\d{{3}})+(?:{decimal}\d*)?{power}"
_LAKH = r"|[1-9]\d?(?:,\d{{2}})+,\d{{3}}(?:{decimal}\d*)?{power}"
_PLAIN = r"\d+(?:{decimal}\d*)?{power}|{decimal}\d+{power}"
_THOUSANDS = {".": "[.]", ",": ",", " ": f"[{BLANKS}]", "'": f"[{QUOTES}]"}


@dataclass(frozen=True)
class NumberFormat:
    """How a column writes its numbers.

    Args:
        decimal: Decimal separator.
        thousands: Separator of thousands: "", ",", ".", "'" or " " (any blank).
        offset: Subtracted before conversion to float64, so that integers above 2**53 stay distinct.
        prefix: What stands in front of the numbers, such as "$".
        suffix: What stands behind them, such as "kg".
    """

    decimal: DecimalSeparator = "."
    thousands: str = ""
    offset: int = 0
    prefix: str = ""
    suffix: str = ""

    @property
    def unit(self) -> str:
        """What stands around the numbers, in words for people."""
        return f"{self.prefix} {self.suffix}".strip()

    @property
    def marks(self) -> tuple[DecimalSeparator, str]:
        """The separators."""
        return self.decimal, self.thousands


class NumberParts(NamedTuple):
    """A cell that is a number, in pieces.

    Args:
        body: The digits, with their separators and power of ten.
        is_negative: Whether the number is below zero: by a sign on either side, or by parentheses.
        limit: The mark of a limit, such as "<"; "" without one.
        prefix: What stands in front.
        suffix: What stands behind.
    """

    body: str
    is_negative: bool
    limit: str
    prefix: str
    suffix: str


def _pattern(number_format: NumberFormat) -> re.Pattern[str]:
    parts = {"decimal": re.escape(number_format.decimal), "power": _POWER_OF_TEN}
    plain = _PLAIN.format(**parts)
    if number_format.thousands:
        grouped = _GROUPED + (_LAKH if number_format.thousands == "," else "")
        plain = f"{grouped.format(thousands=_THOUSANDS[number_format.thousands], **parts)}|{plain}"
    return re.compile(plain)


NUMBER_FORMATS = tuple(
    NumberFormat(decimal, thousands)  # type: ignore[arg-type]
    for decimal, thousands in ((".", ""), (".", ","), (",", ""), (",", "."), (".", " "), (",", " "), (".", "'"))
)
_PATTERNS = {each.marks: _pattern(each) for each in NUMBER_FORMATS}
_ADDRESS = re.compile(r"(?:[12]?\d?\d\.){3}[12]?\d?\d")
_LEADING_ZERO = re.compile(r"0\d+")
_INTEGER = re.compile(r"[+\-\u2212]?\d+")
_AMBIGUOUS = re.compile(r"[1-9]\d{0,2}([.,])\d{3}")
_ONLY_POINT, _ONLY_COMMA = (
    re.compile(
        rf"(?:0?{decimal}\d+|\d+{decimal}(?:\d{{1,2}}|\d{{4,}})|\d{{1,3}}(?:{other}\d{{3}})+{decimal}\d+)"
        f"{_POWER_OF_TEN}"
    )
    for decimal, other in ((r"\.", ","), (",", r"\."))
)
TRUE_WORDS = frozenset({"true", "t", "yes", "y", "on", "1", "wahr", "ja", "예", "네"})
FALSE_WORDS = frozenset({"false", "f", "no", "n", "off", "0", "falsch", "nein", "아니오", "아니요"})
BOOLEAN_WORDS = frozenset({"true", "false", "wahr", "falsch"})


def infer_number_format(
    strings: Sequence[str], decimal: DecimalSeparator = ".", *, are_numbers: bool = False
) -> NumberFormat | None:
    """Infer how a column writes its numbers.

    Args:
        strings: Its distinct cells, none missing.
        decimal: The decimal separator to prefer if the cells can be read in two ways.
        are_numbers: Whether this is a column of numbers: then strings of digits that begin with 0 are not codes, and
            whatever stands behind all numbers alike is their unit.

    Returns:
        The format; None if these are not numbers. One cell in twenty may be something else, where there are more than
        ten numbers. At most half of the numbers may be limits, such as "<0.03".

    Example:
        >>> infer_number_format(["1,234.5", "7"]).marks, infer_number_format(["$5", "$1,250"]).prefix
        (('.', ','), '$')
        >>> infer_number_format(["2.309", "237"]).thousands, infer_number_format(["2.309", "237"], ",").thousands
        ('', '.')
        >>> infer_number_format(["007", "012"]), infer_number_format(["1", "b"]), infer_number_format(["5 kg", "9 g"])
        (None, None, None)
    """
    holds = is_like_number if are_numbers else is_number
    if not strings or not is_likely(strings, holds):
        return None
    if not are_numbers and are_codes(strings):
        return None
    every = [number_parts(string) for string in strings]
    parts = [each for each in every if each is not None and (are_numbers or _has_known_unit(each))]
    affixes: dict[tuple[str, str], tuple[str, str]] = {}
    for each in parts:
        affixes.setdefault((canonical_unit(each.prefix), canonical_unit(each.suffix)), (each.prefix, each.suffix))
    affixes.pop(("", ""), None)
    n_limits = sum(bool(each.limit) for each in parts)
    n_codes = sum(part.body[:1] == "0" and part.body[1:].isdigit() for part in parts)
    if affixes and not are_numbers and n_codes > (1 - MIN_PARSED_FRACTION) * len(parts):
        return None
    if len(affixes) > 1 or n_limits > MAX_CENSORED_FRACTION * len(parts) or _are_marks(strings, parts):
        return None
    best, n_best = None, 0
    for known in sorted(NUMBER_FORMATS, key=lambda known: known.decimal != decimal):
        n_parsed = sum(_PATTERNS[known.marks].fullmatch(part.body) is not None for part in parts)
        if n_parsed > n_best:
            best, n_best = known, n_parsed
        if n_best == len(parts):
            break
    if best is None or not is_enough(n_best, len(strings)):
        return None
    prefix, suffix = next(iter(affixes.values()), ("", ""))
    return replace(best, prefix=prefix, suffix=suffix)


def _are_marks(strings: Sequence[str], parts: Sequence["NumberParts"]) -> bool:
    """Return whether strings are marks, not numbers: grades such as 1-, items such as (1), addresses of four parts."""
    if all(string.strip()[-1:] == ")" for string in strings) and all(part.body.isdigit() for part in parts):
        return True
    is_grade = any(string.strip()[-1:] == "-" for string in strings)
    return (is_grade and all(len(part.body) == 1 for part in parts)) or all(
        _ADDRESS.fullmatch(part.body) is not None for part in parts
    )


def number_parts(text: str) -> NumberParts | None:
    """Take a cell that is a number apart, whatever its format and its unit; None for other cells.

    Example:
        >>> number_parts("<0.03 mg/L")
        NumberParts(body='0.03', is_negative=False, limit='<', prefix='', suffix='mg/L')
        >>> [number_parts(text).is_negative for text in ("(1,234.5)", "12-", "-$5", "5 ± 0.1")]
        [True, True, True, False]
    """
    return _short_parts(text) if len(text) <= MAX_KEPT else None if len(text) > MAX_LENGTH else _parts(text)


def _parts(text: str) -> NumberParts | None:
    text = half_width(text.strip()) if not text.isascii() else text.strip()
    if text.startswith(("'", '="', '"')):  # how spreadsheets and their exports mark text
        text = text.removeprefix("=").strip("'\"")
    if text[:1] in _DASHES:
        text = f"-{text[1:]}"
    bracketed = _BRACKETED.fullmatch(text)
    is_bracketed = bracketed is not None
    found = _CELL.fullmatch(text if bracketed is None else f"{bracketed[1]}{bracketed[2].strip()}{bracketed[3]}")
    if found is None:
        return None
    rest, limit = found["rest"].strip(), found["mark"] or ""
    if rest and (uncertain := _UNCERTAINTY.fullmatch(rest)):
        rest = uncertain[1].strip() or uncertain[2].strip()
    if rest and (word := rest.split()[-1]) in _LIMIT_WORDS:
        rest, limit = rest.removesuffix(word).strip(), _LIMIT_WORDS[word]
    if rest in {"-", "--"} and found["body"][-1] in ",.":  # 12,- is a price of 12
        rest = ""
    is_behind = rest == "-"
    signs = [sign for sign in (found["sign"], found["inner"], rest if is_behind else None) if sign]
    suffix = "" if is_behind else rest
    if (
        len(signs) + is_bracketed > 1
        or len(suffix) > MAX_UNIT_LENGTH
        or ":" in suffix
        or any(map(str.isdigit, suffix[:1]))
    ):
        return None
    prefix, is_glued = found["prefix"] or "", found["body"].isdigit() and not found["gap"]
    if prefix[-1:].isalpha() and is_glued:  # RM101 is a room
        return None
    if suffix.startswith((".", ",", ":", ";", "_", "~", "'", "-", "+", "/")):
        return None
    return NumberParts(
        body=found["body"],
        is_negative=is_bracketed or "-" in signs,
        limit=limit,
        prefix=found["prefix"] or "",
        suffix=suffix,
    )


@lru_cache(maxsize=65_536)
def _short_parts(text: str) -> NumberParts | None:
    return _parts(text)


def _has_known_unit(parts: NumberParts) -> bool:
    return not parts.suffix or is_unit(parts.suffix)


def is_enough(n_parsed: int, n_strings: int) -> bool:
    """Return whether enough strings have a form to read their column in that form.

    Args:
        n_parsed: How many have the form.
        n_strings: How many there are.

    Returns:
        True if all have it, or more than ten and 95 %.
    """
    return n_parsed == n_strings or (n_parsed > MIN_PARSED and n_parsed >= MIN_PARSED_FRACTION * n_strings)


def is_likely(strings: Sequence[str], holds: Callable[[str], bool]) -> bool:
    """Return whether half of up to a thousand strings, spread evenly, have a form: most columns fail this check.

    Args:
        strings: All strings.
        holds: Whether one has the form.
    """
    sampled = strings[:: max(1, len(strings) // MAX_SAMPLED)]
    return sum(map(holds, sampled)) >= MIN_LIKELY_FRACTION * len(sampled)


def ambiguous_number(strings: Iterable[str]) -> str | None:
    """Return a number whose separator may be one of decimals or of thousands, if no cell of its column decides.

    Args:
        strings: The distinct cells of the column, none missing.

    Example:
        >>> ambiguous_number(["17.027", "237"]), ambiguous_number(["17.027", "0.5"])
        ('17.027', None)
    """
    found: dict[str, str] = {}
    for string in strings:
        parts = number_parts(string)
        if parts is None:
            return None
        if match := _AMBIGUOUS.fullmatch(parts.body):
            found.setdefault(match[1], string.strip())
        elif not parts.body.isdigit() or len(parts.body) > N_GROUPED_DIGITS:
            return None
    return next(iter(found.values())) if len(found) == 1 else None


def infer_decimal(strings: Iterable[str]) -> DecimalSeparator | None:
    """Infer which decimal separator the cells of a table are written with, whatever they hold.

    Args:
        strings: Cells.

    Returns:
        The separator of most numbers that can be read in one way only; None if neither has the majority.

    Example:
        >>> infer_decimal(["3,14", "17.027", "A"]), infer_decimal(["17.027", "2,309"])
        (',', None)
    """
    bodies = [parts.body for parts in map(number_parts, strings) if parts is not None]
    n_points, n_commas = (sum(map(bool, map(pattern.fullmatch, bodies))) for pattern in (_ONLY_POINT, _ONLY_COMMA))
    if n_points == n_commas:
        return None
    return "." if n_points > n_commas else ","


def why_not_numbers(strings: Sequence[str]) -> str | None:
    """Return why a column that looks like numbers can't be read as numbers; None if it does not look like numbers.

    Args:
        strings: The distinct cells of a column that `infer_number_format` finds no format for, none missing.

    Example:
        >>> why_not_numbers(["5 kg", "7 kg", "500 g", "1 kg", "2 g", "8 kg", "9 kg", "4 kg", "6 g", "3 kg"])
        "they are of two units, 'kg' and 'g'"
        >>> why_not_numbers(["A", "B"]) is None
        True
    """
    sampled = strings[:: max(1, len(strings) // MAX_SAMPLED)]
    if are_codes(sampled):
        return None
    sampled = _without_prefix(sampled)
    parts = [each for each in map(number_parts, sampled) if each is not None]
    is_short = len(parts) < MIN_PARSED
    if len(parts) < (1 if is_short else MIN_LIKELY_FRACTION) * len(sampled) or len(parts) < MIN_FEW:
        return None
    if _are_marks(sampled, parts) or (is_short and all(each.limit for each in parts)):
        return None
    if sum(_in_some_format(each.body) for each in parts) < MIN_FEW_FRACTION * len(parts):
        return None
    units = Counter(canonical_unit(each.prefix + each.suffix) for each in parts)
    named = [unit for unit, _ in units.most_common() if unit]
    if len(units) > MAX_UNITS:
        return None
    if sum(each.body[:1] == "0" and each.body[1:].isdigit() for each in parts) > MIN_LIKELY_FRACTION * len(parts):
        return None
    is_rare = any(units[unit] < MIN_UNIT_FRACTION * len(parts) for unit in named)
    if len(named) > 1 and (all(map(is_unit, named)) or not (is_short or is_rare)):
        return f"they are of {'two' if len(named) == 2 else len(named)} units, {' and '.join(map(repr, named))}"
    others = [string for string in sampled if number_parts(string) is None]
    if others:
        return f"too many cells are none, such as {others[0][:MAX_SHOWN]!r}"
    if is_short and not (named and is_unit(named[0])):
        return None
    if named and units[named[0]] < MIN_LIKELY_FRACTION * len(parts):
        return None
    if named and not is_unit(named[0]):
        return f"{named[0]!r} stands beside them and is no unit"
    if sum(bool(each.limit) for each in parts) > MAX_CENSORED_FRACTION * len(parts):
        return f"most of them are limits, such as {sampled[0]!r}"
    return None if is_short else "their separators differ"


def _without_prefix(strings: Sequence[str]) -> Sequence[str]:
    """Return strings with the word that stands in front of numbers with decimals in all of them behind these."""
    found = [_WORD_BEFORE.fullmatch(string.strip()) for string in strings]
    words = {each[1] for each in found if each is not None}
    if len(words) != 1 or not all(found):
        return strings
    return [f"{each[2]} {each[1].strip()}" for each in found if each is not None]


def parse_number(text: str, number_format: NumberFormat) -> float:
    """Return the number that a text is, minus the offset of its format; NaN if it is not a number of that format.

    Args:
        text: The text; a limit, such as "<0.03", is its value.
        number_format: Format of its column.

    Example:
        >>> parse_number("1.234,5", NumberFormat(",", ".")), parse_number("12%", NumberFormat(suffix="%"))
        (1234.5, 12.0)
        >>> parse_number("1152921504606846977", NumberFormat(offset=2**60))
        1.0
    """
    parts, offset = number_parts(text), number_format.offset
    if parts is None or not _PATTERNS[number_format.marks].fullmatch(parts.body):
        return float("inf") if text.strip().casefold().lstrip("+-") in {"inf", "infinity"} else float("nan")
    own, known = parts.prefix + parts.suffix, number_format.prefix + number_format.suffix
    if own not in {"", known} and canonical_unit(own) != canonical_unit(known):
        return float("nan")
    body = parts.body
    for separator in BLANKS + QUOTES:
        body = body.replace(separator, "")
    if number_format.thousands in {",", "."}:
        body = body.replace(number_format.thousands, "")
    body = ("-" if parts.is_negative else "") + body.replace(number_format.decimal, ".")
    if offset and (integer := parse_integer(body)) is not None:
        return float(integer - offset) if abs(integer) <= MAX_INTEGER else float(body)
    return float(body) - offset


def is_number(text: str) -> bool:
    """Return whether a text is a number, in any format, perhaps with a unit that is known."""
    parts = number_parts(text)
    return parts is not None and _has_known_unit(parts) and _in_some_format(parts.body)


def is_like_number(text: str) -> bool:
    """Return whether a text is a number, in any format, perhaps with anything short around it."""
    parts = number_parts(text)
    return parts is not None and _in_some_format(parts.body)


def is_limit(text: str) -> bool:
    """Return whether a text is a limit: a number after "<", ">", "≤" or "≥"."""
    parts = number_parts(text)
    return parts is not None and bool(parts.limit)


@lru_cache(maxsize=65_536)
def _in_some_format(body: str) -> bool:
    return any(pattern.fullmatch(body) for pattern in _PATTERNS.values())


def parse_integer(text: str) -> int | None:
    """Return the integer that a text of digits is, None if it is another text."""
    text = text.strip().replace("\u2212", "-")
    return int(text) if _INTEGER.fullmatch(text) and len(text) <= MAX_DIGITS else None


def are_codes(strings: Sequence[str]) -> bool:
    """Return whether strings of digits are codes: many begin with 0, or one does and all have the same length.

    Args:
        strings: The distinct cells of a column, none missing.

    Example:
        >>> are_codes(["007", "012"]), are_codes(["05", *map(str, range(99))]), are_codes(["7", "12"])
        (True, False, False)
    """
    strings = [half_width(string.strip()) for string in strings]
    n_zeros = sum(_LEADING_ZERO.fullmatch(string) is not None for string in strings)
    are_many = n_zeros > (1 - MIN_PARSED_FRACTION) * len(strings)
    return are_many or (n_zeros > 0 and len({len(each) for each in strings}) == 1)


def parse_boolean(cell: object) -> bool | None:
    """Return True or False for a cell that stands for one of them, None for others.

    Example:
        >>> [parse_boolean(cell) for cell in (True, 0, "yes", "FALSE", 1.0, "A", 2)]
        [True, False, True, False, True, None, None]
    """
    text = str(cell).strip().casefold().removesuffix(".0")
    return True if text in TRUE_WORDS else False if text in FALSE_WORDS else None
