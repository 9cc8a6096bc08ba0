"""The command line: parses arguments, calls `rank`, `explain` or `text_attention`, prints results, sets the exit code.

Exit codes: 0 done; 2 the user's input is at fault, with one line on the standard error stream; 1 a defect of ours.
"""

import shlex
import sys
import warnings
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from tabattn.choices import (
    DEFAULT_METHOD,
    Censored,
    EncoderKind,
    FdrControl,
    Language,
    Method,
    Pretrain,
    RegressionLoss,
    TaskChoice,
    TextMethod,
)
from tabattn.errors import ParameterError, ReadingNote, TabAttnError, TabAttnWarning, printable
from tabattn.files import reserved
from tabattn.output.terminal import (
    PlainConsole,
    drift_table,
    numbers_table,
    print_importance,
    print_methods,
    print_notes,
    print_ranking,
)
from tabattn.signals import run_orderly
from tabattn.version import __version__

if TYPE_CHECKING:  # the jobs are imported when they start: --help and mistyped options need not wait for torch
    from tabattn.comparing import ImportanceComparison
    from tabattn.explanation import Explanation
    from tabattn.ranking import Ranking
    from tabattn.rankings import Rankings
    from tabattn.text import TextReading
    from tabattn.text_training import TextTraining

Result = TypeVar("Result")
Excel = Annotated[
    bool, typer.Option("--excel", help="Write all tables to results.xlsx too, a sheet each (extra excel).")
]
Lang = Annotated[Language, typer.Option("--lang", help="Language of the report: English or Korean.")]
Opens = Annotated[bool, typer.Option("--open", help="Open the report in a browser when it is written.")]
Sheet = Annotated[
    str | None, typer.Option(help="Name or number of the sheet.", show_default="the first that holds a table")
]
HeaderRow = Annotated[
    int | None, typer.Option(min=1, help="Number of the row of names, from 1 on.", show_default="found")
]
UnitsRow = Annotated[
    int | None, typer.Option(min=0, help="Number of the row of units, 0 for none.", show_default="found")
]
ExcelSafe = Annotated[
    bool,
    typer.Option("--excel-safe", help="Write an apostrophe before text that a spreadsheet would take for a formula."),
]
MaxMemory = Annotated[
    float | None,
    typer.Option(metavar="GB", help="Memory that reading may take.", show_default="most of what is free"),
]

