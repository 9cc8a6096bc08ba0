"""What the command line prints: tables and sentences of a ranking."""

import io
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from typing_extensions import override

from tabattn.choices import Language
from tabattn.errors import printable, quoted
from tabattn.translations import held_out_in_words, translate, translated_message, word

if TYPE_CHECKING:
    import pandas as pd

    from tabattn.comparing import ImportanceComparison
    from tabattn.diagnostics.findings import Finding
    from tabattn.explanation import Explanation
    from tabattn.importance.table import ImportanceTable
    from tabattn.ranking_results import Ranking

N_SHOWN, N_FIRST, MAX_NAMED, N_COMPARED = 10, 3, 12, 15
LEAST_Q, NEGLIGIBLE = 0.001, 5e-5
LINE_WIDTH = 110


class PlainConsole(Console):
    """A console that prints names as they are: no markup, no emoji, and nothing that steers the terminal."""

    def __init__(self, file: IO[str] | None = None) -> None:
        is_terminal = file is None and sys.stdout.isatty()
        super().__init__(
            file=file,
            soft_wrap=True,
            highlight=False,
            markup=False,
            emoji=False,
            width=None if is_terminal else LINE_WIDTH,
        )

    @override
    def render_str(self, text: str, **how: Any) -> Text:
        return super().render_str(printable(text, keeps="\n"), **how)


def printed(print_to: Callable[[Console], None]) -> str:
    """Return what would be printed, without colours.

    Args:
        print_to: Prints to a console.
    """
    file = io.StringIO()
    print_to(PlainConsole(file))
    return file.getvalue().rstrip("\n")


def print_ranking(console: Console, ranking: "Ranking", target: str, language: Language = "en") -> None:
    """Print scores, the first columns, and what else to know of a ranking.

    Args:
        console: Where to.
        ranking: The ranking.
        target: Name of the target.
        language: Of the text.
    """
    problem = ranking.problem
    if problem.task == "classification":
        how = translate(language, "classification, {n} classes", n=problem.y.nunique())
    else:
        how = translate(language, "regression")
    said = (
        "Target {target}: {how}; {n_train} rows fitted, {held_out} held out, {n_columns} columns. "
        "Best epoch {best} of {epochs}."
    )
    console.print(
        translate(
            language, said, target=repr(target), how=how, n_train=ranking.n_train,
            held_out=held_out_in_words(ranking.held_out, ranking.n_held_out, language), n_columns=problem.X.shape[1],
            best=ranking.estimator.best_epoch_, epochs=ranking.estimator.n_iter_,
        )
    )  # fmt: skip
    if ranking.shortened:
        console.print(translate(language, "The time limit allowed only: {what}.", what="; ".join(ranking.shortened)))
    console.print("\n" + translate(language, "Does the model predict? Scores on held-out rows:"))
    console.print(numbers_table(ranking.models, language))
    if ranking.n_scored < ranking.n_held_out:
        said = "Which columns drive the target (scores of {n} of the {total} rows)?"
        said = translate(language, said, n=ranking.n_scored, total=ranking.n_held_out)
    else:
        said = translate(language, "Which columns drive the target?")
    console.print("\n" + said)
    print_importance(console, ranking.table, language)
    said = "Do attention and permutation importance agree ({shuffles})?"
    console.print("\n" + translate(language, said, shuffles=_shuffles(ranking, language)))
    console.print(_agreement(ranking, language))
    for each in _joint_words(ranking, language):
        console.print(each)
    print_notes(console, ranking.findings, language)
    if ranking.by_level is not None:
        console.print("\n" + translate(language, "Which columns matter where? More in importance_by_level.csv."))
        console.print(_levels_table(ranking.by_level, language))


def print_explanation(console: Console, found: "Explanation", language: Language = "en") -> None:
    """Print what moves the predictions of new rows, and whether they are like those of training.

    Args:
        console: Where to.
        found: The explanation.
        language: Of the text.
    """
    n_rows, n_columns = found.local.shape
    console.print(translate(language, "{n} rows read, {n_columns} columns.", n=n_rows, n_columns=n_columns))
    if len(found.scores):
        said = translate(language, "Are they predicted as well as rows that were held out in training?")
        console.print("\n" + said)
        console.print(numbers_table(found.scores, language))
    console.print("\n" + translate(language, "Which columns matter in these rows?"))
    print_importance(console, found.importance, language)
    n_drifted = int(found.drift["drifted"].sum())
    said = "Does the model look at them as in training? Attention to {n} of {total} columns differs."
    console.print("\n" + translate(language, said, n=n_drifted, total=len(found.drift)))
    if n_drifted:
        console.print(drift_table(found.drift, language))
    print_notes(console, found.findings, language)


