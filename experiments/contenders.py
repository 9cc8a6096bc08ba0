"""What predicts in `experiments.accuracy`: this project's defaults, boosted trees, and two neural networks of others.

Every contender takes a split table and a seed and returns its prediction of the test rows: numbers, or one probability
per class. All have the defaults of their package; boosted trees get up to 2,000 trees (CatBoost its own 1,000, because
its learning rate depends on that number) and stop after 50 without a better validation loss.
"""

import copy
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from torch import Tensor, nn

from experiments.splits import SplitTable
from tabattn import TabAttnClassifier, TabAttnRegressor
from tabattn.encoding.preprocessing import Preprocessor
from tabattn.nn.losses import loss_of
from tabattn.nn.tokens import Cells
from tabattn.table.columns import Levels, Numbers
from tabattn.table.inference import infer_table
from tabattn.table.schema import TableSchema
from tabattn.training.data import ChosenRows, ShuffledBatches, TrainingRows

Array = np.ndarray[Any, np.dtype[Any]]
Contender = Callable[[SplitTable, int], Array]
MAX_TREES = 2_000
TREE_PATIENCE = 50
NEURAL_PATIENCE = 16
NEURAL_EPOCHS = 200


def tabattn(table: SplitTable, seed: int) -> Array:
    """This project's defaults on training and validation rows: it draws the rows to stop by itself.

    As large a fraction as the others validate on is held out, at most 2,048 rows; on small tables each member holds out
    others, so that its ensemble learns from all rows, which trees that stop by the validation rows do not.
    """
    rows = np.concatenate([table.train, table.validation])
    estimator = TabAttnRegressor if table.problem.task == "regression" else TabAttnClassifier
    model = estimator(random_state=seed, validation_fraction=len(table.validation) / len(rows))
    model.fit(table.problem.X.iloc[rows], table.problem.y.iloc[rows])
    X_test = table.problem.X.iloc[table.test]
    return model.predict(X_test) if table.problem.task == "regression" else model.predict_proba(X_test)


def lightgbm(table: SplitTable, seed: int) -> Array:
    """LightGBM."""
    import lightgbm

    model = lightgbm.LGBMRegressor if table.problem.task == "regression" else lightgbm.LGBMClassifier
    parts = tree_parts(table)
    stop = lightgbm.early_stopping(TREE_PATIENCE, verbose=False)
    fitted = model(n_estimators=MAX_TREES, random_state=seed, n_jobs=torch.get_num_threads(), verbose=-1).fit(
        parts.X_train, parts.y_train, eval_set=[(parts.X_validation, parts.y_validation)], callbacks=[stop]
    )
    return _predict(fitted, parts)


def xgboost(table: SplitTable, seed: int) -> Array:
    """XGBoost."""
    import xgboost

    model = xgboost.XGBRegressor if table.problem.task == "regression" else xgboost.XGBClassifier
    parts = tree_parts(table)
    fitted = model(
        n_estimators=MAX_TREES,
        early_stopping_rounds=TREE_PATIENCE,
        enable_categorical=True,
        random_state=seed,
        n_jobs=torch.get_num_threads(),
    ).fit(parts.X_train, parts.y_train, eval_set=[(parts.X_validation, parts.y_validation)], verbose=False)
    return _predict(fitted, parts)


def catboost(table: SplitTable, seed: int) -> Array:
    """CatBoost."""
    import catboost

    model = catboost.CatBoostRegressor if table.problem.task == "regression" else catboost.CatBoostClassifier
    parts = tree_parts(table)
    categorical = [name for name, dtype in parts.X_train.dtypes.items() if isinstance(dtype, pd.CategoricalDtype)]
    parts = parts.map(lambda X: X.assign(**{name: X[name].astype(object).fillna("nan") for name in categorical}))
    fitted = model(
        random_seed=seed,
        thread_count=torch.get_num_threads(),
        early_stopping_rounds=TREE_PATIENCE,
        cat_features=categorical,
        allow_writing_files=False,
        verbose=False,
    ).fit(parts.X_train, parts.y_train, eval_set=(parts.X_validation, parts.y_validation))
    return _predict(fitted, parts)


