"""How far every score agrees with permutation importance of the same model, and how stable it is.

    pip install 'tabattn[peers,experiments]'
    python -m experiments.agreement --data DIR                        # measures what is not measured yet
    python -m experiments.agreement --data DIR --tables adult --seeds 0 1 --keep-fits fits

One cell is one model on one table with one seed: fitted with its defaults on at most 20,000 rows, then asked for the
scores of every method and for scikit-learn's permutation importance (10 repeats, R^2 or minus log loss) on the same at
most 2,000 test rows. The scores are kept in results/agreement_scores.csv as soon as they are measured, and never
measured again; a method whose column was emptied, or is new, is measured alone. With --keep-fits the fitted models are
kept too (remove them when training changes). Everything
is summed up in agreement.csv: Spearman, weighted Kendall, NDCG and top-k overlap of each method with permutation
importance, means over seeds; stability, the Spearman correlation of the scores of two seeds; and, as the method
"permutation of another seed", what the judge says of itself. agreement.png draws the Spearman correlations. The
baseline is rtdl's FT-Transformer read by its published formula, on six tables.
"""

import argparse
import itertools
import warnings
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from experiments.contenders import FittedNetwork, fit_ft_transformer
from experiments.machine import CODE, describe_machine
from experiments.splits import SplitTable, split_table
from experiments.tables import add_data_argument, load_catalog
from tabattn import TabAttnClassifier, TabAttnRegressor
from tabattn.importance.comparison import compare_rankings
from tabattn.importance.methods import METHODS
from tabattn.importance.permutation import permutation_scores
from tabattn.table.schema import Kind

RESULTS = Path(__file__).parent / "results"
SCORES, SUMMARY = RESULTS / "agreement_scores.csv", RESULTS / "agreement.csv"
COMMAND = "python -m experiments.agreement --data DIR"
MAX_ROWS, MAX_HELD_OUT, N_REPEATS = 20_000, 2_000, 10
SEEDS = (0, 1, 2)
OURS, BASELINE = "tabattn", "rtdl_ft_transformer"
CEILING, UNKNOWN = "permutation of another seed", "contribution, target unknown"
KEYS = ["table", "model", "seed"]
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


def fit(table: SplitTable, seed: int) -> Any:
    """Fit this project's defaults."""
    rows = np.concatenate([table.train, table.validation])
    share = len(table.validation) / len(rows)
    if len(rows) > MAX_ROWS:
        rows = np.sort(np.random.default_rng(0).choice(rows, MAX_ROWS, replace=False))
    model = TabAttnRegressor if table.problem.task == "regression" else TabAttnClassifier
    estimator = model(random_state=seed, validation_fraction=share)
    return estimator.fit(table.problem.X.iloc[rows], table.problem.y.iloc[rows])


def fitted(table: SplitTable, name: str, seed: int, directory: Path | None) -> Any:
    """Return the fitted estimator, the kept one where there is one."""
    path = None if directory is None else directory / f"{name}-{seed}.joblib"
    if path is not None and path.exists():
        return joblib.load(path)
    estimator = fit(table, seed)
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
    table: SplitTable, name: str, model: str, seed: int, directory: Path | None, known: pd.DataFrame | None
) -> pd.DataFrame:
    """Return one row per column that varies: permutation importance and the scores of the methods not known yet."""
    rows = table.test
    if len(rows) > MAX_HELD_OUT:
        rows = np.sort(np.random.default_rng(0).choice(rows, MAX_HELD_OUT, replace=False))
    X, y = table.problem.X.iloc[rows], table.problem.y.iloc[rows]
    estimator = fitted(table, name, seed, directory) if model == OURS else fit_ft_transformer(table, seed)
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
        for method in METHODS:
            if method not in known:
                ranked = estimator.importance_table(X, y, method=method).set_index("feature")
                scores[method] = ranked["importance"].where(ranked["importance"] > 0, -ranked["rank"].astype(float))
        if UNKNOWN not in known:
            scores[UNKNOWN] = estimator.importance_table(X).set_index("feature")["importance"]
    else:
        scores["mean"] = published_scores(estimator, X)
    return known.assign(**{method: values[names].to_numpy() for method, values in scores.items()}, commit=CODE)


