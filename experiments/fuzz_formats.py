"""Is every value of a file read as it was written, in whatever format, and whatever stands around the table?

    python -m experiments.fuzz_formats              # 2,000 files
    python -m experiments.fuzz_formats --n 100 --seed 7

Each file is a table of two to seven columns of random kinds, each in a random known format (numbers with their
separators, units, limits and signs; dates in their orders and scripts; levels; codes; truth values; times of day), with
a random share of missing cells; around it a random choice of titles, remarks, keys and values, a row of units, two rows
of names, a total at the foot, blank rows; as text of a random separator and encoding, or as a workbook. It is read with
`read_table` and `infer_table`, and each value is compared with the one that was written. A file ends as "equal", as
"said" (some values differ, and a warning names their column or says that the file can be read in two ways), as
"refused", as "silent" (some differ without a word) or as "defect" (a traceback). The last two must not happen: their
files are kept. Outcomes are counted in results/fuzz_formats.csv.
"""

import argparse
import datetime as dt
import io
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd

from experiments.result_file import ResultFile, add_result_arguments, with_sizes
from tabattn.errors import TabAttnError, TabAttnWarning
from tabattn.table.columns import Levels, Numbers, Times
from tabattn.table.inference import infer_table
from tabattn.table.reading import read_table

COMMAND = "python -m experiments.fuzz_formats"
N_FILES, ENCODINGS = 2_000, ("utf-8", "utf-8-sig", "utf-16", "cp949")
MISSING = ("", "", "-", "N/A", "없음", "ND", "불검출", "#DIV/0!")
Random = np.random.Generator


@dataclass(frozen=True)
class Written:
    """A column as it is written.

    Args:
        cells: The cells: text, or for workbooks numbers and times.
        values: What they mean: numbers, time stamps or levels; NaN or None where missing.
        how: Its format, for the kept files.
    """

    cells: list[Any]
    values: list[Any]
    how: str


def _grouped(number: float, mark: str, decimal: str) -> str:
    whole, _, part = f"{abs(number):,.2f}".partition(".")
    return "-" * (number < 0) + whole.replace(",", mark) + decimal + part


NUMBERS: Mapping[str, Callable[[float], str]] = {
    "points": lambda x: f"{x:.2f}",
    "commas": lambda x: f"{x:.2f}".replace(".", ","),
    "grouped by commas": lambda x: _grouped(x, ",", "."),
    "grouped by points": lambda x: _grouped(x, ".", ","),
    "grouped by blanks": lambda x: _grouped(x, " ", ","),
    "exponents": lambda x: f"{x:.6e}",
    "kg": lambda x: f"{x:.2f} kg",
    "degrees": lambda x: f"{x:.2f}℃",
    "dollars": lambda x: "-" * (x < 0) + f"${abs(x):,.2f}",
    "won": lambda x: f"₩{x:.2f}",
    "per cent": lambda x: f"{x:.2f}%",
    "brackets": lambda x: f"({abs(x):.2f})" if x < 0 else f"{x:.2f}",
    "minus behind": lambda x: f"{abs(x):.2f}-" if x < 0 else f"{x:.2f}",
}
DATES = (
    "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y/%m/%d", "%d.%m.%Y %H:%M", "%d/%m/%Y", "%m/%d/%Y %I:%M %p", "%d-%b-%Y",
    "%Y년 %m월 %d일 %H시", "%Y. %m. %d.", "%Y%m%d %H:%M", "%Y%m%d%H%M", "%Y-%m-%d:%H", "%d.%m.%y", "%b %d, %Y",
)  # fmt: skip


def number_column(n: int, random: Random) -> Written:
    """Numbers of one format, some of them limits."""
    how = str(random.choice(list(NUMBERS)))
    scale = 10.0 ** random.integers(0, 6)
    values = [round(x * float(scale), 2) for x in random.normal(size=n).tolist()]
    has_limits = random.random() < 0.2
    cells = [("<" if has_limits and random.random() < 0.1 else "") + NUMBERS[how](x) for x in values]
    return Written(cells, list(values), how)


def integer_column(n: int, random: Random) -> Written:
    """Whole numbers."""
    values = random.integers(0, 10 ** int(random.integers(1, 7)), n).tolist()
    return Written([str(x) for x in values], [float(x) for x in values], "integers")


def date_column(n: int, random: Random) -> Written:
    """Dates of one format, or of two that can be told apart, sorted or not."""
    start = dt.datetime(2001, 1, 1) + dt.timedelta(hours=int(random.integers(200_000)))
    step = dt.timedelta(minutes=int(random.choice([1, 60, 480, 1_440, 10_080])))
    times = [start + i * step for i in range(n)]
    if random.random() < 0.3:
        times = [times[i] for i in random.permutation(n)]
    hows = [str(random.choice(DATES))]
    if random.random() < 0.2:
        hows.append("%Y-%m-%d %H:%M")
    chosen = [hows[int(random.integers(len(hows)))] for _ in times]
    cells = [time.strftime(how) for time, how in zip(times, chosen, strict=True)]
    return Written(cells, [_rounded(*pair) for pair in zip(times, chosen, strict=True)], " and ".join(hows))


