"""Do the p-values of `rank` hold, and does what is selected contain too many columns that add nothing?

    python -m experiments.significance
    python -m experiments.significance --designs ar1 block --n-rows 500 --n-seeds 3

Tables of 20 columns, five of which drive Y = x_a x_b + 2 sin x_c + 1.5 |x_d| + x_e + noise: *indep*, *ar1* (each
column correlates .6 with the one before), *block* (blocks of four that correlate .8), *curve* (next to each driver a
column that is its square plus noise), *noisy* (ar1 with noise of standard deviation 3), *null* (Y is noise),
*additive* (ar1 with x_a + x_b in place of their product: no two columns act together), *mixed* (ar1, of which a
quarter each are numbers, log-normal numbers, categories of four levels, and numbers of which 15 % are missing; Y
follows from what is seen), *classes* (ar1, two classes by whether the sum exceeds its median, with logistic noise)
and *folds* (the tables of noisy, ranked in five folds). A column is null if Y is independent of it given the others.
Each table is ranked by `rank`, on every third seed with the defaults, else with four members of width 16. Kept in
results/significance.csv table by table; significance_summary.csv has the share of null p-values below .01, .05 and
.1, the mean share of false discoveries, the power, the share of tables in which anything false is selected, and the
share of the intervals of importance (ci_low to ci_high) that cover the importance which the same model has on 8,000
fresh rows, compared with 2,000 others. Of the interactions: in how many tables the true pair is selected, and any
other one. Of the smallest sufficient set: the share of drivers in it, and how many columns that are none.
"""

import argparse
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from experiments.result_file import ResultFile, add_result_arguments
from tabattn import rank
from tabattn.arrays import Array
from tabattn.choices import DEFAULT_METHOD
from tabattn.errors import TabAttnWarning
from tabattn.fitted.sufficient import sufficient_features
from tabattn.ranking_results import Ranking

COMMAND = "python -m experiments.significance"
KEYS = ("design", "n_rows", "seed")
DESIGNS = ("indep", "ar1", "block", "curve", "noisy", "null", "additive", "mixed", "classes", "folds")
SAME_TABLES, N_FOLDS = {"folds": "noisy"}, 5
N_COLUMNS, LEVELS = 20, (0.01, 0.05, 0.1)
N_OTHERS, N_FRESH = 2_000, 8_000
QUARTILES, MISSING = (-0.6745, 0.0, 0.6745), 0.15
SMALL: dict[str, Any] = {"n_members": 4, "d_token": 16, "n_layers": 2}


def table_of(design: str, n_rows: int, seed: int) -> tuple[pd.DataFrame, list[str]]:
    """Return a table with its target `y`, and the names of the drivers."""
    design = SAME_TABLES.get(design, design)
    random = np.random.default_rng([seed, DESIGNS.index(design)])
    X = random.normal(size=(n_rows, N_COLUMNS))
    drivers = [0, 4, 8, 12, 16]
    if design in {"ar1", "noisy", "additive", "mixed", "classes"}:
        drivers = [2, 6, 10, 14, 18]
        for column in range(1, N_COLUMNS):
            X[:, column] = 0.6 * X[:, column - 1] + 0.8 * X[:, column]
    elif design == "block":
        X = 0.8**0.5 * np.repeat(random.normal(size=(n_rows, 5)), 4, axis=1) + 0.2**0.5 * X
    elif design == "curve":
        for column in drivers:
            X[:, column + 1] = X[:, column] ** 2 + 0.5 * X[:, column + 1]
    table = pd.DataFrame(X, columns=[f"x{column}" for column in range(N_COLUMNS)])
    if design == "mixed":
        table, X = mixed(X, random)
    a, b, c, d, e = (X[:, column] for column in drivers)
    signal = (a + b if design == "additive" else a * b) + 2 * np.sin(c) + 1.5 * np.abs(d) + e
    noise = random.normal(size=n_rows) * (3 if design == "noisy" else 1)
    if design == "classes":
        is_high = signal + random.logistic(size=n_rows) > np.median(signal)
        return table.assign(y=np.where(is_high, "high", "low")), [f"x{each}" for each in drivers]
    is_null = design == "null"
    return table.assign(y=noise if is_null else signal + noise), [] if is_null else [f"x{each}" for each in drivers]


