"""Six kinds of transformer over columns, with and without pretraining, also where only a tenth of the target is known.

    python -m experiments.kinds --data DIR                 # measures what is not measured yet
    python -m experiments.kinds --data DIR --tables titanic --seeds 0

At most 1,000 rows are fitted and 500 read, both drawn once per table; at most 40 epochs, early stopping on a fifth of
the rows fitted. With a tenth of the target known, the others are the rows without a target of pretraining. Kept per
cell in results/kinds.csv as soon as it is measured: R^2 or accuracy on the rows read, the Spearman correlation of the
default score with permutation importance of the same model (3 repeats), seconds of fitting, and the scores.
kinds_summary.csv and kinds.png have means over tables and seeds; stability is the Spearman correlation of the scores of
two seeds.
"""

import argparse
import itertools
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from experiments.result_file import ResultFile, add_result_arguments, with_sizes
from experiments.splits import SplitTable, split_table
from experiments.tables import add_data_argument, load_catalog
from tabattn import TabAttnClassifier, TabAttnRegressor
from tabattn.parameters import ENCODERS

COMMAND = "python -m experiments.kinds --data DIR"
KEYS = ("table", "encoder", "pretrain", "known", "seed")
TABLES = (
    "heart_cleveland",
    "energy_efficiency",
    "concrete_strength",
    "titanic",
    "german_credit",
    "abalone",
    "wine_quality",
    "steel_plates_faults",
)
SIZES = ("max_epochs", "pretrain_epochs", "repeats")
MAX_FITTED, MAX_READ = 1_000, 500
MEASURES = ("score", "agreement", "seconds")


def measure(table: SplitTable, settings: Mapping[str, Any], known: float, repeats: int) -> dict[str, Any]:
    """Fit one model, a fraction of whose targets is known, and read it."""
    draw = np.random.default_rng(0)
    train = draw.permutation(np.concatenate([table.train, table.validation]))[:MAX_FITTED]
    test = draw.permutation(table.test)[:MAX_READ]
    X, y = table.problem.X, table.problem.y
    n_known = max(20, round(known * len(train)))
    labelled, others = train[:n_known], train[n_known:]
    est = (TabAttnRegressor if table.problem.task == "regression" else TabAttnClassifier)(**settings)
    is_used = settings["pretrain"] == "auto" and len(others) > 0
    start = time.perf_counter()
    est.fit(X.iloc[labelled], y.iloc[labelled], unlabelled=X.iloc[others] if is_used else None)
    seconds = time.perf_counter() - start
    is_known = np.isin(y.iloc[test], y.iloc[labelled]) if table.problem.task == "classification" else np.ones(len(test))
    test = test[is_known.astype(bool)]
    X_test, y_test = X.iloc[test], y.iloc[test]
    importance = est.importance_table(X_test, y_test).set_index("feature")["importance"][list(est.schema_.names)]
    permutation = est.permutation_scores(X_test, y_test, n_repeats=repeats).mean
    return {
        "score": round(float(est.score(X_test, y_test)), 4),
        "agreement": round(float(spearmanr(importance, permutation).statistic), 4),
        "seconds": round(seconds, 1),
        "scores": ";".join(f"{value:.5f}" for value in importance),
    }


def summarize(cells: pd.DataFrame) -> pd.DataFrame:
    """Average over tables and seeds; only tables that all kinds have been measured on."""
    setting = ["encoder", "pretrain", "known"]
    n_settings = cells.groupby("table")[setting].apply(lambda rows: len(rows.drop_duplicates()))
    cells = cells[cells["table"].isin(n_settings.index[n_settings == n_settings.max()])]
    summary = cells.groupby([*setting, "table"])[list(MEASURES)].mean().groupby(setting).mean()
    seeds = cells.assign(scores=cells["scores"].map(lambda each: np.array(each.split(";"), dtype=float)))
    stability = {}
    for key, rows in seeds.groupby([*setting, "table"]):
        pairs = itertools.combinations(rows["scores"], 2)
        stability[key] = np.mean([spearmanr(*pair).statistic for pair in pairs]) if len(rows) > 1 else np.nan
    by_table = pd.Series(stability).rename_axis([*setting, "table"])
    summary["stability"] = by_table.groupby(setting).mean()
    summary["n_tables"] = cells.groupby(setting)["table"].nunique()
    order = {name: i for i, name in enumerate(ENCODERS)}
    return summary.reset_index().sort_values(
        ["known", "encoder", "pretrain"], key=lambda column: column.map(order) if column.name == "encoder" else column
    )


def plot(summary: pd.DataFrame, path: Path) -> None:
    """Draw mean scores and agreement, kinds side by side."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    for axes, measure_name in zip(figure.subplots(1, 2), ("score", "agreement"), strict=True):
        styles = {(1.0, "none"): "o", (1.0, "auto"): "o", (0.1, "none"): "s", (0.1, "auto"): "s"}
        for (known, pretrain), marker in styles.items():
            rows = summary[(summary["known"] == known) & (summary["pretrain"] == pretrain)].set_index("encoder")
            values = rows[measure_name].reindex(ENCODERS)
            label = f"{known:.0%} of the target known, " + ("pretrained" if pretrain == "auto" else "not pretrained")
            face = "none" if pretrain == "none" else None
            axes.plot(range(len(ENCODERS)), values, marker, markerfacecolor=face, label=label, markersize=8)
        axes.set_xticks(range(len(ENCODERS)), ENCODERS)
        axes.grid(visible=True, axis="y", alpha=0.3)
        title = {"score": "R² or accuracy on rows not fitted", "agreement": "Spearman with permutation importance"}
        axes.set_title(title[measure_name])
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.savefig(path, dpi=120)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is not measured yet, and sum up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_data_argument(parser)
    parser.add_argument("--tables", nargs="+", default=TABLES)
    parser.add_argument("--seeds", nargs="+", type=int, default=(0, 1))
    parser.add_argument("--encoders", nargs="+", default=ENCODERS, choices=ENCODERS)
    parser.add_argument("--max-epochs", type=int, default=40, help="epochs of every fit at most")
    parser.add_argument("--pretrain-epochs", type=int, default="auto", help="epochs of pretraining; auto if not given")
    parser.add_argument("--repeats", type=int, default=3, help="shuffles per column for permutation importance")
    add_result_arguments(parser, "kinds.csv")
    options = parser.parse_args(arguments)
    catalog = load_catalog(options.data)
    results = ResultFile(options.out, with_sizes(COMMAND, parser, options, SIZES), KEYS, options.stale)
    for seed, name in itertools.product(options.seeds, options.tables):
        table = split_table(catalog[name])
        for known, pretrain, encoder in itertools.product((1.0, 0.1), ("none", "auto"), options.encoders):
            key = (name, encoder, pretrain, known, seed)
            if results.is_measured(*key):
                continue
            settings = {
                "encoder": encoder,
                "pretrain": pretrain,
                "max_epochs": options.max_epochs,
                "pretrain_epochs": options.pretrain_epochs,
                "random_state": seed,
            }
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                cell = measure(table, settings, known, options.repeats)
            results.keep(dict(zip(KEYS, key, strict=True)) | cell)
    summary = summarize(results.read()).round(3)
    results.write_summary(summary)
    print(summary.to_string(index=False))
    plot(summary, results.beside(".png"))


if __name__ == "__main__":
    main()
