"""How far every score agrees with permutation importance of the same model, and how stable it is.

    pip install 'tabattn[peers,experiments]'
    python -m experiments.agreement --data DIR                        # measures what is not measured yet
    python -m experiments.agreement --data DIR --tables adult --seeds 0 1 --keep-fits fits

One cell is one model on one table with one seed: fitted with its defaults on at most 20,000 rows, then asked for the
scores of every method but "shapley", and for scikit-learn's permutation importance (10 repeats, R^2 or minus log loss)
on the same at most 2,000 test rows. The scores are kept in results/agreement_scores.csv as soon as they are measured,
and measured once; a method whose column was emptied, or is new, is measured alone where the code is the same as that of
the other scores. With --keep-fits the fitted models are kept too, under the hash of the code that fits. Everything is
summed up in agreement.csv: Spearman, weighted Kendall, NDCG and top-k overlap of each method with permutation
importance, means over seeds; stability, the Spearman correlation of the scores of two seeds; and, as the method
"permutation of another seed", the agreement of permutation importance with itself. agreement.png draws the Spearman
correlations. The baseline is rtdl's FT-Transformer read by its published formula, on six tables.
"""

import argparse
import itertools
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from experiments.contenders import NEURAL_EPOCHS, FittedNetwork, fit_ft_transformer
from experiments.machine import CODE_OF_FITS
from experiments.result_file import ResultFile, add_result_arguments, is_stale, with_sizes
from experiments.splits import SplitTable, split_table
from experiments.tables import add_data_argument, load_catalog
from tabattn import TabAttnClassifier, TabAttnRegressor
from tabattn.importance.comparison import compare_rankings
from tabattn.importance.methods import METHODS
from tabattn.importance.permutation import permutation_scores
from tabattn.table.schema import Kind

COMMAND = "python -m experiments.agreement --data DIR"
MAX_ROWS, MAX_HELD_OUT, N_REPEATS = 20_000, 2_000, 10
SEEDS = (0, 1, 2)
COMPARED = tuple(method for method in METHODS if method != "shapley")  # a score of 2,000 rows takes longer than the fit
OURS, BASELINE = "tabattn", "rtdl_ft_transformer"
CEILING, UNKNOWN = "permutation of another seed", "contribution, target unknown"
KEYS = ("table", "model", "seed")
MEASURES = ("spearman", "weighted_kendall", "ndcg", "top_k_overlap")
TABLES = (
    "heart_cleveland", "titanic", "german_credit", "energy_efficiency", "concrete_strength", "steel_annealing",
    "steel_plates_faults", "higgs_small_part", "abalone", "splice", "credit_default", "house_prices_kaggle",
    "california_housing", "ai4i2020", "waveform5000", "naval_compressor_decay", "wine_quality", "fried", "adult",
    "bank32nh", "bike_sharing_hour", "letter", "covertype_sample_cat", "house_16h", "mushroom", "cpu_act",
    "gas_turbine_nox", "tep_fault4_binary",
)  # fmt: skip
BASELINE_TABLES = (
    "heart_cleveland",
    "titanic",
    "german_credit",
    "energy_efficiency",
    "concrete_strength",
    "abalone",
)


def fit(table: SplitTable, seed: int, max_epochs: int | None) -> Any:
    """Fit this project's defaults."""
    limits: dict[str, Any] = {} if max_epochs is None else {"max_epochs": max_epochs}
    rows = np.concatenate([table.train, table.validation])
    fraction = len(table.validation) / len(rows)
    if len(rows) > MAX_ROWS:
        rows = np.sort(np.random.default_rng(0).choice(rows, MAX_ROWS, replace=False))
    model = TabAttnRegressor if table.problem.task == "regression" else TabAttnClassifier
    estimator = model(random_state=seed, validation_fraction=fraction, **limits)
    return estimator.fit(table.problem.X.iloc[rows], table.problem.y.iloc[rows])


def fitted(table: SplitTable, name: str, seed: int, max_epochs: int | None, directory: Path | None) -> Any:
    """Return the fitted estimator, the kept one where there is one."""
    path = None if directory is None else directory / f"{name}-{seed}-{CODE_OF_FITS}.joblib"
    if path is not None and path.exists():
        return joblib.load(path)
    estimator = fit(table, seed, max_epochs)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        joblib.dump(estimator, path)
    return estimator


