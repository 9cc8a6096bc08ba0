"""What tests of several experiments share."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tests.conftest import DATA

DRIVERS = {"wine": ["hue", "od280/od315_of_diluted_wines", "proline"], "diabetes": ["bmi", "bp", "s5"]}
CATALOG_ENTRIES = {"wine": "cultivar,multiclass", "diabetes": "progression,regression"}
OTHER_CODE = "0" * 12


def write_catalog(directory: Path, *names: str, is_small: bool = False) -> None:
    """Write a directory for --data with tables of data/, or with every second row and three columns of them."""
    lines = [f"{name},{name}.csv,{CATALOG_ENTRIES[name]}" for name in names]
    (directory / "catalog.csv").write_text("\n".join(["name,file,target,task", *lines, ""]), encoding="utf-8")
    for name in names:
        written = directory / f"{name}.csv"
        written.write_bytes((DATA / written.name).read_bytes())
        if is_small:
            table = pd.read_csv(written)
            table.loc[::2, [*DRIVERS[name], table.columns[-1]]].to_csv(written, index=False)


def write_small_table(directory: Path) -> None:
    """Write a directory for --data with one table, `small`: 80 rows, 4 columns, of which two drive the class."""
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(80, 4)), columns=["a", "b", "c", "d"])
    X.assign(y=np.where(2 * X["a"] + X["b"] > 0, "high", "low")).to_csv(directory / "small.csv", index=False)
    (directory / "catalog.csv").write_text("name,file,target,task\nsmall,small.csv,y,binary\n", encoding="utf-8")


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
