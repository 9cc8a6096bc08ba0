"""Which rows of a table are fitted and which are held out, as the columns that were named for it say, and in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from tabattn.encoding.ordering import row_keys
from tabattn.errors import ParameterError, TableError
from tabattn.large_tables import LargeTable, open_large
from tabattn.table.links import RowLinks, times_in, units_in
from tabattn.table.problem import Problem
from tabattn.table.rules import CellRules
from tabattn.table.splits import Split, fold_rows, split_rows


@dataclass(frozen=True)
class HoldOutRule:
    """How rows are chosen to be held out.

    Args:
        split_by: Names of the columns whose rows belong together.
        order_by: Name of the column that orders them; None for none.
        gap: Number of rows beside those that are held out that are not fitted, where rows are ordered.
        folds: Number of folds; 1 for a part of the rows.
        fraction: Fraction of the rows to hold out, where there are no folds.
        random_state: Seed.

    Raises:
        ParameterError: The fraction, the gap or the number of folds is outside its range.
    """

    split_by: tuple[str, ...] = ()
    order_by: str | None = None
    gap: int = 0
    folds: int = 1
    fraction: float = 0.2
    random_state: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.fraction < 1:
            raise ParameterError(f"test_fraction must be greater than 0 and less than 1, got {self.fraction}.")
        for name, value, least in (("gap", self.gap, 0), ("folds", self.folds, 1)):
            if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
                raise ParameterError(f"{name} must be an integer of at least {least}, got {value!r}.")
        if self.gap and self.order_by is None:
            raise ParameterError(f"gap must be 0 where rows have no order, got {self.gap}. Name a column by order_by.")

    @property
    def columns(self) -> list[str]:
        """Names of the columns that say which rows to hold out."""
        return [*self.split_by, *([] if self.order_by is None else [self.order_by])]

    def large_table(
        self, data: Any, max_memory: float | None, weighted: Mapping[str, object | None]
    ) -> LargeTable | None:
        """Open a table that does not fit into memory, if it is one, to learn from all of its rows.

        Args:
            data: A table, or the path of one.
            max_memory: Gigabytes that reading may take; None for most of what is free.
            weighted: Arguments by which rows have weights, by name; None for those that were not given.

        Raises:
            ParameterError: Something is asked for that needs all rows in memory.
            TableError: A file is damaged or lacks a column, or rows cannot be ordered.
        """
        table = open_large(data, self.split_by, self.order_by, self.gap, max_memory)
        options = {"folds": self.folds if self.folds > 1 else None, **weighted}
        asked = [name for name, value in options.items() if value is not None]
        if table is not None and asked:
            raise ParameterError(
                f"all_rows must stand without {asked[0]} for a table that does not fit into memory. Leave one of them "
                "out."
            )
        return table

    def links(self, problem: Problem, rules: CellRules) -> RowLinks:
        """Return which rows belong together, and when they were; rows with the same cells belong together always.

        Args:
            problem: Features, target, and these columns aside.
            rules: How some cells are to be read.
        """
        unit = units_in(problem.aside, self.split_by) if self.split_by else None
        time = None if self.order_by is None else times_in(problem.aside, self.order_by, rules)
        links = RowLinks(unit, time, self.gap, is_asked=unit is not None)
        if unit is not None:
            return links
        cells = pd.concat([problem.X, problem.aside.drop(columns=[*problem.X], errors="ignore")], axis=1)
        return links.with_equal_rows(np.unique(row_keys(cells, problem.y.to_numpy()), return_inverse=True)[1])

    def splits(self, problem: Problem, links: RowLinks) -> list[Split]:
        """Return the rows to fit and to hold out of each fold.

        Args:
            problem: Features and target.
            links: Which rows belong together, and when they were.
        """
        y, task = problem.y.to_numpy(), problem.task
        if self.folds > 1:
            return list(fold_rows(y, task, links, self.folds, self.random_state))
        try:
            return [split_rows(y, task, links, self.fraction, self.random_state)]
        except TableError:
            if links.is_asked or links.unit is None:
                raise
            return [split_rows(y, task, replace(links, unit=None), self.fraction, self.random_state)]

    def in_words(self, splits: Sequence[Split], links: RowLinks) -> str:
        """Say which rows were held out.

        Args:
            splits: What `splits` returned.
            links: Which rows belong together.
        """
        n_rows = sum(len(split.held_out) for split in splits)
        if len(splits) > 1:
            said = f"all {n_rows} rows, in {len(splits)} folds"
            how = "blocks of time" if self.order_by else "whole units" if self.split_by else ""
            return f"{said} of {how}" if how else said
        said = f"{n_rows} rows"
        if self.split_by and links.unit is not None:
            n_units = len(np.unique(links.unit[splits[0].held_out]))
            said = f"{n_units} of {links.n_units} values of {' and '.join(map(repr, self.split_by))} ({n_rows} rows)"
        return f"the last {said} by {self.order_by!r}" if self.order_by else said
