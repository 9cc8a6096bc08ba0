"""Write the tables that scikit-learn's loaders can give, with the catalog that `--data` needs.

    python -m experiments.fetch --out DIR
    python -m experiments.fetch --out DIR --tables diabetes adult

Three tables come with scikit-learn; the others are downloaded from StatLib and OpenML, which is the only time that
anything here uses the network. A table that the catalog of DIR has is not fetched again. Other versions of a table than
the one that results were measured on may differ in rows and columns: compare results only within a directory.
"""

import argparse
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from sklearn import datasets

from experiments.tables import CATALOG

Task = Literal["regression", "binary", "multiclass"]


@dataclass(frozen=True)
class Source:
    """Where a table comes from.

    Args:
        task: What its target is.
        load: Returns scikit-learn's bunch, whose frame has the features and the target.
        dropped: Columns to leave out, because they are known only after the target.
    """

    task: Task
    load: Callable[[], Any]
    dropped: tuple[str, ...] = ()


def openml(task: Task, name: str, version: int = 1, dropped: tuple[str, ...] = ()) -> Source:
    """Return a table of OpenML."""
    return Source(task, partial(datasets.fetch_openml, name, version=version, as_frame=True), dropped)


SOURCES: dict[str, Source] = {
    "diabetes": Source("regression", partial(datasets.load_diabetes, as_frame=True, scaled=False)),
    "wine": Source("multiclass", partial(datasets.load_wine, as_frame=True)),
    "breast_cancer": Source("binary", partial(datasets.load_breast_cancer, as_frame=True)),
    "california_housing": Source("regression", partial(datasets.fetch_california_housing, as_frame=True)),
    "abalone": openml("regression", "abalone"),
    "adult": openml("binary", "adult", version=2),
    "arrhythmia": openml("multiclass", "arrhythmia"),
    "bank32nh": openml("regression", "bank32nh"),
    "bank_marketing": openml("binary", "bank-marketing"),
    "bike_sharing_hour": openml("regression", "Bike_Sharing_Demand", version=2),
    "concrete_strength": openml("regression", "concrete_compressive_strength"),
    "cpu_act": openml("regression", "cpu_act"),
    "credit_default": openml("binary", "default-of-credit-card-clients"),
    "energy_efficiency": openml("regression", "energy_efficiency"),
    "fried": openml("regression", "fried"),
    "german_credit": openml("binary", "credit-g"),
    "heart_cleveland": openml("binary", "heart-c"),
    "house_16h": openml("regression", "house_16H"),
    "house_prices_kaggle": openml("regression", "house_prices", dropped=("Id",)),
    "letter": openml("multiclass", "letter"),
    "madelon": openml("binary", "madelon"),
    "mushroom": openml("binary", "mushroom"),
    "naval_compressor_decay": openml("regression", "naval_propulsion_plant"),
    "splice": openml("multiclass", "splice"),
    "steel_annealing": openml("multiclass", "anneal"),
    "titanic": openml("binary", "titanic", dropped=("boat", "body")),
    "waveform5000": openml("multiclass", "waveform-5000"),
    "wine_quality": openml("regression", "wine_quality"),
}


def loaded(source: Source) -> tuple[pd.DataFrame, str]:
    """Return a table and the name of its target.

    Raises:
        OSError: It cannot be downloaded.
        HTTPException: The same.
        ValueError: It has no target, or not the one that the task needs.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bunch = source.load()
    if bunch.target is None:
        raise ValueError("the table must name its target, got none")
    if source.task == "regression":
        pd.to_numeric(bunch.target)
    return bunch.frame.drop(columns=list(source.dropped)), str(bunch.target.name)


def fetch(directory: Path, sources: dict[str, Source]) -> int:
    """Write tables and the catalog; say in one line what cannot be had.

    Args:
        directory: Where they go; tables that its catalog has are left as they are.
        sources: Where the tables come from, by name.

    Returns:
        The number of these tables that the directory has.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / CATALOG
    catalog = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["name", "file", "target", "task"])
    for name, source in sources.items():
        if name in set(catalog["name"]):
            continue
        try:
            frame, target = loaded(source)
        except (OSError, ValueError, HTTPException) as error:
            reason = " ".join(str(error).split())
            print(f"could not fetch {name}: {reason}; name a folder with --data DIR or TABATTN_DATA", flush=True)
            continue
        frame.to_csv(directory / f"{name}.csv", index=False, lineterminator="\n")
        entry = {"name": name, "file": f"{name}.csv", "target": target, "task": source.task}
        catalog = pd.concat([catalog, pd.DataFrame([entry])], ignore_index=True)
        catalog.to_csv(path, index=False, lineterminator="\n")
        print(f"{name}: {len(frame)} rows, {frame.shape[1] - 1} columns", flush=True)
    return len(set(sources) & set(catalog["name"]))


def main(arguments: Sequence[str] | None = None, sources: dict[str, Source] = SOURCES) -> None:
    """Fetch what is asked for; the exit code is 1 if nothing could be had."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True, help="directory for the tables and their catalog")
    parser.add_argument("--tables", nargs="+", default=list(sources), choices=list(sources), metavar="NAME")
    options = parser.parse_args(arguments)
    n_tables = fetch(options.out, {name: sources[name] for name in options.tables})
    print(f"{n_tables} of {len(options.tables)} tables are in {options.out}")
    if not n_tables:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
