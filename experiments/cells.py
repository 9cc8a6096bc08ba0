"""Restartable results: a CSV file that grows by one line per measured cell."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.machine import CODE, describe_machine


def measured(path: Path, keys: Sequence[str]) -> set[tuple[Any, ...]]:
    """Return the keys of the cells that a file holds."""
    if not path.exists():
        return set()
    return set(pd.read_csv(path, comment="#")[list(keys)].itertuples(index=False, name=None))


def keep(path: Path, cell: dict[str, Any] | Sequence[dict[str, Any]], command: str) -> None:
    """Append a cell, of one line or of several, and the commit that it was measured with, so that nothing is lost.

    A new file begins with the command and the machine.
    """
    lines = [line | {"commit": CODE} for line in ([cell] if isinstance(cell, dict) else cell)]
    head = "" if path.exists() else f"# {command}; {describe_machine()}\n{','.join(lines[0])}\n"
    text = "".join(",".join(str(value) for value in line.values()) + "\n" for line in lines)
    with path.open("a", encoding="utf-8") as file:
        file.write(head + text)
    print(text, end="", flush=True)
