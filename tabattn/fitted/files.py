"""Settings and arrays to one safetensors file and back: arrays as tensors, all else as JSON in its header.

Nothing is ever pickled, and nothing in a file is run: it holds numbers and text only. A checksum over everything
detects files that were damaged.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tabattn.errors import ModelFileError, OutputError
from tabattn.files import write_atomic
from tabattn.fitted.format_1 import upgraded
from tabattn.version import __version__

FORMAT = 2
HEADER = "tabattn"


@dataclass(frozen=True)
class SavedState:
    """Content of a file.

    Args:
        settings: All that is not an array: numbers, text, lists and dictionaries of them.
        arrays: Arrays by name.
    """

    settings: dict[str, Any]
    arrays: dict[str, Tensor]


def write_state(path: Path, state: SavedState) -> None:
    """Write a file atomically.

    Args:
        path: The file; replaced if it exists.
        state: What to write; settings must be what JSON can hold.

    Raises:
        OutputError: The file can't be written.
    """
    arrays = {name: array.detach().cpu().contiguous().clone() for name, array in state.arrays.items()}
    content = {"format": FORMAT, "version": __version__, "settings": state.settings}
    header = {"sha256": checksum(content, arrays)} | content
    metadata = {HEADER: json.dumps(header)}  # one entry: the order of several would be random

    def write(staged: Path) -> None:
        try:
            save_file(arrays, staged, metadata)
        except SafetensorError as error:
            raise OSError(str(error)) from error

    if not path.name:
        raise OutputError(f"The model must be written to a file, got the directory {str(path)!r}. Name a file in it.")
    write_atomic(path, write)


def read_state(path: Path) -> SavedState:
    """Read a file that `write_state` wrote, in this format or an earlier one.

    The header is read first; of a foreign file, however large, no more than that is read.

    Args:
        path: The file.

    Returns:
        What it holds.

    Raises:
        ModelFileError: The file does not exist, is not a saved model, was damaged, or was written by a later version.
    """
    try:
        if not path.is_file():
            raise ModelFileError(f"The model must be an existing file, got {str(path)!r}. Check the path.")
        with safe_open(path, framework="pt") as file:
            header = dict(json.loads(file.metadata()[HEADER]))
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, RuntimeError, RecursionError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(
            f"The model must be a file that est.save() wrote, got {str(path)!r}, which is not one, or is incomplete."
        ) from error
    try:
        written, version = header["format"], str(header["version"])
        if type(written) is not int or written < 1:
            raise ValueError("formats are numbered from 1 on")
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise _damaged(path) from error
    if written > FORMAT:
        raise ModelFileError(
            f"{str(path)!r} was saved by tabattn {version}, which is newer than this one ({__version__}). "
            "Update tabattn."
        )
    try:
        expected, settings = str(header.pop("sha256")), dict(header["settings"])
        with safe_open(path, framework="pt") as file:
            arrays = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118  # no view of the file
        is_intact = expected == checksum(header, arrays)
        if is_intact and written == 1:
            settings, arrays = upgraded(settings, arrays)
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, RuntimeError, MemoryError) as error:
        raise _damaged(path) from error
    if not is_intact:
        raise _damaged(path)
    return SavedState(settings, arrays)


def checksum(content: Mapping[str, Any], arrays: Mapping[str, Tensor]) -> str:
    """Return a checksum of everything that a file holds.

    Args:
        content: Its header, without the checksum.
        arrays: Its arrays.
    """
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {tuple(arrays[name].shape)}".encode())
        digest.update(arrays[name].contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _damaged(path: Path) -> ModelFileError:
    return ModelFileError(
        f"The model must be as est.save() wrote it, got {str(path)!r}, which was changed. Save it again."
    )
