"""One fit, and what the rows that it did not see say of it; and the same of several folds, pooled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import pandas as pd
import torch
from scipy.stats import rankdata, ttest_1samp

from tabattn.arrays import Array
from tabattn.choices import DEFAULT_METHOD, Method
from tabattn.diagnostics.baselines import dummy, gradient_boosting
from tabattn.diagnostics.leaks import Leak, SplitRows, leaks_of
from tabattn.encoding.ordering import OrderedRows, in_order
from tabattn.encoding.rows import RowEncoder, Rows
from tabattn.encoding.target import ClassEncoding, NumberEncoding, TargetEncoding, check_classes, check_numbers
from tabattn.estimator import TabAttnClassifier, TabAttnRegressor
from tabattn.fitted.costs import expected_scores, expected_shuffles
from tabattn.fitted.fit import FitRows, fit_model, model_shape
from tabattn.fitted.model import FittedModel
from tabattn.fitted.record import HeldOutRecord
from tabattn.fitted.scores import held_out_scores
from tabattn.importance.aggregation import Scores, normalize_scores
from tabattn.importance.permutation import (
    SHUFFLES_SHARE,
    PermutationScores,
    Repeats,
    enough_rows,
    mean_repeats,
)
from tabattn.importance.table import ImportanceTable, importance_table
from tabattn.importance.units import Groups, Units, units_of
from tabattn.progress import Job, Phase
from tabattn.table.cells import Positions
from tabattn.table.links import RowLinks
from tabattn.table.problem import Problem
from tabattn.table.schema import TypedTable
from tabattn.table.splits import Split
from tabattn.table.subsets import Subset

SCORES_SHARE, BOOSTING_SHARE = 0.5, 0.7
MIN_AFFORDED_ROWS, MIN_BOOSTED_ROWS = 50, 1_000
SECONDS_OF_BOOSTING, SECONDS_PER_MILLION_CELLS = 2.0, 5.0
N_ROW_BLOCKS = 20
SubsetScores: TypeAlias = Mapping[int, tuple[float, Scores]]
SUBSET_COLUMNS = ("column", "level", "n_rows", "rank", "feature", "importance", "std")
OURS, BOOSTING, N_TIME_BLOCKS = "tabattn", "hist_gradient_boosting", 10


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
        subsets: Rows that are scored by themselves too.
    """

    problem: Problem
    table: TypedTable
    links: RowLinks
    method: Method
    groups: Groups
    n_repeats: Repeats
    random_state: int
    clusters: Groups = None
    subsets: tuple[Subset, ...] = ()

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
        subset_scores: Scores of each of the subsets that has rows among them, with the weight of these rows, by its
            number.
        block_scores: Sums of the scores of each block of held-out rows, shape (block, member, unit).
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
    subset_scores: SubsetScores
    block_scores: Array


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
    if plan.problem.weight is not None:
        held_out_rows = replace(held_out_rows, weight=plan.problem.weight[split.held_out])
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
        scores, subset_scores, block_scores = _scores(plan, fitted, scored, units)
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
        subset_scores=subset_scores,
        block_scores=block_scores,
    )


def _scores(plan: Analysis, fitted: FittedModel, rows: Rows, units: Units) -> tuple[Scores, SubsetScores, Array]:
    """Score the columns on some rows, on those of each subset that are among them, and on blocks of them."""
    positions = np.asarray(rows.index)
    masks = np.array([subset.rows[positions] for subset in plan.subsets]).reshape(len(plan.subsets), len(rows))
    numbers = np.flatnonzero(masks.any(axis=1))
    n_blocks = min(N_ROW_BLOCKS, len(rows))
    blocks = np.arange(len(rows)) % n_blocks == np.arange(n_blocks)[:, None]
    weights = np.vstack([np.ones(len(rows)), masks[numbers], blocks]).T
    scores, *others = fitted.scores_of_parts(rows, plan.method, units, weights)
    n_rows = weights.sum(axis=0)[1:]
    of_subsets = zip(numbers.tolist(), n_rows.tolist(), others, strict=False)
    of_blocks = zip(n_rows[len(numbers) :], others[len(numbers) :], strict=True)
    return (
        scores,
        {number: (n, each) for number, n, each in of_subsets},
        np.stack([n * each.by_member for n, each in of_blocks]),
    )


