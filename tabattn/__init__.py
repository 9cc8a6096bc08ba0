"""Which columns X of a table drive Y, by how much, and can that ranking be trusted?"""

import random
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from tabattn.version import __version__

if TYPE_CHECKING:
    from tabattn.comparing import ImportanceComparison, compare, compare_importances
    from tabattn.datasets import load_dataset
    from tabattn.estimator import TabAttnClassifier, TabAttnRegressor
    from tabattn.explanation import Explanation, explain
    from tabattn.loading import load
    from tabattn.prediction import predict
    from tabattn.ranking import rank
    from tabattn.ranking_results import Ranking
    from tabattn.rankings import Rankings, rank_targets

__all__ = [
    "Explanation",
    "ImportanceComparison",
    "Ranking",
    "Rankings",
    "TabAttnClassifier",
    "TabAttnRegressor",
    "__version__",
    "compare",
    "compare_importances",
    "explain",
    "load",
    "load_dataset",
    "predict",
    "rank",
    "rank_targets",
]

_MODULES = {
    "Explanation": "explanation",
    "ImportanceComparison": "comparing",
    "Ranking": "ranking_results",
    "Rankings": "rankings",
    "TabAttnClassifier": "estimator",
    "TabAttnRegressor": "estimator",
    "compare": "comparing",
    "compare_importances": "comparing",
    "explain": "explanation",
    "load": "loading",
    "load_dataset": "datasets",
    "predict": "prediction",
    "rank": "ranking",
    "rank_targets": "rankings",
}


def __getattr__(name: str) -> Any:
    """Import what is public when it is first asked for (PEP 562), so that the command line can answer at once."""
    if name in _MODULES:
        state = random.getstate()  # which torch draws from when it is imported
        try:
            value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        finally:
            random.setstate(state)
        globals()[name] = value
        return value
    if find_spec(f"{__name__}.{name}") is not None:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
