"""A ranking, or predictions for new rows, in; the content of a report out."""

import datetime as dt
import math
import platform
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tabattn.choices import DEFAULT_METHOD, Language
from tabattn.diagnostics.findings import SEVERITIES, Finding
from tabattn.diagnostics.stability import agreement_ceiling
from tabattn.encoding.rows import Rows
from tabattn.estimator import TabAttnClassifier, TabAttnRegressor
from tabattn.fitted.model import FittedModel, decide
from tabattn.fitted.sufficient import sufficient_features
from tabattn.importance.units import Units
from tabattn.output.report.content import (
    Curve,
    Drift,
    EliminationStep,
    Fact,
    Interaction,
    Model,
    Quantized,
    Report,
    ReportedAttention,
    ReportedBetween,
    ReportedColumn,
    ReportedFinding,
    ReportedRows,
    State,
)
from tabattn.output.report.html import number
from tabattn.table.distributions import Distribution
from tabattn.translations import held_out_in_words, translate, translated_message, word
from tabattn.version import __version__

if TYPE_CHECKING:
    from tabattn.explanation import Explanation
    from tabattn.ranking_results import Ranking

N_SHOWN_ROWS, N_NAMED, N_PAIRS, N_CELL_COLUMNS, N_CELL_LETTERS, MAX_EPOCHS = 60, 3, 40, 200, 40, 60
MIDNIGHT = re.compile(r"^(\d+-\d\d-\d\d)[ T]00:00(:00(\.0+)?)?$")
MAX_ATTENTION_NUMBERS, MAX_BETWEEN = 40_000_000, 60
GOOD_AGREEMENT, POOR_AGREEMENT, NEGLIGIBLE = 0.7, 0.4, 5e-4
PACKAGES = ("torch", "pandas", "scikit-learn", "lightning", "numpy")


def report_of(ranking: "Ranking", *, language: Language = "en", command: str = "") -> Report:
    """Return the content of a report about a ranking.

    Args:
        ranking: The ranking.
        language: "en" or "ko".
        command: The command to reproduce it; may be empty.
    """
    target = str(ranking.problem.y.name)
    columns = _columns(ranking)
    outputs = ranking.models.columns[1:]
    chosen = np.random.default_rng(0).permutation(ranking.held_out_positions)[:N_SHOWN_ROWS]
    X, y = ranking.problem.X.iloc[np.sort(chosen)], ranking.problem.y.iloc[np.sort(chosen)]
    rows = ranking.estimator.read(X, y)
    details = row_details(ranking.estimator, rows, X, ranking.units, [column.feature for column in columns], list(y))
    return Report(
        language=language,
        title=translate(language, "Which columns drive {target}?", target=target),
        question=translate(language, "What drives {target}?", target=target),
        answer=tuple(_answer(ranking, columns, language)),
        target=target,
        unit=_units(ranking).get(target, ""),
        facts=tuple(_facts(ranking, language)),
        findings=tuple(_reported_finding(each, language) for each in _ordered(ranking.findings)),
        columns=columns,
        models=tuple(
            Model(
                word(language, str(row[0])),
                tuple((str(name), float(row[place])) for place, name in enumerate(outputs, start=1)),
            )
            for row in _rows(ranking.models)
        ),
        agreement=tuple((word(language, name), _as_float(value)) for name, value in ranking.agreement.items()),
        attention=details.attention,
        rows=details.rows,
        interactions=tuple(
            Interaction(row.feature_1, row.feature_2, float(row.gain), float(row.p_value), bool(row.selected))
            for row in _rows(ranking.interactions.head(N_PAIRS))
        ),
        elimination=tuple(
            EliminationStep(
                _text(row.feature), int(row.n_left), float(row.loss), float(row.kept), bool(row.is_sufficient)
            )
            for row in _rows(ranking.sufficient_set)
        ),
        associations=_associations(ranking),
        settings=(("task", ranking.problem.task), *_settings(ranking.estimator)),
        command=command,
    )


