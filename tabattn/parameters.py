"""Arguments of the estimators: their types, defaults and ranges."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal, get_args

import numpy as np
import torch

from tabattn.choices import Censored, EncoderKind, Pretrain, RegressionLoss
from tabattn.errors import ParameterError

ENCODERS: tuple[EncoderKind, ...] = get_args(EncoderKind)
ORDERED: tuple[EncoderKind, ...] = ("gpt",)


@dataclass(kw_only=True, eq=False, repr=False)
class Parameters:
    """The arguments that both estimators take; `TabAttnRegressor` documents them."""

    encoder: EncoderKind = "class"
    kinds: Mapping[str, str] | None = None
    na_values: Iterable[object] | Mapping[str, Iterable[object]] | None = None
    keep_na: bool = False
    censored: Censored = "limit"
    n_layers: int = 3
    d_token: int = 64
    n_heads: int = 2
    n_members: int | Literal["auto"] = "auto"
    attention_dropout: float = 0.1
    ffn_dropout: float = 0.1
    learning_rate: float | Literal["auto"] = "auto"
    weight_decay: float = 1e-5
    batch_size: int | Literal["auto"] = "auto"
    max_epochs: int = 100
    patience: int = 16
    validation_fraction: float = 0.2
    pretrain: Pretrain = "none"
    pretrain_epochs: int | Literal["auto"] = "auto"
    column_order: Sequence[str] | None = None
    warm_start: bool = False
    device: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = 1
    num_nodes: int = 1
    strategy: str = "auto"
    logger: Any = None
    random_state: int | np.random.RandomState | None = None
    verbose: bool = False


def check_parameters(given: Mapping[str, Any]) -> None:
    """Refuse arguments outside their range.

    Args:
        given: The arguments of an estimator's constructor, by name.

    Raises:
        ParameterError: An argument is outside its range.
    """
    if given["encoder"] not in ENCODERS:
        raise ParameterError(f"encoder must be one of {', '.join(ENCODERS)}, got {given['encoder']!r}.")
    if given["column_order"] is not None and given["encoder"] not in ORDERED:
        raise ParameterError(
            f"column_order must be left out for the encoder {given['encoder']!r}, which has no order. "
            f"It is for {' and '.join(ORDERED)}."
        )
    if given["pretrain"] not in get_args(Pretrain):
        raise ParameterError(f"pretrain must be 'none' or 'auto', got {given['pretrain']!r}.")
    for name in ("pretrain_epochs", "n_members", "batch_size"):
        if given[name] != "auto":
            requirement = "'auto' or an integer of at least 1"
            _require(name, given[name], Integral, requirement, lambda value: value >= 1)
    _require("d_token", given["d_token"], Integral, "an integer of at least 2", lambda value: value >= 2)
    for name in ("n_layers", "n_heads", "max_epochs", "patience", "devices", "num_nodes"):
        _require(name, given[name], Integral, "an integer of at least 1", lambda value: value >= 1)
    if given["encoder"] != "class" and given["d_token"] % given["n_heads"]:
        raise ParameterError(
            f"d_token must be a multiple of n_heads for the encoder {given['encoder']!r}, "
            f"got {given['d_token']} and {given['n_heads']}."
        )
    for name in ("attention_dropout", "ffn_dropout"):
        _require(name, given[name], Real, "at least 0 and less than 1", lambda value: 0 <= value < 1)
    if given["learning_rate"] != "auto":
        _require("learning_rate", given["learning_rate"], Real, "'auto' or positive", lambda value: value > 0)
    _require("weight_decay", given["weight_decay"], Real, "at least 0", lambda value: value >= 0)
    for name in ("validation_fraction", "quantile"):
        if name in given:
            _require(name, given[name], Real, "greater than 0 and less than 1", lambda value: 0 < value < 1)
    if not isinstance(given["kinds"], Mapping | None):
        raise ParameterError(f"kinds must be kinds of columns by name, or None, got {given['kinds']!r}.")
    if not isinstance(given["random_state"], Integral | np.random.RandomState | None):
        raise ParameterError(f"random_state must be an integer, a RandomState or None, got {given['random_state']!r}.")
    if not isinstance(given["strategy"], str):
        raise ParameterError(f"strategy must be the name of one of Lightning's, got {given['strategy']!r}.")
    loggers = given["logger"] if isinstance(given["logger"], list | tuple) else [given["logger"]]
    if given["logger"] is not None and not all(callable(getattr(each, "log_metrics", None)) for each in loggers):
        raise ParameterError(
            f"logger must be one of Lightning's loggers, a list of them or None, got {given['logger']!r}."
        )
    if given["device"] not in {"auto", "cpu", "cuda"}:
        raise ParameterError(f"device must be 'auto', 'cpu' or 'cuda', got {given['device']!r}.")
    if given["device"] == "cuda" and not torch.cuda.is_available():
        raise ParameterError("device must be 'auto' or 'cpu' where torch sees no GPU, got 'cuda'.")
    if "loss" in given and given["loss"] not in get_args(RegressionLoss):
        raise ParameterError(f"loss must be one of {', '.join(get_args(RegressionLoss))}, got {given['loss']!r}.")


def _require(name: str, value: Any, kind: type, requirement: str, holds: Callable[[Any], bool]) -> None:
    if isinstance(value, bool) or not isinstance(value, kind) or not holds(value):
        raise ParameterError(f"{name} must be {requirement}, got {value!r}.")
