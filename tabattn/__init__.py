"""Which columns X of a table drive Y, by how much, and can that ranking be trusted?"""

from tabattn.estimator import TabAttnClassifier, TabAttnRegressor
from tabattn.explanation import Explanation, explain
from tabattn.loading import load
from tabattn.ranking import Ranking, rank
from tabattn.version import __version__

__all__ = [
    "Explanation",
    "Ranking",
    "TabAttnClassifier",
    "TabAttnRegressor",
    "__version__",
    "explain",
    "load",
    "rank",
]
