"""How much memory reading a file may take: what is at hand, not what a file claims to need."""

import os
from pathlib import Path

from tabattn.errors import TableError

SHARE_AT_HAND, UNKNOWN_BYTES = 0.6, 4 << 30
GIGABYTE = 1 << 30
BYTES_PER_CHARACTER, BYTES_PER_CELL, BYTES_PER_VALUE = 6, 120, 16


def memory_at_hand() -> int:
    """Return the bytes that are free: what the system has, and what the group of this process may take."""
    free = [_free_by_system(), *_free_by_group()]
    return min(each for each in free if each is not None)


def memory_allowed(max_memory: float | None) -> float:
    """Return the bytes that may be taken.

    Args:
        max_memory: Gigabytes; None for most of what is at hand.
    """
    return SHARE_AT_HAND * memory_at_hand() if max_memory is None else max_memory * GIGABYTE


def check_memory(needed: float, what: str, max_memory: float | None) -> None:
    """Refuse what needs more memory than there is, or than the user allows.

    Args:
        needed: Bytes.
        what: What needs them, for the error.
        max_memory: Gigabytes that may be taken; None for most of what is at hand.

    Raises:
        TableError: It needs more.
    """
    allowed = memory_allowed(max_memory)
    if needed > allowed:
        raise TableError(
            f"{what} must fit into memory, but needs about {needed / GIGABYTE:.3g} GB, and {allowed / GIGABYTE:.3g} GB "
            "may be taken. Save a smaller part of it, or allow more with max_memory (--max-memory GB)."
        )


def _free_by_system() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return UNKNOWN_BYTES


def _free_by_group() -> list[int]:
    """Return what the control group of this process may still take, if it has a limit."""
    found = []
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        try:
            found.append(int(Path(limit).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):
            continue
    return [each for each in found if each > 0]
