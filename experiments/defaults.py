"""How the defaults were chosen: one change at a time, on rows that are neither fitted nor test rows.

    python -m experiments.defaults --data DIR --variants "16 members" "no average of weights" --seeds 0

Of every table at most 8,000 of its training rows are fitted (a fifth of them decide when to stop), and a variant is
scored on its validation rows: squared error or log loss, relative to that of a constant. The test rows are never looked
at. Each cell is kept in experiments/results/defaults.csv and measured once; defaults_summary.csv has the mean change of
the logarithm of the loss, and how many tables got better or worse by more than half a percent.
"""

import argparse
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss, mean_squared_error

from experiments.result_file import ResultFile, add_result_arguments, with_sizes
from experiments.splits import SplitTable, split_table
from experiments.tables import add_data_argument, load_catalog
from tabattn import TabAttnClassifier, TabAttnRegressor

MAX_ROWS = 8_000
NOTICEABLE = 0.005
DEFAULT = "default"
COMMAND = "python -m experiments.defaults --data DIR"
KEYS = ("variant", "table", "seed")
TABLES = (
    "california_housing",
    "adult",
    "covertype_sample_cat",
    "house_16h",
    "bank32nh",
    "wine_quality",
    "abalone",
    "german_credit",
    "house_prices_kaggle",
    "splice",
    "concrete_strength",
    "steel_plates_faults",
)


@dataclass(frozen=True)
class Variant:
    """What differs from the defaults: arguments of the estimator, and constants of modules by their dotted names."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)


VARIANTS: Mapping[str, Variant] = {
    DEFAULT: Variant(),
    "1 member": Variant({"n_members": 1}),
    "16 members": Variant({"n_members": 16}),
    "1 head": Variant({"n_heads": 1}),
    "4 heads": Variant({"n_heads": 4}),
    "2 layers": Variant({"n_layers": 2}),
    "4 layers": Variant({"n_layers": 4}),
    "tokens of 32": Variant({"d_token": 32}),
    "tokens of 128": Variant({"d_token": 128}),
    "feed-forward width 4": Variant(constants={"tabattn.nn.encoder.FFN_WIDTH": 4.0}),
    "learning rate 1e-3": Variant({"learning_rate": 1e-3}),
    "learning rate 4e-3": Variant({"learning_rate": 4e-3}),
    "weight decay 1e-2": Variant({"weight_decay": 1e-2}),
    "no attention dropout": Variant({"attention_dropout": 0.0}),
    "attention dropout 0.2": Variant({"attention_dropout": 0.2}),
    "no feed-forward dropout": Variant({"ffn_dropout": 0.0}),
    "feed-forward dropout 0.2": Variant({"ffn_dropout": 0.2}),
    "patience 32": Variant({"patience": 32, "max_epochs": 200}),
    "no average of weights": Variant(constants={"tabattn.fitted.fit.AVERAGE_DECAY": 0.0}),
    "average decay 0.99": Variant(constants={"tabattn.fitted.fit.AVERAGE_DECAY": 0.99}),
    "at least 10 epochs of patience": Variant(constants={"tabattn.fitted.fit.MIN_PATIENCE": 10}),
    "32 frequencies": Variant(constants={"tabattn.nn.tokens.N_FREQUENCIES": 32}),
    "frequency scale 0.03": Variant(constants={"tabattn.nn.tokens.FREQUENCY_SCALE": 0.03}),
    "frequency scale 0.3": Variant(constants={"tabattn.nn.tokens.FREQUENCY_SCALE": 0.3}),
    "8 bins": Variant(constants={"tabattn.nn.tokens.N_BINS": 8}),
    "32 bins": Variant(constants={"tabattn.nn.tokens.N_BINS": 32}),
    "32 steps per epoch": Variant(constants={"tabattn.training.sizes.MIN_STEPS": 32}),
}


def measure(name: str, table: SplitTable, variant: str, seed: int, max_epochs: int | None) -> dict[str, Any]:
    """Fit one variant and score it on the validation rows."""
    X, y = table.problem.X, table.problem.y.to_numpy()
    fitted = np.random.default_rng(0).permutation(table.train)[:MAX_ROWS]
    validation = table.validation
    is_regression = table.problem.task == "regression"
    if not is_regression:
        validation = validation[np.isin(y[validation], y[fitted])]
    changes = VARIANTS[variant]
    limits = {} if max_epochs is None else {"max_epochs": max_epochs}
    start = time.perf_counter()
    with ExitStack() as stack:
        for constant, value in changes.constants.items():
            stack.enter_context(mock.patch(constant, value))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        estimator = TabAttnRegressor if is_regression else TabAttnClassifier
        model = estimator(random_state=seed, device="cpu", **(dict(changes.parameters) | limits))
        model.fit(X.iloc[fitted], y[fitted])
        seconds = time.perf_counter() - start
        X_validation = X.iloc[validation]
        predicted = model.predict(X_validation) if is_regression else model.predict_proba(X_validation)
    if is_regression:
        loss = mean_squared_error(y[validation], predicted)
        constant_loss = mean_squared_error(y[validation], np.full(len(validation), y[fitted].mean()))
    else:
        frequencies = np.array([(y[fitted] == value).mean() for value in model.classes_])
        loss = log_loss(y[validation], predicted, labels=model.classes_)
        constant_loss = log_loss(y[validation], np.tile(frequencies, (len(validation), 1)), labels=model.classes_)
    return {
        "variant": variant,
        "table": name,
        "seed": seed,
        "relative_loss": round(loss / constant_loss, 5),
        "epochs": model.n_iter_,
        "seconds": round(seconds, 1),
    }


def summarize(cells: pd.DataFrame) -> pd.DataFrame:
    """Compare every variant with the defaults, table by table."""
    keys = ["table", "seed"]
    default = cells[cells["variant"] == DEFAULT]
    rows = []
    for variant, part in cells.groupby("variant", sort=False):
        both = part.merge(default, on=keys, suffixes=("", "_default")).set_index("table")
        ratio: pd.Series[float] = both["relative_loss"] / both["relative_loss_default"]
        change = ratio.map(np.log).groupby("table").mean()
        rows.append(
            {
                "variant": variant,
                "tables": len(change),
                "fits": len(both),
                "loss_change_percent": round(100 * change.mean(), 2),
                "median_percent": round(100 * change.median(), 2),
                "better": int((change < -NOTICEABLE).sum()),
                "worse": int((change > NOTICEABLE).sum()),
                "time_ratio": round(both["seconds"].sum() / both["seconds_default"].sum(), 2),
            }
        )
    return pd.DataFrame(rows).sort_values("loss_change_percent", ignore_index=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is not measured yet, keep each cell at once, and sum up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_data_argument(parser)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--tables", nargs="+", default=TABLES)
    parser.add_argument("--seeds", nargs="+", type=int, default=(0, 1))
    parser.add_argument("--max-epochs", type=int, help="epochs of every fit at most; as the variant says if not given")
    add_result_arguments(parser, "defaults.csv")
    options = parser.parse_args(arguments)
    catalog = load_catalog(options.data)
    results = ResultFile(options.out, with_sizes(COMMAND, parser, options, ["max_epochs"]), KEYS, options.stale)
    for seed in options.seeds:
        for variant in dict.fromkeys([DEFAULT, *options.variants]):
            for name in options.tables:
                if not results.is_measured(variant, name, seed):
                    results.keep(measure(name, split_table(catalog[name]), variant, seed, options.max_epochs))
    summary = summarize(results.read())
    results.write_summary(summary)
    print(summary.to_string(index=False))


if __name__ == "__main__":
    main()
