"""Text models from directories that anybody may have written: no code of theirs is run, and nothing else is read.

What config.json says is held against the weights, which are safetensors files inside the directory, before a model is
built. Needs `pip install 'tabattn[text]'`. Nothing is downloaded unless it is asked for.
"""

import json
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from tabattn.errors import ParameterError, in_one_line
from tabattn.process_state import exclusive

MAX_JSON_BYTES, MAX_DEPTH = 50_000_000, 50
PATTERNS = ("*.json", "*.safetensors", "*.txt", "*.model")
CONFIG = "config.json"
CODE, VOCABULARIES = "auto_map", frozenset({"tokenizer.json", "vocab.json"})
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
MAX_TIMES_LARGER, SPARE_NUMBERS = 4, 10_000_000
NO_MATRIX = frozenset(
    {
        "bamba", "big_bird", "bigbird_pegasus", "canine", "falcon_mamba", "fnet", "funnel", "jamba", "led",
        "longformer", "longt5", "mamba", "mamba2", "nystromformer", "perceiver", "recurrent_gemma", "reformer", "rwkv",
        "xlstm", "yoso", "zamba", "zamba2",
    }
)  # fmt: skip


def load_text_model(name: str | Path, *, download: bool = False) -> tuple[Any, Any]:
    """Load a model and its tokenizer; no code that comes with them is run.

    Args:
        name: A directory, or the name of a model on the Hugging Face Hub.
        download: Whether it may be downloaded; else it must be on this machine.

    Returns:
        Model, in eval mode, with the head that it was saved with, and tokenizer.

    Raises:
        ParameterError: transformers is not installed, the model does not exist, its weights are not safetensors files
            inside its directory, its settings do not fit them, it needs code of its own, or its attention is no matrix
            of tokens.
    """
    try:
        import transformers
    except ImportError as error:
        raise ParameterError(
            f"Reading text must have transformers, got {error}. Run: pip install 'tabattn[text]'"
        ) from error
    shown = f"The model must be one of transformers, got {str(name)!r}"
    hint = "Check the name." if download else "Check the name, or allow its download (--download)."
    try:
        with _quiet(transformers):
            directory = _directory(name, download=download)
            n_tensors, n_numbers = _size_of_weights(directory)
            _refuse_devices(directory)
            settings = _settings(directory)
            _refuse_code(directory)
            where: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
            tokenizer = transformers.AutoTokenizer.from_pretrained(str(directory), **where)
            config = transformers.AutoConfig.from_pretrained(str(directory), **where)
            refuse_other_attention(config)
            _refuse_more_layers(settings, n_tensors)
            kind = _model_class(config)
            _refuse_more_numbers(kind, config, n_numbers)
            model = kind.from_pretrained(str(directory), use_safetensors=True, config=config, **where)
    except ParameterError as error:
        raise ParameterError(f"{shown}: {error}") from error
    except Exception as error:  # what a directory holds may fail anywhere in transformers, by any exception
        reason = (in_one_line(error) or type(error).__name__).split(". ")[0].rstrip(".")
        raise ParameterError(f"{shown}: {reason[:200]}. {hint}") from error
    return model.eval(), tokenizer


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Show neither the bars nor the reports of transformers, whose settings are restored."""
    logging = transformers.utils.logging
    with exclusive(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        verbosity, shows_progress = logging.get_verbosity(), logging.is_progress_bar_enabled()
        logging.set_verbosity(logging.CRITICAL)
        logging.disable_progress_bar()
        try:
            yield
        finally:
            logging.set_verbosity(verbosity)
            if shows_progress:
                logging.enable_progress_bar()


def _directory(name: str | Path, *, download: bool) -> Path:
    """Return the directory of a model, downloaded before if that is allowed."""
    path = Path(name)
    if path.is_dir():
        return path
    import huggingface_hub

    found = huggingface_hub.snapshot_download(str(name), local_files_only=not download, allow_patterns=list(PATTERNS))
    return Path(found)


def _settings(directory: Path) -> dict[str, Any]:
    """Return what config.json says."""
    path = directory / "config.json"
    if path.stat().st_size > MAX_JSON_BYTES:
        raise ParameterError(f"config.json must be a few kilobytes, got {path.stat().st_size} bytes.")
    settings = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(settings, dict):
        raise ParameterError("config.json must hold settings by their names.")
    return settings


def _refuse_devices(directory: Path) -> None:
    """Refuse links to devices, pipes and the like, which may have no end."""
    for path in directory.iterdir():
        if path.exists() and not path.is_file() and not path.is_dir():
            raise ParameterError(f"it must have files only, {path.name!r} is a device or a pipe.")


def _refuse_code(directory: Path) -> None:
    """Refuse a directory that needs code of its own: transformers may ask on the standard input whether to run it."""
    for path in directory.glob("*.json"):
        if path.name in VOCABULARIES or not path.is_file() or path.stat().st_size > MAX_JSON_BYTES:
            continue
        inside = [json.loads(path.read_text(encoding="utf-8"))]
        while inside:
            each = inside.pop()
            if isinstance(each, dict) and CODE in each and not _is_needless(each, path):
                raise ParameterError(f"it needs code of its own ({CODE} in {path.name}), which is never run.")
            inside.extend(each.values() if isinstance(each, dict) else each if isinstance(each, list) else ())


def _is_needless(settings: Mapping[str, Any], path: Path) -> bool:
    """Return whether settings name code for what transformers has itself, and reads without a word."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    named = settings[CODE]
    is_known = isinstance(settings.get("model_type"), str) and settings["model_type"] in CONFIG_MAPPING
    is_model = isinstance(named, dict) and all(str(name).startswith(("AutoConfig", "AutoModel")) for name in named)
    return path.name == CONFIG and is_known and is_model


