"""Does a damaged file ever show a traceback?

    python -m experiments.fuzz --data DIR           # 1,000 mutations of the tables of a catalog, half an hour
    python -m experiments.fuzz --n 200              # of the tables of data/

Each mutation takes some lines of a table, changes their bytes (some flipped, cut out, doubled, or replaced by marks
that mean something in a file: separators, quotes, line ends, zero bytes, byte order marks, bad UTF-8, huge numbers),
and asks `tabattn rank` for its ranking with a small model, one epoch and one repeat. It must end with 0, or with 2 and
one line that says why. Anything else is a defect, and its bytes are kept; so is the end of the process. For every ten
such files there is one more of each other format, whose bytes are changed after it was written: Excel, Parquet,
Feather, and text that was compressed. Outcomes are counted in results/fuzz.csv.
"""

import argparse
import bz2
import gzip
import io
import lzma
import tempfile
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from typer.testing import CliRunner

from experiments.result_file import ResultFile, add_result_arguments
from experiments.tables import load_catalog
from tabattn import rank
from tabattn.cli import app
from tabattn.ranking_results import Ranking

DATA = Path(__file__).parent.parent / "data"
TARGETS = {"wine": "cultivar", "process": "thickness_um", "friedman": "y", "diabetes": "progression"}
N_LINES, N_MUTATIONS, CSV_PER_OTHER, FRACTION_CUT_OFF, MAX_COLUMNS = 60, 1_000, 10, 0.1, 100
MARKS = (
    *(",", ";", "\t", "|", '"', "'", "\n", "\r\n", "\r", "\0", " ", "-", "NaN", "inf", "-inf", "1e400", "9" * 400),
    *("1,234.5", "12%", "없음", "2024-02-30", "08:30", "=1+1", "#", "\ufeff", "🙂"),
)
TOKENS = (*(mark.encode() for mark in MARKS), b"\xff\xfe", b"\xfe\xff", b"\xff", b"\xc3\x28", b"\0\0\0")
SMALL: dict[str, Any] = {"n_members": 1, "n_layers": 1, "d_token": 4}
PATCHED = "tabattn.rankings.rank"


def zipped(data: bytes) -> bytes:
    """Return a .zip of one file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("table.csv", data)
    return file.getvalue()


def written(data: bytes, write: Callable[[pd.DataFrame, io.BytesIO], None]) -> bytes:
    """Return a table in another format."""
    file = io.BytesIO()
    write(pd.read_csv(io.BytesIO(data)), file)
    return file.getvalue()


OTHER_FORMATS: Mapping[str, Callable[[bytes], bytes]] = {
    "csv.gz": gzip.compress,
    "csv.bz2": bz2.compress,
    "csv.xz": lzma.compress,
    "csv.zip": zipped,
    "xlsx": lambda data: written(data, lambda table, file: table.to_excel(file, index=False)),
    "parquet": lambda data: written(data, lambda table, file: table.to_parquet(file)),
    "feather": lambda data: written(data, lambda table, file: table.to_feather(file)),
}


def mutate(data: bytes, random: np.random.Generator) -> bytes:
    """Change some bytes of a file, here and there."""
    for _ in range(int(random.integers(1, 9))):
        start = int(random.integers(len(data) + 1))
        end = min(len(data), start + int(random.integers(1, 30)))
        what = random.integers(5)
        if what == 0:
            flipped = bytes(byte ^ (1 << int(random.integers(8))) for byte in data[start:end])
            data = data[:start] + flipped + data[end:]
        elif what == 1:
            data = data[:start] + data[end:]
        elif what == 2:
            data = data[:end] + data[start:]
        elif what == 3:
            data = data[:start] + TOKENS[int(random.integers(len(TOKENS)))] + data[start:]
        else:
            old, new = (TOKENS[int(i)] for i in random.integers(len(TOKENS), size=2))
            data = data.replace(old, new, int(random.integers(1, 50)))
    return data[: int(random.integers(len(data) + 1))] if random.random() < FRACTION_CUT_OFF else data


def outcome(path: Path, target: str, out: Path) -> str:
    """Rank a file and say how it ended; an exception that is no exit is passed on."""
    command = ["rank", str(path), "--target", target, "--out", str(out), "--max-epochs", "1", "--repeats", "1"]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    said = ("tabattn: warning:", "tabattn: note:")
    lines = [line for line in result.stderr.splitlines() if not line.startswith(said)]
    if result.exit_code == 0 and not lines:
        return "ranked"
    if result.exit_code == 2 and len(lines) == 1 and lines[0].startswith("tabattn: "):
        return "refused"
    raise AssertionError(f"exit code {result.exit_code}, said {lines}")


def sources(data: Path | None) -> dict[str, tuple[bytes, str]]:
    """Return the first lines of the tables to change, and the names of their targets."""
    if data is None:
        return {name: ((DATA / f"{name}.csv").read_bytes(), target) for name, target in TARGETS.items()}
    tables = {}
    for name, table in load_catalog(data).items():
        whole = table.path.read_bytes()
        lines = gzip.decompress(whole) if table.path.suffix == ".gz" else whole
        n_features = len(pd.read_csv(io.BytesIO(lines), nrows=0).columns) - 1
        if n_features <= MAX_COLUMNS:
            tables[name] = lines, table.target
    return tables


def rank_small(data: Any, target: str, **options: Any) -> Ranking:
    """Rank with a small model."""
    return rank(data, target, **(options | SMALL))


def main(arguments: Sequence[str] | None = None, ranked: Callable[..., Ranking] = rank_small) -> None:
    """Change files, rank them with a function in the place of `rank`, and count how it ended."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, help="directory with catalog.csv; the tables of data/ if not given")
    parser.add_argument("--n", type=int, default=N_MUTATIONS)
    parser.add_argument("--seed", type=int, default=0)
    add_result_arguments(parser, "fuzz.csv", restartable=False)
    options = parser.parse_args(arguments)
    command = f"python -m experiments.fuzz{' --data DIR' if options.data else ''} --n {options.n} --seed {options.seed}"
    results = ResultFile(options.out, command)
    random = np.random.default_rng(options.seed)
    tables = sources(options.data)
    outcomes: Counter[tuple[str, str, str]] = Counter()
    others = [name for name in OTHER_FORMATS for _ in range(options.n // CSV_PER_OTHER)]
    with tempfile.TemporaryDirectory() as directory, patch(PATCHED, ranked):
        for number, suffix in enumerate(["csv"] * options.n + others):
            name = sorted(tables)[number % len(tables)]
            whole, target = tables[name]
            head, *lines = whole.splitlines(keepends=True)
            chosen = random.choice(len(lines), N_LINES, replace=False)
            part = b"".join([head, *(lines[i] for i in chosen)])
            data = mutate(OTHER_FORMATS[suffix](part) if suffix in OTHER_FORMATS else part, random)
            path = Path(directory, f"table.{suffix}")
            path.write_bytes(data)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", RuntimeWarning)
                    ended = outcome(path, target, Path(directory, "out"))
            except Exception:  # noqa: BLE001  # whatever it is, it is a defect
                ended = "defect"
                kept = results.beside(f"_defect_{number}.{suffix}")
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_bytes(data)
                print(f"{kept}, target {target!r}\n{traceback.format_exc()}", flush=True)
            outcomes[suffix, name, ended] += 1
    rows = [
        {"format": suffix, "table": name, "outcome": ended, "files": count}
        for (suffix, name, ended), count in sorted(outcomes.items())
    ]
    results.write(rows)
    print(pd.DataFrame(rows).groupby(["format", "outcome"])["files"].sum().to_string())


if __name__ == "__main__":
    main()
