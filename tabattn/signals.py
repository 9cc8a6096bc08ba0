"""What ends a process: SIGTERM as orderly as Ctrl-C."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

EXIT_INTERRUPTED, EXIT_TERMINATED, RETRY_SECONDS = 130, 143, 0.01


class Terminated(SystemExit):
    """Raised where SIGTERM arrives: what was begun is undone on the way out, and the exit code is 143."""


def raise_terminated(_number: int, _frame: FrameType | None) -> NoReturn:
    """Raise `Terminated`; a handler of signals."""
    raise Terminated(EXIT_TERMINATED)


@contextmanager
def terminable() -> Iterator[None]:
    """Raise `Terminated` on SIGTERM where nothing else handles it: Lightning would train on, and exit with 0."""
    is_ours = threading.current_thread() is threading.main_thread()
    is_ours = is_ours and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if not is_ours:
        yield
        return
    signal.signal(signal.SIGTERM, raise_terminated)
    try:
        with _never_swallowed():
            yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def _never_swallowed() -> Iterator[None]:
    """Send a signal once more where Python ignored what it raised, as it does in finalizers and weak references."""
    before = sys.unraisablehook

    def hook(ignored: "UnraisableHookArgs") -> None:
        if isinstance(ignored.exc_value, Terminated | KeyboardInterrupt):
            number = signal.SIGTERM if isinstance(ignored.exc_value, Terminated) else signal.SIGINT
            threading.Timer(RETRY_SECONDS, signal.raise_signal, [number]).start()
        else:
            before(ignored)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def run_orderly(run: Callable[[], None]) -> None:
    """Run a command line; Ctrl-C and SIGTERM end it with one line and the exit codes 130 and 143.

    Args:
        run: Runs it; may raise SystemExit.
    """
    received: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        received.append(number)
        if number == signal.SIGTERM:
            raise_terminated(number, frame)
        raise KeyboardInterrupt

    try:
        signal.signal(signal.SIGTERM, interrupt)
        if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
            signal.signal(signal.SIGINT, interrupt)
        with _never_swallowed():
            run()
    except SystemExit as stop:
        if stop.code == EXIT_INTERRUPTED and not received:  # click makes this of Ctrl-C
            received.append(signal.SIGINT)
        if stop.code in (0, None) or not received:
            raise
        _end(received[0], stop)
    except BaseException as error:
        if not received and not isinstance(error, KeyboardInterrupt):
            raise
        _end(received[0] if received else signal.SIGINT, error)  # C code may have made another exception of it


def _end(number: int, error: BaseException) -> NoReturn:
    """End with one line, which has the notes of the exception that was raised first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    word, code = ("terminated", EXIT_TERMINATED) if number == signal.SIGTERM else ("interrupted", EXIT_INTERRUPTED)
    notes: list[str] = []
    raised: BaseException | None = error
    while raised is not None:
        notes += getattr(raised, "__notes__", [])
        raised = raised.__context__
    sys.stderr.write(" ".join([f"tabattn: {word}.", *dict.fromkeys(notes)]) + "\n")
    exec("")  # noqa: S102  # an interrupt inside of code made of text, as imports run it, would end Python by the signal
    sys.exit(code)
