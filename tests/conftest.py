"""Tables and helpers that many tests share."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from tabattn.cli import app
from tabattn.nn.model import ModelShape
from tabattn.nn.tokens import CellLayout

FAST: dict[str, Any] = {
    "n_layers": 1,
    "n_members": 2,
    "n_heads": 2,
    "d_token": 8,
    "max_epochs": 20,
    "batch_size": 32,
    "learning_rate": 1e-2,
}
DATA = Path(__file__).parents[1] / "data"
FILES = {
    "manifest.json",
    "report.html",
    "report.json",
    "report.md",
    "importance.csv",
    "comparison.csv",
    "diagnostics.csv",
    "importance_of_clusters.csv",
    "importance_without_leaks.csv",
    "importance_by_class.csv",
    "importance_by_level.csv",
    "training_attention.csv",
    "effects.csv",
    "interactions.csv",
    "sufficient_set.csv",
    "associations.csv",
    "model.tabattn",
    *(
        f"plots/{name}{suffix}"
        for name in ("importance", "ranks", "agreement", "attention", "training", "effects", "clusters")
        for suffix in (".png", ".svg")
    ),
}


class Done(NamedTuple):
    code: int
    out: str
    err: str


def run(*arguments: str) -> Done:
    """Run the command line in this process; an exception that is no exit is a defect and is raised."""
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    return Done(result.exit_code, result.stdout, result.stderr)


def files(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


@pytest.fixture(autouse=True)
def the_same_random_numbers_in_any_order() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def mixed() -> pd.DataFrame:
    """300 rows: `heat` and `line` drive the target `y`; numbers, categories and booleans with missing cells."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "heat": rng.normal(size=300),
            "line": rng.choice(["A", "B", "C"], 300),
            "noise": rng.normal(size=300),
            "flag": rng.random(300) < 0.5,
        }
    )
    table["y"] = 2 * table["heat"] + table["line"].map({"A": -2.0, "B": 0.0, "C": 2.0}) + 0.1 * rng.normal(size=300)
    table.loc[::17, "noise"] = np.nan
    table.loc[::19, "line"] = None
    return table


def small_shape(**changes: Any) -> ModelShape:
    """A model with 2 numeric columns and a categorical one."""
    layout = {"n_numeric": 2, "n_parts": (), "n_levels": (3,)}
    layout |= {name: changes.pop(name) for name in tuple(layout) if name in changes}
    sizes: dict[str, Any] = {
        "encoder": "class",
        "layout": CellLayout(**layout),  # type: ignore[arg-type]
        "loss": "squared",
        "quantile": 0.5,
        "n_outputs": 1,
        "n_layers": 2,
        "n_members": 3,
        "n_groups": 1,
        "n_heads": 2,
        "d_token": 8,
        "attention_dropout": 0.5,
        "ffn_dropout": 0.5,
    }
    return ModelShape(**(sizes | changes))
