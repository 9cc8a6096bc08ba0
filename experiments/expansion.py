"""How far expanded swaps of wide tables are from swaps in full, and how much faster.

    python -m experiments.expansion --data DIR
    python -m experiments.expansion --data DIR --tables madelon

Each table is fitted with the defaults on its training rows; then every column is swapped once on its test rows, in both
ways. Kept in results/expansion.csv: the share of columns that were expanded, CPU seconds of both ways, and for the
decreases of the score the largest and the median difference, divided by their standard deviation over columns, beside
the Spearman correlation of the two.
"""

import argparse
import time
from collections.abc import Sequence
from unittest.mock import patch

import numpy as np
from scipy.stats import spearmanr

from experiments.result_file import ResultFile, add_result_arguments
from experiments.splits import split_table
from experiments.tables import MeasuredTable, add_data_argument, load_catalog
from tabattn import TabAttnClassifier, TabAttnRegressor
from tabattn.importance import swapping
from tabattn.importance.units import units_of

COMMAND = "python -m experiments.expansion --data DIR"
TABLES = ("madelon", "leukemia_golub")


def measure(table: MeasuredTable) -> dict[str, float]:
    """Fit a table and swap its columns in both ways."""
    split = split_table(table)
    X, y = split.problem.X, split.problem.y
    rows = np.sort(np.concatenate([split.train, split.validation]))
    estimator = TabAttnClassifier if split.problem.task == "classification" else TabAttnRegressor
    fitted = estimator(random_state=0).fit(X.iloc[rows], y.iloc[rows])
    test, units = fitted.read(X.iloc[split.test], y.iloc[split.test]), units_of(fitted.schema_)
    in_full, counted = swapping.swapped_in_full, 0

    def counting(*arguments: object) -> object:
        nonlocal counted
        counted += len(arguments[3])  # type: ignore[arg-type]
        return in_full(*arguments)  # type: ignore[arg-type]

    scores, seconds = [], []
    for first in (1, len(units.names) + 1):
        with patch.multiple(swapping, EXPANDED_FROM=first, swapped_in_full=counting):
            begun = time.process_time()
            scores.append(fitted.fitted_model_.permutation(test, units, 1).mean)
            seconds.append(time.process_time() - begun)
    n_columns = len(units.scored)
    difference = np.abs(scores[0] - scores[1]) / scores[1].std()
    return {
        "columns": n_columns,
        "rows": len(test),
        "expanded": round(1 - (counted - n_columns) / n_columns, 4),
        "seconds": round(seconds[0], 2),
        "seconds in full": round(seconds[1], 2),
        "largest difference": round(float(difference.max()), 5),
        "median difference": round(float(np.median(difference)), 7),
        "spearman": round(float(spearmanr(*scores).statistic), 6),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is not measured yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_data_argument(parser)
    parser.add_argument("--tables", nargs="+", default=TABLES)
    add_result_arguments(parser, "expansion.csv")
    options = parser.parse_args(arguments)
    result = ResultFile(options.out, COMMAND, ("table",), options.stale)
    catalog = load_catalog(options.data)
    for name in options.tables:
        if not result.is_measured(name):
            result.keep({"table": name} | measure(catalog[name]))


if __name__ == "__main__":
    main()
