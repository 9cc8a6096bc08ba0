"""Several targets in one call: one ranking of each, and one table of all."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from typing_extensions import override

from tabattn.choices import Language
from tabattn.diagnostics.doubts import doubtful_findings
from tabattn.errors import ParameterError, gathered
from tabattn.importance.table import ImportanceTable
from tabattn.output.report.files import ReportFiles
from tabattn.output.results import csv_writer
from tabattn.ranking import check_time_limit, rank
from tabattn.ranking_results import Ranking
from tabattn.table.reading import read_any

MAX_NAME = 60


@dataclass(frozen=True, eq=False, repr=False)
class Rankings(ReportFiles):
    """Results of `rank_targets`.

    Args:
        by_target: The ranking of each target, in the order that was asked for.
    """

    by_target: Mapping[str, Ranking]

    def __repr__(self) -> str:
        """Return what the command line prints of it."""
        return "\n\n".join(map(repr, self.by_target.values()))

    @property
    def table(self) -> ImportanceTable:
        """The ImportanceTables of all targets one below the other, with `target` as the first column."""
        tables = []
        for name, ranking in self.by_target.items():
            table = ranking.table.copy()
            table.insert(0, "target", pd.Series([name] * len(table), dtype="str"))
            tables.append(table)
        return pd.concat(tables, ignore_index=True)

    @property
    def folders(self) -> dict[str, str]:
        """Name of the folder of each target: its number, and its name without what file systems refuse."""
        names = (re.sub(r"[^\w-]+", "_", name)[:MAX_NAME].strip("_") for name in self.by_target)
        return {
            target: f"{number}_{name}".rstrip("_")
            for number, (target, name) in enumerate(zip(self.by_target, names, strict=True), start=1)
        }

    @override
    def writers(
        self, *, excel_safe: bool = False, language: Language = "en", command: str = "", excel: bool = False
    ) -> dict[str, Callable[[Path], None]]:
        """Return what writes the results of each target to a folder of its own, and `importance_of_targets.csv`."""
        writers = {"importance_of_targets.csv": csv_writer(self.table, excel_safe=excel_safe)}
        for target, folder in self.folders.items():
            ranking = self.by_target[target]
            own = ranking.writers(excel_safe=excel_safe, language=language, command=command, excel=excel)
            writers |= {f"{folder}/{name}": write for name, write in own.items()}
        return writers


def rank_targets(
    data: Any,
    targets: Sequence[str],
    *,
    drop: Sequence[str] = (),
    sheet: str | int | None = None,
    header_row: int | None = None,
    units_row: int | None = None,
    max_memory: float | None = None,
    time_limit: float | None = None,
    checkpoint: str | Path | None = None,
    **settings: Any,
) -> Rankings:
    """Rank the columns of a table for each of several targets, none of which is a feature for another.

    Args:
        data: The table, or the path of its file, as for `rank`.
        targets: Names of the target columns.
        drop: Names of further columns to leave out.
        sheet: This and the next three are for files, see `tabattn.table.reading.read_table`.
        header_row: As for `rank`.
        units_row: As for `rank`.
        max_memory: As for `rank`.
        time_limit: Seconds for all targets together; None for no limit.
        checkpoint: As for `rank`; each target has a folder in it.
        settings: Further arguments of `rank`.

    Returns:
        One ranking each.

    Raises:
        TabAttnError: The table or an argument is at fault; the message states what to do.

    Warns:
        TabAttnWarning: What `rank` warns of, for each target.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> table = pd.DataFrame(rng.normal(size=(120, 2)), columns=["heat", "dust"])
        >>> table["gloss"] = table["heat"] + 0.5 * rng.normal(size=120)
        >>> table["yield"] = table["dust"] + 0.5 * rng.normal(size=120)
        >>> found = rank_targets(table, ["gloss", "yield"], max_epochs=15)
        >>> found.table.groupby("target")["feature"].first().to_dict()
        {'gloss': 'heat', 'yield': 'dust'}
    """
    check_time_limit(time_limit)
    start = time.perf_counter()
    targets = [str(name) for name in targets]
    if not targets or len(set(targets)) < len(targets):
        raise ParameterError(f"Targets must be one or more columns, each once, got {', '.join(targets) or 'none'}.")
    reading: dict[str, Any] = {
        "sheet": sheet,
        "header_row": header_row,
        "units_row": units_row,
        "max_memory": max_memory,
    }
    if len(targets) == 1:
        one = rank(data, targets[0], drop=drop, time_limit=time_limit, checkpoint=checkpoint, **reading, **settings)
        return Rankings({targets[0]: one})
    if settings.get("all_rows"):
        raise ParameterError(f"all_rows must stand with one target, got {len(targets)}. Rank them one after another.")
    with gathered() as doubts:
        table = read_any(data, **reading)
    known = {str(name) for name in table.columns}
    rankings = {}
    for number, target in enumerate(targets):
        others = [name for name in targets if name != target and name in known]
        left = None if time_limit is None else time_limit - (time.perf_counter() - start)
        rankings[target] = rank(
            table,
            target,
            drop=list(dict.fromkeys([*drop, *others])),
            time_limit=None if left is None else max(left, 1.0) / (len(targets) - number),
            checkpoint=None if checkpoint is None else Path(checkpoint) / f"target_{number + 1}",
            **settings,
        )
    of_reading = tuple(doubtful_findings(doubts, sorted(known)))
    return Rankings({name: replace(each, findings=each.findings + of_reading) for name, each in rankings.items()})