def model_scores(parts: Sequence[HeldOutPart]) -> pd.DataFrame:
    """Score the models on the held-out rows of all parts together.

    Args:
        parts: One or more, of the same table.
    """
    fitted = parts[0].estimator.fitted_model_
    target, shape = fitted.encoder.target, fitted.model.shape
    classes = target.classes if isinstance(target, ClassEncoding) else None
    problem, held_out = parts[0].rows.problem, np.concatenate([part.rows.held_out for part in parts])
    y, weight = problem.y.iloc[held_out], None if problem.weight is None else problem.weight[held_out]
    return pd.DataFrame(
        [
            {"model": name}
            | held_out_scores(
                np.concatenate([part.outputs[name] for part in parts]), classes, y, shape.loss, shape.quantile, weight
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
    weight = None if problem.weight is None else problem.weight[held_out]
    best = dummy(problem.task, shape.loss, shape.quantile).fit(np.zeros((len(y), 1)), y, sample_weight=weight)
    ours = np.concatenate([part.outputs[OURS] for part in parts])
    if isinstance(target, ClassEncoding):
        constant = np.zeros_like(ours)
        constant[:, np.searchsorted(target.classes, best.classes_)] = best.class_prior_
    else:
        constant = np.asarray(best.predict(np.zeros((len(y), 1))))
    return _p_value_of_gain(ours, constant, parts, links)


def p_value_behind_boosting(parts: Sequence[HeldOutPart], links: RowLinks) -> float:
    """Test whether gradient boosting beats the model, in the same way.

    Args:
        parts: One or more, of the same table.
        links: Which rows belong together, and when they were.
    """
    ours, boosting = (np.concatenate([part.outputs[name] for part in parts]) for name in (OURS, BOOSTING))
    return _p_value_of_gain(boosting, ours, parts, links)


def _p_value_of_gain(better: Array, worse: Array, parts: Sequence[HeldOutPart], links: RowLinks) -> float:
    """Test whether one prediction of the held-out rows has less loss than another."""
    fitted, problem = parts[0].estimator.fitted_model_, parts[0].rows.problem
    held_out = np.concatenate([part.rows.held_out for part in parts])
    known = problem.y.iloc[held_out].to_numpy()
    gains = _row_losses(worse, known, fitted) - _row_losses(better, known, fitted)
    if problem.weight is not None:
        gains = gains * problem.weight[held_out]
    unit = np.arange(len(known)) if links.unit is None else links.unit[held_out]
    if links.time is not None:
        unit = rankdata(links.time[held_out], "ordinal").astype(np.intp) * N_TIME_BLOCKS // (len(known) + 1)
    by_unit = np.bincount(np.unique(unit, return_inverse=True)[1], gains)
    if len(by_unit) < 2 or np.ptp(by_unit) == 0:
        return 0.0 if by_unit.min() > 0 else 1.0
    return float(ttest_1samp(by_unit, 0.0, alternative="greater").pvalue)


def _row_losses(output: Array, y: Array, fitted: FittedModel) -> Array:
    """Return the loss of each row, of numbers or of probabilities of classes, on the scale that was learned."""
    target = fitted.encoder.target
    averaged = torch.from_numpy(output) if isinstance(target, ClassEncoding) else target.encode(output)
    losses: Array = fitted.model.loss.of_average(averaged.double(), target.encode(y)).numpy()
    return losses


def pooled_permutation(parts: Sequence[HeldOutPart]) -> PermutationScores:
    """Return the permutation importance of all parts, repeat by repeat averaged by the weight of their rows.

    Args:
        parts: One or more, of the same table.
    """
    n_repeats = min(part.permutation.repeats.shape[1] for part in parts)
    repeats = np.stack([part.permutation.repeats[:, :n_repeats] for part in parts])
    weight = _row_fractions(parts)[:, None, None] * ~np.isnan(repeats)
    total = weight.sum(axis=0)
    mean = np.where(total > 0, (weight * np.nan_to_num(repeats)).sum(axis=0) / np.where(total > 0, total, 1), np.nan)
    return PermutationScores(mean, parts[0].permutation.scoring)


def pooled_scores(parts: Sequence[HeldOutPart]) -> Scores:
    """Return the scores of all parts, averaged by the weight of their rows.

    Args:
        parts: One or more, of the same table.
    """
    return averaged_scores([part.scores for part in parts], _row_fractions(parts))


def pooled_cluster_scores(parts: Sequence[HeldOutPart]) -> Scores | None:
    """Return the scores with columns that say the same as one, as `pooled_scores`; None where there are none.

    Args:
        parts: One or more, of the same table.
    """
    scores = [part.cluster_scores for part in parts if part.cluster_scores is not None]
    return averaged_scores(scores, _row_fractions(parts)) if scores else None


def subset_table(parts: Sequence[HeldOutPart], subsets: Sequence[Subset], numbers: Sequence[int]) -> pd.DataFrame:
    """Return the rankings within some subsets of the held-out rows, one below the other.

    Args:
        parts: One or more, of the same table.
        subsets: All subsets.
        numbers: Which of them.

    Returns:
        One row per subset and column: `column` and `level` that the rows have in common, `n_rows`, and `rank`,
        `feature`, `importance` and `std` as in the ImportanceTable. A subset without held-out rows has none. A column
        that has one value in a subset is not ranked there.
    """
    tables = []
    for number in numbers:
        found = [part.subset_scores[number] for part in parts if number in part.subset_scores]
        if not found:
            continue
        n_rows = np.array([n for n, _ in found])
        scores = averaged_scores([each for _, each in found], n_rows / n_rows.sum())
        table = importance_table(parts[0].units, scores)[["rank", "feature", "importance", "std"]]
        subset = subsets[number]
        if subset.is_single:
            table = _without_column(table, subset.column)
        table = table.assign(column=subset.column, level=subset.level, n_rows=int(n_rows.sum()))
        tables.append(table[list(SUBSET_COLUMNS)])
    return pd.concat(tables, ignore_index=True)


def _without_column(table: ImportanceTable, name: str) -> ImportanceTable:
    """Leave a column out, so that the importances of the others sum to 1 again."""
    others = table[table["feature"] != name]
    total = others["importance"].sum()
    if len(others) in {0, len(table)} or total == 0:
        return table
    scaled = others.assign(importance=others["importance"] / total, std=others["std"] / total)
    return scaled.assign(rank=np.arange(1, len(scaled) + 1))


def averaged_scores(scores: Sequence[Scores], fraction: Array) -> Scores:
    """Return the mean of scores of the same columns; `std` is over members and over the scores.

    Args:
        scores: One or more.
        fraction: Weight of each; they sum to 1.
    """
    if len(scores) == 1:
        return scores[0]
    raw = np.stack([each.raw for each in scores])
    is_unread = np.isneginf(raw).all(axis=0)
    total = fraction @ np.where(np.isneginf(raw), 0.0, raw)
    pooled = normalize_scores(total[None])
    alone = np.stack([each.importance for each in scores])
    within = np.stack([each.std for each in scores])
    std = np.sqrt(np.nan_to_num(within**2).mean(axis=0) + alone.var(axis=0, ddof=1))
    importance = np.where(is_unread, 0.0, pooled.importance)
    return Scores(
        raw=np.where(is_unread, -np.inf, total),
        importance=importance / importance.sum(),
        std=std,
        by_member=np.concatenate([share * each.by_member for share, each in zip(fraction, scores, strict=True)]),
    )


def pooled_record(parts: Sequence[HeldOutPart]) -> HeldOutRecord:
    """Return how good predictions of the held-out rows of all parts were.

    Args:
        parts: One or more, of the same table.
    """
    held_out, problem = np.concatenate([part.rows.held_out for part in parts]), parts[0].rows.problem
    weight = None if problem.weight is None else problem.weight[held_out]
    output = np.concatenate([part.outputs[OURS] for part in parts])
    target, y = parts[0].estimator.fitted_model_.encoder.target, problem.y.iloc[held_out].to_numpy()
    return HeldOutRecord.of(target, output, y, weight)


def pooled_attention(parts: Sequence[HeldOutPart]) -> pd.DataFrame:
    """Return the mean attention of all parts, averaged by the weight of their rows.

    Args:
        parts: One or more, of the same table.
    """
    attention = np.stack([part.mean_attention.to_numpy() for part in parts])
    pooled = np.tensordot(_row_fractions(parts), attention, axes=1)
    return pd.DataFrame(pooled, index=parts[0].mean_attention.index, columns=parts[0].mean_attention.columns)


def _row_fractions(parts: Sequence[HeldOutPart]) -> Array:
    weight = parts[0].rows.problem.weight
    total = [len(part.rows.held_out) if weight is None else weight[part.rows.held_out].sum() for part in parts]
    fractions: Array = np.array(total, dtype=np.float64) / np.sum(total)
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
    weight = None if problem.weight is None else problem.weight[train]
    target: TargetEncoding
    if isinstance(estimator, TabAttnRegressor):
        ordered = OrderedRows.weighted(problem.X.iloc[train], y[train], weight, links=links)
        target = NumberEncoding.learned(ordered.y, ordered.weight, estimator.loss, estimator.quantile)
    else:
        ordered = OrderedRows.weighted(problem.X.iloc[train], y[train], weight, estimator.class_weight, links)
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
    weight = None if rows.problem.weight is None else rows.problem.weight[rows.train]
    outputs = {OURS: fitted.predict(held_out_rows)}
    for name, baseline in baselines.items():
        settings = {} if weight is None else {"model__sample_weight" if name == BOOSTING else "sample_weight": weight}
        baseline.fit(rows.design[rows.train], rows.problem.y.iloc[rows.train], **settings)
        predict = baseline.predict if classes is None else baseline.predict_proba
        outputs[name] = predict(rows.design[rows.held_out])
    return outputs
