"""Which rows are fitted, and which are held out: at random, by whole units such as lots, or in time."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold, train_test_split

from tabattn.arrays import Array
from tabattn.choices import Task
from tabattn.errors import ParameterError, TableError
from tabattn.table.cells import Positions
from tabattn.table.links import RowLinks

N_DRAWS = 64


class Split(NamedTuple):
    """Rows to fit, and rows to hold out.

    Args:
        train: Positions of the rows to fit, sorted.
        held_out: Positions of the others, sorted; rows in a gap of time are in neither.
    """

    train: Positions
    held_out: Positions

    @classmethod
    def of(cls, is_held_out: Array) -> "Split":
        """Return the split of rows of which some are held out.

        Args:
            is_held_out: Which ones.
        """
        return cls(np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out))


def split_rows(y: Array, task: Task, links: RowLinks, fraction: float, random_state: int) -> Split:
    """Hold a part of the rows out.

    Without units and without times, at random, and classes have the same frequencies in both parts where rows suffice.
    With units, whole units: of 64 random choices, the one closest to the fraction asked for, and to the frequencies of
    the classes. With times, the last rows; a unit is where the mean of its rows is. Each class has at least
    one row among those to fit, if the rows have no links.

    Args:
        y: The target.
        task: Whether it holds classes.
        links: Which rows belong together, and when they were.
        fraction: Fraction of the rows to hold out.
        random_state: Seed.

    Raises:
        TableError: No unit can be held out so that enough rows are left.

    Example:
        >>> y, lots = np.arange(12.0), np.repeat([0, 1, 2, 3], 3)
        >>> split_rows(y, "regression", RowLinks(lots), 0.25, random_state=0).held_out.tolist()
        [6, 7, 8]
    """
    n_rows = len(y)
    n_held_out = min(max(2, round(fraction * n_rows)), n_rows - 2)
    if links.time is not None:
        split = _last(links, n_held_out)
    elif links.unit is not None:
        split = _whole_units(y, task, links.unit, n_held_out, random_state)
    else:
        split = _at_random(y, task, n_held_out, random_state)
    return _with_all_classes(y, split, links) if task == "classification" else split


def fold_rows(y: Array, task: Task, links: RowLinks, n_folds: int, random_state: int) -> Iterator[Split]:
    """Hold every row out once, in one of several folds.

    Args:
        y: The target.
        task: Whether it holds classes.
        links: Which rows belong together, and when they were: then the folds are blocks of time.
        n_folds: Number of folds, at least 2.
        random_state: Seed.

    Raises:
        ParameterError: There are more folds than rows or units.

    Example:
        >>> y, lots = np.arange(8.0), np.repeat([0, 1, 2, 3], 2)
        >>> [fold.held_out.tolist() for fold in fold_rows(y, "regression", RowLinks(lots), 2, random_state=0)]
        [[4, 5, 6, 7], [0, 1, 2, 3]]
    """
    n_units = links.n_units or len(y)
    if n_folds > n_units:
        what = "rows" if links.unit is None else "units that stay together"
        raise ParameterError(f"folds must not be more than the {n_units} {what} of the table, got {n_folds}.")
    if links.time is not None:
        yield from _blocks(links, n_folds)
        return
    is_classes = task == "classification"
    stratifies = is_classes and np.unique(y, return_counts=True)[1].min() >= n_folds
    if links.unit is None:
        splitter = (StratifiedKFold if stratifies else KFold)(n_folds, shuffle=True, random_state=random_state)
    else:
        splitter = (StratifiedGroupKFold if stratifies else GroupKFold)(
            n_folds, shuffle=True, random_state=random_state
        )
    for train, held_out in splitter.split(np.zeros(len(y)), y, links.unit):
        split = Split(train, held_out)
        yield _with_all_classes(y, split, links) if is_classes else split


def _at_random(y: Array, task: Task, n_held_out: int, random_state: int) -> Split:
    n_classes = len(np.unique(y)) if task == "classification" else 0
    stratifies = 0 < n_classes <= min(n_held_out, len(y) - n_held_out)
    train, held_out = train_test_split(
        np.arange(len(y)), test_size=n_held_out, random_state=random_state, stratify=y if stratifies else None
    )
    return Split(np.sort(train), np.sort(held_out))


def _whole_units(y: Array, task: Task, unit: Array, n_held_out: int, random_state: int) -> Split:
    """Hold out whole units, see `split_rows`; the choice depends on the content of units, not on their numbers."""
    random = np.random.default_rng(random_state)
    unit = np.unique(unit, return_inverse=True)[1]
    sizes = np.bincount(unit)
    codes = np.unique(y, return_inverse=True)[1] if task == "classification" else np.zeros(len(y), dtype=np.intp)
    counts = np.zeros((len(sizes), codes.max() + 1))
    np.add.at(counts, (unit, codes), 1)
    wanted = counts.sum(axis=0) * n_held_out / len(y)
    best, smallest = np.arange(1), np.inf
    for _ in range(N_DRAWS):
        order = random.permutation(len(sizes))
        n_units = int(np.clip(np.abs(sizes[order].cumsum() - n_held_out).argmin() + 1, 1, len(sizes) - 1))
        chosen = order[:n_units]
        distance = np.abs(counts[chosen].sum(axis=0) - wanted).sum()
        if distance < smallest:
            best, smallest = chosen, distance
    is_held_out = np.isin(unit, best)
    return Split(np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out))


def _in_time(links: RowLinks) -> tuple[Positions, Positions, Positions]:
    """Return the unit of each row by its place in time, and the size and the end of each unit."""
    assert links.time is not None, "rows have an order"
    unit = np.arange(len(links.time)) if links.unit is None else np.unique(links.unit, return_inverse=True)[1]
    mean = np.bincount(unit, links.time) / np.bincount(unit)
    order = np.lexsort([mean])
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    ordered = place[unit]
    size = np.bincount(ordered)
    return ordered, size, size.cumsum()


def _last(links: RowLinks, n_held_out: int) -> Split:
    """Hold out the last units in time; rows in the gap before them are left out."""
    unit, size, end = _in_time(links)
    n_rows = len(unit)
    first = int(np.clip(np.abs(n_rows - end - n_held_out).argmin() + 1, 1, len(size) - 1))
    return _without_gap(unit, end, first, len(size), links)


def _blocks(links: RowLinks, n_folds: int) -> Iterator[Split]:
    """Hold out one block of time after the other; rows in the gaps beside it are left out."""
    unit, size, end = _in_time(links)
    middle = end - size / 2
    fold = np.minimum((middle * n_folds / len(unit)).astype(np.intp), n_folds - 1)
    fold = np.unique(fold, return_inverse=True)[1]
    for each in range(fold.max() + 1):
        inside = np.flatnonzero(fold == each)
        yield _without_gap(unit, end, int(inside[0]), int(inside[-1]) + 1, links)


def _without_gap(unit: Positions, end: Positions, first: int, last: int, links: RowLinks) -> Split:
    start = 0 if first == 0 else int(end[first - 1])
    before = np.concatenate([[0], end[:-1]])
    is_held_out = (unit >= first) & (unit < last)
    is_near = ((end > start - links.gap) & (before < end[last - 1] + links.gap))[unit]
    train = np.flatnonzero(~(is_near | is_held_out))
    if len(train) < 2:
        raise TableError(
            f"At least 2 rows must be left to fit, got {len(train)} beside a gap of {links.gap}. Choose a smaller gap."
        )
    return Split(train, np.flatnonzero(is_held_out))


def _with_all_classes(y: Array, split: Split, links: RowLinks) -> Split:
    """Move a row, or its unit, of each class that would not be fitted to the rows to fit; not against time."""
    absent = np.setdiff1d(y[split.held_out], y[split.train])
    if len(absent) == 0:
        return split
    if links.time is not None:
        raise TableError(
            f"Each class must have rows to fit, got class {str(absent[0])!r} in the last rows only. "
            "Hold out fewer rows, or leave rows of this class out."
        )
    train, held_out = split
    for name in absent:
        rows = held_out[y[held_out] == name]
        if len(rows) == 0:
            continue
        moved = rows[:1] if links.unit is None else held_out[links.unit[held_out] == links.unit[rows[0]]]
        train, held_out = np.union1d(train, moved), np.setdiff1d(held_out, moved)
    if len(held_out) == 0:
        raise TableError(
            "Each class must have rows to fit and rows to hold out, got a class in each unit that stays together. "
            "Split by another column."
        )
    return Split(train, held_out)
