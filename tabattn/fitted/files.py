"""Models to files and back: one safetensors file, weights and arrays in it as tensors, all else as JSON in its header.

Nothing is ever pickled, and nothing in a file is run: it holds numbers and text only. A checksum over everything tells
files that were damaged. Sizes are compared with what the file really holds before anything is built from them, so that
no small file can ask for a large model.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tabattn.errors import ModelFileError, OutputError
from tabattn.files import write_whole
from tabattn.nn.model import ModelShape, TabAttnModel
from tabattn.process_state import alone
from tabattn.version import __version__

FORMAT = 1
WEIGHTS = "model."
HEADER = "tabattn"
LENGTH_BYTES, MAX_HEADER_BYTES = 8, 100_000_000  # safetensors has the same limit


@dataclass(frozen=True)
class SavedState:
    """What a file holds.

    Args:
        settings: All that is not an array: numbers, text, lists and dictionaries of them.
        arrays: Arrays by name.
    """

    settings: dict[str, Any]
    arrays: dict[str, Tensor]


def write_state(path: Path, state: SavedState) -> None:
    """Write a file, whole or not at all.

    Args:
        path: The file; replaced if it exists.
        state: What to write; settings must be what JSON can hold.

    Raises:
        OutputError: The file can't be written.
    """
    arrays = {name: array.detach().cpu().contiguous().clone() for name, array in state.arrays.items()}
    content = {"format": FORMAT, "version": __version__, "settings": state.settings}
    header = {"sha256": _checksum(content, arrays)} | content
    metadata = {HEADER: json.dumps(header)}  # one entry: the order of several would be random

    def write(staged: Path) -> None:
        try:
            save_file(arrays, staged, metadata)
        except SafetensorError as error:
            raise OSError(str(error)) from error

    if not path.name:
        raise OutputError(f"The model must be written to a file, got the directory {str(path)!r}. Name a file in it.")
    write_whole(path, write)


def read_state(path: Path) -> SavedState:
    """Read a file that `write_state` wrote.

    Args:
        path: The file.

    Returns:
        What it holds.

    Raises:
        ModelFileError: There is no such file, it is not one of ours, it was damaged, or a later version wrote it.
    """
    header = _read_header(path)
    try:
        written, version = int(header["format"]), str(header["version"])
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise _damaged(path) from error
    if written > FORMAT:
        raise ModelFileError(
            f"{str(path)!r} was saved by tabattn {version}, which is newer than this one ({__version__}). "
            "Update tabattn."
        )
    try:
        checksum, settings = str(header.pop("sha256")), dict(header["settings"])
        with safe_open(path, framework="pt") as file:
            arrays = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118  # no view of the file
        is_whole = checksum == _checksum(header, arrays)
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, RuntimeError, MemoryError) as error:
        raise _damaged(path) from error
    if not is_whole:
        raise _damaged(path)
    return SavedState(settings, arrays)


def _read_header(path: Path) -> dict[str, Any]:
    """Return what the head of one of our files says; of a foreign file, however large, no more than that is read.

    Source: the format of safetensors: eight bytes with the length of a JSON object, the object, and the arrays.
    """
    try:
        if not path.is_file():
            raise ModelFileError(f"The model must be an existing file, got {str(path)!r}. Check the path.")
        with path.open("rb") as file:
            n_bytes = int.from_bytes(file.read(LENGTH_BYTES), "little")
            if n_bytes > MAX_HEADER_BYTES:
                raise ValueError("this is no safetensors file")
            outer = json.loads(file.read(n_bytes))
        header = json.loads(outer["__metadata__"][HEADER])
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise _no_model(path) from error
    if not isinstance(header, dict):
        raise _no_model(path)
    return header


def model_state(model: TabAttnModel) -> SavedState:
    """Return the sizes and the weights of a model.

    Args:
        model: The model.
    """
    weights = {WEIGHTS + name: value for name, value in model.state_dict().items()}
    return SavedState(asdict(model.shape), weights)


def restore_model(sizes: Mapping[str, Any], arrays: Mapping[str, Tensor]) -> TabAttnModel:
    """Build a model from what `model_state` returned.

    Args:
        sizes: Its sizes.
        arrays: Its weights, among others.

    Returns:
        The model in eval mode.

    Raises:
        ValueError: The weights do not belong to a model of these sizes.
    """
    arguments: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in sizes.items()
    }
    shape = ModelShape(**arguments)
    weights = {name.removeprefix(WEIGHTS): value for name, value in arrays.items() if name.startswith(WEIGHTS)}
    n_numbers = sum(value.numel() for value in weights.values())
    counts = [value for value in (*asdict(shape).values(), *shape.n_parts, *shape.n_levels) if isinstance(value, int)]
    if min(shape.n_layers, shape.n_members, shape.n_groups, shape.n_heads, shape.d_token, shape.n_outputs) < 1:
        raise ValueError("a model has at least one of everything")
    shares = (shape.attention_dropout, shape.ffn_dropout, shape.quantile)
    if not all(isinstance(share, int | float) and 0 <= share < 1 for share in shares):
        raise ValueError("a share lies between 0 and 1")
    if shape.n_layers > len(weights) or any(count > n_numbers or count < 0 for count in counts):
        raise ValueError("the sizes are larger than the weights")
    if shape.order and sorted(shape.order) != list(range(shape.n_columns)):
        raise ValueError("the order is not one of the columns")
    if shape.encoder != "class" and shape.d_token % shape.n_heads:
        raise ValueError("heads are not of one width")
    if not all(value.isfinite().all() for value in weights.values()):
        raise ValueError("weights are not finite")
    with torch.device("meta"):
        expected = {name: value.shape for name, value in TabAttnModel(shape).state_dict().items()}
    if expected != {name: value.shape for name, value in weights.items()}:
        raise ValueError("the weights have other shapes")
    with alone(), torch.random.fork_rng(devices=[]):
        model = TabAttnModel(shape)
    model.load_state_dict(weights)
    return model.eval()


def _checksum(content: Mapping[str, Any], arrays: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {tuple(arrays[name].shape)}".encode())
        digest.update(arrays[name].contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _no_model(path: Path) -> ModelFileError:
    return ModelFileError(
        f"The model must be a file that est.save() wrote, got {str(path)!r}, which is none, or not whole."
    )


def _damaged(path: Path) -> ModelFileError:
    return ModelFileError(
        f"The model must be as est.save() wrote it, got {str(path)!r}, which was changed. Save it again."
    )
