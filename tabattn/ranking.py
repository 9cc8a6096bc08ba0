"""The whole analysis in one call: split, fit, rank, compare, write results."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, log_loss, r2_score, root_mean_squared_error
from sklearn.model_selection import train_test_split

from tabattn.arrays import Array
from tabattn.choices import DEFAULT_METHOD, Censored, EncoderKind, Method, Pretrain, RegressionLoss, Task, TaskChoice
from tabattn.diagnostics.baselines import dummy, gradient_boosting
from tabattn.diagnostics.identifiers import identifier_names
from tabattn.diagnostics.leaks import SplitRows, leaking_names
from tabattn.encoding.ordering import OrderedRows, in_order
from tabattn.encoding.rows import RowEncoder, Rows
from tabattn.encoding.target import ClassEncoding, NumberEncoding, TargetEncoding, check_classes, check_numbers
from tabattn.errors import (
    IdentifierWarning,
    LeakWarning,
    ParameterError,
    TabAttnWarning,
    UninformativeColumnWarning,
    UntrustedRankingWarning,
    nearest,
    quoted,
    warn_all,
)
from tabattn.estimator import TabAttnClassifier, TabAttnRegressor
from tabattn.files import write_atomic
from tabattn.fitted.costs import expected_scores, expected_shuffles
from tabattn.fitted.fit import FitRows, fit_model, model_shape
from tabattn.fitted.model import FittedModel
from tabattn.importance.comparison import Agreement, compare_rankings
from tabattn.importance.methods import METHODS
from tabattn.importance.permutation import (
    SCORINGS,
    SHUFFLES_SHARE,
    PermutationScores,
    Repeats,
    enough_rows,
    mean_repeats,
    score_of,
)
from tabattn.importance.table import ImportanceTable, importance_table
from tabattn.importance.units import Groups, Units, units_of
from tabattn.nn.losses import LossName
from tabattn.output.results import csv_writer, write_results
from tabattn.parameters import check_parameters
from tabattn.progress import Job, Phase
from tabattn.table.cells import AnySeries
from tabattn.table.inference import infer_table
from tabattn.table.problem import Problem, split_target
from tabattn.table.reading import read_any
from tabattn.table.rules import CellRules, NaValues
from tabattn.table.schema import TypedTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Positions = np.ndarray[tuple[int], np.dtype[np.int64]]
N_SHOWN = 10
SCORES_SHARE, BOOSTING_SHARE = 0.5, 0.7
MIN_AFFORDED_ROWS, MIN_BOOSTED_ROWS = 50, 1_000
SECONDS_OF_BOOSTING, SECONDS_PER_MILLION_CELLS = 2.0, 5.0


@dataclass(frozen=True, eq=False)
class Ranking:
    """Results of `rank`.

    Args:
        table: The ImportanceTable, see `tabattn.importance.table`.
        agreement: How far attention and permutation importance agree, see `Agreement`.
        models: Scores on held-out rows of the fitted estimator, of a constant and of gradient boosting.
        mean_attention: Attention averaged over members and held-out rows, layers and heads against features.
        estimator: The fitted estimator.
        units: The columns and groups that were ranked, in the order of the table.
        problem: Features and target as they were used.
        n_train: Number of rows fitted.
        n_held_out: Number of rows that scores and rankings come from.
        permutation: Permutation importance, of the held-out rows or enough of them, see `enough_rows`.
        n_permuted: Number of these rows.
        shortened: What was done by less than usual because of `time_limit`, in words; empty where there was time.
    """

    table: ImportanceTable
    agreement: Agreement
    models: pd.DataFrame
    mean_attention: pd.DataFrame
    estimator: TabAttnRegressor | TabAttnClassifier
    units: Units
    problem: Problem
    n_train: int
    n_held_out: int
    permutation: PermutationScores
    n_permuted: int
    shortened: tuple[str, ...] = ()

    @property
    def comparison(self) -> pd.DataFrame:
        """Agreement of the rankings and scores of the models, one measure per row."""
        scores = self.models.melt(id_vars="model", var_name="score")
        measures = [*self.agreement, *(scores["score"] + "_" + scores["model"])]
        return pd.DataFrame({"measure": measures, "value": [*self.agreement.values(), *scores["value"]]})

    @property
    def training_attention(self) -> pd.DataFrame:
        """Mean attention to each feature at each epoch in each mode, one per row."""
        history = self.estimator.attention_history_
        n_rows, n_features = history.shape
        return pd.DataFrame(
            {
                "mode": history.index.get_level_values("mode").repeat(n_features),
                "epoch": history.index.get_level_values("epoch").repeat(n_features),
                "feature": np.tile(history.columns, n_rows),
                "attention": history.to_numpy().ravel(),
            }
        )

    def to_csv(self, path: str | Path) -> None:
        """Write the table as UTF-8 CSV, atomically.

        Args:
            path: Where to.

        Raises:
            OutputError: The file can't be written.
        """
        write_atomic(Path(path), csv_writer(self.table))

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the ranking as bars.

        Args:
            ax: Where to draw; None for a new figure.

        Returns:
            The Axes.
        """
        from tabattn.output.plots import plot_importance

        return plot_importance(self.table, ax)

    def write(self, directory: str | Path) -> None:
        """Write all tables and plots and the model, or none of them.

        Args:
            directory: Where to; made if it does not exist. Files of an earlier run are replaced.

        Raises:
            OutputError: A file can't be written.
        """
        from tabattn.output.plots import plot_attention, plot_history, warn_of_missing_glyphs

        warn_of_missing_glyphs((*self.table["feature"], *self.mean_attention.columns))
        tables = {
            "importance": self.table,
            "comparison": self.comparison,
            "training_attention": self.training_attention,
        }
        plots: Mapping[str, Callable[[], Axes]] = {
            "importance": self.plot,
            "attention": lambda: plot_attention(self.mean_attention),
            "training": lambda: plot_history(self.estimator.attention_history_, best_epoch=self.estimator.best_epoch_),
        }
        write_results(Path(directory), tables, plots, {"model.tabattn": self.estimator.save})


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
    groups: Groups = None,
    task: TaskChoice = "auto",
    method: Method = DEFAULT_METHOD,
    encoder: EncoderKind = "class",
    pretrain: Pretrain = "none",
    loss: RegressionLoss = "squared",
    quantile: float = 0.5,
    test_fraction: float = 0.2,
    n_repeats: Repeats = "auto",
    max_epochs: int = 100,
    time_limit: float | None = None,
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
        groups: Names of columns by the name of their group; the columns of a group are ranked as one, and permuted
            together for permutation importance.
        task: "regression", "classification", or "auto" to choose by the target.
        method: How attention becomes importance, see `TabAttnRegressor.importance_table`.
        encoder: Kind of transformer, see `TabAttnRegressor`.
        pretrain: "auto" to learn columns from columns first, also from rows whose target is missing.
        loss: What a regression learns: "squared", "absolute", "poisson" or "pinball", see `TabAttnRegressor`. Both
            rankings go by it.
        quantile: Which quantile "pinball" is for.
        test_fraction: Fraction of rows to hold out, greater than 0 and less than 1.
        n_repeats: Permutations per column for permutation importance, at least 1; "auto" for 10, but
            above 100 columns for fewer of those that come after the first 50 then.
        max_epochs: Passes over the training rows at most.
        time_limit: Seconds that it may take, about 10 % or 10 s over at most; None for no limit. Where they do not
            suffice, there are fewer epochs, shuffles or rows, as `Ranking.shortened` says; then the ranking depends on
            how fast the machine is. Reading the file and writing results can't be shortened.
        random_state: Seed; the same seed gives the same ranking on the same machine.
        verbose: Whether to show what is done and how long it will take, in a line on the standard error stream.
        parameters: Further arguments of `TabAttnRegressor` or `TabAttnClassifier`, such as `n_layers`.

    Returns:
        The ranking.

    Raises:
        TabAttnError: The table or an argument is at fault; the message states what to do.

    Warns:
        UntrustedRankingWarning: A constant predicts the held-out rows as well as the model does.
        UninformativeColumnWarning: Some columns have at most one value in the rows that were fitted; they are
            ranked last with importance 0.
        DroppedRowsWarning: Some rows have no target.
        IdentifierWarning: Some columns seem to number or name the rows.
        LeakWarning: A column alone predicts the held-out rows nearly perfectly.
        UnparsedCellsWarning: Some cells are not what their column holds, and count as missing.
        UnknownLevelsWarning: None of ten or more held-out cells of a category is a level that was fitted.
        AmbiguousNumbersWarning, AmbiguousDatesWarning: Numbers or dates can be read in two ways, and no cell decides.
        CensoredCellsWarning: Some numbers are limits, such as "<0.03".
        UnreadNumbersWarning: A column looks like numbers, and is read as categories.
        TwinLevelsWarning: Some levels may be the same, written in two ways.
        ReadingNote: What was taken off or left out so that the table can be read.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> table = pd.DataFrame(rng.normal(size=(120, 3)), columns=["heat", "noise", "dust"])
        >>> table["yield"] = 3 * table["heat"] + rng.normal(size=120)
        >>> ranking = rank(table, "yield", max_epochs=15)
        >>> ranking.table["feature"][0], len(ranking.table)
        ('heat', 3)
    """
    if method not in METHODS:
        raise ParameterError(f"method must be one of {', '.join(METHODS)}, got {method!r}.")
    if not 0 < test_fraction < 1:
        raise ParameterError(f"test_fraction must be greater than 0 and less than 1, got {test_fraction}.")
    if n_repeats != "auto" and (not isinstance(n_repeats, Integral) or n_repeats < 1):
        raise ParameterError(f"n_repeats must be 'auto' or an integer of at least 1, got {n_repeats!r}.")
    is_number = isinstance(time_limit, Real) and not isinstance(time_limit, bool)
    if time_limit is not None and not (is_number and time_limit > 0):
        raise ParameterError(f"time_limit must be a positive number of seconds or None, got {time_limit!r}.")
    job = Job(None if time_limit is None else float(time_limit), is_shown=verbose)
    given = read_any(data, sheet=sheet, header_row=header_row, units_row=units_row, max_memory=max_memory)
    rules = CellRules.of(na_values, keep_na=keep_na, censored=censored)
    problem = split_target(given, target, drop=drop, task=task, rules=rules)
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
    train, held_out = _split(problem, test_fraction, random_state)
    table = infer_table(problem.X, kinds, train, rules)
    warn_all(table.warnings)
    units_of(table.schema, groups)  # refuses wrong groups before the fit
    with job.shown():
        n_expected = mean_repeats(len(table.schema.columns)) if n_repeats == "auto" else n_repeats
        rows, held_out_rows = _fit(estimator, problem, table, train, held_out, n_expected, job)
        fitted = estimator.fitted_model_
        units = units_of(fitted.schema, groups)
        n_most = min(len(held_out_rows), enough_rows(len(units.names)))
        n_permuted = _n_affordable(n_most, job.expected("shuffles") / n_expected, SHUFFLES_SHARE * job.left)
        permuted = held_out_rows.sample(n_permuted, random_state)
        job.expect({"shuffles": job.expected("shuffles") * n_permuted / n_most})
        permutation = fitted.permutation(permuted, units, n_repeats, random_state, job)
        with job.phase("scores", share=SCORES_SHARE) as phase:
            n_scored = _n_affordable(len(held_out_rows), phase.expected, phase.left)
            phase.expected *= n_scored / len(held_out_rows)
            scores = fitted.scores(held_out_rows.sample(n_scored, random_state), method, units)
        if method == DEFAULT_METHOD and not groups:
            estimator.fitted_model_ = replace(fitted, scored=scores.importance)
        importance = importance_table(units, scores, permutation)
        with job.phase("gradient boosting", share=BOOSTING_SHARE) as phase:
            fewer = _fewer_rows(rows, phase, random_state)
            models = _model_scores(fitted, fewer, held_out_rows, random_state)
            leaks = leaking_names(fewer, fitted.schema, fitted.model.shape.layout, importance, units)
        identifiers = identifier_names(table, fitted.schema)
        mean_attention = fitted.mean_attention(held_out_rows)
    for done, wanted, what in (
        (len(permuted), n_most, "permuted rows"),
        (n_scored, len(held_out_rows), "scored rows"),
        (len(fewer.train), len(rows.train), "rows for gradient boosting"),
    ):
        if done < wanted:
            job.shortened.append(f"{done} of {wanted} {what}")
    warn_all(held_out_rows.warnings)
    warn_all(_findings(identifiers, leaks, fitted.schema.constant_names, models, loss))
    return Ranking(
        table=importance,
        agreement=_agreement(importance, units),
        models=models,
        mean_attention=mean_attention,
        estimator=estimator,
        units=units,
        problem=problem,
        n_train=len(rows.train),
        n_held_out=len(rows.held_out),
        permutation=permutation,
        n_permuted=len(permuted),
        shortened=tuple(job.shortened),
    )


def _n_affordable(n_rows: int, expected: float, left: float, at_least: int = MIN_AFFORDED_ROWS) -> int:
    """Return how many rows fit into the time left, if all of them are expected to take so long."""
    if expected <= left:
        return n_rows
    return min(n_rows, max(at_least, int(n_rows * max(left, 0.0) / expected)))


def _fewer_rows(rows: SplitRows, phase: Phase, random_state: int) -> SplitRows:
    """Leave some of the rows to fit out, where gradient boosting would take too long on all of them."""
    n_cells = rows.design.shape[1] * len(rows.train)
    seconds = SECONDS_PER_MILLION_CELLS * n_cells / 1e6
    n_train = _n_affordable(len(rows.train), seconds, phase.left, MIN_BOOSTED_ROWS)
    if n_train == len(rows.train):
        return rows
    chosen = np.random.default_rng(random_state).choice(rows.train, n_train, replace=False)
    y = rows.problem.y.iloc[rows.train].to_numpy()
    kept = np.unique(y, return_index=True)[1] if rows.problem.task == "classification" else [y.argmax()]
    chosen = np.union1d(chosen, rows.train[kept])
    return replace(rows, train=np.sort(chosen))


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


def _fit(
    estimator: TabAttnRegressor | TabAttnClassifier,
    problem: Problem,
    table: TypedTable,
    train: Positions,
    held_out: Positions,
    n_repeats: float,
    job: Job,
) -> tuple[SplitRows, Rows]:
    """Fit some rows of a table that was parsed, and encode the others.

    Returns:
        All rows, with those that were fitted as training rows; and the held-out rows.
    """
    target: TargetEncoding
    if isinstance(estimator, TabAttnRegressor):
        y = check_numbers(problem.y, estimator.loss, len(table))
        ordered = OrderedRows.weighted(problem.X.iloc[train], y[train])
        target = NumberEncoding.learned(ordered.y, ordered.weight, estimator.loss, estimator.quantile)
    else:
        y = check_classes(problem.y, len(table))
        ordered = OrderedRows.weighted(problem.X.iloc[train], y[train], class_weight=estimator.class_weight)
        target = ClassEncoding.learned(ordered.y)
    fitted_positions = train[ordered.positions]
    encoder, rows = RowEncoder.learned(table.take(fitted_positions).with_learned_schema(), ordered.y, target)
    shape = model_shape(estimator, encoder, len(rows))
    job.expect(
        {
            "shuffles": expected_shuffles(shape, min(len(held_out), enough_rows(shape.n_columns)), n_repeats),
            "scores": expected_scores(shape, len(held_out)),
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
        ),
        job=job,
    )
    if fitted.history.was_interrupted:
        raise KeyboardInterrupt
    estimator.with_model(fitted)
    held_out_rows = encoder.encode(table.take(held_out), y[held_out])
    design = np.full((len(table), rows.raw.design.shape[1]), np.nan)
    design[fitted_positions], design[held_out] = rows.raw.design, held_out_rows.raw.design
    return SplitRows(table, design, problem, np.unique(fitted_positions), held_out), held_out_rows


def _model_scores(fitted: FittedModel, rows: SplitRows, held_out_rows: Rows, random_state: int) -> pd.DataFrame:
    """Score the model, a constant and gradient boosting on the held-out rows."""
    shape, target, task = fitted.model.shape, fitted.encoder.target, rows.problem.task
    classes = target.classes if isinstance(target, ClassEncoding) else None
    baselines = {
        "dummy": dummy(task, shape.loss, shape.quantile),
        "hist_gradient_boosting": gradient_boosting(task, shape.layout, random_state, shape.loss, shape.quantile),
    }
    outputs = {"tabattn": fitted.predict(held_out_rows)}
    for name, baseline in baselines.items():
        baseline.fit(rows.design[rows.train], rows.problem.y.iloc[rows.train])
        predict = baseline.predict if classes is None else baseline.predict_proba
        outputs[name] = predict(rows.design[rows.held_out])
    y = rows.problem.y.iloc[rows.held_out]
    return pd.DataFrame(
        [
            {"model": name, **_held_out_scores(output, classes, y, shape.loss, shape.quantile)}
            for name, output in outputs.items()
        ]
    )


def _split(problem: Problem, test_fraction: float, random_state: int) -> tuple[Positions, Positions]:
    """Return positions of the rows to fit and of those to hold out.

    Classes have the same frequencies in both where rows suffice, and at least one row among those to fit.
    """
    n_rows = len(problem.y)
    n_held_out = min(max(2, round(test_fraction * n_rows)), n_rows - 2)
    n_classes = problem.y.nunique()
    is_stratified = problem.task == "classification" and n_classes <= min(n_held_out, n_rows - n_held_out)
    train, held_out = train_test_split(
        np.arange(n_rows),
        test_size=n_held_out,
        random_state=random_state,
        stratify=problem.y if is_stratified else None,
    )
    if problem.task == "classification":
        classes = problem.y.to_numpy()
        absent = np.setdiff1d(classes[held_out], classes[train])
        moved = [held_out[classes[held_out] == name][0] for name in absent]
        train, held_out = np.append(train, moved).astype(np.int64), np.setdiff1d(held_out, moved)
    return np.sort(train), np.sort(held_out)


def _agreement(importance: ImportanceTable, units: Units) -> Agreement:
    """Compare the rankings of what varies, in the order of the table, so that ties favour neither."""
    compared = importance.set_index("feature").loc[[units.names[i] for i in sorted(units.scored)]]
    return compare_rankings(-compared["rank"].to_numpy(np.float64), compared["permutation_mean"].to_numpy())


def _held_out_scores(
    output: Array, classes: Array | None, y: AnySeries, loss: LossName, quantile: float
) -> dict[str, float]:
    """Score predicted numbers, or probabilities of classes."""
    if classes is not None:
        nats = log_loss(y, output, labels=classes)
        return {"accuracy": accuracy_score(y, classes[output.argmax(axis=1)]), "log_loss": nats}
    scores = {"r2": r2_score(y, output), "rmse": root_mean_squared_error(y, output)}
    scoring = SCORINGS[loss]
    return scores if scoring == "r2" else {scoring: score_of(scoring, y, output, quantile=quantile)} | scores


def _findings(
    identifiers: Sequence[str], leaks: Sequence[str], constants: Sequence[str], models: pd.DataFrame, loss: LossName
) -> Iterator[TabAttnWarning]:
    """Yield what to warn of: columns that mislead or are of no use, and a model that predicts nothing."""
    if identifiers:
        yield IdentifierWarning(
            f"{quoted(identifiers, N_SHOWN)}: these columns seem to number or name the rows, which can't help with "
            "others. Leave them out (--drop) unless they mean something, such as the order in time."
        )
    if leaks:
        yield LeakWarning(
            f"{quoted(leaks, N_SHOWN)}: alone enough to predict the target nearly perfectly. Is it known before the "
            "target? If not, it gives the target away: leave it out (--drop)."
        )
    if constants:
        yield UninformativeColumnWarning(
            f"{len(constants)} column(s) have no value, or only one, in the fitted rows; ranked last: "
            f"{quoted(constants, N_SHOWN)}."
        )
    measure = "log_loss" if "log_loss" in models else "rmse" if loss == "squared" else SCORINGS[loss]
    by_model = models.set_index("model")[measure]
    sign = 1 if measure in {"log_loss", "rmse"} else -1
    if not sign * by_model["tabattn"] < sign * by_model["dummy"]:
        yield UntrustedRankingWarning(
            f"The model predicts no better than a constant ({measure} {by_model['tabattn']:.4g} against "
            f"{by_model['dummy']:.4g} on held-out rows): do not trust this ranking. "
            "More rows, other columns or another target may help."
        )
