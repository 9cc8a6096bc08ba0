"""Tables to try things on: three of scikit-learn's, and two that are generated, whose drivers are known."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tabattn.errors import ParameterError, nearest

N_FRIEDMAN_ROWS = 2000
N_PROCESS_ROWS = 2500


@dataclass(frozen=True)
class Dataset:
    """A table.

    Args:
        target: Name of its target.
        what: What it is.
        make: Returns it, its target as the last column.
    """

    target: str
    what: str
    make: Callable[[], pd.DataFrame]


def load_dataset(name: str) -> pd.DataFrame:
    """Return a table, its target as the last column; nothing is fetched.

    The same versions of NumPy and scikit-learn give the same cells.

    Args:
        name: A key of `DATASETS`.

    Raises:
        ParameterError: There is no such table.

    Example:
        >>> load_dataset("process").shape, DATASETS["process"].target
        ((2500, 21), 'thickness_um')
    """
    if name not in DATASETS:
        raise ParameterError(
            f"The table must be one of {', '.join(DATASETS)}, got {name!r}. {nearest(name, DATASETS, 'tables')}"
        )
    return DATASETS[name].make()


def _diabetes() -> pd.DataFrame:
    """442 patients; the target is disease progression after one year."""
    from sklearn.datasets import load_diabetes

    table: pd.DataFrame = load_diabetes(as_frame=True, scaled=False).frame
    return table.rename(columns={"target": "progression"})


def _breast_cancer() -> pd.DataFrame:
    """569 tumours; the target is the diagnosis."""
    from sklearn.datasets import load_breast_cancer

    return _with_named_classes(load_breast_cancer(as_frame=True), "diagnosis")


def _wine() -> pd.DataFrame:
    """178 wines; the target is the cultivar."""
    from sklearn.datasets import load_wine

    return _with_named_classes(load_wine(as_frame=True), "cultivar")


def _friedman() -> pd.DataFrame:
    """Friedman 1991, equation 61: five drivers, five columns that drive nothing, noise of standard deviation 1."""
    rng = np.random.default_rng(1991)
    x = rng.uniform(size=(N_FRIEDMAN_ROWS, 10))
    signal = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    table = pd.DataFrame(x, columns=[f"x{i}" for i in range(1, 11)]).round(6)
    table["y"] = (signal + rng.normal(size=N_FRIEDMAN_ROWS)).round(6)
    return table


def _process() -> pd.DataFrame:
    """An invented coating line: 20 process factors, of which six drive the layer thickness; see data/README.md."""
    rng = np.random.default_rng(20)
    n = N_PROCESS_ROWS
    ambient = rng.normal(size=n)
    line_speed = rng.normal(42.0, 3.0, n)
    oven_temperature = rng.normal(185.0, 6.0, n)
    viscosity = rng.normal(820.0, 60.0, n) - 12.0 * ambient
    pump_pressure = rng.normal(3.2, 0.35, n)
    supplier = rng.choice(["Alpha", "Beta", "Gamma"], n, p=[0.5, 0.3, 0.2])
    nozzle_age = rng.gamma(2.0, 90.0, n)
    table = pd.DataFrame(
        {
            "line_speed_m_min": line_speed,
            "oven_temperature_c": oven_temperature,
            "oven_temperature_backup_c": oven_temperature + rng.normal(0.0, 4.0, n),
            "oven_humidity_pct": 38.0 - 0.25 * (oven_temperature - 185.0) + rng.normal(0.0, 4.0, n),
            "viscosity_mpas": viscosity,
            "resin_temperature_c": 23.0 + 1.5 * ambient + rng.normal(0.0, 0.8, n),
            "pump_pressure_bar": pump_pressure,
            "pump_current_a": 11.0 + 1.2 * (pump_pressure - 3.2) + rng.normal(0.0, 0.9, n),
            "resin_supplier": supplier,
            "nozzle_age_h": nozzle_age,
            "ambient_temperature_c": 21.0 + 2.0 * ambient,
            "ambient_humidity_pct": 50.0 - 5.0 * ambient + rng.normal(0.0, 6.0, n),
            "web_tension_n": rng.normal(120.0, 9.0, n),
            "roller_gap_um": rng.normal(310.0, 8.0, n),
            "shift": rng.choice(["early", "late", "night"], n),
            "operator": rng.choice([f"op{i:02d}" for i in range(1, 13)], n),
            "cleaned_before_run": rng.random(n) < 0.3,
            "batch_mass_kg": rng.normal(500.0, 25.0, n),
            "vibration_mm_s": rng.lognormal(0.2, 0.4, n),
            "exhaust_flow_m3_h": rng.normal(900.0, 55.0, n),
        }
    )
    hot, fast = (oven_temperature - 185.0) / 6.0, (line_speed - 42.0) / 3.0
    thickness = (
        60.0
        - 4.0 * fast
        + 3.0 * (pump_pressure - 3.2) / 0.35
        + 2.5 * (viscosity - 820.0) / 60.0
        - 2.2 * hot * fast
        + 1.8 * (hot**2 - 1.0)
        + np.select([supplier == "Beta", supplier == "Gamma"], [3.0, -3.0], 0.0)
        - 3.0 * np.clip(nozzle_age / 250.0 - 0.6, 0.0, None)
        + rng.normal(0.0, 1.5, n)
    )
    table = table.round(3)
    for name, share in {"viscosity_mpas": 0.04, "web_tension_n": 0.08, "operator": 0.05, "vibration_mm_s": 0.2}.items():
        table[name] = table[name].mask(rng.random(n) < share)
    table["thickness_um"] = thickness.round(3)
    return table


def _with_named_classes(bunch: object, target: str) -> pd.DataFrame:
    table: pd.DataFrame = bunch.frame.rename(columns={"target": target})  # type: ignore[attr-defined]
    table[target] = table[target].map(dict(enumerate(bunch.target_names)))  # type: ignore[attr-defined]
    return table


DATASETS = {
    "process": Dataset(
        "thickness_um", "2,500 runs of an invented coating line, 20 factors of which six drive the thickness", _process
    ),
    "friedman": Dataset("y", "2,000 rows, five drivers and five columns of noise (Friedman 1991)", _friedman),
    "diabetes": Dataset("progression", "442 patients, 10 columns (Efron et al. 2004)", _diabetes),
    "breast_cancer": Dataset("diagnosis", "569 tumours, 30 columns, two classes (UCI)", _breast_cancer),
    "wine": Dataset("cultivar", "178 wines, 13 columns, three classes (UCI)", _wine),
}
