"""Options that several commands have, and what stands in them."""

from pathlib import Path
from typing import Annotated

import typer

from tabattn.choices import Language
from tabattn.cli.config import read_config
from tabattn.errors import ParameterError

READING, ROWS, MODEL, RESULTS = "The table", "Which rows", "The model", "The results"

Out = Annotated[
    Path, typer.Option(help="Directory for the results; made if it does not exist.", rich_help_panel=RESULTS)
]
Excel = Annotated[
    bool,
    typer.Option(
        "--excel", help="Write all tables to results.xlsx too, a sheet each (extra excel).", rich_help_panel=RESULTS
    ),
]
ExcelSafe = Annotated[
    bool,
    typer.Option(
        "--excel-safe",
        help="Write an apostrophe before text that a spreadsheet would take for a formula.",
        rich_help_panel=RESULTS,
    ),
]
Lang = Annotated[
    Language,
    typer.Option(
        "--lang",
        help="Language of terminal, plots and report: English or Korean.",
        envvar="TABATTN_LANG",
        rich_help_panel=RESULTS,
    ),
]
Opens = Annotated[
    bool, typer.Option("--open", help="Open the report in a browser when it is written.", rich_help_panel=RESULTS)
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print the results as JSON, for programs.", rich_help_panel=RESULTS)
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors (and --json).", rich_help_panel=RESULTS)]
Sheet = Annotated[
    str | None,
    typer.Option(
        help="Name or number of the sheet.", show_default="the first that holds a table", rich_help_panel=READING
    ),
]
HeaderRow = Annotated[
    int | None,
    typer.Option(min=1, help="Number of the row of names, from 1 on.", show_default="found", rich_help_panel=READING),
]
UnitsRow = Annotated[
    int | None,
    typer.Option(min=0, help="Number of the row of units, 0 for none.", show_default="found", rich_help_panel=READING),
]
MaxMemory = Annotated[
    float | None,
    typer.Option(
        metavar="GB",
        help="Memory that reading may take.",
        show_default="most of what is free",
        rich_help_panel=READING,
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Take options that are not given here from a TOML file.",
        callback=read_config,
        is_eager=True,
    ),
]


def kinds_of(options: list[str] | None) -> dict[str, str]:
    """Split COLUMN=KIND at the last equals sign.

    Args:
        options: As they were given.
    """
    for option in options or ():
        if "=" not in option:
            raise ParameterError(f"--kind must be COLUMN=KIND, got {option!r}.")
    return {name: kind for name, _, kind in (option.rpartition("=") for option in options or ())}


def na_values_of(options: list[str] | None) -> dict[str | None, list[str]]:
    """Split COLUMN=TEXT at the first equals sign; a TEXT alone is for all columns.

    Args:
        options: As they were given.
    """
    values: dict[str | None, list[str]] = {}
    for option in options or ():
        column, sign, text = option.partition("=")
        values.setdefault(column if sign and column else None, []).append(text if sign and column else option)
    return values


def groups_of(options: list[str] | None) -> dict[str, list[str]]:
    """Split NAME=COLUMN at the first equals sign, and collect the columns of each name.

    Args:
        options: As they were given.
    """
    groups: dict[str, list[str]] = {}
    for option in options or ():
        name, sign, column = option.partition("=")
        if not sign:
            raise ParameterError(f"--group must be NAME=COLUMN, got {option!r}.")
        groups.setdefault(name, []).append(column)
    return groups
