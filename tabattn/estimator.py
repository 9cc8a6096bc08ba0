"""scikit-learn estimators: fit, predict, and read the attention that the predictions came from."""

import functools
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import (
    _check_sample_weight,
    check_array,
    check_is_fitted,
    validate_data,
)
from torch import Tensor

from tabattn.encoding.ordering import ordered_rows
from tabattn.encoding.preprocessing import Preprocessor
from tabattn.encoding.target import (
    ClassEncoding,
    LabelEncoding,
    NumberEncoding,
    TargetEncoding,
    check_classes,
    check_numbers,
)
from tabattn.encoding.weighting import ClassWeight, class_weights, draw_rows
from tabattn.errors import ColumnError, ModelFileError, ParameterError, TableError, TargetError, in_one_line
from tabattn.fitted.files import SavedState, read_state, write_state
from tabattn.fitted.model import MODES, Fitted, parameters_as_json, parameters_from_json
from tabattn.fitted.onnx import model_inputs, write_onnx
from tabattn.importance.aggregation import Scores, normalize_rows, normalize_scores
from tabattn.importance.anatomy import weights_between_columns
from tabattn.importance.background import N_BACKGROUND
from tabattn.importance.drift import attention_drift
from tabattn.importance.maps import AttentionMaps, between_table, head_table, history_table, pretraining_table
from tabattn.importance.methods import DEFAULT_METHOD, Method
from tabattn.importance.permutation import N_REPEATS, SCORINGS, PermutationScores, permutation_scores
from tabattn.importance.reader import Reader
from tabattn.importance.table import ImportanceTable, importance_table
from tabattn.importance.units import Groups, Units, units_of
from tabattn.nn.losses import LossName
from tabattn.nn.mixing import MixingEncoder
from tabattn.nn.model import EncoderKind, ModelShape, TabAttnModel
from tabattn.nn.tokens import Cells
from tabattn.parameters import ORDERED, Pretrain, RegressionLoss, check_parameters
from tabattn.table.cells import unread_cells_ignored
from tabattn.table.reading import as_pandas, refuse_duplicate_names
from tabattn.table.schema import infer_schema
from tabattn.training.data import Rows
from tabattn.training.fitting import Trained, TrainingSettings, resolve_device, train
from tabattn.training.holdout import held_out_rows
from tabattn.training.module import OptimizerSettings
from tabattn.training.pretraining import pretrain
from tabattn.training.sizes import auto_batch_size, has_own_tokens

Array = np.ndarray[Any, np.dtype[Any]]
CLASS_MEMBERS = 8
PRETRAIN_EPOCHS, LONGER = 20, 2


@dataclass(frozen=True)
class _OrderedRows:
    """Rows with their target, in an order that depends on their cells only.

    Args:
        frame: Features.
        y: Target.
        weight: Weight of each row.
        loss_weight: The same times the weight of its class.
    """

    frame: pd.DataFrame
    y: Array
    weight: Array
    loss_weight: Array


