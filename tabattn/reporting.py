"""A ranking in, the content of its report out."""

import math
import platform
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tabattn.choices import DEFAULT_METHOD, Language
from tabattn.diagnostics.findings import SEVERITIES, Finding
from tabattn.fitted.sufficient import sufficient_features
from tabattn.output.report.content import (
    Counts,
    Curve,
    Fact,
    Model,
    Packed,
    Pair,
    Remark,
    Report,
    ReportedAttention,
    ReportedColumn,
    ReportedRows,
    State,
    Step,
)
from tabattn.output.report.html import number
from tabattn.output.report.words import say
from tabattn.version import __version__

if TYPE_CHECKING:
    from tabattn.ranking import Ranking

N_NAMED, N_PAIRS, N_CELL_COLUMNS, N_CELL_LETTERS, MAX_EPOCHS = 3, 40, 200, 40, 60
MAX_ATTENTION_NUMBERS = 40_000_000
GOOD_AGREEMENT, POOR_AGREEMENT, NEGLIGIBLE = 0.7, 0.4, 5e-4
PACKAGES = ("torch", "pandas", "scikit-learn", "lightning", "numpy")


def report_of(ranking: "Ranking", *, language: Language = "en", command: str = "") -> Report:
    """Return what a report of a ranking says.

    Args:
        ranking: The ranking.
        language: Of its words: "en" or "ko".
        command: The command that makes it again; empty where there is none.
    """
    target = str(ranking.problem.y.name)
    columns = _columns(ranking)
    outputs = ranking.models.columns[1:]
    return Report(
        language=language,
        title=say(language, "Which columns drive {target}?", target=target),
        question=say(language, "What drives {target}?", target=target),
        answer=tuple(_answer(ranking, columns, language)),
        score_name="R²" if ranking.problem.task == "regression" else "log loss",
        target=target,
        unit=_units(ranking).get(target, ""),
        facts=tuple(_facts(ranking, language)),
        remarks=tuple(_remark(each, language) for each in _ordered(ranking.findings)),
        columns=columns,
        models=tuple(
            Model(str(row[0]), tuple((str(name), float(row[place])) for place, name in enumerate(outputs, start=1)))
            for row in _rows(ranking.models)
        ),
        agreement=tuple((name, _as_float(value)) for name, value in ranking.agreement.items()),
        **_looked(ranking),
        pairs=tuple(
            Pair(row.feature_1, row.feature_2, float(row.gain), float(row.p_value), bool(row.selected))
            for row in _rows(ranking.interactions.head(N_PAIRS))
        ),
        steps=tuple(
            Step(_text(row.feature), int(row.n_left), float(row.loss), float(row.kept), bool(row.is_sufficient))
            for row in _rows(ranking.sufficient_set)
        ),
        settings=tuple(_settings(ranking)),
        command=command,
    )


def _answer(ranking: "Ranking", columns: Sequence[ReportedColumn], language: Language) -> Iterator[str]:
    """Say the result in sentences, the most important first."""
    target = str(ranking.problem.y.name)
    if any(each.code == "no_better_than_constant" for each in ranking.findings):
        yield say(language, "Do not trust this ranking: the model predicts no better than a constant.")
        return
    selected = [each for each in columns if each.selected]
    first = selected or list(columns)
    names = _some([_with_direction(each, language) for each in first], N_NAMED, language)
    if selected:
        yield say(
            language,
            "{n} of {total} columns add something to the others in predicting {target}: {names}.",
            n=len(selected), total=len(columns), target=target, names=names,
        )  # fmt: skip
    else:
        yield say(language, "No column can be shown to add something to the others.")
        yield say(language, "The first by importance: {names}.", names=names)
    steps = ranking.sufficient_set
    needed = sufficient_features(steps)
    if 0 < len(needed) < len(steps) - 1:
        shown = _some(needed[::-1], 2 * N_NAMED, language)
        yield say(language, "{n} columns suffice to predict as well as all: {names}.", n=len(needed), names=shown)
    for row in _rows(ranking.interactions[ranking.interactions["selected"].astype(bool)].head(1)):
        yield say(language, "{first} and {second} act together.", first=row.feature_1, second=row.feature_2)
    twin = next((each for each in columns if each.same_as), None)
    if twin is not None:
        said = "{feature} and {others} carry the same information."
        yield say(language, said, feature=twin.feature, others=_some(twin.same_as, N_NAMED, language))


