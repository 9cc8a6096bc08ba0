"""What the command line prints: tables and sentences of a ranking."""

import math
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from typing_extensions import override

from tabattn.errors import printable, quoted

if TYPE_CHECKING:
    import pandas as pd

    from tabattn.comparing import ImportanceComparison
    from tabattn.importance.table import ImportanceTable
    from tabattn.ranking import Ranking

N_SHOWN, N_FIRST, MAX_NAMED, N_COMPARED = 10, 3, 12, 15
LEAST_Q = 0.001
LINE_WIDTH = 110


class PlainConsole(Console):
    """A console that prints names as they are: no markup, no emoji, and nothing that steers the terminal."""

    def __init__(self) -> None:
        super().__init__(
            soft_wrap=True,
            highlight=False,
            markup=False,
            emoji=False,
            width=None if sys.stdout.isatty() else LINE_WIDTH,
        )

    @override
    def render_str(self, text: str, **how: Any) -> Text:
        return super().render_str(printable(text, keeps="\n"), **how)


def print_ranking(console: Console, ranking: "Ranking", target: str) -> None:
    """Print scores, the first columns, and what else to know of a ranking.

    Args:
        console: Where to.
        ranking: The ranking.
        target: Name of the target.
    """
    problem = ranking.problem
    n_values = problem.y.nunique()
    how = f"classification, {n_values} classes" if problem.task == "classification" else "regression"
    console.print(
        f"Target {target!r}: {how}; {ranking.n_train} rows fitted, {ranking.held_out} held out, "
        f"{problem.X.shape[1]} columns. Best epoch {ranking.estimator.best_epoch_} of {ranking.estimator.n_iter_}."
    )
    if ranking.shortened:
        console.print(f"The time limit allowed only: {'; '.join(ranking.shortened)}.")
    console.print("\nDoes the model predict? Scores on held-out rows:")
    console.print(numbers_table(ranking.models))
    fewer = f" (scores of {ranking.n_scored} of the {ranking.n_held_out} rows)"
    console.print(f"\nWhich columns drive the target{fewer * (ranking.n_scored < ranking.n_held_out)}?")
    print_importance(console, ranking.table)
    console.print(f"\nDo attention and permutation importance agree ({_shuffles(ranking)})?\n{_agreement(ranking)}")
    for said in _joint_words(ranking):
        console.print(said)
    print_notes(console, [each.message for each in ranking.findings if each.category is None])
    if ranking.by_level is not None:
        console.print("\nWhich columns matter where? More in importance_by_level.csv.")
        console.print(_levels_table(ranking.by_level))


def _joint_words(ranking: "Ranking") -> Iterator[str]:
    """Say which columns suffice, and which act together."""
    from tabattn.fitted.sufficient import sufficient_features

    steps = ranking.sufficient_set
    needed = sufficient_features(steps)
    if 0 < len(needed) < len(steps) - 1:
        kept = steps.loc[steps["is_sufficient"], "kept"].iloc[-1]
        yield (
            f"\nWhich suffice? {len(needed)} of {len(steps) - 1} predict as well as all ({kept:.0%} of the gain): "
            f"{quoted(needed[::-1], MAX_NAMED)}."
        )
    pairs = ranking.interactions
    pairs = pairs[pairs["selected"].astype(bool)].head(N_FIRST)
    if len(pairs):
        said = (f"{one!r} with {other!r}" for one, other in zip(pairs["feature_1"], pairs["feature_2"], strict=True))
        yield f"Which act together? {'; '.join(said)}."


def _levels_table(by_level: "pd.DataFrame") -> Table:
    """Return the first three columns of each level."""
    table = Table(box=None, pad_edge=False)
    for name in ("column", "level", "rows", "first columns"):
        table.add_column(name, justify="right" if name == "rows" else "left")
    for (column, level), group in list(by_level.groupby(["column", "level"], sort=False))[:N_SHOWN]:
        first = ", ".join(f"{_name(row.feature)} {row.importance:.2f}" for row in group.head(N_FIRST).itertuples())
        table.add_row(_name(column), _name(level), str(group["n_rows"].iloc[0]), first)
    return table


def print_notes(console: Console, notes: Sequence[str]) -> None:
    """Print findings, if there are any.

    Args:
        console: Where to.
        notes: What to say.
    """
    if notes:
        console.print("\nWhat else to know:")
    for note in notes:
        console.print(f"- {note}")


def numbers_table(scores: "pd.DataFrame") -> Table:
    """Return scores, one model or set of rows per line.

    Args:
        scores: A name, and numbers.
    """
    table = Table(box=None, pad_edge=False)
    for place, name in enumerate(scores.columns):
        table.add_column(_name(name), justify="right" if place else "left")
    for name, *values in scores.itertuples(index=False):
        table.add_row(_name(name), *(_number(value) for value in values))
    return table


def _name(name: object) -> str:
    """Return a name on one line."""
    return printable(str(name))


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return "" if math.isnan(value) else f"{value:.4f}" if abs(value) < 1000 else f"{value:.5g}"


def print_importance(console: Console, importance: "ImportanceTable") -> None:
    """Print the first columns of a ranking.

    Args:
        console: Where to.
        importance: The ranking.
    """
    console.print(_importance_table(importance))
    if len(importance) > N_SHOWN:
        console.print(f" ... ({len(importance) - N_SHOWN} more in importance.csv)")


