"""Tables to Axes: every function draws what it is given and computes nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import matplotlib as mpl
import pandas as pd
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font

from tabattn.errors import MissingGlyphWarning, printable, warn_all
from tabattn.importance.table import ImportanceTable
from tabattn.process_state import loggers_quiet, warnings_ignored

MAX_BARS = 30
MAX_HEAT_COLUMNS = 60
MAX_LINES = 8
MAX_LABEL_LENGTH = 40
MAX_NEGATIVE_FRACTION, MAX_LIGHT_TEXT = 0.3, 0.6
BAR_COLORS = ("#2f6f9f", "#d98c2b")
FONT_PACKAGE, FONT_NAME, FONT_FILE = "koreanize_matplotlib", "NanumGothic", "NanumGothic.ttf"
FALLBACK_FONTS = (
    "Malgun Gothic",
    "Apple SD Gothic Neo",
    "AppleGothic",
    "NanumGothic",
    "Noto Sans CJK KR",
    "Noto Sans KR",
    "Noto Sans CJK JP",
    "Microsoft YaHei",
    "PingFang SC",
    "Arial Unicode MS",
)


def plot_importance(table: ImportanceTable, ax: Axes | None = None) -> Axes:
    """Draw ranked bars of importance, with permutation importance next to them on its own axis.

    Args:
        table: An ImportanceTable; the first 30 columns are drawn.
        ax: Where to draw; None for a new figure.

    Returns:
        The Axes.
    """
    shown = table.head(MAX_BARS).iloc[::-1]
    has_permutation = bool(shown["permutation_mean"].notna().any())
    with _fonts():
        ax = _new_axes(8.0, 1.6 + 0.34 * len(shown)) if ax is None else ax
        offset, height = (0.2, 0.38) if has_permutation else (0.0, 0.7)
        positions = pd.RangeIndex(len(shown))
        error = shown["std"].to_numpy() if shown["std"].notna().any() else None
        style: dict[str, Any] = {"ecolor": "#333333", "error_kw": {"linewidth": 0.8}}
        bars = [
            ax.barh(
                positions + offset,
                shown["importance"],
                height,
                xerr=error,
                color=BAR_COLORS[0],
                label="attention",
                **style,
            )
        ]
        whiskers = "" if error is None else "; whiskers: standard deviation over members"
        ax.set_xlabel(f"importance by attention (fraction{whiskers})", color=BAR_COLORS[0])
        ax.set_yticks(positions, [_label(name) for name in shown["feature"]])
        ax.set_ylim(-0.7, len(shown) - 0.3)
        ax.set_xlim(left=0)
        if has_permutation:
            twin = ax.twiny()
            bars.append(
                twin.barh(
                    positions - offset,
                    shown["permutation_mean"],
                    height,
                    xerr=shown["permutation_std"],
                    color=BAR_COLORS[1],
                    label="permutation",
                    **style,
                )
            )
            twin.set_xlabel("permutation importance (decrease in the held-out score)", color=BAR_COLORS[1])
            _align_zero(ax, twin)
            ax.legend(handles=bars, loc="lower right")
        hidden = len(table) - len(shown)
        title = "Which columns drive the target" + (f" (first {len(shown)} of {len(table)})" if hidden else "")
        ax.set_title(title)
    return ax


def plot_attention(mean_attention: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw a heat map of attention: of CLS, layers and heads against columns, or of columns against columns.

    Args:
        mean_attention: One row per (layer, head) or per attending column, one column per feature; at most 60 columns
            are drawn, those with the most attention.
        ax: Where to draw; None for a new figure.

    Returns:
        The Axes.
    """
    shown = mean_attention
    if shown.shape[1] > MAX_HEAT_COLUMNS:
        strongest = shown.mean().sort_values(ascending=False, kind="stable").index[:MAX_HEAT_COLUMNS]
        shown = shown[[name for name in shown.columns if name in set(strongest)]]
    is_by_head = isinstance(shown.index, pd.MultiIndex)
    if not is_by_head and len(shown) > MAX_HEAT_COLUMNS:
        shown = shown.loc[[name for name in shown.index if name in set(shown.columns)]]
    with _fonts():
        n_rows, n_columns = shown.shape
        ax = _new_axes(3.0 + 0.32 * max(n_columns, 8), 2.2 + 0.2 * n_rows) if ax is None else ax
        image = ax.imshow(shown.to_numpy(), aspect="auto", cmap="viridis", vmin=0.0)
        ax.set_xticks(
            range(n_columns), [_label(name) for name in shown.columns], rotation=60, ha="right", rotation_mode="anchor"
        )
        labels = [f"layer {row[0]}, head {row[1]}" if is_by_head else _label(row) for row in shown.index]
        ax.set_yticks(range(n_rows), labels, fontsize="small")
        for boundary in _layer_boundaries(shown) if is_by_head else ():
            ax.axhline(boundary - 0.5, color="white", linewidth=1.5)
        hidden = mean_attention.shape[1] - n_columns
        title = "Attention of CLS to each column" if is_by_head else "Attention of columns (left) to columns (below)"
        ax.set_title(title + (f" ({hidden} weaker columns not shown)" if hidden else ""))
        cast("Figure", ax.figure).colorbar(image, ax=ax, label="attention, mean over members and rows")
    return ax