def _rounded(time: dt.datetime, how: str) -> pd.Timestamp:
    """Return the time that a format keeps."""
    fields = {"minute": "%M" in how, "hour": "%H" in how or "%I" in how}
    return pd.Timestamp(time.replace(second=0, **{name: 0 for name, has in fields.items() if not has}))  # type: ignore[arg-type]


def level_column(n: int, random: Random) -> Written:
    """Levels, some with blanks at their ends."""
    sets = (
        ["A", "B", "C"],
        ["1호기", "2호기"],
        ["007", "012", "103"],
        ["양호", "불량", "보류"],
        ["S-1", "S-2"],
        ["low", "high"],
    )
    levels = sets[int(random.integers(len(sets)))]
    values = [str(random.choice(levels)) for _ in range(n)]
    return Written([x + " " * int(random.random() < 0.1) for x in values], list(values), "levels")


def flag_column(n: int, random: Random) -> Written:
    """Truth values."""
    values = [bool(x) for x in random.random(n) < 0.5]
    return Written([str(x).upper() for x in values], [str(x) for x in values], "truth values")


def clock_column(n: int, random: Random) -> Written:
    """Times of day."""
    minutes = random.integers(0, 1_440, n).tolist()
    return Written([f"{m // 60:02}:{m % 60:02}" for m in minutes], [60.0 * m for m in minutes], "times of day")


COLUMNS = (
    number_column,
    number_column,
    integer_column,
    date_column,
    date_column,
    level_column,
    flag_column,
    clock_column,
)


def with_missing(column: Written, random: Random) -> Written:
    """Replace some cells by nothing, or by a word for nothing."""
    share, word = float(random.choice([0, 0, 0.05, 0.3])), str(random.choice(MISSING))
    is_missing = random.random(len(column.cells)) < share
    cells = [word if gone else cell for cell, gone in zip(column.cells, is_missing, strict=True)]
    values = [None if gone else value for value, gone in zip(column.values, is_missing, strict=True)]
    return Written(cells, values, column.how)


def furnished(names: list[str], columns: list[Written], random: Random) -> tuple[list[list[Any]], list[str], set[str]]:
    """Return the rows of a file, the names that the columns are to have, and what stands around."""
    width, around = len(names), set()
    head: list[list[Any]] = [list(names)]
    if random.random() < 0.15 and width > 3:
        around.add("two rows of names")
        half = width // 2
        head = [["Zone 1", *[""] * (half - 1), "Zone 2", *[""] * (width - half - 1)], names]
        head[1] = [f"c{i % half if i < half else i - half}" for i in range(width)]
        names = [f"Zone {1 if i < half else 2} / {name}" for i, name in enumerate(head[1])]
    if random.random() < 0.2:
        number = [column.how in NUMBERS or column.how == "integers" for column in columns]
        if all(number):
            around.add("units")
            head.append([str(random.choice(["°C", "bar", "m3/h", "mg/L", "mm"])) for _ in names])
    above: list[list[Any]] = []
    kind = random.random()
    if kind < 0.15:
        around.add("titles")
        above = [["Report of line 3"], *[["shift B of Monday"]] * int(random.integers(3))]
    elif kind < 0.25 and width > 2:
        around.add("keys and values")
        above = [["Device", "LX-4"], ["Operator", "Kim"], []]
    elif kind < 0.35:
        around.add("comments")
        above = [["# logger 2.1"], ["# started on Monday"]]
    rows = [list(row) for row in zip(*(column.cells for column in columns), strict=True)]
    if random.random() < 0.15 and all(isinstance(v, float | None) for column in columns[1:] for v in column.values):
        around.add("total")
        rows.append([str(random.choice(["합계", "Total", "Summe"])), *["1.5"] * (width - 1)])
    return [*above, *head, *rows], names, around


def write_text(path: Path, rows: list[list[Any]], separator: str, encoding: str) -> None:
    """Write rows as text."""
    lines = []
    for row in rows:
        cells = [str(cell) for cell in row]
        quoted = [f'"{cell}"' if separator in cell or '"' in cell else cell for cell in cells]
        lines.append(separator.join(quoted))
    path.write_bytes(("\n".join(lines) + "\n").encode(encoding))


