"""Predictions of rows in which some columns at a time are those of another row.

All swaps of a row are computed together inside the model, from tokens that are embedded once. On wide tables most swaps
are expanded around the row as it is (`tabattn.nn.expansion`), and only those that move the attention to other columns
too far for that are computed in full.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tabattn.importance.limits import ReadLimits
from tabattn.nn.attention import ColumnSwaps
from tabattn.nn.encoder import ClassAttentionEncoder
from tabattn.nn.model import TabAttnModel
from tabattn.nn.tokens import Cells

MIN_SWAP_ROWS = 8
EXPANDED_FROM = 1_000
MAX_SPREAD = 1e-3

Unit = Sequence[int]


def predict_swapped(
    model: TabAttnModel, cells: Cells, others: Cells, units: Sequence[Unit], limits: ReadLimits, device: torch.device
) -> Iterator[Float[Tensor, "row unit output"]]:
    """Predict rows in which one unit of columns at a time is that of another row.

    From 1,000 columns on, a swap of the class-attention encoder is expanded around the row as it is, where the variance
    by which it moves attention scores over columns is at most .001 in the mean of the rows. Decreases of the score are
    then those in full to within a hundredth of their standard deviation over columns, as `experiments.expansion`
    measured.

    Args:
        model: The model, on the device.
        cells: The rows.
        others: For each row, the other row.
        units: For each unit, the places of its columns in the order of the model.
        limits: How much to hold in memory at once.
        device: Where to compute.

    Yields:
        Averages of the members, for a few units after each other, in double precision.
    """
    if not isinstance(model.encoder, ClassAttentionEncoder) or model.shape.n_columns < EXPANDED_FROM:
        yield from swapped_in_full(model, cells, others, units, limits, device)
        return
    for block in _blocks(units, limits.max_elements // (len(cells) * model.shape.n_outputs)):
        predicted, is_near = _swapped_nearly(model, cells, others, block, limits, device)
        far = (~is_near).nonzero().flatten()
        if len(far) > 0:
            in_full = swapped_in_full(model, cells, others, [block[number] for number in far], limits, device)
            predicted[:, far] = torch.cat(list(in_full), dim=1)
        yield predicted


def swapped_in_full(
    model: TabAttnModel, cells: Cells, others: Cells, units: Sequence[Unit], limits: ReadLimits, device: torch.device
) -> Iterator[Float[Tensor, "row unit output"]]:
    """Predict what `predict_swapped` predicts, no swap expanded."""
    shape = model.shape
    n_numbers = max(len(cells) * shape.n_outputs, MIN_SWAP_ROWS * shape.n_numbers_per_swap)
    for block in _blocks(units, limits.max_elements // n_numbers):
        swaps = _swaps_of(block, device)
        n_rows = max(1, limits.max_swap_elements // (len(block) * shape.n_numbers_per_swap))
        parts = []
        for rows in _slices(len(cells), n_rows):
            with torch.inference_mode(mode=False), torch.no_grad():
                tokens, theirs = (model.embed(each.take(rows).to(device)) for each in (cells, others))
                parts.append(_averaged(model, model.swap_columns(tokens, theirs, swaps)))
        yield torch.cat(parts)


def _swapped_nearly(
    model: TabAttnModel, cells: Cells, others: Cells, units: Sequence[Unit], limits: ReadLimits, device: torch.device
) -> tuple[Float[Tensor, "row unit output"], Bool[Tensor, " unit"]]:
    """Predict with all swaps expanded, and return for which units that is near enough."""
    shape = model.shape
    n_stream_numbers = shape.n_members * shape.n_heads * shape.d_token
    n_rows = max(1, limits.max_swap_elements // (n_stream_numbers * shape.d_token))
    n_units = max(1, limits.max_swap_elements // (n_stream_numbers * n_rows))
    parts, total_spread = [], torch.zeros(len(units))
    for rows in _slices(len(cells), n_rows):
        with torch.inference_mode(mode=False), torch.no_grad():
            tokens, theirs = (model.embed(each.take(rows).to(device)) for each in (cells, others))
            swap = model.expanded_swaps(tokens, theirs)
            pairs = [swap(_swaps_of(block, device)) for block in _blocks(units, n_units)]
        parts.append(torch.cat([_averaged(model, predicted) for predicted, _ in pairs], dim=1))
        total_spread += torch.cat([spread.sum(dim=0).cpu() for _, spread in pairs])
    predicted = torch.cat(parts)
    is_finite = predicted.isfinite().all(dim=2).all(dim=0)
    return predicted, is_finite & (total_spread <= MAX_SPREAD * len(cells))


def _averaged(
    model: TabAttnModel, outputs: Float[Tensor, "row unit member output"]
) -> Float[Tensor, "row unit output"]:
    averaged = model.loss.average(outputs.flatten(0, 1).double())
    by_row: Tensor = averaged.unflatten(0, outputs.shape[:2])
    return by_row.cpu()


def _swaps_of(units: Sequence[Unit], device: torch.device) -> ColumnSwaps:
    pairs = [(column, number) for number, columns in enumerate(units) for column in columns]
    columns, numbers = torch.tensor(pairs, device=device).reshape(-1, 2).T
    return ColumnSwaps(columns, numbers, len(units))


def _blocks(units: Sequence[Unit], n_at_once: int) -> Iterator[Sequence[Unit]]:
    for some in _slices(len(units), max(1, n_at_once)):
        yield units[some]


def _slices(n: int, size: int) -> Iterator[slice]:
    for start in range(0, n, size):
        yield slice(start, start + size)
