"""Do the scores find the columns that are known to drive the target?

    pip install 'tabattn[experiments]'
    python -m experiments.ground_truth --data DIR                  # measures what is not measured yet
    python -m experiments.ground_truth --data DIR --parts syn --seeds 0

Every model has the defaults; scores are read from rows that it was not fitted on. Four parts:

- syn: Syn1 to Syn6 of INVASE, 10,000 rows to fit, 10,000 to select columns by, 2,000 to evaluate on. The number of true
  columns is not used, nor the target of the rows to evaluate on. A regression tree over the columns divides the rows
  into regions with different mean local scores (`explain` with the target); it is grown on half of the rows to select,
  with at least a tenth of them in each region. A column is selected in a region if its mean local score there is above
  0 in the other half, by a t-test with Holm's correction at 1 %, and in a row if it is in the row's region. Measures:
  the fraction of true columns among those to be found, and of false ones among those selected, means over rows, in %;
  "anywhere" is the test over all rows to select, and a column is true if it drives any row.
- noise: California housing, Jannis, House 16H and Higgs with as many columns added that say nothing new (Cherepanova et
  al. 2023); 10,000 rows to fit, up to 20,000 to read. Measure: ROC-AUC of telling real columns from added ones by
  their scores.
- wide: 1,000 rows, 128 or 512 columns of which 2 or 4 decide the class (Passemiers et al. 2023). Measure: the fraction
  of the k true columns among the first k.
- real: Madelon, Waveform and Fried of --data. Measure: the same.

Cells are kept in results/ground_truth.csv and measured once; ground_truth_summary.csv has the means over seeds beside
what others published.
"""

import argparse
import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import ttest_1samp
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeRegressor

from experiments.result_file import ResultFile, add_result_arguments, with_sizes
from experiments.splits import split_table
from experiments.synthetic import SYN_NAMES, KnownTable, small_and_wide, syn, with_noise
from experiments.tables import add_data_argument, load_catalog
from tabattn import TabAttnClassifier, TabAttnRegressor
from tabattn.choices import DEFAULT_METHOD, Method
from tabattn.importance.methods import METHODS

COMMAND = "python -m experiments.ground_truth --data DIR"
KEYS = ("part", "table", "columns", "seed")
SIZES = ("max_rows", "max_epochs")
PARTS = ("syn", "real", "noise", "wide")
SYN_ROWS, N_EVALUATED = 10_000, 2_000
ALPHA, REGION_FRACTION = 0.01, 0.1
NOISE_TABLES = ("california_housing", "jannis_part", "house_16h", "higgs_small_part")
NOISE_KINDS = ("random", "corrupted", "products")
MAX_NOISE_ROWS, MAX_READ = 10_000, 20_000
WIDE_ROWS = 1_000
WAVE_COLUMNS = tuple(f"x{i}" for i in range(2, 21))
REAL_DRIVERS: Mapping[str, tuple[str, ...]] = {
    "waveform5000": WAVE_COLUMNS,
    "fried": tuple(f"X{i}" for i in range(1, 6)),
    "madelon": tuple(
        f"f{i}"
        for i in (29, 49, 65, 106, 129, 154, 242, 282, 319, 337, 339, 379, 434, 443, 452, 454, 456, 473, 476, 494)
    ),
}
PUBLISHED: Mapping[tuple[str, str], str] = {
    ("syn", "Syn1"): "Hide-and-Seek 100/0, INVASE 100/0, SHAP 64/36",
    ("syn", "Syn2"): "Hide-and-Seek 100/0, INVASE 100/0, SHAP 95/5",
    ("syn", "Syn3"): "Hide-and-Seek 99/0, INVASE 91/0, SHAP 92/8",
    ("syn", "Syn4"): "Hide-and-Seek 99/4, INVASE 90/4, SHAP 72/38",
    ("syn", "Syn5"): "Hide-and-Seek 97/3, INVASE 83/1, SHAP 74/38",
    ("syn", "Syn6"): "Hide-and-Seek 98/4, INVASE 90/9, SHAP 72/28",
    ("noise", "california_housing, random"): "FT-Transformer .992, XGBoost 1",
    ("noise", "jannis_part, random"): "FT-Transformer .759, XGBoost .75",
    ("noise", "house_16h, random"): "FT-Transformer .980, XGBoost 1",
    ("noise", "higgs_small_part, random"): "FT-Transformer .876, XGBoost .890",
    ("wide", "ring"): "random forest 1, LassoNet 0",
    ("wide", "xor"): "random forest .17, LassoNet 1",
    ("wide", "ring+xor"): "random forest .75, LassoNet .33",
}

Task = Callable[[int], list[dict[str, Any]]]


