"""What tests of several experiments share."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from tests.test_ranking import DATA

CATALOG_ENTRIES = {"wine": "cultivar,multiclass", "diabetes": "progression,regression"}
OTHER_CODE = "0" * 12


def write_catalog(directory: Path, *names: str) -> None:
    """Write a directory for --data with tables of data/."""
    lines = [f"{name},{name}.csv,{CATALOG_ENTRIES[name]}" for name in names]
    (directory / "catalog.csv").write_text("\n".join(["name,file,target,task", *lines, ""]), encoding="utf-8")
    for name in names:
        (directory / f"{name}.csv").write_bytes((DATA / f"{name}.csv").read_bytes())


def run_twice(main: Callable[[Sequence[str]], None], arguments: Sequence[str], cells: Path) -> None:
    """Measure, and see that nothing is measured again."""
    main(arguments)
    first = cells.read_bytes()
    main(arguments)
    assert cells.read_bytes() == first


def replace_in(path: Path, old: str, new: str, count: int = -1) -> None:
    """Change the text of a file."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, count), encoding="utf-8")


def read(path: Path) -> pd.DataFrame:
    """Return the rows of a result file."""
    return pd.read_csv(path, comment="#")
