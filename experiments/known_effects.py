"""How near are importances to effects that are known by a formula?

    pip install 'tabattn[peers,experiments]'
    python -m experiments.known_effects
    python -m experiments.known_effects --functions ishigami --n-rows 500 --n-seeds 1

Functions whose effects others have worked out, with three idle columns and noise of a ninth of the variance: *ishigami*
(Ishigami and Homma 1990) and *sobol_g* (Saltelli and Sobol 1995) with their analytic total Sobol indices, *friedman*
(Friedman 1991) with the same by quadrature, and *linear*, five columns that correlate .6 with their neighbours, where
permuting column j costs 2 b_j^2 Var(X_j). The truth are shares: total indices, or these costs, divided by their sum.

The shares of each method are of 1,000 fresh rows: `contribution`, `swap` and `mean` (attention alone) of the model that
`rank` has fitted; `conditional` of its table (given the others: for *linear* the truth is another one); a random forest
with permutation importance, CatBoost with mean absolute SHAP values and LightGBM's gain, each with its defaults on the
same rows. Kept in results/known_effects.csv; known_effects_summary.csv has the means over seeds of the total variation
between shares and truth (half the sum of absolute differences), and of the share of pairs of columns that are in the
right order.
"""

import argparse
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from experiments.result_file import ResultFile, add_result_arguments
from tabattn import rank
from tabattn.errors import TabAttnWarning

COMMAND = "python -m experiments.known_effects"
KEYS = ("function", "n_rows", "seed", "method")
N_IDLE, N_FRESH, N_REPEATS, NOISE = 3, 1_000, 10, 1 / 3
A, B = 7.0, 0.1
SOBOL_A = np.array([0.0, 1.0, 4.5, 9.0, 99.0, 99.0])
WEIGHTS, CORRELATION = np.array([2.0, 1.0, 0.5, 1.5, 1.0]), 0.6
Array = np.ndarray[Any, Any]
Random = np.random.Generator


def _uniform(low: float, high: float, n_columns: int) -> Callable[[int, Random], Array]:
    return lambda n_rows, random: random.uniform(low, high, (n_rows, n_columns))


def _correlated(n_rows: int, random: Random) -> Array:
    X = random.normal(size=(n_rows, len(WEIGHTS)))
    for column in range(1, X.shape[1]):
        X[:, column] = CORRELATION * X[:, column - 1] + (1 - CORRELATION**2) ** 0.5 * X[:, column]
    return X


def _friedman(X: Array) -> Array:
    y: Array = 10 * np.sin(np.pi * X[:, 0] * X[:, 1]) + 20 * (X[:, 2] - 0.5) ** 2 + 10 * X[:, 3] + 5 * X[:, 4]
    return y


def _friedman_totals() -> Array:
    """Return E[Var(f | all others)] of each column: the pair by quadrature, the others by their variances."""
    points = (np.arange(1_000) + 0.5) / 1_000
    pair = 100 * np.sin(np.pi * points[:, None] * points).var(axis=0).mean()
    return np.array([pair, pair, 400 / 180, 100 / 12, 25 / 12])


def _sobol_totals() -> Array:
    variances = 1 / (3 * (1 + SOBOL_A) ** 2)
    totals: Array = variances * np.prod(1 + variances) / (1 + variances)
    return totals


MADE: Mapping[str, tuple[Callable[[int, Random], Array], Callable[[Array], Array], Array]] = {
    "ishigami": (
        _uniform(-np.pi, np.pi, 3),
        lambda X: np.sin(X[:, 0]) + A * np.sin(X[:, 1]) ** 2 + B * X[:, 2] ** 4 * np.sin(X[:, 0]),
        np.array(
            [
                0.5 * (1 + B * np.pi**4 / 5) ** 2 + 8 * B**2 * np.pi**8 / 225,
                A**2 / 8,
                8 * B**2 * np.pi**8 / 225,
            ]
        ),
    ),
    "sobol_g": (
        _uniform(0, 1, len(SOBOL_A)),
        lambda X: np.prod((np.abs(4 * X - 2) + SOBOL_A) / (1 + SOBOL_A), axis=1),
        _sobol_totals(),
    ),
    "friedman": (_uniform(0, 1, 5), _friedman, _friedman_totals()),
    "linear": (_correlated, lambda X: X @ WEIGHTS, WEIGHTS**2),
}


def table_of(function: str, n_rows: int, seed: int) -> pd.DataFrame:
    """Return a table with its target `y`."""
    make, value, _ = MADE[function]
    random = np.random.default_rng([seed, list(MADE).index(function)])
    X = make(n_rows, random)
    y = value(X)
    table = pd.DataFrame(np.column_stack([X, random.normal(size=(n_rows, N_IDLE))]))
    table.columns = pd.Index([f"x{i + 1}" for i in range(X.shape[1])] + [f"idle{i + 1}" for i in range(N_IDLE)])
    return table.assign(y=y + NOISE * value(make(20_000, random)).std() * random.normal(size=n_rows))


