"""Units of measurement and currencies, as they stand in cells and in rows under the names."""

import re
import unicodedata
from functools import lru_cache

MAX_UNIT_LENGTH = 16
HALF_WIDTH: dict[int, int | str | None] = {0xFF01 + i: 0x21 + i for i in range(0x7E - 0x21 + 1)} | {
    0x3000: " ",
    0xFFE0: "¢",
    0xFFE1: "£",
}
HALF_WIDTH |= dict.fromkeys((0xFEFF, 0x200B, 0x200E, 0x200F, 0x2060), None)
HALF_WIDTH |= {0xFFE5: "¥", 0xFFE6: "₩", 0x2212: "-", 0xFE63: "-", 0x2010: "-", 0x2011: "-"}
CURRENCIES = (
    *(
        "US$",
        "NT$",
        "HK$",
        "A$",
        "C$",
        "R$",
        "S$",
        "MX$",
        "$",
        "₩",
        "€",
        "¥",
        "£",
        "₹",
        "₽",
        "₺",
        "₫",
        "฿",
        "₪",
        "₴",
        "₱",
        "₦",
        "¢",
        "Fr.",
        "zł",
        "Kč",
        "kr",
        "Rp",
        "RM",
    ),
    *("USD", "KRW", "EUR", "JPY", "GBP", "CNY", "RMB", "CHF", "INR", "TWD", "HKD", "CAD", "AUD", "SEK", "NOK", "DKK"),
    *("MXN", "BRL", "PLN", "CZK", "HUF", "TRY", "ZAR", "THB", "VND", "IDR", "MYR", "SGD", "PHP", "RUB", "ILS", "SAR"),
)
PREFIXES = (*CURRENCIES, "±", "+/-", "~", "≈", "약", "Rs.", "Rs")
_SI = "(?:da|[yzafpnµμumcdhkMGTPE])?"
_METRIC = "(?:mol|cal|bar|ohm|Ohm|dyn|torr|Torr|eV|Hz|Pa|Wh|Ah|VA|Bq|Gy|Sv|kat|lm|lx|Wb|cd|[gmslLAKNJWCVFΩΩSTH]|rad)"
_OTHER = (
    "(?:°C|°F|°K|℃|℉|degC|degF|deg|°|%p|%RH|%|‰|ppm|ppb|ppt|pH|pt|rpm|RPM|cps|psi|psig|psia|atm|at|Torr|mmHg|inHg|mmH2O|"
    "kgf|gf|tonf|lbf|lbs|lb|oz|ton|tons|t|Å|µ|μ|um|in|inch|inches|ft|feet|yd|mile|miles|mi|mph|km/h|gal|cc|ha|"
    "min|mins|minute|minutes|sec|secs|second|seconds|hour|hours|hrs|hr|h|day|days|d|week|weeks|wk|month|months|"
    "year|years|yr|yrs|dB|dBm|dBA|cP|cSt|P|St|D|var|kvar|px|dpi|bit|bits|byte|bytes|bps|[kKMGT]?B|[kMGT]bps|"
    "degrees?|Nm3/hr|NTU|FNU|CFU|IU|U|EA|ea|pcs|pc|each|Nm3|Nm³|Sm3|sccm|slm|slpm|gpm|lpm|cfm|m³|m²|㎡|㎥|㎜|㎝|㎞|㎎|㎏|㎍|㎖|ℓ|㎾|㎐|㎑|"
    "㎒|㎓|㎪|㎫|㎩|㎚|㎛|㏄|wt|vol|mol|"
    "원|천원|만원|백만원|억원|조원|달러|유로|엔|위안|개|명|건|회|대|톤|초|분|시간|일|주|개월|년|도|배|장|권|병|박스|매|"
    "円|元|人|個|件|回|台|秒|分|時間|年|歳|세|퍼센트|Stück|Stk|Std|Tage|Jahre|Euro|euros?|dollars?|won)"
)
_POWER = r"(?:\^?[+-]?\d(?!\d)|[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]{1,3})?"
_FACTOR = rf"(?:{_OTHER}|{_SI}{_METRIC}){_POWER}"
_PRODUCT = (
    r"(?:(?:wt|vol|mol|w|v|m|RH|abs|rel)[ .]?%|%[ .]?(?:wt|vol|mol|w|v|RH)"
    rf"|{_FACTOR}(?:[·*⋅./ -]{{1,2}}{_FACTOR}){{0,4}})"
)
_CURRENCY = "|".join(re.escape(each) for each in CURRENCIES)
_UNIT = re.compile(rf"(?:{_CURRENCY}|1/{_FACTOR}|{_PRODUCT}|a\.?u\.?|arb\.? ?u(?:nits)?\.?)")
_BRACKETED = re.compile(r"[\[(（【<].{1,14}[\])）】>]")
_SPELLINGS = {
    "Kg": "kg",
    "KG": "kg",
    "ml": "mL",
    "ML": "mL",
    "l": "L",
    "ul": "μL",
    "um": "μm",
    "MM": "mm",
    "RPM": "rpm",
    "PPM": "ppm",
}
_PLURALS = frozenset(
    {
        "years",
        "months",
        "weeks",
        "days",
        "hours",
        "minutes",
        "seconds",
        "yrs",
        "hrs",
        "mins",
        "secs",
        "degrees",
        "euros",
        "dollars",
        "tons",
        "lbs",
    }
)
_WORDS = frozenset({"in", "min", "at", "pt", "each", "day", "days", "week", "month", "year"})  # and names of columns
_DIMENSIONLESS = frozenset({"-", "--", "–", "—", "1", "no.", "n/a", "na", "무차원", "none", "text", "string", "code"})