def hist_gradient_boosting(table: SplitTable, seed: int) -> Array:
    """scikit-learn's histogram gradient boosting, cut at its best iteration like the others (by itself it is not)."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    is_regression = table.problem.task == "regression"
    model = HistGradientBoostingRegressor if is_regression else HistGradientBoostingClassifier
    parts = tree_parts(table)
    fitted = model(max_iter=MAX_TREES, early_stopping=True, n_iter_no_change=TREE_PATIENCE, random_state=seed).fit(
        parts.X_train, parts.y_train, X_val=parts.X_validation, y_val=parts.y_validation
    )
    best = int(fitted.validation_score_.argmax())  # the first score is that of no trees
    stages = fitted.staged_predict(parts.X_test) if is_regression else fitted.staged_predict_proba(parts.X_test)
    return np.asarray(next(itertools.islice(stages, max(best - 1, 0), None)))


def tabm(table: SplitTable, seed: int) -> Array:
    """TabM with piecewise-linear embeddings, as its authors advise."""
    import rtdl_num_embeddings
    import tabm

    def build(schema: TableSchema, cells: Cells, n_outputs: int) -> tuple[nn.Module, torch.optim.Optimizer]:
        embeddings = None
        if cells.numeric.shape[1]:
            embeddings = rtdl_num_embeddings.PiecewiseLinearEmbeddings(
                rtdl_num_embeddings.compute_bins(cells.numeric, n_bins=min(48, len(cells) - 1)),
                d_embedding=16,
                activation=False,
                version="B",
            )
        model = tabm.TabM.make(
            n_num_features=cells.numeric.shape[1],
            cat_cardinalities=_cardinalities(schema),
            d_out=n_outputs,
            num_embeddings=embeddings,
        )
        return model, torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=3e-4)

    return _predict_test(_fit_network(table, seed, build), table)


def realmlp(table: SplitTable, seed: int) -> Array:
    """RealMLP with its tuned defaults (RealMLP-TD), missing numbers replaced by the median beside an indicator."""
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor
    from sklearn.impute import SimpleImputer

    parts = tree_parts(table)
    numbers = list(parts.X_train.select_dtypes("number"))
    levels = [name for name in parts.X_train if name not in numbers]

    def filled(X: pd.DataFrame) -> pd.DataFrame:
        texts = X[levels].astype(object).fillna("nan")
        return X[levels].assign(**{name: texts[name].astype("category") for name in levels})

    imputer = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    imputer.set_output(transform="pandas").fit(parts.X_train[numbers]) if numbers else None
    parts = parts.map(lambda X: pd.concat([*([imputer.transform(X[numbers])] if numbers else []), filled(X)], axis=1))
    model = RealMLP_TD_Regressor if table.problem.task == "regression" else RealMLP_TD_Classifier
    fitted = model(random_state=seed, n_threads=torch.get_num_threads(), device="cpu").fit(
        parts.X_train, parts.y_train, parts.X_validation, parts.y_validation, cat_col_names=levels
    )
    return _predict(fitted, parts)


def rtdl_ft_transformer(table: SplitTable, seed: int) -> Array:
    """FT-Transformer of rtdl_revisiting_models with its default sizes and its default optimizer."""
    return _predict_test(fit_ft_transformer(table, seed), table)


def fit_ft_transformer(table: SplitTable, seed: int, max_epochs: int = NEURAL_EPOCHS) -> "FittedNetwork":
    """The same, fitted, for more than predictions."""
    from rtdl_revisiting_models import FTTransformer

    def build(schema: TableSchema, cells: Cells, n_outputs: int) -> tuple[nn.Module, torch.optim.Optimizer]:
        model = FTTransformer(
            n_cont_features=cells.numeric.shape[1],
            cat_cardinalities=_cardinalities(schema),
            d_out=n_outputs,
            **FTTransformer.get_default_kwargs(),
        )
        return model, model.make_default_optimizer()

    return _fit_network(table, seed, build, max_epochs)


CONTENDERS: Mapping[str, Contender] = {
    "tabattn": tabattn,
    "lightgbm": lightgbm,
    "xgboost": xgboost,
    "catboost": catboost,
    "hist_gradient_boosting": hist_gradient_boosting,
    "tabm": tabm,
    "realmlp": realmlp,
    "rtdl_ft_transformer": rtdl_ft_transformer,
}


class TreeParts:
    """A split table as boosted trees take it: numbers as they are, categories as pandas categories."""

    def __init__(self, X_train: Any, y_train: Any, X_validation: Any, y_validation: Any, X_test: Any) -> None:
        self.X_train, self.y_train = X_train, y_train
        self.X_validation, self.y_validation = X_validation, y_validation
        self.X_test = X_test

    def map(self, change: Callable[[pd.DataFrame], pd.DataFrame]) -> "TreeParts":
        """Return the parts with changed features."""
        return TreeParts(
            change(self.X_train), self.y_train, change(self.X_validation), self.y_validation, change(self.X_test)
        )


def tree_parts(table: SplitTable) -> TreeParts:
    """Return the parts of a table, with the levels that training rows have as categories."""
    X, y = table.problem.X, table.problem.y.to_numpy()
    schema = infer_table(X.iloc[table.train]).schema
    typed = schema.read(X)
    columns: dict[str, Any] = {}
    for i in schema.token_positions:
        cells = typed.cells[i]
        if isinstance(cells, Numbers):
            columns[f"x{i}"] = cells.values  # noqa: PD011  # no pandas
        elif isinstance(cells, Levels):
            seen = sorted({cells.names[j] for j in set(cells.positions[table.train]) if j >= 0})
            names = np.array([*cells.names, None], dtype=object)
            columns[f"x{i}"] = pd.Categorical(names[cells.positions], categories=seen)
    frame = pd.DataFrame(columns)
    train, validation, test = table.train, table.validation, table.test
    return TreeParts(frame.iloc[train], y[train], frame.iloc[validation], y[validation], frame.iloc[test])


def _predict(fitted: Any, parts: TreeParts) -> Array:
    return np.asarray(
        fitted.predict_proba(parts.X_test) if hasattr(fitted, "predict_proba") else fitted.predict(parts.X_test)
    )


def _cardinalities(schema: TableSchema) -> list[int]:
    return [schema.columns[i].n_codes for i in schema.code_positions]


@dataclass(frozen=True, eq=False)
class FittedNetwork(BaseEstimator):
    """Another package's network, with what it takes to predict rows of a table.

    Args:
        network: The network.
        preprocessor: What turns rows into cells.
        indicated: Which numeric columns have an indicator of missing cells.
        mean: Mean of a numeric target, 0 for classes.
        scale: Its standard deviation, 1 for classes.
        classes_: Class codes; None for a numeric target.
    """

    network: nn.Module
    preprocessor: Preprocessor
    indicated: Tensor
    mean: float
    scale: float
    classes_: Array | None

    def __sklearn_tags__(self) -> Tags:
        """Tell scikit-learn what is predicted."""
        tags = super().__sklearn_tags__()
        tags.estimator_type = "regressor" if self.classes_ is None else "classifier"
        return tags

    def fit(self, X: Any, y: Any) -> "FittedNetwork":  # noqa: ARG002 - scikit-learn asks for the method
        """Do nothing: the network is fitted."""
        return self

    def cells(self, X: pd.DataFrame) -> Cells:
        """Return rows as the network takes them."""
        raw = self.preprocessor.raw(self.preprocessor.schema.read(X))
        return _with_indicators(self.preprocessor.transform(raw), self.indicated)

    def predict(self, X: pd.DataFrame) -> Array:
        """Predict numbers, or the most probable class."""
        if self.classes_ is not None:
            return np.asarray(self.predict_proba(X).argmax(axis=1))
        averaged = _predict_network(self.network, self.cells(X)).mean(dim=1)
        return np.asarray(averaged.double().numpy()[:, 0] * self.scale + self.mean)

    def predict_proba(self, X: pd.DataFrame) -> Array:
        """Predict class probabilities."""
        averaged = loss_of("classes").average(_predict_network(self.network, self.cells(X)).double())
        return np.asarray(averaged.numpy())


def _predict_test(fitted: FittedNetwork, table: SplitTable) -> Array:
    X_test = table.problem.X.iloc[table.test]
    return fitted.predict(X_test) if table.problem.task == "regression" else fitted.predict_proba(X_test)


def network_batch_size(n_rows: int) -> int:
    """Return the batch size of other packages' networks: a 32nd of the rows, a power of two from 32 to 256."""
    return int(2 ** np.clip(np.floor(np.log2(max(n_rows, 1) / 32)), 5, 8))


