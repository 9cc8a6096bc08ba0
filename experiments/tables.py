"""Where the real tables for measuring are: `--data DIR`, or the environment variable TABATTN_DATA.

The directory holds `catalog.csv` (columns name, file, target, task) and the files that it names;
`python -m experiments.fetch --out DIR` writes one.
"""

import os
from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tabattn.choices import Task
from tabattn.table.reading import read_table

CATALOG = "catalog.csv"


@dataclass(frozen=True)
class MeasuredTable:
    """One table of the catalog."""

    name: str
    path: Path
    target: str
    task: Task

    def read(self) -> pd.DataFrame:
        """Return its rows."""
        return read_table(self.path)


def add_data_argument(parser: ArgumentParser) -> None:
    """Add --data to a command line."""
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("TABATTN_DATA"),
        help=f"directory with {CATALOG}; TABATTN_DATA if not given; `python -m experiments.fetch --out DIR` writes one",
    )


def load_catalog(directory: Path | None) -> dict[str, MeasuredTable]:
    """Return all tables of a directory by name."""
    if directory is None or not (Path(directory) / CATALOG).is_file():
        raise SystemExit(
            f"--data (or TABATTN_DATA) must be a directory with {CATALOG}, got {directory}. "
            "Name a folder that has one, or write one with `python -m experiments.fetch --out DIR`."
        )
    catalog = pd.read_csv(Path(directory) / CATALOG)
    return {
        record["name"]: MeasuredTable(
            name=record["name"],
            path=Path(directory) / record["file"],
            target=record["target"],
            task="regression" if record["task"] == "regression" else "classification",
        )
        for record in catalog.to_dict("records")
    }
