"""The report as one self-contained page."""

import json
import math
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from tabattn.errors import printable
from tabattn.output.report.content import Report, ReportedColumn
from tabattn.translations import WORDS, translate

ALWAYS_SHOWN = ("rank", "column", "kind", "importance")
READING = (
    "Importance is the fraction of the model's skill that goes with what attention reads from a column; bars show "
    "it, whiskers its 95 % interval.",
    "“Adds to the others” is a test: yes means that the column helps even when all others are known. Of two columns "
    "that say the same, neither adds much.",
    "Direction is what the prediction does when only this column changes, the effect by how much from its 10th "
    "percentile to its 90th, in units of the target; the gap is how far its two ranks are apart.",
    "Permutation importance validates the ranking: where the ranks differ much, inspect both.",
    "Neither implies a cause: a column that correlates with the true cause may be a proxy for it.",
)
ARROWS = {"up": "↑", "down": "↓", "peak": "∩", "valley": "∪", "levels": "≠", "none": "–"}
BAR_WIDTH, BAR_HEIGHT, LEAST_Q = 90, 14, 0.001
N_DIGITS, MIN_PLAIN, MAX_PLAIN = 3, 1e-4, 1e7


def render_html(report: Report) -> str:
    """Return the page.

    Names are text wherever they stand: in the markup by escaping, in the data because a page takes no markup from it.

    Args:
        report: The content.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_seen, trim_blocks=True, lstrip_blocks=True
    )
    most = max((_upper(column) for column in report.columns), default=1.0) or 1.0
    environment.globals |= {
        "translate": lambda text: translate(report.language, text),
        "number": number,
        "signed": _signed,
        "between": _between,
        "q_value": lambda value: f"< {LEAST_Q}" if value < LEAST_Q else f"= {value:.2g}",
        "arrow": lambda direction: ARROWS.get(direction, ""),
        "bar": lambda column: _bar(column, most),
    }
    page: str = environment.from_string(_part("report.html.j2")).render(
        report=report,
        keys=(*ALWAYS_SHOWN, *_known(report)),
        reading=READING,
        style=Markup(_part("report.css")),
        script=Markup(_part("report.js")),
        content=_json(report.to_json()),
        words=_json(dict(WORDS[report.language])),
    )
    return page


def number(value: float | None) -> str:
    """Return a number with three digits, nothing for none.

    Args:
        value: The number.

    Example:
        >>> number(0.12345), number(float("nan")), number(32512.0), number(-1.2345e9)
        ('0.123', '', '32500', '-1.23e+09')
    """
    if value is None or not math.isfinite(value):
        return ""
    rounded = float(f"{value:.{N_DIGITS}g}")
    is_long = abs(rounded) >= MAX_PLAIN or 0 < abs(rounded) < MIN_PLAIN
    return f"{rounded:.{N_DIGITS - 1}e}" if is_long else f"{rounded:.15g}"


def _known(report: Report) -> list[str]:
    """Return the further columns of the table that say something of a column at least."""
    columns = report.columns
    has_rank = any(column.permutation_rank is not None for column in columns)
    known = {
        "95 %": any(math.isfinite(column.ci_low) for column in columns),
        "direction": any(column.direction for column in columns),
        "effect": any(math.isfinite(column.effect) for column in columns),
        "adds to the others": any(column.selected is not None for column in columns),
        "permutation": any(math.isfinite(column.permutation) for column in columns),
        "permutation rank": has_rank,
        "gap": has_rank,
    }
    return [name for name, is_known in known.items() if is_known]


def _part(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def _json(content: Any) -> Markup:
    """Return JSON that ends no script and begins no comment, whatever is in it."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup("".join(each if each.isprintable() and each not in "<>&" else _escaped(each) for each in text))


def _escaped(letter: str) -> str:
    return json.dumps(letter)[1:-1] if letter not in "<>&" else f"\\u{ord(letter):04x}"


def _seen(value: Any) -> Any:
    """Return text with what can't be seen as escapes."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _signed(value: float) -> str:
    return f"{'+' * (value > 0)}{number(value)}"


def _between(low: float, high: float) -> str:
    return f"{low:.3f} – {high:.3f}" if math.isfinite(low) and math.isfinite(high) else ""


def _upper(column: ReportedColumn) -> float:
    return max(column.importance, column.ci_high if math.isfinite(column.ci_high) else 0.0)


def _bar(column: ReportedColumn, most: float) -> Markup:
    """Return a bar, with a whisker over the interval."""
    width = BAR_WIDTH * max(0.0, column.importance) / most
    whisker = ""
    if math.isfinite(column.ci_low) and math.isfinite(column.ci_high):
        low, high = (BAR_WIDTH * max(0.0, each) / most for each in (column.ci_low, column.ci_high))
        whisker = f'<line class="whisker" x1="{low:.1f}" x2="{high:.1f}" y1="7" y2="7"/>'
    shape = f'<rect class="first" width="{width:.1f}" height="{BAR_HEIGHT - 4}" y="2"/>'
    return Markup(f'<svg aria-hidden="true" width="{BAR_WIDTH}" height="{BAR_HEIGHT}">{shape}{whisker}</svg>')
