"""Fonts of plots: Hangul, Han and Kana are drawn on machines that have no font for them."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

from tabattn.errors import MissingGlyphWarning, warn_all
from tabattn.process_state import loggers_quiet, warnings_ignored

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


@contextmanager
def fonts() -> Iterator[list[str]]:
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


def warn_of_missing_glyphs(names: tuple[str, ...]) -> None:
    """Warn once if no installed font can draw a character of the names.

    Args:
        names: Names of columns.
    """
    with fonts() as families:
        installed = [FT2Font(font_manager.findfont(family)) for family in families]
    missing = {
        character
        for character in set("".join(names))
        if character.isprintable() and not any(font.get_char_index(ord(character)) for font in installed)
    }
    if missing:
        message = (
            f"No installed font can draw {''.join(sorted(missing)[:10])!r}; "
            "PNG plots show boxes instead, SVG plots are fine. Install a font such as Noto Sans CJK."
        )
        warn_all([MissingGlyphWarning(message)])
