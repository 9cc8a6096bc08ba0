"""scikit-learn estimators: fit, predict, and read the attention that the predictions came from."""

import copy
import functools
import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    check_array,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)
from torch import Tensor

from tabattn.errors import ColumnError, ModelFileError, ParameterError, TableError, TargetError
from tabattn.importance.aggregation import Scores, normalize_rows, normalize_scores
from tabattn.importance.background import Background, read_background
from tabattn.importance.maps import AttentionMaps, head_table
from tabattn.importance.methods import DEFAULT_METHOD, METHODS, Method, Question
from tabattn.importance.permutation import PermutationScores, permutation_scores
from tabattn.importance.table import ImportanceTable, importance_table
from tabattn.nn.losses import average_members
from tabattn.nn.model import ModelShape, TabAttnModel
from tabattn.nn.tokens import Cells
from tabattn.ordering import ordered_rows
from tabattn.persistence import SavedState, model_state, read_state, restore_model, write_state
from tabattn.preprocessing import Preprocessor
from tabattn.reading import as_pandas, refuse_duplicate_names
from tabattn.schema import Kind, TableSchema, infer_schema
from tabattn.training.data import Rows
from tabattn.training.fitting import Trained, TrainingSettings, resolve_device, train
from tabattn.training.holdout import held_out_rows
from tabattn.training.module import OptimizerSettings
from tabattn.values import unread_cells_ignored

