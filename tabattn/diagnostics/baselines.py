"""Models that the fitted model is compared with: a constant, and scikit-learn's gradient boosting."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

from tabattn.choices import Task
from tabattn.nn.losses import LossName
from tabattn.nn.tokens import CellLayout

MAX_LEVELS = 254
ROWS_PER_LEAF, MAX_LEAF_ROWS = 100, 20
N_SINGLE_TREES, SINGLE_RATE = 30, 0.3
CONSTANTS: Mapping[LossName, str] = {
    "squared": "mean",
    "squared_log": "mean",
    "poisson": "mean",
    "absolute": "median",
    "pinball": "quantile",
}
BOOSTED: Mapping[LossName, str] = {
    "squared": "squared_error",
    "squared_log": "squared_error",
    "poisson": "poisson",
    "absolute": "absolute_error",
    "pinball": "quantile",
}


def dummy(
    task: Task, loss: LossName = "squared", quantile: float = 0.5
) -> DummyClassifier | DummyRegressor | TransformedTargetRegressor:
    """Return a model that predicts the same for every row: the best constant, or the frequencies of the classes.

    Args:
        task: Regression or classification.
        loss: Loss of a regression.
        quantile: Of the loss "pinball".

    Returns:
        An unfitted estimator.
    """
    if task == "classification":
        return DummyClassifier(strategy="prior")
    return _of_loss(DummyRegressor(strategy=CONSTANTS[loss], quantile=quantile), loss)


def gradient_boosting(
    task: Task, layout: CellLayout, random_state: int, loss: LossName = "squared", quantile: float = 0.5
) -> Pipeline:
    """Return scikit-learn's histogram gradient boosting, which reads numbers, categories and missing cells unscaled.

    Args:
        task: Regression or classification.
        layout: The columns.
        random_state: Seed.
        loss: Loss of a regression.
        quantile: Of the loss "pinball".

    Returns:
        An unfitted pipeline that takes `RawCells.design`; its last step is named "model".
    """
    n_numbers, n_categories = layout.n_numbers, len(layout.n_levels)
    levels = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=np.nan,
        encoded_missing_value=np.nan,
        max_categories=MAX_LEVELS,
    )
    categories = [("levels", levels, slice(n_numbers, None))] if n_categories else []
    columns = ColumnTransformer(categories, remainder="passthrough")
    is_categorical = [True] * n_categories + [False] * n_numbers
    settings = {"categorical_features": is_categorical, "random_state": random_state}
    if task == "classification":
        return Pipeline([("columns", columns), ("model", HistGradientBoostingClassifier(**settings))])
    settings |= {"loss": BOOSTED[loss], "quantile": quantile if loss == "pinball" else None}
    return Pipeline([("columns", columns), ("model", _of_loss(HistGradientBoostingRegressor(**settings), loss))])


def _of_loss(model: Any, loss: LossName) -> Any:
    """Return a regressor that learns logarithms, where the loss is that of logarithms."""
    if loss != "squared_log":
        return model
    return TransformedTargetRegressor(model, func=np.log, inverse_func=np.exp, check_inverse=False)


def single_column_model(task: Task, n_rows: int) -> HistGradientBoostingRegressor | HistGradientBoostingClassifier:
    """Return gradient boosting to measure how well one column alone predicts, with smaller leaves in small tables.

    One column needs fewer trees than many: 30 with larger steps reach what 100 do, in a third of the time.

    Levels of categories are read as numbers, because scikit-learn's categorical splits ignore levels of fewer than ten
    rows.

    Args:
        task: Regression or classification.
        n_rows: Number of rows to fit.

    Returns:
        An unfitted model that takes `RawCells.design` of one column.
    """
    model = HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier
    leaf = min(max(1, n_rows // ROWS_PER_LEAF), MAX_LEAF_ROWS)
    return model(learning_rate=SINGLE_RATE, max_iter=N_SINGLE_TREES, min_samples_leaf=leaf, random_state=0)
