"""How results are kept: CSV files that begin with the command and the machine, and whose rows name their code."""

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.machine import CODE, COMMIT, describe_machine
from tabattn.files import write_atomic

RESULTS = Path(__file__).parent / "results"
COMMENT = "#"
STAMP = {"commit": COMMIT, "code": CODE}
Row = Mapping[Any, Any]


def first_line(path: Path) -> str:
    """Return the command and the machine that a file begins with; empty where it begins with its columns."""
    with path.open(encoding="utf-8") as file:
        line = file.readline().rstrip("\n")
    return line if line.startswith(COMMENT) else ""


def read_rows(path: Path, texts: Sequence[str] = ()) -> pd.DataFrame:
    """Return the rows of a file; no text but "" and "nan" is a missing value.

    Args:
        path: A result file, or a summary.
        texts: Names of columns that are text, even where it looks like numbers.
    """
    n_comments = int(bool(first_line(path)))
    kinds = dict.fromkeys((*STAMP, *texts), str)
    return pd.read_csv(path, skiprows=n_comments, dtype=kinds, keep_default_na=False, na_values=["", "nan"])


@dataclass(frozen=True)
class ResultFile:
    """A CSV file of measured cells, which can be measured in several runs, one run at a time.

    A cell has one row or several, which have the same keys. Every row names the commit and has the hash of the code
    (`experiments.machine.code_hash`) that it was measured with. Whatever is written is written whole or not at all.

    Args:
        path: Where the file is or is to be.
        command: What measures it, for the first line.
        keys: Names of the columns that tell cells apart; none for a file that one run writes as a whole.
        measures_stale: Whether a cell of other code, or of unknown code, counts as not measured.
    """

    path: Path
    command: str
    keys: tuple[str, ...] = ()
    measures_stale: bool = False

    def read(self, texts: Sequence[str] = ()) -> pd.DataFrame:
        """Return all rows; of a file that does not exist none, with the columns of the keys."""
        return read_rows(self.path, texts) if self.path.exists() else pd.DataFrame(columns=list(self.keys))

    def is_measured(self, *key: Any) -> bool:
        """Return whether the file holds a cell, and does not count it as not measured."""
        cell = self._texts()
        cell = cell[self._is_of(cell, key)]
        return len(cell) > 0 and not (self.measures_stale and is_stale(cell).any())

    def keep(self, cell: Row | Sequence[Row]) -> None:
        """Put a cell, of one row or of several, in the place of what the file holds of it, and print it."""
        rows = _stamped([cell] if isinstance(cell, Mapping) else cell)
        known = self._texts()
        others = known[~self._is_of(known, list(rows[list(self.keys)].iloc[0]))]
        self._write(self.path, pd.concat([others, rows]).fillna("") if len(known) else rows, self._extended_head())
        print(rows.to_csv(index=False, header=False, lineterminator="\n"), end="", flush=True)

    def write(self, rows: Sequence[Row]) -> None:
        """Write all rows of one run, in the place of those of earlier runs."""
        self._write(self.path, _stamped(rows), self._new_head())

    def write_summary(self, summary: pd.DataFrame, to: Path | None = None) -> None:
        """Write what was computed from the cells under their first line, to NAME_summary.csv or to a path."""
        self._write(to or self.beside("_summary.csv"), summary, first_line(self.path))

    def beside(self, ending: str) -> Path:
        """Return the path of a file that is derived from this one."""
        return self.path.with_name(f"{self.path.stem}{ending}")

    def _texts(self) -> pd.DataFrame:
        """Return all rows as they are written."""
        if not self.path.exists():
            return pd.DataFrame(columns=list(self.keys))
        return pd.read_csv(self.path, skiprows=int(bool(first_line(self.path))), dtype=str, na_filter=False)

    def _is_of(self, rows: pd.DataFrame, key: Sequence[Any]) -> "pd.Series[bool]":
        return (rows[list(self.keys)] == [_text(value) for value in key]).all(axis=1)

    def _new_head(self) -> str:
        return f"{COMMENT} {self.command}; {describe_machine()}"

    def _extended_head(self) -> str:
        """Return the first line, which names every command and machine that rows were measured with."""
        known, new = first_line(self.path) if self.path.exists() else "", self._new_head()
        if not known:
            return new
        described = new.removeprefix(f"{COMMENT} ")
        return known if described in known else f"{known}; then {described}"

    @staticmethod
    def _write(path: Path, rows: pd.DataFrame, head: str) -> None:
        lines = rows.to_csv(index=False, lineterminator="\n")
        text = f"{head}\n{lines}" if head else lines

        def write(part: Path) -> None:
            part.write_text(text, encoding="utf-8")

        write_atomic(path, write)


def same_codes(path: Path | None = None) -> frozenset[str]:
    """Return the hashes of code whose results are those of the present code, directly or by way of other code.

    Args:
        path: What `experiments.same_results` has kept; the one in results/ if not given.
    """
    path = RESULTS / "same_results.csv" if path is None else path
    if not path.exists():
        return frozenset({CODE})
    rows = read_rows(path, ["base_code"])
    differ = set(rows.loc[~rows["is_same"], "base_code"])
    pairs = {(row["base_code"], row["code"]) for row in rows.to_dict("records")}
    known = {CODE}
    for _ in pairs:
        known |= {base for base, code in pairs if code in known and base not in differ}
    return frozenset(known)


def is_stale(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Return which rows were measured with code of other results than the present, or with unknown code."""
    return ~rows["code"].isin(same_codes()) if "code" in rows else pd.Series(True, index=rows.index)


def add_result_arguments(parser: ArgumentParser, default: str, *, restartable: bool = True) -> None:
    """Add --out, and where cells are measured once --stale, to a command line.

    Args:
        parser: The command line.
        default: Name of the file in experiments/results.
        restartable: Whether there is --stale.
    """
    where = f"experiments/results/{default} if not given; what is derived from it is named after it"
    parser.add_argument("--out", type=Path, default=RESULTS / default, help=f"the result file, {where}")
    if restartable:
        parser.add_argument("--stale", action="store_true", help="measure cells of other or unknown code again")


def with_sizes(command: str, parser: ArgumentParser, options: Namespace, names: Sequence[str]) -> str:
    """Return a command with those of the named options that are not the defaults.

    Options that only choose cells need not be named: the rows say which cells were measured.
    """
    changed = {name: getattr(options, name) for name in names if getattr(options, name) != parser.get_default(name)}
    values = {name: value if isinstance(value, list) else [value] for name, value in changed.items()}
    return " ".join([command, *(f"--{name.replace('_', '-')} {' '.join(map(str, values[name]))}" for name in changed)])


def _stamped(rows: Sequence[Row]) -> pd.DataFrame:
    """Return rows as text, with the commit and the hash of the code."""
    return pd.DataFrame([{name: _text(value) for name, value in row.items()} | STAMP for row in rows])


def _text(value: Any) -> str:
    return "" if pd.isna(value) else str(value)