app = typer.Typer(
    name="tabattn",
    help="Rank the columns X of a table by how much they drive Y, with a transformer that reads columns.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


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


@app.command("rank")
def rank_command(
    table: Annotated[
        Path,
        typer.Argument(
            help="A file with a line of column names: .csv, .tsv, .txt, .xlsx, .xls, .xlsb, .ods, .parquet, .feather."
        ),
    ],
    target: Annotated[
        list[str],
        typer.Option(help="Name of the target column Y; repeat it to rank for several, none of which is an X then."),
    ],
    out: Annotated[Path, typer.Option(help="Directory for the results; made if it does not exist.")],
    method: Annotated[Method, typer.Option(help="How attention becomes importance.")] = DEFAULT_METHOD,
    encoder: Annotated[EncoderKind, typer.Option(help="Kind of transformer.")] = "class",
    pretrain: Annotated[Pretrain, typer.Option(help="auto: learn columns from columns before the target.")] = "none",
    repeats: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Shuffles per column for permutation importance.",
            show_default="10; above 100 columns fewer after the first 50",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="The same seed gives the same files.")] = 0,
    drop: Annotated[list[str] | None, typer.Option(help="A column to leave out; may be repeated.")] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=KIND",
            help="Read a column as numeric, boolean, categorical, datetime, duration or text; may be repeated.",
        ),
    ] = None,
    na: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="A cell that is missing, also COLUMN=TEXT for one column; may be repeated."),
    ] = None,
    keep_na: Annotated[
        bool, typer.Option("--keep-na", help='Words such as "None" and "-" are levels and classes, not missing.')
    ] = False,
    censored: Annotated[
        Censored, typer.Option(help='Whether a limit such as "<0.03" is the number behind the sign, or missing.')
    ] = "limit",
    sheet: Sheet = None,
    header_row: HeaderRow = None,
    units_row: UnitsRow = None,
    max_memory: MaxMemory = None,
    group: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=COLUMN", help="Rank a column as part of a group; repeat for its other columns."),
    ] = None,
    test_fraction: Annotated[float, typer.Option(help="Fraction of rows to hold out, between 0 and 1.")] = 0.2,
    split_by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Rows of the same value, such as a lot, patient or machine, are held out together; may be repeated.",
        ),
    ] = None,
    order_by: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Hold out the last rows in time, not rows at random.")
    ] = None,
    gap: Annotated[int, typer.Option(min=0, help="With --order-by: leave so many rows beside them out.")] = 0,
    split_features: Annotated[
        bool, typer.Option("--split-features", help="Rank the columns of --split-by and --order-by too.")
    ] = False,
    folds: Annotated[
        int, typer.Option(min=1, help="Hold every row out once, in so many fits; 1 to hold out a part of the rows.")
    ] = 1,
    weight: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="How often each row counts; weight 2 is the row twice.")
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
    max_epochs: Annotated[int, typer.Option(min=1, help="Passes over the training rows at most.")] = 100,
    time_limit: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Take no longer, by fewer epochs, shuffles or rows.", show_default="none"),
    ] = None,
    task: Annotated[TaskChoice, typer.Option(help="What to do with the target.")] = "auto",
    loss: Annotated[
        RegressionLoss,
        typer.Option(
            help="What a regression learns: the mean (squared; poisson for counts; squared_log for logarithms), median "
            "(absolute) or a quantile (pinball)."
        ),
    ] = "squared",
    log_target: Annotated[
        bool,
        typer.Option(
            "--log-target",
            help="Learn the logarithm of a target over several decades, so that 1 to 2 counts as much as 100 to 200; "
            "the same as --loss squared_log.",
        ),
    ] = False,
    quantile: Annotated[float, typer.Option(help="The quantile that --loss pinball is for, between 0 and 1.")] = 0.5,
    excel_safe: ExcelSafe = False,
    excel: Excel = False,
    lang: Lang = "en",
    opens: Opens = False,
) -> None:
    """Rank the columns of TABLE by how much they drive the target, next to their permutation importance.

    Writes report.html, importance.csv, comparison.csv, diagnostics.csv, training_attention.csv, model.tabattn and
    plots/ to the output directory; for several targets, to a folder each, and importance_of_targets.csv.
    """

    def job() -> "Rankings":
        if log_target and loss not in {"squared", "squared_log"}:
            raise ParameterError(f"--log-target must stand without another --loss, got {loss!r}. Choose one of them.")
        from tabattn.rankings import rank_targets

        rankings = rank_targets(
            table,
            target,
            drop=drop or (),
            kinds=_kinds(kind or []),
            na_values=_na_values(na or []),
            keep_na=keep_na,
            censored=censored,
            sheet=sheet,
            header_row=header_row,
            units_row=units_row,
            max_memory=max_memory,
            groups=_groups(group or []),
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
            random_state=seed,
            verbose=sys.stderr.isatty(),
        )
        if len(target) == 1:
            results: Ranking | Rankings = rankings.by_target[target[0]]
        else:
            results = rankings
        results.write(out, excel_safe=excel_safe, language=lang, command=_command(), excel=excel)
        return rankings

    rankings = _run_into(out, job)
    _report(rankings, out)
    if opens:
        folder = out / rankings.folders[target[0]] if len(target) > 1 else out
        _open(folder / "report.html")


@app.command("explain")
def explain_command(
    model: Annotated[Path, typer.Argument(help="A saved model: model.tabattn of an earlier `rank`.")],
    table: Annotated[Path, typer.Argument(help="A file with new rows, with the columns that the model was fitted on.")],
    out: Annotated[Path, typer.Option(help="Directory for the results; made if it does not exist.")],
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
) -> None:
    """Explain the predictions of a saved MODEL for the new rows of TABLE, and compare its attention with training.

    Writes report.html, predictions.csv, explanations.csv, importance.csv, attention.csv, drift.csv, scores.csv,
    diagnostics.csv, with --additive also additive.csv, and plots/ to the output directory.
    """

    def job() -> "Explanation":
        from tabattn.explanation import explain

        shows = sys.stderr.isatty()
        found = explain(
            model,
            table,
            target=target,
            method=method,
            groups=_groups(group or []),
            additive=additive,
            sheet=sheet,
            header_row=header_row,
            units_row=units_row,
            max_memory=max_memory,
            verbose=shows,
        )
        found.write(out, excel_safe=excel_safe, language=lang, command=_command(), excel=excel)
        return found

    found = _run_into(out, job)
    if opens:
        _open(out / "report.html")
    console = PlainConsole()
    n_drifted = int(found.drift["drifted"].sum())
    console.print(f"{len(found.local)} rows read, {found.local.shape[1]} columns.")
    if len(found.scores):
        console.print("\nAre they predicted as well as rows that were held out in training?")
        console.print(numbers_table(found.scores))
    console.print("\nWhich columns matter in these rows?")
    print_importance(console, found.importance)
    console.print(
        f"\nDoes the model look at them as in training? Attention to {n_drifted} of {len(found.drift)} columns differs."
    )
    if n_drifted:
        console.print(drift_table(found.drift))
    print_notes(console, [each.message for each in found.findings])
    files = (
        "report.html, predictions.csv, explanations.csv, importance.csv, attention.csv, drift.csv, scores.csv, "
        f"diagnostics.csv, {'additive.csv, ' if additive else ''}plots/"
    )
    console.print(f"\nFiles: {printable(str(out))}/ ({files})")


