"""Ranks that would change with the seed, as the members of a model, each of which has its own, tell."""

from collections.abc import Iterator

import numpy as np

from tabattn.arrays import Array
from tabattn.diagnostics.findings import Finding
from tabattn.errors import quoted
from tabattn.importance.aggregation import Scores
from tabattn.importance.units import Units

N_DRAWS, N_LEADING, MIN_LEADING_SHARE = 400, 5, 0.05
MIN_FIRST, MIN_OVERLAP = 0.8, 0.8


def stability_findings(scores: Scores, units: Units, random_state: int) -> Iterator[Finding]:
    """Find whether the leading columns would lead with another seed.

    Members are drawn with replacement, which ensembles of other seeds would have in their place, and their scores added
    up anew. The leading columns are the first five that have at least a twentieth of the importance.

    Args:
        scores: Scores with the parts of the members.
        units: What was scored.
        random_state: Seed of the draws.

    Source: Efron 1979 (Bootstrap methods), with members as the sample.
    """
    n_members = len(scores.by_member)
    leading = np.argsort(-scores.raw, kind="stable")[:N_LEADING]
    leading = leading[scores.importance[leading] >= MIN_LEADING_SHARE]
    if n_members < 2 or len(leading) == 0 or len(units.scored) < 2:
        return
    chances = _chances_to_lead(scores.by_member, len(leading), random_state)
    first = float(chances[0][leading[0]])
    overlap = float(chances[1][leading].mean())
    if first >= MIN_FIRST and overlap >= MIN_OVERLAP:
        return
    rivals = [units.names[i] for i in np.argsort(-chances[0], kind="stable") if chances[0][i] >= 1 - MIN_FIRST]
    what = f"{quoted(rivals)} change places at the top" if first < MIN_FIRST else "others would take their places"
    names = [units.names[i] for i in leading]
    yield Finding(
        "unsettled_ranks",
        "Ranks change with the seed",
        f"{quoted(names)} lead, but with another seed {what} (the same first {len(names)} in {overlap:.0%}, the same "
        f"first one in {first:.0%} of draws of the {n_members} members). More members (n_members=32), more rows, or "
        "--folds 5 settle it.",
        "note",
        tuple(names),
        {"same_first": first, "same_leading": overlap},
    )


def _chances_to_lead(by_member: Array, n_leading: int, random_state: int) -> Array:
    """Return in which share of draws each column is first, and in which it is among the leading ones, one row each."""
    random, n_members = np.random.default_rng(random_state), len(by_member)
    draws = random.multinomial(n_members, np.full(n_members, 1 / n_members), size=N_DRAWS)
    order = np.argsort(-(draws @ np.where(np.isfinite(by_member), by_member, 0.0)), axis=1, kind="stable")
    counts = [np.bincount(order[:, :k].ravel(), minlength=by_member.shape[1]) for k in (1, n_leading)]
    chances: Array = np.array(counts) / N_DRAWS
    return chances
