"""The whole job in one call: split, fit, rank, compare, and write it all down."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, log_loss, r2_score, recall_score, root_mean_squared_error
from sklearn.model_selection import train_test_split

from tabattn.diagnostics.baselines import dummy, gradient_boosting, lone_judge
from tabattn.encoding.preprocessing import Preprocessor
from tabattn.errors import (
    IdentifierWarning,
    LeakWarning,
    ParameterError,
    UninformativeColumnWarning,
    UntrustedRankingWarning,
)
from tabattn.estimator import TabAttnClassifier, TabAttnRegressor
from tabattn.files import write_whole
from tabattn.importance.comparison import Agreement, compare_rankings
from tabattn.importance.methods import DEFAULT_METHOD, METHODS, Method
from tabattn.importance.permutation import SCORINGS, auto_repeats, score_of
from tabattn.importance.table import ImportanceTable
from tabattn.importance.units import Groups, Units, units_of
from tabattn.nn.model import EncoderKind
from tabattn.output.plots import plot_attention, plot_history, plot_importance, warn_of_missing_glyphs
from tabattn.output.results import csv_writer, write_results
from tabattn.parameters import Pretrain, RegressionLoss
from tabattn.table.cells import AnySeries, as_numbers, is_missing, unread_cells_ignored
from tabattn.table.problem import Problem, TaskChoice, pose_problem
from tabattn.table.reading import as_pandas, read_table
from tabattn.table.schema import Column, Kind, TableSchema, identifier_names, infer_schema

if TYPE_CHECKING:
    from matplotlib.axes import Axes

N_LEAKS, LEAK_SCORE, MIN_PRESENT_SHARE = 3, 0.99, 0.5


@dataclass(frozen=True, eq=False)
class Ranking:
    """Everything that `rank` found out.

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
        n_repeats: Shuffles per column that permutation importance is the mean of.
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
    n_repeats: int

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
        """Write the table as UTF-8 CSV, whole or not at all.

        Args:
            path: Where to.

        Raises:
            OutputError: The file can't be written.
        """
        write_whole(Path(path), csv_writer(self.table))

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the ranking as bars.

        Args:
            ax: Where to draw; None for a new figure.

        Returns:
            The Axes.
        """
        return plot_importance(self.table, ax)

    def write(self, directory: str | Path) -> None:
        """Write all tables and plots and the model, whole or not at all.

        Args:
            directory: Where to; made if it does not exist. Files of an earlier run are replaced.

        Raises:
            OutputError: A file can't be written.
        """
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
    schema: Mapping[str, str] | None = None,
    groups: Groups = None,
    task: TaskChoice = "auto",
    method: Method = DEFAULT_METHOD,
    encoder: EncoderKind = "class",
    pretrain: Pretrain = "none",
    loss: RegressionLoss = "squared",
    quantile: float = 0.5,
    test_fraction: float = 0.2,
    n_repeats: int | Literal["auto"] = "auto",
    max_epochs: int = 100,
    random_state: int = 0,
    verbose: bool = False,
) -> Ranking:
    """Rank the columns of a table by how much they drive its target, and say how far to trust it.

    A part of the rows is held out. A `TabAttnRegressor` or `TabAttnClassifier` is fitted on the others; attention,
    permutation importance and the scores of the model, of a constant and of gradient boosting come from the held-out
    rows.

    Args:
        data: The table (pandas, Polars, PyArrow), or the path of its file (see `tabattn.table.reading.read_table`).
        target: Name of the target column.
        drop: Names of columns to leave out.
        schema: Kinds of columns by name, where they are not to be inferred: "numeric", "boolean", "categorical",
            "datetime", "duration" or "text".
        groups: Names of columns by the name of their group; the columns of a group are ranked as one, and shuffled
            together for permutation importance.
        task: "regression", "classification", or "auto" to choose by the target.
        method: How attention becomes importance, see `TabAttnRegressor.importance_table`.
        encoder: Kind of transformer, see `TabAttnRegressor`.
        pretrain: "auto" to learn columns from columns first, also from rows whose target is missing.
        loss: What a regression learns: "squared", "absolute", "poisson" or "pinball", see `TabAttnRegressor`. Both
            rankings go by it.
        quantile: Which quantile "pinball" is for.
        test_fraction: Share of rows to hold out, greater than 0 and less than 1.
        n_repeats: Shuffles per column for permutation importance, at least 1; "auto" for 10, and for fewer above 250
            columns, see `tabattn.importance.permutation.auto_repeats`.
        max_epochs: Passes over the training rows at most.
        random_state: Seed; the same seed gives the same ranking on the same machine.
        verbose: Whether to show a line of progress.

    Returns:
        The ranking.

    Raises:
        TabAttnError: The table or an argument is at fault; the message says what to do.

    Warns:
        UntrustedRankingWarning: A constant predicts the held-out rows as well as the model does.
        UninformativeColumnWarning: Some columns have at most one value in the rows that were fitted; they are
            ranked last with importance 0.
        DroppedRowsWarning: Some rows have no target.
        IdentifierWarning: Some columns seem to number or name the rows.
        LeakWarning: A column alone predicts the held-out rows nearly perfectly.
        UnreadCellsWarning: Some cells are not what their column holds, and count as missing.
        AmbiguousNumbersWarning: Numbers can be read in two ways, and nothing tells which is meant.

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
        raise ParameterError(f"n_repeats must be 'auto' or a whole number of at least 1, got {n_repeats!r}.")
    table = read_table(data) if isinstance(data, str | Path) else as_pandas(data)
    if not isinstance(table, pd.DataFrame):
        raise ParameterError(f"data must be a table or the path of one, got {type(data).__name__}.")
    problem = pose_problem(table, target, drop=drop, task=task)
    train, held_out = _split(problem, test_fraction, random_state)
    X, y = problem.X, problem.y
    units_of(infer_schema(X, schema), groups)  # warns of unread cells of all rows, once, and refuses wrong groups
    with unread_cells_ignored():
        settings: dict[str, Any] = {
            "encoder": encoder,
            "pretrain": pretrain,
            "schema": schema,
            "max_epochs": max_epochs,
            "random_state": random_state,
            "verbose": verbose,
        }
        if problem.task == "regression":
            estimator = TabAttnRegressor(loss=loss, quantile=quantile, **settings)
        elif loss == "squared":
            estimator = TabAttnClassifier(**settings)
        else:
            raise ParameterError(f"loss must be left out for a classification, got {loss!r}. Or choose regression.")
        unlabelled = problem.unlabelled if pretrain == "auto" and len(problem.unlabelled) else None
        estimator.fit(X.iloc[train], y.iloc[train], unlabelled=unlabelled)
        X_held_out, y_held_out = X.iloc[held_out], y.iloc[held_out]
        units = units_of(estimator.schema_, groups)
        n_repeats = auto_repeats(len(units.names)) if n_repeats == "auto" else n_repeats
        permutation = estimator.permutation_scores(
            X_held_out, y_held_out, groups=groups, n_repeats=n_repeats, random_state=random_state
        )
        importance = estimator.importance_table(
            X_held_out, y_held_out, method=method, groups=groups, permutation=permutation
        )
        boosting = gradient_boosting(problem.task, estimator.preprocessor_, random_state, loss, quantile)
        rivals = {"dummy": dummy(problem.task, loss, quantile), "hist_gradient_boosting": boosting}
        fitted = {"tabattn": estimator} | {
            name: rival.fit(X.iloc[train], y.iloc[train]) for name, rival in rivals.items()
        }
        models = pd.DataFrame(
            [
                {"model": name, **_held_out_scores(each, X_held_out, y_held_out, loss, quantile)}
                for name, each in fitted.items()
            ]
        )
        identifiers = identifier_names(X, estimator.schema_)
        leaks = _leaks(importance, units, problem, estimator.schema_, train, held_out)
    _warn_of_identifiers(identifiers)
    _warn_of_leaks(leaks)
    _warn(models, loss, estimator.schema_.constant_names)
    return Ranking(
        table=importance,
        agreement=_agreement(importance, units),
        models=models,
        mean_attention=estimator.mean_attention(X_held_out),
        estimator=estimator,
        units=units,
        problem=problem,
        n_train=len(train),
        n_held_out=len(held_out),
        n_repeats=n_repeats,
    )