def _size_of_weights(directory: Path) -> tuple[int, int]:
    """Return the number of tensors and of numbers in the weights, of which nothing but headers is read."""
    n_tensors = n_numbers = 0
    for path in _weights(directory):
        try:
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118  # not a dictionary
                    n_tensors += 1
                    n_numbers += math.prod(file.get_slice(name).get_shape())
        except SafetensorError as error:
            raise ParameterError(f"its weights in {path.name!r} are not complete. Download it again.") from error
    return n_tensors, n_numbers


def _weights(directory: Path) -> list[Path]:
    """Return the files of the weights, all of them safetensors inside the directory."""
    names = [WEIGHTS]
    if not (directory / WEIGHTS).exists():
        if not (directory / INDEX).exists():
            raise ParameterError(
                f"it must have weights in {WEIGHTS}; other files of weights may run code when they are read. "
                "Convert it with save_pretrained of transformers."
            )
        parts = json.loads((directory / INDEX).read_text(encoding="utf-8"))
        listed = parts.get("weight_map") if isinstance(parts, dict) else None
        if not isinstance(listed, dict) or not all(isinstance(each, str) for each in listed.values()):
            raise ParameterError(f"{INDEX} must name the file of each weight.")
        names = sorted(set(listed.values()))
    for name in names:
        path = directory / name
        blobs = directory.resolve().parent.parent / "blobs"  # where the cache of the Hub has files
        place = path.resolve()
        is_inside = place.parent in {directory.resolve(), blobs}
        if Path(name).name != name or not name.endswith(".safetensors") or not is_inside:
            raise ParameterError(f"its weights must be safetensors files inside the directory, got {name!r}.")
        if not path.is_file():
            raise ParameterError(f"its weights must be complete, {name!r} is absent. Download it again.")
    return [directory / name for name in names]


def refuse_other_attention(config: Any) -> None:
    """Refuse models whose attention is of windows, of buckets or of pooled tokens, or that have none.

    Args:
        config: Settings of the model.

    Raises:
        ParameterError: The model is of such a kind.
    """
    if getattr(config, "model_type", None) in NO_MATRIX:
        raise ParameterError(
            f"model must attend from every token to every other, a {config.model_type!r} has no such attention. "
            "Choose one such as BERT, RoBERTa, GPT-2, T5 or XLNet."
        )


def _refuse_more_layers(settings: Mapping[str, Any], n_tensors: int, depth: int = 0) -> None:
    """Refuse settings with more layers than the weights have tensors, before they are built."""
    for name, value in settings.items():
        if isinstance(value, dict) and depth < MAX_DEPTH:
            _refuse_more_layers(value, n_tensors, depth + 1)
        elif "layer" in str(name) and isinstance(value, int | float) and not value <= n_tensors:
            raise ParameterError(f"config.json has {name} of {value}, but the weights are {n_tensors} tensors.")


def _refuse_more_numbers(kind: Any, config: Any, n_numbers: int) -> None:
    """Refuse settings that need far more numbers than the weights have, before memory is taken for them."""
    with torch.device("meta"):
        needed = sum(each.numel() for each in kind(config).parameters())
    if needed > MAX_TIMES_LARGER * n_numbers + SPARE_NUMBERS:
        raise ParameterError(f"config.json describes {needed} numbers, but the weights are {n_numbers}.")


def _model_class(config: Any) -> Any:
    """Return the class that a model was saved from, with its head, if transformers has it; else choose by the config.

    The name comes out of a file, so nothing but a model class is accepted: it could name any object.
    """
    import transformers

    names = config.architectures
    found = getattr(transformers, str(names[0]), None) if isinstance(names, list) and names else None
    is_model = isinstance(found, type) and issubclass(found, transformers.PreTrainedModel)
    known = getattr(found, "config_class", None)
    if is_model and isinstance(known, type) and isinstance(config, known):
        return found
    chosen = transformers.AutoModel._model_mapping[type(config)]
    return chosen[0] if isinstance(chosen, tuple) else chosen