class _TabAttnEstimator(BaseEstimator):
    """What regression and classification share: everything but the meaning of the target."""

    n_features_in_: int
    model_: TabAttnModel
    _target: TargetEncoding
    class_weight: ClassWeight = None

    def __init__(
        self,
        *,
        encoder: EncoderKind = "class",
        schema: Mapping[str, str] | None = None,
        n_layers: int = 3,
        d_token: int = 64,
        n_heads: int = 2,
        n_members: int | Literal["auto"] = "auto",
        attention_dropout: float = 0.1,
        ffn_dropout: float = 0.1,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-5,
        batch_size: int | Literal["auto"] = "auto",
        max_epochs: int = 100,
        patience: int = 16,
        validation_fraction: float = 0.2,
        pretrain: Pretrain = "none",
        pretrain_epochs: int | Literal["auto"] = "auto",
        column_order: Sequence[str] | None = None,
        warm_start: bool = False,
        device: Literal["auto", "cpu", "cuda"] = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ) -> None:
        self.encoder = encoder
        self.schema = schema
        self.n_layers = n_layers
        self.d_token = d_token
        self.n_heads = n_heads
        self.n_members = n_members
        self.attention_dropout = attention_dropout
        self.ffn_dropout = ffn_dropout
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.pretrain = pretrain
        self.pretrain_epochs = pretrain_epochs
        self.column_order = column_order
        self.warm_start = warm_start
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

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

        Each member holds out a part of the rows (`validation_fraction`). The members that hold a row out predict it to
        decide when to stop, and `feature_importances_` is read by these members. On tables of up to 8,192 rows every
        member has column tokens of its own and holds out other rows; on larger ones all share tokens, which are
        computed once, and hold out the same rows.

        The same rows give the same model, whatever their order.

        Args:
            X: Table of pandas, Polars or PyArrow, or array, of shape (n_rows, n_columns); numbers, strings, booleans,
                dates, durations, texts, missing cells.
            y: Target of each row: one number or class, several numbers, or 0 or 1 for each of several labels.
            sample_weight: Weight of each row in the loss, not negative; None for equal weights. Where all are whole
                numbers, and not more than a million together, a row of weight 2 is the same as two rows.
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
                weights until then, otherwise it is as it was before.
        """
        before = dict(self.__dict__)
        previous: TabAttnModel | None = self.__dict__.pop("model_", None)
        self.__dict__.pop("feature_importances_", None)
        try:
            was_interrupted = self._fit(
                X, y, sample_weight, eval_set, unlabelled, previous if self.warm_start else None
            )
        except BaseException as error:
            if self.warm_start or isinstance(error, KeyboardInterrupt):
                self.__dict__ = before
            else:  # a model of other rows would be worse than none
                self.__dict__.pop("model_", None)
            raise
        if was_interrupted:
            raise KeyboardInterrupt
        return self

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        eval_set: tuple[Any, Any] | None,
        unlabelled: Any,
        previous: TabAttnModel | None,
    ) -> bool:
        """Fit, from the weights of a previous model if there is one, and return whether training was interrupted."""
        check_parameters(self.get_params(deep=False))
        if unlabelled is not None and self.pretrain == "none":
            raise ParameterError("unlabelled rows must be pretrained on, got pretrain='none'. Set pretrain='auto'.")
        if y is None:
            raise TargetError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        if previous is not None:
            self._refuse_other_kinds()
        learned = self._ordered_rows(X, y, sample_weight, reset=previous is None)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        generator = torch.Generator().manual_seed(seed)
        if previous is None:
            self._learn_columns(learned)
            with unread_cells_ignored():
                cells = self.preprocessor_.transform(learned.frame)
        else:
            cells = self.preprocessor_.transform(learned.frame)
        target = self._target.encode(learned.y)
        n_columns = len(self.schema_.token_positions)
        own_tokens = has_own_tokens(len(target), n_columns) if previous is None else previous.shape.n_groups > 1
        shape = self._model_shape(n_groups=self._n_members if own_tokens else 1)
        if previous is not None and previous.shape != shape:
            raise ParameterError(
                f"warm_start must go on with a model of the same sizes, got {shape} after {previous.shape}. "
                "Set warm_start=False to begin anew."
            )
        weight = torch.from_numpy(learned.weight)
        loss_weight = torch.from_numpy(learned.loss_weight.astype(np.float32))
        if previous is None:
            self._hold_out_seed = seed
        elif eval_set is None:  # the same rows stay held out, so that none judges that was learned from before
            generator.manual_seed(self._hold_out_seed)
        if eval_set is None:
            held_out = held_out_rows(target, shape.n_groups, self.validation_fraction, generator)
            held_out = held_out.repeat_interleave(shape.n_members // shape.n_groups, dim=1)
            rows = Rows(cells, target, loss_weight, held_out)
        else:
            rows, weight = self._with_judges(
                Rows.learned(cells, target, loss_weight, shape.n_members), weight, eval_set
            )
        start = self._pretrained(shape, cells, unlabelled, seed) if previous is None else previous
        trained = train(shape, rows, self._training_settings(len(target), seed), start=start)
        self.model_ = trained.model
        self.n_iter_ = trained.n_epochs
        self.best_epoch_ = trained.best_epoch
        self.best_loss_ = trained.best_loss
        self.attention_history_ = self._name_history(trained)
        self._background = cells.take(draw_rows(torch.from_numpy(learned.weight), N_BACKGROUND, generator))
        judged = rows.held_out.any(dim=1).nonzero().flatten()
        try:
            self.feature_importances_ = self._held_out_scores(rows, weight, judged)
        except KeyboardInterrupt:  # the model is fitted: fewer rows, which are in an order by chance, do for its scores
            self.feature_importances_ = self._held_out_scores(rows, weight, judged[:N_BACKGROUND])
            return True
        return trained.was_interrupted

    def _held_out_scores(self, rows: Rows, weight: Tensor, chosen: Tensor) -> Array:
        """Score the columns on some rows, each row by the members that hold it out."""
        judges = rows.held_out[chosen].float()
        asked = (rows.cells.take(chosen), rows.target[chosen], DEFAULT_METHOD, units_of(self.schema_))
        return self._score(*asked, judges, weight[chosen]).importance

    def _pretrained(self, shape: ModelShape, cells: Cells, unlabelled: Any, seed: int) -> TabAttnModel | None:
        """Learn columns from columns, and note the losses."""
        self.__dict__.pop("pretraining_history_", None)
        if self.pretrain == "none":
            return None
        if unlabelled is not None:
            frame = self._as_frame(unlabelled, reset=False)
            order, _ = ordered_rows(frame, np.zeros(len(frame)), np.ones(len(frame)))
            cells = Cells.joined(cells, self.preprocessor_.transform(frame.iloc[order]))
        n_times = LONGER if self.encoder == "roberta" else 1
        settings = self._training_settings(len(cells), seed)
        n_epochs = PRETRAIN_EPOCHS * n_times if self.pretrain_epochs == "auto" else self.pretrain_epochs
        settings = replace(settings, max_epochs=n_epochs, batch_size=settings.batch_size * n_times)
        pretrained = pretrain(shape, cells, settings)
        self.pretraining_history_ = pretraining_table(pretrained.history)
        return pretrained.model

    def _ordered_rows(self, X: Any, y: Any, sample_weight: Any, *, reset: bool) -> _OrderedRows:
        """Check what `fit` got, and put the rows in order."""
        frame = self._as_frame(X, reset=reset)
        values = self._check_target(y)
        _refuse_other_length(values, len(frame))
        try:
            weight = _check_sample_weight(sample_weight, frame, dtype=np.float64, ensure_non_negative=True)
        except ValueError as error:
            raise ParameterError(
                f"sample_weight must hold a finite weight of at least 0 for each row: {in_one_line(error)}"
            ) from error
        is_used = weight > 0
        frame = frame[is_used]
        values, weight = values[is_used], weight[is_used]
        class_weight = class_weights(self.class_weight, values, weight)
        is_used = class_weight > 0
        if is_used.sum() < 2:
            raise TableError(
                f"X must have at least 2 rows of positive weight, got n_samples = 1 sample or fewer ({is_used.sum()})."
            )
        frame = frame[is_used]
        values, weight, class_weight = (each[is_used] for each in (values, weight, class_weight))
        positions, written = ordered_rows(frame, values, weight)
        loss_weight = written * (class_weight[positions] / class_weight.max())
        return _OrderedRows(
            frame=frame.iloc[positions],
            y=values[positions],
            weight=written / written.max(),
            loss_weight=loss_weight / loss_weight.max(),
        )

    def _refuse_other_kinds(self) -> None:
        """Refuse to go on with a model whose columns are of other kinds than those asked for."""
        kinds = {column.name: column.kind for column in self.schema_.columns}
        for name, kind in (self.schema or {}).items():
            if kinds.get(str(name)) != kind:
                raise ParameterError(
                    f"schema must be as in the fit that warm_start goes on from, got {kind!r} for {str(name)!r}, which "
                    f"was {str(kinds.get(str(name), 'no column'))!r}. Set warm_start=False to begin anew."
                )

    def _learn_columns(self, learned: _OrderedRows) -> None:
        """Learn what the columns and the target hold."""
        self._target = self._learned_target(learned)
        self.schema_ = infer_schema(learned.frame, self.schema)
        if not self.schema_.token_positions:
            raise ColumnError(
                "X must have at least one column with more than one value, "
                f"got {len(self.schema_.columns)} constant column(s)."
            )
        with unread_cells_ignored():  # `infer_schema` has warned of them
            self.preprocessor_ = Preprocessor(self.schema_).fit(learned.frame)

    def _with_judges(self, learned: Rows, weight: Tensor, eval_set: tuple[Any, Any]) -> tuple[Rows, Tensor]:
        """Add the rows that decide when to stop, and return the weights of all rows too."""
        if not (isinstance(eval_set, tuple | list) and len(eval_set) == 2):
            raise ParameterError(f"eval_set must be a pair of X and y, got {type(eval_set).__name__}.")
        frame = self._as_frame(eval_set[0], reset=False)
        cells, target = self.preprocessor_.transform(frame), self._target_of(eval_set[1], len(frame))
        if target is None:
            raise TargetError("eval_set must be a pair of X and y, got None for y. The rows judge by their target.")
        rows = learned.judged_by(cells, target)
        return rows, torch.cat([weight, torch.ones(len(target), dtype=weight.dtype)])

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
        cells = self._cells(X)
        units = units_of(self.schema_, groups)
        scores = self._score(cells, self._target_of(y, len(cells)), method, units)
        return importance_table(units, scores, permutation)

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
        cells = self._cells(X)
        units = units_of(self.schema_, groups)
        places = np.repeat(np.arange(len(cells))[:, None], len(units.names), axis=1)
        shape = self.model_.shape
        return permutation_scores(
            _ShuffledReader(self, cells, units),
            places,
            self._check_target(y),
            n_repeats=n_repeats,
            random_state=random_state,
            scoring=SCORINGS[shape.loss],
            quantile=shape.quantile,
        )

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
        check_is_fitted(self, "model_")
        frame = self._as_frame(X, reset=False)
        cells = self.preprocessor_.transform(frame)
        units = units_of(self.schema_, groups)
        shares = self._reader.shares(cells, self._target_of(y, len(cells)), method, units=units.joined)
        scores = normalize_rows(torch.cat([each.sum(dim=1) for each in shares]).numpy())
        columns = pd.Index(units.names, name="feature", dtype="str")
        return pd.DataFrame(_of_units(scores, units), index=frame.index, columns=columns)

    def attention(self, X: Any) -> AttentionMaps:
        """Return the raw attention weights of some rows, before dropout.

        Args:
            X: Rows to read. Memory grows with rows times members, layers, heads and columns.

        Returns:
            Weights of shape (row, member, layer, head, column) and, for the kinds that mix columns, the weights of
            columns to columns.
        """
        cells = self._cells(X)
        stacked = self._reader.read(cells, lambda model, batch, _: torch.stack(model(batch).attention, dim=2))
        between = None
        if isinstance(self.model_.encoder, MixingEncoder):
            read = self._reader.read(cells, lambda model, batch, _: weights_between_columns(model, batch))
            positions, n_columns = self.schema_.model_positions, len(self.schema_.columns)
            spread = _put(torch.cat(list(read)).numpy(), positions, n_columns)
            between = _put(spread.swapaxes(-1, -2), positions, n_columns).swapaxes(-1, -2)
        return AttentionMaps(self._spread(torch.cat(list(stacked)).numpy()), self.schema_.names, between)

    def mean_attention(self, X: Any) -> pd.DataFrame:
        """Return attention averaged over rows and members, without keeping the raw weights in memory.

        Args:
            X: Rows to read.

        Returns:
            One row per layer and head (both counted from 1), one column per feature; rows sum to 1, but for encoders
            in which the state that predicts attends to itself too.
        """
        cells = self._cells(X)
        sums = self._reader.read(
            cells,
            lambda model, batch, _: torch.stack(
                [layer.double().mean(dim=1).sum(dim=0) for layer in model(batch).attention]
            ),
        )
        return head_table(self._spread((functools.reduce(torch.add, sums) / len(cells)).numpy()), self.schema_.names)

    def row_attention(self, X: Any) -> pd.DataFrame:
        """Return the attention of each row, averaged over members, layers and heads.

        Args:
            X: Rows to read.

        Returns:
            One row per row of X, one column per feature.
        """
        check_is_fitted(self, "model_")
        frame = self._as_frame(X, reset=False)
        attention = self._attention_by_row(self.preprocessor_.transform(frame))
        return pd.DataFrame(attention, frame.index, pd.Index(self.schema_.names, name="feature", dtype="str"))

    def attention_drift(self, X: Any) -> pd.DataFrame:
        """Compare the attention to each column in some rows with that in training, each row by itself.

        Args:
            X: Rows to read.

        Returns:
            The table of `tabattn.importance.drift.attention_drift`; training is represented by up to 256 of its rows,
            drawn at random.
        """
        by_row = self._attention_by_row(self._cells(X))
        return attention_drift(self._attention_by_row(self._background), by_row, self.schema_.names)

    def mean_attention_between(self, X: Any) -> pd.DataFrame | None:
        """Return attention of columns to columns, averaged over rows, members, layers and heads.

        Args:
            X: Rows to read.

        Returns:
            One row per attending feature, one column per feature attended to; None for the encoder "class", in which
            columns do not attend.
        """
        cells = self._cells(X)
        if not isinstance(self.model_.encoder, MixingEncoder):
            return None
        sums = self._reader.read(
            cells,
            lambda model, batch, _: weights_between_columns(model, batch).double().mean(dim=(1, 2, 3)).sum(dim=0),
        )
        mean = (functools.reduce(torch.add, sums) / len(cells)).numpy()
        return between_table(self._spread(self._spread(mean).T).T, self.schema_.names)

    def _attention_by_row(self, cells: Cells) -> Array:
        read = self._reader.read(
            cells,
            lambda model, batch, _: torch.stack([each.mean(dim=(1, 2)) for each in model(batch).attention]).mean(0),
        )
        return self._spread(torch.cat(list(read)).double().numpy())

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
        check_is_fitted(self, "model_")
        names: Array | None = getattr(self, "feature_names_in_", None)
        losses: pd.DataFrame | None = getattr(self, "pretraining_history_", None)
        fitted = Fitted(
            preprocessor=self.preprocessor_,
            target=self._target,
            model=self.model_,
            background=self._background,
            importances=self.feature_importances_,
            history={mode: self.attention_history_.loc[mode].to_numpy() for mode in MODES},
            pretraining={} if losses is None else {str(mode): each.to_numpy() for mode, each in losses.items()},
            feature_names=None if names is None else tuple(names),
            best_epoch=self.best_epoch_,
            best_loss=self.best_loss_,
            hold_out_seed=self._hold_out_seed,
        ).state
        own = {
            "estimator": type(self).__name__,
            "parameters": parameters_as_json({name: getattr(self, name) for name in self.get_params(deep=False)}),
        }
        write_state(Path(path), SavedState(own | fitted.settings, fitted.arrays))

    def to_onnx(self, path: str | Path) -> None:
        """Write the fitted model as an ONNX graph, for programs without Python.

        The graph takes "numbers" (float64, shape (row, number), NaN where missing: as in the table, no transform is
        needed, but whole numbers beyond 2^53 less an "origin" that the metadata has; dates and texts are several
        numbers each) and "codes" (int64, shape (row, categorical), -1 where missing, 0 for levels that are rare or
        new), each only where there are such columns; its metadata has the names of the columns and the code of each
        level. It returns "prediction", as `predict` or `predict_proba` do, and "attention", as `attention` does.

        Args:
            path: The file; replaced if it exists.

        Raises:
            NotFittedError: This estimator is not fitted.
            OutputError: The file can't be written, or the packages of `tabattn[onnx]` are not installed.
        """
        check_is_fitted(self, "model_")
        write_onnx(Path(path), self.model_, self.preprocessor_, self._target)

    def onnx_inputs(self, X: Any) -> dict[str, Array]:
        """Return what the graph of `to_onnx` takes for rows of a table.

        Args:
            X: Rows with the columns of `fit`.

        Returns:
            "numbers" and "codes", as `to_onnx` says.
        """
        check_is_fitted(self, "model_")
        return model_inputs(self.preprocessor_, self._as_frame(X, reset=False))

    def _take_over(self, fitted: Fitted) -> None:
        """Be as `save` found the estimator."""
        self.preprocessor_, self.schema_ = fitted.preprocessor, fitted.preprocessor.schema
        self._target, self.model_, self._background = fitted.target, fitted.model, fitted.background
        self.n_features_in_ = len(self.schema_.columns)
        if fitted.feature_names is not None:
            self.feature_names_in_ = np.array(fitted.feature_names, dtype=object)
        self.feature_importances_ = fitted.importances
        self.attention_history_ = history_table(fitted.history, self.schema_.names)
        if fitted.pretraining:
            self.pretraining_history_ = pretraining_table(fitted.pretraining)
        self._hold_out_seed = fitted.hold_out_seed
        self.n_iter_, self.best_epoch_, self.best_loss_ = (
            len(fitted.history["train"]),
            fitted.best_epoch,
            fitted.best_loss,
        )

    def __sklearn_tags__(self) -> Tags:
        """Tell scikit-learn that missing cells and categories are welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags

    @abstractmethod
    def _check_target(self, y: Any) -> Array:
        """Refuse what can't be a target."""

    def _target_of(self, y: Any, n_rows: int) -> Tensor | None:
        """Return the target of rows to read as the model sees it."""
        if y is None:
            return None
        values = self._check_target(y)
        _refuse_other_length(values, n_rows)
        return self._target.encode(values)

    @abstractmethod
    def _learned_target(self, learned: _OrderedRows) -> TargetEncoding:
        """Learn the scale of the target, or its classes."""

    @property
    @abstractmethod
    def _loss_name(self) -> LossName:
        """Name of the loss to learn by."""

    @property
    def _quantile(self) -> float:
        """The quantile to learn, if the loss is of one."""
        return 0.5

    def _model_shape(self, n_groups: int) -> ModelShape:
        n_numeric, n_parts, n_levels = self.preprocessor_.sizes
        return ModelShape(
            encoder=self.encoder,
            n_numeric=n_numeric,
            n_parts=n_parts,
            n_levels=n_levels,
            loss=self._loss_name,
            quantile=float(self._quantile),
            n_outputs=self._target.n_outputs,
            n_layers=int(self.n_layers),
            n_members=self._n_members,
            n_groups=int(n_groups),
            n_heads=int(self.n_heads),
            d_token=int(self.d_token),
            attention_dropout=float(self.attention_dropout),
            ffn_dropout=float(self.ffn_dropout),
            order=self._order() if self.encoder in ORDERED else (),
        )

    @property
    def _n_members(self) -> int:
        if self.n_members == "auto":
            return CLASS_MEMBERS if self.encoder == "class" else 1
        return int(self.n_members)

    def _order(self) -> tuple[int, ...]:
        """The columns of the model in the order asked for, then the others in that of the table."""
        names = list(self.schema_.names)
        asked = [] if self.column_order is None else [str(name) for name in self.column_order]
        unknown = [name for name in asked if name not in names]
        if unknown or len(set(asked)) < len(asked):
            wrong = unknown or [name for name in asked if asked.count(name) > 1]
            raise ParameterError(
                f"column_order must name columns of the table, each once, got {wrong[0]!r}. Check the name."
            )
        place = {column: i for i, column in enumerate(self.schema_.model_positions)}
        positions = [names.index(name) for name in dict.fromkeys([*asked, *names])]
        return tuple(place[position] for position in positions if position in place)

    def _training_settings(self, n_rows: int, seed: int) -> TrainingSettings:
        return TrainingSettings(
            optimizer=OptimizerSettings(self.learning_rate, self.weight_decay),
            batch_size=auto_batch_size(n_rows) if self.batch_size == "auto" else self.batch_size,
            max_epochs=self.max_epochs,
            patience=self.patience,
            seed=seed,
            device=self.device,
            show_progress=self.verbose,
        )

    @property
    def _reader(self) -> Reader:
        return Reader(self.model_, self._background, resolve_device(self.device))

    def _predict_cells(self, cells: Cells) -> Array:
        """Predict numbers, or probabilities of classes or labels."""
        return self._decode(self._reader.predict(cells))

    def _decode(self, outputs: Tensor) -> Array:
        """Return what the outputs of the members say together."""
        return self._target.decode(self.model_.loss.average(outputs.double()).numpy())

    def _score(
        self,
        cells: Cells,
        target: Tensor | None,
        method: Method,
        units: Units,
        judges: Tensor | None = None,
        weight: Tensor | None = None,
    ) -> Scores:
        """Score units of columns on some rows; memory does not grow with their number."""
        weight = torch.ones(len(cells), dtype=torch.float64) if weight is None else weight
        shares = self._reader.shares(cells, target, method, judges=judges, units=units.joined)
        sums, start = torch.zeros((), dtype=torch.float64), 0
        for each in shares:
            sums = sums + torch.tensordot(weight[start : start + len(each)], each, dims=1)
            start += len(each)
        scores = normalize_scores((sums / weight.sum()).numpy())
        return Scores(
            raw=_of_units(scores.raw, units, unread=-np.inf),
            importance=_of_units(scores.importance, units),
            std=_of_units(scores.std, units),
        )

    def _spread(self, values: Array) -> Array:
        """Put the model's columns, on the last axis, in the order of the table, with 0 for constant columns."""
        return _put(values, self.schema_.model_positions, len(self.schema_.columns))

    def _name_history(self, trained: Trained) -> pd.DataFrame:
        by_mode = {"train": trained.train_attention, "eval": trained.eval_attention}
        spread = {mode: self._spread(attention.double().numpy()) for mode, attention in by_mode.items()}
        return history_table(spread, self.schema_.names)

    def _cells(self, X: Any) -> Cells:
        check_is_fitted(self, "model_")
        frame = self._as_frame(X, reset=False)
        return self.preprocessor_.transform(frame)

    def _as_frame(self, X: Any, *, reset: bool) -> pd.DataFrame:
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