@dataclass(frozen=True)
class Limits:
    """What no fit and no reading may go beyond.

    Args:
        rows: Rows to fit, to read or to evaluate on.
        epochs: Epochs of every fit; None for the default.
    """

    rows: int
    epochs: int | None

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters of the estimator."""
        return {} if self.epochs is None else {"max_epochs": self.epochs}


def recall_at_k(scores: pd.Series, drivers: set[str]) -> float:
    """Fraction of the k true columns among the first k."""
    return len(set(scores.index[: len(drivers)]) & drivers) / len(drivers)


def rankings(estimator: Any, X: pd.DataFrame, y: Any) -> Iterator[tuple[Method, pd.Series]]:
    """Yield the ranks of the columns by every method, best first."""
    for method in METHODS:
        yield method, estimator.importance_table(X, y, method=method).set_index("feature")["rank"]


def selected_globally(local: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Select columns whose mean local score is above 0: one-sided t-tests with Holm's correction."""
    p_values = ttest_1samp(local.to_numpy(), 0.0, alternative="greater").pvalue
    order = np.argsort(p_values)
    passes = p_values[order] * np.arange(len(order), 0, -1) <= ALPHA
    selected = np.zeros(len(order), dtype=bool)
    selected[order[: int(np.argmin(np.append(passes, False)))]] = True
    return selected


