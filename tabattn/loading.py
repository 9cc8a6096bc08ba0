"""A saved model in, a fitted estimator out."""

from pathlib import Path

import torch

from tabattn.encoding.target import NumberEncoding
from tabattn.errors import MixedResultsWarning, ModelFileError, warn_all
from tabattn.estimator import TabAttnClassifier, TabAttnRegressor
from tabattn.files import MANIFEST, unfinished
from tabattn.fitted.model import FittedModel
from tabattn.fitted.state import parameters_from_json
from tabattn.nn.torch_state import torch_defaults
from tabattn.parameters import check_parameters


@torch_defaults()
def load(path: str | Path) -> TabAttnRegressor | TabAttnClassifier:
    """Read an estimator that `save` wrote.

    Nothing is unpickled and nothing in the file is run. On the same machine the estimator predicts and reads attention
    bit for bit as the one that was saved.

    Args:
        path: The file.

    Returns:
        The fitted estimator.

    Raises:
        ModelFileError: The file is not a saved estimator, was damaged, or was written by a later version.

    Warns:
        MixedResultsWarning: Beside the file is the manifest of a run, which wrote another one.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> import pandas as pd
        >>> X = pd.DataFrame({"heat": np.arange(40.0), "line": ["A", "B"] * 20})
        >>> est = TabAttnRegressor(n_members=2, d_token=8, max_epochs=3, random_state=0).fit(X, X["heat"])
        >>> path = Path(tempfile.mkdtemp(), "model.tabattn")
        >>> est.save(path)
        >>> bool((load(path).predict(X) == est.predict(X)).all())
        True
    """
    try:
        fitted, about = FittedModel.load(Path(path))
        estimator = {each.__name__: each for each in (TabAttnRegressor, TabAttnClassifier)}[about["estimator"]]
        parameters = parameters_from_json(about["parameters"])
        if parameters.get("device") == "cuda" and not torch.cuda.is_available():
            parameters["device"] = "auto"
        loaded = estimator(**parameters)
        check_parameters(loaded.get_params(deep=False))
        if isinstance(fitted.encoder.target, NumberEncoding) != isinstance(loaded, TabAttnRegressor):
            raise ValueError("the target does not belong to this estimator")
        loaded = loaded.with_model(fitted)
    except ModelFileError:
        raise
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, OverflowError, RuntimeError) as error:
        raise ModelFileError(
            f"The model must be as est.save() wrote it, got {str(path)!r}, whose parts do not fit together. "
            "Save it again."
        ) from error
    path = Path(path)
    if (path.parent / MANIFEST).exists() and path.name in unfinished(path.parent):
        message = f"{str(path)!r} is not the model that the run of {MANIFEST} beside it wrote. Run `rank` again."
        warn_all([MixedResultsWarning(message)])
    return loaded
