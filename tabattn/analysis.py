"""One fit, and everything that is computed from the rows that it held out."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import pandas as pd

from tabattn.arrays import Array
from tabattn.choices import DEFAULT_METHOD, Method
from tabattn.diagnostics.baselines import dummy, gradient_boosting
from tabattn.diagnostics.leaks import Leak, SplitRows, leaks_of
from tabattn.encoding.ordering import OrderedRows, in_order
from tabattn.encoding.rows import RowEncoder, Rows
from tabattn.encoding.target import ClassEncoding, NumberEncoding, TargetEncoding, check_classes, check_numbers
from tabattn.estimator import TabAttnClassifier, TabAttnRegressor
from tabattn.fitted.costs import expected_scores, expected_shuffles, n_scored_rows
from tabattn.fitted.effects import column_effects, expected_effects, n_effect_rows
from tabattn.fitted.evaluation import (
    EvaluatedRows,
    cross_fitted_rows,
)
from tabattn.fitted.fit import FitRows, fit_model, model_shape
from tabattn.fitted.model import FittedModel, decide
from tabattn.importance.aggregation import Scores
from tabattn.importance.effects import Effect
from tabattn.importance.permutation import (
    SHUFFLES_SHARE,
    PermutationScores,
    Repeats,
    enough_rows,
    mean_repeats,
)
from tabattn.importance.table import importance_table
from tabattn.importance.units import Groups, Units, units_of
from tabattn.large_tables import LargeSplit
from tabattn.progress import Job, Phase
from tabattn.table.cells import Positions
from tabattn.table.links import RowLinks
from tabattn.table.problem import Problem
from tabattn.table.schema import TypedTable
from tabattn.table.splits import Split
from tabattn.table.subsets import Subset
from tabattn.training.checkpoints import Checkpoints

SCORES_SHARE, BOOSTING_SHARE, EFFECTS_SHARE = 0.5, 0.7, 0.5
MIN_AFFORDED_ROWS, MIN_BOOSTED_ROWS, MIN_AFFORDED_EFFECT_ROWS = 50, 1_000, 20
SECONDS_OF_BOOSTING, SECONDS_PER_MILLION_CELLS = 2.0, 5.0
SubsetScores: TypeAlias = Mapping[int, tuple[float, Scores]]
OURS, BOOSTING = "tabattn", "hist_gradient_boosting"


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
        n_folds: Number of folds that are analysed.
        checkpoints: Where to keep the states of the fits; None for nowhere.
        large: Rows beyond memory that are learned from too; None for none.
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
    n_folds: int = 1
    checkpoints: Checkpoints | None = None
    large: LargeSplit | None = None

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
        n_fitted: Number of rows that were fitted.
        n_permuted: Number of rows that it is of.
        n_scored: Number of rows that the scores are of.
        scores: Scores of the method.
        cluster_scores: Scores with columns that say the same as one; None where there are none.
        mean_attention: Attention, layers and heads against features.
        leaks: Columns that alone predict the target as well as all do.
        shortened: What was done by less than usual, in words.
        held_out_rows: The held-out rows, encoded.
        subset_scores: Scores of each of the subsets that has rows among them, with the weight of these rows, by its
            number.
        evaluated: The held-out rows, and those that the members held out in the fit, with the models to evaluate.
        block_scores: Sums of the scores of each block of held-out rows, shape (block, member, unit).
        cluster_block_scores: The same with columns that say the same as one; None where there are none.
    """

    estimator: TabAttnRegressor | TabAttnClassifier
    units: Units
    rows: SplitRows
    outputs: Mapping[str, Array]
    permutation: PermutationScores
    n_fitted: int
    n_permuted: int
    n_scored: int
    scores: Scores
    cluster_scores: Scores | None
    mean_attention: pd.DataFrame
    leaks: tuple[Leak, ...]
    shortened: tuple[str, ...]
    held_out_rows: Rows
    evaluated: tuple[EvaluatedRows, ...]
    subset_scores: SubsetScores
    block_scores: Array
    cluster_block_scores: Array | None = None


