"""Atomic writes: output files are complete or not written at all."""

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tabattn.errors import OutputError


def check_writable(directory: Path) -> None:
    """Check that a directory can be made and written to, before any work is done for it.

    Args:
        directory: Where results are to go; need not exist.

    Raises:
        OutputError: The directory, or the nearest one above it that exists, can't be written to.
    """
    existing = directory
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise OutputError(f"The output must be a directory, got {str(directory)!r}, but {str(existing)!r} is a file.")
    try:
        with tempfile.TemporaryDirectory(dir=existing, prefix=".tabattn-"):
            pass
    except OSError as error:
        raise OutputError(
            f"The output directory must be writable, got {str(directory)!r}: {error.strerror}. Choose another."
        ) from error


def write_atomic(path: Path, write: Callable[[Path], None]) -> None:
    """Write a temporary file in the same directory, then move it into place in one step.

    Args:
        path: Where the file is to be; replaced if it exists.
        write: Writes the file at the path it is given, which has the same suffix.

    Raises:
        OutputError: The file can't be written.
    """
    write_all(path.parent, {path.name: write})


def write_all(directory: Path, writers: Mapping[str, Callable[[Path], None]]) -> None:
    """Write several files; none is moved into place before all are written.

    Args:
        directory: Where the files are to be; made if it does not exist.
        writers: For each path relative to the directory, what writes the file at the path it is given.

    Raises:
        OutputError: A file can't be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory, prefix=".tabattn-") as staging:
            for name, write in writers.items():
                staged = Path(staging, name)
                staged.parent.mkdir(parents=True, exist_ok=True)
                write(staged)
            finals = [directory / name for name in writers]
            for final in finals:
                final.parent.mkdir(parents=True, exist_ok=True)
                if final.is_dir():
                    raise IsADirectoryError(21, f"{final.name!r} is a directory")
            for name, final in zip(writers, finals, strict=True):
                os.replace(Path(staging, name), final)
    except OSError as error:
        raise OutputError(f"Results can't be written to {str(directory)!r}: {error.strerror or error}.") from error
