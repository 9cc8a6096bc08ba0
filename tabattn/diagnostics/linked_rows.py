"""Rows that belong together: blocks such as lots, near copies, neighbours in time.

Whether that matters is measured, not guessed: gradient boosting is fitted with random rows held out and with whole
blocks held out, and what is reported is by how much the first score overstates the second.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.stats import f as f_distribution
from scipy.stats import rankdata, wilcoxon
from sklearn.base import clone
from sklearn.model_selection import GroupKFold
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline

from tabattn.arrays import Array
from tabattn.diagnostics.baselines import SINGLE_RATE, gradient_boosting, single_column_model
from tabattn.diagnostics.findings import Finding
from tabattn.diagnostics.leaks import SplitRows
from tabattn.errors import DependentRowsWarning
from tabattn.nn.tokens import CellLayout
from tabattn.table.cells import Positions
from tabattn.table.columns import Levels, Numbers, Texts, Times
from tabattn.table.links import RowLinks
from tabattn.table.schema import Kind

MAX_COLUMNS, MANY_CLASSES, MIN_TREES = 60, 3, 10
MAX_ROWS, MAX_TREES, N_FOLDS, N_TIME_FOLDS, N_TIME_BLOCKS = 2_000, 60, 4, 5, 20
MIN_UNITS, MIN_SHARED, MAX_UNIT_ROWS = 5, 0.8, 100
MIN_FRACTION_DISTINCT, MAX_P_VALUE = 0.25, 1e-4
MIN_SHARE, MIN_SCATTERED_SHARE, MIN_IN_RUNS = 0.05, 0.4, 0.5
MIN_OVERSTATED, MAX_OVERSTATED_P, N_CANDIDATES = 0.1, 0.05, 3
MIN_Z, MIN_AUTOCORRELATION = 4.0, 0.15
MIN_DISTANCE_COLUMNS, N_FAR, MAX_DISTANCE_RATIO = 4, 10, 0.25
MIN_RUN_EXCESS, MIN_RUN_COLUMNS = 0.3, 2


@dataclass(frozen=True)
class Overstated:
    """Scores (R² of numbers, or of class indicators) of gradient boosting with rows held out in two ways.

    Args:
        random: With rows held out at random.
        right: With rows that belong together held out together.
        p_value: Of the losses of blocks being as large with the first way as with the second (Wilcoxon's test).
    """

    random: float
    right: float
    p_value: float

    @property
    def matters(self) -> bool:
        """Whether the random score promises something, and overstates the other by more than .1, beyond chance."""
        is_overstated = self.random - max(self.right, 0.0) > MIN_OVERSTATED
        return is_overstated and self.p_value < MAX_OVERSTATED_P


NOT_OVERSTATED = Overstated(0.0, 0.0, 1.0)


def linked_row_findings(rows: SplitRows, layout: CellLayout, links: RowLinks, random_state: int) -> list[Finding]:
    """Find blocks of rows, near copies and order in time that the split does not respect.

    Args:
        rows: All rows, in the order of the table.
        layout: Where the values of the columns stand.
        links: What the split respects already.
        random_state: Seed.

    Returns:
        At most one finding for blocks or copies, and one for time.
    """
    check = _Check(rows, layout, links, random_state)
    found: list[Finding] = []
    if not links.is_asked:
        found += check.blocks()
    if links.time is None and not found:
        found += check.time()
    return found


class _Check:
    def __init__(self, rows: SplitRows, layout: CellLayout, links: RowLinks, random_state: int) -> None:
        self.rows = rows
        self.kept = links.unit
        self.random_state = random_state
        self.n_rows = len(rows.table)
        is_known = ~np.isnan(rows.design).all(axis=1)
        self.known = np.flatnonzero(is_known)
        task = rows.problem.task
        y = rows.problem.y.to_numpy()
        if task == "regression":
            self.y = y.astype(np.float64)[:, None]
        else:
            self.y = (y[:, None] == np.unique(y)).astype(np.float64)
        self.codes = [_codes(cells) for cells in rows.table.cells]
        known = [codes for codes in self.codes if codes is not None]
        self.matrix = np.stack(known, axis=1) if known else np.zeros((self.n_rows, 0), dtype=np.intp)
        self.n_values = np.array([len(np.unique(each)) for each in self.matrix.T])
        self.design, self.model = rows.design, gradient_boosting(task, layout, random_state)
        if self.design.shape[1] > MAX_COLUMNS:
            self.design = self.design[:, _strongest(self.design[self.known], self.y[self.known])]
            self.model = make_pipeline(single_column_model(task, self.n_rows))
        boosting, n_classes = self.model.steps[-1][1], self.y.shape[1]
        boosting.set_params(max_iter=MAX_TREES, early_stopping=False)
        if n_classes > MANY_CLASSES:  # one tree for each class in each step: fewer steps, and larger ones
            boosting.set_params(max_iter=max(MIN_TREES, 2 * MAX_TREES // n_classes), learning_rate=SINGLE_RATE)
        self.losses_at_random: dict[bytes, Array] = {}

    def blocks(self) -> Iterator[Finding]:
        """Yield the worst finding of blocks, if there is one."""
        for unit, names, how in (*self._by_columns(), *self._in_runs(), *self._near_copies()):
            whole = GroupKFold(N_FOLDS, shuffle=True, random_state=self.random_state)
            measured = self._overstated(self._some_units(unit), unit, whole)
            if measured.matters:
                n_units = len(np.unique(unit))
                option = " ".join(f"--split-by {name!r}" if " " in name else f"--split-by {name}" for name in names)
                advice = (
                    f"Type {option} (split_by={list(names)!r}) to hold them out together."
                    if names
                    else "Add a column that names the rows that belong together, and name it by --split-by."
                )
                yield Finding(
                    "rows_in_blocks",
                    "Rows belong together",
                    f"{how}: {n_units} blocks of rows that resemble each other. Gradient boosting scores "
                    f"{measured.random:.2f} with rows held out at random, and {measured.right:.2f} with whole blocks "
                    f"held out (R²): scores and ranking are those for rows of known blocks, not of new ones. {advice}",
                    "serious",
                    names,
                    {"random": measured.random, "by_block": measured.right, "n_blocks": n_units},
                    DependentRowsWarning,
                )
                return

    def time(self) -> Iterator[Finding]:
        """Yield a finding if rows next to each other in time, or in the file, resemble each other."""
        for order, name in self._orders():
            if not self._is_autocorrelated(order):
                continue
            place = np.empty(self.n_rows, dtype=np.intp)
            place[order] = np.arange(self.n_rows)
            block = place * N_TIME_BLOCKS // self.n_rows
            fold = block * N_TIME_FOLDS // N_TIME_BLOCKS
            measured = self._overstated(self._some_neighbours(place, block), block, _GivenFolds(fold))
            if not measured.matters:
                continue
            where = "in the order of the table" if name is None else f"in the order of {name!r}"
            advice = (
                "Name the column of the time by --order-by, or add one"
                if name is None
                else f"Type --order-by {name!r}"
                if " " in name
                else f"Type --order-by {name}"
            )
            yield Finding(
                "rows_in_time",
                "Neighbouring rows resemble each other",
                f"Neighbouring rows resemble each other {where}. Gradient boosting scores {measured.random:.2f} with "
                f"rows held out at random, and {measured.right:.2f} with blocks of neighbours held out (R²): what is "
                f"learned may be the time, not the columns. {advice}, to hold out the last rows.",
                "serious",
                () if name is None else (name,),
                {"random": measured.random, "by_block": measured.right},
                DependentRowsWarning,
            )
            return

    def _by_columns(self) -> Iterator[tuple[Array, tuple[str, ...], str]]:
        """Yield partitions by single columns whose levels are blocks, the most telling first."""
        columns = self.rows.table.schema.columns
        found: list[tuple[float, int, Array]] = []
        for i, codes in enumerate(self.codes):
            if codes is None or not _is_partition(codes):
                continue
            constant = self._is_constant_within(codes).sum() > 1  # besides the column itself
            p_value, share = _between(codes, self.y)
            is_label = columns[i].kind is not Kind.NUMERIC or _are_integers(self.rows.table.cells[i])
            least = MIN_SHARE if (codes[1:] == codes[:-1]).mean() > MIN_IN_RUNS else MIN_SCATTERED_SHARE
            if constant or (is_label and p_value < MAX_P_VALUE and share > least):
                found.append((share + (columns[i].kind is not Kind.NUMERIC), i, codes))
        for _, i, codes in sorted(found, key=lambda each: -each[0])[:N_CANDIDATES]:
            name = columns[i].name
            yield codes, (name,), f"{name!r}"

    def _is_constant_within(self, codes: Array) -> Array:
        """Return which columns have one value within each level, and about as many values as there are levels."""
        order = np.argsort(codes, kind="stable")
        is_same = np.diff(codes[order]) == 0
        n_levels = len(order) - int(is_same.sum())
        kept = (np.diff(self.matrix[order], axis=0) == 0)[is_same].all(axis=0)
        is_constant: Array = kept & (self.n_values >= max(MIN_UNITS, MIN_FRACTION_DISTINCT * n_levels))
        return is_constant

    def _in_runs(self) -> Iterator[tuple[Array, tuple[str, ...], str]]:
        """Yield the partition into runs of rows in which several columns keep their values."""
        columns = self.rows.table.schema.columns
        held = []
        for i, codes in enumerate(self.codes):
            if codes is None or len(codes) < 2:
                continue
            by_chance = float(((np.bincount(codes) / len(codes)) ** 2).sum())
            if (codes[1:] == codes[:-1]).mean() - by_chance > MIN_RUN_EXCESS and by_chance < 1 - MIN_RUN_EXCESS:
                held.append(i)
        if len(held) < MIN_RUN_COLUMNS:
            return
        values = np.column_stack([codes for i, codes in enumerate(self.codes) if i in held and codes is not None])
        joined = np.unique(values, axis=0, return_inverse=True)[1].ravel()
        if _is_partition(joined):
            names = tuple(columns[i].name for i in held)
            yield joined, names, f"{len(held)} columns keep their values in runs of rows"

    def _near_copies(self) -> Iterator[tuple[Array, tuple[str, ...], str]]:
        """Yield the partition into rows that are much closer to each other than to others."""
        numbers = [cells.values for cells in self.rows.table.cells if isinstance(cells, Numbers)]
        varied = [each for each in numbers if len(np.unique(each)) > len(each) / 10 and not np.isnan(each).any()]
        if len(varied) < MIN_DISTANCE_COLUMNS or not 4 * N_FAR < self.n_rows <= MAX_ROWS:
            return
        scaled = np.column_stack([rankdata(each) for each in varied]) / self.n_rows
        distance, near = NearestNeighbors(n_neighbors=N_FAR + 1).fit(scaled).kneighbors(scaled)
        is_near = distance[:, 1] < MAX_DISTANCE_RATIO * distance[:, N_FAR]
        if is_near.mean() < 0.5:
            return
        linked = (distance[:, 1:] < MAX_DISTANCE_RATIO * distance[:, [N_FAR]]) & is_near[:, None]
        first, which = np.nonzero(linked)
        pairs = coo_array((np.ones(len(first)), (first, near[first, which + 1])), shape=(self.n_rows, self.n_rows))
        unit = connected_components(pairs, directed=False)[1]
        if _is_partition(unit):
            yield unit, (), "Rows are near copies of others"

    def _orders(self) -> Iterator[tuple[Array, str | None]]:
        """Yield the orders in which rows may follow each other in time: by dates, and that of the table."""
        is_sorted = False
        for column, cells in zip(self.rows.table.schema.columns, self.rows.table.cells, strict=True):
            if isinstance(cells, Times) and not cells.missing.any():
                yield np.argsort(cells.values.to_numpy(), kind="stable"), column.name
            elif isinstance(cells, Numbers | Levels):
                codes = _codes(cells)
                is_sorted |= codes is not None and _is_sorted(codes) and not _is_counter(cells)
        if not is_sorted and not any(_is_sorted(rankdata(each, "dense").astype(np.intp)) for each in self.y.T):
            yield np.arange(self.n_rows), None

    def _is_autocorrelated(self, order: Array) -> bool:
        """Return whether the target resembles that of the row before, beyond chance, and some column too."""
        target = any(_autocorrelation(each[order]) for each in self.y.T)
        return target and any(_autocorrelation(each[order]) for each in self.rows.design.T)

    def _overstated(self, chosen: Positions, unit: Array, splitter: Any) -> Overstated:
        y, unit = self.y[chosen], np.unique(unit[chosen], return_inverse=True)[1]
        if len(np.unique(unit)) < N_FOLDS + 1:
            return NOT_OVERSTATED
        constant = ((y - y.mean(axis=0)) ** 2).sum()
        at_random = self._losses_at_random(chosen)
        random = float(1 - at_random.sum() / constant)
        if random <= MIN_OVERSTATED:
            return NOT_OVERSTATED
        if isinstance(splitter, _GivenFolds):
            splitter = _GivenFolds(splitter.fold[chosen])
        losses = ((y - self._predicted(chosen, splitter.split(y, groups=unit))) ** 2).sum(axis=1)
        gain = np.bincount(unit, losses - at_random)
        p_value = wilcoxon(gain, alternative="greater").pvalue if gain.any() else 1.0
        return Overstated(random, float(1 - losses.sum() / constant), float(p_value))

    def _losses_at_random(self, chosen: Positions) -> Array:
        """Return the squared loss of each row with rows held out at random, measured once for the same rows."""
        key = chosen.tobytes()
        if key not in self.losses_at_random:
            y = self.y[chosen]
            kept = np.arange(len(chosen)) if self.kept is None else self.kept[chosen]
            folds = GroupKFold(N_FOLDS, shuffle=True, random_state=self.random_state)
            self.losses_at_random[key] = ((y - self._predicted(chosen, folds.split(y, groups=kept))) ** 2).sum(axis=1)
        return self.losses_at_random[key]

    def _predicted(self, chosen: Positions, folds: Any) -> Array:
        labels = self.rows.problem.y.to_numpy()[chosen]
        predicted = np.zeros((len(chosen), self.y.shape[1]))
        for train, held_out in folds:
            design = self.design[chosen]
            if len(np.unique(labels[train])) < 2:
                predicted[held_out] = self.y[chosen][train].mean(axis=0)
                continue
            fitted = clone(self.model).fit(design[train], labels[train])
            if self.rows.problem.task == "regression":
                predicted[held_out, 0] = fitted.predict(design[held_out])
            else:
                places = np.searchsorted(np.unique(self.rows.problem.y.to_numpy()), fitted.classes_)
                predicted[np.ix_(held_out, places)] = fitted.predict_proba(design[held_out])
        return predicted

    def _some_neighbours(self, place: Array, block: Array) -> Positions:
        """Return the rows that were encoded; of very many as many of each block of time, next to each other."""
        if len(self.known) <= MAX_ROWS:
            return self.known
        start = np.searchsorted(block[np.argsort(place)], block)
        return self.known[(place - start)[self.known] < MAX_ROWS // N_TIME_BLOCKS]

    def _some_units(self, unit: Array) -> Positions:
        """Return the rows that were encoded; of very many whole blocks up to a number."""
        chosen = self.known
        if len(chosen) <= MAX_ROWS:
            return chosen
        order = np.random.default_rng(self.random_state).permutation(np.unique(unit))
        place = np.empty(int(unit.max()) + 1, dtype=np.intp)
        place[order] = np.arange(len(order))
        by_unit = chosen[np.argsort(place[unit[chosen]], kind="stable")]
        return np.sort(by_unit[:MAX_ROWS])


@dataclass(frozen=True)
class _GivenFolds:
    fold: Array

    def split(self, X: Array, y: Any = None, groups: Any = None) -> Iterator[tuple[Array, Array]]:  # noqa: ARG002
        """Yield training and held-out rows of each fold."""
        for each in np.unique(self.fold):
            yield np.flatnonzero(self.fold != each), np.flatnonzero(self.fold == each)


def _strongest(design: Array, y: Array) -> Positions:
    """Return the columns whose ranks correlate most with the target; missing cells count as the mean."""
    ranks = rankdata(design, axis=0, nan_policy="omit")
    ranks = np.nan_to_num(ranks - np.nanmean(ranks, axis=0))
    target = rankdata(y, axis=0) - (len(y) + 1) / 2
    norms = np.linalg.norm(ranks, axis=0)
    correlation = np.abs(ranks.T @ target).max(axis=1) / np.where(norms > 0, norms, np.inf)
    return np.sort(np.argsort(-correlation, kind="stable")[:MAX_COLUMNS])


def _codes(cells: Any) -> Array | None:
    """Return a code of each cell, the same for equal ones, missing ones being equal; None for free texts."""
    if isinstance(cells, Texts):
        return None
    if isinstance(cells, Levels):
        return cells.positions + 1
    values = cells.values.to_numpy() if isinstance(cells, Times) else cells.values
    codes: Array = np.unique(values, return_inverse=True)[1]
    return codes


def _is_partition(codes: Array) -> bool:
    """Return whether nearly all rows share their code with some, and none with very many."""
    sizes = np.bincount(codes)
    sizes = sizes[sizes > 0]
    size_of_row = np.repeat(sizes, sizes)
    return bool(
        len(sizes) >= MIN_UNITS and (size_of_row > 1).mean() >= MIN_SHARED and np.median(size_of_row) <= MAX_UNIT_ROWS
    )


def _between(codes: Array, y: Array) -> tuple[float, float]:
    """Return the p-value of an analysis of variance of the target by levels, and the share of variance between them."""
    codes = np.unique(codes, return_inverse=True)[1]
    sizes = np.bincount(codes)
    means = np.stack([np.bincount(codes, each) / sizes for each in y.T], axis=1)
    total = ((y - y.mean(axis=0)) ** 2).sum()
    between = (sizes[:, None] * (means - y.mean(axis=0)) ** 2).sum()
    n_between, n_within = len(sizes) - 1, len(codes) - len(sizes)
    if n_within < 1 or total <= between:
        return 0.0, 1.0
    ratio = (between / n_between) / ((total - between) / n_within)
    share = 1 - ((total - between) / n_within) / (total / (len(codes) - 1))
    return float(f_distribution.sf(ratio, n_between, n_within)), float(share)


def _are_integers(cells: Any) -> bool:
    return isinstance(cells, Numbers) and bool((cells.values == np.round(cells.values))[~cells.missing].all())


def _is_sorted(codes: Array) -> bool:
    steps = np.diff(codes)
    return bool(len(np.unique(codes)) > 1 and ((steps >= 0).all() or (steps <= 0).all()))


def _is_counter(cells: Any) -> bool:
    """Return whether numbers go up or down in steps that are all equal, as those of rows and hours do."""
    return isinstance(cells, Numbers) and len(np.unique(np.diff(cells.values))) == 1


def _autocorrelation(values: Array) -> bool:
    """Return whether values resemble those before them, by the correlation of their ranks, beyond chance."""
    known = values[~np.isnan(values)]
    if len(known) < MIN_UNITS or np.ptp(known) == 0:
        return False
    ranks = rankdata(known)
    r = float(np.corrcoef(ranks[1:], ranks[:-1])[0, 1])
    return bool(r > max(MIN_Z / np.sqrt(len(known)), MIN_AUTOCORRELATION))
