"""The whole analysis in one call: read, split, fit, score, test, compare."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any, get_args

import numpy as np
from sklearn.base import clone

from tabattn.analysis import Analysis, HeldOutPart, analyse, effects_of, fit_rows
from tabattn.choices import (
    DEFAULT_METHOD,
    Censored,
    EncoderKind,
    FdrControl,
    Method,
    Pretrain,
    RegressionLoss,
    Task,
    TaskChoice,
)
from tabattn.diagnostics.absence import absence_findings
from tabattn.diagnostics.associations import associations
from tabattn.diagnostics.doubts import doubtful_findings
from tabattn.diagnostics.findings import warnings_of
from tabattn.diagnostics.linked_rows import linked_row_findings
from tabattn.diagnostics.redundancy import same_column_findings, same_columns
from tabattn.diagnostics.results import MAX_P_VALUE, ranking_findings, score_findings, target_findings
from tabattn.diagnostics.stability import mean_agreement, stability_findings
from tabattn.errors import (
    ParameterError,
    gathered,
    nearest,
    warn_all,
)
from tabattn.estimator import TabAttnClassifier, TabAttnRegressor
from tabattn.fitted.effects import shown_outputs
from tabattn.fitted.sufficient import elimination_table
from tabattn.held_out import HoldOutRule
from tabattn.importance.comparison import Agreement, compare_rankings
from tabattn.importance.effects import effects_table
from tabattn.importance.intervals import importance_intervals
from tabattn.importance.methods import METHODS
from tabattn.importance.permutation import Repeats
from tabattn.importance.significance import Selection
from tabattn.importance.table import ImportanceTable, importance_table
from tabattn.importance.units import Groups, Units, units_of
from tabattn.large_tables import LargeSplit
from tabattn.nn.torch_state import torch_defaults
from tabattn.parameters import check_parameters
from tabattn.pooling import (
    cluster_table,
    model_scores,
    p_value_against_constant,
    p_value_behind_boosting,
    pooled_attention,
    pooled_permutation,
    pooled_record,
    pooled_scores,
    pooled_tests,
    subset_table,
)
from tabattn.progress import Job
from tabattn.ranking_results import Ranking
from tabattn.table.distributions import distributions_of
from tabattn.table.inference import infer_table
from tabattn.table.problem import known_cells, split_target
from tabattn.table.reading import read_any
from tabattn.table.rules import CellRules, NaValues
from tabattn.table.splits import Split
from tabattn.table.subsets import class_subsets, level_subsets
from tabattn.training.checkpoints import Checkpoints

DEFAULT_QUANTILE = 0.5
PHASES_OF_A_PART, PHASES_OF_ALL = 4, 4
"""Training, shuffles, scores and boosting; tests, interactions, the sufficient set and effects."""


@torch_defaults()
def rank(
    data: Any,
    target: str,
    *,
    drop: Sequence[str] = (),
    kinds: Mapping[str, str] | None = None,
    na_values: NaValues | None = None,
    keep_na: bool = False,
    censored: Censored = "limit",
    sheet: str | int | None = None,
    header_row: int | None = None,
    units_row: int | None = None,
    max_memory: float | None = None,
    all_rows: bool = False,
    groups: Groups = None,
    task: TaskChoice = "auto",
    method: Method = DEFAULT_METHOD,
    encoder: EncoderKind = "class",
    pretrain: Pretrain = "none",
    loss: RegressionLoss = "squared",
    quantile: float = 0.5,
    test_fraction: float = 0.2,
    split_by: str | Sequence[str] = (),
    order_by: str | None = None,
    gap: int = 0,
    split_features: bool = False,
    folds: int = 1,
    weight: str | None = None,
    by: str | Sequence[str] = (),
    fdr: float = 0.1,
    fdr_control: FdrControl = "bh",
    n_repeats: Repeats = "auto",
    max_epochs: int = 100,
    time_limit: float | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    random_state: int = 0,
    verbose: bool = False,
    **parameters: Any,
) -> Ranking:
    """Rank the columns of a table by how much they drive its target, and measure how far the ranking can be trusted.

    A part of the rows is held out. A `TabAttnRegressor` or `TabAttnClassifier` is fitted on the others; attention,
    permutation importance and the scores of the model, of a constant and of gradient boosting come from the held-out
    rows.

    Args:
        data: The table (pandas, Polars, PyArrow), or the path of its file (see `tabattn.table.reading.read_table`).
        target: Name of the target column.
        drop: Names of columns to leave out.
        kinds: Kinds of columns by name, where they are not to be inferred: "numeric", "boolean", "categorical",
            "datetime", "duration" or "text".
        na_values: Further cells that are missing, in all columns and the target, or lists of them by column.
        keep_na: Whether words such as "None" and "-" are levels and classes; among numbers they are missing always.
        censored: Whether a limit such as "<0.03" is the number behind the sign ("limit"), or "missing".
        sheet: Name or number of the sheet of a workbook; None for the first that holds a table. This and the next three
            are for files, see `tabattn.table.reading.read_table`.
        header_row: Number of the row of names, from 1 on; None to find it.
        units_row: Number of the row of units, 0 for none; None to find it.
        max_memory: Gigabytes that reading may take; None for most of what is free.
        all_rows: Whether to learn from all rows of Parquet or Arrow files that do not fit into memory, from disk, not
            from a random sample alone; scores are of the sample's held-out rows either way. Which rows are held out
            follows from their cells then, or from those of `split_by`, or from the order of `order_by`.
        groups: Names of columns by the name of their group; the columns of a group are ranked as one, and permuted
            together for permutation importance.
        task: "regression", "classification", or "auto" to choose by the target.
        method: How attention becomes importance, see `TabAttnRegressor.importance_table`.
        encoder: Kind of transformer, see `TabAttnRegressor`.
        pretrain: "auto" to learn columns from columns first, also from rows whose target is missing.
        loss: What a regression learns: "squared", "squared_log", "absolute", "poisson" or "pinball", see
            `TabAttnRegressor`. Both rankings go by it.
        quantile: Which quantile "pinball" is for.
        test_fraction: Fraction of rows to hold out, greater than 0 and less than 1.
        split_by: Names of columns whose rows belong together, such as the lot, the patient or the machine: rows with
            the same cells in them are held out together, inside of the fit too. They are no features, unless
            `split_features` is set. Rows that are equal in all cells stay together without being asked.
        order_by: Name of a column of times or numbers: the last rows are held out, and blocks of time inside of the
            fit. With `split_by`, the last units. It is no feature either.
        gap: Number of rows beside those that are held out that are not fitted, where rows are ordered: they resemble
            them.
        split_features: Whether the columns of `split_by` and `order_by` are features too.
        folds: 1 to hold out a part of the rows; else the number of folds in which each row is held out once: scores,
            permutation importance and attention are then those of all rows, and the estimator is fitted on all of them
            in the end. It takes that many times as long, and once more.
        weight: Name of a column of weights of the rows, at least 0, which is no feature: how often a row counts in the
            fit and in all scores. Where all are integers, and not more than a million together, a row of weight 2 is
            the same as two rows; others weight the rows, but not what cells are exchanged for.
        by: Names of columns, such as the machine or the product: the features are ranked within the held-out rows of
            each of their levels too, see `Ranking.by_level`. They are features, unless they are dropped.
        fdr: Rate of false discoveries, in (0, 1), among the columns that are `selected`: those that add something given
            the others.
        fdr_control: "bh" (Benjamini and Hochberg), or "by" (Benjamini and Yekutieli), which selects less and holds
            however the tests depend on each other.
        n_repeats: Permutations per column for permutation importance, at least 1; "auto" for 10, but
            above 100 columns for fewer of those that come after the first 50 then.
        max_epochs: Passes over the training rows at most.
        time_limit: Seconds that it may take, about 10 % or 10 s over at most; None for no limit. Where they do not
            suffice, there are fewer epochs, shuffles or rows, as `Ranking.shortened` says; then the ranking depends on
            how fast the machine is. Reading the file and writing results can't be shortened.
        checkpoint: A directory in which the states of the fits are kept, every ten seconds or more; made when the
            first is written, and yours to remove. None for nowhere.
        resume: Whether to go on from what a run that was ended has kept there: the ranking is that of a run that was
            not, bit by bit. The table and all other arguments must be the same.
        random_state: Seed; the same seed gives the same ranking on the same machine.
        verbose: Whether to show what is done and how long it will take, in a line on the standard error stream.
        parameters: Further arguments of `TabAttnRegressor` or `TabAttnClassifier`, such as `n_layers`.

    Returns:
        The ranking.

    Raises:
        TabAttnError: The table or an argument is at fault; the message states what to do.

    Warns:
        UntrustedRankingWarning: The model does not predict the held-out rows better than a constant, beyond chance.
        UninformativeColumnWarning: Some columns have at most one value in the rows that were fitted; they are
            ranked last with importance 0.
        DroppedRowsWarning: Some rows have no target.
        IdentifierWarning: Some columns seem to number or name the rows.
        DependentRowsWarning: Rows belong together, or resemble their neighbours in time, and were held out at random.
        LeakWarning: A column alone predicts the held-out rows nearly perfectly.
        UnparsedCellsWarning: Some cells are not what their column holds, and count as missing.
        UnknownLevelsWarning: None of ten or more held-out cells of a category is a level that was fitted.
        AmbiguousNumbersWarning, AmbiguousDatesWarning: Numbers or dates can be read in two ways, and no cell decides.
        CensoredCellsWarning: Some numbers are limits, such as "<0.03".
        UnreadNumbersWarning: A column looks like numbers, and is read as categories.
        TwinLevelsWarning: Some levels may be the same, written in two ways.
        ReadingNote: What was taken off or left out so that the table can be read.

    Example:
        >>> import pandas as pd
        >>> rng = np.random.default_rng(0)
        >>> table = pd.DataFrame(rng.normal(size=(120, 3)), columns=["heat", "noise", "dust"])
        >>> table["yield"] = 3 * table["heat"] + rng.normal(size=120)
        >>> ranking = rank(table, "yield", max_epochs=15)
        >>> ranking.table["feature"][0], len(ranking.table)
        ('heat', 3)
    """
    if method not in METHODS:
        raise ParameterError(f"method must be one of {', '.join(METHODS)}, got {method!r}.")
    if n_repeats != "auto" and (not isinstance(n_repeats, Integral) or n_repeats < 1):
        raise ParameterError(f"n_repeats must be 'auto' or an integer of at least 1, got {n_repeats!r}.")
    check_time_limit(time_limit)
    rule = HoldOutRule(_names(split_by), order_by, gap, folds, test_fraction, random_state)
    if not isinstance(fdr, Real) or isinstance(fdr, bool) or not 0 < fdr < 1:
        raise ParameterError(f"fdr must be greater than 0 and less than 1, got {fdr!r}.")
    if fdr_control not in get_args(FdrControl):
        raise ParameterError(f"fdr_control must be one of {', '.join(get_args(FdrControl))}, got {fdr_control!r}.")
    if resume and checkpoint is None:
        raise ParameterError("resume=True must have a checkpoint to go on from, got None. Name the directory.")
    checkpoints = None if checkpoint is None else Checkpoints(Path(checkpoint), is_resumed=resume)
    job = Job(None if time_limit is None else float(time_limit), is_shown=verbose)
    rules = CellRules.of(na_values, keep_na=keep_na, censored=censored)
    by = _names(by)
    if quantile != DEFAULT_QUANTILE and loss != "pinball":
        raise ParameterError(f"quantile must be left out for the loss {loss!r}, got {quantile!r}. Or choose pinball.")
    dropped = drop if split_features else list(dict.fromkeys([*drop, *rule.columns]))
    with gathered() as doubts:
        weighted = {"weight": weight, "class_weight": parameters.get("class_weight")}
        large_table = rule.large_table(data, max_memory, weighted) if all_rows else None
        if large_table is None:
            given = read_any(data, sheet=sheet, header_row=header_row, units_row=units_row, max_memory=max_memory)
        else:
            given = large_table.sample
        problem = split_target(
            given, target, drop=dropped, aside=[*rule.columns, *by], weight=weight, task=task, rules=rules
        )
    settings = parameters | {
        "encoder": encoder,
        "pretrain": pretrain,
        "kinds": kinds,
        "na_values": na_values,
        "keep_na": keep_na,
        "censored": censored,
        "max_epochs": max_epochs,
        "random_state": random_state,
        "verbose": verbose,
    }
    if problem.task == "regression":
        settings |= {"loss": loss, "quantile": quantile}
    elif loss != "squared":
        raise ParameterError(f"loss must be left out for a classification, got {loss!r}. Or choose regression.")
    estimator = _estimator(problem.task, settings)
    with gathered() as more:
        links = rule.links(problem, rules)
        large = None
        if large_table is not None:
            is_known = known_cells(given[target], target, rules)
            validating = float(estimator.validation_fraction)
            large = LargeSplit.of(large_table, is_known, test_fraction, validating)
        splits = rule.splits(problem, links) if large is None else [Split.of(large.held_out)]
        classes = class_subsets(problem.y, target) if problem.task == "classification" else []
        levels = [subset for name in by for subset in level_subsets(problem.aside, name, rules)]
        table = infer_table(problem.X, kinds, splits[0].train if folds == 1 else None, rules)
        warn_all(table.warnings)
    units = units_of(table.schema, groups)
    clusters = {} if groups else same_columns(table)
    subsets = (*classes, *levels)
    plan = Analysis(
        problem, table, links, method, groups, n_repeats, random_state, clusters, subsets, folds, checkpoints, large
    )
    with job.shown():
        job.plan(PHASES_OF_A_PART * len(splits) + (folds > 1) + PHASES_OF_ALL)
        job.plan((len(splits) + (folds > 1)) * ((pretrain == "auto") + (large is not None)))
        parts = _analysed(plan, splits, estimator, job)
        leaks = tuple({leak.name: leak for part in parts for leak in part.leaks}.values())
        without_leaks = _without(plan, [leak.name for leak in leaks], splits, estimator, kinds, rules, job)
        if folds > 1:
            fit_rows(plan, np.arange(len(table)), estimator, 0, job)
            units = units_of(table.schema, groups)
        else:
            estimator, units = parts[0].estimator, parts[0].units
        p_value = p_value_against_constant(parts, links)
        selection = Selection(fdr, fdr_control, is_trusted=p_value <= MAX_P_VALUE)
        in_clusters = units_of(estimator.schema_, clusters) if clusters else None
        tests = pooled_tests(parts, links, in_clusters, selection, job, random_state)
        effects = effects_of(plan, estimator, job)
    estimator.fitted_model_ = replace(estimator.fitted_model_, recorded=pooled_record(parts))
    permutation, scores, models = pooled_permutation(parts), pooled_scores(parts), model_scores(parts)
    outputs = shown_outputs(estimator.fitted_model_)
    classes_shown = dict(outputs) if problem.task == "classification" else None
    importance = importance_table(
        units,
        scores,
        permutation,
        tests.significance,
        importance_intervals(scores.raw, [part.block_scores for part in parts]),
        effects,
        classes_shown,
    )
    of_held_out = tuple(dict.fromkeys(itertools.chain.from_iterable(part.held_out_rows.warnings for part in parts)))
    warn_all(of_held_out)
    layout = parts[0].estimator.fitted_model_.model.shape.layout
    findings = [
        *ranking_findings(table, estimator.schema_, leaks),
        *score_findings(models, p_value, p_value_behind_boosting(parts, links), loss),
        *target_findings(problem),
        *absence_findings(table, problem),
        *stability_findings(scores, [part.block_scores for part in parts], units, random_state),
        *same_column_findings(clusters),
        *linked_row_findings(parts[0].rows, layout, links, random_state),
    ]
    warn_all(warnings_of(findings))
    findings += doubtful_findings([*doubts, *more, *of_held_out], [*map(str, given.columns)])
    n_held_out = sum(len(split.held_out) for split in splits)
    return Ranking(
        table=importance,
        agreement=_agreement(importance, units),
        models=models,
        mean_attention=pooled_attention(parts),
        estimator=estimator,
        units=units,
        problem=problem,
        n_train=parts[0].n_fitted if folds == 1 else len(table),
        n_held_out=n_held_out,
        permutation=permutation,
        n_permuted=sum(part.n_permuted for part in parts),
        n_scored=sum(part.n_scored for part in parts),
        findings=tuple(findings),
        clusters=None if in_clusters is None else cluster_table(parts, in_clusters, tests.of_clusters),
        interactions=tests.interactions.table(units.names),
        sufficient_set=elimination_table(tests.elimination, units.names),
        without_leaks=without_leaks,
        effects=effects_table(effects, outputs),
        by_class=subset_table(parts, subsets, range(len(classes))) if classes else None,
        by_level=subset_table(parts, subsets, range(len(classes), len(subsets))) if levels else None,
        held_out=rule.in_words(splits, links),
        fdr=float(fdr),
        distributions=distributions_of(table),
        associations=associations(table, [name for name in importance["feature"] if name in table.schema.names]),
        member_agreement=mean_agreement(scores.by_member),
        fold_agreement=mean_agreement(np.stack([part.scores.importance for part in parts])),
        held_out_positions=np.sort(np.concatenate([split.held_out for split in splits])),
        shortened=tuple(dict.fromkeys([*job.shortened, *itertools.chain.from_iterable(p.shortened for p in parts)])),
    )


def check_time_limit(time_limit: float | None) -> None:
    """Refuse what is no time.

    Args:
        time_limit: Positive seconds, or None.

    Raises:
        ParameterError: It is neither.
    """
    is_number = isinstance(time_limit, Real) and not isinstance(time_limit, bool)
    if time_limit is not None and not (is_number and time_limit > 0):
        raise ParameterError(f"time_limit must be a positive number of seconds or None, got {time_limit!r}.")


def _analysed(
    plan: Analysis, splits: Sequence[Split], estimator: TabAttnRegressor | TabAttnClassifier, job: Job
) -> list[HeldOutPart]:
    """Fit and read all folds; where a last fit follows, time is kept for it."""
    n_fits = len(splits) + (len(splits) > 1)
    return [analyse(plan, split, clone(estimator), job.part(n_fits - number)) for number, split in enumerate(splits)]


def _without(
    plan: Analysis,
    leaks: Sequence[str],
    splits: Sequence[Split],
    estimator: TabAttnRegressor | TabAttnClassifier,
    kinds: Mapping[str, str] | None,
    rules: CellRules,
    job: Job,
) -> ImportanceTable | None:
    """Rank once more, without the columns that give the target away; None where there are none, or nothing else."""
    if not leaks or not set(plan.table.schema.names) - set(plan.table.schema.constant_names) - set(leaks):
        return None
    problem = plan.problem
    others = replace(problem, X=problem.X.drop(columns=leaks), unlabelled=problem.unlabelled.drop(columns=leaks))
    other_kinds = {name: kind for name, kind in (kinds or {}).items() if name not in leaks}
    table = infer_table(others.X, other_kinds, splits[0].train if len(splits) == 1 else None, rules)
    groups = {
        group: kept
        for group, names in (plan.groups or {}).items()
        if (kept := [name for name in names if name not in leaks])
    }
    plan = replace(plan, problem=others, table=table, groups=groups, clusters=None, subsets=())
    job.plan(PHASES_OF_A_PART * len(splits))
    parts = _analysed(plan, splits, estimator, job)
    units = units_of(table.schema, groups) if len(parts) > 1 else parts[0].units
    return importance_table(units, pooled_scores(parts), pooled_permutation(parts))


def _names(given: str | Sequence[str]) -> tuple[str, ...]:
    """Return one name or several as several."""
    return (given,) if isinstance(given, str) else tuple(dict.fromkeys(str(name) for name in given))


def _estimator(task: Task, settings: Mapping[str, Any]) -> TabAttnRegressor | TabAttnClassifier:
    """Return an estimator with settings that were checked."""
    known = (TabAttnRegressor if task == "regression" else TabAttnClassifier)().get_params(deep=False)
    for name in settings:
        if name not in known:
            raise ParameterError(
                f"Further arguments must be those of the estimator of a {task}, got {name!r}. "
                + nearest(name, known, "arguments")
            )
    estimator = TabAttnRegressor(**settings) if task == "regression" else TabAttnClassifier(**settings)
    check_parameters(estimator.get_params(deep=False))
    return estimator


def _agreement(importance: ImportanceTable, units: Units) -> Agreement:
    """Compare the rankings of what varies, in the order of the table, so that ties favour neither."""
    compared = importance.set_index("feature").loc[[units.names[i] for i in sorted(units.scored)]]
    return compare_rankings(-compared["rank"].to_numpy(np.float64), compared["permutation_mean"].to_numpy())