def report_of_rows(explanation: "Explanation", *, language: Language = "en", command: str = "") -> Report:
    """Return the content of a report about predictions for new rows.

    Args:
        explanation: The predictions and their explanation.
        language: "en" or "ko".
        command: The command to reproduce it; may be empty.
    """
    columns = tuple(_column(row) for row in _rows(explanation.importance))
    question, n_rows = translate(language, "What moves the predictions of these rows?"), len(explanation.local)
    names = ", ".join(column.feature for column in columns[:N_NAMED])
    drift = explanation.drift
    n_drifted = int(drift["drifted"].sum())
    differs = "Attention to {n} of {total} columns differs from training."
    drifted = translate(language, differs, n=n_drifted, total=len(drift))
    scores = explanation.scores.set_index("rows")
    shown = scores.drop(columns="n_rows").columns
    states: State = "warning" if n_drifted else "good"
    return Report(
        language=language,
        title=question,
        question=question,
        answer=(translate(language, "The first by importance: {names}.", names=names), drifted),
        target=translate(language, "prediction"),
        unit="",
        facts=(
            _fact_of_rows(scores, {each.code for each in explanation.findings}, language),
            Fact(translate(language, "Rows"), translate(language, "{n} rows", n=n_rows)),
            Fact(translate(language, "Drift"), f"{n_drifted} / {len(drift)}", drifted, states),
            _fact_of_findings(explanation.findings, language),
        ),
        findings=tuple(_reported_finding(each, language) for each in _ordered(explanation.findings)),
        columns=columns,
        models=tuple(
            Model(word(language, str(name)), tuple((str(score), float(scores.loc[name, score])) for score in shown))
            for name in scores.index
        ),
        attention=explanation.details.attention,
        rows=explanation.details.rows,
        drift=tuple(
            Drift(
                *(row.feature, float(row.training), float(row.inference), float(row.p_value), bool(row.drifted)),
                *(float(row.outside), float(row.missing)),
            )
            for row in _rows(drift)
        ),
        settings=tuple(_settings(explanation.estimator)),
        command=command,
    )


def _fact_of_rows(scores: pd.DataFrame, codes: set[str], language: Language) -> Fact:
    """Compare the scores of these rows with those of rows held out in training."""
    name = next(iter(scores.columns.drop("n_rows", errors="ignore")), "")
    known = {row: f"{name} {_short(scores.loc[row, name])}" for row in scores.index}
    before = translate(language, "held out in training: {score}", score=known.get("held out in training", ""))
    if "these" not in known:
        unknown = translate(language, "the target of these rows is not known")
        return Fact(
            translate(language, "Prediction"),
            translate(language, "unknown"),
            f"{unknown}; {before}" if known else unknown,
        )
    state: State = "serious" if "worse_than_training" in codes else "good"
    return Fact(translate(language, "Prediction"), known["these"], before, state)


def _answer(ranking: "Ranking", columns: Sequence[ReportedColumn], language: Language) -> Iterator[str]:
    """Say the result in sentences, the most important first."""
    target = str(ranking.problem.y.name)
    if any(each.code == "no_better_than_constant" for each in ranking.findings):
        yield translate(language, "Do not trust this ranking: the model predicts no better than a constant.")
        return
    for leak in (each for each in ranking.findings if each.code == "leak"):
        said = "{names} gives the target away: look at importance_without_leaks.csv, or leave it out."
        yield translate(language, said, names=_first_names(leak.columns, N_NAMED, language))
    selected = [each for each in columns if each.selected]
    first = selected or list(columns[:N_NAMED])
    names = _first_names([_with_direction(each, language) for each in first], N_NAMED, language)
    if selected:
        yield translate(
            language,
            "{n} of {total} columns add something to the others in predicting {target}: {names}.",
            n=len(selected), total=len(columns), target=target, names=names,
        )  # fmt: skip
    else:
        yield translate(language, "No column can be shown to add something to the others.")
        yield translate(language, "The first by importance: {names}.", names=names)
    steps = ranking.sufficient_set
    needed = sufficient_features(steps)
    if 0 < len(needed) < len(steps) - 1:
        shown = _first_names(needed[::-1], 2 * N_NAMED, language)
        if len(needed) == 1:
            yield translate(language, "One column suffices to predict as well as all: {names}.", names=shown)
        else:
            said = "{n} columns suffice to predict as well as all: {names}."
            yield translate(language, said, n=len(needed), names=shown)
    for row in _rows(ranking.interactions[ranking.interactions["selected"].astype(bool)].head(1)):
        yield translate(language, "{first} and {second} act together.", first=row.feature_1, second=row.feature_2)
    twin = next((each for each in columns if each.same_as), None)
    if twin is not None:
        said = "{feature} and {others} carry the same information."
        yield translate(language, said, feature=twin.feature, others=_first_names(twin.same_as, N_NAMED, language))


def _first_names(names: Sequence[str], n_shown: int, language: Language) -> str:
    """Return the first names, and how many more there are."""
    shown = ", ".join(names[:n_shown])
    n_more = len(names) - n_shown
    return translate(language, "{names} and {n} more", names=shown, n=n_more) if n_more > 0 else shown


def _with_direction(column: ReportedColumn, language: Language) -> str:
    is_shown = column.direction not in ("", "none")
    return f"{column.feature} ({translate(language, column.direction)})" if is_shown else column.feature