def selected_by_region(
    X: pd.DataFrame, local: pd.DataFrame, others: pd.DataFrame
) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Select columns row by row: those whose mean local score is above 0 in the region of the row.

    Args:
        X: Rows to select by; the first half divides the table into regions, the second tests the columns in each.
        local: Their local scores.
        others: Rows to select columns for.

    Returns:
        One row per other row, one column per feature.

    Source: a tree whose leaves are tested on rows that it was not grown on, Athey and Imbens 2016 (arXiv
        1504.01132), section 2.
    """
    grown, tested = slice(None, len(X) // 2), slice(len(X) // 2, None)
    tree = DecisionTreeRegressor(min_samples_leaf=REGION_FRACTION, random_state=0).fit(X[grown], local[grown])
    region, region_of_others = tree.apply(X[tested]), tree.apply(others)
    selected = np.zeros(others.shape, dtype=bool)
    for leaf in np.unique(region_of_others):
        selected[region_of_others == leaf] = selected_globally(local[tested][region == leaf])
    return selected


def discoveries(selected: np.ndarray[Any, np.dtype[np.bool_]], known: KnownTable) -> tuple[float, float]:
    """Return the fractions of true and of false discoveries in %, means over rows."""
    true = (selected & known.is_driver).sum(axis=1) / known.is_driver.sum(axis=1)
    false = (selected & ~known.is_driver).sum(axis=1) / np.maximum(selected.sum(axis=1), 1)
    return 100 * float(true.mean()), 100 * float(false.mean())


def measure_syn(name: str, n_columns: int, limits: Limits, seed: int) -> list[dict[str, Any]]:
    """Fit one of the six tables and select columns."""
    sizes = (min(n_rows, limits.rows) for n_rows in (SYN_ROWS, SYN_ROWS, N_EVALUATED))
    fitted, selecting, known = (syn(name, n_rows, n_columns, 3 * seed + part) for part, n_rows in enumerate(sizes))
    estimator = TabAttnClassifier(random_state=seed, **limits.parameters).fit(fitted.X, fitted.y)
    anywhere = KnownTable(known.X, known.y, np.atleast_2d(known.is_driver.any(axis=0)))
    rows: list[dict[str, Any]] = []
    for method in (DEFAULT_METHOD, "swap"):
        local = estimator.explain(selecting.X, selecting.y, method=method)
        selected, everywhere = selected_by_region(selecting.X, local, known.X), selected_globally(local)
        found = {"": discoveries(selected, known), " anywhere": discoveries(everywhere[None], anywhere)}
        rows += [
            {"method": method, "measure": f"{kind} discoveries{where}", "value": round(percent, 1)}
            for where, percents in found.items()
            for kind, percent in zip(("true", "false"), percents, strict=True)
        ]
    return rows


def measure_noise(data: Path | None, name: str, kind: Any, limits: Limits, seed: int) -> list[dict[str, Any]]:
    """Add columns to a table and tell them from the real ones."""
    split = split_table(load_catalog(data)[name])
    random = np.random.default_rng(seed)
    X = with_noise(split.problem.X, kind, seed)
    rows = np.concatenate([split.train, split.validation])
    rows = random.permutation(rows)[: min(MAX_NOISE_ROWS, limits.rows)]
    test = random.permutation(split.test)[: min(MAX_READ, limits.rows)]
    y = split.problem.y
    model = TabAttnRegressor if split.problem.task == "regression" else TabAttnClassifier
    estimator = model(random_state=seed, **limits.parameters).fit(X.iloc[rows], y.iloc[rows])
    return [
        {
            "method": method,
            "measure": "ROC-AUC",
            "value": round(roc_auc_score(~ranks.index.str.startswith("added_"), -ranks), 3),
        }
        for method, ranks in rankings(estimator, X.iloc[test], y.iloc[test])
    ]


def measure_wide(name: Any, n_columns: int, limits: Limits, seed: int) -> list[dict[str, Any]]:
    """Fit a small table with many columns and look at the first k."""
    n_rows = min(WIDE_ROWS, limits.rows)
    fitted, known = (small_and_wide(name, n_rows, n_columns, 2 * seed + part) for part in (0, 1))
    estimator = TabAttnClassifier(random_state=seed, **limits.parameters).fit(fitted.X, fitted.y)
    drivers = set(known.X.columns[known.is_driver[0]])
    auc = roc_auc_score(known.y, estimator.predict_proba(known.X)[:, 1])
    return [{"method": "the model", "measure": "test ROC-AUC", "value": round(auc, 3)}] + [
        {"method": method, "measure": "recall at k", "value": recall_at_k(ranks, drivers)}
        for method, ranks in rankings(estimator, known.X, known.y)
    ]


def measure_real(data: Path | None, name: str, limits: Limits, seed: int) -> list[dict[str, Any]]:
    """Fit a real table whose drivers are known and look at the first k."""
    split, drivers = split_table(load_catalog(data)[name]), set(REAL_DRIVERS[name])
    rows = np.concatenate([split.train, split.validation])[: min(MAX_NOISE_ROWS, limits.rows)]
    X, y = split.problem.X, split.problem.y
    model = TabAttnRegressor if split.problem.task == "regression" else TabAttnClassifier
    estimator = model(random_state=seed, **limits.parameters).fit(X.iloc[rows], y.iloc[rows])
    test = split.test[: min(MAX_READ, limits.rows)]
    return [
        {"method": method, "measure": "recall at k", "value": round(recall_at_k(ranks, drivers), 3)}
        for method, ranks in rankings(estimator, X.iloc[test], y.iloc[test])
    ]


def tasks(
    data: Path | None, syn_columns: Sequence[int], wide_columns: Sequence[int], limits: Limits
) -> Iterator[tuple[str, str, int, Task]]:
    """Yield part, table, number of columns, and what measures it."""
    for n_columns, name in itertools.product(syn_columns, SYN_NAMES):
        yield "syn", name, n_columns, partial(measure_syn, name, n_columns, limits)
    for name in REAL_DRIVERS:
        yield "real", name, 0, partial(measure_real, data, name, limits)
    for kind, name in itertools.product(NOISE_KINDS, NOISE_TABLES):
        yield "noise", f"{name}, {kind}", 0, partial(measure_noise, data, name, kind, limits)
    for n_columns, name in itertools.product(wide_columns, ("ring", "xor", "ring+xor")):
        yield "wide", name, n_columns, partial(measure_wide, name, n_columns, limits)


def summarize(cells: pd.DataFrame) -> pd.DataFrame:
    """Return means over seeds, beside what others published."""
    by_table = cells.groupby(["part", "table", "columns", "measure", "method"], sort=False)["value"]
    summary = by_table.agg(["mean", "count"]).round(3).rename(columns={"count": "seeds"}).reset_index()
    keys = zip(summary["part"], summary["table"], summary["columns"], summary["measure"], strict=True)
    is_quoted = {"true discoveries", "ROC-AUC", "recall at k"}
    summary["published"] = [
        PUBLISHED.get((part, table), "") if columns in {0, 11, 512} and measure in is_quoted else ""
        for part, table, columns, measure in keys
    ]
    return summary


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is not measured yet, and sum up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_data_argument(parser)
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--tables", nargs="+", help="names of tables; all if not given")
    parser.add_argument("--syn-columns", nargs="+", type=int, default=(11, 100), help="numbers of columns of syn")
    parser.add_argument("--wide-columns", nargs="+", type=int, default=(128, 512), help="numbers of columns of wide")
    parser.add_argument("--seeds", nargs="+", type=int, default=(0,))
    parser.add_argument("--max-rows", type=int, default=MAX_READ, help="rows to fit, to read or to evaluate on at most")
    parser.add_argument("--max-epochs", type=int, help="epochs of every fit at most; the default if not given")
    add_result_arguments(parser, "ground_truth.csv")
    options = parser.parse_args(arguments)
    results = ResultFile(options.out, with_sizes(COMMAND, parser, options, SIZES), KEYS, options.stale)
    limits = Limits(options.max_rows, options.max_epochs)
    for seed in options.seeds:
        for part, name, n_columns, task in tasks(options.data, options.syn_columns, options.wide_columns, limits):
            is_wanted = part in options.parts and (not options.tables or name in options.tables)
            if not is_wanted or results.is_measured(part, name, n_columns, seed):
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                rows = task(seed)
            cell = {"part": part, "table": name, "columns": n_columns, "seed": seed}
            results.keep([cell | row for row in rows])
    summary = summarize(results.read())
    results.write_summary(summary)
    print(summary.to_string(index=False))


if __name__ == "__main__":
    main()
