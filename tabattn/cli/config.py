"""Options from a file: `--config`."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from tabattn.cli.jobs import fail
from tabattn.errors import nearest


def read_config(context: typer.Context, path: Path | None) -> None:
    """Take options that are not on the command line from a TOML file.

    Args:
        context: Of the command.
        path: The file; None for none. Keys are the names of options, with _ or -; a section named after a command is
            for this command alone. Lists are for options that may be repeated, tables for COLUMN=KIND and the like.
    """
    if path is None:
        return
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        fail(f"--config must be a readable file, got {str(path)!r}: {_reason(error)}.")
    except tomllib.TOMLDecodeError as error:
        fail(f"--config must be a TOML file, got {str(path)!r}: {error}.")
    command = context.command
    parameters = {_key(parameter): parameter for parameter in command.params}
    siblings = set() if context.parent is None else set(context.parent.command.commands)  # type: ignore[attr-defined]
    given = {name: value for name, value in content.items() if name not in siblings}
    own = content.get(str(context.info_name), {})
    if not isinstance(own, Mapping):
        fail(f"--config must have a section `{context.info_name}`, got {own!r}.")
    given |= own
    defaults: dict[str, Any] = {}
    for name, value in given.items():
        parameter = parameters.get(name.replace("-", "_"))
        if parameter is None or parameter.is_eager:
            known = [key.replace("_", "-") for key, each in parameters.items() if not each.is_eager]
            known += sorted(siblings) if isinstance(value, Mapping) else []
            fail(
                f"--config must have options of `{context.info_name}`, got {name!r} in {str(path)!r}. "
                f"{nearest(name, known, 'options')}"
            )
        many = bool(getattr(parameter, "multiple", False))
        if not many and isinstance(value, list | Mapping):
            fail(f"--config must have one value of {name!r}, got {value!r} in {str(path)!r}.")
        defaults[str(parameter.name)] = list(_texts(value)) if many else value
    context.default_map = defaults


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else "it is not UTF-8"


def _key(parameter: Any) -> str:
    """Return the name of an option as it is written, or of an argument, with underscores."""
    long = [option for option in parameter.opts if option.startswith("--")]
    return str(long[0][2:] if long else parameter.name).replace("-", "_")


def _texts(value: Any) -> "list[str]":
    """Return the values of an option that may be repeated: KEY=VALUE for tables."""
    if isinstance(value, Mapping):
        return [f"{key}={text}" for key, values in value.items() for text in _texts(values)]
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]