def _facts(ranking: "Ranking", language: Language) -> Iterator[Fact]:
    """Return the entries of the trust panel."""
    models, codes = ranking.models.set_index("model"), {each.code for each in ranking.findings}
    name = models.columns[0]
    ours, dummy, boosting = (_short(models.loc[each, name]) for each in ("tabattn", "dummy", "hist_gradient_boosting"))
    states: dict[str, State] = {"no_better_than_constant": "serious", "far_behind_boosting": "warning"}
    predicts: State = next((state for code, state in states.items() if code in codes), "good")
    note = translate(language, "constant {dummy}, gradient boosting {boosting}", dummy=dummy, boosting=boosting)
    yield Fact(translate(language, "Prediction"), f"{name} {ours}", note, predicts)
    is_linked = bool({"rows_in_blocks", "rows_in_time"} & codes)
    fitted = translate(language, "{n_train} rows fitted", n_train=ranking.n_train)
    held_out = held_out_in_words(ranking.held_out, ranking.n_held_out, language)
    yield Fact(translate(language, "Held-out rows"), held_out, fitted, "serious" if is_linked else "good")
    spearman, error = ranking.agreement["spearman"], ranking.permutation.rank_error
    agreed: State = "good" if spearman >= GOOD_AGREEMENT else "warning" if spearman >= POOR_AGREEMENT else "serious"
    ceiling = agreement_ceiling(ranking.permutation.repeats)
    said = "Spearman; with so few shuffles (ranks ± {error}) no ranking could reach more than about {ceiling}"
    if spearman >= ceiling:
        said = "Spearman; as high as the shuffles allow (ranks ± {error})"
    note = translate(language, said, ceiling=f"{ceiling:.2f}", error=f"{error:.1f}")
    yield Fact(
        translate(language, "Agreement with permutation importance"),
        _short(spearman),
        translate(language, "Spearman") if math.isnan(error) or math.isnan(ceiling) else note,
        "note" if math.isnan(spearman) else agreed,
    )
    if not math.isnan(ranking.member_agreement):
        stable: State = "good" if ranking.member_agreement >= GOOD_AGREEMENT else "warning"
        is_settled = "unsettled_ranks" not in codes
        settled = "first ranks hold with another seed" if is_settled else "first ranks change with the seed"
        among = translate(language, "Agreement of the members with each other")
        yield Fact(among, _short(ranking.member_agreement), translate(language, settled), stable)
    if not math.isnan(ranking.fold_agreement):
        alike: State = "good" if ranking.fold_agreement >= GOOD_AGREEMENT else "warning"
        among = translate(language, "Agreement of the folds with each other")
        yield Fact(among, _short(ranking.fold_agreement), translate(language, "Spearman"), alike)
    tested = ranking.table["q_value"].notna()
    if tested.any():
        n_selected = int(ranking.table.loc[tested, "selected"].astype(bool).sum())
        rate = translate(language, "rate of false discoveries {fdr}", fdr=f"{ranking.fdr:g}")
        value = f"{n_selected} / {len(ranking.table)}"
        yield Fact(translate(language, "Columns selected"), value, rate, "good" if n_selected else "note")
    yield _fact_of_findings(ranking.findings, language)
    if ranking.shortened:
        shortened = translate(language, "shortened by the time limit")
        yield Fact(translate(language, "Time"), shortened, "; ".join(ranking.shortened), "warning")


def _fact_of_findings(findings: Sequence[Finding], language: Language) -> Fact:
    counts = [sum(each.severity == severity for each in findings) for severity in SEVERITIES]
    said = "{serious} serious, {warnings} warnings, {notes} notes" if sum(counts) else "nothing found"
    value = translate(language, said, serious=counts[0], warnings=counts[1], notes=counts[2])
    worst: State = "serious" if counts[0] else "warning" if counts[1] else "good"
    codes = dict.fromkeys(each.code for each in _ordered(findings))
    return Fact(translate(language, "Findings"), value, ", ".join(codes), worst)


