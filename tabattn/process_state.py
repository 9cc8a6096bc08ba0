"""What all threads of a process share, such as random state and filters of warnings: used by one thread at a time.

Whoever changes it holds a lock until it is as it was before, so that fits in several threads take turns and none sees
the seed of another. To fit several models at the same time use processes, as joblib's loky does.
"""

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_turn = threading.RLock()


@contextmanager
def alone() -> Iterator[None]:
    """Keep other threads out of what is shared; the same thread may ask again."""
    with _turn:
        yield


@contextmanager
def warnings_ignored(message: str = "") -> Iterator[None]:
    """Leave out warnings that other packages give.

    Args:
        message: Regular expression of how they begin; all of them if it is empty.
    """
    with alone(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=message)
        yield


@contextmanager
def filters_kept() -> Iterator[None]:
    """Leave the filters of warnings as they were, which some packages change when they are imported."""
    with alone(), warnings.catch_warnings():
        yield


@contextmanager
def loggers_quiet(*names: str) -> Iterator[None]:
    """Hold back what loggers say below an error, and leave them as they were.

    Args:
        names: Names of the loggers.
    """
    loggers = [logging.getLogger(name) for name in names]
    with alone():
        levels = [logger.level for logger in loggers]
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