Array = np.ndarray[Any, np.dtype[Any]]
ClassWeight = Mapping[Any, float] | Literal["balanced"] | None
MAX_READ_ELEMENTS = 8_000_000
MAX_READ_ROWS, BLOCK_ROWS = 4096, 32
N_BACKGROUND, N_PAIRS, MAX_PARTNERS = 256, 4096, 64
MAX_BACKGROUND_ELEMENTS = 32_000_000
MIN_STEPS, MAX_SMALL_BATCH = 32, 256
MIN_LARGE_STEPS, MAX_LARGE_BATCH = 512, 16_384
MIN_BATCH = 32
MAX_OWN_TOKEN_ROWS, MAX_OWN_TOKEN_COLUMNS = 8_192, 1_000


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

    classes_: Array
    n_features_in_: int
    class_weight: ClassWeight = None

    def __init__(
        self,
        *,
        encoder: Literal["class"] = "class",
        schema: Mapping[str, str] | None = None,
        n_layers: int = 3,
        d_token: int = 64,
        n_heads: int = 2,
        n_members: int = 8,
        attention_dropout: float = 0.1,
        ffn_dropout: float = 0.1,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-5,
        batch_size: int | Literal["auto"] = "auto",
        max_epochs: int = 100,
        patience: int = 16,
        validation_fraction: float = 0.2,
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
        self.warm_start = warm_start
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, eval_set: tuple[Any, Any] | None = None) -> Self:
        """Train the model, and rank the columns on rows that were held out.

        Each member holds out a part of the rows (`validation_fraction`). The members that hold a row out predict it to
        decide when to stop, and `feature_importances_` is read by these members. On tables of up to 8,192 rows every
        member has column tokens of its own and holds out other rows; on larger ones all share tokens, which are
        computed once, and hold out the same rows.

        The same rows give the same model, whatever their order.

        Args:
            X: Table of pandas, Polars or PyArrow, or array, of shape (n_rows, n_columns); numbers, strings, booleans,
                dates, durations, texts, missing cells.
            y: Target of each row.
            sample_weight: Weight of each row in the loss, not negative; None for equal weights. Where all are whole
                numbers, and not more than a million together, a row of weight 2 is the same as two rows.
            eval_set: X and y of other rows, all of the same weight, that decide when to stop and rank the columns; then
                none of X is held out.

        Returns:
            This estimator, fitted.

        Raises:
            ParameterError: A constructor argument is outside its range.
            TableError: There are fewer than two rows.
            ColumnError: A column holds what can't become a token, or no column varies.
            TargetError: Nothing can be learned from y.
            TrainingError: The validation loss was finite in no epoch.
            KeyboardInterrupt: Training was interrupted; if an epoch was over, the estimator is fitted with the best
                weights until then.
        """
        before = dict(self.__dict__)
        previous: TabAttnModel | None = self.__dict__.pop("model_", None)
        self.__dict__.pop("feature_importances_", None)
        try:
            was_interrupted = self._fit(X, y, sample_weight, eval_set, previous if self.warm_start else None)
        except BaseException:
            if self.warm_start:
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
        previous: TabAttnModel | None,
    ) -> bool:
        """Fit, from the weights of a previous model if there is one, and return whether training was interrupted."""
        self._check_parameters()
        if y is None:
            raise TargetError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        learned = self._ordered_rows(X, y, sample_weight, reset=previous is None)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        generator = torch.Generator().manual_seed(seed)
        if previous is None:
            self._learn_columns(learned)
            with unread_cells_ignored():
                cells = self.preprocessor_.transform(learned.frame)
        else:
            cells = self.preprocessor_.transform(learned.frame)
        target = self._as_learned(learned.y)
        n_columns = len(self.schema_.token_positions)
        own_tokens = has_own_tokens(len(target), n_columns) if previous is None else previous.shape.n_groups > 1
        shape = self._model_shape(n_groups=self.n_members if own_tokens else 1)
        if previous is not None and previous.shape != shape:
            raise ParameterError(
                f"warm_start must go on with a model of the same sizes, got {shape} after {previous.shape}. "
                "Set warm_start=False to begin anew."
            )
        weight = torch.from_numpy(learned.weight)
        loss_weight = torch.from_numpy(learned.loss_weight.astype(np.float32))
        if eval_set is None:
            held_out = held_out_rows(target, shape.n_groups, self.validation_fraction, generator)
            held_out = held_out.repeat_interleave(self.n_members // shape.n_groups, dim=1)
            rows = Rows(cells, target, loss_weight, held_out)
        else:
            rows, weight = self._with_judges(Rows.learned(cells, target, loss_weight, self.n_members), weight, eval_set)
        trained = train(shape, rows, self._training_settings(len(target), seed), start=previous)
        self.model_: TabAttnModel = trained.model
        self.n_iter_ = trained.n_epochs
        self.best_epoch_ = trained.best_epoch
        self.best_loss_ = trained.best_loss
        self.attention_history_ = self._name_history(trained)
        self._background_cells = cells.take(_draw(torch.from_numpy(learned.weight), N_BACKGROUND, generator))
        judged = rows.held_out.any(dim=1).nonzero().flatten()
        judges = rows.held_out[judged].float()
        scores = self._score(rows.cells.take(judged), rows.target[judged], DEFAULT_METHOD, judges, weight[judged])
        self.feature_importances_ = scores.importance
        return trained.was_interrupted

    def _ordered_rows(self, X: Any, y: Any, sample_weight: Any, *, reset: bool) -> _OrderedRows:
        """Check what `fit` got, and put the rows in order."""
        frame = self._as_frame(X, reset=reset)
        values = self._check_target(y)
        check_consistent_length(frame, values)
        weight = _check_sample_weight(sample_weight, frame, dtype=np.float64, ensure_non_negative=True)
        is_used = weight > 0
        frame = frame[is_used]
        values, weight = values[is_used], weight[is_used]
        class_weight = _class_weights(self.class_weight, values, weight)
        is_used = class_weight > 0
        if is_used.sum() < 2:
            raise TableError(
                f"X must have at least 2 rows of positive weight, got n_samples = 1 sample or fewer ({is_used.sum()})."
            )
        frame = frame[is_used]
        values, weight, class_weight = (each[is_used] for each in (values, weight, class_weight))
        try:
            positions, written = ordered_rows(frame, values, weight)
        except (TypeError, ValueError, NotImplementedError):  # the last is PyArrow's word for lists and structures
            infer_schema(frame, self.schema)  # refuses by name what is no cell
            raise
        loss_weight = written * (class_weight[positions] / class_weight.max())
        return _OrderedRows(
            frame=frame.iloc[positions],
            y=values[positions],
            weight=written / written.max(),
            loss_weight=loss_weight / loss_weight.max(),
        )

    def _learn_columns(self, learned: _OrderedRows) -> None:
        """Learn what the columns and the target hold."""
        self._learn_target(learned)
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
            permutation: Permutation importance on the same rows, to be set beside.

        Returns:
            The ImportanceTable described in `tabattn.importance.table`.

        Raises:
            ParameterError: There is no such method.
            TargetError: y holds what fit has not seen or can't be used.
        """
        cells = self._cells(X)
        scores = self._score(cells, self._target_of(y, len(cells)), method)
        return importance_table(self.schema_, scores, permutation)

    def permutation_scores(
        self, X: Any, y: Any, *, n_repeats: int = 10, random_state: int | None = 0
    ) -> PermutationScores:
        """Measure how much worse the model gets when one column at a time is shuffled.

        These are the numbers of `tabattn.importance.permutation.permutation_scores`, from scikit-learn's own function;
        but cells are read once, and not again for every column and repeat.

        Args:
            X: Rows that the model was not trained on.
            y: Their target.
            n_repeats: Shuffles per column, at least 1.
            random_state: Seed of the shuffles.

        Returns:
            The fall of R^2 or of minus the log loss at each repeat, columns in the order of the table.

        Raises:
            ParameterError: `n_repeats` is less than 1.
        """
        cells = self._cells(X)
        places = np.repeat(np.arange(len(cells))[:, None], len(self.schema_.columns), axis=1)
        reader = _ShuffledReader(self, cells)
        return permutation_scores(reader, places, y, n_repeats=n_repeats, random_state=random_state)

    def explain(self, X: Any, y: Any = None, *, method: Method = DEFAULT_METHOD) -> pd.DataFrame:
        """Score every column for every row.

        Args:
            X: Rows to read.
            y: As for `importance_table`.
            method: As for `importance_table`.

        Returns:
            One row per row of X, one column per feature; the mean over rows is the global importance on these rows
            (with y a mean may be negative, where the importance is 0). "contribution" compares each row with a few
            training rows, 64 of them for up to 64 rows, only one from 4,096 rows on: for the sake of single rows ask
            for few at a time.

        Raises:
            ParameterError: There is no such method.
            TargetError: y holds what fit has not seen or can't be used.
        """
        check_is_fitted(self, "model_")
        frame = self._as_frame(X, reset=False)
        cells = self.preprocessor_.transform(frame)
        shares = self._ask(cells, self._target_of(y, len(cells)), method)
        scores = normalize_rows(torch.cat([each.sum(dim=1) for each in shares]).numpy())
        return pd.DataFrame(self._spread(scores), index=frame.index, columns=self._feature_index())

    def attention(self, X: Any) -> AttentionMaps:
        """Return the raw attention weights of some rows, before dropout.

        Args:
            X: Rows to read. Memory grows with rows times members, layers, heads and columns.

        Returns:
            Weights of shape (row, member, layer, head, column).
        """
        stacked = self._read(self._cells(X), lambda model, batch, _: torch.stack(model(batch).attention, dim=2))
        return AttentionMaps(self._spread(torch.cat(list(stacked)).numpy()), self.schema_.names)

    def mean_attention(self, X: Any) -> pd.DataFrame:
        """Return attention averaged over rows and members, without keeping the raw weights in memory.

        Args:
            X: Rows to read.

        Returns:
            One row per layer and head (both counted from 1), one column per feature; rows sum to 1.
        """
        cells = self._cells(X)
        sums = self._read(
            cells,
            lambda model, batch, _: torch.stack(
                [layer.double().mean(dim=1).sum(dim=0) for layer in model(batch).attention]
            ),
        )
        return head_table(self._spread((functools.reduce(torch.add, sums) / len(cells)).numpy()), self.schema_.names)

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
        model = model_state(self.model_)
        history = self.attention_history_
        background = self._background_cells
        arrays = {
            **model.arrays,
            **{f"preprocessor.{name}": torch.tensor(array) for name, array in self.preprocessor_.arrays.items()},
            "importances": torch.tensor(self.feature_importances_),
            "history.train": torch.tensor(history.loc["train"].to_numpy()),
            "history.eval": torch.tensor(history.loc["eval"].to_numpy()),
            "background.numeric": background.numeric,
            "background.codes": background.codes,
        }
        if background.missing is not None:
            arrays["background.missing"] = background.missing
        settings = {
            "estimator": type(self).__name__,
            "parameters": _as_json({name: getattr(self, name) for name in self.get_params(deep=False)}),
            "schema": self.schema_.settings,
            "sizes": model.settings,
            "target": self._target_settings(),
            "n_features": self.n_features_in_,
            "feature_names": list(getattr(self, "feature_names_in_", [])) or None,
            "n_iter": self.n_iter_,
            "best_epoch": self.best_epoch_,
            "best_loss": self.best_loss_,
        }
        write_state(Path(path), SavedState(settings, arrays))

    def _restore(self, state: SavedState) -> None:
        """Take over what `save` wrote."""
        settings, arrays = state.settings, state.arrays
        self.schema_ = TableSchema.from_settings(settings["schema"])
        learned = {
            name.removeprefix("preprocessor."): array.numpy()
            for name, array in arrays.items()
            if name.startswith("preprocessor.")
        }
        self.preprocessor_ = Preprocessor.from_arrays(self.schema_, learned)
        self._restore_target(settings["target"])
        self.model_ = restore_model(settings["sizes"], arrays)
        expected = self._model_shape(self.model_.shape.n_groups)
        of_table = ("n_numeric", "n_parts", "n_levels", "n_outputs")
        if any(getattr(self.model_.shape, name) != getattr(expected, name) for name in of_table):
            raise ValueError("the model does not belong to these columns")
        self.n_features_in_ = int(settings["n_features"])
        if settings["feature_names"] is not None:
            self.feature_names_in_ = np.array([str(name) for name in settings["feature_names"]], dtype=object)
        self.n_iter_, self.best_epoch_ = int(settings["n_iter"]), int(settings["best_epoch"])
        self.best_loss_ = float(settings["best_loss"])
        n_features = len(self.schema_.columns)
        history = {mode: arrays[f"history.{mode}"].double().numpy() for mode in ("train", "eval")}
        if any(each.shape != (self.n_iter_, n_features) for each in history.values()):
            raise ValueError("there must be attention to each column in each epoch")
        self.attention_history_ = self._history_table(history)
        self.feature_importances_ = arrays["importances"].double().numpy()
        if self.feature_importances_.shape != (n_features,) or self.n_features_in_ != n_features:
            raise ValueError("there must be an importance for each column")
        self._background_cells = Cells(
            arrays["background.numeric"], arrays["background.codes"], arrays.get("background.missing")
        )
        _check_cells(self._background_cells, self.model_.shape)

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
        check_consistent_length(values, range(n_rows))
        return self._as_learned(values)

    @abstractmethod
    def _as_learned(self, values: Array) -> Tensor:
        """Return a target as the model sees it."""

    @abstractmethod
    def _target_settings(self) -> dict[str, Any]:
        """Return what was learned of the target as JSON can hold it."""

    @abstractmethod
    def _restore_target(self, settings: Mapping[str, Any]) -> None:
        """Take over what `_target_settings` returned."""

    @abstractmethod
    def _learn_target(self, learned: _OrderedRows) -> None:
        """Learn the scale of the target, or its classes."""

    @property
    @abstractmethod
    def _n_outputs(self) -> int:
        """Numbers that the model predicts for a row."""

    def _model_shape(self, n_groups: int) -> ModelShape:
        schema = self.schema_
        return ModelShape(
            n_numeric=len(schema.number_positions),
            n_parts=self.preprocessor_.n_parts,
            n_levels=tuple(schema.columns[i].width for i in schema.of_kind(Kind.CATEGORICAL)),
            n_outputs=self._n_outputs,
            n_layers=int(self.n_layers),
            n_members=int(self.n_members),
            n_groups=int(n_groups),
            n_heads=int(self.n_heads),
            d_token=int(self.d_token),
            attention_dropout=float(self.attention_dropout),
            ffn_dropout=float(self.ffn_dropout),
        )

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

    def _predict_members(self, cells: Cells) -> Tensor:
        """Predict in blocks that are always full: how a product is rounded depends on its number of rows."""
        n_rows = len(cells)
        n_missing = -n_rows % BLOCK_ROWS
        full = cells.take(torch.arange(n_rows + n_missing) % n_rows) if n_missing else cells
        return torch.cat(list(self._read(full, lambda model, batch, _: model(batch).prediction)))[:n_rows]

    @abstractmethod
    def _predict_cells(self, cells: Cells) -> Array:
        """Predict numbers or class probabilities."""

    def _score(
        self,
        cells: Cells,
        target: Tensor | None,
        method: Method,
        judges: Tensor | None = None,
        weight: Tensor | None = None,
    ) -> Scores:
        """Score the columns on some rows; memory does not grow with their number."""
        weight = torch.ones(len(cells), dtype=torch.float64) if weight is None else weight
        shares = self._ask(cells, target, method, judges)
        sums, start = torch.zeros((), dtype=torch.float64), 0
        for each in shares:
            sums = sums + torch.tensordot(weight[start : start + len(each)], each, dims=1)
            start += len(each)
        scores = normalize_scores((sums / weight.sum()).numpy())
        return Scores(
            raw=self._spread(scores.raw, constant=-np.inf),
            importance=self._spread(scores.importance),
            std=self._spread(scores.std),
        )

    def _ask(
        self, cells: Cells, target: Tensor | None, method: Method, judges: Tensor | None = None
    ) -> Iterator[Tensor]:
        """Return batch by batch the share of each member in the score of each row and column.

        Each row is compared with one background row, with up to 64 of them where there are fewer than 4,096 rows.
        """
        if method not in METHODS:
            raise ParameterError(f"method must be one of {', '.join(METHODS)}, got {method!r}.")
        if judges is None:
            judges = torch.ones(len(cells), self.model_.shape.n_members)
        n_background = min(len(self._background_cells), max(1, MAX_BACKGROUND_ELEMENTS // self._n_token_elements()))
        n_partners = min(max(1, N_PAIRS // len(cells)), MAX_PARTNERS, n_background)
        partners = torch.arange(len(cells) * n_partners).reshape(-1, n_partners) % n_background
        background: Background | None = None

        def read(model: TabAttnModel, batch: Cells, rows: slice) -> Tensor:
            device = batch.numeric.device

            def compare_with() -> Background:
                nonlocal background
                if background is None:
                    background = read_background(model, self._background_cells.take(slice(n_background)).to(device))
                return background

            question = Question(
                cells=batch,
                target=None if target is None else target[rows].to(device),
                judges=judges[rows].to(device),
                background=compare_with,
                partners=partners[rows].to(device),
            )
            return METHODS[method](model, question).double()

        return self._read(cells, read)

    def _read(self, cells: Cells, function: Callable[[TabAttnModel, Cells, slice], Tensor]) -> Iterator[Tensor]:
        """Apply a function to batches of cells that keep memory bounded, on a GPU where there is one to be used."""
        device = resolve_device(self.device)
        model = self.model_ if device.type == "cpu" else copy.deepcopy(self.model_).to(device)
        n_rows = self._n_read_rows()
        for start in range(0, len(cells), n_rows):
            rows = slice(start, start + n_rows)
            with torch.inference_mode(mode=False), torch.no_grad():
                values = function(model, cells.take(rows).to(device), rows)
            yield values.cpu()

    def _n_read_rows(self) -> int:
        """Number of rows that are read at once: the weights of all layers and a few arrays as wide as tokens fit."""
        shape = self.model_.shape
        n_weights = shape.n_columns * shape.n_layers * shape.n_members * shape.n_heads
        n_rows = min(MAX_READ_ROWS, max(1, MAX_READ_ELEMENTS // (4 * self._n_token_elements() + n_weights)))
        return n_rows - n_rows % BLOCK_ROWS if n_rows > BLOCK_ROWS else n_rows

    def _n_token_elements(self) -> int:
        """Numbers in the tokens of one row."""
        shape = self.model_.shape
        return shape.n_columns * shape.n_groups * shape.d_token

    def _spread(self, values: Array, constant: float = 0.0) -> Array:
        """Put the model's columns, on the last axis, in the order of the table, with one value for constant columns."""
        spread = np.full((*values.shape[:-1], len(self.schema_.columns)), constant, dtype=values.dtype)
        spread[..., list(self.schema_.model_positions)] = values
        return spread

    def _name_history(self, trained: Trained) -> pd.DataFrame:
        by_mode = {"train": trained.train_attention, "eval": trained.eval_attention}
        return self._history_table({mode: self._spread(each.double().numpy()) for mode, each in by_mode.items()})

    def _history_table(self, by_mode: Mapping[str, Array]) -> pd.DataFrame:
        frames = [
            pd.DataFrame(
                attention,
                index=pd.MultiIndex.from_product([[mode], range(1, len(attention) + 1)], names=["mode", "epoch"]),
                columns=self._feature_index(),
            )
            for mode, attention in by_mode.items()
        ]
        return pd.concat(frames)

    def _feature_index(self) -> pd.Index:
        return pd.Index(self.schema_.names, name="feature", dtype="str")

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
        else:
            X = check_array(X, dtype=None, ensure_all_finite=False, estimator=self)
        validate_data(self, X, reset=reset, skip_check_array=True)
        if isinstance(X, pd.DataFrame):
            if X.empty:
                raise TableError(
                    f"X must have at least one row and one column, got shape {X.shape}: "
                    f"{X.shape[0]} sample(s), {X.shape[1]} feature(s) while a minimum of 1 is required."
                )
            return X
        return pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])

    def _check_parameters(self) -> None:
        if self.encoder != "class":
            raise ParameterError(f"encoder must be 'class', got {self.encoder!r}.")
        _require("d_token", self.d_token, Integral, "a whole number of at least 2", lambda value: value >= 2)
        for name in ("n_layers", "n_heads", "n_members", "max_epochs", "patience"):
            _require(name, getattr(self, name), Integral, "a whole number of at least 1", lambda value: value >= 1)
        if self.batch_size != "auto":
            requirement = "'auto' or a whole number of at least 1"
            _require("batch_size", self.batch_size, Integral, requirement, lambda value: value >= 1)
        for name in ("attention_dropout", "ffn_dropout"):
            _require(name, getattr(self, name), Real, "at least 0 and less than 1", lambda value: 0 <= value < 1)
        _require("learning_rate", self.learning_rate, Real, "positive", lambda value: value > 0)
        _require("weight_decay", self.weight_decay, Real, "at least 0", lambda value: value >= 0)
        _require(
            "validation_fraction",
            self.validation_fraction,
            Real,
            "greater than 0 and less than 1",
            lambda value: 0 < value < 1,
        )
        if self.device not in {"auto", "cpu", "cuda"}:
            raise ParameterError(f"device must be 'auto', 'cpu' or 'cuda', got {self.device!r}.")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ParameterError("device must be 'auto' or 'cpu' where torch sees no GPU, got 'cuda'.")