def _ordered(findings: Sequence[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda each: SEVERITIES.index(each.severity))


def _reported_finding(finding: Finding, language: Language) -> ReportedFinding:
    title = translate(language, finding.code)
    return ReportedFinding(
        finding.code,
        finding.severity,
        finding.title if title == finding.code else title,
        translated_message(language, finding.code, finding.message),
        finding.columns,
    )


def _columns(ranking: "Ranking") -> tuple[ReportedColumn, ...]:
    """Return the rows of the ranking, with what their pages show."""
    units, counts = _units(ranking), {each.feature: each for each in ranking.distributions}
    curves = dict(iter(ranking.effects.groupby("feature", sort=False)))
    twins = _twins(ranking)
    pairs = ranking.interactions[ranking.interactions["selected"].astype(bool)]
    interacting: dict[str, list[str]] = {}
    for row in _rows(pairs):
        interacting.setdefault(row.feature_1, []).append(row.feature_2)
        interacting.setdefault(row.feature_2, []).append(row.feature_1)
    parts = _by_part(ranking)
    ordered = {name for name, each in counts.items() if each.is_ordered}
    return tuple(
        _column(
            row,
            unit=units.get(row.feature, ""),
            same_as=twins.get(row.feature, ()),
            acts_with=tuple(interacting.get(row.feature, ())),
            curve=_curve(curves.get(row.feature), _text(row.effect_on), is_ordered=row.feature in ordered),
            counts=_with_days(counts.get(row.feature)),
            by_part=tuple(parts.get(row.feature, ())),
        )
        for row in _rows(ranking.table)
    )


def _column(row: Any, **further: Any) -> ReportedColumn:
    """Return a row of an ImportanceTable, with what else its page shows."""
    return ReportedColumn(
        rank=int(row.rank),
        feature=row.feature,
        kind=row.kind,
        importance=float(row.importance),
        std=float(row.std),
        ci_low=float(row.ci_low),
        ci_high=float(row.ci_high),
        permutation=float(row.permutation_mean),
        permutation_std=float(row.permutation_std),
        permutation_rank=None if pd.isna(row.permutation_rank) else int(row.permutation_rank),
        p_value=float(row.p_value),
        q_value=float(row.q_value),
        selected=None if pd.isna(row.selected) else bool(row.selected),
        conditional=float(row.conditional),
        sampler_fit=float(row.sampler_fit),
        direction=_text(row.direction),
        effect=float(row.effect),
        effect_on=_text(row.effect_on),
        **further,
    )


def _curve(effect: pd.DataFrame | None, output: str, *, is_ordered: bool) -> Curve | None:
    """Return the effect of a column on the number, or on the class that it moves most."""
    if effect is None:
        return None
    shown = effect[effect["output"].astype(str) == output] if output else effect
    shown = shown if len(shown) else effect[effect["output"].astype(str) == str(effect["output"].iloc[0])]
    numbers = {name: tuple(map(float, shown[name])) for name in ("prediction", "low", "high", "target_mean")}
    return Curve(
        values=without_midnight([_text(value) for value in shown["value"]]),
        prediction=numbers["prediction"],
        low=numbers["low"],
        high=numbers["high"],
        target=numbers["target_mean"],
        n_rows=tuple(map(int, shown["n_rows"])),
        is_ordered=is_ordered,
    )


def _with_days(counts: Distribution | None) -> Distribution | None:
    return None if counts is None else replace(counts, labels=without_midnight(counts.labels))


def _twins(ranking: "Ranking") -> dict[str, tuple[str, ...]]:
    clusters = [each.columns for each in ranking.findings if each.code == "same_columns"]
    return {name: tuple(other for other in names if other != name) for names in clusters for name in names}


def _by_part(ranking: "Ranking") -> dict[str, list[tuple[str, float]]]:
    """Return the importance of each column within each class and level."""
    found: dict[str, list[tuple[str, float]]] = {}
    for table in (ranking.by_class, ranking.by_level):
        if table is not None:
            for row in _rows(table):
                found.setdefault(row.feature, []).append((f"{row.column} = {row.level}", float(row.importance)))
    return found


@dataclass(frozen=True, eq=False)
class RowDetails:
    """Attention and scores of some rows.

    Args:
        attention: Attention of the model.
        rows: The rows.
    """

    attention: ReportedAttention
    rows: ReportedRows


def row_details(
    estimator: TabAttnRegressor | TabAttnClassifier,
    rows: Rows,
    table: pd.DataFrame,
    units: Units,
    features: Sequence[str],
    target: Sequence[Any] | None = None,
) -> RowDetails:
    """Return attention and scores of rows, limited to the first rows if all exceed the memory limit.

    Args:
        estimator: The fitted estimator.
        rows: One row or more.
        table: The same rows as they are written; labels that are integers are numbers from 0 on.
        units: The columns and groups that are ranked.
        features: Their names, rank 1 first.
        target: Their target; None if it is not known.
    """
    fitted = estimator.fitted_model_
    history, shape = estimator.attention_history_.loc["eval"], fitted.model.shape
    n_most = max(1, MAX_ATTENTION_NUMBERS // (shape.n_members * shape.n_layers * shape.n_heads * history.shape[1]))
    rows, table = rows.take(np.arange(min(n_most, len(rows)))), table[:n_most]
    maps = fitted.attention(rows)
    chosen = np.unique(np.linspace(0, len(history) - 1, min(len(history), MAX_EPOCHS)).astype(int))
    attention = ReportedAttention(
        names=tuple(map(str, maps.feature_names)),
        by_head=Quantized(maps.weights.mean(axis=0)),
        by_row=Quantized(maps.weights.mean(axis=(1, 2, 3))),
        epochs=tuple(int(epoch) for epoch in history.index[chosen]),
        by_epoch=Quantized(history[list(maps.feature_names)].to_numpy()[chosen]),
        best_epoch=int(estimator.best_epoch_),
        between=_between(fitted, rows),
    )
    scores = fitted.local_scores(rows, DEFAULT_METHOD, units)
    predicted = decide(fitted.encoder.target, fitted.predict(rows))
    cells = table.reindex(columns=list(features[:N_CELL_COLUMNS]))
    shown = ReportedRows(
        numbers=tuple(str(label + 1 if isinstance(label, int | np.integer) else label) for label in table.index),
        target=("",) * len(table) if target is None else tuple(_cell(each) for each in target[:n_most]),
        prediction=tuple(", ".join(map(_cell, np.atleast_1d(each))) for each in predicted),
        scores=Quantized(np.maximum(scores[list(features)].to_numpy(), 0.0)),
        cells=tuple(tuple(map(_cell, row)) for row in _rows(cells)),
    )
    return RowDetails(attention, shown)


def _associations(ranking: "Ranking") -> ReportedBetween | None:
    """Return how columns go together."""
    table = ranking.associations
    return ReportedBetween(tuple(table.columns), Quantized(table.to_numpy())) if len(table) > 1 else None


def _between(fitted: FittedModel, rows: Rows) -> ReportedBetween | None:
    """Return attention of columns to columns, of the columns with the most of it; None where columns do not attend."""
    table = fitted.mean_attention_between(rows)
    if table is None:
        return None
    strongest = set(table.mean().sort_values(ascending=False, kind="stable").index[:MAX_BETWEEN])
    names = [name for name in table.columns if name in strongest]
    return ReportedBetween(tuple(map(str, names)), Quantized(table.loc[names, names].to_numpy()))


def _settings(estimator: TabAttnRegressor | TabAttnClassifier) -> Iterator[tuple[str, str]]:
    """Return settings that are not the defaults, and versions."""
    default = type(estimator)().get_params(deep=False)
    yield "random_state", str(estimator.get_params(deep=False)["random_state"])
    for name, value in estimator.get_params(deep=False).items():
        is_default = value is None or (isinstance(default[name], type(value)) and value == default[name])
        if name not in {"random_state", "verbose", "logger"} and not is_default:
            yield name, _cell(value)
    yield "epochs", f"{estimator.best_epoch_} / {estimator.n_iter_}"
    yield "tabattn", __version__
    yield "Python", platform.python_version()
    from importlib.metadata import version

    for package in PACKAGES:
        yield package, version(package)


def _units(ranking: "Ranking") -> dict[str, str]:
    units: dict[str, str] = ranking.problem.X.attrs.get("units", {})
    return units


def _rows(table: pd.DataFrame) -> Iterator[Any]:
    """Return the rows as named tuples, without the index."""
    return table.itertuples(index=False)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if pd.isna(value) else str(value)


def without_midnight(texts: Sequence[str]) -> tuple[str, ...]:
    """Return days without their hour, where all of some moments are midnights.

    Args:
        texts: Moments, or other texts, which stay as they are; empty ones are missing.

    Example:
        >>> without_midnight(["2024-01-18 00:00", ""]), without_midnight(["2024-01-18 00:00", "2024-01-18 06:00"])
        (('2024-01-18', ''), ('2024-01-18 00:00', '2024-01-18 06:00'))
    """
    are_days = all(MIDNIGHT.search(text) for text in texts if text)
    return tuple(MIDNIGHT.sub(r"\1", text) if are_days else text for text in texts)


def _cell(value: Any) -> str:
    """Return a short form of a value."""
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        value = value.date()
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else f"{value:.5g}"
    shown = "" if value is None or value is pd.NA or value is pd.NaT else str(value)
    return shown if len(shown) <= N_CELL_LETTERS else f"{shown[: N_CELL_LETTERS - 1]}…"


def _as_float(value: Any) -> float:
    return float(value)


def _short(value: Any) -> str:
    return "" if pd.isna(value) else "0" if abs(value) < NEGLIGIBLE else number(float(value))