def _fit_network(
    table: SplitTable,
    seed: int,
    build: Callable[[TableSchema, Cells, int], tuple[nn.Module, torch.optim.Optimizer]],
    max_epochs: int = NEURAL_EPOCHS,
) -> FittedNetwork:
    """Train another package's network on this project's cells, in batches of this project's sizes.

    Missing numbers are 0 and have an indicator beside the numeric columns; missing levels have the code 0.
    """
    X, y = table.problem.X, table.problem.y.to_numpy()
    is_regression = table.problem.task == "regression"
    preprocessor, _ = Preprocessor.learned(infer_table(X.iloc[table.train]))
    schema = preprocessor.schema
    cells = preprocessor.transform(preprocessor.raw(schema.read(X)))
    n_numeric = cells.numeric.shape[1]
    no_cell_missing = torch.zeros(n_numeric, dtype=torch.bool)
    indicated = no_cell_missing if cells.missing is None else cells.missing[:, :n_numeric].any(dim=0)
    cells = _with_indicators(cells, indicated)
    mean, scale = (float(y[table.train].mean()), float(y[table.train].std())) if is_regression else (0.0, 1.0)
    target = torch.as_tensor((y - mean) / scale, dtype=torch.float32)[:, None] if is_regression else torch.tensor(y)
    loss_function = loss_of("squared" if is_regression else "classes")
    n_outputs = 1 if is_regression else int(y.max()) + 1
    rows, learned = TrainingRows.numbered(cells, target, torch.ones(len(y))), torch.as_tensor(table.train)
    train, validation = rows.take(learned), rows.take(torch.as_tensor(table.validation))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model, optimizer = build(schema, train.cells, n_outputs)
        best_loss, best_weights, n_worse = float("inf"), copy.deepcopy(model.state_dict()), 0
        batches = ShuffledBatches(rows, ChosenRows.all_of(learned), network_batch_size(len(learned)), seed)
        for _ in range(max_epochs):
            for batch in batches:
                optimizer.zero_grad()
                loss_function.of_members(_forward(model, batch.cells), batch.target).mean().backward()
                optimizer.step()
            predicted = _predict_network(model, validation.cells)
            loss = float(loss_function.of_average(loss_function.average(predicted), validation.target).mean())
            n_worse = 0 if loss < best_loss else n_worse + 1
            if n_worse == 0:
                best_loss, best_weights = loss, copy.deepcopy(model.state_dict())
            if n_worse >= NEURAL_PATIENCE:
                break
        model.load_state_dict(best_weights)
    classes = None if is_regression else np.arange(n_outputs)
    return FittedNetwork(model, preprocessor, indicated, mean, scale, classes)


def _with_indicators(cells: Cells, indicated: Tensor) -> Cells:
    if not indicated.any():
        return cells
    n_rows, n_numeric = cells.numeric.shape
    missing = torch.zeros(n_rows, n_numeric) if cells.missing is None else cells.missing[:, :n_numeric].float()
    return Cells(torch.cat([cells.numeric, missing[:, indicated]], dim=1), cells.codes, cells.missing)


def _forward(model: nn.Module, cells: Cells) -> Tensor:
    """Return predictions with an axis of members, which FT-Transformer has not."""
    numeric = cells.numeric if cells.numeric.shape[1] else None
    codes = cells.codes if cells.codes.shape[1] else None
    prediction: Tensor = model(numeric, codes)
    return prediction if prediction.ndim == 3 else prediction[:, None]


def _predict_network(model: nn.Module, cells: Cells) -> Tensor:
    model.eval()
    with torch.inference_mode():
        parts = [_forward(model, cells.take(slice(i, i + 1024))) for i in range(0, len(cells), 1024)]
    model.train()
    return torch.cat(parts)
