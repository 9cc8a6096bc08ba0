"""`tabattn text`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tabattn.choices import TextMethod
from tabattn.cli.jobs import files_in, run_into
from tabattn.cli.options import AsJson, Config, ExcelSafe, Lang, Out, Quiet
from tabattn.errors import ParameterError
from tabattn.output.terminal import PlainConsole, print_importance
from tabattn.translations import translate

if TYPE_CHECKING:
    from tabattn.text import TextReading
    from tabattn.text_training import TextTraining

LEARNED = (
    "{n} sentences learned, {held_out} held out: {accuracy} of their labels predicted, {constant} by the most frequent "
    "label."
)
FILES = ("importance.csv", "attention.csv", "words.csv", "plots/")


def text_command(
    sentence: Annotated[str, typer.Argument(help="The text to read.")],
    model: Annotated[str, typer.Option(help="A directory, or the name of a model on the Hugging Face Hub.")],
    out: Out,
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
    lang: Lang = "en",
    as_json: AsJson = False,
    quiet: Quiet = False,
    _config: Config = None,
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
        trained.write(out, excel_safe=excel_safe, language=lang)
        return trained

    def job() -> "TextReading":
        from tabattn.text import load_text_model, text_attention

        read = text_attention(
            *load_text_model(model, download=download),
            sentence,
            method=method,
            keep_special=keep_special,
            merge_words=not pieces,
        )
        read.write(out, excel_safe=excel_safe, language=lang)
        return read

    trained = (
        run_into(out, train_and_read, quiet=quiet, language=lang) if train is not None or label is not None else None
    )
    read = run_into(out, job, quiet=quiet, language=lang) if trained is None else trained.reading
    if as_json:
        typer.echo(read.table.to_json(orient="records", force_ascii=False))
    elif not quiet:
        console = PlainConsole()
        if trained is not None:
            accuracies = {"accuracy": f"{trained.accuracy:.0%}", "constant": f"{trained.constant_accuracy:.0%}"}
            console.print(translate(lang, LEARNED, n=trained.n_train, held_out=trained.n_held_out, **accuracies) + "\n")
        print_importance(console, read.table, lang)
        files = FILES if trained is None else [*FILES[:-1], "training_attention.csv", FILES[-1]]
        console.print("\n" + translate(lang, "Files: {files}", files=files_in(out, files)))
