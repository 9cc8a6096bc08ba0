"""The report as Markdown, for programs and people that read text."""

import re
from collections.abc import Iterator, Sequence

from tabattn.errors import printable
from tabattn.output.report.content import Report
from tabattn.output.report.html import number
from tabattn.translations import translate

SPECIAL = re.compile(r"([\\`*\[\]<|~&]|(?<![^\W_])_|_(?![^\W_]))")  # an underscore within a word is one
AT_THE_START = re.compile(r"^(\s*)(#+(?=\s|$)|[-+](?=[-+\s]|$)|>|=+\s*$)|^(\s*\d+)([.)](?=\s|$))")


def render_markdown(report: Report) -> str:
    """Return the answer, the facts, the findings and the ranking as text.

    Args:
        report: The content.
    """
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    def word(text: str) -> str:
        return translate(report.language, text)

    yield f"# {escaped(report.question)}"
    yield ""
    yield from (f"{escaped(sentence)}  " for sentence in report.answer)
    yield f"\n## {word('Can it be trusted?')}\n"
    for fact in report.facts:
        state = f" ({word(fact.state)})" if fact.state in ("warning", "serious") else ""
        yield f"- {escaped(fact.name)}: **{escaped(fact.value)}**{state} {escaped(fact.note)}"
    for remark in report.findings:
        yield f"- {word(remark.state)}: {escaped(remark.title)} ({escaped(remark.code)}). {escaped(remark.message)}"
    yield f"\n## {word('Which columns?')}\n"
    names = (
        *("rank", "column", "kind", "importance", "95 %", "direction", "effect", "adds to the others", "permutation"),
        "permutation rank",
    )
    yield _row([word(name) for name in names])
    yield _row(["---"] * len(names), is_text=False)
    for column in report.columns:
        interval = "" if column.ci_low != column.ci_low else f"{column.ci_low:.3f} – {column.ci_high:.3f}"
        selected = "" if column.selected is None else word("yes" if column.selected else "no")
        rank = "" if column.permutation_rank is None else str(column.permutation_rank)
        cells = [
            *(str(column.rank), column.feature, word(column.kind), number(column.importance), interval),
            *(word(column.direction), number(column.effect), selected, number(column.permutation), rank),
        ]
        yield _row(cells)
    if report.models:
        yield from _scores(report)
    yield f"\n## {word('Settings')}\n"
    if report.command:
        yield f"    {printable(report.command)}\n"
    yield from (f"- {escaped(name)}: {escaped(value)}" for name, value in report.settings)


def _scores(report: Report) -> Iterator[str]:
    yield f"\n## {translate(report.language, 'Held-out scores')}\n"
    scores = [name for name, _ in report.models[0].scores]
    yield _row([translate(report.language, "model"), *scores])
    yield _row(["---"] * (1 + len(scores)), is_text=False)
    for model in report.models:
        yield _row([model.name, *(number(value) for _, value in model.scores)])


def escaped(text: str) -> str:
    r"""Return text that Markdown shows as it is, in one line.

    Args:
        text: Any text.

    Example:
        >>> print(escaped("a_b|c"), escaped("<b>"), escaped("1. _d_"), escaped("-1.5"))
        a_b\|c \<b> 1\. \_d\_ -1.5
    """

    def marked(found: "re.Match[str]") -> str:
        blank, sign, number, end = found.groups()
        return f"{blank}\\{sign}" if sign else f"{number}\\{end}"

    return AT_THE_START.sub(marked, SPECIAL.sub(r"\\\1", printable(text)))


def _row(cells: Sequence[str], *, is_text: bool = True) -> str:
    return f"| {' | '.join(escaped(cell) if is_text else cell for cell in cells)} |"