def _some(names: Sequence[str], n_shown: int, language: Language) -> str:
    """Return the first names, and how many more there are."""
    shown = ", ".join(names[:n_shown])
    n_more = len(names) - n_shown
    return say(language, "{names} and {n} more", names=shown, n=n_more) if n_more > 0 else shown


def _with_direction(column: ReportedColumn, language: Language) -> str:
    is_shown = column.direction not in ("", "none")
    return f"{column.feature} ({say(language, column.direction)})" if is_shown else column.feature


def _facts(ranking: "Ranking", language: Language) -> Iterator[Fact]:
    """Return what to know before the ranking is trusted."""
    models, codes = ranking.models.set_index("model"), {each.code for each in ranking.findings}
    name = models.columns[0]
    ours, dummy, boosting = (_short(models.loc[each, name]) for each in ("tabattn", "dummy", "hist_gradient_boosting"))
    states: dict[str, State] = {"no_better_than_constant": "serious", "far_behind_boosting": "warning"}
    predicts: State = next((state for code, state in states.items() if code in codes), "good")
    note = say(language, "constant {dummy}, gradient boosting {boosting}", dummy=dummy, boosting=boosting)
    yield Fact(say(language, "Prediction"), f"{name} {ours}", note, predicts)
    is_linked = bool({"rows_in_blocks", "rows_in_time"} & codes)
    fitted = say(language, "{n_train} rows fitted", n_train=ranking.n_train)
    held_out = ranking.held_out
    if held_out == f"{ranking.n_held_out} rows":
        held_out = say(language, "{n} rows", n=ranking.n_held_out)
    yield Fact(say(language, "Held-out rows"), held_out, fitted, "serious" if is_linked else "good")
    spearman, error = ranking.agreement["spearman"], ranking.permutation.rank_error
    agreed: State = "good" if spearman >= GOOD_AGREEMENT else "warning" if spearman >= POOR_AGREEMENT else "serious"
    note = say(language, "Spearman; ranks of permutation importance ± {error}", error=f"{error:.1f}")
    yield Fact(
        say(language, "Agreement with permutation importance"),
        _short(spearman),
        say(language, "Spearman") if math.isnan(error) else note,
        "note" if math.isnan(spearman) else agreed,
    )
    tested = ranking.table["q_value"].notna()
    if tested.any():
        n_selected = int(ranking.table.loc[tested, "selected"].astype(bool).sum())
        rate = say(language, "rate of false discoveries {fdr}", fdr=f"{ranking.fdr:g}")
        value = f"{n_selected} / {len(ranking.table)}"
        yield Fact(say(language, "Columns selected"), value, rate, "good" if n_selected else "note")
    counts = [sum(each.severity == severity for each in ranking.findings) for severity in SEVERITIES]
    said = "{serious} serious, {warnings} warnings, {notes} notes" if sum(counts) else "nothing found"
    value = say(language, said, serious=counts[0], warnings=counts[1], notes=counts[2])
    worst: State = "serious" if counts[0] else "warning" if counts[1] else "good"
    yield Fact(say(language, "Findings"), value, ", ".join(each.code for each in _ordered(ranking.findings)), worst)
    if ranking.shortened:
        shortened = say(language, "shortened by the time limit")
        yield Fact(say(language, "Time"), shortened, "; ".join(ranking.shortened), "warning")