def published_scores(network: FittedNetwork, X: pd.DataFrame) -> pd.Series:
    """Score columns by FT-Transformer's formula: the attention of CLS, averaged over rows, layers and heads.

    Source: Gorishniy et al. 2021 (arXiv 2106.11959), section 5.3.
    """
    schema = network.preprocessor.schema
    sums: list[np.ndarray[Any, Any]] = []
    hooks = [
        module.register_forward_pre_hook(lambda _, inputs: sums.append(inputs[0][:, 0].double().mean(dim=0).numpy()))
        for name, module in network.network.named_modules()
        if name.endswith("attention.dropout")
    ]
    assert hooks, "FT-Transformer has attention"
    network.predict(X)
    for hook in hooks:
        hook.remove()
    numeric, categorical = schema.of_kind(Kind.NUMERIC), schema.code_positions
    weights = np.mean(sums, axis=0)[1:]
    by_column = [*weights[: len(numeric)], *weights[len(weights) - len(categorical) :]]
    return pd.Series(by_column, index=pd.Index([schema.names[i] for i in (*numeric, *categorical)]))


def measure(
    table: SplitTable,
    name: str,
    model: str,
    seed: int,
    max_epochs: int | None,
    directory: Path | None,
    known: pd.DataFrame | None,
) -> pd.DataFrame:
    """Return one row per column that varies: permutation importance and the scores of the methods not known yet."""
    rows = table.test
    if len(rows) > MAX_HELD_OUT:
        rows = np.sort(np.random.default_rng(0).choice(rows, MAX_HELD_OUT, replace=False))
    X, y = table.problem.X.iloc[rows], table.problem.y.iloc[rows]
    estimator: Any
    if model == OURS:
        estimator = fitted(table, name, seed, max_epochs, directory)
    else:
        estimator = fit_ft_transformer(table, seed, max_epochs or NEURAL_EPOCHS)
    schema = estimator.schema_ if model == OURS else estimator.preprocessor.schema
    names = [schema.names[i] for i in schema.token_positions]
    if known is None:
        repeats = permutation_scores(estimator, X, y, n_repeats=N_REPEATS, random_state=0).mean
        permutation = pd.Series(repeats, index=X.columns.astype(str))[names].to_numpy()
        known = pd.DataFrame(
            {"table": name, "model": model, "seed": seed, "feature": names, "permutation": permutation}
        )
    scores: dict[str, pd.Series] = {}
    if model == OURS:
        for method in COMPARED:
            if method not in known:
                ranked = estimator.importance_table(X, y, method=method).set_index("feature")
                scores[method] = ranked["importance"].where(ranked["importance"] > 0, -ranked["rank"].astype(float))
        if UNKNOWN not in known:
            scores[UNKNOWN] = estimator.importance_table(X).set_index("feature")["importance"]
    else:
        scores["mean"] = published_scores(estimator, X)
    return known.assign(**{method: values[names].to_numpy() for method, values in scores.items()})


def summarize(scores: pd.DataFrame) -> pd.DataFrame:
    """Return agreement with permutation importance and stability, one row per model, method and table."""
    methods = ["permutation", *COMPARED, UNKNOWN]
    rows = []
    for (model, name), cells in scores.groupby(["model", "table"], sort=False):
        by_seed = {seed: cell.set_index("feature") for seed, cell in cells.groupby("seed")}
        pairs = list(itertools.combinations(by_seed, 2))
        for method in methods:
            if method not in cells or cells[method].isna().any():
                continue
            is_permutation = method == "permutation"
            compared = (
                [(by_seed[a]["permutation"], by_seed[b]["permutation"]) for a, b in pairs]
                if is_permutation
                else [(cell[method], cell["permutation"]) for cell in by_seed.values()]
            )
            agreements = [compare_rankings(a.to_numpy(), b[a.index].to_numpy()) for a, b in compared]
            stability = [
                spearmanr(by_seed[a][method], by_seed[b][method][by_seed[a].index]).statistic for a, b in pairs
            ]
            rows.append(
                {
                    "model": model,
                    "method": CEILING if is_permutation else method,
                    "table": name,
                    "columns": len(next(iter(by_seed.values()))),
                    "seeds": len(by_seed),
                    **{key: _mean([agreement[key] for agreement in agreements]) for key in MEASURES},  # type: ignore[literal-required]
                    "stability": np.mean(stability) if stability else np.nan,
                }
            )
    table = pd.DataFrame(rows)
    is_whole = table["seeds"] == table.groupby("model")["seeds"].transform("max")
    means = pd.concat([_means(table, "mean"), _means(table[is_whole], "mean, tables with all seeds")])
    return pd.concat([means, table], ignore_index=True)[
        ["model", "method", "table", "columns", "seeds", *MEASURES, "stability", "lowest"]
    ].round(3)


