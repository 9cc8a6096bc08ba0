"""Tables to Axes: every function draws what it is given and computes nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from scipy.cluster.hierarchy import leaves_list, linkage

from tabattn.choices import Language
from tabattn.errors import printable
from tabattn.importance.table import ImportanceTable
from tabattn.output.fonts import fonts
from tabattn.translations import translate

MAX_BARS = 30
MAX_HEAT_COLUMNS = 60
MAX_LINES = 8
MAX_SLOPES, MAX_NAMED, FAR_RANKS, FAR_FRACTION = 20, 5, 3, 0.1
MAX_ROWS, MAX_ROW_COLUMNS, N_ACROSS = 200, 20, 3
MAX_LABEL_LENGTH = 40
MAX_NEGATIVE_FRACTION, MAX_LIGHT_TEXT = 0.3, 0.6
BAR_COLORS, PALE_COLOR = ("#2f6f9f", "#d98c2b"), "#a9c4d8"


def plot_importance(table: ImportanceTable, ax: Axes | None = None, *, language: Language = "en") -> Axes:
    """Draw ranked bars of importance, with permutation importance next to them on its own axis.

    Args:
        table: An ImportanceTable; the first 30 columns are drawn.
        ax: Where to draw; None for a new figure.
        language: Of its words: "en" or "ko".

    Returns:
        The Axes.
    """
    shown = table.head(MAX_BARS).iloc[::-1]
    has_permutation = bool(shown["permutation_mean"].notna().any())
    with fonts():
        ax = _new_axes(8.0, 1.6 + 0.34 * len(shown)) if ax is None else ax
        offset, height = (0.2, 0.38) if has_permutation else (0.0, 0.7)
        positions = pd.RangeIndex(len(shown))
        error, whiskers = _whiskers(shown)
        style: dict[str, Any] = {"ecolor": "#333333", "error_kw": {"linewidth": 0.8}}
        ax.barh(
            positions + offset,
            shown["importance"],
            height,
            xerr=error,
            color=[BAR_COLORS[0] if is_selected else PALE_COLOR for is_selected in shown["selected"].fillna(True)],
            **style,
        )
        ax.set_xlabel(translate(language, whiskers), color=BAR_COLORS[0])
        ax.set_yticks(positions, [_label(name) for name in shown["feature"]])
        ax.set_ylim(-0.7, len(shown) - 0.3)
        ax.set_xlim(left=0)
        if has_permutation:
            twin = ax.twiny()
            twin.barh(
                positions - offset,
                shown["permutation_mean"],
                height,
                xerr=shown["permutation_std"],
                color=BAR_COLORS[1],
                **style,
            )
            measured = translate(language, "permutation importance (decrease in the held-out score)")
            twin.set_xlabel(measured, color=BAR_COLORS[1])
            _align_zero(ax, twin)
        names = {
            BAR_COLORS[0]: translate(language, "attention"),
            PALE_COLOR: translate(language, "attention; not shown to add to the others"),
        }
        colors = [BAR_COLORS[0]] + [PALE_COLOR] * bool((~shown["selected"].fillna(True).astype(bool)).any())
        handles = [Patch(color=color, label=names[color]) for color in colors]
        handles += [Patch(color=BAR_COLORS[1], label=translate(language, "permutation"))] * has_permutation
        if len(handles) > 1:
            ax.legend(handles=handles, loc="lower right")
        ax.set_title(translate(language, "Which columns drive the target") + _first(language, len(shown), len(table)))
    return ax


def plot_attention(mean_attention: pd.DataFrame, ax: Axes | None = None, *, language: Language = "en") -> Axes:
    """Draw a heat map of attention: of CLS, layers and heads against columns, or of columns against columns.

    Args:
        mean_attention: One row per (layer, head) or per attending column, one column per feature; of more than 60,
            those with the most attention are drawn, and the mean of the others.
        ax: Where to draw; None for a new figure.
        language: Of its words: "en" or "ko".

    Returns:
        The Axes.
    """
    shown = mean_attention
    is_by_head = isinstance(shown.index, pd.MultiIndex)
    if shown.shape[1] > MAX_HEAT_COLUMNS:
        shown = _with_others(shown, language)
        shown = shown if is_by_head else _with_others(shown.T, language).T
    with fonts():
        n_rows, n_columns = shown.shape
        ax = _new_axes(3.0 + 0.32 * max(n_columns, 8), 2.2 + 0.2 * n_rows) if ax is None else ax
        image = ax.imshow(shown.to_numpy(), aspect="auto", cmap="viridis", vmin=0.0)
        ax.set_xticks(
            range(n_columns), [_label(name) for name in shown.columns], rotation=60, ha="right", rotation_mode="anchor"
        )
        labels = [
            translate(language, "layer {layer}, head {head}", layer=row[0], head=row[1]) if is_by_head else _label(row)
            for row in shown.index
        ]
        ax.set_yticks(range(n_rows), labels, fontsize="small")
        for boundary in _layer_boundaries(shown) if is_by_head else ():
            ax.axhline(boundary - 0.5, color="white", linewidth=1.5)
        if is_by_head:
            ax.set_title(translate(language, "Attention of CLS to each column"))
        else:
            ax.set_title(translate(language, "Attention of columns (left) to columns (below)"))
        scale = translate(language, "attention, mean over members and rows")
        cast("Figure", ax.figure).colorbar(image, ax=ax, label=scale)
    return ax


def plot_ranks(table: ImportanceTable, ax: Axes | None = None, *, language: Language = "en") -> Axes:
    """Draw a line for each column from its rank by attention to its rank by permutation importance.

    Args:
        table: An ImportanceTable; the first 20 columns are drawn, those whose ranks differ by 3 or more in colour.
        ax: Where to draw; None for a new figure.
        language: Of its words: "en" or "ko".

    Returns:
        The Axes.
    """
    shown = table[table["permutation_rank"].notna()].head(MAX_SLOPES)
    places = zip(shown["feature"], shown["rank"].astype(int), shown["permutation_rank"].astype(int), strict=True)
    with fonts():
        ax = _new_axes(7.0, 1.6 + 0.3 * len(shown)) if ax is None else ax
        lowest = 1
        for name, left, right in places:
            is_far = abs(left - right) >= FAR_RANKS
            ax.plot([0, 1], [left, right], color=BAR_COLORS[is_far], marker="o", linewidth=2.0 if is_far else 1.2)
            ax.text(-0.04, left, f"{_label(name)}  {left}", ha="right", va="center")
            lowest = max(lowest, left, right)
        by_rank = shown.groupby(shown["permutation_rank"].astype(int))["feature"]
        for rank, names in dict(iter(by_rank)).items():
            ax.text(1.04, rank, f"{rank}  {', '.join(map(_label, names))}", va="center")
        ax.set_ylim(lowest + 0.7, 0.3)
        ax.set_xlim(-0.1, 1.1)
        ax.set_xticks(
            [0, 1], [translate(language, "rank by attention"), translate(language, "by permutation importance")]
        )
        ax.xaxis.tick_top()
        ax.yaxis.set_visible(False)
        ax.spines[:].set_visible(False)
        ax.set_title(translate(language, "Do both rankings agree?") + _first(language, len(shown), len(table)))
    return ax


def plot_agreement(table: ImportanceTable, ax: Axes | None = None, *, language: Language = "en") -> Axes:
    """Draw the rank of each column by permutation importance against its rank by attention.

    Args:
        table: An ImportanceTable; the five columns that are farthest from the diagonal are named.
        ax: Where to draw; None for a new figure.
        language: Of its words: "en" or "ko".

    Returns:
        The Axes.
    """
    shown = table[table["permutation_rank"].notna()]
    ranks = shown["permutation_rank"].astype(float)
    gaps = (ranks - shown["rank"]).abs()
    far = gaps[gaps >= max(FAR_RANKS, FAR_FRACTION * len(shown))].sort_values(ascending=False, kind="stable")
    named = far.index[:MAX_NAMED]
    with fonts():
        ax = _new_axes(6.0, 5.6) if ax is None else ax
        last = float(max(len(table), 2))
        ax.plot([1, last], [1, last], color="#999999", linewidth=1.0)
        is_named = shown.index.isin(named)
        for chosen, color in ((~is_named, BAR_COLORS[0]), (is_named, BAR_COLORS[1])):
            ax.scatter(shown["rank"][chosen], ranks[chosen], s=28, color=color, alpha=0.8)
        for row in named:
            x, y = float(cast("float", shown.loc[row, "rank"])), float(cast("float", ranks[row]))
            is_right = x > last / 2
            ax.annotate(
                _label(shown.loc[row, "feature"]), (x, y), textcoords="offset points",
                xytext=(-7 if is_right else 7, 0), ha="right" if is_right else "left", va="center",
            )  # fmt: skip
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlabel(translate(language, "rank by attention"))
        ax.set_ylabel(translate(language, "rank by permutation importance"))
        ax.set_title(translate(language, "Do both rankings agree? (on the line: yes)"))
    return ax


def plot_effect(effect: pd.DataFrame, ax: Axes | None = None, *, target: str = "", language: Language = "en") -> Axes:
    """Draw what is predicted with each value of a column, and the mean of the target in the rows near it.

    Args:
        effect: Rows of one feature and one output of the table of `tabattn.importance.effects.effects_table`.
        ax: Where to draw; None for a new figure.
        target: Name of the target; empty for none.
        language: Of its words: "en" or "ko".

    Returns:
        The Axes.
    """
    is_missing = effect["value"].isna() | (effect["value"] == "")
    numbers = pd.to_numeric(effect["value"], errors="coerce")
    is_numeric = bool((numbers.notna() | is_missing).all() and numbers.notna().any())
    predicted, missing = (translate(language, "prediction if all rows had the value"), translate(language, "missing"))
    with fonts():
        ax = _new_axes(5.0, 3.4) if ax is None else ax
        at = numbers.fillna(numbers.max() + 0.1 * (numbers.max() - numbers.min() or 1.0))
        points = effect[is_missing]
        if is_numeric:
            line = effect[~is_missing]
            ax.fill_between(at[~is_missing], line["low"], line["high"], color=BAR_COLORS[0], alpha=0.18, linewidth=0)
            ax.plot(at[~is_missing], line["prediction"], color=BAR_COLORS[0], label=predicted)
        else:
            at, points = pd.Series(range(len(effect)), index=effect.index, dtype=float), effect
            ax.set_xticks(at, [_label(value) or missing for value in effect["value"]], rotation=40, ha="right")
        if len(points):
            spread = [points["prediction"] - points["low"], points["high"] - points["prediction"]]
            ax.errorbar(
                at[points.index], points["prediction"], yerr=[each.clip(lower=0) for each in spread], fmt="o",
                color=BAR_COLORS[0], capsize=3, label=None if is_numeric else predicted,
            )  # fmt: skip
        if is_numeric and len(points):
            ax.set_xticks([*ax.get_xticks()[1:-2], at[points.index[0]]])
            ax.set_xticklabels([*(f"{tick:g}" for tick in ax.get_xticks()[:-1]), missing])
        sizes = 12 + 60 * effect["n_rows"] / max(1, effect["n_rows"].max())
        ax.scatter(
            at, effect["target_mean"], s=sizes, marker="D", facecolors="none", edgecolors=BAR_COLORS[1],
            label=translate(language, "mean target of the rows near it"),
        )  # fmt: skip
        output = str(effect["output"].iloc[0]) if len(effect) else ""
        if output:
            ax.set_ylim(-0.03, 1.03)
            ax.set_ylabel(translate(language, "probability of {name}", name=_label(output)))
        else:
            ax.set_ylabel(_label(target) or translate(language, "target"))
        ax.set_title(_label(effect["feature"].iloc[0]) if len(effect) else "")
    return ax


def plot_effects(effects: Sequence[pd.DataFrame], *, target: str = "", language: Language = "en") -> Axes:
    """Draw the effects of several columns next to each other.

    Args:
        effects: As for `plot_effect`, one or more.
        target: Name of the target.
        language: Of its words: "en" or "ko".

    Returns:
        The first of the Axes; its figure has the others.
    """
    n_across = min(N_ACROSS, len(effects))
    n_down = -(-len(effects) // n_across)
    with fonts():
        figure = Figure(figsize=(5.0 * n_across, 3.6 * n_down), layout="constrained")
        places = figure.subplots(n_down, n_across, squeeze=False).ravel()
        for place, effect in zip(places, effects, strict=False):
            plot_effect(effect, place, target=target, language=language)
        for place in places[len(effects) :]:
            place.set_axis_off()
        handles, labels = places[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    first: Axes = places[0]
    return first


def plot_clusters(associations: pd.DataFrame, ax: Axes | None = None, *, language: Language = "en") -> Axes:
    """Draw how columns go together.

    Args:
        associations: Of each column with each, in [0, 1], in the order of `tabattn.diagnostics.associations`.
        ax: Where to draw; None for a new figure.
        language: Of its words: "en" or "ko".

    Returns:
        The Axes.
    """
    names = [_label(name) for name in associations.columns]
    size = 3.0 + 0.26 * max(len(names), 8)
    with fonts():
        ax = _new_axes(size + 1.0, size) if ax is None else ax
        image = ax.imshow(associations.to_numpy(dtype=float), cmap="Blues", vmin=0.0, vmax=1.0)
        ax.set_xticks(range(len(names)), names, rotation=60, ha="right", rotation_mode="anchor")
        ax.set_yticks(range(len(names)), names)
        ax.set_title(translate(language, "Which columns go together"))
        scale = translate(language, "rank correlation, or association with levels")
        cast("Figure", ax.figure).colorbar(image, ax=ax, label=scale)
    return ax


def plot_rows(scores: pd.DataFrame, ax: Axes | None = None, *, language: Language = "en") -> Axes:
    """Draw the score of each column for each row, rows that resemble each other together.

    Args:
        scores: One row per row of a table, one column per feature; the 20 columns with the largest scores are drawn, of
            200 rows.
        ax: Where to draw; None for a new figure.
        language: Of its words: "en" or "ko".

    Returns:
        The Axes.
    """
    strongest = scores.abs().mean().sort_values(ascending=False, kind="stable").index[:MAX_ROW_COLUMNS]
    shown = scores[list(strongest)].head(MAX_ROWS)
    values = shown.to_numpy(dtype=float)
    if len(values) > 2:
        values = values[leaves_list(linkage(values, "average"))]
    most = max(float(abs(values).max(initial=0.0)), 1e-12)
    with fonts():
        ax = _new_axes(3.0 + 0.34 * max(shown.shape[1], 8), 4.8) if ax is None else ax
        image = ax.imshow(values, aspect="auto", cmap="RdBu_r", vmin=-most, vmax=most, interpolation="nearest")
        ax.set_xticks(
            range(shown.shape[1]), [_label(name) for name in shown.columns], rotation=60, ha="right",
            rotation_mode="anchor",
        )  # fmt: skip
        ax.set_yticks([])
        said = "{n} of {total} rows, similar ones together"
        ax.set_ylabel(translate(language, said, n=len(shown), total=len(scores)))
        ax.set_title(translate(language, "Which column mattered in which row"))
        scale = translate(language, "score (red: the row is predicted better by it)")
        cast("Figure", ax.figure).colorbar(image, ax=ax, label=scale)
    return ax


def plot_history(
    history: pd.DataFrame, ax: Axes | None = None, best_epoch: int | None = None, *, language: Language = "en"
) -> Axes:
    """Draw the attention to each column over epochs: dashed in train mode, solid in eval mode.

    Args:
        history: Index (mode, epoch) against features, see `attention_history_`; the eight features with the most
            attention in the last epoch are drawn.
        ax: Where to draw; None for a new figure.
        best_epoch: Epoch whose weights were kept, marked by a line.
        language: Of its words: "en" or "ko".

    Returns:
        The Axes.
    """
    train, evaluated = history.loc["train"], history.loc["eval"]
    strongest = evaluated.iloc[-1].sort_values(ascending=False, kind="stable").index[:MAX_LINES]
    with fonts():
        ax = _new_axes(8.0, 4.8) if ax is None else ax
        for i, name in enumerate(strongest):
            color = f"C{i}"
            ax.plot(evaluated.index, evaluated[name], color=color, label=_label(name))
            ax.plot(train.index, train[name], color=color, linestyle="--", linewidth=1.0)
        if best_epoch is not None:
            ax.axvline(best_epoch, color="#888888", linewidth=1.0, linestyle=":")
            is_late = best_epoch > evaluated.index.to_numpy().mean()
            ax.annotate(
                translate(language, "weights kept"), (best_epoch, 0.98), xycoords=("data", "axes fraction"), va="top",
                color="#666666", textcoords="offset points", xytext=(-4 if is_late else 4, 0),
                ha="right" if is_late else "left",
            )  # fmt: skip
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlabel(translate(language, str(history.index.names[-1] or "epoch")))
        ax.set_ylabel(translate(language, "mean attention"))
        ax.set_ylim(bottom=0)
        ax.set_title(translate(language, "Attention while training (solid: eval mode, dashed: train mode)"))
        lines = ax.lines[: 2 * len(strongest) : 2]
        ax.legend(
            lines, [_label(name) for name in strongest], loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False
        )
    return ax


def plot_drift(drift: pd.DataFrame, ax: Axes | None = None, *, language: Language = "en") -> Axes:
    """Draw the mean attention to each column in training and at inference.

    Args:
        drift: The table of `tabattn.importance.drift.attention_drift`; the first 30 columns are drawn, those that
            drifted with a star.
        ax: Where to draw; None for a new figure.
        language: Of its words: "en" or "ko".

    Returns:
        The Axes.
    """
    shown = drift.head(MAX_BARS).iloc[::-1]
    with fonts():
        ax = _new_axes(8.0, 1.6 + 0.34 * len(shown)) if ax is None else ax
        positions = pd.RangeIndex(len(shown))
        ax.barh(positions + 0.2, shown["training"], 0.38, color=BAR_COLORS[0], label=translate(language, "training"))
        ax.barh(positions - 0.2, shown["inference"], 0.38, color=BAR_COLORS[1], label=translate(language, "these rows"))
        pairs = zip(shown["feature"], shown["drifted"], strict=True)
        ax.set_yticks(positions, [_label(name) + (" *" if drifted else "") for name, drifted in pairs])
        ax.set_ylim(-0.7, len(shown) - 0.3)
        ax.set_xlabel(translate(language, "mean attention (* drifted: adjusted p of at most .05)"))
        title = translate(language, "Attention now and in training")
        ax.set_title(title + _first(language, len(shown), len(drift)))
        ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return ax


def plot_methods(ranks: pd.DataFrame, ax: Axes | None = None, *, language: Language = "en") -> Axes:
    """Draw the ranks of features by several methods: dark is first.

    Args:
        ranks: One row per feature, one column per method; the first 30 features are drawn.
        ax: Where to draw; None for a new figure.
        language: Of its words: "en" or "ko".

    Returns:
        The Axes.
    """
    shown = ranks.head(MAX_BARS)
    with fonts():
        ax = _new_axes(3.0 + 0.9 * shown.shape[1], 2.4 + 0.3 * len(shown)) if ax is None else ax
        ax.imshow(shown.to_numpy(), aspect="auto", cmap="Blues_r", vmin=0.0, vmax=float(len(ranks)) * 1.4)
        for row, values in enumerate(shown.to_numpy()):
            for place, value in enumerate(values):
                is_dark = value < len(ranks) * MAX_LIGHT_TEXT
                ax.text(place, row, f"{value:g}", ha="center", va="center", color="white" if is_dark else "black")
        ax.set_xticks(range(shown.shape[1]), list(shown.columns), rotation=40, ha="right", rotation_mode="anchor")
        ax.set_yticks(range(len(shown)), [_label(name) for name in shown.index])
        ax.set_title(translate(language, "Ranks by each method") + _first(language, len(shown), len(ranks)))
    return ax


def save_figure(ax: Axes, path: Path) -> None:
    """Write the figure of some Axes to a file; the same figure gives the same bytes.

    Args:
        ax: Axes of the figure.
        path: A .png or .svg file.
    """
    metadata = {"Date": None} if path.suffix == ".svg" else {}
    with fonts(), mpl.rc_context({"svg.hashsalt": "tabattn", "svg.fonttype": "none"}):
        cast("Figure", ax.figure).savefig(path, dpi=150, bbox_inches="tight", metadata=metadata)


def _label(name: object) -> str:
    """Return a name on one line and short enough to leave room for the plot."""
    words = printable(" ".join(str(name).split()))
    half = (MAX_LABEL_LENGTH - 1) // 2
    return words if len(words) <= MAX_LABEL_LENGTH else f"{words[:half]}…{words[-half:]}"


def _whiskers(shown: pd.DataFrame) -> tuple[Any, str]:
    """Return lengths of whiskers to both sides, and what bars and whiskers are."""
    if shown["ci_low"].notna().any():
        low, high = shown["importance"] - shown["ci_low"], shown["ci_high"] - shown["importance"]
        said = "importance by attention (fraction; whiskers: 95 % interval)"
        return np.nan_to_num([low.clip(lower=0), high.clip(lower=0)]), said
    if shown["std"].notna().any():
        said = "importance by attention (fraction; whiskers: standard deviation over members)"
        return shown["std"].to_numpy(), said
    said = "importance by attention (fraction)"
    return None, said


def _first(language: Language, n_shown: int, n_all: int) -> str:
    """Return what a title says about columns that are not drawn."""
    return translate(language, " (first {n} of {total})", n=n_shown, total=n_all) if n_shown < n_all else ""


def _with_others(table: pd.DataFrame, language: Language) -> pd.DataFrame:
    """Return the columns with the largest means, in their order, and the mean of the others."""
    strongest = set(table.mean().sort_values(ascending=False, kind="stable").index[:MAX_HEAT_COLUMNS])
    is_strong = [name in strongest for name in table.columns]
    others = table.loc[:, [not each for each in is_strong]]
    name = translate(language, "mean of {n} others", n=others.shape[1])
    return pd.concat([table.loc[:, is_strong], others.mean(axis=1).rename(name)], axis=1)


def _new_axes(width: float, height: float) -> Axes:
    return Figure(figsize=(width, height)).add_subplot()


def _align_zero(ax: Axes, twin: Axes) -> None:
    """Give both axes the same place for 0, so that bars on either start at one line."""
    low, high = min(twin.dataLim.x0, 0.0), max(twin.get_xlim()[1], 0.0)
    high = max(high, -low / MAX_NEGATIVE_FRACTION)
    fraction = -low / high if high > 0 else 0.0
    twin.set_xlim(-fraction * high, high or 1.0)
    ax.set_xlim(-fraction * ax.get_xlim()[1], ax.get_xlim()[1])


def _layer_boundaries(mean_attention: pd.DataFrame) -> list[int]:
    layers = mean_attention.index.get_level_values("layer")
    return [i for i in range(1, len(layers)) if layers[i] != layers[i - 1]]