def plot_history(history: pd.DataFrame, ax: Axes | None = None, best_epoch: int | None = None) -> Axes:
    """Draw the attention to each column over epochs: dashed in train mode, solid in eval mode.

    Args:
        history: Index (mode, epoch) against features, see `attention_history_`; the eight features with the most
            attention in the last epoch are drawn.
        ax: Where to draw; None for a new figure.
        best_epoch: Epoch whose weights were kept, marked by a line.

    Returns:
        The Axes.
    """
    train, evaluated = history.loc["train"], history.loc["eval"]
    strongest = evaluated.iloc[-1].sort_values(ascending=False, kind="stable").index[:MAX_LINES]
    with _fonts():
        ax = _new_axes(8.0, 4.8) if ax is None else ax
        for i, name in enumerate(strongest):
            color = f"C{i}"
            ax.plot(evaluated.index, evaluated[name], color=color, label=_label(name))
            ax.plot(train.index, train[name], color=color, linestyle="--", linewidth=1.0)
        if best_epoch is not None:
            ax.axvline(best_epoch, color="#888888", linewidth=1.0, linestyle=":")
            ax.annotate(
                " weights kept", (best_epoch, 1.0), xycoords=("data", "axes fraction"), va="top", color="#666666"
            )
        ax.set_xlabel(str(history.index.names[-1] or "epoch"))
        ax.set_ylabel("mean attention")
        ax.set_ylim(bottom=0)
        ax.set_title("Attention while training (solid: eval mode, dashed: train mode)")
        lines = ax.lines[: 2 * len(strongest) : 2]
        ax.legend(
            lines, [_label(name) for name in strongest], loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False
        )
    return ax


