import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import font_manager
from matplotlib.figure import Figure

from tabattn.errors import MissingGlyphWarning
from tabattn.importance.aggregation import normalize_scores
from tabattn.importance.maps import head_table
from tabattn.importance.permutation import PermutationScores
from tabattn.importance.table import ImportanceTable, importance_table
from tabattn.importance.units import units_of
from tabattn.output.plots import plot_attention, plot_history, plot_importance, save_figure, warn_of_missing_glyphs
from tabattn.table.schema import Column, Kind, TableSchema


def make_table(n_columns: int, with_permutation: bool = True) -> pd.DataFrame:
    schema = TableSchema(tuple(Column(f"x{i}", Kind.NUMERIC, (), is_constant=False) for i in range(n_columns)))
    scores = normalize_scores(np.linspace(2, 0, n_columns)[None] * [[0.9], [1.1]])
    permutation = PermutationScores(np.linspace(1, -0.1, n_columns)[:, None] + [[0.0, 0.02]], "r2")
    return importance_table(units_of(schema), scores, permutation if with_permutation else None)


def test_bars_have_the_lengths_of_the_table_with_rank_1_on_top() -> None:
    table = make_table(6)
    ax = plot_importance(table)
    twin = ax.figure.axes[1]
    lengths = [bar.get_width() for bar in ax.patches]  # type: ignore[attr-defined]
    permutation = [bar.get_width() for bar in twin.patches]  # type: ignore[attr-defined]
    assert lengths == table["importance"].tolist()[::-1]
    assert permutation == table["permutation_mean"].tolist()[::-1]
    assert [label.get_text() for label in ax.get_yticklabels()] == [f"x{i}" for i in reversed(range(6))]


def test_whiskers_are_explained_where_there_are_some() -> None:
    table = make_table(6)
    assert "whiskers: standard deviation over members" in plot_importance(table).get_xlabel()
    of_one_member = plot_importance(table.assign(std=np.nan))
    assert of_one_member.get_xlabel() == "importance by attention (fraction)"


def test_both_axes_have_zero_in_the_same_place() -> None:
    ax = plot_importance(make_table(6))
    shares = [-axis.get_xlim()[0] / np.ptp(axis.get_xlim()) for axis in ax.figure.axes[:2]]
    assert shares[0] == pytest.approx(shares[1])
    assert shares[0] > 0


def test_negative_permutation_importance_leaves_room_for_attention() -> None:
    table = make_table(3).assign(permutation_mean=[-0.5, -0.2, 0.0], permutation_std=0.0)
    ax, twin = plot_importance(table).figure.axes[:2]
    assert twin.get_xlim()[0] <= -0.5
    assert -ax.get_xlim()[0] <= 0.31 * ax.get_xlim()[1]


def test_wide_tables_are_cut_and_say_so() -> None:
    ax = plot_importance(make_table(100, with_permutation=False))
    assert len(ax.patches) == 30
    assert "first 30 of 100" in ax.get_title()
    heat = plot_attention(head_table(np.random.default_rng(0).random((1, 2, 100)), tuple(f"x{i}" for i in range(100))))
    assert "40 weaker columns not shown" in heat.get_title()


def test_heat_map_shows_the_table() -> None:
    table = head_table(np.random.default_rng(0).random((3, 2, 4)), tuple("abcd"))
    ax = plot_attention(table)
    np.testing.assert_array_equal(ax.images[0].get_array(), table.to_numpy())
    assert [label.get_text() for label in ax.get_xticklabels()] == list("abcd")
    assert [label.get_text() for label in ax.get_yticklabels()][2] == "layer 2, head 1"


def test_history_draws_both_modes() -> None:
    index = pd.MultiIndex.from_product([["train", "eval"], [1, 2, 3]], names=["mode", "epoch"])
    history = pd.DataFrame(np.random.default_rng(0).random((6, 12)), index=index, columns=[f"x{i}" for i in range(12)])
    ax = plot_history(history, best_epoch=2)
    lines = {line.get_label(): line for line in ax.lines}
    assert len(ax.lines) == 2 * 8 + 1
    strongest = str(history.xs(("eval", 3)).idxmax())
    np.testing.assert_array_equal(lines[strongest].get_ydata(), history.xs("eval")[strongest])


def test_long_names_are_cut_in_every_plot() -> None:
    names = ["n" * 10_000, "two\nlines", "x"]
    index = pd.MultiIndex.from_product([["train", "eval"], [1, 2]], names=["mode", "epoch"])
    history = plot_history(pd.DataFrame(np.ones((4, 3)), index=index, columns=names))
    legend = history.get_legend()
    assert legend is not None
    expected = {"n" * 37 + "...", "two lines", "x"}
    assert {text.get_text() for text in legend.get_texts()} == expected
    bars = plot_importance(make_table(3).assign(feature=names))
    assert {label.get_text() for label in bars.get_yticklabels()} == expected
    heat = plot_attention(head_table(np.ones((1, 1, 3)), tuple(names)))
    assert {label.get_text() for label in heat.get_xticklabels()} == expected


def test_given_axes_are_drawn_on_and_returned() -> None:
    ax = Figure().add_subplot()
    assert plot_importance(make_table(3), ax) is ax


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_same_plot_gives_the_same_bytes_and_names_are_no_formulas(tmp_path: Path, suffix: str) -> None:
    table = make_table(3).assign(feature=["a$b$", "온도", "_x^"])
    settings = dict(mpl.rcParams)
    for name in ("one", "two"):
        save_figure(plot_importance(table), tmp_path / (name + suffix))
    content = (tmp_path / f"one{suffix}").read_bytes()
    assert content == (tmp_path / f"two{suffix}").read_bytes()
    assert dict(mpl.rcParams) == settings
    if suffix == ".svg":
        assert "온도".encode() in content
        assert b"a$b$" in content


def test_characters_that_no_font_has_are_named() -> None:
    with pytest.warns(MissingGlyphWarning, match="No installed font can draw"):
        warn_of_missing_glyphs(("plain", "\U000e0020\U0010fffd\ufffe\u07ff\U00012000"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_missing_glyphs(("plain", "Größe µm²"))


def test_hangul_han_and_kana_are_drawn_on_a_machine_without_fonts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With the fonts that Matplotlib brings alone. Boxes would be the same for any two words of one length."""
    manager = font_manager.fontManager
    own = [font for font in manager.ttflist if Path(font.fname).is_relative_to(mpl.get_data_path())]
    monkeypatch.setattr(manager, "ttflist", list(own))
    drawn = []
    for name in ("라인속도", "오븐온도", "漢字漢字", "かなカナ", "カナかな"):
        table = make_table(2).assign(feature=[name, "℃ µm²"])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warn_of_missing_glyphs((name, "℃ µm²"))
            save_figure(plot_importance(ImportanceTable(table)), tmp_path / "a.png")
        drawn.append((tmp_path / "a.png").read_bytes())
    assert len(set(drawn)) == 5
    assert manager.ttflist == own, "Matplotlib knows what it knew before"
