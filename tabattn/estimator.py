"""scikit-learn's interface: constructors, tags, checks of X and y; all else is done by the `FittedModel`."""

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from tabattn.arrays import Array
from tabattn.choices import DEFAULT_METHOD, Method, RegressionLoss
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
from tabattn.encoding.weighting import ClassWeight
from tabattn.errors import ParameterError, TargetError, warn_all
from tabattn.fitted.attributes import AttentionReadings, ClassifierAttributes, FittedAttributes
from tabattn.fitted.fit import FitRows, fit_model
from tabattn.fitted.model import FittedModel, decide
from tabattn.fitted.onnx import model_inputs
from tabattn.fitted.state import parameters_as_json
from tabattn.importance.permutation import N_REPEATS, PermutationScores
from tabattn.importance.table import ImportanceTable, importance_table
from tabattn.importance.units import Groups, units_of
from tabattn.nn.torch_state import torch_defaults
from tabattn.parameters import Parameters, check_parameters
from tabattn.progress import Job
from tabattn.table.frames import checked_frame
from tabattn.table.inference import infer_table
from tabattn.table.links import RowLinks, row_links
from tabattn.table.problem import plain_classes
from tabattn.table.rules import CellRules


class _TabAttnEstimator(Parameters, AttentionReadings, FittedAttributes, BaseEstimator):
    """What regression and classification have in common: everything but the meaning of the target."""

    @torch_defaults()
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        row_groups: Any = None,
        row_order: Any = None,
        eval_set: tuple[Any, Any] | None = None,
        unlabelled: Any = None,
    ) -> Self:
        """Train the model, and rank the columns on rows that were held out.

        Each member holds out some of the rows (`validation_fraction`): it predicts them to decide when to stop, and
        `feature_importances_` comes from them. Which members hold out the same rows, and share their column tokens,
        depends on the size of the table (`tabattn.training.sizes`). The order of the rows does not matter.

        Args:
            X: Table of pandas, Polars or PyArrow, or array, of shape (n_rows, n_columns); numbers, strings, booleans,
                dates, durations, texts, missing cells.
            y: Target of each row: one number or class, several numbers, or 0 or 1 for each of several labels.
            sample_weight: Weight of each row in the loss, not negative; None for equal weights. Where all are integers,
                and not more than a million together, a row of weight 2 is the same as two rows.
            row_groups: Which rows belong together, such as the lot or the patient of each: a label for each row, of
                which there are at least two. Rows of a group are held out together. Rows that are equal in all cells
                are held out together anyway.
            row_order: A number or time for each row, such as when it was measured: then each member holds out rows next
                to each other in this order, not rows at random.
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
            KeyboardInterrupt: Training was interrupted; the estimator has the best weights until then, if any.
        """
        before = dict(vars(self))
        try:
            previous: FittedModel | None = before.get("fitted_model_") if self.warm_start else None
            links = row_links(row_groups, row_order)
            encoder, rows = self._fit_rows(X, y, sample_weight, links, eval_set, unlabelled, previous)
            self.fitted_model_ = fit_model(self, encoder, rows, previous)
        except BaseException as error:
            self.__dict__ = before
            if not self.warm_start and isinstance(error, Exception):  # keep no model of other rows
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
        links: RowLinks,
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
            previous.refuse_other_kinds(self.kinds or {})
        frame = checked_frame(self, X, reset=previous is None)
        values = self._check_target(y, len(frame))
        links.check_length(len(frame))
        ordered = OrderedRows.weighted(frame, values, sample_weight, getattr(self, "class_weight", None), links)
        if previous is None:
            target = self._learned_target(ordered.y, ordered.weight)
            table = infer_table(ordered.X, self.kinds, rules=self._rules)
            warn_all(table.warnings)
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
            unlabelled=None if unlabelled is None else encoder.read(in_order(checked_frame(self, unlabelled))),
            links=ordered.links,
        )

    def _validation_rows(self, encoder: RowEncoder, eval_set: tuple[Any, Any]) -> Rows:
        if not (isinstance(eval_set, tuple | list) and len(eval_set) == 2):
            raise ParameterError(f"eval_set must be a pair of X and y, got {type(eval_set).__name__}.")
        frame = checked_frame(self, eval_set[0])
        if eval_set[1] is None:
            raise TargetError("eval_set must be a pair of X and y, got None for y. Its rows validate by their target.")
        return encoder.read(frame, self._check_target(eval_set[1], len(frame)))

    @torch_defaults()
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
            y: Their target. Without it the prediction is taken as the target: then the scores measure what moves the
                prediction, right or wrong. "norm", "mean" and "rollout" do not use it.
            method: "contribution": increase in loss if what attention reads from the column came from another row;
                "swap": increase in loss if the column's token came from another row; "conditional": increase in loss
                if the column is drawn given the others, learned from these rows and the background rows;
                "shapley": Shapley value of the loss; "gradient": attention times its gradient; "norm": attention
                times the norm of what it carries; "mean": attention alone; "rollout": attention, later layers counting
                more.
            groups: Names of columns by the name of their group. A group is scored as one: for "contribution"
                and "swap" all of its columns come from the other row, for "conditional" they are drawn together, for
                "shapley" they become known together, for the others their scores are added up.
            permutation: Permutation importance on the same rows and of the same groups, added to the table.

        Returns:
            The ImportanceTable described in `tabattn.importance.table`.

        Raises:
            ParameterError: The method is unknown, or groups are not of columns of the table.
            TargetError: y holds what fit has not seen or can't be used.
        """
        rows = self.read(X, y)
        units = units_of(self.schema_, groups)
        return importance_table(units, self._model.scores(rows, method, units), permutation)

    @torch_defaults()
    def permutation_scores(
        self, X: Any, y: Any, *, groups: Groups = None, n_repeats: int = N_REPEATS, random_state: int | None = 0
    ) -> PermutationScores:
        """Measure how much worse the model gets when one column at a time is permuted.

        The results equal those of scikit-learn's `permutation_importance` to 1e-6, but cells are read once.

        Args:
            X: Rows that the model was not trained on.
            y: Their target.
            groups: As for `importance_table`; the columns of a group are permuted together.
            n_repeats: Permutations per column, at least 1.
            random_state: Seed of the permutations.

        Returns:
            The decrease in the score of the loss (R^2, D^2, or minus the log loss) at each repeat, of each column.

        Raises:
            ParameterError: `n_repeats` is less than 1, or groups are not of columns of the table.
            TargetError: y is None, holds what fit has not seen or can't be used.
        """
        if y is None:
            raise TargetError("y must be the target of the rows, got None. There is no score without it.")
        rows, units = self.read(X, y), units_of(self.schema_, groups)
        with Job(is_shown=self.verbose).shown() as job:
            return self._model.permutation(rows, units, n_repeats, random_state, job)

    @torch_defaults()
    def explain(self, X: Any, y: Any = None, *, method: Method = DEFAULT_METHOD, groups: Groups = None) -> pd.DataFrame:
        """Score every column for every row.

        Args:
            X: Rows to read.
            y: As for `importance_table`.
            method: As for `importance_table`.
            groups: As for `importance_table`.

        Returns:
            One row per row of X, one column per feature or group; the mean over rows is the importance on these rows
            (with y a mean may be negative, where the importance is 0). "contribution" compares a row with up to 64
            training rows if few rows are asked for, with one from 1,024 rows on.

        Raises:
            ParameterError: The method is unknown, or groups are not of columns of the table.
            TargetError: y holds what fit has not seen or can't be used.
        """
        return self._model.local_scores(self.read(X, y), method, units_of(self.schema_, groups))

    def save(self, path: str | Path) -> None:
        """Write the fitted estimator to one file, which `tabattn.load` reads.

        The file holds numbers and text only, and up to 256 of the training rows as the model reads them.

        Args:
            path: The file; replaced if it exists.

        Raises:
            OutputError: The file can't be written.
        """
        parameters = parameters_as_json(self.get_params(deep=False))
        check_is_fitted(self)
        self.fitted_model_.save(Path(path), {"estimator": type(self).__name__, "parameters": parameters})

    @torch_defaults()
    def to_onnx(self, path: str | Path) -> None:
        """Write the fitted model as an ONNX graph, see `tabattn.fitted.onnx`.

        Args:
            path: The file; replaced if it exists.

        Raises:
            OutputError: The file can't be written, or the packages of `tabattn[onnx]` are not installed.
        """
        self._model.to_onnx(Path(path))

    def onnx_inputs(self, X: Any) -> dict[str, Array]:
        """Return the inputs of the graph of `to_onnx` for rows of a table.

        Args:
            X: Rows with the columns of `fit`.

        Returns:
            "numbers" and "codes", see `tabattn.fitted.onnx`.
        """
        return model_inputs(self.read(X).raw)

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

    @property
    def _rules(self) -> CellRules:
        return CellRules.of(self.na_values, keep_na=self.keep_na, censored=self.censored)

    @property
    def _model(self) -> FittedModel:
        check_is_fitted(self)
        return self.fitted_model_.on(self.device)

    def with_model(self, fitted: FittedModel) -> Self:
        """Set a model as if `fit` had fitted it, and return this estimator.

        Args:
            fitted: The model.
        """
        names = fitted.feature_names
        like = np.empty((0, len(fitted.schema.columns))) if names is None else pd.DataFrame(columns=list(names))
        validate_data(self, like, reset=True, skip_check_array=True)
        self.fitted_model_ = fitted.on(self.device)
        return self

    def read(self, X: Any, y: Any = None) -> Rows:
        """Check and encode rows, once for all methods of `fitted_model_`.

        Args:
            X: Rows with the columns of `fit`.
            y: Their target, if it is known.
        """
        model, frame = self._model, checked_frame(self, X)
        return model.rows(frame, None if y is None else self._check_target(y, len(frame)))


@dataclass(kw_only=True, eq=False, repr=False)
class TabAttnRegressor(RegressorMixin, _TabAttnEstimator):
    """Transformer regression whose attention ranks the columns.

    Args:
        loss: "squared" for the mean, "squared_log" for the mean of logarithms (of a target over several decades, which
            is above 0), "absolute" for the median, "pinball" for a quantile, "poisson" for counts.
        quantile: Which quantile "pinball" is for, greater than 0 and less than 1.
        encoder: Kind of transformer: "class", whose CLS states read columns that are never mixed; or "bert", "roberta",
            "gpt", "xlnet" or "t5", in which columns attend to each other.
        kinds: Kinds of columns by name, where they are not to be inferred: "numeric", "boolean", "categorical",
            "datetime", "duration" or "text".
        na_values: Further cells that are missing, in all columns, or lists of them by column.
        keep_na: Whether words such as "None" and "-" are levels; among numbers they are missing always.
        censored: Whether a limit such as "<0.03" is the number behind the sign ("limit"), or "missing".
        n_layers: Number of layers.
        d_token: Width of a token.
        n_heads: Heads per layer.
        n_members: Independent readers of the columns whose predictions are averaged; "auto" for 8 in the encoder
            "class" (4 above 8,192 rows), and 1 in the others, where each costs as much as the first.
        attention_dropout: Fraction of attention weights dropped while training, in [0, 1).
        ffn_dropout: Fraction of hidden feed-forward units dropped while training, in [0, 1).
        learning_rate: Step size of AdamW; "auto" for 2e-3, and 1e-3 where columns attend to each other.
        weight_decay: Weight decay of AdamW.
        batch_size: Rows per training step; "auto" chooses by the number of rows.
        max_epochs: Passes over the training rows at most.
        patience: Epochs without a better validation loss before training stops, at most (see `StopEarly`).
        validation_fraction: Fraction of rows that each member holds out in `fit`, greater than 0 and less than 1; at
            most 2,048 rows are held out.
        pretrain: "auto" learns columns from columns first, by the task of the encoder (see
            `tabattn.training.pretraining`); "none" does not.
        pretrain_epochs: Passes over the rows of pretraining; "auto" for 20, and for "roberta" 40 with larger batches.
        column_order: Names of columns in the order in which "gpt" reads them; others follow in that of the table.
        warm_start: Whether a further `fit` goes on from the weights, kinds of columns and scales of the last one, and
            does not pretrain again. On the same rows every member goes on to hold out the same; with others pass
            `eval_set`, or it may validate on rows that it has learned from.
        device: "auto" trains and predicts on a CUDA GPU if there is one, "cpu" and "cuda" on that device.
        devices: Number of processes on each machine that train together, each with its own part of every batch, on a
            GPU each where there are GPUs. They are started by torchrun, SLURM or Lightning, see docs/cluster.md.
        num_nodes: Number of machines.
        strategy: Name of Lightning's strategy, such as "ddp"; "auto" chooses it.
        logger: One of Lightning's loggers (`lightning.pytorch.loggers`, such as `TensorBoardLogger` or `MLFlowLogger`),
            or a list of them, for the losses of each epoch; it is not saved with the model.
        random_state: Seed; the same seed gives the same result on the same machine.
        verbose: Whether to show what is done, and how long it will take.

    Attributes after `fit` are those of `tabattn.fitted.attributes.FittedAttributes`, and `fitted_model_`.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> X = pd.DataFrame(rng.normal(size=(200, 3)), columns=["heat", "noise", "dust"])
        >>> est = TabAttnRegressor(n_members=2, n_heads=2, d_token=16, max_epochs=20, random_state=0)
        >>> est.fit(X, 3 * X["heat"]).importance_table(X)["feature"][0]
        'heat'
    """

    loss: RegressionLoss = "squared"
    quantile: float = 0.5

    @torch_defaults()
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
class TabAttnClassifier(ClassifierAttributes, ClassifierMixin, _TabAttnEstimator):
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

    @torch_defaults()
    def predict(self, X: Any) -> Array:
        """Predict the most probable class, or which labels are more probable than not.

        Args:
            X: Rows with the columns of `fit`.

        Returns:
            Array of shape (n_rows,) with values of `classes_`, or (n_rows, n_labels) of 0 and 1.
        """
        probabilities = self.predict_proba(X)
        return decide(self.fitted_model_.encoder.target, probabilities)

    @torch_defaults()
    def predict_proba(self, X: Any) -> Array:
        """Predict probabilities of classes or labels, averaged over members.

        Args:
            X: Rows with the columns of `fit`.

        Returns:
            Array of shape (n_rows, n_classes) in the order of `classes_`; rows sum to 1, but not for labels.
        """
        return self._model.predict(self.read(X))

    def __sklearn_tags__(self) -> Tags:
        """Declare that rows may have several labels."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _check_target(self, y: Any, n_rows: int) -> Array:
        return check_classes(plain_classes(y), n_rows)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy; blanks at the ends of classes do not count.

        Args:
            X: Rows with the columns of `fit`.
            y: Their classes or labels.
            sample_weight: Weight of each row; None for equal weights.
        """
        return float(super().score(X, plain_classes(y), sample_weight))

    def _learned_target(self, values: Array, weight: Array) -> TargetEncoding:  # noqa: ARG002  # classes have no scale
        return ClassEncoding.learned(values) if values.ndim == 1 else LabelEncoding.learned(values)
