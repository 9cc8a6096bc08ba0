"""What was doubtful while a table was read, as findings, so that it stays with the results."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from tabattn.diagnostics.findings import Finding, Severity
from tabattn.errors import (
    AmbiguousDatesWarning,
    AmbiguousNumbersWarning,
    CensoredCellsWarning,
    DroppedRowsWarning,
    OtherFormatWarning,
    ReadingNote,
    TabAttnWarning,
    TwinLevelsWarning,
    UnknownLevelsWarning,
    UnparsedCellsWarning,
    UnreadNumbersWarning,
)

DOUBTS: Mapping[type[TabAttnWarning], tuple[str, Severity]] = {
    UnparsedCellsWarning: ("Cells count as missing", "warning"),
    UnreadNumbersWarning: ("A column looks like numbers", "warning"),
    AmbiguousNumbersWarning: ("Numbers may be others", "warning"),
    AmbiguousDatesWarning: ("Dates may be others", "warning"),
    OtherFormatWarning: ("Cells are written in another way", "warning"),
    TwinLevelsWarning: ("Levels may be the same", "warning"),
    UnknownLevelsWarning: ("Levels that were not fitted", "warning"),
    CensoredCellsWarning: ("Some numbers are limits", "note"),
    DroppedRowsWarning: ("Rows without a target", "note"),
    ReadingNote: ("How the table was read", "note"),
}


def doubtful_findings(doubts: Iterable[TabAttnWarning], names: Sequence[str]) -> Iterator[Finding]:
    """Find what was doubtful while a table was read.

    Args:
        doubts: What was warned of; what is not about reading is left out, and what was said before too.
        names: Names of the columns, of which those are named that a warning names.

    Example:
        >>> from tabattn.errors import LeakWarning
        >>> doubts = [CensoredCellsWarning("Column 'ph' holds limits."), LeakWarning("'x' gives it away.")]
        >>> [(found.code, found.columns) for found in doubtful_findings(doubts, ["ph", "x"])]
        [('limits', ('ph',))]
    """
    by_message = {str(each): type(each) for each in doubts if type(each) in DOUBTS}
    for message, category in by_message.items():
        title, severity = DOUBTS[category]
        named = tuple(name for name in names if repr(name) in message)
        yield Finding(category.code, title, message, severity, named, category=category)
