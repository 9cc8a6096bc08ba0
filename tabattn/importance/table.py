"""ImportanceTable: the DataFrame of column names and their scores that files and plots are made from.

Columns, in this order:

- ``rank``: 1 is the most important; ties in the order of the table.
- ``feature``, ``kind``: name and kind of the column; a group of columns has the kind "group".
- ``importance``: score by the chosen method; not negative, sums to 1.
- ``std``: its standard deviation over the members of the model; empty for a model with one member.
- ``ci_low``, ``ci_high``: between which the importance of this model on other rows is in 95 of 100 tables, see
  `tabattn.importance.intervals`; empty if not computed.
- ``p_value``: of the column adding nothing given the others, see `tabattn.importance.significance`; ``selected``:
  whether it does, at the rate of false discoveries that was asked for; empty if not tested.
- ``permutation_mean``, ``permutation_std``: decrease in the held-out score when the column is permuted, mean
  and standard deviation over repeats; empty if not measured.
- ``permutation_rank``: rank by ``permutation_mean``.
- ``q_value``: the least rate of false discoveries at which the column is selected.
- ``conditional``: mean increase in loss when the column comes from a draw given the others, in squared standard
  deviations of the target or nats; what it adds to them.
- ``sampler_fit``: how much of the column the others explain (R², or fraction of the entropy of its levels).
- ``direction``, ``effect``: which way the prediction goes with the column ("up", "down", "peak", "valley", "levels",
  "none"), and by how much from its tenth to its ninetieth percentile, or from the lowest to the highest of its levels,
  in units of the target or as a probability; empty for groups, texts, and if not computed. See
  `tabattn.importance.effects`.
- ``effect_on``: the class whose probability that is; empty for numbers.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd

from tabattn.arrays import Array
from tabattn.errors import ParameterError
from tabattn.importance.aggregation import Scores
from tabattn.importance.effects import Effect
from tabattn.importance.permutation import PermutationScores
from tabattn.importance.significance import Significance
from tabattn.importance.units import GROUP, Units

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
    "direction",
    "effect",
    "effect_on",
)


def importance_table(
    units: Units,
    scores: Scores,
    permutation: PermutationScores | None = None,
    significance: Significance | None = None,
    intervals: tuple[Array, Array] | None = None,
    effects: Sequence[Effect] = (),
    outputs: Mapping[int, str] | None = None,
) -> ImportanceTable:
    """Rank the columns of a table by their scores.

    Args:
        units: What the scores are of.
        scores: Their scores, in their order; ranked by `raw`.
        permutation: Their permutation importance, if measured.
        significance: What they add given the others, if tested.
        intervals: Lower and upper ends of the interval of each importance, if known.
        effects: Those of columns, if computed.
        outputs: Names of the classes, by the number of the output; None for numbers.

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
    directions = pd.DataFrame(_directions(units, effects, outputs or {}), columns=["direction", "effect", "effect_on"])
    table = pd.DataFrame(
        {
            "rank": _ranks(scores.raw),
            "feature": pd.Series(units.names, dtype="str"),
            "kind": pd.Series(units.kinds, dtype="str"),
            "importance": scores.importance,
            "std": scores.std,
            "ci_low": unknown if intervals is None else intervals[0],
            "ci_high": unknown if intervals is None else intervals[1],
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
            "direction": directions["direction"].astype("str"),
            "effect": directions["effect"].astype(np.float64),
            "effect_on": directions["effect_on"].astype("str"),
        },
        columns=list(COLUMNS),
    )
    return table.sort_values("rank", ignore_index=True)


def _directions(
    units: Units, effects: Sequence[Effect], outputs: Mapping[int, str]
) -> Iterator[tuple[str | None, float, str | None]]:
    """Yield direction and effect of each unit, and the class that they are of; columns that are not read have none."""
    by_name = {effect.feature: effect for effect in effects}
    for number, (name, kind) in enumerate(zip(units.names, units.kinds, strict=True)):
        effect = None if kind == GROUP else by_name.get(name)
        if effect is not None:
            yield effect.direction, effect.effect, outputs.get(effect.output)
        elif effects and kind != GROUP and number not in units.scored:
            yield "none", 0.0, None
        else:
            yield None, np.nan, None


def _ranks(scores: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    ranks = np.empty(len(scores), dtype=np.int64)
    ranks[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
    return ranks