class TabAttnRegressor(RegressorMixin, _TabAttnEstimator):
    """Transformer regression whose attention ranks the columns.

    Args:
        encoder: Kind of transformer; "class" is the class-attention encoder.
        schema: Kinds of columns by name, where they are not to be inferred: "numeric", "categorical", "datetime",
            "duration" or "text".
        n_layers: Number of layers.
        d_token: Width of a token.
        n_heads: Heads per layer.
        n_members: Independent readers of the columns whose predictions are averaged.
        attention_dropout: Share of attention weights dropped while training, in [0, 1).
        ffn_dropout: Share of hidden feed-forward units dropped while training, in [0, 1).
        learning_rate: Step size of AdamW.
        weight_decay: Weight decay of AdamW.
        batch_size: Rows per training step; "auto" chooses by the number of rows.
        max_epochs: Passes over the training rows at most.
        patience: Epochs without a better validation loss before training stops.
        validation_fraction: Share of rows that each member holds out in `fit`, greater than 0 and less than 1; at most
            2,048 rows are held out.
        warm_start: Whether a further `fit` goes on from the weights, kinds of columns and scales of the last one.
        device: "auto" trains and predicts on a CUDA GPU if there is one, "cpu" and "cuda" where they say.
        random_state: Seed; the same seed gives the same result on the same machine.
        verbose: Whether to show a line of progress.

    Attributes:
        feature_importances_: Importance of each column by the default method, each member on the rows that it held out;
            sums to 1.
        attention_history_: DataFrame, mode ("train", "eval") and epoch against features: mean attention while training.
        schema_: Kind and levels of each column.
        best_epoch_, n_iter_: Epoch of the weights kept, and number of epochs trained.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> X = pd.DataFrame(rng.normal(size=(200, 3)), columns=["heat", "noise", "dust"])
        >>> est = TabAttnRegressor(n_members=2, n_heads=2, d_token=16, max_epochs=20, random_state=0)
        >>> est.fit(X, 3 * X["heat"]).importance_table(X)["feature"][0]
        'heat'
    """

    def predict(self, X: Any) -> Array:
        """Predict the target.

        Args:
            X: Rows with the columns of `fit`.

        Returns:
            Array of shape (n_rows,), in the units of y.
        """
        return self._predict_cells(self._cells(X))

    def _predict_cells(self, cells: Cells) -> Array:
        standardized = average_members(self._predict_members(cells).double(), is_regression=True).squeeze(1)
        predicted: Array = standardized.numpy() * self._target_scale + self._target_mean
        return predicted

    def _check_target(self, y: Any) -> Array:
        _refuse_times(y)
        checked: Array = check_array(column_or_1d(y, warn=True), ensure_2d=False, dtype=np.float64, input_name="y")
        return checked

    def _learn_target(self, learned: _OrderedRows) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            self._target_mean = float(np.average(learned.y, weights=learned.weight))
            variance = float(np.average((learned.y - self._target_mean) ** 2, weights=learned.weight))
            self._target_scale = math.sqrt(variance) or 1.0
        if not np.isfinite(self._target_scale):
            raise TargetError(
                f"y must have a finite variance, got values up to {np.abs(learned.y).max():.3g}. "
                "Divide y by a power of ten."
            )

    def _target_settings(self) -> dict[str, Any]:
        return {"mean": self._target_mean, "scale": self._target_scale}

    def _restore_target(self, settings: Mapping[str, Any]) -> None:
        self._target_mean, self._target_scale = float(settings["mean"]), float(settings["scale"])

    @property
    def _n_outputs(self) -> int:
        return 1

    def _as_learned(self, values: Array) -> Tensor:
        standardized = (values - self._target_mean) / self._target_scale
        return torch.from_numpy(standardized.astype(np.float32))


