"""Tables whose drivers are known, by the formulas of the papers that published results on them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]
Noise = Literal["random", "corrupted", "products"]
RING_RADIUS = 0.35
RING_WIDTH = 0.1151
RING_XOR_WIDTH = 0.0704
XOR_MARGIN = 0.0337


@dataclass(frozen=True)
class KnownTable:
    """A table and what drives its target.

    Args:
        X: Features.
        y: Class codes.
        is_driver: For each row and column, whether the target of the row depends on the column.
    """

    X: pd.DataFrame
    y: Array
    is_driver: np.ndarray[tuple[int, int], np.dtype[np.bool_]]


def _odds_1(x: Array) -> Array:
    odds: Array = np.exp(x[:, 0] * x[:, 1])
    return odds


def _odds_2(x: Array) -> Array:
    odds: Array = np.exp((x[:, 2:6] ** 2).sum(axis=1) - 4.0)
    return odds


def _odds_3(x: Array) -> Array:
    odds: Array = np.exp(-10 * np.sin(0.2 * x[:, 6]) + np.abs(x[:, 7]) + x[:, 8] + np.exp(-x[:, 9]) - 2.4)
    return odds


_SIMPLE: Mapping[str, tuple[Callable[[Array], Array], tuple[int, ...]]] = {
    "Syn1": (_odds_1, (0, 1)),
    "Syn2": (_odds_2, (2, 3, 4, 5)),
    "Syn3": (_odds_3, (6, 7, 8, 9)),
}
_SWITCHED: Mapping[str, tuple[str, str]] = {
    "Syn4": ("Syn1", "Syn2"),
    "Syn5": ("Syn1", "Syn3"),
    "Syn6": ("Syn2", "Syn3"),
}
_SWITCH = 10
SYN_NAMES = (*_SIMPLE, *_SWITCHED)


def syn(name: str, n_rows: int, n_columns: int, seed: int) -> KnownTable:
    """Draw one of the six tables of INVASE.

    Args:
        name: "Syn1" to "Syn6".
        n_rows: Number of rows.
        n_columns: Number of columns, at least 11; those that drive nothing are standard normal like the others.
        seed: Seed of the draw.

    Returns:
        The table. In Syn4 to Syn6 the sign of the eleventh column decides by row which columns drive the target.

    Source: Yoon, Jordon, van der Schaar 2019 (INVASE, ICLR), section 5.1.
    """
    random = np.random.default_rng(seed)
    x = random.standard_normal((n_rows, n_columns))
    is_driver: Array = np.zeros((n_rows, n_columns), dtype=bool)
    if name in _SIMPLE:
        formula, drivers = _SIMPLE[name]
        odds = formula(x)
        is_driver[:, drivers] = True
    else:
        below, above = (_SIMPLE[part] for part in _SWITCHED[name])
        is_below = x[:, _SWITCH] < 0
        odds = np.where(is_below, below[0](x), above[0](x))
        for (_, drivers), rows in ((below, is_below), (above, ~is_below)):
            is_driver[np.ix_(np.flatnonzero(rows), np.array(drivers))] = True
        is_driver[:, _SWITCH] = True
    y = (random.random(n_rows) < 1 / (1 + odds)).astype(int)
    return KnownTable(_frame(x), y, is_driver)


def small_and_wide(name: Literal["ring", "xor", "ring+xor"], n_rows: int, n_columns: int, seed: int) -> KnownTable:
    """Draw a small table with many columns, of which two or four decide the class without noise.

    Args:
        name: Which formula.
        n_rows: Number of rows.
        n_columns: Number of columns, uniform between 0 and 1.
        seed: Seed of the draw.

    Source: Passemiers et al. 2023 (arXiv 2304.02383), section 3.
    """
    x = np.random.default_rng(seed).random((n_rows, n_columns))
    drivers: tuple[int, ...] = (0, 1)
    distance = np.abs(np.hypot(x[:, 0] - 0.5, x[:, 1] - 0.5) - RING_RADIUS)
    if name == "ring":
        y = distance <= RING_WIDTH
    elif name == "xor":
        y = (x[:, 0] - 0.5) * (0.5 - x[:, 1]) >= 0
    else:
        y, drivers = (distance <= RING_XOR_WIDTH) | ((x[:, 2] - 0.5) * (0.5 - x[:, 3]) >= XOR_MARGIN), (0, 1, 2, 3)
    is_driver: Array = np.zeros((n_rows, n_columns), dtype=bool)
    is_driver[:, drivers] = True
    return KnownTable(_frame(x), y.astype(int), is_driver)


def with_noise(X: pd.DataFrame, kind: Noise, seed: int) -> pd.DataFrame:
    """Add as many columns that say nothing new as there are numeric ones.

    Args:
        X: A table.
        kind: "random" for standard normal columns; "corrupted" for half a column plus as much noise of its standard
            deviation; "products" for products of two columns drawn at random.
        seed: Seed of the draw.

    Returns:
        The table with columns named added_1, added_2, ...

    Source: Cherepanova et al. 2023 (arXiv 2311.05877), section 3.
    """
    random = np.random.default_rng(seed)
    numbers = X.select_dtypes("number").astype(float)
    x = numbers.fillna(numbers.median()).to_numpy()
    if kind == "random":
        added = random.standard_normal(x.shape)
    elif kind == "corrupted":
        added = 0.5 * x + 0.5 * x.std(axis=0) * random.standard_normal(x.shape)
    else:
        pairs = np.array([random.choice(x.shape[1], size=2, replace=False) for _ in range(x.shape[1])])
        added = x[:, pairs[:, 0]] * x[:, pairs[:, 1]]
    names = [f"added_{i}" for i in range(1, x.shape[1] + 1)]
    return pd.concat([X, pd.DataFrame(added, columns=names, index=X.index)], axis=1)


def _frame(x: Array) -> pd.DataFrame:
    return pd.DataFrame(x, columns=[f"x{i}" for i in range(1, x.shape[1] + 1)])
