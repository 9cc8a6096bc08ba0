"""Commands whose help and errors are in plain words: no types of Python, one line for each mistake."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import typer
from typer.core import TyperCommand
from typing_extensions import override

from tabattn.cli.jobs import fail
from tabattn.errors import nearest

USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]
PLACEHOLDERS: dict[Any, str] = {
    bool: "",
    int: "N",
    float: "NUMBER",
    Path: "PATH",
    str: "TEXT",
    list[str]: "TEXT",
}


class PlainCommand(TyperCommand):
    """A command whose errors are one line each, as the errors of a job are."""

    @override
    def get_params(self, ctx: Any) -> list[Any]:
        params: list[Any] = list(super().get_params(ctx))
        for param in params:
            if param.param_type_name == "argument":
                param.metavar = str(param.name).upper()
                param.display_type_rich = lambda ctx: ""  # noqa: ARG005  # its name says it
            elif param.metavar is None:
                param.metavar = PLACEHOLDERS.get(_annotation(param))
        return params

    @override
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except USAGE_ERROR as error:
            fail(f"{_said(error, given, self.get_params(ctx))} See tabattn {ctx.info_name} --help.")


def _said(error: Any, given: Sequence[str], params: Sequence[Any]) -> str:
    """Return what was required and what was given."""
    options = [option for param in params for option in param.opts if option.startswith("--")]
    kind, param, name = type(error).__name__, getattr(error, "param", None), getattr(error, "option_name", "")
    if kind == "NoSuchOption":
        return f"Options must be those of the command, got {name!r}. {nearest(name, options, 'options')}"
    if kind == "MissingParameter" and param is not None:
        return f"{_name(param)} must be given, got none."
    if kind == "BadParameter" and param is not None and _wanted(param):
        value = _value(param, given)
        return f"{_name(param)} must be {_wanted(param)}{'' if value is None else f', got {value!r}'}."
    if kind == "UsageError" and "extra argument" in error.message:
        more = error.message.partition(" (")[2].rstrip(")")
        return f"The command must have no more than its arguments, got {more!r}."
    if kind == "BadOptionUsage":
        takes = next((each for each in params if name in each.opts), None)
        is_flag = takes is not None and _annotation(takes) is bool
        return f"{name} must {'stand alone, got a value' if is_flag else 'have a value, got none'}."
    return " ".join(str(error.format_message()).split()).rstrip(".") + "."


def _annotation(param: Any) -> Any:
    """Return the type of a parameter in Python; of one that may be absent, what it is otherwise."""
    annotation = getattr(getattr(param, "type_descriptor", None), "annotation", None)
    parts = get_args(annotation)
    others = [each for each in parts if each is not type(None)]
    return others[0] if len(others) == 1 < len(parts) else annotation


def _name(param: Any) -> str:
    return str(param.opts[0]) if param.param_type_name == "option" else str(param.metavar)


def _wanted(param: Any) -> str:
    """Return what a parameter can be, in words; nothing where that is not known."""
    annotation = _annotation(param)
    if annotation in (int, float):
        low, high = param.min, param.max
        bounds = [f"at least {low}"] * (low is not None) + [f"at most {high}"] * (high is not None)
        return (
            "a whole number" * (annotation is int)
            + "a number" * (annotation is float)
            + (f" of {' and '.join(bounds)}" if bounds else "")
        )
    choices = get_args(annotation)
    return f"one of {', '.join(choices)}" if choices and all(isinstance(each, str) for each in choices) else ""


def _value(param: Any, given: Sequence[str]) -> str | None:
    """Return the text that was given for an option, the last one; None where it came from elsewhere."""
    found = None
    for place, text in enumerate(given):
        option, sign, value = text.partition("=")
        if option in param.opts:
            found = value if sign else (given[place + 1] if place + 1 < len(given) else None)
    return found
