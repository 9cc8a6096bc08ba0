"""Units that get a score: single columns, or groups of columns as one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from tabattn.arrays import Array
from tabattn.errors import ParameterError, nearest
from tabattn.table.schema import TableSchema

Groups: TypeAlias = Mapping[str, Sequence[str]] | None
GROUP = "group"


@dataclass(frozen=True)
class Units:
    """Columns and groups of columns, in the order of the table; a group is where its first column is.

    Args:
        names: Names of the columns outside of groups, and of the groups.
        kinds: Kind of each column, or "group".
        of_column: For each column of the table, the number of the unit that it is in.
        of_model: For each column that the model reads, in its order, the place of its unit in `scored`.
        scored: Numbers of the units that the model reads something of, in the order of its columns.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    of_column: tuple[int, ...]
    of_model: tuple[int, ...]
    scored: tuple[int, ...]

    def model_columns(self, unit: int) -> tuple[int, ...]:
        """Return the columns of a unit that the model reads, as places in its order.

        Args:
            unit: Number of the unit.
        """
        return tuple(place for place, scored in enumerate(self.of_model) if self.scored[scored] == unit)

    def spread(self, values: Array, unread: float = 0.0) -> Array:
        """Put values of the units that the model reads, on the last axis, in the order of all units.

        Args:
            values: The values.
            unread: Value of units that the model does not read.
        """
        return spread(values, self.scored, len(self.names), unread)

    @property
    def joined(self) -> Int[Tensor, " column"] | None:
        """`of_model` as a tensor; None where every column is a unit."""
        return torch.tensor(self.of_model) if len(self.scored) < len(self.of_model) else None


def units_of(schema: TableSchema, groups: Groups = None) -> Units:
    """Join columns into units.

    Args:
        schema: The columns.
        groups: Names of columns by the name of their group; None or empty for no groups.

    Returns:
        The units.

    Raises:
        ParameterError: A group has no columns, or a name that belongs to a column outside of it; a column does not
            exist or is in two groups.

    Example:
        >>> import pandas as pd
        >>> from tabattn.table.inference import infer_schema
        >>> schema = infer_schema(pd.DataFrame({"a": [1, 2], "b": [3, 4], "c": [5, 6]}))
        >>> units = units_of(schema, {"ends": ["a", "c"]})
        >>> units.names, units.kinds, units.of_column
        (('ends', 'b'), ('group', 'numeric'), (0, 1, 0))
    """
    group_of = _group_of(schema, groups or {})
    names: list[str] = []
    kinds: list[str] = []
    numbers: dict[tuple[str, str], int] = {}
    of_column = []
    for column in schema.columns:
        group = group_of.get(column.name)
        key = (GROUP, group) if group is not None else ("column", column.name)
        if key not in numbers:
            numbers[key] = len(names)
            names.append(column.name if group is None else group)
            kinds.append(column.kind.value if group is None else GROUP)
        of_column.append(numbers[key])
    scored = tuple(dict.fromkeys(of_column[i] for i in schema.model_positions))
    places = {unit: place for place, unit in enumerate(scored)}
    of_model = tuple(places[of_column[i]] for i in schema.model_positions)
    return Units(tuple(names), tuple(kinds), tuple(of_column), of_model, scored)


def spread(values: Array, positions: Sequence[int], n: int, absent: float = 0.0) -> Array:
    """Put values, on the last axis, at some of n positions.

    Args:
        values: The values.
        positions: Where they go.
        n: How many positions there are.
        absent: Value at the others.

    Example:
        >>> spread(np.array([1.0, 2.0]), (2, 0), 3).tolist()
        [2.0, 0.0, 1.0]
    """
    array = np.full((*values.shape[:-1], n), absent, dtype=values.dtype)
    array[..., list(positions)] = values
    return array


def _group_of(schema: TableSchema, groups: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Name the group of each column that is in one."""
    if not isinstance(groups, Mapping):
        raise ParameterError(f"groups must give names of columns by the name of their group, got {groups!r}.")
    group_of: dict[str, str] = {}
    known = set(schema.names)
    for given, columns in groups.items():
        group = str(given)
        if isinstance(columns, str) or len(columns) == 0:
            raise ParameterError(f"A group must have a list of columns, got {columns!r} for {group!r}.")
        for name in map(str, columns):
            if name not in known:
                raise ParameterError(
                    f"A group must have columns of the table, got {name!r} in {group!r}. {nearest(name, schema.names)}"
                )
            if group_of.get(name, group) != group:
                raise ParameterError(
                    f"A column must be in one group, got {name!r} in {group_of[name]!r} and {group!r}. Leave it in one."
                )
            group_of[name] = group
    for group in set(group_of.values()) & known:
        if group_of.get(group) != group:
            raise ParameterError(f"A group must not have the name of a column outside of it, got {group!r}. Rename it.")
    return group_of
