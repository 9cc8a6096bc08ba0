"""Which results were measured with the present code?

    python -m experiments.stale            # of every CSV file in experiments/results
    python -m experiments.stale some.csv

Counts for each file the rows whose hash of the code (`experiments.machine.code_hash`) is the present one, or that of
code whose results are the same (`experiments.same_results`), is another one, and is not known; a summary has no
hashes, its cells have them. Names the commits of the rows and of the first line that are not in the history of HEAD:
what was measured with them cannot be looked up.
"""

import argparse
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from experiments.machine import CODE, COMMIT, ROOT
from experiments.result_file import RESULTS, first_line, read_rows, same_codes

COMMIT_NAME = re.compile(r"\b(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{7,40}\b")


@dataclass(frozen=True)
class Staleness:
    """How many rows of a file were measured with which code.

    Args:
        file: Name of the file.
        present: Number of rows of the present code.
        other: Number of rows of other code.
        unknown: Number of rows without a hash.
        lost_commits: Commits that the file names and that are not in the history, sorted.
    """

    file: str
    present: int
    other: int
    unknown: int
    lost_commits: tuple[str, ...]


def is_in_history(commit: str) -> bool:
    """Return whether HEAD descends from a commit, or is it."""
    command = ["git", "merge-base", "--is-ancestor", f"{commit}^{{commit}}", "HEAD"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 0


def staleness(path: Path, is_known: Callable[[str], bool] = is_in_history) -> Staleness:
    """Return how many rows of a file were measured with which code.

    Args:
        path: A result file.
        is_known: Whether a commit is in the history.
    """
    rows = read_rows(path)
    codes = rows["code"] if "code" in rows else pd.Series(None, index=rows.index, dtype=str)
    same = same_codes()
    named = set(rows["commit"].dropna().str.rstrip("+")) if "commit" in rows else set()
    named |= set(COMMIT_NAME.findall(first_line(path)))
    return Staleness(
        file=path.name,
        present=int(codes.isin(same).sum()),
        other=int((codes.notna() & ~codes.isin(same)).sum()),
        unknown=int(codes.isna().sum()),
        lost_commits=tuple(sorted(commit for commit in named if not is_known(commit))),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one line per file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("files", nargs="*", type=Path, default=sorted(RESULTS.glob("*.csv")))
    options = parser.parse_args(arguments)
    if COMMIT == "unknown":
        raise SystemExit("The project must be a git checkout, got none. Clone it, so that commits can be looked up.")
    table = pd.DataFrame([asdict(staleness(path)) for path in options.files])
    table["lost_commits"] = table["lost_commits"].map(" ".join)
    print(f"present code: {CODE} at {COMMIT}")
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
