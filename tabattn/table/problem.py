"""Table to features and target: what `rank` requires of a table before it starts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tabattn.choices import Task, TaskChoice
from tabattn.errors import DroppedRowsWarning, ParameterError, TableError, TargetError, nearest, warn_all
from tabattn.table.cells import INFERRED_NUMBERS, AnySeries, holds_strings, is_missing, parse_numbers
from tabattn.table.numbers import MAX_EXACT_INTEGER, infer_number_format
from tabattn.table.reading import refuse_duplicate_names

MIN_ROWS = 20
MAX_NUMERIC_CLASSES = 10
MAX_MAGNITUDE = 1e150


@dataclass(frozen=True)
class Problem:
    """A table that can be ranked.

    Args:
        X: Features; column names are strings.
        y: Target: floats for regression, strings, booleans or numbers for classification; nothing missing.
        task: Which of the two it is.
        unlabelled: Features of the rows left out because their target was missing.
    """

    X: pd.DataFrame
    y: AnySeries
    task: Task
    unlabelled: pd.DataFrame


def split_target(table: pd.DataFrame, target: str, *, drop: Sequence[str] = (), task: TaskChoice = "auto") -> Problem:
    """Split a table into features and target, and refuse what can't be ranked.

    Rows with a missing target are left out, with a warning that counts them. With ``task="auto"``, a target of strings
    or booleans, or of at most ten distinct integers, is classified; any other is regressed.

    Args:
        table: Features and target.
        target: Name of the target column.
        drop: Names of columns to leave out.
        task: What to do with the target.

    Returns:
        Features and target.

    Raises:
        TableError: Column names are not unique, no feature is left, or there are fewer than 20 rows.
        TargetError: The target is not a column, or nothing can be learned from it.
        ColumnError: A feature holds infinite values.
        ParameterError: A column to drop does not exist, or is the target.

    Example:
        >>> table = pd.DataFrame({"x": range(30), "y": [0.5 * i for i in range(30)]})
        >>> problem = split_target(table, "y")
        >>> list(problem.X), problem.task
        (['x'], 'regression')
    """
    refuse_duplicate_names(table)
    target, drop = str(target), [str(name) for name in drop]
    table = table.set_axis([str(name) for name in table.columns], axis=1)
    if target not in table.columns:
        raise TargetError(f"The target must be a column of the table, got {target!r}. {nearest(target, table.columns)}")
    for name in drop:
        if name not in table.columns or name == target:
            why = "it is the target" if name == target else nearest(name, table.columns)
            raise ParameterError(f"A column to drop must be a feature of the table, got {name!r}. {why}")
    is_known = _is_known(table[target])
    if not is_known.any():
        raise TargetError(f"The target must have values, got {target!r} with all {len(table)} cells missing.")
    unlabelled = table[~is_known].drop(columns=[target, *drop]).reset_index(drop=True)
    table = table[is_known].reset_index(drop=True)
    X = table.drop(columns=[target, *drop])
    if X.shape[1] == 0:
        raise TableError(f"The table must have at least one feature column besides the target {target!r}, got none.")
    if len(table) < MIN_ROWS:
        raise TableError(f"The table must have at least {MIN_ROWS} rows with a target, got {len(table)}.")
    _refuse_infinite(X)
    y, chosen = _read_target(table[target], target, task)
    if len(unlabelled):
        message = (
            f"{len(unlabelled)} row(s) left out of the ranking because {target!r} is missing; {len(table)} remain."
        )
        warn_all([DroppedRowsWarning(message)])
    return Problem(X, y, chosen, unlabelled)


def _read_target(column: AnySeries, name: str, task: TaskChoice) -> tuple[AnySeries, Task]:
    if column.nunique() < 2:
        kind = "class" if task == "classification" else "value"
        raise TargetError(
            f"The target must have at least two values, got {name!r} with one {kind}: '{column.iloc[0]}' in every row."
        )
    numbers = parse_target_numbers(column, name)
    if task == "regression" and numbers is None:
        raise TargetError(
            f"The target of a regression must be numeric, got {name!r} with values such as '{column.iloc[0]}'. "
            "Use classification."
        )
    are_integers = numbers is not None and bool((numbers == numbers.round()).all())
    is_exact = are_integers and numbers is not None and numbers.abs().max() < MAX_EXACT_INTEGER
    is_few = numbers is not None and numbers.nunique() <= MAX_NUMERIC_CLASSES
    if task == "regression" or (task == "auto" and numbers is not None and not (are_integers and is_few)):
        assert numbers is not None, "a regression without numbers was refused above"
        return numbers.astype(object).astype(float), "regression"
    classes = column.astype(object) if numbers is None else numbers.astype(int) if is_exact else numbers.astype(str)
    if numbers is None:
        classes = classes.map(str)
    counts = classes.value_counts()
    if counts.min() < 2:
        raise TargetError(
            f"Each class of the target must have at least two rows, got {name!r} with '{counts.idxmin()}' in one. "
            "Drop the row, merge the class with another" + (", or use regression." if numbers is not None else ".")
        )
    return classes, "classification"


def _refuse_infinite(X: pd.DataFrame) -> None:
    """Check all rows, so that a refusal does not depend on which rows are held out."""
    for i, name in enumerate(X.columns):
        if pd.api.types.is_float_dtype(X.dtypes.iloc[i]):
            parse_numbers(X.iloc[:, i], name)


def parse_target_numbers(column: AnySeries, name: str) -> "AnySeries | None":
    """Return a target as floats.

    Args:
        column: The target, nothing missing.
        name: Its name.

    Returns:
        Numbers, or None if these are strings or booleans.

    Raises:
        TargetError: These are times, or numbers that are infinite or too large.
    """
    if pd.api.types.is_bool_dtype(column) or isinstance(column.dtype, pd.CategoricalDtype):
        return None
    inferred = pd.api.types.infer_dtype(column, skipna=True)
    if inferred.startswith(("datetime", "date", "time", "period", "complex")):
        raise TargetError(
            f"The target must be numbers or classes, got {name!r} with {inferred} values. Turn it into numbers first."
        )
    if holds_strings(column) and inferred not in INFERRED_NUMBERS:
        return _parse_target_numbers(column, name)
    if inferred not in INFERRED_NUMBERS:
        return None
    numbers = column.astype(float)
    n_infinite = int(np.isinf(numbers).sum())
    if n_infinite:
        raise TargetError(
            f"The target must be finite, got {name!r} with {n_infinite} infinite value(s). "
            "Correct them or leave the cells empty."
        )
    if numbers.abs().max() > MAX_MAGNITUDE:
        raise TargetError(
            f"The target must lie between -{MAX_MAGNITUDE:g} and {MAX_MAGNITUDE:g}, got {name!r} with "
            f"{numbers.abs().max():g}. Choose another unit."
        )
    return numbers


def _parse_target_numbers(column: AnySeries, name: str) -> "AnySeries | None":
    """Return numbers that are written as strings, or None if these are classes."""
    number_format = infer_number_format([str(cell) for cell in pd.unique(column)])
    if number_format is None:
        return None
    numbers = pd.Series(parse_numbers(column, name, number_format).values, index=column.index)
    if numbers.isna().any():
        raise TargetError(
            f"The target must be numbers or classes, got {name!r} with numbers and {int(numbers.isna().sum())} cell(s) "
            f"such as {str(column[numbers.isna()].iloc[0])!r}. Correct them or leave the cells empty."
        )
    return numbers


def _is_known(column: AnySeries) -> AnySeries:
    return pd.Series(~is_missing(column), index=column.index)
