"""scikit-learn's interface: constructors, tags, checks of X and y; all else is asked of the `FittedModel`."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from tabattn.encoding.ordering import OrderedRows, in_order
from tabattn.encoding.rows import RowEncoder, Rows
from tabattn.encoding.target import (
    ClassEncoding,
    LabelEncoding,
    NumberEncoding,
    TargetEncoding,
    check_classes,
    check_numbers,
)
from tabattn.encoding.weighting import ClassWeight, check_weights, class_weights
from tabattn.errors import ModelFileError, ParameterError, TableError, TargetError, warn_all
from tabattn.fitted.fit import FitRows, fit_model
from tabattn.fitted.model import FittedModel
from tabattn.fitted.onnx import model_inputs
from tabattn.fitted.state import parameters_as_json, parameters_from_json
from tabattn.importance.maps import AttentionMaps
from tabattn.importance.methods import DEFAULT_METHOD, Method
from tabattn.importance.permutation import N_REPEATS, PermutationScores
from tabattn.importance.table import ImportanceTable, importance_table
from tabattn.importance.units import Groups, units_of
from tabattn.nn.model import TabAttnModel
from tabattn.parameters import Parameters, RegressionLoss, check_parameters
from tabattn.table.reading import as_pandas, refuse_duplicate_names
from tabattn.table.schema import TableSchema, infer_table

Array = np.ndarray[Any, np.dtype[Any]]


class _TabAttnEstimator(Parameters, BaseEstimator):
    """What regression and classification have in common: everything but the meaning of the target."""

    fitted_model_: FittedModel

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        eval_set: tuple[Any, Any] | None = None,
        unlabelled: Any = None,
    ) -> Self:
        """Train the model, and rank the columns on rows that were held out.

        Each member holds out some of the rows (`validation_fraction`). The members that hold a row out predict it to
        decide when to stop, and `feature_importances_` is read by these members. On tables of up to 8,192 rows every
        member has column tokens of its own and holds out other rows; on larger ones all share tokens, which are
        computed once, and hold out the same rows.

        The same rows give the same model, whatever their order.

        Args:
            X: Table of pandas, Polars or PyArrow, or array, of shape (n_rows, n_columns); numbers, strings, booleans,
                dates, durations, texts, missing cells.
            y: Target of each row: one number or class, several numbers, or 0 or 1 for each of several labels.
            sample_weight: Weight of each row in the loss, not negative; None for equal weights. Where all are integers,
                and not more than a million together, a row of weight 2 is the same as two rows.
            eval_set: X and y of other rows, all of the same weight, that decide when to stop and rank the columns; then
                none of X is held out.
            unlabelled: Further rows, whose target is not known, for pretraining.

        Returns:
            This estimator, fitted.

        Raises:
            ParameterError: A constructor argument is outside its range.
            TableError: There are fewer than two rows.
            ColumnError: A column holds what can't become a token, or no column varies.
            TargetError: Nothing can be learned from y.
            TrainingError: The validation loss was finite in no epoch.
            KeyboardInterrupt: Training was interrupted; if an epoch was over, the estimator is fitted with the best
                weights until then, otherwise it is unchanged.
        """
        before = dict(vars(self))
        try:
            previous: FittedModel | None = before.get("fitted_model_") if self.warm_start else None
            encoder, rows = self._fit_rows(X, y, sample_weight, eval_set, unlabelled, previous)
            self.fitted_model_ = fit_model(self, encoder, rows, previous)
        except BaseException as error:
            self.__dict__ = before
            if not self.warm_start and isinstance(error, Exception):  # a model of other rows would be worse than none
                self.__dict__.pop("fitted_model_", None)
            raise
        if self.fitted_model_.history.was_interrupted:
            raise KeyboardInterrupt
        return self

    def _fit_rows(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        eval_set: tuple[Any, Any] | None,
        unlabelled: Any,
        previous: FittedModel | None,
    ) -> tuple[RowEncoder, FitRows]:
        """Check what `fit` was given, put the rows in order and parse them."""
        check_parameters(self.get_params(deep=False))
        if unlabelled is not None and self.pretrain == "none":
            raise ParameterError("unlabelled rows must be pretrained on, got pretrain='none'. Set pretrain='auto'.")
        if y is None:
            raise TargetError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        if previous is not None:
            _refuse_other_kinds(previous.schema, self.kinds or {})
        frame = self._as_frame(X, reset=previous is None)
        values = self._check_target(y, len(frame))
        weight = check_weights(sample_weight, len(frame))
        frame, values, weight = frame[weight > 0], values[weight > 0], weight[weight > 0]
        class_weight = class_weights(getattr(self, "class_weight", None), values, weight)
        is_used = class_weight > 0
        if is_used.sum() < 2:
            raise TableError(
                f"X must have at least 2 rows of positive weight, got n_samples = 1 sample or fewer ({is_used.sum()})."
            )
        ordered = OrderedRows.of(frame[is_used], values[is_used], weight[is_used], class_weight[is_used])
        if previous is None:
            target = self._learned_target(ordered.y, ordered.weight)
            table = infer_table(ordered.X, self.kinds)
            warn_all(table.warnings, stacklevel=4)
            encoder, rows = RowEncoder.learned(table, ordered.y, target)
        else:
            encoder = previous.encoder
            rows = encoder.read(ordered.X, ordered.y)
        names = getattr(self, "feature_names_in_", None)
        return encoder, FitRows(
            rows,
            ordered.weight,
            ordered.loss_weight,
            feature_names=None if names is None else tuple(names),
            validation=None if eval_set is None else self._validation_rows(encoder, eval_set),
            unlabelled=None if unlabelled is None else encoder.read(in_order(self._as_frame(unlabelled))),
        )

    def _validation_rows(self, encoder: RowEncoder, eval_set: tuple[Any, Any]) -> Rows:
        if not (isinstance(eval_set, tuple | list) and len(eval_set) == 2):
            raise ParameterError(f"eval_set must be a pair of X and y, got {type(eval_set).__name__}.")
        frame = self._as_frame(eval_set[0])
        if eval_set[1] is None:
            raise TargetError("eval_set must be a pair of X and y, got None for y. Its rows validate by their target.")
        return encoder.read(frame, self._check_target(eval_set[1], len(frame)))

    def importance_table(
        self,
        X: Any,
        y: Any = None,
        *,
        method: Method = DEFAULT_METHOD,
        groups: Groups = None,
        permutation: PermutationScores | None = None,
    ) -> ImportanceTable:
        """Rank the columns by what the model reads from them in some rows.

        Args:
            X: Rows to read, best ones that the model was not trained on.
            y: Their target. Without it the target is taken to be as the model predicts: then the scores say what moves
                the prediction, right or wrong. "norm", "mean" and "rollout" do not look at it.
            method: "contribution": rise of the loss if what attention reads from the column came from another row;
                "knockout": rise of the loss if the column's token came from another row; "gradient": attention times
                its gradient; "norm": attention times the length of what it carries; "mean": attention alone; "rollout":
                attention, later layers counting more. See `tabattn.importance`.
            groups: Names of columns by the name of their group. A group is scored as one: for "contribution" and
                "knockout" all of its columns come from the other row, for the others their scores are added up.
            permutation: Permutation importance on the same rows and of the same groups, to be set beside.

        Returns:
            The ImportanceTable described in `tabattn.importance.table`.

        Raises:
            ParameterError: There is no such method, or groups are not of columns of the table.
            TargetError: y holds what fit has not seen or can't be used.
        """
        rows = self.read(X, y)
        units = units_of(self.schema_, groups)
        return importance_table(units, self._model.scores(rows, method, units), permutation)

    def permutation_scores(
        self, X: Any, y: Any, *, groups: Groups = None, n_repeats: int = N_REPEATS, random_state: int | None = 0
    ) -> PermutationScores:
        """Measure how much worse the model gets when one column at a time is shuffled.

        These are the numbers of `tabattn.importance.permutation.permutation_scores`, from scikit-learn's own function;
        but cells are read and embedded once, and not again for every column and repeat.

        Args:
            X: Rows that the model was not trained on.
            y: Their target.
            groups: As for `importance_table`; the columns of a group are shuffled together.
            n_repeats: Shuffles per column, at least 1.
            random_state: Seed of the shuffles.

        Returns:
            The fall of the score that belongs to the loss (R^2, D^2, or minus the log loss) at each repeat, columns in
            the order of the table.

        Raises:
            ParameterError: `n_repeats` is less than 1, or groups are not of columns of the table.
        """
        rows = self.read(X, y)
        return self._model.permutation(rows, units_of(self.schema_, groups), n_repeats, random_state)

    def explain(self, X: Any, y: Any = None, *, method: Method = DEFAULT_METHOD, groups: Groups = None) -> pd.DataFrame:
        """Score every column for every row.

        Args:
            X: Rows to read.
            y: As for `importance_table`.
            method: As for `importance_table`.
            groups: As for `importance_table`.

        Returns:
            One row per row of X, one column per feature or group; the mean over rows is the global importance on these
            rows (with y a mean may be negative, where the importance is 0). "contribution" compares each row with a few
            training rows, 64 of them for up to 64 rows, only one from 4,096 rows on: for the sake of single rows ask
            for few at a time.

        Raises:
            ParameterError: There is no such method, or groups are not of columns of the table.
            TargetError: y holds what fit has not seen or can't be used.
        """
        rows = self.read(X, y)
        return self._model.local_scores(rows, method, units_of(self.schema_, groups))

    def attention(self, X: Any) -> AttentionMaps:
        """Return the raw attention weights of some rows, before dropout.

        Args:
            X: Rows to read. Memory grows with rows times members, layers, heads and columns.

        Returns:
            Weights of shape (row, member, layer, head, column) and, for the kinds that mix columns, the weights of
            columns to columns.
        """
        return self._model.attention(self.read(X))

    def mean_attention(self, X: Any) -> pd.DataFrame:
        """Return attention averaged over rows and members, without keeping the raw weights in memory.

        Args:
            X: Rows to read.

        Returns:
            One row per layer and head (both counted from 1), one column per feature; rows sum to 1, but for encoders
            in which the state that predicts attends to itself too.
        """
        return self._model.mean_attention(self.read(X))

    def row_attention(self, X: Any) -> pd.DataFrame:
        """Return the attention of each row, averaged over members, layers and heads.

        Args:
            X: Rows to read.

        Returns:
            One row per row of X, one column per feature.
        """
        return self._model.row_attention(self.read(X))

    def attention_drift(self, X: Any) -> pd.DataFrame:
        """Compare the attention to each column in some rows with that in training, each row by itself.

        Args:
            X: Rows to read.

        Returns:
            The table of `tabattn.importance.drift.attention_drift`; training is represented by up to 256 of its rows,
            drawn at random.
        """
        return self._model.drift(self.read(X))

    def mean_attention_between(self, X: Any) -> pd.DataFrame | None:
        """Return attention of columns to columns, averaged over rows, members, layers and heads.

        Args:
            X: Rows to read.

        Returns:
            One row per attending feature, one column per feature attended to; None for the encoder "class", in which
            columns do not attend.
        """
        return self._model.mean_attention_between(self.read(X))

    def save(self, path: str | Path) -> None:
        """Write the fitted estimator to one file, which `tabattn.load` reads.

        The file holds numbers and text only, nothing that is run when it is read. Rows to compare with, up to 256 of
        the training rows as the model reads them, are in it.

        Args:
            path: The file; replaced if it exists.

        Raises:
            NotFittedError: This estimator is not fitted.
            OutputError: The file can't be written.
        """
        parameters = parameters_as_json(self.get_params(deep=False))
        self._model.save(Path(path), {"estimator": type(self).__name__, "parameters": parameters})

    def to_onnx(self, path: str | Path) -> None:
        """Write the fitted model as an ONNX graph, for programs without Python.

        The graph takes "numbers" (float64, shape (row, number), NaN where missing: as in the table, no transform is
        needed, but integers beyond 2**53 minus the "offset" that the metadata has; dates and texts are several
        numbers each) and "codes" (int64, shape (row, categorical), -1 where missing, 0 for levels that are rare or
        new), each only where there are such columns; its metadata has the names of the columns and the code of each
        level. It returns "prediction", as `predict` or `predict_proba` do, and "attention", as `attention` does.

        Args:
            path: The file; replaced if it exists.

        Raises:
            NotFittedError: This estimator is not fitted.
            OutputError: The file can't be written, or the packages of `tabattn[onnx]` are not installed.
        """
        self._model.to_onnx(Path(path))

    def onnx_inputs(self, X: Any) -> dict[str, Array]:
        """Return what the graph of `to_onnx` takes for rows of a table.

        Args:
            X: Rows with the columns of `fit`.

        Returns:
            "numbers" and "codes", as `to_onnx` says.
        """
        return model_inputs(self.read(X).raw)

    @property
    def feature_importances_(self) -> Array:
        """Importance of each column by the default method on the held-out rows, shape (n_columns,); sums to 1."""
        return self._fitted("feature_importances_").importances

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

    def __sklearn_is_fitted__(self) -> bool:
        return "fitted_model_" in vars(self)

    def __sklearn_tags__(self) -> Tags:
        """Declare that missing cells and categories are accepted."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags

    @abstractmethod
    def _check_target(self, y: Any, n_rows: int) -> Array:
        """Return the target of so many rows, or refuse it."""

    @abstractmethod
    def _learned_target(self, values: Array, weight: Array) -> TargetEncoding:
        """Learn the scale of the target, or its classes."""

    def _fitted(self, attribute: str) -> FittedModel:
        """Return the model for an attribute that does not exist before `fit`."""
        if not self.__sklearn_is_fitted__():
            raise AttributeError(f"This {type(self).__name__} has no {attribute} before it is fitted.")
        return self.fitted_model_

    @property
    def _model(self) -> FittedModel:
        check_is_fitted(self)
        return self.fitted_model_.on(self.device)

    def read(self, X: Any, y: Any = None) -> Rows:
        """Check and read rows, once for everything that `fitted_model_` may be asked about them.

        Args:
            X: Rows with the columns of `fit`.
            y: Their target, if it is known.
        """
        model, frame = self._model, self._as_frame(X)
        return model.rows(frame, None if y is None else self._check_target(y, len(frame)))

    def _as_frame(self, X: Any, *, reset: bool = False) -> pd.DataFrame:
        """Check X against what scikit-learn requires and return it as a DataFrame."""
        X = as_pandas(X)
        if isinstance(X, pd.DataFrame):
            refuse_duplicate_names(X)
            n_strings = sum(isinstance(name, str) for name in X.columns)
            if 0 < n_strings < len(X.columns):  # scikit-learn knows columns by strings, or by their places
                X = X.set_axis(X.columns.map(str), axis=1)
        try:
            if not isinstance(X, pd.DataFrame):
                X = check_array(X, dtype=None, ensure_all_finite=False, estimator=self)
            validate_data(self, X, reset=reset, skip_check_array=True)
        except ValueError as error:
            raise TableError(str(error)) from error
        if isinstance(X, pd.DataFrame):
            if X.empty:
                raise TableError(
                    f"X must have at least one row and one column, got shape {X.shape}: "
                    f"{X.shape[0]} sample(s), {X.shape[1]} feature(s) while a minimum of 1 is required."
                )
            return X
        return pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])