def mixed(X: Array, random: np.random.Generator) -> tuple[pd.DataFrame, Array]:
    """Return columns of several kinds made of normal numbers, and what is seen of each as a number.

    Args:
        X: Normal numbers of variance 1.
        random: Source of randomness.
    """
    columns, seen = {}, X.copy()
    for column in range(N_COLUMNS):
        kind, own = (column // 4 + column) % 4, X[:, column]
        level = np.searchsorted(QUARTILES, own)
        is_missing = random.random(len(own)) < MISSING
        if kind == 0:
            cells = own
        elif kind == 1:
            cells = np.exp(own)
        elif kind == 2:
            cells, seen[:, column] = np.array(list("ABCD"))[level], (level - 1.5) / 1.25**0.5
        else:
            cells, seen[:, column] = np.where(is_missing, np.nan, own), np.where(is_missing, 0.0, own)
        columns[f"x{column}"] = cells
    return pd.DataFrame(columns), seen


def importance_on(ranking: Ranking, fresh: pd.DataFrame) -> "pd.Series[float]":
    """Return the importance that a fitted model has on many fresh rows, compared with others of them."""
    fitted = ranking.estimator.fitted_model_
    X = fresh.drop(columns="y")
    others, rows = fitted.rows(X[:N_OTHERS]), fitted.rows(X[N_OTHERS:], fresh["y"].to_numpy()[N_OTHERS:])
    fitted = replace(fitted, background=others.cells)
    return pd.Series(fitted.scores(rows, DEFAULT_METHOD, ranking.units).importance, ranking.units.names)


def measure(
    table: pd.DataFrame, drivers: Sequence[str], seed: int, fresh: pd.DataFrame, folds: int = 1
) -> dict[str, float]:
    """Rank a table, and count."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TabAttnWarning)
        ranking = rank(table, "y", n_repeats=1, random_state=seed, folds=folds, **({} if seed % 3 == 0 else SMALL))
    found = ranking.table
    truth = importance_on(ranking, fresh)[found["feature"]].to_numpy()
    covers = (found["ci_low"] <= truth) & (truth <= found["ci_high"])
    is_driver = found["feature"].isin(drivers).to_numpy()
    selected = found["selected"].to_numpy(dtype=bool)
    p_values = found["p_value"].to_numpy()[~is_driver]
    n_false = int((selected & ~is_driver).sum())
    below = {f"p < {level}": float((p_values < level).mean()) for level in LEVELS}
    power = float(selected[is_driver].mean()) if len(drivers) else float("nan")
    found_false = {"fdr": n_false / max(1, int(selected.sum())), "power": power, "any_false": float(n_false > 0)}
    covered = float(covers[is_driver].mean()) if len(drivers) else float("nan")
    return (
        below
        | found_false
        | {"covered": covered, "covered, idle": float(covers[~is_driver].mean())}
        | _of_interactions(ranking, drivers)
        | _of_sufficient_set(ranking, drivers)
    )


def _of_interactions(ranking: Ranking, drivers: Sequence[str]) -> dict[str, float]:
    """Return whether the first two drivers are selected as a pair, and any other pair."""
    found = ranking.interactions
    pairs = {frozenset(pair) for pair in found.loc[found["selected"], ["feature_1", "feature_2"]].to_numpy().tolist()}
    true = frozenset(drivers[:2])
    return {
        "pair_found": float(true in pairs) if len(drivers) else float("nan"),
        "any_other_pair": float(len(pairs - {true}) > 0),
    }


def _of_sufficient_set(ranking: Ranking, drivers: Sequence[str]) -> dict[str, float]:
    """Return the share of drivers in the smallest sufficient set, and the number of other columns in it."""
    steps = ranking.sufficient_set
    if steps.empty:
        return {"drivers_in_set": float("nan"), "others_in_set": float("nan")}
    kept = set(sufficient_features(steps))
    share = len(kept & set(drivers)) / len(drivers) if len(drivers) else float("nan")
    return {"drivers_in_set": share, "others_in_set": float(len(kept - set(drivers)))}


def summarize(cells: pd.DataFrame) -> pd.DataFrame:
    """Return means over tables, and how many there are."""
    measures = [name for name in cells.columns if name not in {*KEYS, "commit", "code"}]
    grouped = cells.groupby(["design", "n_rows"], as_index=False, sort=False)
    return grouped[measures].mean().assign(tables=grouped.size()["size"]).round(3)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is not measured yet, and sum up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--designs", nargs="+", default=DESIGNS, choices=DESIGNS)
    parser.add_argument("--n-rows", nargs="+", type=int, default=[500, 1500])
    parser.add_argument("--n-seeds", type=int, default=40)
    add_result_arguments(parser, "significance.csv")
    options = parser.parse_args(arguments)
    result = ResultFile(options.out, COMMAND, KEYS, options.stale)
    for seed in range(options.n_seeds):
        for n_rows in options.n_rows:
            for design in options.designs:
                if not result.is_measured(design, n_rows, seed):
                    table, drivers = table_of(design, n_rows, seed)
                    cell = {"design": design, "n_rows": n_rows, "seed": seed}
                    fresh, _ = table_of(design, N_OTHERS + N_FRESH, seed + 1_000_000)
                    measured = measure(table, drivers, seed, fresh, N_FOLDS if design == "folds" else 1)
                    result.keep(cell | {name: round(value, 4) for name, value in measured.items()})
    summary = summarize(result.read())
    result.write_summary(summary)
    print(summary.to_string(index=False))


if __name__ == "__main__":
    main()
