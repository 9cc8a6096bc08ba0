"""What all threads of a process share, such as random state and filters of warnings: changed by one thread at a time.

Whoever changes it holds a lock until it is restored, so that fits in several threads take turns and none sees the seed
of another. To fit several models at the same time use processes, as joblib's loky does.
"""

import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_turn = threading.RLock()


def is_first_process(devices: int, num_nodes: int) -> bool:
    """Return whether this process is the first of those that train together, the one that prints and writes.

    Args:
        devices: Number of processes on each machine.
        num_nodes: Number of machines.

    The number of a process is in RANK (torchrun), SLURM_PROCID (SLURM), or LOCAL_RANK and NODE_RANK (Lightning).
    """
    if devices * num_nodes == 1:
        return True
    for name in ("RANK", "SLURM_PROCID"):
        if name in os.environ:
            return int(os.environ[name]) == 0
    return int(os.environ.get("LOCAL_RANK", 0)) == int(os.environ.get("NODE_RANK", 0)) == 0


@contextmanager
def exclusive() -> Iterator[None]:
    """Hold the lock on what threads share; the same thread may enter again."""
    with _turn:
        yield


@contextmanager
def warnings_ignored(message: str = "") -> Iterator[None]:
    """Ignore warnings that other packages give.

    Args:
        message: Regular expression of how they begin; all of them if it is empty.
    """
    with exclusive(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=message)
        yield


@contextmanager
def filters_restored() -> Iterator[None]:
    """Restore the filters of warnings, which some packages change when they are imported."""
    with exclusive(), warnings.catch_warnings():
        yield


@contextmanager
def loggers_quiet(*names: str) -> Iterator[None]:
    """Suppress what loggers report below an error, and restore them.

    Args:
        names: Names of the loggers.
    """
    loggers = [logging.getLogger(name) for name in names]
    with exclusive():
        levels = [logger.level for logger in loggers]
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