@dataclass(kw_only=True, eq=False, repr=False)
class TabAttnRegressor(RegressorMixin, _TabAttnEstimator):
    """Transformer regression whose attention ranks the columns.

    Args:
        loss: What is learned: "squared" errors for the mean, "absolute" errors for the median, "pinball" for a
            quantile, "poisson" for the mean of counts.
        quantile: Which quantile "pinball" is for, greater than 0 and less than 1.
        encoder: Kind of transformer: "class", whose CLS states read columns that are never mixed; or "bert", "roberta",
            "gpt", "xlnet" or "t5", in which columns attend to each other.
        kinds: Kinds of columns by name, where they are not to be inferred: "numeric", "boolean", "categorical",
            "datetime", "duration" or "text".
        n_layers: Number of layers.
        d_token: Width of a token.
        n_heads: Heads per layer.
        n_members: Independent readers of the columns whose predictions are averaged; "auto" for 8 in the encoder
            "class", and 1 in the others, where each costs as much as the first.
        attention_dropout: Share of attention weights dropped while training, in [0, 1).
        ffn_dropout: Share of hidden feed-forward units dropped while training, in [0, 1).
        learning_rate: Step size of AdamW.
        weight_decay: Weight decay of AdamW.
        batch_size: Rows per training step; "auto" chooses by the number of rows.
        max_epochs: Passes over the training rows at most.
        patience: Epochs without a better validation loss before training stops.
        validation_fraction: Share of rows that each member holds out in `fit`, greater than 0 and less than 1; at most
            2,048 rows are held out.
        pretrain: "auto" learns columns from columns first, by the task of the encoder (see
            `tabattn.training.pretraining`); "none" does not.
        pretrain_epochs: Passes over the rows of pretraining; "auto" for 20, and for "roberta" 40 with larger batches.
        column_order: Names of columns in the order in which "gpt" reads them; others follow in that of the table.
        warm_start: Whether a further `fit` goes on from the weights, kinds of columns and scales of the last one, and
            does not pretrain again. On the same rows every member goes on to hold out the same; with others give
            `eval_set`, or it may judge by rows that it has learned from.
        device: "auto" trains and predicts on a CUDA GPU if there is one, "cpu" and "cuda" where they say.
        random_state: Seed; the same seed gives the same result on the same machine.
        verbose: Whether to show a line of progress.

    Attributes:
        feature_importances_: Importance of each column by the default method, each member on the rows that it held out;
            sums to 1.
        attention_history_: DataFrame, mode ("train", "eval") and epoch against features: mean attention while training.
        pretraining_history_: DataFrame, epoch against "train" and "validation": losses of pretraining, if there was
            any.
        schema_: Kind and levels of each column.
        best_epoch_, n_iter_: Epoch of the weights kept, and number of epochs trained.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> X = pd.DataFrame(rng.normal(size=(200, 3)), columns=["heat", "noise", "dust"])
        >>> est = TabAttnRegressor(n_members=2, n_heads=2, d_token=16, max_epochs=20, random_state=0)
        >>> est.fit(X, 3 * X["heat"]).importance_table(X)["feature"][0]
        'heat'
    """

    loss: RegressionLoss = "squared"
    quantile: float = 0.5

    def predict(self, X: Any) -> Array:
        """Predict the target.

        Args:
            X: Rows with the columns of `fit`.

        Returns:
            Array of shape (n_rows,), or (n_rows, n_targets) for several, in the units of y.
        """
        return self._model.predict(self.read(X))

    def __sklearn_tags__(self) -> Tags:
        """Declare that there may be several targets."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _check_target(self, y: Any, n_rows: int) -> Array:
        return check_numbers(y, self.loss, n_rows)

    def _learned_target(self, values: Array, weight: Array) -> TargetEncoding:
        return NumberEncoding.learned(values, weight, self.loss, self.quantile)


@dataclass(kw_only=True, eq=False, repr=False)
class TabAttnClassifier(ClassifierMixin, _TabAttnEstimator):
    """Transformer classification, binary or multiclass, whose attention ranks the columns.

    Arguments and attributes are those of `TabAttnRegressor` but for `loss` and `quantile`, with one more of each:
    `class_weight`, what the weights of the rows of each class are multiplied by, "balanced" for equal weights of all
    classes; `classes_`, the classes in sorted order. Rows may have any number of labels instead of one class: then y
    has a column of 0 and 1 for each label, and `classes_` are the numbers of the columns.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> X = pd.DataFrame(rng.normal(size=(200, 3)), columns=["heat", "noise", "dust"])
        >>> y = np.where(X["heat"] > 0, "scrap", "good")
        >>> est = TabAttnClassifier(n_members=2, n_heads=2, d_token=16, max_epochs=20, random_state=0).fit(X, y)
        >>> est.classes_.tolist(), est.predict_proba(X).shape
        (['good', 'scrap'], (200, 2))
    """

    class_weight: ClassWeight = None

    def predict(self, X: Any) -> Array:
        """Predict the most probable class, or which labels are more probable than not.

        Args:
            X: Rows with the columns of `fit`.

        Returns:
            Array of shape (n_rows,) with values of `classes_`, or (n_rows, n_labels) of 0 and 1.
        """
        probabilities = self.predict_proba(X)
        if isinstance(self.fitted_model_.encoder.target, LabelEncoding):
            return (probabilities > 0.5).astype(np.int64)
        predicted: Array = self.classes_[probabilities.argmax(axis=1)]
        return predicted

    def predict_proba(self, X: Any) -> Array:
        """Predict probabilities of classes or labels, averaged over members.

        Args:
            X: Rows with the columns of `fit`.

        Returns:
            Array of shape (n_rows, n_classes) in the order of `classes_`; rows sum to 1. For labels each column has
            separate probabilities.
        """
        return self._model.predict(self.read(X))

    @property
    def classes_(self) -> Array:
        """The classes in sorted order, or the numbers of the labels."""
        target = self._fitted("classes_").encoder.target
        return target.classes if isinstance(target, ClassEncoding) else np.arange(target.n_outputs)

    def __sklearn_tags__(self) -> Tags:
        """Declare that rows may have several labels."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _check_target(self, y: Any, n_rows: int) -> Array:
        return check_classes(y, n_rows)

    def _learned_target(self, values: Array, weight: Array) -> TargetEncoding:  # noqa: ARG002  # classes have no scale
        return ClassEncoding.learned(values) if values.ndim == 1 else LabelEncoding.learned(values)