class TabAttnClassifier(ClassifierMixin, _TabAttnEstimator):
    """Transformer classification, binary or multiclass, whose attention ranks the columns.

    Arguments and attributes are those of `TabAttnRegressor`, with one more of each: `class_weight`, what the weights of
    the rows of each class are multiplied by, "balanced" for equal weights of all classes; `classes_`, the classes in
    sorted order.

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
        encoder: Literal["class"] = "class",
        schema: Mapping[str, str] | None = None,
        n_layers: int = 3,
        d_token: int = 64,
        n_heads: int = 2,
        n_members: int = 8,
        attention_dropout: float = 0.1,
        ffn_dropout: float = 0.1,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-5,
        batch_size: int | Literal["auto"] = "auto",
        max_epochs: int = 100,
        patience: int = 16,
        validation_fraction: float = 0.2,
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
            warm_start=warm_start,
            device=device,
            random_state=random_state,
            verbose=verbose,
        )
        self.class_weight = class_weight

    def predict(self, X: Any) -> Array:
        """Predict the most probable class.

        Args:
            X: Rows with the columns of `fit`.

        Returns:
            Array of shape (n_rows,) with values of `classes_`.
        """
        probabilities = self.predict_proba(X)
        predicted: Array = self.classes_[probabilities.argmax(axis=1)]
        return predicted

    def predict_proba(self, X: Any) -> Array:
        """Predict class probabilities, averaged over members.

        Args:
            X: Rows with the columns of `fit`.

        Returns:
            Array of shape (n_rows, n_classes) in the order of `classes_`; rows sum to 1.
        """
        return self._predict_cells(self._cells(X))

    def _predict_cells(self, cells: Cells) -> Array:
        probabilities: Array = average_members(self._predict_members(cells).double(), is_regression=False).numpy()
        return probabilities

    def _check_target(self, y: Any) -> Array:
        _refuse_times(y)
        values: Array = column_or_1d(y, warn=True)
        if pd.isna(values).any():
            raise TargetError("y must have no missing value, got NaN. Drop these rows first.")
        try:
            check_classification_targets(values)
            np.unique(values)
        except TypeError as error:
            raise TargetError(
                "y must hold classes of one type, got strings and numbers mixed. Turn all of them into strings."
            ) from error
        return values

    def _learn_target(self, learned: _OrderedRows) -> None:
        self.classes_ = np.unique(learned.y)
        if len(self.classes_) < 2:
            raise TargetError(f"y must have at least two classes, got one class: '{self.classes_[0]}'.")

    def _target_settings(self) -> dict[str, Any]:
        return {"dtype": self.classes_.dtype.str, "classes": self.classes_.tolist()}

    def _restore_target(self, settings: Mapping[str, Any]) -> None:
        dtype = np.dtype(settings["dtype"])
        if dtype.kind not in "biufUO" or dtype.names or dtype.subdtype:
            raise ValueError("classes must be numbers or strings")
        self.classes_ = np.array(settings["classes"], dtype=None if dtype.kind == "U" else dtype)
        if self.classes_.ndim != 1 or self.classes_.dtype.kind != dtype.kind:
            raise ValueError("classes must be of one type")

    @property
    def _n_outputs(self) -> int:
        return len(self.classes_)

    def _as_learned(self, values: Array) -> Tensor:
        unknown = pd.unique(values[~np.isin(values, self.classes_)])
        if len(unknown):
            shown = ", ".join(repr(str(each)) for each in unknown[:5])
            raise TargetError(f"y must hold classes that fit has seen, got {shown}. Leave these rows out.")
        return torch.from_numpy(np.searchsorted(self.classes_, values).astype(np.int64))


class _ShuffledReader(BaseEstimator):
    """Predicts rows given by the places that their cells come from.

    Args:
        estimator: A fitted estimator.
        cells: The cells of some rows, as the model reads them.
    """

    def __init__(self, estimator: _TabAttnEstimator, cells: Cells) -> None:
        self.estimator = estimator
        self.cells = cells

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
        return self.estimator.classes_

    def predict(self, places: Array) -> Array:
        """Predict numbers; for each row and column, `places` has the number of the row that the cell comes from."""
        return self.estimator._predict_cells(self.estimator.preprocessor_.exchanged(self.cells, places))

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
        parameters = _from_json(state.settings["parameters"])
        if parameters.get("device") == "cuda" and not torch.cuda.is_available():
            parameters["device"] = "auto"
        loaded = estimator(**parameters)
        loaded._check_parameters()
        loaded._restore(state)
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, OverflowError, RuntimeError) as error:
        raise ModelFileError(
            f"The model must be as est.save() wrote it, got {str(path)!r}, whose parts do not fit together. "
            "Save it again."
        ) from error
    return loaded


def _check_cells(cells: Cells, shape: ModelShape) -> None:
    """Refuse cells that a model of this shape can't read.

    Raises:
        ValueError: They are too many, or of other columns.
    """
    n_rows = len(cells)
    levels = torch.tensor(shape.n_levels, dtype=torch.long)
    is_whole = (
        0 < n_rows <= N_BACKGROUND
        and cells.numeric.shape == (n_rows, shape.n_numeric + sum(shape.n_parts))
        and cells.codes.shape == (n_rows, len(shape.n_levels))
        and cells.numeric.dtype == torch.float32
        and cells.codes.dtype == torch.int64
        and bool(((cells.codes >= 0) & (cells.codes < levels)).all())
    )
    mask = cells.missing
    if not is_whole or not (mask is None or (mask.shape == (n_rows, shape.n_columns) and mask.dtype == torch.bool)):
        raise ValueError("the rows to compare with are of other columns")


def _as_json(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a constructor as JSON can hold them: a source of random numbers is left out."""
    held: dict[str, Any] = {}
    for name, value in parameters.items():
        if isinstance(value, Mapping):
            pairs = [[_as_number(key), _as_number(each)] for key, each in value.items()]
            held[name] = {"pairs": pairs}
        else:
            held[name] = None if isinstance(value, np.random.RandomState) else _as_number(value)
    return held


