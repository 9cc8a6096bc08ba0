"""Table to features and target: what `rank` requires of a table before it starts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tabattn.choices import Task, TaskChoice
from tabattn.errors import (
    AmbiguousNumbersWarning,
    ColumnError,
    DroppedRowsWarning,
    ParameterError,
    ReadingNote,
    TabAttnWarning,
    TableError,
    TargetError,
    UnreadNumbersWarning,
    nearest,
    warn_all,
)
from tabattn.table.cells import (
    INFERRED_NUMBERS,
    AnySeries,
    Floats,
    Mask,
    factorized,
    holds_strings,
    is_missing,
    is_missing_word,
    level_name,
    parse_numbers,
)
from tabattn.table.numbers import (
    MAX_EXACT_INTEGER,
    NumberFormat,
    ambiguous_number,
    infer_number_format,
    is_limit,
    why_not_numbers,
)
from tabattn.table.reading import refuse_duplicate_names
from tabattn.table.rules import CellRules, twin_levels

MIN_ROWS = 20
MAX_NUMERIC_CLASSES = 10
MAX_MAGNITUDE = 1e150
MAX_REPEATED_ROWS = 1_000_000


@dataclass(frozen=True)
class Problem:
    """A table that can be ranked.

    Args:
        X: Features; column names are strings.
        y: Target: floats for regression, strings, booleans or numbers for classification; nothing missing.
        task: Which of the two it is.
        unlabelled: Features of the rows left out because their target was missing.
        aside: Columns that say how to treat the rows, in the same rows as the features.
        weight: Weight of each row, positive; None where all count the same.
    """

    X: pd.DataFrame
    y: AnySeries
    task: Task
    unlabelled: pd.DataFrame
    aside: pd.DataFrame
    weight: Floats | None = None


def split_target(
    table: pd.DataFrame,
    target: str,
    *,
    drop: Sequence[str] = (),
    aside: Sequence[str] = (),
    weight: str | None = None,
    task: TaskChoice = "auto",
    rules: CellRules | None = None,
) -> Problem:
    """Split a table into features and target, and refuse what can't be ranked.

    Rows with a missing target are left out, with a warning that counts them. With ``task="auto"``, a target of strings
    or booleans, or of at most ten distinct integers, is classified; any other is regressed.

    Args:
        table: Features and target.
        target: Name of the target column.
        drop: Names of columns to leave out.
        aside: Names of columns that say how to treat the rows, see `Problem.aside`; they are features too, unless they
            are to be dropped.
        weight: Name of a column of weights, which is no feature. Rows of weight 0 are left out. Where all weights are
            integers, and not more than a million together, a row of weight 2 is the same as two rows.
        task: What to do with the target.
        rules: How some cells are to be read; None for the defaults.

    Returns:
        Features and target.

    Raises:
        TableError: Column names are not unique, no feature is left, or there are fewer than 20 rows.
        TargetError: The target is not a column, or nothing can be learned from it.
        ColumnError: A feature holds infinite values.
        ParameterError: A column to drop does not exist, or is the target; or weights are none.

    Example:
        >>> table = pd.DataFrame({"x": range(30), "y": [0.5 * i for i in range(30)]})
        >>> problem = split_target(table, "y")
        >>> list(problem.X), problem.task
        (['x'], 'regression')
    """
    refuse_duplicate_names(table)
    target, drop, aside = str(target), [str(name) for name in drop], [str(name) for name in aside]
    table = table.set_axis([str(name) for name in table.columns], axis=1)
    if target not in table.columns:
        raise TargetError(f"The target must be a column of the table, got {target!r}. {nearest(target, table.columns)}")
    for names, what in (
        (aside, "split_by, order_by and by must name columns of the table other than the target"),
        (drop, "A column to drop must be a feature of the table"),
        ([] if weight is None else [str(weight)], "A column of weights must be one of the table"),
    ):
        for name in names:
            if name not in table.columns or name == target:
                why = "It is the target." if name == target else nearest(name, table.columns)
                raise ParameterError(f"{what}, got {name!r}. {why}")
    rules = rules or CellRules()
    weights = None
    if weight is not None:
        table, weights = _weighted(table, str(weight))
        drop = [*drop, str(weight)]
    column = table[target]
    if pd.api.types.is_object_dtype(column):
        try:
            factorized(column)
        except ColumnError as error:
            raise TargetError(
                f"The target must be numbers or classes, got {target!r} with lists or other objects."
            ) from error
    is_known = pd.Series(known_cells(column, target, rules), index=column.index)
    if not is_known.any():
        raise TargetError(f"The target must have values, got {target!r} with all {len(table)} cells missing.")
    if weights is not None:
        weights = weights[is_known.to_numpy()]
    unlabelled = table[~is_known].drop(columns=[target, *drop]).reset_index(drop=True)
    table = table[is_known].reset_index(drop=True)
    X = table.drop(columns=[target, *drop])
    if X.shape[1] == 0:
        raise TableError(f"The table must have at least one feature column besides the target {target!r}, got none.")
    if len(table) < MIN_ROWS:
        raise TableError(f"The table must have at least {MIN_ROWS} rows with a target, got {len(table)}.")
    _refuse_infinite(X)
    words = [] if rules.keep_na else [cell for cell in column[~is_known] if _is_word(cell)]
    try:
        y, chosen, doubts = _read_target(table[target], target, task)
    except TargetError as error:
        if not words:
            raise
        hint = (
            f"{len(words)} cell(s) such as {words[0]!r} count as missing: keep_na=True (--keep-na) makes them classes."
        )
        raise TargetError(f"{error} {hint}") from error
    if len(unlabelled):
        message = (
            f"{len(unlabelled)} row(s) left out of the ranking because {target!r} is missing; {len(table)} remain."
        )
        if len(words):
            message += (
                f" {len(words)} of them hold {words[0]!r}, which counts as missing: "
                "keep_na=True (--keep-na) makes such words classes."
            )
        doubts = [DroppedRowsWarning(message), *doubts]
    warn_all(doubts)
    return Problem(X, y, chosen, unlabelled, table[list(dict.fromkeys(aside))], weights)


def _weighted(table: pd.DataFrame, name: str) -> tuple[pd.DataFrame, Floats | None]:
    """Return rows with their weights; rows with weights that are small integers are repeated, and have none."""
    column = table[name]
    numbers, _ = (None, []) if is_missing(column).any() else parse_target_numbers(column, name)
    if numbers is None or (numbers < 0).any() or not numbers.any():
        raise ParameterError(
            f"Weights must be numbers of at least 0 in every row, and some above 0, got {name!r} with such as "
            f"'{column[is_missing(column)].iloc[0] if is_missing(column).any() else column.min()}'. Correct them."
        )
    weights = numbers.to_numpy(dtype=np.float64)
    if (weights == weights.round()).all() and weights.sum() <= MAX_REPEATED_ROWS:
        return table.iloc[np.repeat(np.arange(len(table)), weights.astype(np.intp))].reset_index(drop=True), None
    return table[weights > 0].reset_index(drop=True), weights[weights > 0]


def _is_word(cell: object) -> bool:
    """Return whether a cell is a word for a missing value."""
    return isinstance(cell, str) and bool(cell.strip()) and is_missing_word(cell)


def _read_target(column: AnySeries, name: str, task: TaskChoice) -> tuple[AnySeries, Task, list[TabAttnWarning]]:
    """Return a target as numbers or classes, what to do with it, and what to warn of."""
    if holds_strings(column):
        column = column.astype(object).map(lambda cell: cell.strip() if isinstance(cell, str) else cell)
    if column.nunique() < 2:
        kind = "class" if task == "classification" else "value"
        raise TargetError(
            f"The target must have at least two values, got {name!r} with one {kind}: '{column.iloc[0]}' in every row."
        )
    numbers, doubts = parse_target_numbers(column, name)
    if task == "regression" and numbers is None:
        raise TargetError(
            f"The target of a regression must be numeric, got {name!r} with values such as '{column.iloc[0]}'. "
            "Use classification."
        )
    if numbers is not None and numbers.abs().max() >= MAX_EXACT_INTEGER and column.nunique() > numbers.nunique():
        raise TargetError(
            f"The target must hold numbers that floating point tells apart, got {name!r} with {column.nunique()} "
            f"values such as {column.iloc[0]!r}, of which {numbers.nunique()} remain. Subtract their smallest."
        )
    are_integers = numbers is not None and bool((numbers == numbers.round()).all())
    is_exact = are_integers and numbers is not None and numbers.abs().max() < MAX_EXACT_INTEGER
    is_few = numbers is not None and numbers.nunique() <= MAX_NUMERIC_CLASSES
    if task == "regression" or (task == "auto" and numbers is not None and not (are_integers and is_few)):
        assert numbers is not None, "a regression without numbers was refused above"
        return numbers.astype(object).astype(float), "regression", doubts
    classes = column.astype(object) if numbers is None else numbers.astype(int) if is_exact else numbers.astype(str)
    if numbers is None:
        classes = classes.map(level_name)
        doubts = [
            each for each in (twin_levels(classes.unique().tolist(), name), _unread_numbers(column, name)) if each
        ]
    counts = classes.value_counts()
    if counts.min() < 2:
        raise TargetError(
            f"Each class of the target must have at least two rows, got {name!r} with '{counts.idxmin()}' in one. "
            "Drop the row, merge the class with another" + (", or use regression." if numbers is not None else ".")
        )
    return classes, "classification", doubts


def _refuse_infinite(X: pd.DataFrame) -> None:
    """Check all rows, so that a refusal does not depend on which rows are held out."""
    for i, name in enumerate(X.columns):
        if pd.api.types.is_float_dtype(X.dtypes.iloc[i]):
            parse_numbers(X.iloc[:, i], name)


def known_cells(column: AnySeries, name: str, rules: CellRules) -> Mask:
    """Return in which rows a target is known.

    Args:
        column: The target.
        name: Its name.
        rules: What is missing. Words are kept only among classes, and limits are missing only among numbers.
    """
    column = rules.mask(column, name)
    missing = is_missing(column)
    if not holds_strings(column) or (not rules.keep_na and rules.censored == "limit"):
        return ~missing
    strings = [cell for cell in pd.unique(column[~missing]) if isinstance(cell, str)]
    if not strings or infer_number_format(strings) is None:
        return ~is_missing(column, keep_words=rules.keep_na)
    if rules.censored == "missing":
        missing |= column.map(lambda cell: isinstance(cell, str) and is_limit(cell)).to_numpy(dtype=bool)
    return ~missing


def plain_classes(y: Any) -> Any:
    """Return classes without blanks at their ends; anything that does not hold strings is returned as it is.

    Words such as "?" are classes here: who passes rows with a target has left out those without.

    Args:
        y: Classes.

    Warns:
        TwinLevelsWarning: Some differ only in case, width or a full stop.

    Example:
        >>> plain_classes(["a", "b ", "a"]).tolist()
        ['a', 'b', 'a']
    """
    if isinstance(y, list | tuple) and all(isinstance(each, str) for each in y):
        y = np.asarray(y, dtype=object)
    if getattr(y, "ndim", 0) != 1 or not hasattr(y, "dtype"):
        return y
    column = y if isinstance(y, pd.Series) else pd.Series(y) if y.dtype.kind in "OUT" else None
    if column is None or isinstance(column.dtype, pd.CategoricalDtype) or not holds_strings(column):
        return y
    classes = pd.unique(column)
    if not all(isinstance(name, str) for name in classes):
        return y
    twins = twin_levels([name.strip() for name in classes], "y")
    warn_all([] if twins is None else [twins])
    if all(name == name.strip() for name in classes):
        return y
    plain = column.astype(object).str.strip()
    return plain if isinstance(y, pd.Series) else plain.to_numpy(dtype=object)


def parse_target_numbers(column: AnySeries, name: str) -> "tuple[AnySeries | None, list[TabAttnWarning]]":
    """Return a target as floats.

    Args:
        column: The target, nothing missing.
        name: Its name.

    Returns:
        Numbers, or None if these are strings or booleans; and what to warn of.

    Raises:
        TargetError: These are times, or numbers that are infinite or too large.
    """
    if pd.api.types.is_bool_dtype(column) or isinstance(column.dtype, pd.CategoricalDtype):
        return None, []
    inferred = pd.api.types.infer_dtype(column, skipna=True)
    if inferred.startswith(("datetime", "date", "time", "period", "complex")):
        raise TargetError(
            f"The target must be numbers or classes, got {name!r} with {inferred} values. Turn it into numbers first."
        )
    if holds_strings(column) and inferred not in INFERRED_NUMBERS:
        return _parse_target_numbers(column, name)
    if inferred not in INFERRED_NUMBERS:
        return None, []
    try:
        numbers = column.astype(float)
    except OverflowError as error:
        raise TargetError(
            f"The target must lie between -{MAX_MAGNITUDE:g} and {MAX_MAGNITUDE:g}, got {name!r} with larger integers. "
            "Choose another unit."
        ) from error
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
    return numbers, []


def _parse_target_numbers(column: AnySeries, name: str) -> "tuple[AnySeries | None, list[TabAttnWarning]]":
    """Return numbers that are written as strings, or None if these are classes."""
    strings = [str(cell) for cell in pd.unique(column)]
    number_format = infer_number_format(strings)
    if number_format is None:
        return None, []
    parsed = parse_numbers(column, name, number_format)
    numbers = pd.Series(parsed.values, index=column.index)
    if numbers.isna().any():
        raise TargetError(
            f"The target must be numbers or classes, got {name!r} with numbers and {int(numbers.isna().sum())} cell(s) "
            f"such as {str(column[numbers.isna()].iloc[0])!r}. Correct them or leave the cells empty."
        )
    doubts = list(parsed.warnings)
    example = ambiguous_number(strings)
    if example and number_format.marks == NumberFormat().marks:
        message = (
            f"The target {name!r} holds numbers such as {example!r}, whose separator may be one of decimals or of "
            "thousands: read as decimals. If they are thousands, remove the separators."
        )
        doubts.append(AmbiguousNumbersWarning(message))
    if number_format.unit:
        doubts.append(ReadingNote(f"The unit {number_format.unit!r} was taken off the numbers of the target {name!r}."))
    return numbers, doubts


def _unread_numbers(column: AnySeries, name: str) -> TabAttnWarning | None:
    """Return what to warn of if classes look like numbers that can't be read."""
    why = why_not_numbers([str(cell) for cell in pd.unique(column)])
    if why is None:
        return None
    return UnreadNumbersWarning(
        f"The target {name!r} looks like numbers, but {why}: it is read as classes. Write all of its numbers alike."
    )
