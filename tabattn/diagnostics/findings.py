"""What may be wrong with a table or a ranking: small objects with a code, in words and in numbers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import pandas as pd

from tabattn.errors import TabAttnWarning

Severity: TypeAlias = Literal["note", "warning", "serious"]
SEVERITIES: tuple[Severity, ...] = ("serious", "warning", "note")
DOCS = "docs/findings.md"
COLUMNS = ("code", "severity", "title", "columns", "message", "numbers", "docs")


@dataclass(frozen=True)
class Finding:
    """Something that a reader of the ranking should know.

    Args:
        code: What it is, the same in every table; a heading of the documentation has this name.
        title: The same in a few words.
        message: The same in sentences, with what to do.
        severity: "serious" if the ranking may be wrong, "warning" if a part of it may be, else "note".
        columns: Names of the columns that it is about.
        numbers: What was measured, by name.
        category: The class of the Python warning that says it; None where none does.
    """

    code: str
    title: str
    message: str
    severity: Severity = "warning"
    columns: tuple[str, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)
    category: type[TabAttnWarning] | None = None


def warnings_of(findings: Iterable[Finding]) -> list[TabAttnWarning]:
    """Return the warnings that say what was found.

    Args:
        findings: What was found.
    """
    warnings = []
    for each in findings:
        if each.category is not None:
            warning = each.category(each.message)
            warning.code = each.code
            warnings.append(warning)
    return warnings


def findings_table(findings: Sequence[Finding]) -> pd.DataFrame:
    """Return one row per finding, serious ones first: code, severity, title, columns, message, numbers and docs.

    Args:
        findings: What was found.

    Example:
        >>> found = Finding("leak", "A column gives the target away", "'x': ...", columns=("x",), numbers={"r2": 0.98})
        >>> findings_table([found])[["code", "columns", "numbers"]].to_numpy().tolist()
        [['leak', 'x', 'r2=0.98']]
    """
    ordered = sorted(findings, key=lambda each: SEVERITIES.index(each.severity))
    rows = [
        (
            each.code,
            each.severity,
            each.title,
            "; ".join(each.columns),
            each.message,
            "; ".join(f"{name}={value:.6g}" for name, value in each.numbers.items()),
            f"{DOCS}#{each.code}",
        )
        for each in ordered
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS), dtype="str")