@app.command("compare")
def compare_command(
    table: Annotated[Path, typer.Argument(help="A file with a header line.")],
    target: Annotated[str, typer.Option(help="Name of the target column.")],
    out: Annotated[Path, typer.Option(help="Directory for the results; made if it does not exist.")],
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
) -> None:
    """Rank the columns of TABLE by this package, and by forests, boosting, SHAP and gain, on the same rows.

    Writes shares.csv, ranks.csv, agreement.csv, seconds.csv and plots/methods to the output directory. LightGBM,
    XGBoost and CatBoost take part where they are installed (extra compare).
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
            verbose=sys.stderr.isatty(),
        )
        found.write(out, excel_safe=excel_safe)
        return found

    found = _run_into(out, job)
    console = PlainConsole()
    print_methods(console, found)
    console.print(f"\nFiles: {printable(str(out))}/ (shares.csv, ranks.csv, agreement.csv, seconds.csv, plots/)")


@app.command("report")
def report_command(
    model: Annotated[Path, typer.Argument(help="A saved model: model.tabattn of an earlier `rank`.")],
    table: Annotated[Path, typer.Argument(help="A file with rows, with the columns that the model was fitted on.")],
    out: Annotated[Path, typer.Option(help="The page; replaced if it exists.")] = Path("report.html"),
    target: Annotated[str | None, typer.Option(help="Name of the true target, if the table has it.")] = None,
    sheet: Sheet = None,
    header_row: HeaderRow = None,
    units_row: UnitsRow = None,
    max_memory: MaxMemory = None,
    lang: Lang = "en",
    opens: Opens = False,
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
            verbose=sys.stderr.isatty(),
        )
        found.to_html(out, language=lang, command=_command())

    run_job(job)
    typer.echo(printable(str(out)))
    if opens:
        _open(out)


@app.command("text")
def text_command(
    sentence: Annotated[str, typer.Argument(help="The text to read.")],
    model: Annotated[str, typer.Option(help="A directory, or the name of a model on the Hugging Face Hub.")],
    out: Annotated[Path, typer.Option(help="Directory for the results; made if it does not exist.")],
    method: Annotated[TextMethod, typer.Option(help="How attention becomes scores.")] = "mean",
    keep_special: Annotated[bool, typer.Option("--keep-special", help="Keep tokens that the tokenizer adds.")] = False,
    pieces: Annotated[bool, typer.Option("--pieces", help="Show word pieces instead of words.")] = False,
    download: Annotated[bool, typer.Option("--download", help="Allow the model to be downloaded.")] = False,
    train: Annotated[
        Path | None, typer.Option(metavar="TABLE", help="A file of labelled sentences to train the model on before.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="With --train: name of the column of labels.")] = None,
    column: Annotated[
        str | None, typer.Option(help="With --train: name of the column of sentences.", show_default="the only other")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="With --train: passes over the sentences.")] = 3,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="With --train: as for `rank`.")] = 0,
    excel_safe: ExcelSafe = False,
) -> None:
    """Show which words of SENTENCE a Hugging Face model pays attention to.

    Writes importance.csv, attention.csv, words.csv and plots/ to the output directory. With --train the model learns
    from labelled sentences first, and training_attention.csv has its attention before and after each step.
    """

    def train_and_read() -> "TextTraining":
        if train is None or label is None:
            raise ParameterError("--train and --label must both be given, got one of them. Add the other.")
        if keep_special or pieces or method != "mean":
            raise ParameterError("--train must stand without --keep-special, --pieces and --method.")
        from tabattn.text import load_text_model
        from tabattn.text_training import read_labelled, text_training

        sentences, labels = read_labelled(train, label, column)
        loaded = load_text_model(model, download=download)
        trained = text_training(*loaded, sentence, sentences, labels, n_epochs=epochs, random_state=seed)
        trained.write(out, excel_safe=excel_safe)
        return trained

    if train is not None or label is not None:
        trained = _run_into(out, train_and_read)
        console = PlainConsole()
        console.print(
            f"{trained.n_train} sentences learned, {trained.n_held_out} held out: {trained.accuracy:.0%} of their "
            f"labels predicted, {trained.constant_accuracy:.0%} by the most frequent label.\n"
        )
        print_importance(console, trained.reading.table)
        files = "importance.csv, attention.csv, words.csv, training_attention.csv, plots/"
        console.print(f"\nFiles: {printable(str(out))}/ ({files})")
        return

    def job() -> "TextReading":
        from tabattn.text import load_text_model, text_attention

        read = text_attention(
            *load_text_model(model, download=download),
            sentence,
            method=method,
            keep_special=keep_special,
            merge_words=not pieces,
        )
        read.write(out, excel_safe=excel_safe)
        return read

    read = _run_into(out, job)
    console = PlainConsole()
    print_importance(console, read.table)
    console.print(f"\nFiles: {printable(str(out))}/ (importance.csv, attention.csv, words.csv, plots/)")


def run_job(job: Callable[[], Result]) -> Result:
    """Run a job, print its warnings, and exit with 2 and one line if the input is at fault.

    Args:
        job: The job; what else it raises is a defect of ours and is passed on.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TabAttnWarning)
        try:
            return job()
        except TabAttnError as error:
            typer.echo(f"tabattn: {printable(' '.join(str(error).split()))}", err=True)
            raise typer.Exit(2) from error
        finally:
            for each in caught:
                if issubclass(each.category, TabAttnWarning):
                    what = "note" if issubclass(each.category, ReadingNote) else "warning"
                    typer.echo(f"tabattn: {what}: {printable(' '.join(str(each.message).split()))}", err=True)


