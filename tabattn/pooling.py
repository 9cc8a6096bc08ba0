"""What the held-out rows of one fit, or of several folds together, say: scores, tests, rankings and attention."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy.stats import ttest_1samp

from tabattn.analysis import BOOSTING, OURS, HeldOutPart, n_affordable
from tabattn.arrays import Array
from tabattn.diagnostics.baselines import dummy
from tabattn.encoding.target import ClassEncoding
from tabattn.fitted.evaluation import (
    TEST_SHARE,
    DrawnRows,
    EvaluatedUnits,
    expected_tests,
    n_evaluated_rows,
    n_unit_draws,
    significance_of,
)
from tabattn.fitted.interactions import Interactions, interactions_of, paired_units
from tabattn.fitted.model import FittedModel
from tabattn.fitted.record import HeldOutRecord
from tabattn.fitted.scores import held_out_scores
from tabattn.fitted.sufficient import Elimination, eliminate
from tabattn.importance.aggregation import Scores, normalize_scores
from tabattn.importance.intervals import importance_intervals
from tabattn.importance.permutation import PermutationScores
from tabattn.importance.significance import Selection, Significance
from tabattn.importance.table import ImportanceTable, importance_table
from tabattn.importance.units import Units
from tabattn.progress import Job
from tabattn.table.links import RowLinks
from tabattn.table.subsets import Subset

EXPECTED_JOINT, JOINT_SHARE, MAX_ELIMINATED = 0.5, 0.3, 100
SUBSET_COLUMNS = ("column", "level", "n_rows", "rank", "feature", "importance", "std")


@dataclass(frozen=True, eq=False)
class Tests:
    """What the columns add given the others, by rows that neither trained nor selected the evaluated models.

    Args:
        significance: Of the columns.
        of_clusters: With columns that say the same as one; None where there are none.
        interactions: Pairs of the selected columns.
        elimination: Steps to the smallest sufficient set; empty where the model does not beat a constant.
    """

    significance: Significance
    of_clusters: Significance | None
    interactions: Interactions
    elimination: Sequence[Elimination]


def pooled_tests(
    parts: Sequence[HeldOutPart], links: RowLinks, clusters: Units | None, selection: Selection, job: Job, seed: int
) -> Tests:
    """Test what the columns add given the others, and which act together, and drop those that are not needed.

    Args:
        parts: One or more, of the same table.
        links: Which rows belong together, and when they were.
        clusters: The columns, with those that say the same as one; None where there are none.
        selection: What is selected.
        job: The job that this is a part of.
        seed: Seed of the draws.
    """
    evaluated = [each for part in parts for each in part.evaluated]
    units, are_linked = parts[0].units, links.is_asked or links.time is not None
    n_most = [n_evaluated_rows(each, len(units.scored)) for each in evaluated]
    seconds = expected_tests(evaluated, n_most, len(units.scored))
    job.expect({"tests": seconds, "interactions": EXPECTED_JOINT * seconds, "sufficient set": EXPECTED_JOINT * seconds})
    with job.phase("tests", share=TEST_SHARE) as phase:
        n_rows = [n_affordable(n, phase.expected, phase.left) for n in n_most]
        columns = [units.model_columns(unit) for unit in units.scored]
        n_draws = n_unit_draws(len(columns))
        drawn = DrawnRows.of(evaluated, columns, n_rows, n_draws, seed)
        found = EvaluatedUnits.of(drawn, columns, are_linked=are_linked)
        significance, of_clusters = significance_of(found, units, selection), None
        if clusters is not None:
            joint = [each for unit in clusters.scored if len(each := clusters.model_columns(unit)) > 1]
            joint_rows = DrawnRows.of(evaluated, joint, n_rows, n_draws, seed)
            also = EvaluatedUnits.of(joint_rows, joint, are_linked=are_linked)
            wanted = [clusters.model_columns(unit) for unit in clusters.scored]
            of_clusters = significance_of(found.taken(also, wanted), clusters, selection)
    if sum(n_rows) < sum(n_most):
        job.shortened.append(f"{sum(n_rows)} of {sum(n_most)} tested rows")
    with job.phase("interactions", share=JOINT_SHARE) as phase:
        chosen = paired_units(pooled_scores(parts).importance, significance.selected)
        if phase.expected > phase.left:
            chosen = []
            job.shortened.append("no interactions")
        interactions = interactions_of(drawn, units, chosen, selection)
    with job.phase("sufficient set", share=JOINT_SHARE) as phase:
        has_time = phase.expected <= phase.left
        if not has_time:
            job.shortened.append("no sufficient set")
        is_wanted = has_time and selection.is_trusted and len(units.scored) <= MAX_ELIMINATED
        elimination = eliminate(drawn, units, significance) if is_wanted else []
    return Tests(significance, of_clusters, interactions, elimination)


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
    unit = links.take(held_out).independent_units(len(known))
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


def cluster_table(
    parts: Sequence[HeldOutPart], clusters: Units, significance: Significance | None
) -> ImportanceTable | None:
    """Return the ImportanceTable with columns that say the same as one; None where there are none.

    Args:
        parts: One or more, of the same table.
        clusters: The columns, in clusters.
        significance: Of these.
    """
    scores = [part.cluster_scores for part in parts if part.cluster_scores is not None]
    blocks = [part.cluster_block_scores for part in parts if part.cluster_block_scores is not None]
    if not scores:
        return None
    pooled = averaged_scores(scores, _row_fractions(parts))
    intervals = importance_intervals(pooled.raw, blocks)
    return importance_table(clusters, pooled, significance=significance, intervals=intervals)


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
