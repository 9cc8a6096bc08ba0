"""Training, validation and test rows of a measured table: the published split where there is one, else a fixed one."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from experiments.tables import MeasuredTable
from tabattn.table.problem import Problem, split_target

SPLIT_SEED = 0
HELD_OUT = 0.2


@dataclass(frozen=True)
class SplitTable:
    """A table, its target, and which rows are for what.

    Args:
        problem: Features and target; classes are codes from 0.
        train: Positions of the rows to fit on.
        validation: Positions of the rows to stop by.
        test: Positions of the rows to score on.
        is_published: Whether the test rows are those of a published split.
    """

    problem: Problem
    train: np.ndarray[tuple[int], np.dtype[np.int64]]
    validation: np.ndarray[tuple[int], np.dtype[np.int64]]
    test: np.ndarray[tuple[int], np.dtype[np.int64]]
    is_published: bool


def split_table(table: MeasuredTable) -> SplitTable:
    """Read a table and split it.

    A published split is a CSV file with the columns row and split beside the tables. Where it names no validation rows,
    or no training rows (of some benchmarks only these parts were published), a fifth of what is not test
    validates. Without a published split: 64 / 16 / 20, the same rows for every model and seed.
    """
    frame = table.read()
    known = frame[table.target].notna().to_numpy()
    frame = frame[known].reset_index(drop=True)
    problem = split_target(frame, table.target, task=table.task)
    if problem.task == "classification":
        codes = pd.Series(np.unique(problem.y.astype(str), return_inverse=True)[1], name=problem.y.name)
        problem = replace(problem, y=codes)
    published = table.path.parent / "splits" / f"{table.name}.split.csv"
    if not published.exists():
        rest, test = _halve(np.arange(len(frame)), problem)
        train, validation = _halve(rest, problem)
        return SplitTable(problem, train, validation, test, is_published=False)
    part = pd.read_csv(published).set_index("row")["split"].reindex(np.flatnonzero(known)).to_numpy()
    test = np.flatnonzero(part == "test")
    if {"train", "val"} <= set(part):
        train, validation = np.flatnonzero(part == "train"), np.flatnonzero(part == "val")
    else:
        train, validation = _halve(np.flatnonzero(part != "test"), problem)
    return SplitTable(problem, train, validation, test, is_published=True)


def _halve(rows: Any, problem: Problem) -> tuple[Any, Any]:
    """Hold out a fifth of some rows, every class in proportion where each has enough rows."""
    classes = problem.y.iloc[rows] if problem.task == "classification" else None
    is_splittable = classes is not None and classes.value_counts().min() >= 2
    kept, held_out = train_test_split(
        rows, test_size=HELD_OUT, random_state=SPLIT_SEED, stratify=classes if is_splittable else None
    )
    return np.sort(kept), np.sort(held_out)