def _from_json(held: Mapping[str, Any]) -> dict[str, Any]:
    return {name: dict(value["pairs"]) if isinstance(value, Mapping) else value for name, value in held.items()}


def _as_number(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _class_weights(setting: ClassWeight, values: Array, weight: Array) -> Array:
    """Return what the weight of each row is multiplied by for the sake of its class."""
    if setting is None:
        return np.ones(len(values))
    if not (isinstance(setting, Mapping) or (isinstance(setting, str) and setting == "balanced")):
        raise ParameterError(f"class_weight must be None, 'balanced' or a weight for each class, got {setting!r}.")
    classes, codes = np.unique(values, return_inverse=True)
    try:
        weights = compute_class_weight(setting, classes=classes, y=values, sample_weight=weight).astype(np.float64)
    except (ValueError, TypeError) as error:
        raise ParameterError(
            f"class_weight must hold weights of the classes of y, got {setting!r}: {error}."
        ) from error
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise ParameterError(f"class_weight must hold finite weights of at least 0, got {setting!r}.")
    by_row: Array = weights[codes]
    return by_row


def _refuse_times(y: Any) -> None:
    if getattr(getattr(y, "dtype", None), "kind", "") in {"m", "M"}:
        raise TargetError(f"y must hold numbers or classes, got times ({y.dtype}). Turn them into seconds or strings.")


def _draw(weight: Tensor, n_drawn: int, generator: torch.Generator) -> Tensor:
    """Draw rows by their weights, none of them twice.

    Source: Efraimidis and Spirakis 2006 (weighted random sampling with a reservoir), algorithm A.
    """
    keys = torch.rand(len(weight), generator=generator, dtype=torch.float64).log() / weight
    return keys.topk(min(n_drawn, len(weight))).indices


def has_own_tokens(n_rows: int, n_columns: int) -> bool:
    """Choose whether every member gets column tokens of its own, or all members share theirs.

    Members with tokens of their own hold out different rows: all rows are learned from, and all rows judge. That is
    worth its price where rows are few. With shared tokens all members hold out the same rows, up to 2,048, which are
    enough to judge by where rows are many, and the tokens are computed once.

    Args:
        n_rows: Number of rows to fit.
        n_columns: Number of columns that vary.

    Returns:
        True up to 8,192 rows and 1,000 columns.
    """
    return n_rows <= MAX_OWN_TOKEN_ROWS and n_columns <= MAX_OWN_TOKEN_COLUMNS


def auto_batch_size(n_rows: int) -> int:
    """Choose the batch size: the largest power of two that leaves steps enough for an epoch to learn from.

    Up to 256 rows, 32 steps per epoch are enough; larger batches, which a GPU needs to be busy, must leave 512.

    Args:
        n_rows: Number of training rows.

    Returns:
        The batch size.

    Example:
        >>> [auto_batch_size(n) for n in (100, 3_000, 1_000_000)]
        [32, 64, 1024]
    """
    small = min(_power_of_two(n_rows / MIN_STEPS), MAX_SMALL_BATCH)
    large = min(_power_of_two(n_rows / MIN_LARGE_STEPS), MAX_LARGE_BATCH)
    return max(small, large, MIN_BATCH)


def _power_of_two(limit: float) -> int:
    """The largest power of two up to a limit, at least 1."""
    return 1 << int(math.log2(max(1.0, limit)))


def _require(name: str, value: Any, kind: type, requirement: str, holds: Callable[[Any], bool]) -> None:
    if isinstance(value, bool) or not isinstance(value, kind) or not holds(value):
        raise ParameterError(f"{name} must be {requirement}, got {value!r}.")
