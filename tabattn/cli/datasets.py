"""`tabattn datasets`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from tabattn.cli.jobs import run_job
from tabattn.cli.options import AsJson, Lang, Quiet
from tabattn.errors import printable
from tabattn.translations import translate


def datasets_command(
    name: Annotated[str | None, typer.Argument(help="The table to write; all are listed if none is named.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The file: .csv or .parquet; replaced if it exists.", show_default="NAME.csv")
    ] = None,
    lang: Lang = "en",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write a table to try things on; nothing is fetched."""

    def job() -> list[str]:
        from tabattn.datasets import DATASETS, load_dataset
        from tabattn.output.results import table_writer

        if name is None:
            rows = [{"name": key, "target": each.target, "what": each.what} for key, each in DATASETS.items()]
            widths = [max(len(row[key]) for row in rows) for key in ("name", "target")]
            lines = [f"{row['name']:{widths[0]}}  {row['target']:{widths[1]}}  {row['what']}" for row in rows]
            return [json.dumps(rows)] if as_json else lines
        path = Path(f"{name}.csv") if out is None else out
        table = load_dataset(name)
        table_writer(path)(table)
        found = {"file": str(path), "target": DATASETS[name].target, "rows": len(table), "columns": table.shape[1] - 1}
        if as_json:
            return [json.dumps(found)]
        shown = printable(str(path))
        target, said = DATASETS[name].target, "{n} rows, {n_columns} columns and the target {target}: {file}"
        command = f"tabattn rank {shown} --target {target} --out results"
        return [
            translate(lang, said, n=len(table), n_columns=table.shape[1] - 1, target=repr(target), file=shown),
            translate(lang, "Next: {command}", command=command),
        ]

    for line in run_job(job, quiet=quiet, language=lang):
        if as_json or not quiet:
            typer.echo(line)
