"""Compare this ranking with those of other methods, fitted and scored on the same rows."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_selection import mutual_info_classif, mutual_info_regression
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from typing_extensions import override

from tabattn.arrays import Array
from tabattn.choices import Language, Task
from tabattn.diagnostics.baselines import gradient_boosting
from tabattn.errors import ParameterError, in_one_line, quoted
from tabattn.importance.units import Units
from tabattn.output.results import ResultFiles, result_writers
from tabattn.output.terminal import print_methods, printed
from tabattn.process_state import warnings_ignored
from tabattn.ranking import rank
from tabattn.ranking_results import Ranking

N_TREES, N_REPEATS, MIN_LEAF = 200, 10, 2
BORUTA_DEPTH, MAX_LEVELS = 5, 10
OURS, OUR_PERMUTATION = "tabattn", "tabattn, permutation"


@dataclass(frozen=True, eq=False)
class PeerRows:
    """What other methods are given: the rows that a ranking was fitted on and those that it held out.

    Args:
        task: Regression or classification.
        design: Numbers and codes of levels, NaN where missing, of all rows.
        unit: Number of the unit that each column of the design belongs to.
        n_units: Number of units.
        y: The target; numbers, or codes of classes.
        train: Positions of the rows that were fitted.
        held_out: Positions of those that were not.
        random_state: Seed.
        ranking: The ranking.
    """

    task: Task
    design: Array
    unit: Array
    n_units: int
    y: Array
    train: Array
    held_out: Array
    random_state: int
    ranking: Ranking

    @property
    def is_regression(self) -> bool:
        """Whether the target is a number."""
        return self.task == "regression"

    @property
    def filled(self) -> Array:
        """The design with the median of the fitted rows where a cell is missing; 0 where all of theirs are."""
        X = self.design[self.train]
        median = np.nanmedian(np.where(np.isnan(X).all(axis=0), 0.0, X), axis=0)
        filled: Array = np.where(np.isnan(self.design), median, self.design)
        return filled

    def by_unit(self, values: Array) -> Array:
        """Sum values of the columns of the design for each unit.

        Args:
            values: One for each column.
        """
        return np.bincount(self.unit, np.asarray(values, dtype=np.float64), minlength=self.n_units)

    def mean_absolute(self, shap: Array) -> Array:
        """Return the mean absolute SHAP value of each unit, the values of its columns added up.

        Args:
            shap: Values of the held-out rows, shape (row, columns + 1) or with the outputs in between; the last one of
                the columns is the expected value.
        """
        values = shap.reshape(len(self.held_out), -1, self.design.shape[1] + 1)[:, :, :-1]
        by_unit = np.stack([values[:, :, self.unit == unit].sum(axis=2) for unit in range(self.n_units)], axis=2)
        means: Array = np.abs(by_unit).mean(axis=(0, 1))
        return means

    def permuted(self, model: Any) -> Array:
        """Return scikit-learn's permutation importance of a fitted model on the held-out rows, units as a whole.

        Args:
            model: Predicts from the design.
        """
        source = np.tile(np.arange(len(self.held_out))[:, None], (1, self.n_units))
        gathered = _Gathered(model, self.design[self.held_out], self.unit)
        scoring = "r2" if self.is_regression else "neg_log_loss"
        found = permutation_importance(
            gathered, source, self.y[self.held_out], scoring=scoring, n_repeats=N_REPEATS,
            random_state=self.random_state,
        )  # fmt: skip
        means: Array = found.importances_mean
        return means


class _Gathered(BaseEstimator):
    """Takes, for each unit, the number of a row instead of its cells, so that a unit is permuted as a whole."""

    def __init__(self, model: Any, design: Array, unit: Array) -> None:
        self.model, self.design, self.unit = model, design, unit
        if hasattr(model, "classes_"):
            self.classes_ = model.classes_

    def __sklearn_tags__(self) -> Any:
        return self.model.__sklearn_tags__()

    def fit(self, _X: Array, _y: Array) -> "_Gathered":
        return self

    def predict(self, source: Array) -> Array:
        predicted: Array = self.model.predict(self._cells(source))
        return predicted

    def predict_proba(self, source: Array) -> Array:
        predicted: Array = self.model.predict_proba(self._cells(source))
        return predicted

    def _cells(self, source: Array) -> Array:
        return self.design[source[:, self.unit], np.arange(self.design.shape[1])]


def _forest(rows: PeerRows) -> Array:
    kind = RandomForestRegressor if rows.is_regression else RandomForestClassifier
    model = kind(n_estimators=N_TREES, min_samples_leaf=MIN_LEAF, random_state=rows.random_state)
    return rows.permuted(model.fit(rows.design[rows.train], rows.y[rows.train]))


def _boosting(rows: PeerRows) -> Array:
    layout = rows.ranking.estimator.fitted_model_.model.shape.layout
    model = gradient_boosting(rows.task, layout, rows.random_state)
    return rows.permuted(model.fit(rows.design[rows.train], rows.y[rows.train]))


def _mutual_information(rows: PeerRows) -> Array:
    of = mutual_info_regression if rows.is_regression else mutual_info_classif
    return rows.by_unit(of(rows.filled[rows.train], rows.y[rows.train], random_state=rows.random_state))


def _boosting_of_numbers(rows: PeerRows, design: Array) -> Any:
    """Fit scikit-learn's gradient boosting to numbers alone, codes of levels among them.

    Args:
        rows: The rows.
        design: Their cells.
    """
    kind = HistGradientBoostingRegressor if rows.is_regression else HistGradientBoostingClassifier
    return kind(random_state=rows.random_state).fit(design[rows.train], rows.y[rows.train])


@warnings_ignored()
def _boosting_shap(rows: PeerRows) -> Array:
    """Of a model without categorical splits, which shap takes for splits at a number without saying so."""
    import shap

    model = _boosting_of_numbers(rows, rows.design)
    values = np.asarray(shap.TreeExplainer(model).shap_values(rows.design[rows.held_out]))
    by_output = np.moveaxis(values.reshape(*values.shape[:2], -1), 2, 1)
    return rows.mean_absolute(np.pad(by_output, ((0, 0), (0, 0), (0, 1))))


@warnings_ignored()
def _boruta(rows: PeerRows) -> Array:
    """Of each unit how many places its best column stands before the last one; those that are confirmed stand first."""
    from boruta import BorutaPy

    kind = RandomForestRegressor if rows.is_regression else RandomForestClassifier
    boruta = BorutaPy(kind(max_depth=BORUTA_DEPTH), n_estimators="auto", random_state=rows.random_state)
    places = boruta.fit(rows.filled[rows.train], rows.y[rows.train]).ranking_
    best = np.full(rows.n_units, places.max())
    np.minimum.at(best, rows.unit, places)
    return np.asarray(places.max() - best, dtype=np.float64)


@warnings_ignored()
def _conditional(rows: PeerRows) -> Array:
    """Of each unit what is lost when its columns are drawn again, given the columns of the other units."""
    from hidimstat import CFI

    filled = rows.filled
    model = _boosting_of_numbers(rows, filled)
    columns = {unit: np.flatnonzero(rows.unit == unit) for unit in np.unique(rows.unit)}
    if len(columns) == 1:
        return rows.permuted(model)
    loss = mean_squared_error if rows.is_regression else partial(log_loss, labels=model.classes_)
    are_levels = [_are_levels(filled[rows.train][:, of]) for of in columns.values()]
    cfi = CFI(
        model,
        method="predict" if rows.is_regression else "predict_proba",
        loss=loss,
        n_permutations=N_REPEATS,
        imputation_model_continuous=make_pipeline(StandardScaler(), RidgeCV()),
        imputation_model_categorical=make_pipeline(StandardScaler(), LogisticRegression()),
        features_groups=columns,
        feature_types=["categorical" if each else "continuous" for each in are_levels],
        random_state=rows.random_state,
    )
    cfi.fit(filled[rows.train])
    importances = np.zeros(rows.n_units)
    importances[list(columns)] = cfi.importance(filled[rows.held_out], rows.y[rows.held_out])
    return importances


def _are_levels(cells: Array) -> bool:
    """Return whether a unit is one column of at most ten different integers, as codes of levels are.

    Args:
        cells: Of a unit.
    """
    return cells.shape[1] == 1 and 2 <= len(np.unique(cells)) <= MAX_LEVELS and np.array_equal(cells, cells.round())


def _lightgbm(rows: PeerRows) -> Any:
    import lightgbm

    kind = lightgbm.LGBMRegressor if rows.is_regression else lightgbm.LGBMClassifier
    model = kind(importance_type="gain", random_state=rows.random_state, verbose=-1, n_jobs=1)
    return model.fit(rows.design[rows.train], rows.y[rows.train])


def _lightgbm_gain(rows: PeerRows) -> Array:
    return rows.by_unit(_lightgbm(rows).feature_importances_)


def _lightgbm_shap(rows: PeerRows) -> Array:
    values = _lightgbm(rows).booster_.predict(rows.design[rows.held_out], pred_contrib=True)
    return rows.mean_absolute(np.asarray(values))


def _xgboost_gain(rows: PeerRows) -> Array:
    import xgboost

    kind = xgboost.XGBRegressor if rows.is_regression else xgboost.XGBClassifier
    model = kind(importance_type="total_gain", random_state=rows.random_state, n_jobs=1)
    return rows.by_unit(model.fit(rows.design[rows.train], rows.y[rows.train]).feature_importances_)


def _catboost_shap(rows: PeerRows) -> Array:
    import catboost

    kind = catboost.CatBoostRegressor if rows.is_regression else catboost.CatBoostClassifier
    model = kind(random_seed=rows.random_state, verbose=False, allow_writing_files=False, thread_count=1)
    model.fit(rows.design[rows.train], rows.y[rows.train])
    pool = catboost.Pool(rows.design[rows.held_out])
    return rows.mean_absolute(np.asarray(model.get_feature_importance(pool, type="ShapValues")))


@dataclass(frozen=True)
class Peer:
    """Another method.

    Args:
        package: A package it requires in addition to scikit-learn; may be empty.
        importance: Computes the importance of each unit.
    """

    package: str
    importance: Callable[[PeerRows], Array]


PEERS: Mapping[str, Peer] = {
    "random forest, permutation": Peer("", _forest),
    "gradient boosting, permutation": Peer("", _boosting),
    "mutual information": Peer("", _mutual_information),
    "LightGBM, gain": Peer("lightgbm", _lightgbm_gain),
    "LightGBM, SHAP": Peer("lightgbm", _lightgbm_shap),
    "XGBoost, gain": Peer("xgboost", _xgboost_gain),
    "CatBoost, SHAP": Peer("catboost", _catboost_shap),
    "gradient boosting, SHAP": Peer("shap", _boosting_shap),
    "Boruta": Peer("boruta", _boruta),
    "hidimstat, CFI": Peer("hidimstat", _conditional),
}


@dataclass(frozen=True, eq=False, repr=False)
class ImportanceComparison(ResultFiles):
    """Importances of several methods side by side.

    Args:
        shares: Importance of each feature as a fraction of all, one row per feature, one column per method; negative
            ones count as 0.
        ranks: Its rank; 1 is the most important, ties share the mean of their places.
        agreement: Spearman correlation of each method with each.
        seconds: What each method took; missing where nobody has measured it.
    """

    shares: pd.DataFrame
    ranks: pd.DataFrame
    agreement: pd.DataFrame
    seconds: "pd.Series[float]"

    def __repr__(self) -> str:
        """Return what the command line prints of it."""
        return printed(lambda console: print_methods(console, self))

    @property
    def seconds_table(self) -> pd.DataFrame:
        """What each method took, one per row."""
        return pd.DataFrame({"method": list(self.seconds.index), "seconds": self.seconds.to_numpy()})

    def to_json(self) -> dict[str, Any]:
        """Return `shares` and `ranks` by feature, `agreement` and `seconds` by method, as JSON holds them."""
        tables = {"shares": self.shares, "ranks": self.ranks, "agreement": self.agreement}
        content = {name: table.astype(object).where(table.notna(), None) for name, table in tables.items()}
        known = self.seconds.astype(object).where(self.seconds.notna(), None)
        return {name: table.to_dict(orient="index") for name, table in content.items()} | {"seconds": known.to_dict()}

    @override
    def writers(self, *, excel_safe: bool = False, language: Language = "en") -> dict[str, Callable[[Path], None]]:
        from tabattn.output.fonts import warn_of_missing_glyphs
        from tabattn.output.plots import plot_methods

        warn_of_missing_glyphs(tuple(map(str, self.shares.index)))
        tables = {
            "shares": self.shares.reset_index(names="feature"),
            "ranks": self.ranks.reset_index(names="feature"),
            "agreement": self.agreement.reset_index(names="method"),
            "seconds": self.seconds_table,
        }
        return result_writers(
            tables, {"methods": lambda: plot_methods(self.ranks, language=language)}, excel_safe=excel_safe
        )


def compare_importances(
    importances: Mapping[str, Any], seconds: Mapping[str, float] | None = None
) -> ImportanceComparison:
    """Compare the importances of several methods.

    Args:
        importances: For each method the importance of each feature by its name: a mapping, a pandas Series, or a table
            with the columns `feature` and `importance` such as an ImportanceTable. The more important, the higher.
        seconds: What each took, where that is known.

    Returns:
        The comparison, features in the order of the first method.

    Raises:
        ParameterError: There are fewer than two methods, or they have not the same features.

    Example:
        >>> forest = {"heat": 0.6, "dust": 0.3, "noise": 0.1}
        >>> found = compare_importances({"forest": forest, "mine": {"noise": 0.0, "heat": 5.0, "dust": 1.0}})
        >>> found.ranks["mine"].tolist(), found.agreement.loc["forest", "mine"].item()
        ([1.0, 2.0, 3.0], 1.0)
    """
    if len(importances) < 2:
        raise ParameterError(f"importances must be of at least two methods, got {len(importances)}.")
    columns = {str(name): _as_series(name, values) for name, values in importances.items()}
    first, *others = columns.values()
    for name, column in zip(list(columns)[1:], others, strict=True):
        different = [str(feature) for feature in first.index.symmetric_difference(column.index)]
        if different:
            raise ParameterError(
                f"importances must be of the same features, {name!r} differs by {quoted(different)}. Leave them out."
            )
    table = pd.DataFrame(columns).loc[first.sort_values(ascending=False, kind="stable").index]
    positive = table.clip(lower=0.0).fillna(0.0)
    totals = positive.sum().replace(0.0, np.nan)
    ranks = table.rank(ascending=False)
    known = pd.Series({name: (seconds or {}).get(name, np.nan) for name in table.columns}, dtype=np.float64)
    return ImportanceComparison((positive / totals).fillna(1 / len(table)), ranks, ranks.corr(), known)


def compare(data: Any, target: str, *, methods: Sequence[str] | None = None, **options: Any) -> ImportanceComparison:
    """Rank the columns of a table by this package, by its permutation importance, and by what one would pick instead.

    All methods fit the rows that `rank` fits, and those that score rows score those that it holds out.

    Args:
        data: The table, or the path of its file.
        target: Name of the target column.
        methods: Names of other methods, see `PEERS`; None for all whose packages are installed.
        options: Arguments of `rank`; `folds` must be 1.

    Returns:
        The comparison.

    Raises:
        ParameterError: A method is unknown, its package is not installed, or there are folds.
        TabAttnError: As `rank` raises it.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> table = pd.DataFrame(rng.normal(size=(120, 3)), columns=["heat", "noise", "dust"])
        >>> table["yield"] = 3 * table["heat"] + rng.normal(size=120)
        >>> found = compare(table, "yield", methods=["random forest, permutation"], max_epochs=15)
        >>> found.ranks.loc["heat"].tolist()
        [1.0, 1.0, 1.0]
    """
    chosen = _chosen(methods)
    if options.get("folds", 1) != 1:
        raise ParameterError(f"folds must be 1 for a comparison, got {options['folds']!r}.")
    begun = time.perf_counter()
    ranking = rank(data, target, **options)
    seconds = {OURS: time.perf_counter() - begun}
    table = ranking.table.set_index("feature")
    found: dict[str, Any] = {OURS: -table["rank"], OUR_PERMUTATION: table["permutation_mean"]}
    rows = peer_rows(ranking, int(options.get("random_state", 0)))
    for name in chosen:
        begun = time.perf_counter()
        try:
            values = PEERS[name].importance(rows)
        except ImportError as error:
            raise ParameterError(
                f"The method {name!r} must have {PEERS[name].package}, got {in_one_line(error)}. Install it again, or "
                "name the other methods."
            ) from error
        seconds[name] = time.perf_counter() - begun
        found[name] = pd.Series(values, index=list(ranking.units.names))
    compared = compare_importances(found, seconds)
    shares = compared.shares.assign(**{OURS: table["importance"]})
    return ImportanceComparison(shares, compared.ranks, compared.agreement, compared.seconds)


def peer_rows(ranking: Ranking, random_state: int) -> PeerRows:
    """Return what other methods are given.

    Args:
        ranking: A ranking without folds.
        random_state: Seed.
    """
    problem, fitted, units = ranking.problem, ranking.estimator.fitted_model_, ranking.units
    design = ranking.estimator.read(problem.X).raw.design
    layout = fitted.model.shape.layout
    columns = [*layout.column_of_number, *range(layout.n_numbered, layout.n_columns)]
    is_regression = problem.task == "regression"
    y = problem.y.to_numpy(np.float64) if is_regression else np.unique(problem.y.astype(str), return_inverse=True)[1]
    held_out = ranking.held_out_positions
    return PeerRows(
        task=problem.task,
        design=design,
        unit=_unit_of_columns(units, columns),
        n_units=len(units.names),
        y=y,
        train=np.setdiff1d(np.arange(len(design)), held_out),
        held_out=held_out,
        random_state=random_state,
        ranking=ranking,
    )


def _unit_of_columns(units: Units, columns: Sequence[int]) -> Array:
    return np.array([units.scored[units.of_model[column]] for column in columns])


def _chosen(methods: Sequence[str] | None) -> list[str]:
    """Return the methods to compare with."""
    installed = [name for name, peer in PEERS.items() if not peer.package or find_spec(peer.package)]
    if methods is None:
        return installed
    for name in methods:
        if name not in PEERS:
            raise ParameterError(f"methods must be among {', '.join(map(repr, PEERS))}, got {name!r}.")
        if name not in installed:
            raise ParameterError(
                f"The method {name!r} must have {PEERS[name].package}, which is not installed. "
                "Run: pip install 'tabattn[compare]'"
            )
    return list(methods)


def _as_series(name: str, values: Any) -> "pd.Series[Any]":
    if isinstance(values, pd.DataFrame):
        if not {"feature", "importance"} <= set(values.columns):
            raise ParameterError(f"A table of importances must have the columns feature and importance, got {name!r}.")
        values = values.set_index("feature")["importance"]
    column = pd.Series(values, dtype=np.float64)
    if not column.index.is_unique:
        raise ParameterError(f"importances must name each feature once, got {name!r}.")
    return column
