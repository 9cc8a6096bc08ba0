"""The whole job of another package in a process of its own, for `experiments.whole_job`: read, fit, rank the columns.

    python experiments/whole_job_worker.py NAME FILE      # NAME is a key of JOBS

FILE is a pickle of what `experiments.whole_job` wrote. The answer is a JSON line: the score on the held-out rows,
how many shuffles there were and how long they took. This
file imports nothing of the project, so that nobody pays for what others import.
"""

import json
import pickle
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

N_REPEATS = 10
FOREST_REPEATS = 2


def lightgbm(parts: dict[str, Any]) -> dict[str, float]:
    """LightGBM's defaults and scikit-learn's permutation importance with 10 shuffles."""
    import lightgbm as lgb

    model = lgb.LGBMRegressor if parts["is_regression"] else lgb.LGBMClassifier
    return _permuted(model(verbose=-1, n_jobs=1, random_state=0), parts, N_REPEATS)


def random_forest(parts: dict[str, Any]) -> dict[str, float]:
    """scikit-learn's random forest on codes and permutation importance with 2 shuffles."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    model = RandomForestRegressor if parts["is_regression"] else RandomForestClassifier
    return _permuted(model(n_jobs=1, random_state=0), _as_codes(parts), FOREST_REPEATS)


def catboost(parts: dict[str, Any]) -> dict[str, float]:
    """CatBoost's defaults and its exact SHAP values of the held-out rows."""
    import catboost as cb

    parts = _as_codes(parts)
    model = cb.CatBoostRegressor if parts["is_regression"] else cb.CatBoostClassifier
    fitted = model(thread_count=1, random_seed=0, allow_writing_files=False, verbose=False)
    fitted.fit(parts["X_train"], parts["y_train"])
    fitted.get_feature_importance(cb.Pool(parts["X_test"], parts["y_test"]), type="ShapValues", thread_count=1)
    return _answer(fitted, parts)


JOBS: Mapping[str, Callable[[dict[str, Any]], dict[str, float]]] = {
    "lightgbm": lightgbm,
    "catboost": catboost,
    "random_forest": random_forest,
}


def _permuted(model: Any, parts: dict[str, Any], n_repeats: int) -> dict[str, float]:
    from sklearn.inspection import permutation_importance
    from sklearn.metrics import log_loss

    def all_classes(fitted: Any, X: Any, y: Any) -> float:
        """Minus the log loss, also where a class is absent from the test rows."""
        return -float(log_loss(y, fitted.predict_proba(X), labels=fitted.classes_))

    model.fit(parts["X_train"], parts["y_train"])
    scoring, start = "r2" if parts["is_regression"] else all_classes, time.process_time()
    permutation_importance(
        model, parts["X_test"], parts["y_test"], scoring=scoring, n_repeats=n_repeats, random_state=0, n_jobs=1
    )
    return _answer(model, parts, n_repeats, time.process_time() - start)


def _answer(model: Any, parts: dict[str, Any], n_repeats: int = N_REPEATS, shuffling: float = 0.0) -> dict[str, float]:
    score = float(model.score(parts["X_test"], parts["y_test"]))
    return {"score": score, "n_repeats": n_repeats, "n_wanted": N_REPEATS, "shuffling": shuffling}


def _as_codes(parts: dict[str, Any]) -> dict[str, Any]:
    """Replace categories by their codes and missing cells by -1."""

    def coded(X: Any) -> Any:
        codes = {name: X[name].cat.codes if X[name].dtype == "category" else X[name] for name in X.columns}
        return X.assign(**codes).astype(float).fillna(-1)

    return parts | {name: coded(parts[name]) for name in ("X_train", "X_test")}


if __name__ == "__main__":
    print(json.dumps(JOBS[sys.argv[1]](pickle.loads(Path(sys.argv[2]).read_bytes()))))
