"""What ends a process: SIGTERM as orderly as Ctrl-C."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

EXIT_INTERRUPTED, EXIT_TERMINATED = 130, 143


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
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def run_orderly(run: Callable[[], None]) -> None:
    """Run a command line; Ctrl-C and SIGTERM end it with one line and the exit codes 130 and 143.

    Args:
        run: Runs it; may raise SystemExit.
    """
    try:
        signal.signal(signal.SIGTERM, raise_terminated)
        run()
    except KeyboardInterrupt:
        _end("interrupted", EXIT_INTERRUPTED)
    except Terminated:
        _end("terminated", EXIT_TERMINATED)
    except SystemExit as stop:  # click makes this of Ctrl-C
        if stop.code == EXIT_INTERRUPTED:
            _end("interrupted", EXIT_INTERRUPTED)
        raise


def _end(word: str, code: int) -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stderr.write(f"tabattn: {word}.\n")
    sys.exit(code)