def write_sheet(path: Path, rows: list[list[Any]]) -> None:
    """Write rows as a workbook, plain numbers as numbers."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append([_typed(cell) for cell in row])
    file = io.BytesIO()
    book.save(file)
    path.write_bytes(file.getvalue())


def _typed(cell: Any) -> Any:
    text = str(cell)
    is_code = text[:1] == "0" and text[1:2].isdigit()
    try:
        return None if text == "" else text if is_code or not text.isascii() else float(text)
    except ValueError:
        return text


def differences(path: Path, names: list[str], columns: list[Written]) -> tuple[list[str], list[str]]:
    """Read a file; return the names of the columns that differ from what was written, and all that was said."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TabAttnWarning)
        frame = read_table(path)
        table = infer_table(frame)
    said = [str(each.message) for each in caught] + [str(each) for each in table.warnings]
    if list(frame.columns) != names or len(frame) != len(columns[0].cells):
        return [f"shape {frame.shape}", *map(str, frame.columns)], said
    differing = []
    for i, (name, column) in enumerate(zip(names, columns, strict=True)):
        cells, schema = table.cells[i], table.schema.columns[i]
        if schema.is_constant and len({value for value in column.values if value is not None}) < 2:
            continue
        if not _are_equal(cells, schema.offset, column):
            differing.append(name)
    return differing, said


def _are_equal(cells: Any, offset: int, column: Written) -> bool:
    wanted = column.values
    if isinstance(cells, Numbers):
        if not all(isinstance(value, float | None) for value in wanted):
            return False
        numbers = np.array([np.nan if value is None else value for value in wanted])
        return bool(np.allclose(cells.values + offset, numbers, rtol=1e-5, atol=1e-9, equal_nan=True))
    if isinstance(cells, Times):
        return [None if pd.isna(time) else time for time in cells.values] == wanted
    if isinstance(cells, Levels):
        return [None if place < 0 else cells.names[place] for place in cells.positions] == wanted
    return False


def one_file(path: Path, random: Random) -> tuple[str, str, str]:
    """Write a file, read it, and return its format, what stands around the table, and how it ended."""
    n, width = int(random.integers(25, 60)), int(random.integers(2, 8))
    makers = [COLUMNS[int(i)] for i in random.integers(len(COLUMNS), size=width)]
    columns = [make(n, random) for make in makers]
    columns[1:] = [with_missing(column, random) for column in columns[1:]]  # no row is blank
    names = [str(random.choice(["온도", "temp", "Druck", "flow", "두께"])) + f"_{i}" for i in range(width)]
    rows, names, around = furnished(names, columns, random)
    if random.random() < 0.3:
        kind = "xlsx"
        write_sheet(path, rows)
    else:
        encoding, separator = str(random.choice(ENCODINGS)), str(random.choice([",", ";", "\t", "|"]))
        kind = {"\t": "tab"}.get(separator, separator)
        try:
            write_text(path, rows, separator, encoding)
        except UnicodeEncodeError:
            write_text(path, rows, separator, "utf-8")
    try:
        differing, said = differences(path, names, columns)
    except TabAttnError as error:
        return kind, ", ".join(sorted(around)), f"refused: {error}"
    if not differing:
        return kind, ", ".join(sorted(around)), "equal"
    is_said = all(any(name in text for text in said) for name in differing)
    is_said |= differing[0].startswith("shape") and any("without a value: left out" in text for text in said)
    hows = [columns[names.index(name)].how if name in names else name for name in differing]
    return kind, ", ".join(sorted(around)), f"{'said' if is_said else 'silent'}: {hows}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write and read files, and count how they ended."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--n", type=int, default=N_FILES)
    parser.add_argument("--seed", type=int, default=0)
    add_result_arguments(parser, "fuzz_formats.csv", restartable=False)
    options = parser.parse_args(arguments)
    results = ResultFile(options.out, with_sizes(COMMAND, parser, options, ["n", "seed"]))
    outcomes: Counter[tuple[str, str, str]] = Counter()
    with tempfile.TemporaryDirectory() as directory:
        for number in range(options.n):
            random = np.random.default_rng([options.seed, number])
            path = Path(directory, "table.csv")
            try:
                kind, around, ended = one_file(path, random)
            except Exception:  # noqa: BLE001  # whatever it is, it is a defect
                kind, around, ended = "", "", "defect"
                print(f"file {number}\n{traceback.format_exc()}", flush=True)
            outcome = ended.partition(":")[0]
            outcomes[kind, around, outcome] += 1
            if outcome in {"silent", "defect", "refused"}:
                print(f"file {number}: {kind}; {around or 'nothing'} around; {ended}", flush=True)
            if outcome in {"silent", "defect"}:
                kept = results.beside(f"_{outcome}_{number}")
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_bytes(path.read_bytes())
    rows = [
        {"format": kind, "around": around or "nothing", "outcome": outcome, "files": count}
        for (kind, around, outcome), count in sorted(outcomes.items())
    ]
    results.write(rows)
    print(pd.DataFrame(rows).groupby("outcome")["files"].sum().to_string())


if __name__ == "__main__":
    main()