def _run_into(out: Path, job: Callable[[], Result]) -> Result:
    """Run a job that writes to a directory, to which no other run may write in the meantime."""

    def run() -> Result:
        with reserved(out):
            return job()

    return run_job(run)


def _kinds(options: list[str]) -> dict[str, str]:
    """Split COLUMN=KIND at the last equals sign."""
    for option in options:
        if "=" not in option:
            raise ParameterError(f"--kind must be COLUMN=KIND, got {option!r}.")
    return {name: kind for name, _, kind in (option.rpartition("=") for option in options)}


def _na_values(options: list[str]) -> dict[str | None, list[str]]:
    """Split COLUMN=TEXT at the first equals sign; a TEXT alone is for all columns."""
    values: dict[str | None, list[str]] = {}
    for option in options:
        column, sign, text = option.partition("=")
        values.setdefault(column if sign and column else None, []).append(text if sign and column else option)
    return values


def _groups(options: list[str]) -> dict[str, list[str]]:
    """Split NAME=COLUMN at the first equals sign, and collect the columns of each name."""
    groups: dict[str, list[str]] = {}
    for option in options:
        name, sign, column = option.partition("=")
        if not sign:
            raise ParameterError(f"--group must be NAME=COLUMN, got {option!r}.")
        groups.setdefault(name, []).append(column)
    return groups


def _open(page: Path) -> None:
    """Open a page in a browser, if there is one."""
    webbrowser.open(page.resolve().as_uri())


def _command() -> str:
    """Return the command that is running, as a shell takes it; nothing where another program runs this one."""
    program = Path(sys.argv[0])
    is_ours = program.stem == "tabattn" or (program.name, program.parent.name) == ("__main__.py", "tabattn")
    return shlex.join(["tabattn", *sys.argv[1:]]) if is_ours else ""


def _report(rankings: "Rankings", out: Path) -> None:
    console = PlainConsole()
    for target, ranking in rankings.by_target.items():
        print_ranking(console, ranking, target)
        console.print()
    files = "report.html, importance.csv, effects.csv, comparison.csv, diagnostics.csv, model.tabattn, plots/"
    if len(rankings.by_target) > 1:
        files = f"importance_of_targets.csv, and in {', '.join(rankings.folders.values())}: {files}"
    console.print(f"Files: {printable(str(out))}/ ({files})")


if __name__ == "__main__":
    run_orderly(app)