def _means(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Means over tables, and the lowest Spearman correlation."""
    by_method = table.groupby(["model", "method"], sort=False)
    means = by_method[["columns", *MEASURES, "stability"]].mean()
    means = means.assign(table=name, lowest=by_method["spearman"].min(), seeds=by_method["seeds"].max())
    return means.reset_index()


def plot(summary: pd.DataFrame, path: Path) -> None:
    """Draw the Spearman correlation of each method on each table, tables in the order of the ceiling."""
    ours = summary[(summary["model"] == OURS) & ~summary["table"].str.startswith("mean")]
    wide = ours.pivot_table(index="table", columns="method", values="spearman")
    order = wide.sort_values(CEILING if CEILING in wide else "contribution").index
    figure = Figure(figsize=(10, 0.32 * len(order) + 2), layout="constrained")
    axes = figure.subplots()
    positions = np.arange(len(order))
    if CEILING in wide:
        axes.barh(positions, wide.loc[order, CEILING], color="0.88", label=CEILING)
    for method, marker in (("contribution", "o"), ("swap", "s"), ("norm", "^"), ("mean", "x")):
        axes.plot(wide.loc[order, method], positions, marker, label=method)
    baseline = summary[(summary["model"] == BASELINE) & (summary["method"] == "mean")].set_index("table")["spearman"]
    if len(baseline):
        axes.plot(baseline.reindex(order), positions, "d", color="black", label="FT-Transformer, its formula")
    axes.set_yticks(positions, order)
    axes.set(xlabel="Spearman correlation with permutation importance of the same model (one seed where no bar is)")
    axes.set_xlim(left=min(0.0, float(wide.min().min()) - 0.05), right=1.02)
    axes.grid(visible=True, axis="x", alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, dpi=120)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is not measured yet, and sum up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_data_argument(parser)
    parser.add_argument("--tables", nargs="+", default=TABLES)
    parser.add_argument(
        "--baseline-tables", nargs="+", default=BASELINE_TABLES, help="those that the baseline fits too"
    )
    parser.add_argument("--models", nargs="+", default=(OURS, BASELINE), choices=(OURS, BASELINE))
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--max-epochs", type=int, help="epochs of every fit at most; the defaults if not given")
    parser.add_argument("--keep-fits", type=Path, help="directory for fitted models, of one --max-epochs")
    add_result_arguments(parser, "agreement.csv")
    options = parser.parse_args(arguments)
    catalog = load_catalog(options.data)
    command = with_sizes(COMMAND, parser, options, ["max_epochs"])
    summary_file = ResultFile(options.out, command)
    results = ResultFile(summary_file.beside("_scores.csv"), command, KEYS, options.stale)
    methods = {OURS: {*COMPARED, UNKNOWN}, BASELINE: {"mean"}}
    for seed, model, name in itertools.product(options.seeds, options.models, options.tables):
        if model == BASELINE and name not in options.baseline_tables:
            continue
        known = known_scores(results, name, model, seed)
        if known is not None and methods[model] <= set(known):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            split = split_table(catalog[name])
            same_code = None if known is None or is_stale(known).any() else known
            cell = measure(split, name, model, seed, options.max_epochs, options.keep_fits, same_code)
        columns = [*KEYS, "feature", "permutation", *COMPARED, UNKNOWN]
        results.keep(cell.reindex(columns=columns).map(rounded).to_dict("records"))
    summary = summarize(results.read(["feature"]))
    results.write_summary(summary, to=summary_file.path)
    print(summary[summary["table"].str.startswith("mean")].to_string(index=False))
    plot(summary, summary_file.beside(".png"))


def known_scores(results: ResultFile, name: str, model: str, seed: int) -> pd.DataFrame | None:
    """Return the measured rows of a cell with the columns that hold something."""
    if not results.is_measured(name, model, seed):
        return None
    kept = results.read(["feature"])
    rows = kept[(kept["table"] == name) & (kept["model"] == model) & (kept["seed"] == seed)]
    return rows.dropna(axis=1, how="all").reset_index(drop=True)


def rounded(value: Any) -> Any:
    """Return a number with six significant digits, and anything else as it is."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _mean(values: list[float]) -> float:
    """Average what is measured; scores that do not differ agree with nothing."""
    return float(np.mean(np.nan_to_num(values))) if values else float("nan")


if __name__ == "__main__":
    main()
