"""X of an estimator to DataFrame, checked against what scikit-learn requires."""

from typing import Any

import pandas as pd
from sklearn.utils.validation import check_array, validate_data

from tabattn.errors import TableError
from tabattn.table.reading import as_pandas, refuse_duplicate_names


def checked_frame(estimator: Any, X: Any, *, reset: bool = False) -> pd.DataFrame:
    """Check X against what scikit-learn requires and return it as a DataFrame.

    Args:
        estimator: Whose X it is; its `feature_names_in_` and `n_features_in_` are set or compared.
        X: A table or an array.
        reset: Whether to set these attributes.

    Raises:
        TableError: X has no rows or columns, or others than in `fit`.
    """
    X = as_pandas(X)
    if isinstance(X, pd.DataFrame):
        refuse_duplicate_names(X)
        n_strings = sum(isinstance(name, str) for name in X.columns)
        if 0 < n_strings < len(X.columns):  # scikit-learn accepts only strings, or no strings
            X = X.set_axis(X.columns.map(str), axis=1)
    try:
        if not isinstance(X, pd.DataFrame):
            X = check_array(X, dtype=None, ensure_all_finite=False, estimator=estimator)
        validate_data(estimator, X, reset=reset, skip_check_array=True)
    except ValueError as error:
        raise TableError(str(error)) from error
    if isinstance(X, pd.DataFrame):
        if X.empty:
            raise TableError(
                f"X must have at least one row and one column, got shape {X.shape}: "
                f"{X.shape[0]} sample(s), {X.shape[1]} feature(s) while a minimum of 1 is required."
            )
        return X
    return pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
