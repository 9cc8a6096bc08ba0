"""How every command runs: warnings and errors in one line each, and what is printed at the end."""

import shlex
import sys
import warnings
import webbrowser
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn, TypeVar

import typer

from tabattn.choices import Language
from tabattn.errors import ReadingNote, TabAttnError, TabAttnWarning, printable
from tabattn.files import reserved
from tabattn.translations import speaking, translate, translated_message

Result = TypeVar("Result")


def fail(message: str) -> NoReturn:
    """Say in one line what is wrong with the input, and exit with 2.

    Args:
        message: What was required, what was given, what to do.
    """
    typer.echo(f"tabattn: {printable(' '.join(message.split()))}", err=True)
    raise typer.Exit(2)


def run_job(job: Callable[[], Result], *, quiet: bool = False, language: Language = "en") -> Result:
    """Run a job, print its warnings, and exit with 2 and one line if the input is at fault.

    Args:
        job: The job; what else it raises is a defect of ours and is passed on.
        quiet: Whether warnings are left out.
        language: Of what is printed.
    """
    with warnings.catch_warnings(record=True) as caught, speaking(language):
        warnings.simplefilter("always", TabAttnWarning)
        try:
            return job()
        except TabAttnError as error:
            fail(translated_message(language, type(error).__name__, str(error)))
        finally:
            for each in caught:
                if isinstance(each.message, TabAttnWarning) and not quiet:
                    what = translate(language, "note" if isinstance(each.message, ReadingNote) else "warning")
                    said = translated_message(language, each.message.code, " ".join(str(each.message).split()))
                    typer.echo(f"tabattn: {what}: {printable(said)}", err=True)


def run_into(out: Path, job: Callable[[], Result], *, quiet: bool = False, language: Language = "en") -> Result:
    """Run a job that writes to a directory, to which no other run may write in the meantime.

    Args:
        out: The directory.
        job: The job.
        quiet: Whether warnings are left out.
        language: Of what is printed.
    """

    def run() -> Result:
        with reserved(out):
            return job()

    return run_job(run, quiet=quiet, language=language)


def shows_progress(quiet: bool) -> bool:
    """Return whether somebody looks on.

    Args:
        quiet: Whether nothing but results is wanted.
    """
    return sys.stderr.isatty() and not quiet


def command_line() -> str:
    """Return the command that is running, as a shell takes it; nothing where another program runs this one."""
    program = Path(sys.argv[0])
    is_ours = program.stem == "tabattn" or (program.name, program.parent.name) == ("__main__.py", "tabattn")
    return shlex.join(["tabattn", *sys.argv[1:]]) if is_ours else ""


def open_page(page: Path) -> None:
    """Open a page in a browser, if there is one.

    Args:
        page: The page.
    """
    webbrowser.open(page.resolve().as_uri())


def files_in(out: Path, names: Iterable[str]) -> str:
    """Return the line that names the files of a run.

    Args:
        out: Their directory.
        names: Their names.
    """
    return f"{printable(str(out))}/ ({', '.join(names)})"
