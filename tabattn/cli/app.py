"""All commands."""

from typing import Annotated

import typer

from tabattn.cli.compare import compare_command
from tabattn.cli.datasets import datasets_command
from tabattn.cli.explain import explain_command, predict_command, report_command
from tabattn.cli.plain import PlainCommand
from tabattn.cli.rank import rank_command
from tabattn.cli.text import text_command
from tabattn.version import __version__

app = typer.Typer(
    name="tabattn",
    help="Rank the columns X of a table by how much they drive Y, with a transformer that reads columns.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog="A table to try it on: tabattn datasets process --out process.csv",
)
for name, command, example in (
    ("rank", rank_command, "tabattn rank lots.xlsx --target yield --split-by lot --out results --open"),
    ("explain", explain_command, "tabattn explain results/model.tabattn new.csv --target yield --out new"),
    ("predict", predict_command, "tabattn predict results/model.tabattn new.csv --out predictions.csv"),
    ("report", report_command, "tabattn report results/model.tabattn new.csv --out page.html --open"),
    ("compare", compare_command, "tabattn compare lots.csv --target yield --out compared"),
    ("text", text_command, "tabattn text 'a fine day' --model ./model --out words"),
    ("datasets", datasets_command, "tabattn datasets process --out process.csv"),
):
    app.command(name, cls=PlainCommand, epilog=f"Example: {example}")(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tabattn {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass
