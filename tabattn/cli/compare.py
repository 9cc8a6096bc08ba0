"""`tabattn compare`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tabattn.cli.jobs import files_in, run_into, shows_progress
from tabattn.cli.options import (
    AsJson,
    Config,
    ExcelSafe,
    HeaderRow,
    Lang,
    MaxMemory,
    Out,
    Quiet,
    Sheet,
    UnitsRow,
)
from tabattn.output.terminal import PlainConsole, print_methods
from tabattn.translations import translate

if TYPE_CHECKING:
    from tabattn.comparing import ImportanceComparison

FILES = ("shares.csv", "ranks.csv", "agreement.csv", "seconds.csv", "plots/")


def compare_command(
    table: Annotated[Path, typer.Argument(help="A file with a header line.")],
    target: Annotated[str, typer.Option(help="Name of the target column.")],
    out: Out,
    method: Annotated[
        list[str] | None, typer.Option(help="Another method, such as 'LightGBM, gain'; repeat; all if not given.")
    ] = None,
    drop: Annotated[list[str] | None, typer.Option(help="Name of a column to leave out; may be repeated.")] = None,
    split_by: Annotated[list[str] | None, typer.Option(metavar="COLUMN", help="As for `rank`.")] = None,
    order_by: Annotated[str | None, typer.Option(metavar="COLUMN", help="As for `rank`.")] = None,
    max_epochs: Annotated[int, typer.Option(min=1, help="Passes over the training rows at most.")] = 100,
    seed: Annotated[int, typer.Option(help="The same seed gives the same ranking.")] = 0,
    sheet: Sheet = None,
    header_row: HeaderRow = None,
    units_row: UnitsRow = None,
    max_memory: MaxMemory = None,
    excel_safe: ExcelSafe = False,
    lang: Lang = "en",
    as_json: AsJson = False,
    quiet: Quiet = False,
    _config: Config = None,
) -> None:
    """Rank the columns of TABLE by this package, and by forests, boosting, SHAP and gain, on the same rows.

    Writes shares.csv, ranks.csv, agreement.csv, seconds.csv and plots/methods to the output directory. LightGBM,
    XGBoost, CatBoost, shap, boruta and hidimstat take part where they are installed (extra compare).
    """

    def job() -> "ImportanceComparison":
        from tabattn.comparing import compare

        found = compare(
            table,
            target,
            methods=method or None,
            drop=drop or (),
            split_by=split_by or (),
            order_by=order_by,
            max_epochs=max_epochs,
            random_state=seed,
            sheet=sheet,
            header_row=header_row,
            units_row=units_row,
            max_memory=max_memory,
            verbose=shows_progress(quiet),
        )
        found.write(out, excel_safe=excel_safe, language=lang)
        return found

    found = run_into(out, job, quiet=quiet, language=lang)
    if as_json:
        typer.echo(json.dumps(found.to_json(), ensure_ascii=False))
    elif not quiet:
        console = PlainConsole()
        print_methods(console, found, lang)
        console.print("\n" + translate(lang, "Files: {files}", files=files_in(out, FILES)))
