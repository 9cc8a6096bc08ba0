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


def keep(path: Path, cell: dict[str, Any], command: str) -> None:
    """Append a cell and the commit that it was measured with, so that no measurement is lost.

    A new file begins with the command and the machine.
    """
    cell = cell | {"commit": CODE}
    is_new = not path.exists()
    with path.open("a", encoding="utf-8") as file:
        if is_new:
            file.write(f"# {command}; {describe_machine()}\n{','.join(cell)}\n")
        file.write(",".join(str(value) for value in cell.values()) + "\n")
    print(cell, flush=True)
