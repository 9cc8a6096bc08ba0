"""A report to its files: the page, and its twins for programs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import get_args

from tabattn.choices import Language
from tabattn.errors import ParameterError
from tabattn.output.report.content import Report
from tabattn.output.report.html import render_html
from tabattn.output.report.markdown import render_markdown


def report_writers(report: Report) -> dict[str, Callable[[Path], None]]:
    """Return what writes report.html, report.json and report.md, by these names.

    Args:
        report: The content.
    """
    content = json.dumps(report.to_json(), ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    return {
        "report.html": text_writer(render_html(report)),
        "report.json": text_writer(content),
        "report.md": text_writer(render_markdown(report)),
    }


def text_writer(text: str) -> Callable[[Path], None]:
    """Return a function that writes a text as UTF-8.

    Args:
        text: The text.
    """
    data = text.encode("utf-8", errors="backslashreplace")

    def write(path: Path) -> None:
        path.write_bytes(data)

    return write


def check_language(language: Language) -> None:
    """Refuse languages without words.

    Args:
        language: The language.

    Raises:
        ParameterError: There are no words in it.
    """
    if language not in get_args(Language):
        raise ParameterError(f"language must be one of {', '.join(get_args(Language))}, got {language!r}.")
