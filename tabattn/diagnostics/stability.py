"""Ranks that would change with the seed, as its members, each of which has its own, and its held-out rows tell."""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy import stats

from tabattn.arrays import Array
from tabattn.diagnostics.findings import Finding
from tabattn.errors import quoted
from tabattn.importance.aggregation import Scores
from tabattn.importance.units import Units

N_DRAWS, N_LEADING, MIN_LEADING_SHARE = 400, 5, 0.05
MIN_FIRST, MIN_OVERLAP = 0.8, 0.8


def stability_findings(scores: Scores, by_block: Sequence[Array], units: Units, random_state: int) -> Iterator[Finding]:
    """Find whether the leading columns would lead with another seed.

    With another seed there are other members and other held-out rows. Blocks of rows and members are drawn with
    replacement in their place, and their scores added up anew. The leading columns are the first five that have at
    least a twentieth of the importance.

    Args:
        scores: The scores.
        by_block: For each fit the sums of scores of each block of held-out rows, shape (block, member, unit).
        units: What was scored.
        random_state: Seed of the draws.

    Source: Efron 1979 (Bootstrap methods), with members and rows as crossed samples, as in Owen 2007 (The pigeonhole
        bootstrap).
    """
    n_members = sum(each.shape[1] for each in by_block)
    leading = np.argsort(-scores.raw, kind="stable")[:N_LEADING]
    leading = leading[scores.importance[leading] >= MIN_LEADING_SHARE]
    if n_members < 2 or len(leading) == 0 or len(units.scored) < 2:
        return
    chances = _chances_to_lead(by_block, len(leading), random_state)
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
        f"first one in {first:.0%} of draws of members and rows). More rows settle it, or --folds 5, which scores all "
        "of them.",
        "note",
        tuple(names),
        {"same_first": first, "same_leading": overlap},
    )


def _chances_to_lead(by_block: Sequence[Array], n_leading: int, random_state: int) -> Array:
    """Return in which share of draws each column is first, and in which it is among the leading ones, one row each."""
    random, n_units = np.random.default_rng(random_state), by_block[0].shape[2]
    drawn = np.zeros((N_DRAWS, n_units))
    for sums in by_block:
        blocks, members = (
            random.multinomial(n, np.full(n, 1 / n), size=N_DRAWS).astype(np.float64) for n in sums.shape[:2]
        )
        drawn += np.einsum("db,dm,bmu->du", blocks, members, sums, optimize=True)
    order = np.argsort(-drawn, axis=1, kind="stable")
    counts = [np.bincount(order[:, :k].ravel(), minlength=n_units) for k in (1, n_leading)]
    chances: Array = np.array(counts) / N_DRAWS
    return chances


def mean_agreement(scores: Array) -> float:
    """Return how far rankings, such as those of single members or folds, agree: the mean Spearman correlation of pairs.

    Args:
        scores: Scores, shape (ranking, column).

    Returns:
        Between -1 and 1; NaN for one ranking, or where no two of them rank more than one column.

    Example:
        >>> mean_agreement(np.array([[3.0, 2.0, 1.0], [30.0, 20.0, 10.0], [1.0, 2.0, 3.0]])).__round__(2)
        -0.33
    """
    ranks = stats.rankdata(scores, axis=1)
    ranks = ranks[ranks.std(axis=1) > 0]
    if len(ranks) < 2:
        return float("nan")
    correlations = np.corrcoef(ranks)
    return float(correlations[np.triu_indices(len(ranks), 1)].mean())


def agreement_ceiling(repeats: Array) -> float:
    """Return the Spearman correlation with permutation importance that its own shuffles allow at most.

    Any ranking, also the true one, correlates with a noisy ranking by at most the square root of how far that would
    correlate with another run of itself; this is estimated from its odd and its even repeats.

    Args:
        repeats: Decrease in the score, shape (column, repeat); NaN where a column was permuted fewer times.

    Returns:
        Between 0 and 1; NaN for fewer than two repeats or columns.

    Source: Spearman 1910 and Brown 1910, split halves and the attenuation of correlations.

    Example:
        >>> agreement_ceiling(np.array([[3.0, 3.1], [2.0, 2.1], [1.0, 1.1]]))
        1.0
    """
    known = repeats[:, ~np.isnan(repeats).any(axis=0)]
    if known.shape[1] < 2 or len(known) < 2:
        return float("nan")
    halves = np.stack([known[:, ::2].mean(axis=1), known[:, 1::2].mean(axis=1)])
    half = mean_agreement(halves)
    return float(np.sqrt(2 * max(half, 0.0) / (1 + max(half, 0.0))))