def _importance_table(importance: "ImportanceTable") -> Table:
    table = Table(box=None, pad_edge=False)
    has_permutation = bool(importance["permutation_mean"].notna().any())
    has_interval = bool(importance["ci_low"].notna().any())
    has_direction = bool(importance["direction"].notna().any())
    is_tested = bool(importance["q_value"].notna().any())
    names = ["rank", "feature", "importance"] + ["95 %"] * has_interval + ["direction"] * has_direction
    names += ["adds to others"] * is_tested + ["permutation (rank)"] * has_permutation
    for name in names:
        is_text = name in {"feature", "direction", "adds to others"}
        table.add_column(name, justify="left" if is_text else "right", no_wrap=name != "feature")
    for row in importance.head(N_SHOWN).itertuples():
        cells = [str(row.rank), _name(row.feature), f"{row.importance:.4f}"]
        if has_interval:
            cells.append(f"{row.ci_low:.3f}-{row.ci_high:.3f}")
        if has_direction:
            cells.append(_direction(row))
        if is_tested:
            cells.append(_selected(row))
        if has_permutation:
            cells.append(f"{row.permutation_mean:.3g} ({row.permutation_rank})")
        table.add_row(*cells)
    return table


def _direction(row: Any) -> str:
    """Say which way a column acts, and by how much."""
    if not isinstance(row.direction, str):
        return ""
    if row.direction == "none":
        return "none"
    class_ = f" {_name(row.effect_on)}" if isinstance(row.effect_on, str) else ""
    return f"{row.direction} {row.effect:+.2g}{class_}"


def _selected(row: Any) -> str:
    """Say whether a column is selected, and at which rate of false discoveries it is at least."""
    q_value = f"= {row.q_value:.1g}" if row.q_value >= LEAST_Q else f"< {LEAST_Q}"
    return f"{'yes' if row.selected else 'no'} (q {q_value})"


def _shuffles(ranking: "Ranking") -> str:
    """Say how permutation importance was measured, and how far its ranks would differ by other shuffles."""
    counts = ranking.permutation.n_repeats
    most, fewest = int(counts.max()), int(counts.min())
    said = f"{most} shuffle{'s' * (most > 1)} per column"
    if fewest < most:
        said = f"{most} shuffles of the first {(counts == most).sum()} columns, {fewest} of the others"
    if ranking.n_permuted < ranking.n_held_out:
        said += f", {ranking.n_permuted} of the {ranking.n_held_out} rows"
    error = ranking.permutation.rank_error
    return said if math.isnan(error) else f"{said}, ranks ± {error:.1f}"


def _agreement(ranking: "Ranking") -> str:
    from tabattn.importance.comparison import top_k

    agreement = ranking.agreement
    k = top_k(len(ranking.units.scored))
    return (
        f"Spearman {agreement['spearman']:.2f} (p = {agreement['p_value']:.2g}), Kendall {agreement['kendall']:.2f}, "
        f"weighted Kendall {agreement['weighted_kendall']:.2f}, NDCG {agreement['ndcg']:.2f}, "
        f"{round(agreement['top_k_overlap'] * k)} of the top {k} in common."
    )


def print_methods(console: Console, found: "ImportanceComparison") -> None:
    """Print the ranks of the first features by several methods, how far these agree, and what each took.

    Args:
        console: Where to.
        found: The comparison.
    """
    names = list(found.ranks.columns)
    table = Table(box=None, pad_edge=False)
    for name in ("", "method", "seconds", *map(str, range(1, len(names) + 1))):
        table.add_column(name, justify="left" if name == "method" else "right")
    for number, name in enumerate(names, start=1):
        seconds = found.seconds[name]
        agreement = (f"{value:.2f}" for value in found.agreement.loc[name])
        table.add_row(str(number), _name(name), "" if math.isnan(seconds) else f"{seconds:.1f}", *agreement)
    console.print("Which methods, and how far do they agree (Spearman)?")
    console.print(table)
    ranks = Table(box=None, pad_edge=False)
    ranks.add_column("feature")
    for number in range(1, len(names) + 1):
        ranks.add_column(str(number), justify="right")
    for feature, *values in found.ranks.head(N_COMPARED).itertuples():
        ranks.add_row(_name(feature), *(f"{value:g}" for value in values))
    console.print("\nRanks by each method:")
    console.print(ranks)
    if len(found.ranks) > N_COMPARED:
        console.print(f" ... ({len(found.ranks) - N_COMPARED} more in ranks.csv)")


def drift_table(drift: "pd.DataFrame") -> Table:
    """Return the columns whose attention has drifted, one per line.

    Args:
        drift: See `tabattn.importance.drift.attention_drift`.
    """
    table = Table(box=None, pad_edge=False)
    for name in ("feature", "training", "inference", "adjusted p"):
        table.add_column(name, justify="left" if name == "feature" else "right")
    for row in drift[drift["drifted"]].head(N_SHOWN).itertuples():
        table.add_row(_name(row.feature), f"{row.training:.4f}", f"{row.inference:.4f}", f"{row.p_value:.2g}")
    return table
