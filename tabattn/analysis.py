"""One fit, and what the rows that it did not see say of it; and the same of several folds, pooled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.stats import rankdata, ttest_1samp

from tabattn.arrays import Array
from tabattn.choices import DEFAULT_METHOD, Method
from tabattn.diagnostics.baselines import dummy, gradient_boosting
from tabattn.diagnostics.leaks import Leak, SplitRows, leaks_of
from tabattn.diagnostics.scores import held_out_scores
from tabattn.encoding.ordering import OrderedRows, in_order
from tabattn.encoding.rows import RowEncoder, Rows
from tabattn.encoding.target import ClassEncoding, NumberEncoding, TargetEncoding, check_classes, check_numbers
from tabattn.estimator import TabAttnClassifier, TabAttnRegressor
from tabattn.fitted.costs import expected_scores, expected_shuffles
from tabattn.fitted.fit import FitRows, fit_model, model_shape
from tabattn.fitted.model import FittedModel
from tabattn.importance.aggregation import Scores, normalize_scores
from tabattn.importance.permutation import (
    SHUFFLES_SHARE,
    PermutationScores,
    Repeats,
    enough_rows,
    mean_repeats,
)
from tabattn.importance.table import importance_table
from tabattn.importance.units import Groups, Units, units_of
from tabattn.progress import Job, Phase
from tabattn.table.cells import Positions
from tabattn.table.links import RowLinks
from tabattn.table.problem import Problem
from tabattn.table.schema import TypedTable
from tabattn.table.splits import Split

SCORES_SHARE, BOOSTING_SHARE = 0.5, 0.7
MIN_AFFORDED_ROWS, MIN_BOOSTED_ROWS = 50, 1_000
SECONDS_OF_BOOSTING, SECONDS_PER_MILLION_CELLS = 2.0, 5.0
OURS, BOOSTING, N_TIME_BLOCKS, SMALLEST = "tabattn", "hist_gradient_boosting", 10, 1e-15


@dataclass(frozen=True, eq=False)
class Analysis:
    """What is to be fitted, and how its held-out rows are read.

    Args:
        problem: Features and target.
        table: The features, parsed.
        links: Which rows belong together, and when they were.
        method: How attention becomes importance.
        groups: Columns that are scored as one.
        n_repeats: Permutations per column.
        random_state: Seed.
        clusters: Columns that say the same, to be scored as one too.
    """

    problem: Problem
    table: TypedTable
    links: RowLinks
    method: Method
    groups: Groups
    n_repeats: Repeats
    random_state: int
    clusters: Groups = None

    @property
    def mean_repeats(self) -> float:
        """How often a column is permuted in the mean."""
        return mean_repeats(len(self.table.schema.columns)) if self.n_repeats == "auto" else self.n_repeats

    def y(self, estimator: TabAttnRegressor | TabAttnClassifier) -> Array:
        """Return the target as an estimator takes it.

        Args:
            estimator: The estimator.
        """
        if isinstance(estimator, TabAttnRegressor):
            return check_numbers(self.problem.y, estimator.loss, len(self.table))
        return check_classes(self.problem.y, len(self.table))


@dataclass(frozen=True, eq=False)
class HeldOutPart:
    """One fit, and what its held-out rows say of it.

    Args:
        estimator: The fitted estimator.
        units: What was scored.
        rows: All rows, and which were fitted.
        outputs: What the model, a constant and gradient boosting predict for the held-out rows, by name.
        permutation: Permutation importance.
        n_permuted: Number of rows that it is of.
        scores: Scores of the method.
        cluster_scores: Scores with columns that say the same as one; None where there are none.
        mean_attention: Attention, layers and heads against features.
        leaks: Columns that alone predict the target as well as all do.
        shortened: What was done by less than usual, in words.
        held_out_rows: The held-out rows, encoded.
    """

    estimator: TabAttnRegressor | TabAttnClassifier
    units: Units
    rows: SplitRows
    outputs: Mapping[str, Array]
    permutation: PermutationScores
    n_permuted: int
    scores: Scores
    cluster_scores: Scores | None
    mean_attention: pd.DataFrame
    leaks: tuple[Leak, ...]
    shortened: tuple[str, ...]
    held_out_rows: Rows


def analyse(plan: Analysis, split: Split, estimator: TabAttnRegressor | TabAttnClassifier, job: Job) -> HeldOutPart:
    """Fit some rows, and read the others.

    Args:
        plan: What is to be fitted.
        split: Which rows to fit.
        estimator: What to fit; it is changed.
        job: The job that this is a part of.
    """
    random_state = plan.random_state
    fitted_rows, positions = fit_rows(plan, split.train, estimator, len(split.held_out), job)
    held_out_rows = estimator.fitted_model_.encoder.encode(
        plan.table.take(split.held_out), plan.y(estimator)[split.held_out]
    )
    design = np.full((len(plan.table), fitted_rows.raw.design.shape[1]), np.nan)
    design[positions], design[split.held_out] = fitted_rows.raw.design, held_out_rows.raw.design
    rows = SplitRows(plan.table, design, plan.problem, np.unique(positions), split.held_out)
    fitted = estimator.fitted_model_
    units = units_of(fitted.schema, plan.groups)
    n_most = min(len(held_out_rows), enough_rows(len(units.names)))
    n_permuted = n_affordable(n_most, job.expected("shuffles") / plan.mean_repeats, SHUFFLES_SHARE * job.left)
    permuted = held_out_rows.sample(n_permuted, random_state)
    job.expect({"shuffles": job.expected("shuffles") * n_permuted / n_most})
    permutation = fitted.permutation(permuted, units, plan.n_repeats, random_state, job)
    with job.phase("scores", share=SCORES_SHARE) as phase:
        n_scored = n_affordable(len(held_out_rows), phase.expected, phase.left)
        phase.expected *= n_scored / len(held_out_rows)
        scored = held_out_rows.sample(n_scored, random_state)
        scores = fitted.scores(scored, plan.method, units)
        clusters = units_of(fitted.schema, plan.clusters)
        cluster_scores = fitted.scores(scored, plan.method, clusters) if plan.clusters else None
    if plan.method == DEFAULT_METHOD and not plan.groups:
        estimator.fitted_model_ = replace(fitted, scored=scores.importance)
    with job.phase("gradient boosting", share=BOOSTING_SHARE) as phase:
        fewer = fewer_rows(rows, phase, random_state)
        outputs = _outputs(fitted, fewer, held_out_rows, random_state)
        importance = importance_table(units, scores, permutation)
        leaks = leaks_of(fewer, fitted.schema, fitted.model.shape.layout, importance, units, _decided(outputs, fitted))
    for done, wanted, what in (
        (len(permuted), n_most, "permuted rows"),
        (n_scored, len(held_out_rows), "scored rows"),
        (len(fewer.train), len(rows.train), "rows for gradient boosting"),
    ):
        if done < wanted:
            job.shortened.append(f"{done} of {wanted} {what}")
    return HeldOutPart(
        estimator=estimator,
        units=units,
        rows=rows,
        outputs=outputs,
        permutation=permutation,
        n_permuted=len(permuted),
        scores=scores,
        cluster_scores=cluster_scores,
        mean_attention=fitted.mean_attention(held_out_rows),
        leaks=tuple(leaks),
        shortened=tuple(job.shortened),
        held_out_rows=held_out_rows,
    )


def model_scores(parts: Sequence[HeldOutPart]) -> pd.DataFrame:
    """Score the models on the held-out rows of all parts together.

    Args:
        parts: One or more, of the same table.
    """
    fitted = parts[0].estimator.fitted_model_
    target, shape = fitted.encoder.target, fitted.model.shape
    classes = target.classes if isinstance(target, ClassEncoding) else None
    y = pd.concat([part.rows.problem.y.iloc[part.rows.held_out] for part in parts])
    return pd.DataFrame(
        [
            {"model": name}
            | held_out_scores(
                np.concatenate([part.outputs[name] for part in parts]), classes, y, shape.loss, shape.quantile
            )
            for name in parts[0].outputs
        ]
    )


def p_value_against_constant(parts: Sequence[HeldOutPart], links: RowLinks) -> float:
    """Test whether the model beats the best constant for the held-out rows, by a one-sided t-test over their units.

    That is not the constant of the rows that were fitted: lots and months that were not fitted may have another mean,
    and what predicts only that mean has found no column. Where rows have an order, the units are ten blocks of it.

    Args:
        parts: One or more, of the same table.
        links: Which rows belong together, and when they were.
    """
    fitted, problem = parts[0].estimator.fitted_model_, parts[0].rows.problem
    held_out = np.concatenate([part.rows.held_out for part in parts])
    y, shape, target = problem.y.iloc[held_out], fitted.model.shape, fitted.encoder.target
    best = dummy(problem.task, shape.loss, shape.quantile).fit(np.zeros((len(y), 1)), y)
    ours = np.concatenate([part.outputs[OURS] for part in parts])
    if isinstance(target, ClassEncoding):
        constant = np.zeros_like(ours)
        constant[:, np.searchsorted(target.classes, best.classes_)] = best.class_prior_
    else:
        constant = np.asarray(best.predict(np.zeros((len(y), 1))))
    known = y.to_numpy()
    gains = _row_losses(constant, known, target, fitted) - _row_losses(ours, known, target, fitted)
    unit = np.arange(len(y)) if links.unit is None else links.unit[held_out]
    if links.time is not None:
        unit = rankdata(links.time[held_out], "ordinal").astype(np.intp) * N_TIME_BLOCKS // (len(y) + 1)
    by_unit = np.bincount(np.unique(unit, return_inverse=True)[1], gains)
    if len(by_unit) < 2 or np.ptp(by_unit) == 0:
        return 0.0 if by_unit.min() > 0 else 1.0
    return float(ttest_1samp(by_unit, 0.0, alternative="greater").pvalue)


def _row_losses(output: Array, y: Array, target: TargetEncoding, fitted: FittedModel) -> Array:
    """Return the loss of each row, of numbers or of probabilities of classes."""
    shape = fitted.model.shape
    if isinstance(target, ClassEncoding):
        places = np.searchsorted(target.classes, y)
        return np.asarray(-np.log(output[np.arange(len(y)), places].clip(SMALLEST, 1)))
    error = y.astype(np.float64) - output
    if shape.loss == "absolute":
        return np.asarray(np.abs(error))
    if shape.loss == "pinball":
        return np.asarray(np.maximum(shape.quantile * error, (shape.quantile - 1) * error))
    if shape.loss == "poisson":
        predicted = output.clip(SMALLEST)
        return np.asarray(predicted - y.astype(np.float64) * np.log(predicted))
    return np.asarray(error**2)


def pooled_permutation(parts: Sequence[HeldOutPart]) -> PermutationScores:
    """Return the permutation importance of all parts, repeat by repeat averaged by their numbers of rows.

    Args:
        parts: One or more, of the same table.
    """
    n_repeats = min(part.permutation.repeats.shape[1] for part in parts)
    repeats = np.stack([part.permutation.repeats[:, :n_repeats] for part in parts])
    weight = _row_fractions(parts)[:, None, None] * ~np.isnan(repeats)
    total = weight.sum(axis=0)
    mean = np.where(total > 0, (weight * np.nan_to_num(repeats)).sum(axis=0) / np.where(total > 0, total, 1), np.nan)
    return PermutationScores(mean, parts[0].permutation.scoring)


def pooled_scores(parts: Sequence[HeldOutPart], scores: Sequence[Scores]) -> Scores:
    """Return scores of all parts, averaged by their numbers of rows; `std` is over members and parts.

    Args:
        parts: One or more, of the same table.
        scores: Scores of each.
    """
    if len(parts) == 1:
        return scores[0]
    fraction = _row_fractions(parts)
    raw = np.stack([each.raw for each in scores])
    is_unread = np.isneginf(raw).all(axis=0)
    total = fraction @ np.where(np.isneginf(raw), 0.0, raw)
    pooled = normalize_scores(total[None])
    alone = np.stack([each.importance for each in scores])
    within = np.stack([each.std for each in scores])
    std = np.sqrt(np.nan_to_num(within**2).mean(axis=0) + alone.var(axis=0, ddof=1))
    importance = np.where(is_unread, 0.0, pooled.importance)
    return Scores(raw=np.where(is_unread, -np.inf, total), importance=importance / importance.sum(), std=std)


def pooled_attention(parts: Sequence[HeldOutPart]) -> pd.DataFrame:
    """Return the mean attention of all parts, averaged by their numbers of rows.

    Args:
        parts: One or more, of the same table.
    """
    attention = np.stack([part.mean_attention.to_numpy() for part in parts])
    pooled = np.tensordot(_row_fractions(parts), attention, axes=1)
    return pd.DataFrame(pooled, index=parts[0].mean_attention.index, columns=parts[0].mean_attention.columns)


def _row_fractions(parts: Sequence[HeldOutPart]) -> Array:
    n_rows = np.array([len(part.rows.held_out) for part in parts], dtype=np.float64)
    fractions: Array = n_rows / n_rows.sum()
    return fractions


def n_affordable(n_rows: int, expected: float, left: float, at_least: int = MIN_AFFORDED_ROWS) -> int:
    """Return how many rows fit into the time left, if all of them are expected to take so long."""
    if expected <= left:
        return n_rows
    return min(n_rows, max(at_least, int(n_rows * max(left, 0.0) / expected)))


def fewer_rows(rows: SplitRows, phase: Phase, random_state: int) -> SplitRows:
    """Leave some of the rows to fit out, where gradient boosting would take too long on all of them."""
    n_cells = rows.design.shape[1] * len(rows.train)
    seconds = SECONDS_PER_MILLION_CELLS * n_cells / 1e6
    n_train = n_affordable(len(rows.train), seconds, phase.left, MIN_BOOSTED_ROWS)
    if n_train == len(rows.train):
        return rows
    chosen = np.random.default_rng(random_state).choice(rows.train, n_train, replace=False)
    y = rows.problem.y.iloc[rows.train].to_numpy()
    kept = np.unique(y, return_index=True)[1] if rows.problem.task == "classification" else [y.argmax()]
    chosen = np.union1d(chosen, rows.train[kept])
    return replace(rows, train=np.sort(chosen))


def fit_rows(
    plan: Analysis, train: Positions, estimator: TabAttnRegressor | TabAttnClassifier, n_held_out: int, job: Job
) -> tuple[Rows, Positions]:
    """Fit some rows of a table that was parsed.

    Args:
        plan: What is to be fitted.
        train: Positions of the rows.
        estimator: What to fit; it is changed.
        n_held_out: Number of rows that will be read afterwards, which tells how long that will take.
        job: The job that this is a part of.

    Returns:
        The rows that were fitted, in their order, and their positions.
    """
    problem, table, links = plan.problem, plan.table, plan.links.take(train)
    y = plan.y(estimator)
    target: TargetEncoding
    if isinstance(estimator, TabAttnRegressor):
        ordered = OrderedRows.weighted(problem.X.iloc[train], y[train], links=links)
        target = NumberEncoding.learned(ordered.y, ordered.weight, estimator.loss, estimator.quantile)
    else:
        ordered = OrderedRows.weighted(problem.X.iloc[train], y[train], None, estimator.class_weight, links)
        target = ClassEncoding.learned(ordered.y)
    positions = train[ordered.positions]
    encoder, rows = RowEncoder.learned(table.take(positions).with_learned_schema(), ordered.y, target)
    shape = model_shape(estimator, encoder, len(rows))
    job.expect(
        {
            "shuffles": expected_shuffles(shape, min(n_held_out, enough_rows(shape.n_columns)), plan.mean_repeats),
            "scores": expected_scores(shape, n_held_out),
            "gradient boosting": SECONDS_OF_BOOSTING,
        }
    )
    has_unlabelled = estimator.pretrain == "auto" and len(problem.unlabelled) > 0
    fitted = fit_model(
        estimator,
        encoder,
        FitRows(
            rows,
            ordered.weight,
            ordered.loss_weight,
            feature_names=table.schema.names,
            unlabelled=encoder.read(in_order(problem.unlabelled)) if has_unlabelled else None,
            links=ordered.links,
        ),
        job=job,
    )
    if fitted.history.was_interrupted:
        raise KeyboardInterrupt
    estimator.with_model(fitted)
    return rows, positions


def _decided(outputs: Mapping[str, Array], fitted: FittedModel) -> Array:
    """Return what gradient boosting predicts: numbers, or classes."""
    output, target = outputs[BOOSTING], fitted.encoder.target
    return target.classes[output.argmax(axis=1)] if isinstance(target, ClassEncoding) else output


def _outputs(fitted: FittedModel, rows: SplitRows, held_out_rows: Rows, random_state: int) -> dict[str, Array]:
    """Return what the model, a constant and gradient boosting predict for the held-out rows."""
    shape, target, task = fitted.model.shape, fitted.encoder.target, rows.problem.task
    classes = target.classes if isinstance(target, ClassEncoding) else None
    baselines = {
        "dummy": dummy(task, shape.loss, shape.quantile),
        BOOSTING: gradient_boosting(task, shape.layout, random_state, shape.loss, shape.quantile),
    }
    outputs = {OURS: fitted.predict(held_out_rows)}
    for name, baseline in baselines.items():
        baseline.fit(rows.design[rows.train], rows.problem.y.iloc[rows.train])
        predict = baseline.predict if classes is None else baseline.predict_proba
        outputs[name] = predict(rows.design[rows.held_out])
    return outputs