def analyse(plan: Analysis, split: Split, estimator: TabAttnRegressor | TabAttnClassifier, job: Job) -> HeldOutPart:
    """Fit some rows, and read the others.

    Args:
        plan: What is to be fitted.
        split: Which rows to fit.
        estimator: What to fit; it is changed.
        job: The job that this is a part of.
    """
    random_state = plan.random_state
    fitted_rows, positions, n_fitted = fit_rows(plan, split.train, estimator, len(split.held_out), job)
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
    evaluated = _evaluated_rows(plan, split, fitted, held_out_rows)
    n_most = min(len(held_out_rows), enough_rows(len(units.names)))
    n_permuted = n_affordable(n_most, job.expected("shuffles") / plan.mean_repeats, SHUFFLES_SHARE * job.left)
    permuted = held_out_rows.sample(n_permuted, random_state)
    job.expect({"shuffles": job.expected("shuffles") * n_permuted / n_most})
    permutation = fitted.permutation(permuted, units, plan.n_repeats, random_state, job)
    with job.phase("scores", share=SCORES_SHARE) as phase:
        n_wanted = n_scored_rows(fitted.model.shape, len(held_out_rows), plan.method)
        n_scored = n_affordable(n_wanted, phase.expected, phase.left)
        phase.expected *= n_scored / n_wanted
        scored = held_out_rows.sample(n_scored, random_state)
        scores, subset_scores, block_scores = _scores(plan, fitted, scored, units)
        clusters = units_of(fitted.schema, plan.clusters)
        cluster_scores = _scores(replace(plan, subsets=()), fitted, scored, clusters) if plan.clusters else None
    if plan.method == DEFAULT_METHOD and not plan.groups:
        estimator.fitted_model_ = replace(fitted, scored=scores.importance)
    with job.phase("gradient boosting", share=BOOSTING_SHARE) as phase:
        fewer = fewer_rows(rows, phase, random_state)
        outputs = _outputs(fitted, fewer, held_out_rows, random_state)
        importance = importance_table(units, scores, permutation)
        decided = decide(fitted.encoder.target, outputs[BOOSTING])
        leaks = leaks_of(fewer, fitted.schema, fitted.model.shape.layout, importance, units, decided)
    for done, wanted, what in (
        (len(permuted), n_most, "permuted rows"),
        (n_scored, n_wanted, "scored rows"),
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
        n_fitted=n_fitted,
        n_permuted=len(permuted),
        n_scored=n_scored,
        scores=scores,
        cluster_scores=None if cluster_scores is None else cluster_scores[0],
        cluster_block_scores=None if cluster_scores is None else cluster_scores[2],
        mean_attention=fitted.mean_attention(held_out_rows),
        leaks=tuple(leaks),
        shortened=tuple(job.shortened),
        held_out_rows=held_out_rows,
        evaluated=evaluated,
        subset_scores=subset_scores,
        block_scores=block_scores,
    )


def _evaluated_rows(plan: Analysis, split: Split, fitted: FittedModel, rows: Rows) -> tuple[EvaluatedRows, ...]:
    """Return the held-out rows, and without folds those that members held out in the fit, with their models."""
    assert rows.target is not None, "held-out rows have a target"
    own = EvaluatedRows(
        rows.cells,
        rows.target,
        plan.links.take(split.held_out).independent_units(len(rows)),
        np.ones(len(rows)) if rows.weight is None else rows.weight,
        [(fitted.reader, np.arange(len(rows)))],
    )
    others = None if plan.n_folds > 1 else cross_fitted_rows(fitted)
    return (own,) if others is None else (own, others)


