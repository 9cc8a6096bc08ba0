"""A report to its files: the page, and its twins for programs."""

import html
import json
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pandas as pd
from typing_extensions import override

from tabattn.choices import Language
from tabattn.errors import ParameterError
from tabattn.files import write_all, write_atomic
from tabattn.output.report.content import Report
from tabattn.output.report.html import render_html
from tabattn.output.report.markdown import render_markdown
from tabattn.output.results import ResultFiles, result_writers
from tabattn.output.workbook import workbook_writer

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class ReportFiles(ResultFiles):
    """Results whose files include a report."""

    @override
    @abstractmethod
    def writers(
        self, *, excel_safe: bool = False, language: Language = "en", command: str = "", excel: bool = False
    ) -> dict[str, Callable[[Path], None]]:
        """Return what writes each file of `write`, by its name below the directory; see there for the arguments."""

    @override
    def write(
        self,
        directory: str | Path,
        *,
        excel_safe: bool = False,
        language: Language = "en",
        command: str = "",
        excel: bool = False,
    ) -> None:
        """Write all tables, plots and the report, and for a ranking its model, or none of them.

        Args:
            directory: Where to; made if it does not exist. Files of an earlier run are replaced.
            excel_safe: See `tabattn.output.results.csv_writer`.
            language: Language of the report: "en" or "ko".
            command: The command to reproduce the results, shown in the report; may be empty.
            excel: Whether to write results.xlsx too; needs the extra `excel`.

        Raises:
            OutputError: A file can't be written.
            ParameterError: The language is not supported, or XlsxWriter is not installed.
        """
        writers = self.writers(excel_safe=excel_safe, language=language, command=command, excel=excel)
        write_all(Path(directory), writers)


class ReportedResults(ReportFiles):
    """Results of one analysis: tables, plots, and a report of them."""

    @abstractmethod
    def report(self, *, language: Language = "en", command: str = "") -> Report:
        """Return the content of the report.

        Args:
            language: Language of its text: "en" or "ko".
            command: The command to reproduce the results; may be empty.

        Raises:
            ParameterError: The language is not supported.
        """

    @abstractmethod
    def _tables(self) -> dict[str, pd.DataFrame]:
        """Return all tables by the names of their files."""

    @abstractmethod
    def _plots(self, language: Language) -> "dict[str, Callable[[], Axes]]":
        """Return functions that draw the plots in a language, by the names of their files."""

    @override
    def writers(
        self, *, excel_safe: bool = False, language: Language = "en", command: str = "", excel: bool = False
    ) -> dict[str, Callable[[Path], None]]:
        tables = self._tables()
        return (
            result_writers(tables, self._plots(language), excel_safe=excel_safe)
            | report_writers(self.report(language=language, command=command))
            | ({"results.xlsx": workbook_writer(tables)} if excel else {})
        )

    def to_html(self, path: str | Path, *, language: Language = "en", command: str = "") -> None:
        """Write the report as one self-contained page, atomically.

        Args:
            path: Where to.
            language: Language of its text: "en" or "ko".
            command: The command to reproduce the results; may be empty.

        Raises:
            OutputError: The file can't be written.
            ParameterError: The language is not supported.
        """
        write_atomic(Path(path), text_writer(render_html(self.report(language=language, command=command))))

    def to_excel(self, path: str | Path) -> None:
        """Write all tables to one workbook, a sheet each, atomically; needs the extra `excel`.

        Args:
            path: Where to, an .xlsx file.

        Raises:
            OutputError: The file can't be written.
            ParameterError: The name of the file ends in something else, XlsxWriter is not installed, or a table does
                not fit on a sheet.
        """
        if Path(path).suffix.lower() != ".xlsx":
            raise ParameterError(f"The file must end in .xlsx, got {str(path)!r}. For CSV files: write().")
        write_atomic(Path(path), workbook_writer(self._tables()))

    def _repr_html_(self) -> str:
        """Return the report in a frame, for notebooks."""
        page = html.escape(render_html(self.report()), quote=True)
        return f'<iframe srcdoc="{page}" style="width:100%;height:40rem;border:0" title="tabattn"></iframe>'


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
    """Refuse a language that is not supported.

    Args:
        language: The language.

    Raises:
        ParameterError: It is not supported.
    """
    if language not in get_args(Language):
        raise ParameterError(f"language must be one of {', '.join(get_args(Language))}, got {language!r}.")
