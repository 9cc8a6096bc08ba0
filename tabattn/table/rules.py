"""What the user decides of cells: which are missing, and what limits are; and levels that may be the same."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self, TypeAlias, get_args

import numpy as np
import pandas as pd

from tabattn.choices import Censored
from tabattn.errors import ParameterError, TwinLevelsWarning
from tabattn.table.cells import AnySeries, factorized, is_real_number, level_name
from tabattn.table.numbers import NumberFormat, number_parts, parse_number
from tabattn.table.units import half_width

N_SHOWN = 3
NaValues: TypeAlias = Iterable[object] | Mapping[str, Iterable[object]]


@dataclass(frozen=True)
class CellRules:
    """How some cells are to be read, as the user decides.

    Args:
        na_values: Cells that are missing, beside those of `MISSING_WORDS`: pairs of a column, None for all, and a text.
        keep_na: Whether the words for a missing value, such as "None" and "-", are levels and texts like all others.
            Among numbers and dates they are missing all the same.
        censored: Whether a limit such as "<0.03" is the number behind the sign, or missing.
    """

    na_values: tuple[tuple[str | None, str], ...] = ()
    keep_na: bool = False
    censored: Censored = "limit"

    @classmethod
    def of(cls, na_values: NaValues | None, *, keep_na: bool, censored: Censored) -> Self:
        """Check arguments, and return the rules that they state.

        Args:
            na_values: Further cells that are missing: for all columns, or by the names of columns; None for none.
            keep_na: As above.
            censored: As above.

        Raises:
            ParameterError: An argument is of another type.

        Example:
            >>> CellRules.of({"x": ["-999"]}, keep_na=False, censored="limit").na_values
            (('x', '-999'),)
        """
        by_column = na_values if isinstance(na_values, Mapping) else {None: na_values or ()}
        if any(isinstance(texts, str) or not isinstance(texts, Iterable) for texts in by_column.values()):
            raise ParameterError(f"na_values must be a list of cells, or lists by column, got {na_values!r}.")
        if not isinstance(keep_na, bool | np.bool_):
            raise ParameterError(f"keep_na must be True or False, got {keep_na!r}.")
        if censored not in get_args(Censored):
            raise ParameterError(f"censored must be one of {', '.join(get_args(Censored))}, got {censored!r}.")
        pairs = [(where, level_name(text)) for where, texts in by_column.items() for text in texts]
        return cls(tuple((None if where is None else str(where), text) for where, text in pairs), keep_na, censored)

    def mask(self, column: AnySeries, name: str) -> AnySeries:
        """Return a column whose cells that are missing by `na_values` are None or NaN.

        Args:
            column: The cells.
            name: Name of the column.
        """
        texts = {text.strip() for where, text in self.na_values if where in {None, name}}
        if not texts:
            return column
        numbers = {number for number in map(_plain_number, texts) if number is not None}
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            return column.mask(column.isin(list(numbers))) if numbers else column
        column = column.astype(object) if isinstance(column.dtype, pd.CategoricalDtype) else column
        positions, values = factorized(column)
        is_na = [
            level_name(value).strip().removesuffix(" 00:00:00") in texts or _plain_number(value) in numbers
            for value in values
        ]
        return column.mask(np.array([*is_na, False])[positions])


def twin_levels(levels: Sequence[str], name: str) -> TwinLevelsWarning | None:
    """Return what to warn of if some levels differ only in case, width, blanks inside or a full stop at the end.

    Args:
        levels: Names of levels.
        name: Name of the column.

    Example:
        >>> str(twin_levels([">50K", ">50K.", "B"], "income"))[:60]
        "Column 'income' holds levels that may be the same: '>50K' an"
    """
    twins: dict[str, list[str]] = {}
    for level in levels:
        plain = unicodedata.normalize("NFKC", half_width(level)).casefold()
        folded = " ".join(plain.rstrip(". ").split())
        folded = (folded.lstrip("0") or "0") if folded.isdigit() else folded
        twins.setdefault(folded, []).append(level)
    pairs = [sorted(set(group)) for group in twins.values() if len(set(group)) > 1]
    if not pairs:
        return None
    shown = "; ".join(" and ".join(map(repr, pair)) for pair in pairs[:N_SHOWN])
    return TwinLevelsWarning(
        f"Column {name!r} holds levels that may be the same: {shown}{'; ...' if len(pairs) > N_SHOWN else ''}. "
        "If they are, write them alike."
    )


def _plain_number(cell: object) -> float | None:
    """Return the number that a cell is, whatever its decimal separator and its unit; None for others."""
    if isinstance(cell, str):
        parts = number_parts(cell)
        if parts is None or parts.limit:
            return None
        return parse_number(cell, NumberFormat("," if "," in parts.body else ".", "", 0, parts.prefix, parts.suffix))
    try:
        return float(cell) if is_real_number(cell) else None  # type: ignore[arg-type]
    except (OverflowError, ValueError):
        return None
