"""What the model is held against: a constant, and scikit-learn's gradient boosting."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder

from tabattn.schema import Kind, TableSchema, as_levels, as_numbers
from tabattn.target import Task

MAX_LEVELS = 254


def dummy(task: Task) -> DummyClassifier | DummyRegressor:
    """Return a model that predicts the mean, or the most frequent class, whatever the row.

    Args:
        task: Regression or classification.

    Returns:
        An unfitted estimator.
    """
    return DummyRegressor() if task == "regression" else DummyClassifier(strategy="prior")


def gradient_boosting(task: Task, schema: TableSchema, random_state: int) -> Pipeline:
    """Return scikit-learn's histogram gradient boosting, which reads numbers, categories and missing cells as they are.

    Args:
        task: Regression or classification.
        schema: Kinds of the columns; constant ones are left out.
        random_state: Seed.

    Returns:
        An unfitted pipeline that takes DataFrames.
    """
    numeric, categorical = list(schema.of_kind(Kind.NUMERIC)), list(schema.of_kind(Kind.CATEGORICAL))
    levels = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=np.nan,
        encoded_missing_value=np.nan,
        max_categories=MAX_LEVELS,
    )
    columns = ColumnTransformer(
        [
            ("numeric", FunctionTransformer(_numbers), numeric),
            ("categorical", make_pipeline(FunctionTransformer(_levels), levels), categorical),
        ]
    )
    is_categorical = [False] * len(numeric) + [True] * len(categorical)
    model = HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier
    return make_pipeline(columns, model(categorical_features=is_categorical, random_state=random_state))


def _numbers(X: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.column_stack([as_numbers(X.iloc[:, i], str(name)) for i, name in enumerate(X.columns)])


def _levels(X: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.object_]]:
    columns = []
    for i in range(X.shape[1]):
        positions, names = as_levels(X.iloc[:, i])
        columns.append(np.array([*names, None], dtype=object)[positions])
    return np.column_stack(columns)
