"""What the columns, the target and the scores of a ranking say about whether to trust it."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from tabattn.diagnostics.findings import Finding
from tabattn.diagnostics.identifiers import identifier_names
from tabattn.diagnostics.leaks import Leak
from tabattn.errors import (
    IdentifierWarning,
    LeakWarning,
    UninformativeColumnWarning,
    UntrustedRankingWarning,
    quoted,
)
from tabattn.fitted.scores import RARE_FRACTION
from tabattn.importance.permutation import SCORINGS
from tabattn.nn.losses import LossName
from tabattn.table.problem import Problem
from tabattn.table.schema import TableSchema, TypedTable

N_SHOWN = 10
MAX_P_VALUE, MAX_P_VALUE_OF_BOOSTING = 0.05, 0.01
FEW_ROWS, FEW_ROWS_PER_COLUMN, RARE_CLASS = 50, 5, 10
MANY_DECADES, FAR_BEHIND = 2.0, 0.1


def ranking_findings(
    table: TypedTable,
    schema: TableSchema,
    leaks: Sequence[Leak],
) -> Iterator[Finding]:
    """Find columns that mislead or are of no use.

    Args:
        table: All rows.
        schema: The columns, as learned from the rows that were fitted.
        leaks: Columns that alone predict the target as well as all do.
    """
    identifiers = identifier_names(table, schema)
    if identifiers:
        yield Finding(
            "identifier",
            "Columns name the rows",
            f"{quoted(identifiers, N_SHOWN)}: these columns seem to number or name the rows, which can't help with "
            "others. Leave them out (--drop) unless they mean something, such as the order in time.",
            columns=tuple(identifiers),
            category=IdentifierWarning,
        )
    yield from _of_leaks(leaks)
    constants = schema.constant_names
    if constants:
        yield Finding(
            "constant",
            "Columns have only one value",
            f"{len(constants)} column(s) have no value, or only one, in the fitted rows; ranked last: "
            f"{quoted(constants, N_SHOWN)}.",
            "note",
            tuple(constants),
            category=UninformativeColumnWarning,
        )


def _of_leaks(leaks: Sequence[Leak]) -> Iterator[Finding]:
    names = tuple(leak.name for leak in leaks if leak.is_certain)
    if names:
        yield Finding(
            "leak",
            "Columns give the target away",
            f"{quoted(names, N_SHOWN)}: alone enough to predict the target nearly perfectly. Is it known before the "
            "target? If not, it gives the target away: leave it out (--drop). importance_without_leaks.csv ranks the "
            "others without it.",
            "serious",
            names,
            category=LeakWarning,
        )
    for leak in leaks:
        if not leak.is_certain:
            yield Finding(
                "second_measurement",
                "One column predicts as well as all",
                f"{leak.name!r}: alone as good as all columns together ({leak.score:.2f} of {leak.whole:.2f}), with "
                "most of the importance. If it is another measurement of the target, or follows from it, leave it "
                "out (--drop): importance_without_leaks.csv ranks the others without it.",
                columns=(leak.name,),
                numbers={"alone": leak.score, "all": leak.whole},
                category=LeakWarning,
            )


def target_findings(problem: Problem) -> Iterator[Finding]:
    """Find few rows, rare and unequal classes, and numbers over several decades.

    Args:
        problem: Features and target.
    """
    n_rows, n_columns = problem.X.shape
    if n_rows < max(FEW_ROWS, FEW_ROWS_PER_COLUMN * n_columns):
        yield Finding(
            "few_rows",
            "Few rows",
            f"{n_rows} rows for {n_columns} columns: ranks beyond the first few would differ in other rows of the same "
            "kind. Use --folds 5, so that all rows are held out once.",
            "note",
            numbers={"rows": n_rows, "columns": n_columns},
        )
    if problem.task == "regression":
        yield from _wide_target(problem.y.to_numpy(dtype=np.float64))
        return
    counts = problem.y.value_counts()
    rare = counts[counts < RARE_CLASS]
    if len(rare):
        names = ", ".join(f"{name!r} ({count})" for name, count in list(rare.items())[:N_SHOWN])
        yield Finding(
            "rare_classes",
            "Classes with few rows",
            f"{len(rare)} class(es) have fewer than {RARE_CLASS} rows: {names}. What drives them can't be told. "
            "Join them to others, or leave them out.",
            numbers={"classes": len(rare)},
        )
    fraction = counts.iloc[-1] / n_rows
    if len(counts) == 2 and fraction < RARE_FRACTION:
        yield Finding(
            "imbalance",
            "One class is rare",
            f"{counts.index[-1]!r} is the class of {fraction:.1%} of the rows: accuracy says little. Both rankings go "
            "by the log loss, which sees it; average precision and recall are in comparison.csv.",
            "note",
            numbers={"fraction": float(fraction), "rows": int(counts.iloc[-1])},
        )


def _wide_target(y: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Iterator[Finding]:
    if y.min() <= 0:
        return
    low, middle, high = np.quantile(y, [0.05, 0.5, 0.95])
    decades = float(np.log10(high / low))
    is_skewed = high - middle > 3 * (middle - low)
    if decades > MANY_DECADES and is_skewed:
        yield Finding(
            "wide_target",
            "The target spans several decades",
            f"Nine tenths of the target lie between {low:.3g} and {high:.3g}: squared errors are those of the largest "
            "values alone. Learn its logarithm: --log-target (loss='squared_log'), or --loss absolute.",
            numbers={"decades": decades},
        )


def score_findings(
    models: pd.DataFrame, p_value: float, p_value_of_boosting: float, loss: LossName
) -> Iterator[Finding]:
    """Find a model that predicts nothing, or less than gradient boosting does.

    Args:
        models: Scores of the models on held-out rows.
        p_value: Of the model being better than the best constant for the held-out rows.
        p_value_of_boosting: Of gradient boosting being better than the model.
        loss: What a regression learned.
    """
    measure = "log_loss" if "log_loss" in models else "rmse" if loss == "squared" else SCORINGS[loss]
    by_model = models.set_index("model")[measure]
    is_loss = measure in {"log_loss", "rmse"}
    sign = 1 if is_loss else -1
    ours, constant, boosting = (float(by_model[name]) for name in ("tabattn", "dummy", "hist_gradient_boosting"))
    is_worse = not sign * ours < sign * constant
    if is_worse or p_value > MAX_P_VALUE:
        by_chance = "" if is_worse else f"; the best constant for these rows is as good, p = {p_value:.2g}"
        yield Finding(
            "no_better_than_constant",
            "The model predicts no better than a constant",
            f"The model predicts no better than a constant ({measure} {ours:.4g} against "
            f"{constant:.4g} on held-out rows{by_chance}): do not trust this ranking. "
            "More rows, other columns or another target may help.",
            "serious",
            numbers={"tabattn": ours, "constant": constant, "p_value": p_value},
            category=UntrustedRankingWarning,
        )
    gained, possible = sign * (constant - ours), sign * (constant - boosting)
    is_behind = possible > 0 and p_value_of_boosting <= MAX_P_VALUE_OF_BOOSTING
    if is_behind and possible - gained > FAR_BEHIND * (abs(constant) if is_loss else 1):
        yield Finding(
            "far_behind_boosting",
            "Gradient boosting predicts better",
            f"Gradient boosting predicts the held-out rows better ({measure} {boosting:.4g} against {ours:.4g}): the "
            "ranking misses what it has found. More epochs (--max-epochs) or rows may help.",
            numbers={"tabattn": ours, "hist_gradient_boosting": boosting},
        )