class TabAttnRegressor(RegressorMixin, _TabAttnEstimator):
    """Transformer regression whose attention ranks the columns.

    Args:
        loss: What is learned: "squared" errors for the mean, "absolute" errors for the median, "pinball" for a
            quantile, "poisson" for the mean of counts.
        quantile: Which quantile "pinball" is for, greater than 0 and less than 1.
        encoder: Kind of transformer: "class", whose CLS states read columns that are never mixed; or "bert", "roberta",
            "gpt", "xlnet" or "t5", in which columns attend to each other.
        schema: Kinds of columns by name, where they are not to be inferred: "numeric", "boolean", "categorical",
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

    def __init__(
        self,
        *,
        loss: RegressionLoss = "squared",
        quantile: float = 0.5,
        encoder: EncoderKind = "class",
        schema: Mapping[str, str] | None = None,
        n_layers: int = 3,
        d_token: int = 64,
        n_heads: int = 2,
        n_members: int | Literal["auto"] = "auto",
        attention_dropout: float = 0.1,
        ffn_dropout: float = 0.1,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-5,
        batch_size: int | Literal["auto"] = "auto",
        max_epochs: int = 100,
        patience: int = 16,
        validation_fraction: float = 0.2,
        pretrain: Pretrain = "none",
        pretrain_epochs: int | Literal["auto"] = "auto",
        column_order: Sequence[str] | None = None,
        warm_start: bool = False,
        device: Literal["auto", "cpu", "cuda"] = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(
            encoder=encoder,
            schema=schema,
            n_layers=n_layers,
            d_token=d_token,
            n_heads=n_heads,
            n_members=n_members,
            attention_dropout=attention_dropout,
            ffn_dropout=ffn_dropout,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            batch_size=batch_size,
            max_epochs=max_epochs,
            patience=patience,
            validation_fraction=validation_fraction,
            pretrain=pretrain,
            pretrain_epochs=pretrain_epochs,
            column_order=column_order,
            warm_start=warm_start,
            device=device,
            random_state=random_state,
            verbose=verbose,
        )
        self.loss = loss
        self.quantile = quantile

    def predict(self, X: Any) -> Array:
        """Predict the target.

        Args:
            X: Rows with the columns of `fit`.

        Returns:
            Array of shape (n_rows,), or (n_rows, n_targets) for several, in the units of y.
        """
        return self._predict_cells(self._cells(X))

    def __sklearn_tags__(self) -> Tags:
        """Tell scikit-learn that there may be several targets."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _check_target(self, y: Any) -> Array:
        return check_numbers(y, self.loss)

    def _learned_target(self, learned: _OrderedRows) -> TargetEncoding:
        return NumberEncoding.learned(learned.y, learned.weight, self.loss)

    @property
    def _loss_name(self) -> LossName:
        return self.loss

    @property
    def _quantile(self) -> float:
        return self.quantile


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

    def __init__(
        self,
        *,
        encoder: EncoderKind = "class",
        schema: Mapping[str, str] | None = None,
        n_layers: int = 3,
        d_token: int = 64,
        n_heads: int = 2,
        n_members: int | Literal["auto"] = "auto",
        attention_dropout: float = 0.1,
        ffn_dropout: float = 0.1,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-5,
        batch_size: int | Literal["auto"] = "auto",
        max_epochs: int = 100,
        patience: int = 16,
        validation_fraction: float = 0.2,
        pretrain: Pretrain = "none",
        pretrain_epochs: int | Literal["auto"] = "auto",
        column_order: Sequence[str] | None = None,
        class_weight: ClassWeight = None,
        warm_start: bool = False,
        device: Literal["auto", "cpu", "cuda"] = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(
            encoder=encoder,
            schema=schema,
            n_layers=n_layers,
            d_token=d_token,
            n_heads=n_heads,
            n_members=n_members,
            attention_dropout=attention_dropout,
            ffn_dropout=ffn_dropout,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            batch_size=batch_size,
            max_epochs=max_epochs,
            patience=patience,
            validation_fraction=validation_fraction,
            pretrain=pretrain,
            pretrain_epochs=pretrain_epochs,
            column_order=column_order,
            warm_start=warm_start,
            device=device,
            random_state=random_state,
            verbose=verbose,
        )
        self.class_weight = class_weight

    def predict(self, X: Any) -> Array:
        """Predict the most probable class, or which labels are more probable than not.

        Args:
            X: Rows with the columns of `fit`.

        Returns:
            Array of shape (n_rows,) with values of `classes_`, or (n_rows, n_labels) of 0 and 1.
        """
        probabilities = self.predict_proba(X)
        if isinstance(self._target, LabelEncoding):
            return (probabilities > 0.5).astype(np.int64)
        predicted: Array = self.classes_[probabilities.argmax(axis=1)]
        return predicted

    def predict_proba(self, X: Any) -> Array:
        """Predict probabilities of classes or labels, averaged over members.

        Args:
            X: Rows with the columns of `fit`.

        Returns:
            Array of shape (n_rows, n_classes) in the order of `classes_`; rows sum to 1. For labels each column has
            probabilities of its own.
        """
        return self._predict_cells(self._cells(X))

    @property
    def classes_(self) -> Array:
        """The classes in sorted order, or the numbers of the labels."""
        if "_target" not in vars(self):
            raise AttributeError(f"This {type(self).__name__} has no classes_ before it is fitted.")
        if isinstance(self._target, ClassEncoding):
            return self._target.classes
        return np.arange(self._target.n_outputs)

    def __sklearn_tags__(self) -> Tags:
        """Tell scikit-learn that rows may have several labels."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _check_target(self, y: Any) -> Array:
        return check_classes(y)

    def _learned_target(self, learned: _OrderedRows) -> TargetEncoding:
        return ClassEncoding.learned(learned.y) if learned.y.ndim == 1 else LabelEncoding.learned(learned.y)

    @property
    def _loss_name(self) -> LossName:
        return "classes" if isinstance(self._target, ClassEncoding) else "labels"


class _ShuffledReader(BaseEstimator):
    """Predicts rows given by the places that their cells come from.

    Args:
        estimator: A fitted estimator.
        cells: The cells of some rows, as the model reads them.
        units: Columns that are shuffled together.
    """

    def __init__(self, estimator: _TabAttnEstimator, cells: Cells, units: Units) -> None:
        self.estimator = estimator
        self.cells = cells
        self.units = units
        self._embedded = estimator._reader.embed(cells)

    def __sklearn_tags__(self) -> Tags:
        return self.estimator.__sklearn_tags__()

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def fit(self, places: Array, y: Any) -> Self:  # noqa: ARG002
        """Return this reader: it has nothing to learn, but scikit-learn calls only what can be fitted an estimator."""
        return self

    @property
    def classes_(self) -> Array:
        """The classes of a classifier."""
        assert isinstance(self.estimator, TabAttnClassifier)
        return self.estimator.classes_

    def predict(self, places: Array) -> Array:
        """Predict numbers; for each row and unit, `places` has the number of the row that the cells come from."""
        by_column = places[:, list(self.units.of_column)]
        if self._embedded is None:
            return self.estimator._predict_cells(self.estimator.preprocessor_.exchanged(self.cells, by_column))
        of_model = by_column[:, list(self.estimator.schema_.model_positions)]
        return self.estimator._decode(self._embedded.predict(torch.from_numpy(of_model)))

    def predict_proba(self, places: Array) -> Array:
        """Predict class probabilities."""
        return self.predict(places)


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
    state = read_state(Path(path))
    try:
        estimator = {each.__name__: each for each in (TabAttnRegressor, TabAttnClassifier)}[state.settings["estimator"]]
        parameters = parameters_from_json(state.settings["parameters"])
        if parameters.get("device") == "cuda" and not torch.cuda.is_available():
            parameters["device"] = "auto"
        loaded = estimator(**parameters)
        check_parameters(loaded.get_params(deep=False))
        fitted = Fitted.from_state(state)
        if isinstance(fitted.target, NumberEncoding) != isinstance(loaded, TabAttnRegressor):
            raise ValueError("the target is not one of this estimator")
        loaded._take_over(fitted)
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, OverflowError, RuntimeError) as error:
        raise ModelFileError(
            f"The model must be as est.save() wrote it, got {str(path)!r}, whose parts do not fit together. "
            "Save it again."
        ) from error
    return loaded


def _refuse_other_length(values: Array, n_rows: int) -> None:
    if len(values) != n_rows:
        raise TargetError(
            f"y must have as many rows as X, got inconsistent numbers of samples: {len(values)} for y and {n_rows} "
            "for X. Take both from the same rows."
        )


def _put(values: Array, positions: Sequence[int], n: int, absent: float = 0.0) -> Array:
    """Put values, on the last axis, at some of n positions."""
    spread = np.full((*values.shape[:-1], n), absent, dtype=values.dtype)
    spread[..., list(positions)] = values
    return spread


def _of_units(values: Array, units: Units, unread: float = 0.0) -> Array:
    """Put values of the units that the model reads, on the last axis, in the order of all units."""
    return _put(values, units.scored, len(units.names), unread)
