"""Draws of each column given all others: what a cell might have been, if the rest of its row is as it is.

Numbers: a ridge regression of the number on features of the other columns, linear or piecewise linear, or of the one or
the few that go with it best, with many bends, whichever predicts rows better that it has not seen; and the residual of
another row, wider or narrower where the size of residuals can be predicted. Categories: multinomial logistic
regression. Whether a cell is missing: ridge regression. Dates and texts, which are several numbers: the whole cell of a
row whose prediction is near. The regressions of a fold of rows have not seen it, and residuals come from the same fold.

Everything happens on the scale of `Cells`, on which numbers are normal scores.

Source: Candès et al. 2018 (Panning for gold, arXiv 1610.02351), the conditional randomization test; residuals of other
rows, Chamma, Engemann and Thirion 2023 (arXiv 2309.07593).
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from tabattn.arrays import Array
from tabattn.nn.tokens import LIMIT, CellLayout, Cells

KNOTS = (-1.28, -0.67, 0.0, 0.67, 1.28)
MANY_KNOTS = (-1.38, -0.97, -0.67, -0.43, -0.21, 0.0, 0.21, 0.43, 0.67, 0.97, 1.38)
MAX_FITTED, N_FEATURES, MAX_LEVELS = 16_000, (40, 160), 20
MIN_LEVEL_ROWS = 8
FEW_NUMBERS, MIN_OF_NUMBER = 10, 3
MIN_NEAR, NEAR_FRACTION = 10, 0.1
ALPHAS = (0.3, 3.0, 30.0, 300.0, 3000.0)
PENALTIES = (3.0, 30.0, 300.0)
MIN_DONORS, MANY_UNITS, TOO_MANY_FOR_BENDS = 5, 60, 300
MIN_EXPLAINED_SIZE, MAX_SCALE = 0.01, 4.0
TINY = 1e-12


@dataclass(frozen=True, eq=False)
class ConditionalDraws:
    """Draws of all cells, each given the others of its row.

    Args:
        cells: For each draw the rows, with every cell drawn.
        fit: For each unit how much of it the others explain in rows that the regression has not seen, in (-inf, 1]:
            R² of numbers, or the fraction of the entropy of levels; of several columns the least.
    """

    cells: tuple[Cells, ...]
    fit: Array


@dataclass(frozen=True, eq=False)
class _Features:
    """The other columns as a regression reads them.

    Args:
        values: Standardized, shape (row, feature).
        column: The column that each comes from.
        is_bend: Which of them are bends of a line, not the number, level or gap itself.
        numbers: The number in each column that holds one, else 0; shape (row, column).
        n_most: How many of them a regression reads at most.
    """

    values: Array
    column: Array
    is_bend: Array
    numbers: Array
    n_most: int = 0

    def of_others(self, columns: Sequence[int], target: Array, train: Array, form: "_Form") -> Array:
        """Return those of all other columns, or of those of them that go with a target best.

        Args:
            columns: The columns to leave out.
            target: Shape (row, output).
            train: Positions of the rows to choose by.
            form: What a regression reads of them.
        """
        is_read = ~np.isin(self.column, columns)
        chosen = np.flatnonzero(is_read & ((form.bend > 0) | ~self.is_bend))
        if len(chosen) > self.n_most or form.n_curved:
            centred = np.zeros(target.shape)
            centred[train] = target[train] - target[train].mean(axis=0)
            correlation = np.abs(self.values.T @ centred).max(axis=1)
            if form.n_curved:
                return self._with_curves(np.where(is_read, correlation, -1.0), form)
            chosen = chosen[np.sort(np.argsort(-correlation[chosen], kind="stable")[: self.n_most])]
        values: Array = self.values[:, chosen] * np.where(self.is_bend[chosen], form.bend, 1.0)
        return values

    def _with_curves(self, correlation: Array, form: "_Form") -> Array:
        """Return many bends of the numbers that go with a target best, and the features without bends.

        Args:
            correlation: How much each feature goes with the target, below 0 for those that are left out.
            form: What a regression reads.
        """
        of_column = np.full(self.numbers.shape[1], -1.0)
        np.maximum.at(of_column, self.column, correlation)
        best = np.argsort(-of_column, kind="stable")[: form.n_curved]
        best = best[of_column[best] > 0]
        is_read = (correlation >= 0) & ~self.is_bend & (form.has_others | np.isin(self.column, best))
        chosen = np.flatnonzero(is_read)
        chosen = chosen[np.sort(np.argsort(-correlation[chosen], kind="stable")[: self.n_most])]
        bends = [np.maximum(self.numbers[:, column] - knot, 0.0) for column in best for knot in MANY_KNOTS]
        varied = [(each - each.mean()) / each.std() for each in bends if each.min() < each.max()]
        return np.column_stack([self.values[:, chosen], *varied])


class _Form(NamedTuple):
    """What a regression reads of the other columns.

    Args:
        bend: Factor of their bends: the smaller, the straighter are the lines that a penalty prefers; 0 for none.
        n_curved: How many numbers, those that go with the target best, are read with many bends.
        has_others: Whether the other columns are read too.
    """

    bend: float = 0.0
    n_curved: int = 0
    has_others: bool = True


STRAIGHT, BENT = _Form(), _Form(bend=0.3)
CURVED = _Form(n_curved=1, has_others=False)
QUICK_FORMS = (BENT, CURVED)
FORMS = (STRAIGHT, BENT, _Form(bend=1.0), CURVED, _Form(n_curved=1), _Form(n_curved=3, has_others=False))


def conditional_draws(
    cells: Cells,
    layout: CellLayout,
    units: Sequence[Sequence[int]],
    fold: Array,
    n_draws: int,
    random_state: int,
    *,
    is_quick: bool = False,
) -> ConditionalDraws:
    """Draw cells given the others of their row.

    Args:
        cells: The rows.
        layout: Where the cells of each column stand.
        units: The columns that are drawn as one, given all others: each column in one unit at most; those in none stay
            as they are.
        fold: Number of the fold of each row, from 0 on; rows that belong together are in the same one.
        n_draws: Number of draws.
        random_state: Seed.
        is_quick: Whether linear regressions are enough for levels too, and residuals that are as wide in all rows,
            where many units are drawn one after another.

    Example:
        >>> z = torch.randn(400, 1, generator=torch.Generator().manual_seed(0))
        >>> rows = Cells(torch.cat([z, z + 0.1], dim=1), torch.zeros(400, 0, dtype=torch.long), None)
        >>> draws = conditional_draws(rows, CellLayout(2, (), ()), [[0], [1]], np.arange(400) % 4, 2, 0)
        >>> bool((draws.cells[0].numeric - rows.numeric).abs().mean() < 0.1), bool(draws.fit.min() > 0.98)
        (True, True)
    """
    numeric, codes = cells.numeric.double().numpy(), cells.codes.numpy()
    missing = np.zeros((len(numeric), layout.n_columns), bool) if cells.missing is None else cells.missing.numpy()
    features = _features(numeric, codes, missing, layout, has_bends=len(units) <= TOO_MANY_FOR_BENDS)
    drawn = [np.stack([each] * n_draws) for each in (numeric, codes, missing)]
    fit = np.zeros(len(units))
    has_few_forms = is_quick or len(units) > MANY_UNITS
    forms = QUICK_FORMS if has_few_forms else FORMS
    penalties: tuple[float, ...] = () if is_quick else PENALTIES[1:2] if has_few_forms else PENALTIES
    features = replace(features, n_most=int(np.clip(MAX_FITTED // max(1, len(units)), *N_FEATURES)))
    for number, columns in enumerate(units):
        random = np.random.default_rng([random_state, number])
        sampler = _Sampler(features, tuple(columns), fold, n_draws, random, forms, penalties, not has_few_forms)
        fits = [_draw_column(sampler, column, layout, (numeric, codes, missing), drawn) for column in columns]
        fit[number] = min(fits)
    numbers, drawn_codes, drawn_missing = drawn
    has_mask = cells.missing is not None
    return ConditionalDraws(
        tuple(
            Cells(
                torch.from_numpy(numbers[draw].astype(np.float32)),
                torch.from_numpy(drawn_codes[draw]),
                torch.from_numpy(drawn_missing[draw]) if has_mask else None,
            )
            for draw in range(n_draws)
        ),
        fit,
    )


def _draw_column(
    sampler: "_Sampler", column: int, layout: CellLayout, known: tuple[Array, Array, Array], drawn: Sequence[Array]
) -> float:
    """Put draws of a column in their place, and return how much of it the other units explain."""
    (numeric, codes, missing), (drawn_numbers, drawn_codes, drawn_missing) = known, drawn
    absent = missing[:, column]
    if column >= layout.n_numbered:
        place = column - layout.n_numbered
        levels, fit = sampler.levels(np.where(absent, -1, codes[:, place]))
        drawn_codes[:, :, place], drawn_missing[:, :, column] = np.maximum(levels, 0), levels < 0
        return fit
    places = layout.numbers_of(column)
    own = numeric[:, places]
    n_values, n_present = len(np.unique(own[~absent])), int((~absent).sum())
    if own.shape[1] == 1 and n_values <= min(FEW_NUMBERS, n_present // MIN_OF_NUMBER):
        values, position = np.unique(own[:, 0], return_inverse=True)
        levels, fit = sampler.levels(np.where(absent, -1, position))
        drawn_numbers[:, :, places.start] = np.where(levels < 0, 0.0, values[np.maximum(levels, 0)])
        drawn_missing[:, :, column] = levels < 0
        return fit
    flags = np.zeros(drawn_missing.shape[:2], dtype=bool)
    if absent.any():
        flags = sampler.gaps(absent)
    draws, fit = sampler.numbers(own, absent)
    drawn_numbers[:, :, places] = np.where(flags[:, :, None], 0.0, draws)
    drawn_missing[:, :, column] = flags
    return fit


def _features(numeric: Array, codes: Array, missing: Array, layout: CellLayout, *, has_bends: bool) -> _Features:
    """Return piecewise-linear features of numbers, parts of dates and texts, levels, and what is missing."""
    values: list[Array] = []
    columns: list[int] = []
    are_bends: list[bool] = []
    for column in range(layout.n_columns):
        own: list[Array] = []
        bent: list[Array] = []
        if column < layout.n_numbered:
            numbers = numeric[:, layout.numbers_of(column)]
            own += list(numbers.T)
            if numbers.shape[1] == 1 and has_bends:
                bent = [np.maximum(numbers[:, 0] - knot, 0.0) for knot in KNOTS]
        else:
            levels = codes[:, column - layout.n_numbered]
            counts = np.bincount(levels)
            own += [levels == level for level in np.argsort(-counts, kind="stable")[:MAX_LEVELS] if counts[level]]
        own.append(missing[:, column])
        for is_bend, each in [*((False, each) for each in own), *((True, each) for each in bent)]:
            if each.min() < each.max():
                values.append((each - each.mean()) / each.std())
                columns.append(column)
                are_bends.append(is_bend)
    n_rows = len(missing)
    own_numbers = np.zeros((n_rows, layout.n_columns))
    for column in range(layout.n_numbered):
        numbers = numeric[:, layout.numbers_of(column)]
        if numbers.shape[1] == 1:
            own_numbers[:, column] = numbers[:, 0]
    return _Features(
        np.array(values, dtype=np.float64).reshape(len(columns), n_rows).T,
        np.array(columns),
        np.array(are_bends, dtype=bool),
        own_numbers,
    )


class _Fold(NamedTuple):
    """Positions of rows.

    Args:
        fitted: Rows of the other folds whose cell is present, which the regression is fitted on.
        held_out: Rows of the fold, which are predicted.
        donors: Those of them whose cell is present.
    """

    fitted: Array
    held_out: Array
    donors: Array


def _folds(fold: Array, present: Array) -> Iterator[_Fold]:
    """Yield the rows of each fold, of which those at some sorted positions have the cell in question."""
    for number in np.unique(fold):
        held_out = np.flatnonzero(fold == number)
        yield _Fold(present[fold[present] != number], held_out, present[fold[present] == number])


@dataclass(frozen=True, eq=False)
class _Sampler:
    """Draws the cells of a unit of columns, fold by fold.

    Args:
        features: All columns, as a regression reads them.
        columns: Those of the unit.
        fold: Number of the fold of each row.
        n_draws: Number of draws.
        random: Source of randomness.
        forms: What regressions read that compete.
        penalties: Penalties of logistic regressions that compete; none where linear ones are enough.
        has_scale: Whether residuals may be wider in some rows than in others.
        near: For each fold whose numbers were drawn already, the rows that they were drawn near, so that the numbers of
            a unit come from the same rows.
        ridges: Regressions that another column of the unit shares.
    """

    features: _Features
    columns: tuple[int, ...]
    fold: Array
    n_draws: int
    random: np.random.Generator
    forms: tuple[_Form, ...]
    penalties: tuple[float, ...]
    has_scale: bool
    near: dict[int, tuple[Array, Array]] = field(default_factory=dict)
    ridges: dict[tuple[_Form, bytes], "Ridge"] = field(default_factory=dict)

    def numbers(self, own: Array, absent: Array) -> tuple[Array, float]:
        """Draw numbers, or cells of several of them, and return how well the first number is predicted."""
        target = own[:, :1]
        draws = np.repeat(own[None], self.n_draws, axis=0)
        present = np.flatnonzero(~absent)
        folds = list(_folds(self.fold, present))
        if min(min(len(fitted), len(donors)) for fitted, _, donors in folds) < MIN_DONORS:
            return own[self.random.choice(present, draws.shape[:2])], 0.0
        candidates = [self._predictions(target, folds, form) for form in self.forms]
        errors = [((target[present, 0] - each[present]) ** 2).sum() for each in candidates]
        predicted, left = candidates[int(np.argmin(errors))], min(errors)
        scale = self._scale(target - predicted[:, None], present, folds)
        for number, (fitted, held_out, donors) in enumerate(folds):
            at_donors, own_row = predicted[donors], np.searchsorted(held_out, donors)
            known = self.near.get(number)
            if known is None or not np.array_equal(known[0], donors):
                n_near = len(donors) if own.shape[1] == 1 else int(NEAR_FRACTION * len(donors))
                near = near_rows(predicted[held_out], at_donors, own_row, n_near, self.n_draws, self.random)
                known = (donors, near)
                self.near[number] = known
            chosen = known[1]
            if own.shape[1] > 1:
                draws[:, held_out] = own[donors[chosen]]
                continue
            residual = (target[donors, 0] - at_donors) / scale[donors]
            values = predicted[held_out] + scale[held_out] * residual[chosen]
            draws[:, held_out, 0] = nearest(np.sort(target[fitted, 0]), values)
        total = ((target[present, 0] - target[present, 0].mean()) ** 2).sum()
        return draws, float(1 - left / max(total, TINY))

    def _predictions(self, target: Array, folds: Sequence["_Fold"], form: _Form) -> Array:
        """Predict numbers fold by fold."""
        predicted = np.zeros(len(target))
        for fitted, held_out, _ in folds:
            predicted[held_out] = self._ridge(target, fitted, held_out, form).predictions(target[fitted, 0])
        return predicted

    def _ridge(self, target: Array, fitted: Array, held_out: Array, form: _Form) -> "Ridge":
        """Return the regression on what goes with a target, the same for all targets that go with the same."""
        key = (form, fitted.tobytes())
        ridge = self.ridges.get(key)
        if ridge is None:
            others = self.features.of_others(self.columns, target, fitted, form)
            ridge = Ridge.of(others[fitted], others[held_out])
            if others.shape[1] < self.features.n_most and not form.n_curved:
                self.ridges[key] = ridge
        return ridge

    def _scale(self, residual: Array, present: Array, folds: Sequence["_Fold"]) -> Array:
        """Return how wide residuals are in each row, where that can be predicted; else 1."""
        size = np.abs(residual)
        mean = float(size[present].mean())
        if mean == 0 or not self.has_scale:
            return np.ones(len(size))
        candidates = [self._predictions(size, folds, form) for form in self.forms]
        errors = [((size[present, 0] - each[present]) ** 2).sum() for each in candidates]
        explained = 1 - min(errors) / max(((size[present] - mean) ** 2).sum(), TINY)
        if explained < MIN_EXPLAINED_SIZE:
            return np.ones(len(size))
        return candidates[int(np.argmin(errors))].clip(mean / MAX_SCALE, mean * MAX_SCALE)

    def gaps(self, absent: Array) -> Array:
        """Draw whether cells are missing, by chances that are linear in the features of the other units.

        Not by logistic regression, as levels are: on a table of 207 columns with gaps that took minutes.
        """
        target = absent.astype(np.float64)[:, None]
        chance = self._predictions(target, list(_folds(self.fold, np.arange(len(absent)))), STRAIGHT)
        return self.random.random((self.n_draws, len(absent))) < chance

    def levels(self, levels: Array) -> tuple[Array, float]:
        """Draw levels, and return the fraction of their entropy that the other units explain."""
        drawn = np.repeat(levels[None], self.n_draws, axis=0)
        every = np.arange(len(levels))
        folds = [_LevelFold.of(levels, fold.fitted, fold.held_out) for fold in _folds(self.fold, every)]
        if any(len(fold.kinds) < 2 for fold in folds):
            return levels[self.random.integers(0, len(levels), drawn.shape)], 0.0
        candidates = [[self._probabilities(levels, fold, penalty) for fold in folds] for penalty in self.penalties]
        candidates = candidates or [[self._linear_probabilities(fold) for fold in folds]]
        losses = [sum(fold.loss(found) for fold, found in zip(folds, each, strict=True)) for each in candidates]
        chosen, left = candidates[int(np.argmin(losses))], min(losses)
        for fold, probability in zip(folds, chosen, strict=True):
            chance = self.random.random((self.n_draws, len(fold.held_out), 1))
            kind = (chance > probability.cumsum(axis=1)[:, :-1]).sum(axis=2)
            for place in range(len(fold.kinds)):
                draw, row = np.nonzero(kind == place)
                members = fold.train[fold.kind_of_row == place]
                drawn[draw, fold.held_out[row]] = levels[self.random.choice(members, len(row))]
        total = sum(fold.loss(np.broadcast_to(fold.frequency, (len(fold.held_out), len(fold.kinds)))) for fold in folds)
        return drawn, float(1 - left / total) if total > 0 else 0.0

    def _linear_probabilities(self, fold: "_LevelFold") -> Array:
        wanted = fold.kind_of_row[:, None] == np.arange(len(fold.kinds))
        target = np.zeros((len(self.fold), len(fold.kinds)))
        target[fold.train] = wanted
        ridge = self._ridge(target, fold.train, fold.held_out, STRAIGHT)
        chances = np.column_stack([ridge.predictions(each) for each in wanted.T.astype(np.float64)])
        chances = chances.clip(1 / len(fold.train))
        probabilities: Array = chances / chances.sum(axis=1, keepdims=True)
        return probabilities

    def _probabilities(self, levels: Array, fold: "_LevelFold", penalty: float) -> Array:
        wanted = np.zeros((len(levels), len(fold.kinds)))
        wanted[fold.train, fold.kind_of_row] = 1
        others = self.features.of_others(self.columns, wanted, fold.train, FORMS[2])
        return _probabilities(others[fold.train], fold.kind_of_row, others[fold.held_out], penalty)


@dataclass(frozen=True, eq=False)
class _LevelFold:
    """Levels in a fold of rows, with all that are rare as one kind.

    Args:
        train: Positions of the rows to fit.
        held_out: Positions of the rows to predict.
        kinds: Numbers of the kinds.
        kind_of_row: The kind of each row to fit.
        frequency: Fraction of the rows to fit that is of each kind.
        is_known: Which rows to predict have a level that rows to fit have.
        truth: The kind of these.
    """

    train: Array
    held_out: Array
    kinds: Array
    kind_of_row: Array
    frequency: Array
    is_known: Array
    truth: Array

    @classmethod
    def of(cls, levels: Array, train: Array, held_out: Array) -> "_LevelFold":
        """Find the levels that are rare in the rows to fit."""
        group, names = _groups_of_levels(levels[train])
        kinds, kind_of_row, counts = np.unique(
            group[np.searchsorted(names, levels[train])], return_inverse=True, return_counts=True
        )
        position = np.searchsorted(names, levels[held_out]).clip(0, len(names) - 1)
        is_known = names[position] == levels[held_out]
        truth = np.searchsorted(kinds, group[position[is_known]])
        return cls(train, held_out, kinds, kind_of_row, counts / counts.sum(), is_known, truth)

    def loss(self, probability: Array) -> float:
        """Return the sum of the log losses of the rows to predict."""
        found = probability[self.is_known, :][np.arange(len(self.truth)), self.truth]
        return float(-np.log(found.clip(TINY)).sum())


def _groups_of_levels(levels: Array) -> tuple[Array, Array]:
    """Return a number for each level, the same for all rare ones, and the levels."""
    names, counts = np.unique(levels, return_counts=True)
    often = np.argsort(-counts, kind="stable")[:MAX_LEVELS]
    often = often[counts[often] >= min(MIN_LEVEL_ROWS, counts.max())]
    group = np.full(len(names), len(often))
    group[often] = np.arange(len(often))
    return group, names


@dataclass(frozen=True, eq=False)
class Ridge:
    """Ridge regressions of any target on the same features, each with the penalty of generalized cross-validation.

    Args:
        centred: Features of the rows to fit, less their mean, shape (row, feature).
        new: Those of the rows to predict, less the same mean.
        eigenvalues: Of the features' products, shape (feature,).
        vectors: Eigenvectors, shape (feature, feature).

    Source: Golub, Heath and Wahba 1979 (Generalized cross-validation as a method for choosing a good ridge parameter).
    """

    centred: Array
    new: Array
    eigenvalues: Array
    vectors: Array

    @classmethod
    def of(cls, X: Array, new: Array) -> "Ridge":
        """Decompose the features.

        Args:
            X: Of the rows to fit, shape (row, feature).
            new: Of the rows to predict.
        """
        centre = X.mean(axis=0)
        centred = X - centre
        return cls(centred, new - centre, *np.linalg.eigh(centred.T @ centred))

    def predictions(self, y: Array) -> Array:
        """Predict the other rows.

        Args:
            y: Target of the rows to fit.
        """
        n_rows, mean = len(y), y.mean()
        rest = y - mean
        projected = self.vectors.T @ (self.centred.T @ rest)
        best, smallest = np.zeros(len(projected)), np.inf
        for alpha in ALPHAS:
            shrunk = projected / (self.eigenvalues + alpha)
            n_free = (self.eigenvalues / (self.eigenvalues + alpha)).sum() + 1
            error = rest @ rest - 2 * shrunk @ projected + (self.eigenvalues * shrunk**2).sum()
            criterion = error / max(n_rows - n_free, 1.0) ** 2
            if criterion < smallest:
                best, smallest = shrunk, criterion
        predictions: Array = mean + self.new @ (self.vectors @ best)
        return predictions


def near_rows(
    predicted: Array, at_donors: Array, own: Array, n_near: int, n_draws: int, random: np.random.Generator
) -> Array:
    """Draw for each row another one whose prediction is near.

    Args:
        predicted: Prediction of each row.
        at_donors: Prediction of each row that can be drawn, at least two.
        own: Which row each of these is.
        n_near: Among how many of the nearest to draw; ten at least, if there are so many.
        n_draws: Number of draws.
        random: Source of randomness.

    Returns:
        Numbers of the rows that can be drawn, shape (draw, row); never the row itself.
    """
    n_donors = len(at_donors)
    n_near = min(n_donors, max(n_near, MIN_NEAR) + 1)
    order = np.argsort(at_donors, kind="stable")
    place = np.searchsorted(at_donors[order], predicted)
    first = np.clip(place - n_near // 2, 0, n_donors - n_near)
    own_place = np.full(len(predicted), -1)
    own_place[own[order]] = np.arange(n_donors)
    offset = np.where((own_place >= first) & (own_place < first + n_near), own_place - first, n_near - 1)
    drawn = random.integers(0, n_near - 1, (n_draws, len(predicted)))
    drawn += drawn >= offset
    rows: Array = order[first + drawn]
    return rows


def nearest(known: Array, values: Array) -> Array:
    """Return the known number that is nearest to each value.

    Args:
        known: Sorted.
        values: Of any shape.
    """
    upper = np.searchsorted(known, values).clip(1, len(known) - 1)
    low, high = known[upper - 1], known[upper]
    chosen: Array = np.where(values - low <= high - values, low, high)
    return chosen.clip(-LIMIT, LIMIT)


def _probabilities(X: Array, classes: Array, new: Array, penalty: float) -> Array:
    if X.shape[1] == 0:
        frequency = np.bincount(classes) / len(classes)
        return np.broadcast_to(frequency[frequency > 0], (len(new), int((frequency > 0).sum())))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        probability: Array = LogisticRegression(C=1 / penalty, max_iter=100).fit(X, classes).predict_proba(new)
    return probability