def _joint_words(ranking: "Ranking", language: Language) -> Iterator[str]:
    """Say which columns suffice, and which act together."""
    from tabattn.fitted.sufficient import sufficient_features

    steps = ranking.sufficient_set
    needed = sufficient_features(steps)
    if 0 < len(needed) < len(steps) - 1:
        kept = steps.loc[steps["is_sufficient"], "kept"].iloc[-1]
        said = "Which suffice? {n} of {total} predict as well as all ({kept} of the gain): {names}."
        names = quoted(needed[::-1], MAX_NAMED)
        yield "\n" + translate(language, said, n=len(needed), total=len(steps) - 1, kept=f"{kept:.0%}", names=names)
    pairs = ranking.interactions
    pairs = pairs[pairs["selected"].astype(bool)].head(N_FIRST)
    if len(pairs):
        both = zip(pairs["feature_1"], pairs["feature_2"], strict=True)
        named = (translate(language, "{one} with {other}", one=repr(one), other=repr(other)) for one, other in both)
        yield translate(language, "Which act together? {pairs}.", pairs="; ".join(named))


def _levels_table(by_level: "pd.DataFrame", language: Language) -> Table:
    """Return the first three columns of each level."""
    table = Table(box=None, pad_edge=False)
    for name in ("column", "level", "rows", "first columns"):
        table.add_column(translate(language, name), justify="right" if name == "rows" else "left")
    for (column, level), group in list(by_level.groupby(["column", "level"], sort=False))[:N_SHOWN]:
        first = ", ".join(f"{_name(row.feature)} {row.importance:.2f}" for row in group.head(N_FIRST).itertuples())
        table.add_row(_name(column), _name(level), str(group["n_rows"].iloc[0]), first)
    return table


def print_notes(console: Console, findings: Sequence["Finding"], language: Language = "en") -> None:
    """Print findings that no warning has said already, if there are any.

    Args:
        console: Where to.
        findings: What to say.
        language: Of the text.
    """
    findings = [each for each in findings if each.category is None]
    if findings:
        console.print("\n" + translate(language, "What else to know:"))
    for each in findings:
        console.print(f"- {translated_message(language, each.code, each.message)}")


def numbers_table(scores: "pd.DataFrame", language: Language = "en") -> Table:
    """Return scores, one model or set of rows per line.

    Args:
        scores: A name, and numbers.
        language: Of the headings.
    """
    table = Table(box=None, pad_edge=False)
    for place, name in enumerate(scores.columns):
        table.add_column(word(language, _name(name)), justify="right" if place else "left")
    for name, *values in scores.itertuples(index=False):
        table.add_row(word(language, _name(name)), *(_number(value) for value in values))
    return table


def _name(name: object) -> str:
    """Return a name on one line."""
    return printable(str(name))


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    if math.isnan(value):
        return ""
    value = 0.0 if abs(value) < NEGLIGIBLE else value
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:.5g}"


def print_importance(console: Console, importance: "ImportanceTable", language: Language = "en") -> None:
    """Print the first columns of a ranking.

    Args:
        console: Where to.
        importance: The ranking.
        language: Of the text.
    """
    console.print(_importance_table(importance, language))
    if len(importance) > N_SHOWN:
        n_more = len(importance) - N_SHOWN
        console.print(" " + translate(language, "... ({n} more in importance.csv)", n=n_more))


def _importance_table(importance: "ImportanceTable", language: Language) -> Table:
    table = Table(box=None, pad_edge=False)
    has_permutation = bool(importance["permutation_mean"].notna().any())
    has_interval = bool(importance["ci_low"].notna().any())
    has_direction = bool(importance["direction"].notna().any())
    is_tested = bool(importance["q_value"].notna().any())
    names = ["rank", "feature", "importance"] + ["95 %"] * has_interval + ["direction"] * has_direction
    names += ["adds to others"] * is_tested + ["permutation (rank)"] * has_permutation
    for name in names:
        is_text = name in {"feature", "direction", "adds to others"}
        heading = translate(language, name)
        table.add_column(heading, justify="left" if is_text else "right", no_wrap=name != "feature")
    for row in importance.head(N_SHOWN).itertuples():
        cells = [str(row.rank), _name(row.feature), f"{row.importance:.4f}"]
        if has_interval:
            cells.append(f"{row.ci_low:.3f}-{row.ci_high:.3f}")
        if has_direction:
            cells.append(_direction(row, language))
        if is_tested:
            cells.append(_selected(row, language))
        if has_permutation:
            cells.append(f"{row.permutation_mean:.3g} ({row.permutation_rank})")
        table.add_row(*cells)
    return table


