"""How long the phases of a job are expected to take, before any of them has begun.

Rough: seconds of one core of the machine that `experiments.phases` was measured on. `Job` corrects them as it runs.
"""

from tabattn.choices import Method
from tabattn.importance.contribution import GAUSS, n_parts
from tabattn.importance.reader import N_PAIRS, n_draws_of, n_orders_of
from tabattn.importance.shapley import N_DONORS
from tabattn.nn.model import ModelShape
from tabattn.training.settings import EXPECTED_EPOCHS

MILLISECONDS_PER_ROW, MILLISECONDS_PER_TOKEN = 0.014, 0.00125
MICROSECONDS_PER_SWAP, MICROSECONDS_PER_SWAPPED_TOKEN = 60.0, 0.45
SCORES_PER_SWAP, SHAPLEY_PER_SWAP = 7.0, 1.5
MAX_SHAPLEY_STEPS, MIN_SHAPLEY_ROWS = 50_000, 100
REFERENCE_MEMBERS, REFERENCE_WIDTH, REFERENCE_LAYERS = 8, 64, 3
MIXING_FACTOR = 6.0


def expected_training(shape: ModelShape, n_rows: int, max_epochs: int) -> float:
    """Return the seconds that training is expected to take.

    Args:
        shape: Sizes of the model.
        n_rows: Number of rows to fit.
        max_epochs: Passes over them at most.
    """
    tokens = MILLISECONDS_PER_TOKEN * shape.n_columns * shape.n_groups
    if shape.mixes_columns:
        tokens = MIXING_FACTOR * MILLISECONDS_PER_ROW * shape.n_columns
    per_row = MILLISECONDS_PER_ROW * shape.n_members + tokens
    return min(max_epochs, EXPECTED_EPOCHS) * n_rows * per_row * _size(shape) / 1e3


def expected_shuffles(shape: ModelShape, n_rows: int, n_repeats: float) -> float:
    """Return the seconds that permutation importance is expected to take.

    Args:
        shape: Sizes of the model.
        n_rows: Number of rows that are permuted.
        n_repeats: Permutations of each column, in the mean.
    """
    per_token = MICROSECONDS_PER_SWAPPED_TOKEN * (MIXING_FACTOR if shape.mixes_columns else 1.0)
    per_swap = (MICROSECONDS_PER_SWAP + per_token * shape.n_columns) * shape.n_members / REFERENCE_MEMBERS
    return n_rows * n_repeats * shape.n_columns * per_swap * _size(shape) / 1e6


def n_scored_rows(shape: ModelShape, n_rows: int, method: Method) -> int:
    """Return how many of some rows are scored for a ranking: for Shapley values fewer where there are many columns.

    Args:
        shape: Sizes of the model.
        n_rows: Number of rows.
        method: How to score.
    """
    if method != "shapley":
        return n_rows
    return min(n_rows, max(MIN_SHAPLEY_ROWS, MAX_SHAPLEY_STEPS // max(1, shape.n_columns)))


def expected_additive(shape: ModelShape, n_rows: int, n_background: int) -> float:
    """Return the seconds that values that add up to the predictions are expected to take.

    Args:
        shape: Sizes of the model.
        n_rows: Number of rows.
        n_background: Number of background rows that each is compared with.
    """
    return SHAPLEY_PER_SWAP * expected_shuffles(shape, n_rows, n_background)


def expected_scores(shape: ModelShape, n_rows: int, method: Method) -> float:
    """Return the seconds that scores are expected to take.

    Args:
        shape: Sizes of the model.
        n_rows: Number of rows that are scored.
        method: How to score.
    """
    if method == "shapley":
        return SHAPLEY_PER_SWAP * expected_shuffles(shape, n_rows, 2 * N_DONORS * n_orders_of(n_rows))
    if method == "conditional":
        return expected_shuffles(shape, n_rows, n_draws_of(n_rows))
    if method == "swap":
        return expected_shuffles(shape, max(n_rows, N_PAIRS), 1)
    n_passes = len(GAUSS) * n_parts(shape.n_columns) if method == "contribution" else 1
    return n_passes * SCORES_PER_SWAP * expected_shuffles(shape, max(n_rows, N_PAIRS), 1) / max(shape.n_columns, 1)


def _size(shape: ModelShape) -> float:
    """Return how much larger than the default a model is, in proportion to the time it takes."""
    return shape.d_token / REFERENCE_WIDTH * shape.n_layers / REFERENCE_LAYERS
