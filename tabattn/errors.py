"""Every exception and warning that this package raises on purpose.

All errors derive from `TabAttnError`, so that one ``except`` is enough, and from `ValueError`, as
scikit-learn's users expect.
"""

import difflib
import inspect
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

N_SHOWN = 5
NOT_THE_USER = frozenset({"contextlib", "sklearn", "tabattn"})
_LISTENERS: ContextVar[tuple[list["TabAttnWarning"], ...]] = ContextVar("listeners", default=())


class TabAttnError(ValueError):
    """The input is at fault; the message states what was required, what was given and what to do."""


def in_one_line(error: Exception) -> str:
    """Return the message of another package's error on one line, to be quoted in one of ours."""
    return " ".join(str(error).split())


def quoted(names: Sequence[object], n_shown: int = N_SHOWN) -> str:
    """Return the first of some names in quotes, for a message.

    Example:
        >>> quoted(["a", "b", "c"], 2)
        "'a', 'b', ..."
    """
    return ", ".join(repr(name) for name in names[:n_shown]) + (", ..." if len(names) > n_shown else "")


def printable(text: str, *, keeps: str = "") -> str:
    r"""Return a text with what steers a terminal, or turns the direction of what follows, shown as escapes.

    Control characters, directional marks, surrogates and other characters that cannot be seen may be part of any name,
    level or file name.

    Args:
        text: The text.
        keeps: Characters to leave as they are, such as the ends of lines of our own text.

    Example:
        >>> print(printable(chr(27) + "[31m" + chr(0x202E)))
        \x1b[31m\u202e
    """
    return "".join(each if each in keeps or each == " " or each.isprintable() else repr(each)[1:-1] for each in text)


def nearest(name: str, known: Iterable[str], what: str = "columns") -> str:
    """Return a hint: the known name most similar to an unknown one, or else the known names.

    Example:
        >>> nearest("Heet", ["heat", "line"]), nearest("x", ["heat", "line"])
        ("Did you mean 'heat'?", "The columns are 'heat', 'line'.")
    """
    names = list(known)
    by_folded = {each.casefold(): each for each in reversed(names)}
    close = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.5)
    return f"Did you mean {by_folded[close[0]]!r}?" if close else f"The {what} are {quoted(names, 8)}."


class TableError(TabAttnError):
    """The table, or its file, can't be used as it is."""


class TargetError(TabAttnError):
    """The target is absent, or nothing can be learned from it."""


class ColumnError(TabAttnError):
    """A feature column has a content or a type that is not supported."""


class ParameterError(TabAttnError):
    """An argument is outside its range."""


class TrainingError(TabAttnError):
    """Training found no finite loss."""


class ProcessError(TabAttnError):
    """One of several processes that train together has ended before the others."""


class OutputError(TabAttnError):
    """Results can't be written where they were asked for."""


class ModelFileError(TabAttnError):
    """A file is not a saved model, or not one that can be read."""


class TabAttnWarning(UserWarning):
    """Base of this package's warnings.

    Attributes:
        code: That of the finding that says the same, see `tabattn.diagnostics.findings`; empty where none does.
    """

    code = ""


class UninformativeColumnWarning(TabAttnWarning):
    """A column has the same value in every row, so nothing can depend on it."""


class UnparsedCellsWarning(TabAttnWarning):
    """Some cells are not what their column holds, and count as missing."""

    code = "unread_cells"


class UnknownLevelsWarning(TabAttnWarning):
    """None of the cells of a categorical column is a level that was seen in training."""

    code = "unknown_levels"


class AmbiguousNumbersWarning(TabAttnWarning):
    """Numbers can be read in two ways, and no cell decides which is meant."""

    code = "ambiguous_numbers"


class AmbiguousDatesWarning(TabAttnWarning):
    """Dates can be read in two orders of day and month, and no cell decides which is meant."""

    code = "ambiguous_dates"


class OtherFormatWarning(TabAttnWarning):
    """Cells are written in another way than those that the model was fitted on, and were read in that way."""

    code = "other_format"


class CensoredCellsWarning(TabAttnWarning):
    """Some numbers are limits, such as "<0.03"."""

    code = "limits"


class UnreadNumbersWarning(TabAttnWarning):
    """A column looks like numbers, and is not read as numbers."""

    code = "unread_numbers"


class TwinLevelsWarning(TabAttnWarning):
    """Some levels of a category may be the same, written in two ways."""

    code = "twin_levels"


class ReadingNote(TabAttnWarning):
    """What was left out, taken off or joined so that a table can be read."""

    code = "reading_note"


class IdentifierWarning(TabAttnWarning):
    """A column seems to number or name the rows."""


class LeakWarning(TabAttnWarning):
    """A column alone predicts the target nearly perfectly."""


class DependentRowsWarning(TabAttnWarning):
    """Rows belong together, or resemble their neighbours in time, and are held out at random."""


class DroppedRowsWarning(TabAttnWarning):
    """Rows were left out because their target is missing."""

    code = "dropped_rows"


class UntrustedRankingWarning(TabAttnWarning):
    """The model predicts no better than a constant, so the ranking read from it means nothing."""


class SmallerBatchesWarning(TabAttnWarning):
    """The memory of the device does not take batches of the size that was asked for."""


class MixedResultsWarning(TabAttnWarning):
    """A file is not of the run that wrote the others in its folder."""


class MissingGlyphWarning(TabAttnWarning):
    """No installed font can draw some of the characters of a plot."""


@contextmanager
def gathered() -> Iterator[list[TabAttnWarning]]:
    """Keep what `warn_all` warns of meanwhile, whether or not the user's filters show it.

    Yields:
        The warnings so far, in their order.

    Example:
        >>> with gathered() as doubts, warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")
        ...     warn_all([ReadingNote("Row 1 was left out.")])
        >>> [str(each) for each in doubts]
        ['Row 1 was left out.']
    """
    doubts: list[TabAttnWarning] = []
    token = _LISTENERS.set((*_LISTENERS.get(), doubts))
    try:
        yield doubts
    finally:
        _LISTENERS.reset(token)


def warn_all(messages: Iterable[TabAttnWarning]) -> None:
    """Give warnings at the line of the user's code that led to them: the nearest outside this package and scikit-learn.

    Args:
        messages: The warnings.
    """
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] in NOT_THE_USER:
        level, frame = level + 1, frame.f_back
    for message in messages:
        for doubts in _LISTENERS.get():
            doubts.append(message)
        warnings.warn(message, stacklevel=level)