def truth_of(function: str) -> "pd.Series[float]":
    """Return the true shares."""
    totals = MADE[function][2]
    names = [f"x{i + 1}" for i in range(len(totals))] + [f"idle{i + 1}" for i in range(N_IDLE)]
    return pd.Series(np.append(totals / totals.sum(), np.zeros(N_IDLE)), names)


def shares(table: pd.DataFrame, fresh: pd.DataFrame, seed: int) -> Iterator[tuple[str, "pd.Series[float]"]]:
    """Yield what each method says, by its name."""
    X, y = fresh.drop(columns="y"), fresh["y"].to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TabAttnWarning)
        ranking = rank(table, "y", n_repeats=1, random_state=seed)
    for method in ("contribution", "swap", "mean"):
        found = ranking.estimator.importance_table(X, y, method=method)
        yield method, found.set_index("feature")["importance"]
    yield "conditional", ranking.table.set_index("feature")["conditional"]
    yield from _others(table.drop(columns="y"), table["y"].to_numpy(), X, y, seed)


def _others(
    X_train: pd.DataFrame, y_train: Array, X: pd.DataFrame, y: Array, seed: int
) -> Iterator[tuple[str, "pd.Series[float]"]]:
    import catboost
    import lightgbm
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    names = list(X.columns)
    forest = RandomForestRegressor(n_jobs=1, random_state=seed).fit(X_train, y_train)
    permuted = permutation_importance(forest, X, y, n_repeats=N_REPEATS, random_state=seed, n_jobs=1)
    yield "forest + permutation", pd.Series(permuted.importances_mean, names)
    boosted = catboost.CatBoostRegressor(thread_count=1, random_seed=seed, allow_writing_files=False, verbose=False)
    boosted.fit(X_train, y_train)
    values = boosted.get_feature_importance(catboost.Pool(X, y), type="ShapValues", thread_count=1)
    yield "CatBoost + SHAP", pd.Series(np.abs(values[:, :-1]).mean(axis=0), names)
    gained = lightgbm.LGBMRegressor(verbose=-1, n_jobs=1, random_state=seed, importance_type="gain")
    yield "LightGBM gain", pd.Series(gained.fit(X_train, y_train).feature_importances_.astype(float), names)


def compare(found: "pd.Series[float]", truth: "pd.Series[float]") -> dict[str, float]:
    """Return the total variation between shares and truth, and the share of pairs in the right order."""
    share = found[truth.index].clip(lower=0)
    share = share / share.sum()
    values, known = share.to_numpy(), truth.to_numpy()
    first, second = np.triu_indices(len(known), 1)
    differs = ~np.isclose(known[first], known[second], rtol=0.05, atol=1e-4)
    agrees = np.sign(values[first] - values[second]) == np.sign(known[first] - known[second])
    return {"distance": float(np.abs(values - known).sum() / 2), "in_order": float(agrees[differs].mean())}


def summarize(cells: pd.DataFrame) -> pd.DataFrame:
    """Return means over seeds, and over everything."""
    means = cells.groupby(["method", "function", "n_rows"], sort=False)[["distance", "in_order"]].mean().reset_index()
    overall = cells.groupby("method", sort=False)[["distance", "in_order"]].mean().reset_index()
    return pd.concat([means, overall.assign(function="all", n_rows=0)], ignore_index=True).round(3)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is not measured yet, and sum up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--functions", nargs="+", default=list(MADE), choices=list(MADE))
    parser.add_argument("--n-rows", nargs="+", type=int, default=[500, 2_000])
    parser.add_argument("--n-seeds", type=int, default=3)
    add_result_arguments(parser, "known_effects.csv")
    options = parser.parse_args(arguments)
    result = ResultFile(options.out, COMMAND, KEYS, options.stale)
    for seed in range(options.n_seeds):
        for n_rows in options.n_rows:
            for function in options.functions:
                if result.is_measured(function, n_rows, seed, "LightGBM gain"):
                    continue
                fresh, truth = table_of(function, N_FRESH, seed + 1_000_000), truth_of(function)
                for method, found in shares(table_of(function, n_rows, seed), fresh, seed):
                    cell = {"function": function, "n_rows": n_rows, "seed": seed, "method": method}
                    result.keep(cell | {name: round(value, 4) for name, value in compare(found, truth).items()})
    summary = summarize(result.read())
    result.write_summary(summary)
    print(summary.to_string(index=False))


if __name__ == "__main__":
    main()
