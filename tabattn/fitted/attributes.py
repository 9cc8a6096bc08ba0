"""Fitted attributes by scikit-learn's conventions, and readings of attention, of an estimator's `FittedModel`."""

from abc import abstractmethod
from typing import Any

import numpy as np
import pandas as pd

from tabattn.arrays import Array
from tabattn.encoding.rows import Rows
from tabattn.encoding.target import ClassEncoding
from tabattn.fitted.model import FittedModel
from tabattn.importance.maps import AttentionMaps
from tabattn.nn.model import TabAttnModel
from tabattn.nn.torch_state import torch_defaults
from tabattn.table.schema import TableSchema


class FittedAttributes:
    """Attributes that exist once there is a `fitted_model_`."""

    fitted_model_: FittedModel

    def __sklearn_is_fitted__(self) -> bool:
        return "fitted_model_" in vars(self)

    @property
    @torch_defaults()
    def feature_importances_(self) -> Array:
        """Importance of each column by the default method on the held-out rows, shape (n_columns,); sums to 1."""
        return self._fitted("feature_importances_").importances.copy()

    @property
    def schema_(self) -> TableSchema:
        """The columns: kind, format and categories of each."""
        return self._fitted("schema_").schema

    @property
    def model_(self) -> TabAttnModel:
        """The network."""
        return self._fitted("model_").model

    @property
    def attention_history_(self) -> pd.DataFrame:
        """Mean attention while training, mode ("train", "eval") and epoch against features."""
        return self._fitted("attention_history_").attention_history

    @property
    def pretraining_history_(self) -> pd.DataFrame:
        """Losses of pretraining, epoch against "train" and "validation"; only where there was any."""
        history = self._fitted("pretraining_history_").pretraining_history
        if history is None:
            raise AttributeError("There is no pretraining_history_ without pretraining.")
        return history

    @property
    def best_epoch_(self) -> int:
        """Epoch of the weights kept, counted from 1."""
        return self._fitted("best_epoch_").history.best_epoch

    @property
    def best_loss_(self) -> float:
        """Validation loss at that epoch."""
        return self._fitted("best_loss_").history.best_loss

    @property
    def n_iter_(self) -> int:
        """Number of epochs trained."""
        return self._fitted("n_iter_").history.n_epochs

    def _fitted(self, attribute: str) -> FittedModel:
        """Return the model for an attribute that does not exist before `fit`."""
        if not self.__sklearn_is_fitted__():
            raise AttributeError(f"This {type(self).__name__} has no {attribute} before it is fitted.")
        return self.fitted_model_


class ClassifierAttributes(FittedAttributes):
    """The fitted attributes of a classifier."""

    @property
    def classes_(self) -> Array:
        """The classes in sorted order, or the numbers of the labels."""
        target = self._fitted("classes_").encoder.target
        return target.classes if isinstance(target, ClassEncoding) else np.arange(target.n_outputs)


class AttentionReadings:
    """The attention of a fitted model in rows of a table."""

    @property
    @abstractmethod
    def _model(self) -> FittedModel:
        """The fitted model."""

    @abstractmethod
    def read(self, X: Any, y: Any = None) -> Rows:
        """Check and encode rows."""

    @torch_defaults()
    def attention(self, X: Any) -> AttentionMaps:
        """Return the raw attention weights of some rows, before dropout, of shape (row, member, layer, head, column).

        Args:
            X: Rows to read. Memory grows with rows times members, layers, heads and columns.
        """
        return self._model.attention(self.read(X))

    @torch_defaults()
    def mean_attention(self, X: Any) -> pd.DataFrame:
        """Return attention averaged over rows and members, without keeping the raw weights in memory.

        Args:
            X: Rows to read.

        Returns:
            One row per layer and head (both counted from 1), one column per feature; rows sum to 1, except where the
            state that predicts attends to itself too.
        """
        return self._model.mean_attention(self.read(X))

    @torch_defaults()
    def row_attention(self, X: Any) -> pd.DataFrame:
        """Return the attention of each row to each feature, averaged over members, layers and heads.

        Args:
            X: Rows to read.
        """
        return self._model.row_attention(self.read(X))

    @torch_defaults()
    def attention_drift(self, X: Any) -> pd.DataFrame:
        """Compare attention in some rows with that in up to 256 training rows, see `attention_drift`."""
        return self._model.drift(self.read(X))

    @torch_defaults()
    def mean_attention_between(self, X: Any) -> pd.DataFrame | None:
        """Return attention of columns to columns, averaged over rows, members, layers and heads.

        Args:
            X: Rows to read.

        Returns:
            One row per attending feature, one column per feature attended to; None if the encoder is "class".
        """
        return self._model.mean_attention_between(self.read(X))
