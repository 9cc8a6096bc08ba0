"""`tabattn rank`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tabattn.choices import (
    DEFAULT_METHOD,
    Censored,
    EncoderKind,
    FdrControl,
    Method,
    Pretrain,
    RegressionLoss,
    TaskChoice,
)
from tabattn.cli.jobs import command_line, files_in, open_page, run_into, run_job, shows_progress
from tabattn.cli.options import (
    MODEL,
    READING,
    ROWS,
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
    kinds_of,
    na_values_of,
)
from tabattn.errors import OutputError, ParameterError
from tabattn.files import resumable
from tabattn.output.terminal import PlainConsole, print_ranking
from tabattn.process_state import is_first_process
from tabattn.translations import translate

if TYPE_CHECKING:  # the jobs are imported when they start: --help and mistyped options need not wait for torch
    from tabattn.ranking_results import Ranking
    from tabattn.rankings import Rankings

FILES = ("report.html", "importance.csv", "effects.csv", "comparison.csv", "diagnostics.csv", "model.tabattn", "plots/")


def rank_command(
    table: Annotated[
        Path,
        typer.Argument(
            help="A file with a line of column names: .csv, .tsv, .txt, .xlsx, .xls, .xlsb, .ods, .parquet, .feather; "
            "or a directory or pattern of Parquet files."
        ),
    ],
    target: Annotated[
        list[str],
        typer.Option(
            metavar="COLUMN",
            help="Name of the target column Y; repeat it to rank for several, none of which is an X then.",
        ),
    ],
    out: Out,
    method: Annotated[
        Method, typer.Option(help="How attention becomes importance; the default suits nearly all tables.")
    ] = DEFAULT_METHOD,
    encoder: Annotated[
        EncoderKind,
        typer.Option(
            help="Kind of transformer.",
            rich_help_panel=MODEL,
        ),
    ] = "class",
    pretrain: Annotated[
        Pretrain,
        typer.Option(
            help="auto: learn columns from columns before the target.",
            rich_help_panel=MODEL,
        ),
    ] = "none",
    repeats: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Shuffles per column for permutation importance.",
            show_default="10; above 100 columns fewer after the first 50",
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            max=2**32 - 1,
            help="The same seed gives the same files.",
            rich_help_panel=MODEL,
        ),
    ] = 0,
    drop: Annotated[
        list[str] | None,
        typer.Option(
            help="A column to leave out; may be repeated.",
            rich_help_panel=READING,
        ),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=KIND",
            help="Read a column as numeric, boolean, categorical, datetime, duration or text; may be repeated.",
            rich_help_panel=READING,
        ),
    ] = None,
    na: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="A cell that is missing, also COLUMN=TEXT for one column; may be repeated.",
            rich_help_panel=READING,
        ),
    ] = None,
    keep_na: Annotated[
        bool,
        typer.Option(
            "--keep-na",
            help='Words such as "None" and "-" are levels and classes, not missing.',
            rich_help_panel=READING,
        ),
    ] = False,
    censored: Annotated[
        Censored,
        typer.Option(
            help='Whether a limit such as "<0.03" is the number behind the sign, or missing.', rich_help_panel=READING
        ),
    ] = "limit",
    sheet: Sheet = None,
    header_row: HeaderRow = None,
    units_row: UnitsRow = None,
    max_memory: MaxMemory = None,
    all_rows: Annotated[
        bool,
        typer.Option(
            "--all-rows",
            help="Learn from all rows of Parquet files that do not fit into memory, from disk; else from a sample.",
            rich_help_panel=READING,
        ),
    ] = False,
    group: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=COLUMN", help="Rank a column as part of a group; repeat for its other columns."),
    ] = None,
    test_fraction: Annotated[
        float,
        typer.Option(
            help="Fraction of rows to hold out, between 0 and 1.",
            rich_help_panel=ROWS,
        ),
    ] = 0.2,
    split_by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Rows of the same value, such as a lot, patient or machine, are held out together; may be repeated.",
            rich_help_panel=ROWS,
        ),
    ] = None,
    order_by: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="Hold out the last rows in time, not rows at random.", rich_help_panel=ROWS
        ),
    ] = None,
    gap: Annotated[
        int,
        typer.Option(
            min=0,
            help="With --order-by: leave so many rows beside them out.",
            rich_help_panel=ROWS,
        ),
    ] = 0,
    split_features: Annotated[
        bool,
        typer.Option(
            "--split-features", help="Rank the columns of --split-by and --order-by too.", rich_help_panel=ROWS
        ),
    ] = False,
    folds: Annotated[
        int,
        typer.Option(
            min=1,
            help="Hold every row out once, in so many fits; 1 to hold out a part of the rows.",
            rich_help_panel=ROWS,
        ),
    ] = 1,
    weight: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="How often each row counts; weight 2 is the row twice.", rich_help_panel=ROWS
        ),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN", help="Rank within each level of a column, such as the machine, too; may be repeated."
        ),
    ] = None,
    fdr: Annotated[
        float, typer.Option(help="Rate of false discoveries among the columns that are selected, between 0 and 1.")
    ] = 0.1,
    fdr_control: Annotated[
        FdrControl, typer.Option(help="by: however the tests depend on each other; selects less.")
    ] = "bh",
    max_epochs: Annotated[
        int,
        typer.Option(
            min=1,
            help="Passes over the training rows at most.",
            rich_help_panel=MODEL,
        ),
    ] = 100,
    time_limit: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Take no longer, by fewer epochs, shuffles or rows.",
            show_default="none",
            rich_help_panel=MODEL,
        ),
    ] = None,
    task: Annotated[
        TaskChoice,
        typer.Option(
            help="What to do with the target.",
            rich_help_panel=MODEL,
        ),
    ] = "auto",
    loss: Annotated[
        RegressionLoss,
        typer.Option(
            help="What a regression learns: the mean (squared; poisson for counts; squared_log for logarithms), median "
            "(absolute) or a quantile (pinball).",
            rich_help_panel=MODEL,
        ),
    ] = "squared",
    log_target: Annotated[
        bool,
        typer.Option(
            "--log-target",
            help="Learn the logarithm of a target over several decades, so that 1 to 2 counts as much as 100 to 200; "
            "the same as --loss squared_log.",
            rich_help_panel=MODEL,
        ),
    ] = False,
    quantile: Annotated[
        float,
        typer.Option(
            help="The quantile that --loss pinball is for, between 0 and 1.",
            rich_help_panel=MODEL,
        ),
    ] = 0.5,
    excel_safe: ExcelSafe = False,
    excel: Excel = False,
    lang: Lang = "en",
    opens: Opens = False,
    devices: Annotated[
        int, typer.Option(min=1, help="Processes (or GPUs) of each machine that train together.", rich_help_panel=MODEL)
    ] = 1,
    num_nodes: Annotated[
        int,
        typer.Option(min=1, help="Machines that train together, started by torchrun or SLURM.", rich_help_panel=MODEL),
    ] = 1,
    strategy: Annotated[
        str, typer.Option(help="Lightning's strategy for several processes.", rich_help_panel=MODEL)
    ] = "auto",
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on where the same command was ended, by a power cut or Ctrl-C, to the same results.",
            rich_help_panel=MODEL,
        ),
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    _config: Config = None,
) -> None:
    """Rank the columns of TABLE by how much they drive the target, next to their permutation importance.

    Writes report.html (open it first), tables as .csv, of which importance.csv is the ranking, plots/ and model.tabattn
    to the output directory; for several targets, to a folder each, and importance_of_targets.csv.
    """
    is_first = is_first_process(devices, num_nodes)

    def job() -> "Rankings":
        with resumable(out, is_kept=not is_first) as folder:
            try:
                return ranked(folder)
            except (KeyboardInterrupt, SystemExit, OutputError) as error:
                if not is_first or not folder.exists():
                    raise
                said = translate(lang, "The same command with --resume goes on from here.")
                if isinstance(error, OutputError):
                    raise OutputError(f"{error} {said}") from error
                error.add_note(said)
                raise

    def ranked(folder: Path) -> "Rankings":
        if log_target and loss not in {"squared", "squared_log"}:
            raise ParameterError(f"--log-target must stand without another --loss, got {loss!r}. Choose one of them.")
        from tabattn.rankings import rank_targets

        rankings = rank_targets(
            table,
            target,
            drop=drop or (),
            kinds=kinds_of(kind),
            na_values=na_values_of(na),
            keep_na=keep_na,
            censored=censored,
            sheet=sheet,
            header_row=header_row,
            units_row=units_row,
            max_memory=max_memory,
            all_rows=all_rows,
            groups=groups_of(group),
            loss="squared_log" if log_target else loss,
            quantile=quantile,
            task=task,
            method=method,
            encoder=encoder,
            pretrain=pretrain,
            test_fraction=test_fraction,
            split_by=split_by or (),
            order_by=order_by,
            gap=gap,
            split_features=split_features,
            folds=folds,
            weight=weight,
            by=by or (),
            fdr=fdr,
            fdr_control=fdr_control,
            n_repeats="auto" if repeats is None else repeats,
            max_epochs=max_epochs,
            time_limit=time_limit,
            checkpoint=folder,
            resume=resume,
            random_state=seed,
            verbose=shows_progress(quiet) and is_first,
            devices=devices,
            num_nodes=num_nodes,
            strategy=strategy,
        )
        if not is_first:
            return rankings
        if len(target) == 1:
            results: Ranking | Rankings = rankings.by_target[target[0]]
        else:
            results = rankings
        results.write(out, excel_safe=excel_safe, language=lang, command=command_line(), excel=excel)
        return rankings

    if not is_first:
        run_job(job, quiet=True, language=lang)
        return
    rankings = run_into(out, job, quiet=quiet, language=lang)
    folders = [out / name for name in rankings.folders.values()] if len(target) > 1 else [out]
    if as_json:
        pages = [(folder / "report.json").read_text(encoding="utf-8").strip() for folder in folders]
        typer.echo(pages[0] if len(pages) == 1 else f"[{', '.join(pages)}]")
    elif not quiet:
        console = PlainConsole()
        for name, ranking in rankings.by_target.items():
            print_ranking(console, ranking, name, lang)
            console.print()
        several = f"importance_of_targets.csv, and in {', '.join(rankings.folders.values())}: "
        files = [several + FILES[0], *FILES[1:]] if len(target) > 1 else FILES
        console.print(translate(lang, "Files: {files}", files=files_in(out, files)))
    if opens:
        open_page(folders[0] / "report.html")
