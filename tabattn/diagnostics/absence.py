"""Columns whose missing cells go with the target: not the value, but whether there is one, is the signal."""

from collections.abc import Iterator

import numpy as np
from scipy.stats import chi2_contingency, mannwhitneyu

from tabattn.arrays import Array
from tabattn.diagnostics.findings import Finding
from tabattn.errors import quoted
from tabattn.table.problem import Problem
from tabattn.table.schema import TypedTable

MIN_CELLS, MAX_P_VALUE, MIN_EFFECT, N_SHOWN = 10, 0.01, 0.03, 10


def absence_findings(table: TypedTable, problem: Problem) -> Iterator[Finding]:
    """Find columns in which missing cells go with the target.

    Whether a cell is missing is compared with the target: with numbers by the test of Mann and Whitney, with classes by
    that of Pearson. A column is named if its p-value, times the number of columns that were tested, is at most .01, and
    the effect is not small: a squared rank-biserial correlation, or squared V of Cramér, of at least .03.

    Args:
        table: All rows, parsed.
        problem: The same with their target.
    """
    masks = [(column.name, cells.missing) for column, cells in zip(table.schema.columns, table.cells, strict=True)]
    tested = [(name, mask) for name, mask in masks if min(mask.sum(), (~mask).sum()) >= MIN_CELLS]
    y, is_class = problem.y.to_numpy(), problem.task == "classification"
    test = _with_classes if is_class else _with_numbers
    found = []
    for name, mask in tested:
        p_value, effect = test(mask, y)
        if p_value * len(tested) <= MAX_P_VALUE and effect >= MIN_EFFECT:
            found.append((effect, name, float(mask.mean())))
    if not found:
        return
    found.sort(key=lambda each: -each[0])
    names = [name for _, name, _ in found]
    share = f"{found[0][2]:.0%} of {names[0]!r}"
    yield Finding(
        "absence_is_signal",
        "Missing cells go with the target",
        f"{quoted(names, N_SHOWN)}: the target differs where their cells are missing ({share}). A part of their "
        "importance may be that a value is absent, not what it is: why is it? A column of yes and no beside it tells.",
        "note",
        tuple(names),
        {name: effect for effect, name, _ in found[:N_SHOWN]},
    )


def _with_numbers(mask: Array, y: Array) -> tuple[float, float]:
    """Return the p-value of a shift where cells are missing, and the squared rank-biserial correlation."""
    numbers = y.astype(np.float64)
    result = mannwhitneyu(numbers[mask], numbers[~mask], method="asymptotic")
    correlation = 2 * result.statistic / (mask.sum() * (~mask).sum()) - 1
    return float(result.pvalue), float(correlation**2)


def _with_classes(mask: Array, y: Array) -> tuple[float, float]:
    """Return the p-value of independence, and the squared V of Cramér."""
    codes = np.unique(y, return_inverse=True)[1]
    counts = np.array([np.bincount(codes[each], minlength=codes.max() + 1) for each in (mask, ~mask)])
    result = chi2_contingency(counts, correction=False)
    return float(result.pvalue), float(result.statistic / len(y))