def plot_drift(drift: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the mean attention to each column in training and at inference.

    Args:
        drift: The table of `tabattn.importance.drift.attention_drift`; the first 30 columns are drawn, those that
            drifted with a star.
        ax: Where to draw; None for a new figure.

    Returns:
        The Axes.
    """
    shown = drift.head(MAX_BARS).iloc[::-1]
    with _fonts():
        ax = _new_axes(8.0, 1.6 + 0.34 * len(shown)) if ax is None else ax
        positions = pd.RangeIndex(len(shown))
        ax.barh(positions + 0.2, shown["training"], 0.38, color=BAR_COLORS[0], label="training")
        ax.barh(positions - 0.2, shown["inference"], 0.38, color=BAR_COLORS[1], label="these rows")
        pairs = zip(shown["feature"], shown["drifted"], strict=True)
        ax.set_yticks(positions, [_label(name) + (" *" if drifted else "") for name, drifted in pairs])
        ax.set_ylim(-0.7, len(shown) - 0.3)
        ax.set_xlabel("mean attention (* drifted: adjusted p of at most .05)")
        hidden = len(drift) - len(shown)
        ax.set_title("Attention now and in training" + (f" (first {len(shown)} of {len(drift)})" if hidden else ""))
        ax.legend(loc="lower right")
    return ax


def plot_methods(ranks: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the ranks of features by several methods: dark is first.

    Args:
        ranks: One row per feature, one column per method; the first 30 features are drawn.
        ax: Where to draw; None for a new figure.

    Returns:
        The Axes.
    """
    shown = ranks.head(MAX_BARS)
    with _fonts():
        ax = _new_axes(3.0 + 0.9 * shown.shape[1], 2.4 + 0.3 * len(shown)) if ax is None else ax
        ax.imshow(shown.to_numpy(), aspect="auto", cmap="Blues_r", vmin=0.0, vmax=float(len(ranks)) * 1.4)
        for row, values in enumerate(shown.to_numpy()):
            for place, value in enumerate(values):
                is_dark = value < len(ranks) * MAX_LIGHT_TEXT
                ax.text(place, row, f"{value:g}", ha="center", va="center", color="white" if is_dark else "black")
        ax.set_xticks(range(shown.shape[1]), list(shown.columns), rotation=40, ha="right", rotation_mode="anchor")
        ax.set_yticks(range(len(shown)), [_label(name) for name in shown.index])
        hidden = len(ranks) - len(shown)
        ax.set_title("Ranks by each method" + (f" (first {len(shown)} of {len(ranks)})" if hidden else ""))
    return ax


def save_figure(ax: Axes, path: Path) -> None:
    """Write the figure of some Axes to a file; the same figure gives the same bytes.

    Args:
        ax: Axes of the figure.
        path: A .png or .svg file.
    """
    metadata = {"Date": None} if path.suffix == ".svg" else {}
    with _fonts(), mpl.rc_context({"svg.hashsalt": "tabattn", "svg.fonttype": "none"}):
        cast("Figure", ax.figure).savefig(path, dpi=150, bbox_inches="tight", metadata=metadata)


def warn_of_missing_glyphs(names: tuple[str, ...]) -> None:
    """Warn once if no installed font can draw a character of the names.

    Args:
        names: Names of columns.
    """
    with _fonts() as families:
        fonts = [FT2Font(font_manager.findfont(family)) for family in families]
    missing = {
        character
        for character in set("".join(names))
        if character.isprintable() and not any(font.get_char_index(ord(character)) for font in fonts)
    }
    if missing:
        message = (
            f"No installed font can draw {''.join(sorted(missing)[:10])!r}; "
            "PNG plots show boxes instead, SVG plots are fine. Install a font such as Noto Sans CJK."
        )
        warn_all([MissingGlyphWarning(message)])


def _label(name: object) -> str:
    """Return a name on one line and short enough to leave room for the plot."""
    words = printable(" ".join(str(name).split()))
    return words if len(words) <= MAX_LABEL_LENGTH else words[: MAX_LABEL_LENGTH - 3] + "..."


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


@contextmanager
def _fonts() -> Iterator[list[str]]:
    """Draw Hangul, Han and Kana with whatever font is installed, else the one that comes along; names are no formulas.

    Yields:
        The families of fonts, in the order in which they are tried.
    """
    with _own_font():
        installed = {font.name for font in font_manager.fontManager.ttflist}
        families = ["DejaVu Sans", *(name for name in FALLBACK_FONTS if name in installed)]
        with (
            loggers_quiet("matplotlib.font_manager"),
            warnings_ignored("Glyph .* missing from font"),
            mpl.rc_context({"font.family": families, "text.parse_math": False}),
        ):
            yield families


@contextmanager
def _own_font() -> Iterator[None]:
    """Let Matplotlib know NanumGothic, a file of a package that is not imported: it would change rcParams.

    Where it is known already, nothing is done; afterwards Matplotlib knows what it knew before.
    """
    package = find_spec(FONT_PACKAGE)
    places = [] if package is None else list(package.submodule_search_locations or ())
    known = font_manager.fontManager.ttflist
    if not places or any(font.name == FONT_NAME for font in known):
        yield
        return
    before = list(known)
    font_manager.fontManager.addfont(Path(places[0], "fonts", FONT_FILE))
    try:
        yield
    finally:
        known[:] = before