def _direction(row: Any, language: Language) -> str:
    """Say which way a column acts, and by how much."""
    if not isinstance(row.direction, str):
        return ""
    way = translate(language, row.direction)
    if row.direction not in {"up", "down", "levels"}:  # the ends say nothing of a peak, which lies between them
        return way
    class_ = f" {_name(row.effect_on)}" if isinstance(row.effect_on, str) else ""
    return f"{way} {row.effect:+.2g}{class_}"


def _selected(row: Any, language: Language) -> str:
    """Say whether a column is selected, and at which rate of false discoveries it is at least."""
    q_value = f"= {row.q_value:.2g}" if row.q_value >= LEAST_Q else f"< {LEAST_Q}"
    return f"{translate(language, 'yes' if row.selected else 'no')} (q {q_value})"


def _shuffles(ranking: "Ranking", language: Language) -> str:
    """Say how permutation importance was measured, and how far its ranks would differ by other shuffles."""
    counts = ranking.permutation.n_repeats
    most, fewest = int(counts.max()), int(counts.min())
    if fewest < most:
        said = "{most} shuffles of the first {n} columns, {fewest} of the others"
        parts = [translate(language, said, most=most, n=(counts == most).sum(), fewest=fewest)]
    elif most == 1:
        parts = [translate(language, "1 shuffle per column")]
    else:
        parts = [translate(language, "{n} shuffles per column", n=most)]
    if ranking.n_permuted < ranking.n_held_out:
        said = "{n} of the {total} rows"
        parts.append(translate(language, said, n=ranking.n_permuted, total=ranking.n_held_out))
    error = ranking.permutation.rank_error
    if not math.isnan(error):
        parts.append(translate(language, "ranks ± {error}", error=f"{error:.1f}"))
    return ", ".join(parts)


def _agreement(ranking: "Ranking", language: Language) -> str:
    from tabattn.importance.comparison import top_k

    agreement = ranking.agreement
    k = top_k(len(ranking.units.scored))
    said = (
        "Spearman {spearman} (p = {p_value}), Kendall {kendall}, weighted Kendall {weighted}, NDCG {ndcg}, "
        "{n} of the top {k} in common."
    )
    return translate(
        language, said, spearman=f"{agreement['spearman']:.2f}", p_value=f"{agreement['p_value']:.2g}",
        kendall=f"{agreement['kendall']:.2f}", weighted=f"{agreement['weighted_kendall']:.2f}",
        ndcg=f"{agreement['ndcg']:.2f}", n=round(agreement["top_k_overlap"] * k), k=k,
    )  # fmt: skip


def print_methods(console: Console, found: "ImportanceComparison", language: Language = "en") -> None:
    """Print the ranks of the first features by several methods, how far these agree, and what each took.

    Args:
        console: Where to.
        found: The comparison.
        language: Of the text.
    """
    names = list(found.ranks.columns)
    table = Table(box=None, pad_edge=False)
    for name in ("", "method", "seconds", *map(str, range(1, len(names) + 1))):
        table.add_column(translate(language, name), justify="left" if name == "method" else "right")
    for number, name in enumerate(names, start=1):
        seconds = found.seconds[name]
        agreement = ("" if math.isnan(value) else f"{value:.2f}" for value in found.agreement[name].tolist())
        table.add_row(str(number), _name(name), "" if math.isnan(seconds) else f"{seconds:.1f}", *agreement)
    console.print(translate(language, "Which methods, and how far do they agree (Spearman)?"))
    console.print(table)
    ranks = Table(box=None, pad_edge=False)
    ranks.add_column(translate(language, "feature"))
    for number in range(1, len(names) + 1):
        ranks.add_column(str(number), justify="right")
    for feature, *values in found.ranks.head(N_COMPARED).itertuples():
        ranks.add_row(_name(feature), *(f"{value:g}" for value in values))
    console.print("\n" + translate(language, "Ranks by each method:"))
    console.print(ranks)
    if len(found.ranks) > N_COMPARED:
        n_more = len(found.ranks) - N_COMPARED
        console.print(" " + translate(language, "... ({n} more in ranks.csv)", n=n_more))


def drift_table(drift: "pd.DataFrame", language: Language = "en") -> Table:
    """Return the columns whose attention has drifted, one per line.

    Args:
        drift: See `tabattn.importance.drift.attention_drift`.
        language: Of the headings.
    """
    table = Table(box=None, pad_edge=False)
    for name in ("feature", "training", "inference", "adjusted p"):
        table.add_column(translate(language, name), justify="left" if name == "feature" else "right")
    for row in drift[drift["drifted"]].head(N_SHOWN).itertuples():
        table.add_row(_name(row.feature), f"{row.training:.4f}", f"{row.inference:.4f}", f"{row.p_value:.2g}")
    return table
