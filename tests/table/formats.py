"""Formats in short, and parsing that warns: what the tests of values share."""

from typing import Any

from tabattn.errors import warn_all
from tabattn.table import cells
from tabattn.table.cells import Parsed
from tabattn.table.dates import DateFormat, DateUnit
from tabattn.table.numbers import NumberFormat


def number(separators: str, offset: int = 0) -> NumberFormat:
    """The format with a decimal separator and perhaps one of thousands."""
    return NumberFormat(separators[0], separators[1:], offset)  # type: ignore[arg-type]


def date(order: str) -> DateFormat | DateUnit | None:
    """The format of an order, perhaps with "+zone", or a unit; None for ""."""
    if order in {unit.value for unit in DateUnit}:
        return DateUnit(order)
    order, sign, _ = order.partition("+")
    return DateFormat(order, has_zone=bool(sign)) if order else None  # type: ignore[arg-type]


def _warned(parsed: Parsed[Any]) -> Any:
    warn_all(parsed.warnings)
    return parsed.values


def parse_numbers(*arguments: Any) -> Any:
    """Numbers, with a warning of what could not be parsed."""
    return _warned(cells.parse_numbers(*arguments))


def parse_times(*arguments: Any) -> Any:
    """Times, with a warning of what could not be parsed."""
    return _warned(cells.parse_times(*arguments))


def parse_seconds(*arguments: Any) -> Any:
    """Durations, with a warning of what could not be parsed."""
    return _warned(cells.parse_seconds(*arguments))


def parse_booleans(*arguments: Any) -> Any:
    """Booleans, with a warning of what could not be parsed."""
    return _warned(cells.parse_booleans(*arguments))