def summarize(scores: pd.DataFrame) -> pd.DataFrame:
    """Return agreement with permutation importance and stability, one row per model, method and table."""
    methods = ["permutation", *METHODS, UNKNOWN]
    rows = []
    for (model, name), cells in scores.groupby(["model", "table"], sort=False):
        by_seed = {seed: cell.set_index("feature") for seed, cell in cells.groupby("seed")}
        pairs = list(itertools.combinations(by_seed, 2))
        for method in methods:
            if method not in cells or cells[method].isna().any():
                continue
            is_judge = method == "permutation"
            compared = (
                [(by_seed[a]["permutation"], by_seed[b]["permutation"]) for a, b in pairs]
                if is_judge
                else [(cell[method], cell["permutation"]) for cell in by_seed.values()]
            )
            agreements = [compare_rankings(a.to_numpy(), b[a.index].to_numpy()) for a, b in compared]
            stability = [
                spearmanr(by_seed[a][method], by_seed[b][method][by_seed[a].index]).statistic for a, b in pairs
            ]
            rows.append(
                {
                    "model": model,
                    "method": CEILING if is_judge else method,
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
    for method, marker in (("contribution", "o"), ("knockout", "s"), ("norm", "^"), ("mean", "x")):
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


def main() -> None:
    """Measure what is not measured yet, and sum up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_data_argument(parser)
    parser.add_argument("--tables", nargs="+", default=TABLES)
    parser.add_argument("--models", nargs="+", default=(OURS, BASELINE), choices=(OURS, BASELINE))
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--keep-fits", type=Path, help="directory for fitted models")
    arguments = parser.parse_args()
    catalog = load_catalog(arguments.data)
    wanted = {OURS: [*METHODS, UNKNOWN], BASELINE: ["mean"]}
    for seed, model, name in itertools.product(arguments.seeds, arguments.models, arguments.tables):
        known = _known(name, model, seed)
        if (model == BASELINE and name not in BASELINE_TABLES) or (
            known is not None and set(wanted[model]) <= set(known)
        ):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cell = measure(split_table(catalog[name]), name, model, seed, arguments.keep_fits, known)
        _keep(cell)
        print(name, model, seed, flush=True)
    kept = _kept()
    assert kept is not None
    summary = summarize(kept)
    note = f"# {COMMAND}; {describe_machine()}\n"
    SUMMARY.write_text(note + summary.to_csv(index=False, lineterminator="\n"), encoding="utf-8")
    print(summary[summary["table"].str.startswith("mean")].to_string(index=False))
    plot(summary, SUMMARY.with_suffix(".png"))


def _mean(values: list[float]) -> float:
    """Average what is measured; scores that do not differ agree with nothing."""
    return float(np.mean(np.nan_to_num(values))) if values else float("nan")


def _kept() -> pd.DataFrame | None:
    if not SCORES.exists():
        return None
    return pd.read_csv(SCORES, comment="#", dtype={"feature": str}, keep_default_na=False, na_values=[""])


def _known(name: str, model: str, seed: int) -> pd.DataFrame | None:
    """Return the kept rows of a cell with the columns that hold something."""
    kept = _kept()
    if kept is None:
        return None
    rows = kept[(kept["table"] == name) & (kept["model"] == model) & (kept["seed"] == seed)]
    return None if rows.empty else rows.dropna(axis=1, how="all").reset_index(drop=True)


def _keep(cell: pd.DataFrame) -> None:
    """Put a cell in the place of what is kept of it."""
    kept = _kept()
    if kept is not None:
        is_other = (kept[KEYS] != cell[KEYS].iloc[0]).any(axis=1)
        cell = pd.concat([kept[is_other], cell], ignore_index=True)
    rows = cell.reindex(columns=[*KEYS, "feature", "permutation", *METHODS, UNKNOWN, "commit"])
    text = rows.to_csv(index=False, lineterminator="\n", float_format="%.6g")
    part = SCORES.with_suffix(".part")
    part.write_text(f"# {COMMAND}; {describe_machine()}\n{text}", encoding="utf-8")
    part.replace(SCORES)


if __name__ == "__main__":
    main()