def with_model(estimator: Any, fitted: FittedModel) -> Any:
    """Give an estimator a fitted model, as if its `fit` had fitted it, and return it.

    Args:
        estimator: A `TabAttnRegressor` or `TabAttnClassifier`; changed.
        fitted: The model.
    """
    names = fitted.feature_names
    like = np.empty((0, len(fitted.schema.columns))) if names is None else pd.DataFrame(columns=list(names))
    validate_data(estimator, like, reset=True, skip_check_array=True)
    estimator.fitted_model_ = fitted
    return estimator


def load(path: str | Path) -> TabAttnRegressor | TabAttnClassifier:
    """Read an estimator that `save` wrote.

    Nothing is unpickled and nothing in the file is run. On the same machine the estimator predicts and reads attention
    bit by bit as the one that was saved.

    Args:
        path: The file.

    Returns:
        The fitted estimator.

    Raises:
        ModelFileError: The file is not a saved estimator, was damaged, or was written by a later version.

    Example:
        >>> import tempfile
        >>> X = pd.DataFrame({"heat": np.arange(40.0), "line": ["A", "B"] * 20})
        >>> est = TabAttnRegressor(n_members=2, d_token=8, max_epochs=3, random_state=0).fit(X, X["heat"])
        >>> path = Path(tempfile.mkdtemp(), "model.tabattn")
        >>> est.save(path)
        >>> bool((load(path).predict(X) == est.predict(X)).all())
        True
    """
    try:
        fitted, about = FittedModel.load(Path(path))
        estimator = {each.__name__: each for each in (TabAttnRegressor, TabAttnClassifier)}[about["estimator"]]
        parameters = parameters_from_json(about["parameters"])
        if parameters.get("device") == "cuda" and not torch.cuda.is_available():
            parameters["device"] = "auto"
        loaded = estimator(**parameters)
        check_parameters(loaded.get_params(deep=False))
        if isinstance(fitted.encoder.target, NumberEncoding) != isinstance(loaded, TabAttnRegressor):
            raise ValueError("the target is not one of this estimator")
    except ModelFileError:
        raise
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, OverflowError, RuntimeError) as error:
        raise ModelFileError(
            f"The model must be as est.save() wrote it, got {str(path)!r}, whose parts do not fit together. "
            "Save it again."
        ) from error
    restored: TabAttnRegressor | TabAttnClassifier = with_model(loaded, fitted)
    return restored


def _refuse_other_kinds(schema: TableSchema, kinds: Mapping[str, str]) -> None:
    """Refuse to go on with a model whose columns are of other kinds than those asked for."""
    known = {column.name: column.kind for column in schema.columns}
    for name, kind in kinds.items():
        if known.get(str(name)) != kind:
            raise ParameterError(
                f"kinds must be as in the fit that warm_start goes on from, got {kind!r} for {str(name)!r}, which "
                f"was {str(known.get(str(name), 'no column'))!r}. Set warm_start=False to start again."
            )
