"""Fit, predict and rank some tables, and write down all numbers: run by `experiments.same_results` for each commit.

    python experiments/same_results_worker.py RESULTS.npz --seeds 0 1 2 --save DIR

Uses only what the package has had since format 1 of its files, so that it runs with any commit since.
"""

import argparse
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import tabattn

DATA = Path(__file__).parent.parent / "data"
N_EPOCHS, N_REPEATS, N_ROWS = 12, 2, 400
TABLES = {"process": "thickness_um", "wine": "cultivar", "diabetes": "progression"}
SMALL: dict[str, Any] = {"n_layers": 2, "n_members": 2, "d_token": 16, "max_epochs": N_EPOCHS}


def made(seed: int) -> tuple[pd.DataFrame, pd.Series]:
    """A table with a column of every kind, missing cells, integers beyond 2^53 and numbers as text."""
    random = np.random.default_rng(seed)
    n = N_ROWS
    words = np.array(["belt", "slips", "motor", "hot", "valve", "leaks", "noise", "fan", "dust", "oil"])
    day = pd.Timestamp("2023-01-01") + pd.to_timedelta(random.integers(0, 500, n), unit="D")
    X = pd.DataFrame(
        {
            "number": random.normal(size=n),
            "skewed": np.exp(3 * random.normal(size=n)),
            "integer": random.integers(0, 9, n),
            "large": 2**60 + random.integers(0, 1000, n),
            "german": [f"{value:.2f}".replace(".", ",") for value in random.normal(size=n)],
            "line": random.choice(["A", "B", "C"], n),
            "flag": random.random(n) < 0.5,
            "day": day,
            "written_day": day.strftime("%d/%m/%Y"),
            "clock": [f"{hour:02}:{minute:02}" for hour, minute in random.integers(0, (24, 60), (n, 2))],
            "remark": [" ".join(random.choice(words, 5)) for _ in range(n)],
            "constant": 1.0,
        }
    )
    y = 2 * X["number"] + X["line"].map({"A": -1.0, "B": 0.0, "C": 1.0}) + 0.01 * (day - day.min()).days
    X = X.mask(random.random(X.shape) < 0.1)
    X["constant"] = 1.0
    return X, y.rename("y")


def numbers_of(seed: int, directory: Path | None) -> Iterator[tuple[str, Any]]:
    """Yield the name and the value of everything that is measured with one seed."""
    for name, target in TABLES.items():
        ranking = tabattn.rank(
            DATA / f"{name}.csv", target, max_epochs=N_EPOCHS, n_repeats=N_REPEATS, random_state=seed
        )
        by_name = ranking.table.set_index("feature").sort_index()
        for column in ("rank", "importance", "std", "permutation_mean", "permutation_std"):
            yield f"{name}, rank, {column}", by_name[column].to_numpy(np.float64)
        yield f"{name}, rank, models", ranking.models.drop(columns="model").to_numpy(np.float64)
        yield f"{name}, rank, attention", ranking.mean_attention.to_numpy()
    X, y = made(seed)
    targets: dict[str, Any] = {"regression": y, "classification": np.where(y > y.mean(), "high", "low")}
    for task, known in targets.items():
        model = tabattn.TabAttnRegressor if task == "regression" else tabattn.TabAttnClassifier
        for encoder in ("class", "gpt"):
            est = model(encoder=encoder, random_state=seed, **SMALL).fit(X[:300], known[:300])
            what = f"made, {task}, {encoder}"
            yield f"{what}, prediction", est.predict(X) if task == "regression" else est.predict_proba(X)
            yield f"{what}, importances", est.feature_importances_
            for method in ("contribution", "swap", "gradient", "norm", "mean", "rollout"):
                yield f"{what}, {method}", est.explain(X[300:], known[300:], method=method).to_numpy()
            yield f"{what}, permutation", est.permutation_scores(X[300:], known[300:], n_repeats=2).repeats
            yield f"{what}, drift", est.attention_drift(X[300:]).set_index("feature").sort_index()["statistic"]
            if directory is not None:
                directory.mkdir(parents=True, exist_ok=True)
                est.save(directory / f"{task}-{encoder}-{seed}.tabattn")
    weight = np.random.default_rng(seed).integers(0, 4, len(y))
    est = tabattn.TabAttnRegressor(pretrain="auto", pretrain_epochs=2, random_state=seed, **SMALL)
    est.fit(X[:300], y[:300], weight[:300], eval_set=(X[300:], y[300:]), unlabelled=X[300:])
    yield "made, weights, prediction", est.predict(X)
    yield "made, weights, importances", est.feature_importances_


def main() -> None:
    """Measure, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("results", type=Path)
    parser.add_argument("--seeds", nargs="+", type=int, default=(0, 1, 2))
    parser.add_argument("--save", type=Path, help="directory for the fitted models")
    arguments = parser.parse_args()
    print(f"tabattn of {Path(tabattn.__file__).parent}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {
            f"seed {seed}, {name}": np.asarray(value)
            for seed in arguments.seeds
            for name, value in numbers_of(seed, arguments.save)
        }
    np.savez(arguments.results, **found)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
