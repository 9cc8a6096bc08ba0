"""A fitted model: everything that a fit has learned, and what is computed from it for rows that are read once."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tabattn.arrays import Array
from tabattn.choices import DEFAULT_METHOD, Method
from tabattn.encoding.rows import RowEncoder, Rows
from tabattn.encoding.target import ClassEncoding, LabelEncoding, TargetEncoding
from tabattn.errors import ParameterError
from tabattn.fitted.files import SavedState, read_state, write_state
from tabattn.fitted.onnx import write_onnx
from tabattn.fitted.record import HeldOutRecord
from tabattn.fitted.state import restored_parts, state_of
from tabattn.importance.aggregation import Scores, normalize_rows
from tabattn.importance.drift import attention_drift
from tabattn.importance.limits import ReadLimits
from tabattn.importance.maps import AttentionMaps, between_table, head_table, history_table, pretraining_table
from tabattn.importance.permutation import SCORINGS, PermutationScores, Repeats, permuted_scores, score_of
from tabattn.importance.reader import Reader
from tabattn.importance.units import Units, spread, units_of
from tabattn.nn.devices import resolve_device
from tabattn.nn.losses import Target
from tabattn.nn.model import TabAttnModel
from tabattn.nn.tokens import Cells
from tabattn.progress import Job
from tabattn.table.schema import TableSchema

Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True, eq=False)
class FitHistory:
    """Record of a fit.

    Args:
        attention: Mean attention to each column of the table, by mode ("train", "eval"), shape (epoch, column).
        pretraining: Loss of each epoch of pretraining, by mode ("train", "validation"); empty if there was none.
        best_epoch: Epoch of the weights, counted from 1.
        best_loss: Validation loss at that epoch.
        was_interrupted: Whether Ctrl-C ended the fit early.
    """

    attention: Mapping[str, Array]
    pretraining: Mapping[str, Array]
    best_epoch: int
    best_loss: float
    was_interrupted: bool = False

    def __post_init__(self) -> None:
        for array in (*self.attention.values(), *self.pretraining.values()):
            array.setflags(write=False)

    @property
    def n_epochs(self) -> int:
        """Number of epochs trained."""
        return len(self.attention["train"])


@dataclass(frozen=True, eq=False)
class HeldOutRows:
    """Rows that a fit held out, each to be scored by the members that did.

    Args:
        cells: The rows.
        target: Their target, as the loss takes it.
        member_weight: 1 for the members that held a row out, else 0.
        row_weight: Weight of each row.
        half: Which half of them each is in.
        cross_stopped: For the rows of the first and of the second half, the model at the epoch that is best for the
            other half.
        sample: Number of the independent unit of each row: the row, its lot, or its block of time.
    """

    cells: Cells
    target: Target
    member_weight: Tensor
    row_weight: Tensor
    half: Tensor
    cross_stopped: tuple[TabAttnModel, TabAttnModel]
    sample: Tensor

    def importances(self, reader: Reader, units: Units) -> Array:
        """Score columns by the default method.

        Args:
            reader: The model.
            units: The columns.

        Returns:
            Shape (column,), sums to 1.
        """
        weights = {"member_weight": self.member_weight, "row_weight": self.row_weight}
        return reader.scores(self.cells, self.target, DEFAULT_METHOD, units, **weights).importance

    def record(self, reader: Reader, encoding: TargetEncoding) -> HeldOutRecord:
        """Compare what the members that held a row out predict of it with the target.

        Args:
            reader: The model.
            encoding: Encoding of the target.
        """
        loss = reader.model.loss
        averaged = loss.average(reader.predict(self.cells).double(), self.member_weight.double())
        known = self.target.double().numpy() if self.target.is_floating_point() else self.target.numpy()
        y = encoding.classes[known] if isinstance(encoding, ClassEncoding) else encoding.decode(known)
        return HeldOutRecord.of(encoding, encoding.decode(averaged.numpy()), y, self.row_weight.numpy())


@dataclass(frozen=True, eq=False)
class FittedModel:
    """Everything that a fit has learned.

    Args:
        encoder: How tables become rows.
        model: The trained model, on the CPU, in eval mode.
        background: Rows that others are compared with.
        history: Record of the fit.
        scored: What `importances` come from: rows that were held out, or, where they are known already, themselves.
        hold_out_seed: Determines which rows each member holds out.
        recorded: How good predictions of rows were that were not fitted, where that is known from others than the rows
            that the fit held out.
        feature_names: Names of the columns that fit was given, None for an array.
        device: Where to compute.
        limits: How much to hold in memory at once.
    """

    encoder: RowEncoder
    model: TabAttnModel
    background: Cells
    history: FitHistory
    scored: HeldOutRows | Array
    hold_out_seed: int
    feature_names: tuple[str, ...] | None = None
    device: Device = "auto"
    limits: ReadLimits = field(default_factory=ReadLimits)
    recorded: HeldOutRecord | None = None

    @functools.cached_property
    def importances(self) -> Array:
        """Importance of each column of the table on held-out rows, sums to 1.

        Computed when it is first asked for, on the CPU, wherever the rest is computed.
        """
        if isinstance(self.scored, HeldOutRows):
            found = self.scored.importances(self.on("cpu").reader, units_of(self.schema))
        else:
            found = self.scored
        found.setflags(write=False)
        return found

    @functools.cached_property
    def record(self) -> HeldOutRecord | None:
        """How good predictions of held-out rows were; None for a model of an older file, which does not know."""
        if self.recorded is None and isinstance(self.scored, HeldOutRows):
            return self.scored.record(self.on("cpu").reader, self.encoder.target)
        return self.recorded

    @property
    def schema(self) -> TableSchema:
        """The columns."""
        return self.encoder.schema

    @property
    def reader(self) -> Reader:
        """The model and its background rows."""
        return Reader(self.model, self.background, resolve_device(self.device), self.limits)

    def on(self, device: Device) -> Self:
        """Return the same model, computing elsewhere.

        Args:
            device: "auto" for a CUDA GPU if there is one, "cpu" or "cuda".
        """
        return self if device == self.device else replace(self, device=device)

    def refuse_other_kinds(self, kinds: Mapping[str, str]) -> None:
        """Refuse to continue from this model with columns of other kinds.

        Args:
            kinds: Kinds of columns by name.

        Raises:
            ParameterError: A column was of another kind.
        """
        known = {column.name: column.kind for column in self.schema.columns}
        for name, kind in kinds.items():
            if known.get(str(name)) != kind:
                raise ParameterError(
                    f"kinds must be as in the fit that warm_start goes on from, got {kind!r} for {str(name)!r}, which "
                    f"was {str(known.get(str(name), 'no column'))!r}. Set warm_start=False to start again."
                )

    def rows(self, X: pd.DataFrame, y: Array | None = None) -> Rows:
        """Read rows: parse, warn and encode, once for all other methods.

        Args:
            X: Rows with the columns of the schema, in its order.
            y: Their target, checked; None if it is not known.

        Raises:
            ColumnError: A column holds nothing of what it held in training, or infinite numbers.
            TargetError: The target is not what was fitted.

        Warns:
            UnparsedCellsWarning: Some cells are not what their column holds; they count as missing.
            UnknownLevelsWarning: None of ten or more cells of a category is a level that was seen in training.
        """
        return self.encoder.read(X, y)

    def predict(self, rows: Rows) -> Array:
        """Predict numbers, or probabilities of classes or labels.

        Returns:
            Shape (row,) for one number, else (row, output).
        """
        return self._decoded(self.reader.predict(rows.cells))

    def scores(self, rows: Rows, method: Method, units: Units) -> Scores:
        """Score units of columns on some rows; memory does not grow with their number.

        Args:
            rows: The rows. Without a target the prediction is taken as the target.
            method: How to score.
            units: What to score.

        Raises:
            ParameterError: The method is unknown.
        """
        return self.scores_of_parts(rows, method, units, np.ones((len(rows), 1)))[0]

    def scores_of_parts(
        self, rows: Rows, method: Method, units: Units, row_weights: Array, block: Array | None = None
    ) -> list[Scores]:
        """Score units of columns on several parts of some rows, such as those of each class, reading each row once.

        Args:
            rows: The rows. Without a target the prediction is taken as the target.
            method: How to score.
            units: What to score.
            row_weights: Weight of each row in each part, shape (row, part), not all zero in any part; it is multiplied
                by that of the rows.
            block: Number of the block of each row, see `Reader.member_scores`.

        Raises:
            ParameterError: The method is unknown.
        """
        weights = torch.from_numpy(row_weights if rows.weight is None else row_weights * rows.weight[:, None])
        blocks = None if block is None else torch.from_numpy(block)
        return self.reader.scores_of_parts(rows.cells, rows.target, method, units, weights, block=blocks)

    def local_scores(self, rows: Rows, method: Method, units: Units) -> pd.DataFrame:
        """Score units of columns for every row.

        Args:
            rows: The rows. Without a target the prediction is taken as the target.
            method: How to score.
            units: What to score.

        Returns:
            One row per row, one column per unit.

        Raises:
            ParameterError: The method is unknown.
        """
        parts = self.reader.member_scores(rows.cells, rows.target, method, units=units.joined)
        scores = normalize_rows(torch.cat([each.sum(dim=1) for each in parts]).numpy())
        return pd.DataFrame(units.spread(scores), rows.index, _named(units.names))

    def additive_values(self, rows: Rows, units: Units) -> tuple[Array, Array]:
        """Divide predictions, less the mean of those of 64 background rows, among units of columns.

        Args:
            rows: The rows.
            units: What it is divided among.

        Returns:
            Shapley values, shape (row, output, unit), and that mean, shape (output,): numbers, or probabilities.
        """

        def decode(averaged: Array) -> Array:
            return self.encoder.target.decode(averaged).reshape(len(averaged), -1)

        parts = torch.cat(list(self.reader.additive_values(rows.cells, decode, units.joined)))
        mean: Array = self._decoded(self.reader.predict(self.reader.additive_background)).mean(axis=0)
        return units.spread(parts.transpose(1, 2).numpy()), np.atleast_1d(mean)

    def permutation(
        self,
        rows: Rows,
        units: Units,
        n_repeats: Repeats,
        random_state: int | None = 0,
        job: Job | None = None,
    ) -> PermutationScores:
        """Measure how much worse the model gets when one unit of columns at a time is permuted.

        The results equal those of scikit-learn's `permutation_importance` up to rounding, but cells are not embedded
        again for every column: all columns of a repeat get their tokens from the same other rows, inside the model.

        Args:
            rows: The rows, with their target.
            units: The columns that are permuted together.
            n_repeats: Permutations of each unit, see `permuted_scores`.
            random_state: Seed of the permutations.
            job: The job that this is a part of, see `permuted_scores`.

        Raises:
            ParameterError: `n_repeats` is less than 1.
        """
        scoring = SCORINGS[self.model.shape.loss]
        unpermuted = self._score(rows, self.predict(rows))
        columns = {unit: units.model_columns(unit) for unit in units.scored}

        def decreases(chosen: Sequence[int], source: Array) -> Array:
            read = [unit for unit in chosen if unit in columns]
            swapped = self.reader.predict_swapped(
                rows.cells, rows.cells.take(torch.from_numpy(source)), [columns[unit] for unit in read]
            )
            scores = [
                self._score(rows, self.encoder.target.decode(averaged))
                for block in swapped
                for averaged in block.transpose(0, 1).numpy()
            ]
            found = dict(zip(read, scores, strict=True))
            return np.array([unpermuted - found.get(unit, unpermuted) for unit in chosen])

        return permuted_scores(
            decreases,
            scoring,
            n_rows=len(rows),
            n_columns=len(units.names),
            n_repeats=n_repeats,
            random_state=random_state,
            job=job,
        )

    def _score(self, rows: Rows, predicted: Array) -> float:
        """Return the score of decoded predictions of rows whose target is known."""
        assert rows.y is not None, "a score needs a target"
        shape, target = self.model.shape, self.encoder.target
        classes = target.classes if isinstance(target, ClassEncoding) else None
        return score_of(
            SCORINGS[shape.loss], rows.y, predicted, classes=classes, quantile=shape.quantile, weight=rows.weight
        )

    def attention(self, rows: Rows) -> AttentionMaps:
        """Return the raw attention weights of some rows, before dropout."""
        stacked = self.reader.read(rows.cells, lambda model, batch, _: torch.stack(model(batch).attention, dim=2))
        weights = self._spread(torch.cat(list(stacked)).numpy())
        if not self.model.shape.mixes_columns:
            return AttentionMaps(weights, self.schema.names)
        between = self._spread(torch.cat(list(self.reader.read(rows.cells, _between))).numpy())
        return AttentionMaps(weights, self.schema.names, self._spread(between.swapaxes(-1, -2)).swapaxes(-1, -2))

    def mean_attention(self, rows: Rows) -> pd.DataFrame:
        """Return attention averaged over rows and members, layers and heads against features."""
        sums = self.reader.read(
            rows.cells,
            lambda model, batch, _: torch.stack(
                [layer.double().mean(dim=1).sum(dim=0) for layer in model(batch).attention]
            ),
        )
        mean = functools.reduce(torch.add, sums) / len(rows)
        return head_table(self._spread(mean.numpy()), self.schema.names)

    def mean_attention_between(self, rows: Rows) -> pd.DataFrame | None:
        """Return attention of columns to columns averaged over everything; None where columns do not attend."""
        if not self.model.shape.mixes_columns:
            return None
        sums = self.reader.read(
            rows.cells,
            lambda model, batch, rows: _between(model, batch, rows).double().mean(dim=(1, 2, 3)).sum(dim=0),
        )
        mean = (functools.reduce(torch.add, sums) / len(rows)).numpy()
        return between_table(self._spread(self._spread(mean).T).T, self.schema.names)

    def row_attention(self, rows: Rows) -> pd.DataFrame:
        """Return the attention of each row, averaged over members, layers and heads."""
        return pd.DataFrame(self._attention_by_row(rows.cells), rows.index, _named(self.schema.names))

    def drift(self, rows: Rows) -> pd.DataFrame:
        """Compare the attention to each column in some rows with that in up to 256 training rows."""
        training, inference = self._attention_by_row(self.background), self._attention_by_row(rows.cells)
        return attention_drift(training, inference, self.schema.names)

    @property
    def attention_history(self) -> pd.DataFrame:
        """Mean attention while training, mode and epoch against features."""
        return history_table(self.history.attention, self.schema.names)

    @property
    def pretraining_history(self) -> pd.DataFrame | None:
        """Losses of pretraining, epoch against mode; None if there was none."""
        return pretraining_table(self.history.pretraining) if self.history.pretraining else None

    def save(self, path: Path, about: Mapping[str, Any]) -> None:
        """Write the model to one file.

        Args:
            path: The file; replaced if it exists.
            about: What else to store, as JSON can hold it.

        Raises:
            OutputError: The file can't be written.
        """
        state = state_of(self)
        write_state(path, SavedState({"about": dict(about), **state.settings}, state.arrays))

    @classmethod
    def load(cls, path: Path) -> tuple[Self, dict[str, Any]]:
        """Read a model that `save` wrote, and what else was kept.

        Args:
            path: The file.

        Raises:
            ModelFileError: The file is not a saved model, was damaged, or was written by a later version.
            ValueError, KeyError, TypeError, ...: Its parts do not fit together.
        """
        state = read_state(path)
        parts = restored_parts(state)
        history = FitHistory(**parts.pop("history"))
        return cls(history=history, **parts), dict(state.settings["about"])

    def to_onnx(self, path: Path) -> None:
        """Write the model as an ONNX graph, see `tabattn.fitted.onnx`.

        Args:
            path: The file; replaced if it exists.

        Raises:
            OutputError: The file can't be written, or the packages of `tabattn[onnx]` are not installed.
        """
        write_onnx(path, self.model, self.encoder)

    def _decoded(self, outputs: Tensor) -> Array:
        return self.encoder.target.decode(self.model.loss.average(outputs.double()).numpy())

    def _attention_by_row(self, cells: Cells) -> Array:
        read = self.reader.read(
            cells,
            lambda model, batch, _: torch.stack([each.mean(dim=(1, 2)) for each in model(batch).attention]).mean(0),
        )
        return self._spread(torch.cat(list(read)).double().numpy())

    def _spread(self, values: Array) -> Array:
        """Put the model's columns, on the last axis, in the order of the table, with 0 for constant columns."""
        return spread(values, self.schema.model_positions, len(self.schema.columns))


def decide(target: TargetEncoding, output: Array) -> Array:
    """Return predictions in the form of the target: numbers, the most probable class, or labels of 0 and 1.

    Args:
        target: Encoding of the target.
        output: Numbers or probabilities, as `FittedModel.predict` returns them.
    """
    if isinstance(target, ClassEncoding):
        classes: Array = target.classes[output.argmax(axis=1)]
        return classes
    return (output > 0.5).astype(np.int64) if isinstance(target, LabelEncoding) else output


def _named(names: tuple[str, ...]) -> "pd.Index[str]":
    return pd.Index(names, name="feature", dtype="str")


def _between(model: TabAttnModel, batch: Cells, rows: slice) -> Tensor:  # noqa: ARG001  # as Reader.read calls it
    weights = model.encoder.between(model.embed(batch))
    assert weights is not None, "only encoders that mix columns have it"
    return weights
