"""`tabattn explain`, `report` and `predict`: a saved model reads new rows."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tabattn.choices import DEFAULT_METHOD, Language, Method
from tabattn.cli.jobs import command_line, fail, files_in, open_page, run_into, run_job, shows_progress
from tabattn.cli.options import (
    AsJson,
    Config,
    Excel,
    ExcelSafe,
    HeaderRow,
    Lang,
    MaxMemory,
    Opens,
    Out,
    Quiet,
    Sheet,
    UnitsRow,
    groups_of,
)
from tabattn.errors import printable
from tabattn.output.terminal import PlainConsole, print_explanation
from tabattn.translations import translate

if TYPE_CHECKING:
    import pandas as pd

    from tabattn.explanation import Explanation

FILES = (
    *("report.html", "predictions.csv", "explanations.csv", "importance.csv", "attention.csv", "drift.csv"),
    *("scores.csv", "diagnostics.csv"),
)
Model = Annotated[Path, typer.Argument(help="A saved model: model.tabattn of an earlier `rank`.")]
Table = Annotated[Path, typer.Argument(help="A file with rows, with the columns that the model was fitted on.")]


def explain_command(
    model: Model,
    table: Table,
    out: Out,
    target: Annotated[
        str | None,
        typer.Option(help="Name of the true target, if the table has it; else the predictions are explained."),
    ] = None,
    method: Annotated[Method, typer.Option(help="How attention becomes scores.")] = DEFAULT_METHOD,
    group: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=COLUMN", help="Score a column as part of a group; repeat for its other columns."),
    ] = None,
    additive: Annotated[
        bool,
        typer.Option(
            "--additive", help="Also divide each prediction, less the mean, among the columns (Shapley values)."
        ),
    ] = False,
    sheet: Sheet = None,
    header_row: HeaderRow = None,
    units_row: UnitsRow = None,
    max_memory: MaxMemory = None,
    excel_safe: ExcelSafe = False,
    excel: Excel = False,
    lang: Lang = "en",
    opens: Opens = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    _config: Config = None,
) -> None:
    """Explain the predictions of a saved MODEL for the new rows of TABLE, and compare its attention with training.

    Writes report.html, predictions.csv, explanations.csv, importance.csv, attention.csv, drift.csv, scores.csv,
    diagnostics.csv, with --additive also additive.csv, and plots/ to the output directory.
    """

    def job() -> "Explanation":
        from tabattn.explanation import explain

        found = explain(
            model,
            table,
            target=target,
            method=method,
            groups=groups_of(group),
            additive=additive,
            sheet=sheet,
            header_row=header_row,
            units_row=units_row,
            max_memory=max_memory,
            verbose=shows_progress(quiet),
        )
        found.write(out, excel_safe=excel_safe, language=lang, command=command_line(), excel=excel)
        return found

    found = run_into(out, job, quiet=quiet, language=lang)
    if as_json:
        typer.echo((out / "report.json").read_text(encoding="utf-8").strip())
    elif not quiet:
        console = PlainConsole()
        print_explanation(console, found, lang)
        files = [*FILES, *(["additive.csv"] if additive else []), "plots/"]
        console.print("\n" + translate(lang, "Files: {files}", files=files_in(out, files)))
    if opens:
        open_page(out / "report.html")


def report_command(
    model: Model,
    table: Table,
    out: Annotated[Path, typer.Option(help="The page; replaced if it exists.")] = Path("report.html"),
    target: Annotated[str | None, typer.Option(help="Name of the true target, if the table has it.")] = None,
    sheet: Sheet = None,
    header_row: HeaderRow = None,
    units_row: UnitsRow = None,
    max_memory: MaxMemory = None,
    lang: Lang = "en",
    opens: Opens = False,
    quiet: Quiet = False,
    _config: Config = None,
) -> None:
    """Write one page about the rows of TABLE: how a saved MODEL predicts them, why, and whether they have drifted.

    The page is that of `explain`, without its tables and plots.
    """

    def job() -> None:
        from tabattn.explanation import explain

        found = explain(
            model,
            table,
            target=target,
            sheet=sheet,
            header_row=header_row,
            units_row=units_row,
            max_memory=max_memory,
            verbose=shows_progress(quiet),
        )
        found.to_html(out, language=lang, command=command_line())

    run_job(job, quiet=quiet, language=lang)
    if not quiet:
        typer.echo(translate(lang, "Page: {file}", file=printable(str(out))))
    if opens:
        open_page(out)


def predict_command(
    model: Model,
    table: Table,
    out: Annotated[
        Path,
        typer.Option(
            help="The file: .csv or .parquet; replaced if it exists. Or a directory: then a table of Parquet files of "
            "any size is predicted file by file."
        ),
    ] = Path("predictions.csv"),
    lang: Lang = "en",
    sheet: Sheet = None,
    header_row: HeaderRow = None,
    units_row: UnitsRow = None,
    max_memory: MaxMemory = None,
    excel_safe: ExcelSafe = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    _config: Config = None,
) -> None:
    """Predict the rows of TABLE with a saved MODEL, and nothing else.

    Writes the number of each row, the columns that the model does not read, such as serial numbers, the prediction, and
    between which numbers nine tenths of such targets lie, or the probability of each class.
    """
    if not out.suffix:
        if excel_safe or (sheet, header_row, units_row, max_memory) != (None,) * 4:
            fail("--out must be a .csv or .parquet file with options of sheets, rows, memory or Excel, got a folder.")
        in_parts(model, table, out, as_json=as_json, quiet=quiet, lang=lang)
        return

    def job() -> "pd.DataFrame":
        from tabattn.output.results import table_writer
        from tabattn.prediction import predict

        writes = table_writer(out, excel_safe=excel_safe)
        found = predict(model, table, sheet=sheet, header_row=header_row, units_row=units_row, max_memory=max_memory)
        writes(found)
        return found

    found = run_job(job, quiet=quiet, language=lang)
    if as_json:
        typer.echo(found.to_json(orient="records", force_ascii=False, date_format="iso"))
    elif not quiet:
        typer.echo(translate(lang, "{n} rows predicted: {file}", n=len(found), file=printable(str(out))))


def in_parts(model: Path, table: Path, out: Path, *, as_json: bool, quiet: bool, lang: Language) -> None:
    """Predict a table of many files, file by file.

    Args:
        model: The saved model.
        table: The files.
        out: Directory for the predictions.
        as_json: Whether to print the result as JSON.
        quiet: Whether to print nothing else.
        lang: Language of the terminal.
    """

    def job() -> int:
        from tabattn.prediction import predict_files

        return predict_files(model, table, out)

    n_rows = run_into(out, job, quiet=quiet, language=lang)
    if as_json:
        typer.echo(json.dumps({"directory": str(out), "rows": n_rows}))
    elif not quiet:
        typer.echo(translate(lang, "{n} rows predicted: {file}", n=n_rows, file=f"{printable(str(out))}/"))
