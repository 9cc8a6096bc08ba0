"""How numbers and booleans are written: strings to the format that they follow, and one string to its value."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

DecimalSeparator: TypeAlias = Literal[".", ","]
MIN_PARSED_FRACTION, MIN_PARSED = 0.95, 10
MAX_SAMPLED, MIN_LIKELY_FRACTION = 1_000, 0.5
N_GROUPED_DIGITS = 3
MAX_EXACT_INTEGER = 2**53  # floats hold all integers up to it
MAX_INTEGER = 10**300  # floats end beyond
MAX_DIGITS = 4_000  # Python refuses to read more than 4,300
BLANKS = " \u00a0\u202f"
_SIGN, _END = r"[+\-\u2212]?", r"(?:[eE][+-]?\d+)?(?:\s?%)?"
_GROUPED, _PLAIN = r"[1-9]\d{{0,2}}(?:{thousands}\d{{3}})+(?:{decimal}\d*)?", r"\d+{decimal}?\d*|{decimal}\d+"
_THOUSANDS = {".": "[.]", ",": ",", " ": f"[{BLANKS}]", "'": r"['\u2019]"}


@dataclass(frozen=True)
class NumberFormat:
    """How a column writes its numbers.

    Args:
        decimal: Decimal separator.
        thousands: Separator of thousands: "", ",", ".", "'" or " " (any blank).
        offset: Subtracted before conversion to float64, so that integers above 2**53 stay distinct.
    """

    decimal: DecimalSeparator = "."
    thousands: str = ""
    offset: int = 0


def _pattern(number_format: NumberFormat) -> re.Pattern[str]:
    decimal = re.escape(number_format.decimal)
    plain = _PLAIN.format(decimal=decimal)
    if number_format.thousands:
        grouped = _GROUPED.format(decimal=decimal, thousands=_THOUSANDS[number_format.thousands])
        plain = f"{grouped}|{plain}"
    return re.compile(rf"{_SIGN}(?:{plain}){_END}")


NUMBER_FORMATS = tuple(
    NumberFormat(decimal, thousands)  # type: ignore[arg-type]
    for decimal, thousands in ((".", ""), (".", ","), (",", ""), (",", "."), (".", " "), (",", " "), (".", "'"))
)
_PATTERNS = {(each.decimal, each.thousands): _pattern(each) for each in NUMBER_FORMATS}
_SOME_NUMBER = re.compile("|".join(pattern.pattern for pattern in _PATTERNS.values()))
_LEADING_ZERO = re.compile(r"0\d+")
_INTEGER = re.compile(r"[+\-\u2212]?\d+")
_AMBIGUOUS = re.compile(rf"{_SIGN}[1-9]\d{{0,2}}([.,])\d{{3}}")
_ONLY_POINT, _ONLY_COMMA = (
    re.compile(
        rf"{_SIGN}(?:0?{decimal}\d+|\d+{decimal}(?:\d{{1,2}}|\d{{4,}})|[\d{other}]*{other}\d{{3}}{decimal}\d+){_END}"
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
        are_numbers: Whether strings of digits that begin with 0 are numbers and not codes.

    Returns:
        The format; None if these are not numbers. One cell in twenty may be something else, where there are more than
        ten numbers.

    Example:
        >>> infer_number_format(["1,234.5", "7"])
        NumberFormat(decimal='.', thousands=',', offset=0)
        >>> infer_number_format(["2.309", "237"]).thousands, infer_number_format(["2.309", "237"], ",").thousands
        ('', '.')
        >>> infer_number_format(["007", "012"]), infer_number_format(["1", "b"])
        (None, None)
    """
    if not strings or not is_likely(strings, is_number):
        return None
    stripped = [string.strip() for string in strings]
    if not are_numbers and are_codes(stripped):
        return None
    best, n_best = None, 0
    for each in sorted(NUMBER_FORMATS, key=lambda each: each.decimal != decimal):
        n_parsed = sum(_PATTERNS[each.decimal, each.thousands].fullmatch(string) is not None for string in stripped)
        if n_parsed > n_best:
            best, n_best = each, n_parsed
        if n_best == len(stripped):
            break
    return best if is_enough(n_best, len(stripped)) else None


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
        text = string.strip()
        if match := _AMBIGUOUS.fullmatch(text):
            found.setdefault(match[1], text)
        elif not _INTEGER.fullmatch(text) or len(text.lstrip("+-\u2212")) > N_GROUPED_DIGITS:
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
    stripped = [string.strip() for string in strings]
    n_points, n_commas = (sum(map(bool, map(pattern.fullmatch, stripped))) for pattern in (_ONLY_POINT, _ONLY_COMMA))
    if n_points == n_commas:
        return None
    return "." if n_points > n_commas else ","


def parse_number(text: str, number_format: NumberFormat) -> float:
    """Return the number that a text is, minus the offset of its format; NaN if it is not a number.

    Args:
        text: The text.
        number_format: Format of its column.

    Example:
        >>> parse_number("1.234,5", NumberFormat(",", ".")), parse_number("12%", NumberFormat())
        (1234.5, 12.0)
        >>> parse_number("1152921504606846977", NumberFormat(offset=2**60))
        1.0
    """
    text, offset = text.strip(), number_format.offset
    if not _PATTERNS[number_format.decimal, number_format.thousands].fullmatch(text):
        return float("inf") if text.casefold().lstrip("+-") in {"inf", "infinity"} else float("nan")
    text = text.rstrip("%").rstrip().replace("\u2212", "-")
    for separator in f"{BLANKS}\u2019'":
        text = text.replace(separator, "")
    if number_format.thousands in {",", "."}:
        text = text.replace(number_format.thousands, "")
    text = text.replace(number_format.decimal, ".")
    if offset and (integer := parse_integer(text)) is not None:
        return float(integer - offset) if abs(integer) <= MAX_INTEGER else float(text)
    return float(text) - offset


def is_number(text: str) -> bool:
    """Return whether a text is a number, in any format."""
    return _SOME_NUMBER.fullmatch(text.strip()) is not None


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
    n_zeros = sum(_LEADING_ZERO.fullmatch(string.strip()) is not None for string in strings)
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