def _ordered(findings: Sequence[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda each: SEVERITIES.index(each.severity))


def _remark(finding: Finding, language: Language) -> Remark:
    title = say(language, finding.code)
    return Remark(
        finding.code,
        finding.severity,
        finding.title if title == finding.code else title,
        finding.message,
        finding.columns,
    )


def _columns(ranking: "Ranking") -> tuple[ReportedColumn, ...]:
    """Return the rows of the ranking, with what their pages show."""
    units, counts = _units(ranking), {each.feature: each for each in ranking.distributions}
    curves = dict(iter(ranking.effects.groupby("feature", sort=False)))
    twins = _twins(ranking)
    pairs = ranking.interactions[ranking.interactions["selected"].astype(bool)]
    partners: dict[str, list[str]] = {}
    for row in _rows(pairs):
        partners.setdefault(row.feature_1, []).append(row.feature_2)
        partners.setdefault(row.feature_2, []).append(row.feature_1)
    parts = _by_part(ranking)
    ordered = {name for name, each in counts.items() if each.is_ordered}
    found = []
    for row in _rows(ranking.table):
        distribution = counts.get(row.feature)
        found.append(
            ReportedColumn(
                rank=int(row.rank),
                feature=row.feature,
                kind=row.kind,
                unit=units.get(row.feature, ""),
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
                same_as=twins.get(row.feature, ()),
                acts_with=tuple(partners.get(row.feature, ())),
                curve=_curve(curves.get(row.feature), _text(row.effect_on), is_ordered=row.feature in ordered),
                counts=None if distribution is None else _counts(distribution),
                by_part=tuple(parts.get(row.feature, ())),
            )
        )
    return tuple(found)


def _counts(distribution: Any) -> Counts:
    return Counts(
        distribution.labels,
        distribution.counts,
        distribution.is_ordered,
        distribution.n_missing,
        distribution.n_others,
    )


def _curve(effect: pd.DataFrame | None, output: str, *, is_ordered: bool) -> Curve | None:
    """Return the effect of a column on the number, or on the class that it moves most."""
    if effect is None:
        return None
    shown = effect[effect["output"].astype(str) == output] if output else effect
    shown = shown if len(shown) else effect[effect["output"].astype(str) == str(effect["output"].iloc[0])]
    numbers = {name: tuple(map(float, shown[name])) for name in ("prediction", "low", "high", "target_mean")}
    return Curve(
        values=tuple(_text(value) for value in shown["value"]),
        prediction=numbers["prediction"],
        low=numbers["low"],
        high=numbers["high"],
        target=numbers["target_mean"],
        n_rows=tuple(map(int, shown["n_rows"])),
        is_ordered=is_ordered,
    )


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


def _looked(ranking: "Ranking") -> dict[str, Any]:
    """Read some held-out rows once more, and return what attention and scores say of each."""
    estimator, problem = ranking.estimator, ranking.problem
    fitted = estimator.fitted_model_
    history = estimator.attention_history_.loc["eval"]
    n_attended = history.shape[1]
    shape = fitted.model.shape
    per_row = max(1, shape.n_members * shape.n_layers * shape.n_heads * n_attended)
    positions = ranking.sampled[: max(1, MAX_ATTENTION_NUMBERS // per_row)]
    if not len(positions):
        return {}
    X, y = problem.X.iloc[positions], problem.y.iloc[positions]
    rows = estimator.read(X, y)
    maps = fitted.attention(rows)
    weights = maps.weights
    chosen = np.unique(np.linspace(0, len(history) - 1, min(len(history), MAX_EPOCHS)).astype(int))
    attention = ReportedAttention(
        names=tuple(map(str, maps.feature_names)),
        by_head=Packed(weights.mean(axis=0)),
        by_row=Packed(weights.mean(axis=(1, 2, 3))),
        epochs=tuple(int(epoch) for epoch in history.index[chosen]),
        by_epoch=Packed(history[list(maps.feature_names)].to_numpy()[chosen]),
        best_epoch=int(estimator.best_epoch_),
    )
    features = list(ranking.table["feature"])
    scores = fitted.local_scores(rows, DEFAULT_METHOD, ranking.units)
    predicted = estimator.predict(X)
    cells = X[[name for name in features[:N_CELL_COLUMNS] if name in X]]
    shown = ReportedRows(
        numbers=tuple(str(label + 1 if isinstance(label, int | np.integer) else label) for label in X.index),
        target=tuple(map(_cell, y)),
        prediction=tuple(map(_cell, predicted)),
        scores=Packed(scores[features].to_numpy()),
        cells=tuple(tuple(map(_cell, row)) for row in _rows(cells)),
    )
    return {"attention": attention, "rows": shown}


def _settings(ranking: "Ranking") -> Iterator[tuple[str, str]]:
    """Return settings that are not the defaults, and versions."""
    estimator = ranking.estimator
    default = type(estimator)().get_params(deep=False)
    yield "task", ranking.problem.task
    yield "random_state", str(estimator.get_params(deep=False)["random_state"])
    for name, value in estimator.get_params(deep=False).items():
        is_default = value is None or (isinstance(default[name], type(value)) and value == default[name])
        if name not in {"random_state", "verbose"} and not is_default:
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


def _cell(value: Any) -> str:
    """Return a value in a few letters."""
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else f"{value:.5g}"
    shown = "" if value is None or value is pd.NA or value is pd.NaT else str(value)
    return shown if len(shown) <= N_CELL_LETTERS else f"{shown[: N_CELL_LETTERS - 1]}…"


def _as_float(value: Any) -> float:
    return float(value)


def _short(value: Any) -> str:
    return "" if pd.isna(value) else "0" if abs(value) < NEGLIGIBLE else number(float(value))
