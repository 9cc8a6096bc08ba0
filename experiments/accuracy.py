"""Test scores of this project's defaults against boosted trees and other networks, on real tables.

    pip install 'tabattn[peers,experiments]'
    python -m experiments.accuracy --data DIR                     # measures what is not measured yet
    python -m experiments.accuracy --data DIR --tables adult --models tabattn catboost --seeds 0 1
    python -m experiments.accuracy --data DIR --models tabattn --keep-fits fits     # those of experiments.agreement

One cell is one model on one table with one seed; each is kept in experiments/results/accuracy.csv as soon as it is
measured, and not measured again (with --stale it is, if the code has changed). Whatever was measured is summed up in
accuracy_summary.csv: mean rank over the tables on which every model was measured, and wins, ties and losses of this
project. A tie is a difference within one standard deviation over seeds, the larger of the two models'; the rows are the
same for all seeds, so it does not contain the chance of the test rows. TabM, RealMLP and FT-Transformer are measured on
eight tables of at most 20,000 training rows. With --keep-fits the models that `experiments.agreement` has kept are
taken (it fits the same rows where there are at most 20,000), and others are kept; the seconds of these are not known.
"""

import argparse
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, log_loss, r2_score, root_mean_squared_error

from experiments.agreement import MAX_ROWS, fitted
from experiments.contenders import CONTENDERS
from experiments.defaults import TABLES as DEFAULTS_TABLES
from experiments.result_file import ResultFile, add_result_arguments
from experiments.splits import SplitTable, split_table
from experiments.tables import add_data_argument, load_catalog

COMMAND = "python -m experiments.accuracy --data DIR"
KEYS = ("table", "model", "seed")
OURS = "tabattn"
NETWORKS = ("tabm", "realmlp", "rtdl_ft_transformer")
TREES = ("lightgbm", "xgboost", "catboost", "hist_gradient_boosting")
NETWORK_TABLES = (
    "heart_cleveland",
    "abalone",
    "steel_annealing",
    "concrete_strength",
    "german_credit",
    "titanic",
    "energy_efficiency",
    "steel_plates_faults",
)
SEEDS = (0, 1, 2)


def of_kept_fit(name: str, table: SplitTable, seed: int, fits: Path) -> Any:
    """Predict the test rows by a model that is kept, or is from now on."""
    estimator, X = fitted(table, name, seed, None, fits), table.problem.X.iloc[table.test]
    return estimator.predict(X) if table.problem.task == "regression" else estimator.predict_proba(X)


def measure(name: str, table: SplitTable, model: str, seed: int, fits: Path | None = None) -> dict[str, Any]:
    """Fit one model and score it on the test rows."""
    kept = fits if model == OURS and len(table.train) + len(table.validation) <= MAX_ROWS else None
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        predicted = CONTENDERS[model](table, seed) if kept is None else of_kept_fit(name, table, seed, kept)
    seconds = time.perf_counter() - start
    truth = table.problem.y.to_numpy()[table.test]
    if table.problem.task == "regression":
        metric, score, loss = "r2", r2_score(truth, predicted), root_mean_squared_error(truth, predicted)
    else:
        labels = np.arange(predicted.shape[1])
        metric, score = "accuracy", accuracy_score(truth, predicted.argmax(axis=1))
        loss = log_loss(truth, predicted, labels=labels)
    return {
        "table": name,
        "model": model,
        "seed": seed,
        "train_rows": len(table.train),
        "columns": table.problem.X.shape[1],
        "metric": metric,
        "score": round(score, 5),
        "rmse_or_log_loss": round(loss, 5),
        "seconds": round(seconds, 1) if kept is None else np.nan,
    }


def tables_of(model: str, tables: Sequence[str]) -> list[str]:
    """Return the tables that a model is measured on."""
    return [name for name in tables if model not in NETWORKS or name in NETWORK_TABLES]


def summarize(cells: pd.DataFrame) -> pd.DataFrame:
    """Return mean rank, and this project's wins, ties and losses against each model.

    Trees and this project are ranked among themselves on all their common tables, by score and by loss, and also on
    those on which the defaults were not chosen; `network_mean_rank` ranks all models on the tables that the networks
    were measured on too.
    """
    losses = cells.pivot_table(index="table", columns="model", values="rmse_or_log_loss")
    mean, std = (
        cells.pivot_table(index="table", columns="model", values="score", aggfunc=function)
        for function in ("mean", "std")
    )
    std = std.reindex_like(mean).fillna(0.0)
    main = [model for model in (OURS, *TREES) if model in mean]
    everyone = [model for model in CONTENDERS if model in mean]
    ranks = mean[main].dropna().rank(axis=1, ascending=False)
    unseen = ranks[~ranks.index.isin(DEFAULTS_TABLES)]
    loss_ranks = losses[main].dropna().rank(axis=1)
    all_ranks = mean[everyone].dropna().rank(axis=1, ascending=False)
    rows = []
    for model in everyone:
        both = mean.reindex(columns=[OURS, model]).dropna()
        difference = both.iloc[:, 0] - both.iloc[:, 1]
        margin = std.reindex(index=both.index, columns=[OURS, model]).max(axis=1)
        rows.append(
            {
                "model": model,
                "tables": len(both),
                "mean_rank": round(ranks[model].mean(), 2) if model in ranks else np.nan,
                "mean_rank_on_other_tables": round(unseen[model].mean(), 2) if model in ranks else np.nan,
                "mean_loss_rank": round(loss_ranks[model].mean(), 2) if model in ranks else np.nan,
                "ranked_tables": len(ranks) if model in ranks else 0,
                "network_mean_rank": round(all_ranks[model].mean(), 2) if len(all_ranks) else np.nan,
                "network_tables": len(all_ranks),
                "ours_wins": np.nan if model == OURS else int((difference > margin).sum()),
                "ties": np.nan if model == OURS else int((difference.abs() <= margin).sum()),
                "ours_losses": np.nan if model == OURS else int((difference < -margin).sum()),
            }
        )
    return pd.DataFrame(rows).sort_values("mean_rank", ignore_index=True)


def scores(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the mean score of every model on every table."""
    wide = cells.pivot_table(index=["table", "metric"], columns="model", values="score", sort=False).round(4)
    return wide[[model for model in CONTENDERS if model in wide]].reset_index()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is not measured yet, keep each cell at once, and sum up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_data_argument(parser)
    parser.add_argument("--tables", nargs="+", help="all tables of the catalog if not given")
    parser.add_argument("--models", nargs="+", default=list(CONTENDERS), choices=list(CONTENDERS))
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--keep-fits", type=Path, help="directory of fitted models")
    add_result_arguments(parser, "accuracy.csv")
    options = parser.parse_args(arguments)
    catalog = load_catalog(options.data)
    results = ResultFile(options.out, COMMAND, KEYS, options.stale)
    for name in options.tables or list(catalog):
        wanted = [
            (model, seed)
            for model in options.models
            for seed in options.seeds
            if name in tables_of(model, [name]) and not results.is_measured(name, model, seed)
        ]
        table = split_table(catalog[name]) if wanted else None
        for model, seed in wanted:
            assert table is not None, "there is something to measure"
            results.keep(measure(name, table, model, seed, options.keep_fits))
    cells = results.read()
    summary = summarize(cells)
    results.write_summary(summary)
    print(scores(cells).to_string(index=False), summary.to_string(index=False), sep="\n\n")


if __name__ == "__main__":
    main()