def _split(
    problem: Problem, test_fraction: float, random_state: int
) -> tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[np.int64]]]:
    """Return positions of the rows to fit and of those to hold out.

    Classes have equal shares in both where rows suffice, and at least one row among those to fit.
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
    model: Any, X: pd.DataFrame, y: AnySeries, loss: RegressionLoss, quantile: float
) -> dict[str, float]:
    if hasattr(model, "predict_proba"):
        nats = log_loss(y, model.predict_proba(X), labels=model.classes_)
        return {"accuracy": accuracy_score(y, model.predict(X)), "log_loss": nats}
    predicted = model.predict(X)
    scores = {"r2": r2_score(y, predicted), "rmse": root_mean_squared_error(y, predicted)}
    scoring = SCORINGS[loss]
    return scores if scoring == "r2" else {scoring: score_of(scoring, y, predicted, quantile=quantile)} | scores


def _warn_of_identifiers(names: list[str]) -> None:
    if names:
        warnings.warn(
            f"{_listed(names)}: these columns seem to number or name the rows, which says nothing of other rows. "
            "Leave them out (--drop) unless they mean something, such as the order in time.",
            IdentifierWarning,
            stacklevel=3,
        )


def _leaks(
    importance: ImportanceTable,
    units: Units,
    problem: Problem,
    schema: TableSchema,
    train: np.ndarray[Any, np.dtype[np.int64]],
    held_out: np.ndarray[Any, np.dtype[np.int64]],
) -> list[str]:
    """Name the columns that say the target alone: numbers in its order, and others by which it can be predicted.

    Only the first of a ranking are asked for a prediction. A target of numbers is predicted by its ranks, so that no
    outlier hides a leak, and by the rows in which the column has a value; of classes, a hole may tell one.
    """
    is_first = (importance["rank"] <= N_LEAKS) | (importance["permutation_rank"] <= N_LEAKS)
    firsts = {units.names.index(name) for name in importance["feature"][is_first & (importance["importance"] > 0)]}
    leaks = []
    for position in schema.token_positions:
        column, cells = schema.columns[position], problem.X.iloc[:, [position]]
        is_leak = problem.task == "regression" and _is_in_order(cells.iloc[:, 0], column, problem.y)
        if is_leak or (
            units.of_column[position] in firsts and _predicts_alone(cells, column, problem, train, held_out)
        ):
            leaks.append(column.name)
    return leaks


def _is_in_order(cells: AnySeries, column: Column, y: AnySeries) -> bool:
    """Say whether numbers have the order of the target, or the reverse."""
    if column.kind is not Kind.NUMERIC:
        return False
    both = pd.DataFrame({"cells": as_numbers(cells, column.name, column.written, column.origin), "y": y.to_numpy()})
    both = both.dropna().astype(np.float64)
    correlation = both.corr(method="spearman").to_numpy()[0, 1]
    return len(both) >= MIN_PRESENT_SHARE * len(y) and bool(correlation**2 >= LEAK_SCORE)


def _predicts_alone(
    cells: pd.DataFrame,
    column: Column,
    problem: Problem,
    train: np.ndarray[Any, np.dtype[np.int64]],
    held_out: np.ndarray[Any, np.dtype[np.int64]],
) -> bool:
    is_regression = problem.task == "regression"
    is_present = ~is_missing(cells.iloc[:, 0])
    is_enough = is_present.mean() >= MIN_PRESENT_SHARE and is_present[train].any() and is_present[held_out].sum() > 1
    if is_regression and is_enough:
        train, held_out = train[is_present[train]], held_out[is_present[held_out]]
    y = problem.y.rank() if is_regression else problem.y
    preprocessor = Preprocessor(TableSchema((column,))).fit(cells.iloc[train])
    judge = lone_judge(problem.task, preprocessor, len(train)).fit(cells.iloc[train], y.iloc[train])
    known, predicted = y.iloc[held_out], judge.predict(cells.iloc[held_out])
    score = r2_score(known, predicted) if is_regression else _mean_recall(known, predicted)
    return bool(score >= LEAK_SCORE)


def _mean_recall(known: AnySeries, predicted: np.ndarray[Any, np.dtype[Any]]) -> float:
    """Mean over the classes that occur; predicting the most frequent class alone earns little."""
    labels = sorted(known.unique())
    return float(recall_score(known, predicted, labels=labels, average="macro", zero_division=0))


def _warn_of_leaks(leaks: list[str]) -> None:
    if leaks:
        warnings.warn(
            f"{_listed(leaks)}: alone enough to predict the target nearly perfectly. Is it known before the target? "
            "If not, it gives the target away: leave it out (--drop).",
            LeakWarning,
            stacklevel=3,
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names[:10]) + (", ..." if len(names) > 10 else "")


def _warn(models: pd.DataFrame, loss: RegressionLoss, constant_names: tuple[str, ...]) -> None:
    if constant_names:
        warnings.warn(
            f"{len(constant_names)} column(s) have no value, or only one, in the fitted rows; ranked last: "
            f"{_listed(constant_names)}.",
            UninformativeColumnWarning,
            stacklevel=3,
        )
    measure = "log_loss" if "log_loss" in models else "rmse" if loss == "squared" else SCORINGS[loss]
    by_model = models.set_index("model")[measure]
    sign = 1 if measure in {"log_loss", "rmse"} else -1
    if not sign * by_model["tabattn"] < sign * by_model["dummy"]:
        warnings.warn(
            f"The model predicts no better than a constant ({measure} {by_model['tabattn']:.4g} against "
            f"{by_model['dummy']:.4g} on held-out rows): do not trust this ranking. "
            "More rows, other columns or another target may help.",
            UntrustedRankingWarning,
            stacklevel=3,
        )
