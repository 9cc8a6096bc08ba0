import shutil
import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.testing.compare import compare_images
from PIL import Image

from tabattn.errors import MissingGlyphWarning
from tabattn.importance.aggregation import normalize_scores
from tabattn.importance.maps import head_table
from tabattn.importance.permutation import PermutationScores
from tabattn.importance.table import ImportanceTable, importance_table
from tabattn.importance.units import units_of
from tabattn.output.fonts import warn_of_missing_glyphs
from tabattn.output.plots import (
    plot_agreement,
    plot_attention,
    plot_clusters,
    plot_drift,
    plot_effect,
    plot_effects,
    plot_history,
    plot_importance,
    plot_methods,
    plot_ranks,
    plot_rows,
    save_figure,
)
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
    assert [label.get_text() for label in heat.get_xticklabels()][-1] == "mean of 40 others"
    between = pd.DataFrame(np.random.default_rng(0).random((100, 100)))
    between = between.set_axis([f"x{i}" for i in range(100)], axis=0).set_axis([f"x{i}" for i in range(100)], axis=1)
    square = plot_attention(between)
    assert np.asarray(square.images[0].get_array()).shape == (61, 61)
    assert [label.get_text() for label in square.get_yticklabels()][-1] == "mean of 40 others"


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
    names = ["n" * 10_001, "two\nlines", "x"]
    index = pd.MultiIndex.from_product([["train", "eval"], [1, 2]], names=["mode", "epoch"])
    history = plot_history(pd.DataFrame(np.ones((4, 3)), index=index, columns=names))
    legend = history.get_legend()
    assert legend is not None
    expected = {"n" * 19 + "…" + "n" * 19, "two lines", "x"}
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


def ranking_with_tests() -> pd.DataFrame:
    """Six columns of which four are selected, with intervals, and ranks that disagree about the last two."""
    table = make_table(6)
    importance = table["importance"]
    return table.assign(
        ci_low=importance * 0.8, ci_high=importance * 1.1, selected=[True] * 4 + [False] * 2, q_value=0.01,
        permutation_rank=[1, 2, 5, 6, 4, 3],
    )  # fmt: skip


def effect_of(values: list[str], output: str = "") -> pd.DataFrame:
    n = len(values)
    line = np.linspace(0.2, 0.8, n)
    return pd.DataFrame(
        {
            "feature": "온도", "output": output, "value": values, "n_rows": range(1, n + 1), "target_mean": line,
            "prediction": line, "low": line - 0.1, "high": line + 0.1,
        }
    )  # fmt: skip


def test_intervals_and_selected_columns_are_marked() -> None:
    ax = plot_importance(ranking_with_tests())
    assert "95 % interval" in ax.get_xlabel()
    colors = [bar.get_facecolor() for bar in ax.patches]
    assert [colors.index(color) for color in colors] == [0, 0, 2, 2, 2, 2]
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()][1] == "attention; not shown to add to the others"


def test_ranks_that_differ_much_stand_out() -> None:
    ax = plot_ranks(ranking_with_tests())
    lines = [line.get_ydata() for line in ax.lines]
    assert [tuple(map(int, np.asarray(line))) for line in lines] == [(1, 1), (2, 2), (3, 5), (4, 6), (5, 4), (6, 3)]
    assert [line.get_color() for line in ax.lines].count(ax.lines[-1].get_color()) == 1
    assert {"x5  6", "6  x3"} <= {text.get_text() for text in ax.texts}
    tied = plot_ranks(ranking_with_tests().assign(permutation_rank=2))
    assert "2  x0, x1, x2, x3, x4, x5" in {text.get_text() for text in tied.texts}


def test_disagreements_are_named() -> None:
    assert [text.get_text() for text in plot_agreement(ranking_with_tests()).texts] == ["x5"]
    assert len(plot_agreement(ranking_with_tests().assign(permutation_rank=np.nan)).texts) == 0


def test_effects_of_numbers_levels_and_missing_cells() -> None:
    numeric = plot_effect(effect_of(["1", "2.5", "1e3", ""]))
    assert numeric.get_xticklabels()[-1].get_text() == "missing"
    np.testing.assert_allclose(np.asarray(numeric.lines[0].get_xdata(), dtype=float), [1, 2.5, 1000])
    levels = plot_effect(effect_of(["A", "B", ""], "bad"))
    assert [label.get_text() for label in levels.get_xticklabels()] == ["A", "B", "missing"]
    assert levels.get_ylabel() == "probability of bad"
    figure = plot_effects([effect_of(["1", "2"])] * 4).figure
    assert [ax.axison for ax in figure.axes] == [True] * 4 + [False] * 2


def test_rows_that_resemble_each_other_are_together() -> None:
    scores = pd.DataFrame({"a": [1.0, 0.0] * 4, "b": [0.0, 1.0] * 4})
    shown = np.asarray(plot_rows(scores).images[0].get_array())
    assert np.abs(np.diff(shown, axis=0)).sum() == 2
    assert plot_rows(scores.head(1)).images[0].get_array() is not None


BASELINES = Path(__file__).parent / "baselines"


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["importance", "ranks", "agreement", "attention", "history", "drift", "methods", "effects", "rows", "clusters"],
)
def test_pictures_look_as_they_did(name: str, tmp_path: Path) -> None:
    """After a change that is meant, delete the picture in baselines/ and run this: it is written again."""
    random = np.random.default_rng(0)
    index = pd.MultiIndex.from_product([["train", "eval"], [1, 2, 3]], names=["mode", "epoch"])
    names = ["heat", "온도", "line speed", "x" * 60]
    drifted = [True, False, False, False]
    drift = pd.DataFrame({"feature": names, "training": 0.2, "inference": [0.1, 0.2, 0.3, 0.4], "drifted": drifted})
    drawn = {
        "importance": lambda: plot_importance(ranking_with_tests()),
        "ranks": lambda: plot_ranks(ranking_with_tests()),
        "agreement": lambda: plot_agreement(ranking_with_tests()),
        "attention": lambda: plot_attention(head_table(random.random((3, 2, 4)), tuple(names))),
        "history": lambda: plot_history(pd.DataFrame(random.random((6, 4)), index, names), best_epoch=2),
        "drift": lambda: plot_drift(drift),
        "methods": lambda: plot_methods(pd.DataFrame({"ours": [1, 2], "theirs": [2, 1]}, index=["heat", "온도"])),
        "effects": lambda: plot_effects([effect_of(["1", "2", ""]), effect_of(["A", "B"], "bad")]),
        "clusters": lambda: plot_clusters(
            pd.DataFrame(np.eye(4) / 2 + 0.4 * np.tri(4) @ np.tri(4).T / 4, names, names)
        ),
        "rows": lambda: plot_rows(pd.DataFrame(random.normal(size=(30, 4)), columns=names)),
    }
    made, kept = tmp_path / f"{name}.png", BASELINES / f"{name}.png"
    save_figure(drawn[name](), made)
    with Image.open(made) as picture:
        picture.resize((picture.width // 2, picture.height // 2)).convert("P", palette=Image.Palette.ADAPTIVE).save(
            made
        )
    if not kept.exists():
        kept.parent.mkdir(exist_ok=True)
        shutil.copy(made, kept)
        pytest.fail(f"{kept} was written: look at it, and commit it")
    assert compare_images(str(kept), str(made), tol=12) is None
