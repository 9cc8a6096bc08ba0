"""One whole fit in a process of its own, for `experiments.whole_fit`.

    python -m experiments.fit_worker NAME DIRECTORY      # NAME is a key of CONTENDERS

DIRECTORY holds train.csv, validation.csv and test.csv with the target last. The answer is a JSON line: the seconds that
fitting took, without reading and importing, and the RMSE on the test rows. The other packages are imported inside,
because each environment has some of them only.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Parts:
    """The rows of a table, target last."""

    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame

    @property
    def target(self) -> str:
        """Name of the target."""
        return str(self.train.columns[-1])

    def features(self, part: pd.DataFrame) -> pd.DataFrame:
        """Return the features of a part."""
        return part.drop(columns=self.target)


Fit = Callable[[Parts], Callable[[], Any]]


def tabattn(parts: Parts, n_members: int, **changes: Any) -> Callable[[], Any]:
    """This project's defaults; it holds out as many rows as the others validate on, but at most 2,048."""
    from tabattn import TabAttnRegressor

    table = pd.concat([parts.train, parts.validation])
    model = TabAttnRegressor(
        n_members=n_members,
        random_state=0,
        validation_fraction=len(parts.validation) / len(table),
        device="cpu",
        **changes,
    )
    model.fit(parts.features(table), table[parts.target])
    return lambda: model.predict(parts.features(parts.test))


def deeptab(parts: Parts) -> Callable[[], Any]:
    """FTTransformerRegressor of deeptab with its defaults."""
    from deeptab.models import FTTransformerRegressor

    model = FTTransformerRegressor()
    model.fit(
        parts.features(parts.train),
        parts.train[parts.target].to_numpy(),
        X_val=parts.features(parts.validation),
        y_val=parts.validation[parts.target].to_numpy(),
    )
    return lambda: model.predict(parts.features(parts.test))


def pytorch_tabular(parts: Parts) -> Callable[[], Any]:
    """FTTransformer of pytorch-tabular with its defaults."""
    from pytorch_tabular import TabularModel
    from pytorch_tabular.config import DataConfig, OptimizerConfig, TrainerConfig
    from pytorch_tabular.models import FTTransformerConfig

    model = TabularModel(
        data_config=DataConfig(target=[parts.target], continuous_cols=list(parts.features(parts.train).columns)),
        model_config=FTTransformerConfig(task="regression"),
        optimizer_config=OptimizerConfig(),
        trainer_config=TrainerConfig(),
        verbose=False,
    )
    model.fit(train=parts.train, validation=parts.validation)
    return lambda: model.predict(parts.test)[f"{parts.target}_prediction"]


CONTENDERS: Mapping[str, Fit] = {
    "tabattn, 1 member, 12 epochs": lambda parts: tabattn(parts, 1, max_epochs=12),
    "tabattn, 1 member": lambda parts: tabattn(parts, 1),
    "tabattn, 8 members": lambda parts: tabattn(parts, 8),
    "deeptab, default": deeptab,
    "pytorch-tabular, default": pytorch_tabular,
}


MODULES: Mapping[str, str] = {
    "tabattn, 1 member, 12 epochs": "tabattn",
    "tabattn, 1 member": "tabattn",
    "tabattn, 8 members": "tabattn",
    "deeptab, default": "deeptab.models",
    "pytorch-tabular, default": "pytorch_tabular",
}


def main() -> None:
    """Fit, predict and answer."""
    name, directory = sys.argv[1], Path(sys.argv[2])
    parts = Parts(*(pd.read_csv(directory / f"{part}.csv") for part in ("train", "validation", "test")))
    answers = sys.stdout
    sys.stdout = sys.stderr
    importlib.import_module(MODULES[name])
    start = time.perf_counter()
    predict = CONTENDERS[name](parts)
    seconds = time.perf_counter() - start
    error = np.asarray(predict()).ravel() - parts.test[parts.target].to_numpy()
    print(json.dumps({"seconds": seconds, "rmse": float(np.sqrt((error**2).mean()))}), file=answers, flush=True)


if __name__ == "__main__":
    main()
