"""ImportanceTable: the DataFrame of column names and their scores that files and plots are made from.

Columns, in this order:

- ``rank``: 1 is the most important; ties in the order of the table.
- ``feature``, ``kind``: name and kind of the column; a group of columns has the kind "group".
- ``importance``: score by the chosen method; not negative, sums to 1.
- ``std``: its standard deviation over the members of the model; empty for a model with one member.
- ``ci_low``, ``ci_high``: reserved for intervals of the importance, empty for now.
- ``p_value``: of the column adding nothing given the others, see `tabattn.importance.significance`; ``selected``:
  whether it does, at the rate of false discoveries that was asked for; empty if not tested.
- ``permutation_mean``, ``permutation_std``: decrease in the held-out score when the column is permuted, mean
  and standard deviation over repeats; empty if not measured.
- ``permutation_rank``: rank by ``permutation_mean``.
- ``q_value``: the least rate of false discoveries at which the column is selected.
- ``conditional``: mean increase in loss when the column comes from a draw given the others, in squared standard
  deviations of the target or nats; what it adds to them.
- ``sampler_fit``: how much of the column the others explain (R², or fraction of the entropy of its levels).
"""

from typing import TypeAlias

import numpy as np
import pandas as pd

from tabattn.errors import ParameterError
from tabattn.importance.aggregation import Scores
from tabattn.importance.permutation import PermutationScores
from tabattn.importance.significance import Significance
from tabattn.importance.units import Units

ImportanceTable: TypeAlias = pd.DataFrame
COLUMNS = (
    "rank",
    "feature",
    "kind",
    "importance",
    "std",
    "ci_low",
    "ci_high",
    "p_value",
    "selected",
    "permutation_mean",
    "permutation_std",
    "permutation_rank",
    "q_value",
    "conditional",
    "sampler_fit",
)


def importance_table(
    units: Units,
    scores: Scores,
    permutation: PermutationScores | None = None,
    significance: Significance | None = None,
) -> ImportanceTable:
    """Rank the columns of a table by their scores.

    Args:
        units: What the scores are of.
        scores: Their scores, in their order; ranked by `raw`.
        permutation: Their permutation importance, if measured.
        significance: What they add given the others, if tested.

    Returns:
        The ImportanceTable, rank 1 first, see the head of this module.

    Raises:
        ParameterError: Permutation importance was measured of other columns or groups.

    Example:
        >>> from tabattn.importance.aggregation import normalize_scores
        >>> from tabattn.importance.units import units_of
        >>> from tabattn.table.inference import infer_schema
        >>> units = units_of(infer_schema(pd.DataFrame({"a": [1, 2], "b": [3, 4]})))
        >>> scores = normalize_scores(np.array([[0.2, 0.8]]))
        >>> importance_table(units, scores)[["rank", "feature", "importance"]]
           rank feature  importance
        0     1       b         0.8
        1     2       a         0.2
    """
    n_units = len(units.names)
    if permutation is not None and len(permutation.repeats) != n_units:
        raise ParameterError(
            f"permutation must be measured of the {n_units} columns and groups of the table, got "
            f"{len(permutation.repeats)}. Give permutation_scores the same groups."
        )
    unknown = np.full(n_units, np.nan)
    table = pd.DataFrame(
        {
            "rank": _ranks(scores.raw),
            "feature": pd.Series(units.names, dtype="str"),
            "kind": pd.Series(units.kinds, dtype="str"),
            "importance": scores.importance,
            "std": scores.std,
            "ci_low": unknown,
            "ci_high": unknown,
            "p_value": unknown if significance is None else significance.p_value,
            "selected": pd.array([None] * n_units if significance is None else significance.selected, dtype="boolean"),
            "permutation_mean": unknown if permutation is None else permutation.mean,
            "permutation_std": unknown if permutation is None else permutation.std,
            "permutation_rank": pd.array(
                [None] * n_units if permutation is None else _ranks(permutation.mean), dtype="Int64"
            ),
            "q_value": unknown if significance is None else significance.q_value,
            "conditional": unknown if significance is None else significance.increase,
            "sampler_fit": unknown if significance is None else significance.sampler_fit,
        },
        columns=list(COLUMNS),
    )
    return table.sort_values("rank", ignore_index=True)


def _ranks(scores: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    ranks = np.empty(len(scores), dtype=np.int64)
    ranks[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
    return ranks