def half_width(text: str) -> str:
    """Return text with full-width digits, letters and signs as the usual ones, and one kind of minus.

    Example:
        >>> half_width("－１２．５％"), half_width("￦100")
        ('-12.5%', '₩100')
    """
    return text if text.isascii() else text.translate(HALF_WIDTH)


@lru_cache(maxsize=4096)
def canonical_unit(text: str) -> str:
    """Return a unit in the one way of its spellings.

    Example:
        >>> [canonical_unit(text) for text in ("℃", "㎞", "m²", "Kg", "ml")]
        ['°C', 'km', 'm2', 'kg', 'mL']
    """
    plain = unicodedata.normalize("NFKC", text).replace(" ", "").replace("^", "")
    return _SPELLINGS.get(plain, plain.removesuffix("s") if plain in _PLURALS else plain)


@lru_cache(maxsize=4096)
def is_unit(text: str) -> bool:
    """Return whether a text is a unit of measurement or a currency.

    Example:
        >>> [is_unit(text) for text in ("kg", "m3/h", "℃", "%", "mg/L", "kgf/cm²", "원", "호기", "steel", "")]
        [True, True, True, True, True, True, True, False, False, False]
    """
    return 0 < len(text) <= MAX_UNIT_LENGTH and _UNIT.fullmatch(half_width(text)) is not None


def is_unit_cell(text: str) -> bool:
    """Return whether a text may stand in a row of units: a unit, also in brackets, or a sign such as "-" for no unit.

    Example:
        >>> [is_unit_cell(text) for text in ("[°C]", "(m3/h)", "-", "%", "Tom")]
        [True, True, True, True, False]
    """
    text = text.strip()
    inner = text[1:-1].strip() if _BRACKETED.fullmatch(text) else text
    return is_unit(inner) or inner.casefold() in _DIMENSIONLESS


def is_strong_unit(text: str) -> bool:
    """Return whether a text can hardly be anything but a unit: not a single letter, which may be a level or a grade.

    Example:
        >>> [is_strong_unit(text) for text in ("°C", "[bar]", "m3/h", "%", "A", "B1", "-")]
        [True, True, True, True, False, False, False]
    """
    inner = unit_of_cell(text)
    is_long = sum(map(str.isalpha, inner)) > 1 or not inner.isascii() or "/" in inner or "%" in inner
    return bool(inner) and is_unit(inner) and inner not in _WORDS and (is_long or inner != text.strip())


def unit_of_cell(text: str) -> str:
    """Return the unit that a cell of a row of units names, without its brackets; "" where it names none."""
    text = text.strip()
    inner = text[1:-1].strip() if _BRACKETED.fullmatch(text) else text
    return "" if inner.casefold() in _DIMENSIONLESS else inner
