"""Does a table with many missing values rank as well as a full one?

    python -m experiments.holes --data DIR      # measures what is not measured yet, half an hour

Cells of full tables are taken out at random, the same fraction of every column, in the rows that are fitted and in
those that are read; two tables that came with missing values are measured as they are. At most 1,000 rows are fitted
and 500 read, at most 40 epochs. Kept per cell in results/holes.csv: R^2 or accuracy on the rows read, the Spearman
correlation of the default score with permutation importance of the same model (5 repeats), and how far each of the two
rankings is that of the full table with the same seed (Spearman). holes_summary.csv has means over tables and seeds.
"""

import argparse
import itertools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from experiments.result_file import ResultFile, add_result_arguments, with_sizes
from experiments.splits import SplitTable, split_table
from experiments.tables import add_data_argument, load_catalog
from tabattn import TabAttnClassifier, TabAttnRegressor

COMMAND = "python -m experiments.holes --data DIR"
KEYS = ("table", "holes", "seed")
FULL_TABLES = (
    "concrete_strength",
    "energy_efficiency",
    "abalone",
    "wine_quality",
    "steel_plates_faults",
    "heart_cleveland",
)
INCOMPLETE_TABLES = ("secom_207", "steel_annealing")
FRACTIONS = (0.0, 0.3, 0.6)
SIZES = ("max_epochs", "repeats")
MAX_FITTED, MAX_READ = 1_000, 500


@dataclass(frozen=True)
class Sizes:
    """Epochs of every fit at most, and shuffles per column for permutation importance."""

    max_epochs: int
    repeats: int


def with_missing(X: pd.DataFrame, fraction: float, seed: int) -> pd.DataFrame:
    """Take a fraction of the cells out, at random."""
    is_missing = np.random.default_rng(seed).random(X.shape) < fraction
    return X.astype(object).mask(is_missing, None).infer_objects() if fraction else X


def scores(table: SplitTable, fraction: float, seed: int, sizes: Sizes) -> dict[str, Any]:
    """Fit a table with missing values, and return its score and both rankings."""
    draw = np.random.default_rng(0)
    train = draw.permutation(np.concatenate([table.train, table.validation]))[:MAX_FITTED]
    test = draw.permutation(table.test)[:MAX_READ]
    X, y = with_missing(table.problem.X, fraction, seed), table.problem.y
    model = TabAttnRegressor if table.problem.task == "regression" else TabAttnClassifier
    est = model(max_epochs=sizes.max_epochs, random_state=seed).fit(X.iloc[train], y.iloc[train])
    test = test[np.isin(y.iloc[test], y.iloc[train])] if table.problem.task == "classification" else test
    X_test, y_test = X.iloc[test], y.iloc[test]
    ranked = est.importance_table(X_test, y_test).set_index("feature")["importance"]
    return {
        "score": round(float(est.score(X_test, y_test)), 4),
        "missing": round(float(X_test.isna().to_numpy().mean()), 3),
        "attention": ranked.reindex([str(name) for name in X.columns]).to_numpy(),
        "permutation": est.permutation_scores(X_test, y_test, n_repeats=sizes.repeats).mean,
    }


def correlation(left: Any, right: Any) -> float:
    """Spearman's, to four digits."""
    return round(float(spearmanr(left, right).statistic), 4)


def measure(
    name: str,
    table: SplitTable,
    fraction: float,
    seed: int,
    sizes: Sizes,
    known: dict[tuple[str, int], dict[str, Any]],
) -> dict[str, Any]:
    """Measure a table with missing values beside itself without, whose scores may be known."""
    if (name, seed) not in known:
        known[name, seed] = scores(table, 0.0, seed, sizes)
    full = known[name, seed] if fraction else None
    found = scores(table, fraction, seed, sizes) if fraction else known[name, seed]
    return {
        "table": name,
        "holes": fraction,
        "seed": seed,
        "missing": found["missing"],
        "score": found["score"],
        "agreement": correlation(found["attention"], found["permutation"]),
        **{
            f"{ranking}_as_full": correlation(found[ranking], full[ranking]) if full else ""
            for ranking in ("attention", "permutation")
        },
    }


def summarize(cells: pd.DataFrame, incomplete: Sequence[str]) -> pd.DataFrame:
    """Return means over seeds and over full tables."""
    tables = np.where(cells["table"].isin(incomplete), cells["table"], "full tables")
    measures = ["missing", "score", "agreement", "attention_as_full", "permutation_as_full"]
    return cells.assign(tables=tables).groupby(["tables", "holes"])[measures].mean().round(3).reset_index()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is not measured yet, and sum up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_data_argument(parser)
    parser.add_argument("--tables", nargs="+", default=FULL_TABLES, help="full tables, whose cells are taken out")
    parser.add_argument("--incomplete-tables", nargs="*", default=INCOMPLETE_TABLES, help="tables measured as they are")
    parser.add_argument("--fractions", nargs="+", type=float, default=FRACTIONS, help="how many cells are taken out")
    parser.add_argument("--seeds", nargs="+", type=int, default=(0, 1))
    parser.add_argument("--max-epochs", type=int, default=40, help="epochs of every fit at most")
    parser.add_argument("--repeats", type=int, default=5, help="shuffles per column for permutation importance")
    add_result_arguments(parser, "holes.csv")
    options = parser.parse_args(arguments)
    catalog = load_catalog(options.data)
    results = ResultFile(options.out, with_sizes(COMMAND, parser, options, SIZES), KEYS, options.stale)
    cells = [
        *itertools.product(options.fractions, options.seeds, options.tables),
        *itertools.product((0.0,), options.seeds, options.incomplete_tables),
    ]
    known: dict[tuple[str, int], dict[str, Any]] = {}
    for fraction, seed, name in cells:
        if not results.is_measured(name, fraction, seed):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                sizes = Sizes(options.max_epochs, options.repeats)
                results.keep(measure(name, split_table(catalog[name]), fraction, seed, sizes, known))
    summary = summarize(results.read(), options.incomplete_tables)
    results.write_summary(summary)
    print(summary.to_string(index=False))


if __name__ == "__main__":
    main()
