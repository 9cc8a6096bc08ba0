"""Encodings of a target for the model, and back: standardized numbers, codes of classes, binary labels.

Every encoding is learned once, from the rows that are fitted, and consists of numbers and text, which a saved model can
hold.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from scipy.sparse import issparse
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_array, column_or_1d
from torch import Tensor
from typing_extensions import override

from tabattn.arrays import Array
from tabattn.errors import TargetError, in_one_line, quoted
from tabattn.nn.losses import LossName

NUMBER_LOSSES: frozenset[LossName] = frozenset({"squared", "squared_log", "absolute", "pinball", "poisson"})


class TargetEncoding(ABC):
    """How a target becomes what the loss takes, and predictions become what the target is.

    Attributes:
        quantile: Of the loss "pinball", which only numbers have.
    """

    quantile: float = 0.5

    @property
    @abstractmethod
    def loss(self) -> LossName:
        """The loss that such a target is learned by."""

    @property
    @abstractmethod
    def n_outputs(self) -> int:
        """Numbers that the model predicts for a row."""

    @abstractmethod
    def encode(self, values: Array) -> Tensor:
        """Return a target as the loss takes it.

        Args:
            values: What `check_numbers` or `check_classes` returned.

        Raises:
            TargetError: It is not what was fitted.
        """

    @abstractmethod
    def decode(self, averaged: Array) -> Array:
        """Return averaged predictions of shape (row, output) in the units of the target, or as probabilities."""

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What was learned, as JSON can hold it."""

    @classmethod
    @abstractmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Return the encoding whose `settings` these are.

        Raises:
            ValueError, KeyError, TypeError: They are not those of an encoding.
        """


@dataclass(frozen=True)
class NumberEncoding(TargetEncoding):
    """Numbers, standardized; their logarithms where the loss is that of logarithms.

    Args:
        mean: Subtracted from each output.
        scale: Positive divisor of each output.
        is_single: Whether the target was one column, so that predictions are too.
        loss: The loss that it is learned by.
        quantile: Of the loss "pinball".
    """

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    is_single: bool
    loss: LossName = "squared"
    quantile: float = 0.5

    @classmethod
    def learned(cls, values: Array, weight: Array, loss: LossName, quantile: float = 0.5) -> Self:
        """Learn the scale: mean and standard deviation, or for counts ("poisson") the mean alone.

        Args:
            values: What `check_numbers` returned.
            weight: Weight of each row.
            loss: The loss that it is learned by.
            quantile: Of the loss "pinball".

        Raises:
            TargetError: The variance is not finite, or the loss is "poisson" and no count is above 0.
        """
        columns = _logarithms(values.reshape(len(values), -1), loss)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = np.average(columns, axis=0, weights=weight)
            variance = np.average((columns - mean) ** 2, axis=0, weights=weight)
        if not np.isfinite(variance).all():
            raise TargetError(
                f"y must have a finite variance, got values up to {np.abs(values).max():.3g}. "
                "Divide y by a power of ten."
            )
        if loss == "poisson":
            if not (mean > 0).all():
                raise TargetError("y must hold a count above 0 for the loss 'poisson', got only zeros.")
            mean, scale = np.zeros_like(mean), mean
        else:
            scale = np.sqrt(variance)
            scale[scale == 0] = 1.0
        return cls(tuple(mean.tolist()), tuple(scale.tolist()), values.ndim == 1, loss, float(quantile))

    @override
    @property
    def n_outputs(self) -> int:
        return len(self.mean)

    @override
    def encode(self, values: Array) -> Tensor:
        columns = values.reshape(len(values), -1)
        if columns.shape[1] != self.n_outputs:
            raise TargetError(f"y must have {self.n_outputs} column(s), as in fit, got {columns.shape[1]}.")
        standardized = (_logarithms(columns, self.loss) - np.array(self.mean)) / np.array(self.scale)
        return torch.from_numpy(standardized.astype(np.float32))

    @override
    def decode(self, averaged: Array) -> Array:
        numbers: Array = averaged * np.array(self.scale) + np.array(self.mean)
        if self.loss == "squared_log":
            numbers = np.exp(numbers)
        return numbers[:, 0] if self.is_single else numbers

    @override
    @property
    def settings(self) -> dict[str, Any]:
        return {"mean": list(self.mean), "scale": list(self.scale), "is_single": self.is_single} | {
            "loss": self.loss,
            "quantile": self.quantile,
        }

    @override
    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        mean, scale = (tuple(float(each) for each in settings[name]) for name in ("mean", "scale"))
        is_single = bool(settings["is_single"])
        if not mean or len(mean) != len(scale) or (is_single and len(mean) > 1):
            raise ValueError("there must be a mean and a scale of each output")
        if not np.isfinite(mean).all() or not np.isfinite(scale).all() or min(scale) <= 0:
            raise ValueError("means must be numbers, and scales above 0")
        loss = settings["loss"]
        if loss not in NUMBER_LOSSES:
            raise ValueError("the loss is not one of numbers")
        return cls(mean, scale, is_single, loss, float(settings["quantile"]))


@dataclass(frozen=True, eq=False)
class ClassEncoding(TargetEncoding):
    """Classes, by their places in sorted order.

    Args:
        classes: Shape (class,).
    """

    classes: Array

    @classmethod
    def learned(cls, values: Array) -> Self:
        """Learn the classes.

        Args:
            values: What `check_classes` returned, one class for each row.

        Raises:
            TargetError: There are fewer than two.
        """
        classes = np.unique(values)
        if len(classes) < 2:
            raise TargetError(f"y must have at least two classes, got one class: '{classes[0]}'.")
        return cls(classes)

    @override
    @property
    def loss(self) -> LossName:
        return "classes"

    @override
    @property
    def n_outputs(self) -> int:
        return len(self.classes)

    @override
    def encode(self, values: Array) -> Tensor:
        if values.ndim != 1:
            raise TargetError("y must hold one class for each row, as in fit, got several labels.")
        unknown = pd.unique(values[~np.isin(values, self.classes)])
        if len(unknown):
            shown = quoted([str(each) for each in unknown])
            raise TargetError(f"y must hold classes that fit has seen, got {shown}. Leave these rows out.")
        return torch.from_numpy(np.searchsorted(self.classes, values).astype(np.int64))

    @override
    def decode(self, averaged: Array) -> Array:
        return averaged

    @override
    @property
    def settings(self) -> dict[str, Any]:
        return {"dtype": self.classes.dtype.str, "classes": self.classes.tolist()}

    @override
    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        dtype = np.dtype(settings["dtype"])
        if dtype.kind not in "biufUO" or dtype.names or dtype.subdtype:
            raise ValueError("classes must be numbers or strings")
        classes = np.array(settings["classes"], dtype=None if dtype.kind == "U" else dtype)
        if classes.ndim != 1 or len(classes) < 2 or classes.dtype.kind != dtype.kind:
            raise ValueError("classes must be of one type")
        if len(np.unique(classes)) != len(classes) or (np.unique(classes) != classes).any():
            raise ValueError("classes must be sorted, each once")
        return cls(classes)


@dataclass(frozen=True)
class LabelEncoding(TargetEncoding):
    """Binary labels, any number per row.

    Args:
        n_labels: Number of labels.
    """

    n_labels: int

    @classmethod
    def learned(cls, values: Array) -> Self:
        """Learn the number of labels.

        Args:
            values: What `check_classes` returned, 0 or 1 for each row and label.

        Raises:
            TargetError: Every label is the same in all rows.
        """
        if (values == values[0]).all():
            raise TargetError("y must have at least two classes or a label that varies, got the same in every row.")
        return cls(values.shape[1])

    @override
    @property
    def loss(self) -> LossName:
        return "labels"

    @override
    @property
    def n_outputs(self) -> int:
        return self.n_labels

    @override
    def encode(self, values: Array) -> Tensor:
        if values.ndim != 2 or values.shape[1] != self.n_labels:
            raise TargetError(f"y must have {self.n_labels} columns of labels, as in fit, got shape {values.shape}.")
        return torch.from_numpy(values.astype(np.float32))

    @override
    def decode(self, averaged: Array) -> Array:
        return averaged

    @override
    @property
    def settings(self) -> dict[str, Any]:
        return {"n_labels": self.n_labels}

    @override
    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        return cls(int(settings["n_labels"]))


def check_numbers(y: Any, loss: LossName, n_rows: int) -> Array:
    """Check a target of regression.

    Args:
        y: Numbers: one for each row, or one for each row and target.
        loss: The loss that it is learned by; "poisson" is for counts.
        n_rows: How many rows X has.

    Returns:
        Array of shape (row,) or (row, target).

    Raises:
        TargetError: y holds times, other values that are not numbers, missing or infinite ones, negative counts, or
            numbers that have no logarithm where the loss is that of logarithms.
    """
    _refuse_times(y)
    try:
        checked: Array = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        numbers = column_or_1d(checked, warn=True) if checked.ndim == 1 or checked.shape[1] == 1 else checked
    except (ValueError, TypeError, OverflowError) as error:
        raise TargetError(
            f"y must hold finite numbers, as many for each row: {in_one_line(error)} Correct or leave out such rows."
        ) from error
    _refuse_other_length(numbers, n_rows)
    if loss == "poisson" and numbers.min() < 0:
        raise TargetError(
            f"y must hold counts or rates of at least 0 for the loss 'poisson', got {numbers.min():.4g}. "
            "Use another loss."
        )
    if loss == "squared_log" and numbers.min() <= 0:
        raise TargetError(
            f"y must hold numbers above 0 for the loss 'squared_log', got {numbers.min():.4g}. Use 'absolute', "
            "'poisson' for counts, or add a constant to y that means little to you."
        )
    return numbers


def _logarithms(columns: Array, loss: LossName) -> Array:
    """Return numbers as they are averaged: their logarithms, or themselves."""
    logarithms: Array = np.log(columns) if loss == "squared_log" else columns
    return logarithms


def check_classes(y: Any, n_rows: int) -> Array:
    """Check a target of classification.

    Args:
        y: One class for each row, or 0 or 1 for each row and label.
        n_rows: How many rows X has.

    Returns:
        Array of shape (row,) or (row, label).

    Raises:
        TargetError: y holds times, other values that are not classes, missing ones, or ones of several types.
    """
    _refuse_times(y)
    try:
        values = y.toarray() if issparse(y) else np.asarray(y)
        if values.ndim != 2 or values.shape[1] == 1:
            values = column_or_1d(y, warn=True)
        if pd.isna(values).any():
            raise TargetError("y must have no missing value, got NaN. Drop these rows first.")
        if values.ndim == 2 and values.dtype == object:  # nullable numbers and booleans
            values = values.astype(np.float64)
        check_classification_targets(values)
        np.unique(values)
    except TargetError:
        raise
    except ValueError as error:
        raise TargetError(
            f"y must hold classes (strings, booleans or integers): {in_one_line(error)} Turn y into strings, or "
            "use a regressor."
        ) from error
    except TypeError as error:
        raise TargetError(
            "y must hold classes of one type, got strings and numbers mixed. Turn all of them into strings."
        ) from error
    if values.ndim == 2 and type_of_target(values) != "multilabel-indicator":
        raise TargetError(
            "y must hold one class for each row, or 0 or 1 for each row and label, got several columns of classes. "
            "Fit one classifier for each."
        )
    _refuse_other_length(values, n_rows)
    return values.astype(np.int64) if values.ndim == 2 else values


def _refuse_other_length(values: Array, n_rows: int) -> None:
    if len(values) != n_rows:
        raise TargetError(
            f"y must have as many rows as X, got inconsistent numbers of samples: {len(values)} for y and {n_rows} "
            "for X. Take both from the same rows."
        )


def _refuse_times(y: Any) -> None:
    if getattr(getattr(y, "dtype", None), "kind", "") in {"m", "M"}:
        raise TargetError(f"y must hold numbers or classes, got times ({y.dtype}). Turn them into seconds or strings.")