def _scores(plan: Analysis, fitted: FittedModel, rows: Rows, units: Units) -> tuple[Scores, SubsetScores, Array]:
    """Score the columns on some rows, on those of each subset that are among them, and on blocks of them."""
    positions = np.asarray(rows.index)
    masks = np.array([subset.rows[positions] for subset in plan.subsets]).reshape(len(plan.subsets), len(rows))
    numbers = np.flatnonzero(masks.any(axis=1))
    independent = np.unique(plan.links.take(positions).independent_units(len(rows)), return_inverse=True)[1]
    block = independent % fitted.reader.n_blocks(len(rows))
    blocks = block == np.arange(block.max() + 1)[:, None]
    weights = np.vstack([np.ones(len(rows)), masks[numbers], blocks]).T
    scores, *others = fitted.scores_of_parts(rows, plan.method, units, weights, block)
    n_rows = (weights if rows.weight is None else weights * rows.weight[:, None]).sum(axis=0)[1:]
    of_subsets = zip(numbers.tolist(), n_rows.tolist(), others, strict=False)
    of_blocks = zip(n_rows[len(numbers) :], others[len(numbers) :], strict=True)
    return (
        scores,
        {number: (n, each) for number, n, each in of_subsets},
        np.stack([n * each.by_member for n, each in of_blocks]),
    )


def effects_of(plan: Analysis, estimator: TabAttnRegressor | TabAttnClassifier, job: Job) -> tuple[Effect, ...]:
    """Compute the effects of all columns, over fewer rows where time is short.

    Args:
        plan: What was fitted.
        estimator: The fitted estimator.
        job: The job that this is a part of.
    """
    fitted = estimator.fitted_model_
    n_most = min(len(plan.table), n_effect_rows(fitted.model.shape.n_columns))
    job.expect({"effects": expected_effects(fitted, n_most)})
    with job.phase("effects", share=EFFECTS_SHARE) as phase:
        n_rows = n_affordable(n_most, phase.expected, phase.left, MIN_AFFORDED_EFFECT_ROWS)
        effects = column_effects(fitted, plan.table, plan.y(estimator), plan.problem.weight, n_rows, plan.random_state)
    if n_rows < n_most:
        job.shortened.append(f"effects over {n_rows} of {n_most} rows")
    return effects


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
) -> tuple[Rows, Positions, int]:
    """Fit some rows of a table that was parsed.

    Args:
        plan: What is to be fitted.
        train: Positions of the rows.
        estimator: What to fit; it is changed.
        n_held_out: Number of rows that will be read afterwards, which tells how long that will take.
        job: The job that this is a part of.

    Returns:
        The rows that were fitted, in their order, and their positions; of a table beyond memory those of them that are
        in the sample. And how many were fitted.
    """
    problem, table, large = plan.problem, plan.table, plan.large
    y = plan.y(estimator)
    validating = train[:0] if large is None else train[large.validates[train]]
    train = train if large is None else train[large.learned[train]]
    links = plan.links.take(train)
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
            "scores": expected_scores(shape, n_scored_rows(shape, n_held_out, plan.method), plan.method),
            "gradient boosting": SECONDS_OF_BOOSTING,
        }
    )
    validation = None if large is None else encoder.encode(table.take(validating), y[validating])
    has_unlabelled = estimator.pretrain == "auto" and len(problem.unlabelled) > 0
    target_name, checkpoint = str(problem.y.name), None if plan.checkpoints is None else plan.checkpoints.next()
    with nullcontext() if large is None else large.streamed(encoder, target_name, plan.random_state, job) as stream:
        to_fit = FitRows(
            rows,
            ordered.weight,
            ordered.loss_weight,
            feature_names=table.schema.names,
            validation=validation,
            unlabelled=encoder.read(in_order(problem.unlabelled)) if has_unlabelled else None,
            links=ordered.links,
            stream=stream,
        )
        fitted = fit_model(estimator, encoder, to_fit, job=job, checkpoint=checkpoint)
    if fitted.history.was_interrupted:
        raise KeyboardInterrupt
    estimator.with_model(fitted)
    return rows, positions, len(rows) if stream is None else stream.n_rows


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
