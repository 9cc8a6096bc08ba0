"""Read a fitted model: batch after batch of rows, in memory that does not grow with their number."""

import copy
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from tabattn.arrays import Array
from tabattn.choices import Method
from tabattn.errors import ParameterError
from tabattn.importance.aggregation import Scores, normalize_scores
from tabattn.importance.background import Background, read_background
from tabattn.importance.conditional import conditional_draws
from tabattn.importance.limits import ReadLimits
from tabattn.importance.methods import METHODS, ScoringInputs
from tabattn.importance.shapley import N_DONORS, additive_values
from tabattn.importance.swapping import predict_swapped
from tabattn.importance.units import Units
from tabattn.nn.losses import Target
from tabattn.nn.model import TabAttnModel
from tabattn.nn.tokens import Cells

BLOCK_ROWS = 32
N_PAIRS, MAX_BASELINE_ROWS = 1_024, 64
N_DRAWN_ROWS, MIN_DRAWS, MAX_DRAWS, N_FOLDS = 4_096, 2, 64, 4
MAX_ORDERS = 8
MIN_BLOCKS, MAX_BLOCKS = 5, 20
MAX_BACKGROUND_ELEMENTS = 32_000_000


@dataclass(frozen=True)
class Reader:
    """A model and its background rows.

    Args:
        model: The model, on the CPU.
        background: Rows that it was fitted on, which others are compared with.
        device: Where to compute.
        limits: How much to hold in memory at once.
    """

    model: TabAttnModel
    background: Cells
    device: torch.device
    limits: ReadLimits = field(default_factory=ReadLimits)

    def read(self, cells: Cells, function: Callable[[TabAttnModel, Cells, slice], Tensor]) -> Iterator[Tensor]:
        """Apply a function to batches of rows.

        Args:
            cells: The rows.
            function: Takes the model, a batch on its device, and which rows these are.

        Yields:
            What the function returned, on the CPU.
        """
        for values in self._map(self._model_on_device(), cells, function):
            yield values.cpu()

    def _model_on_device(self) -> TabAttnModel:
        return self.model if self.device.type == "cpu" else copy.deepcopy(self.model).to(self.device)

    def _map(
        self, model: TabAttnModel, cells: Cells, function: Callable[[TabAttnModel, Cells, slice], Tensor]
    ) -> Iterator[Tensor]:
        n_rows = self._n_read_rows()
        for start in range(0, len(cells), n_rows):
            rows = slice(start, min(start + n_rows, len(cells)))
            with torch.inference_mode(mode=False), torch.no_grad():
                values = function(model, cells.take(rows).to(self.device), rows)
            yield values

    def predict(self, cells: Cells) -> Float[Tensor, "row member output"]:
        """Predict in blocks that are always full: how a product is rounded depends on its number of rows.

        Args:
            cells: The rows.

        Returns:
            Outputs of each member.
        """
        return torch.cat(list(self.read(_full(cells), lambda model, batch, _: model(batch).prediction)))[: len(cells)]

    def predict_swapped(
        self, cells: Cells, others: Cells, units: Sequence[Sequence[int]]
    ) -> Iterator[Float[Tensor, "row unit output"]]:
        """Predict rows in which one unit of columns at a time is that of another row.

        Tokens are embedded once for all units of a batch, and exchanged inside the model, see `predict_swapped`.

        Args:
            cells: The rows.
            others: For each row, the other row.
            units: For each unit, the places of its columns in the order of the model.

        Yields:
            Averages of the members, for a few units after each other, in double precision.
        """
        return predict_swapped(self._model_on_device(), cells, others, units, self.limits, self.device)

    def member_scores(
        self,
        cells: Cells,
        target: Target | None,
        method: Method,
        *,
        member_weight: Float[Tensor, "row member"] | None = None,
        units: Int[Tensor, " column"] | None = None,
        block: Int[Tensor, " row"] | None = None,
    ) -> Iterator[Float[Tensor, "batch member unit"]]:
        """Score units of columns, for each row by each member.

        Each row is compared with one background row, with up to 64 of them where there are fewer than 1,024 rows. Rows
        of different blocks are compared with different ones. By "conditional" each row is drawn twice, up to 64 times
        where there are fewer rows, from what up to 4,096 of the rows and the background rows say of each other; by
        "shapley" its columns become known in one order and its reverse, in up to 8 of these where there are fewer.

        Args:
            cells: The rows.
            target: As the loss takes it; None to take the prediction as the target.
            method: How to score.
            member_weight: Weight of each member in each row; None for equal weights.
            units: The unit of each column, from 0 on; None where every column is a unit.
            block: Number of the block of each row, of `n_blocks` at most; None where all are of one.

        Returns:
            Batch by batch the part of each member in the score of each row and unit, in double precision.

        Raises:
            ParameterError: The method is unknown.
        """
        if method not in METHODS:
            raise ParameterError(f"method must be one of {', '.join(METHODS)}, got {method!r}.")
        if member_weight is None:
            member_weight = torch.ones(len(cells), self.model.shape.n_members)
        n_background = self._n_background()
        if block is None:
            block = torch.zeros(len(cells), dtype=torch.long)
        n_baseline_rows, n_per_order = self._n_baseline_rows(len(cells)), 1
        if method == "shapley":
            n_baseline_rows, n_per_order = N_DONORS * n_orders_of(len(cells)), N_DONORS
        baseline_rows = _baseline_rows(block, n_baseline_rows, n_background)
        n_orders = max(1, baseline_rows.shape[1] // n_per_order)
        drawn = _Draws(self, cells, block, _unit_columns(units, self.model.shape.n_columns))
        background: Background | None = None

        def read(model: TabAttnModel, batch: Cells, rows: slice) -> Tensor:
            device = batch.numeric.device

            def compare_with() -> Background:
                nonlocal background
                if background is None:
                    background = read_background(model, self.background.take(slice(n_background)).to(device))
                return background

            inputs = ScoringInputs(
                cells=batch,
                target=None if target is None else target[rows].to(device),
                member_weight=member_weight[rows].to(device),
                background=compare_with,
                baseline_rows=baseline_rows[rows].to(device),
                draws=lambda: [each.to(device) for each in drawn.of(rows)],
                orders=lambda: _orders(rows, n_orders, drawn.n_units).to(device),
                units=None if units is None else units.to(device),
            )
            return METHODS[method](model, inputs).double()

        return self.read(cells, read)

    def scores(
        self,
        cells: Cells,
        target: Target | None,
        method: Method,
        units: Units,
        *,
        member_weight: Float[Tensor, "row member"] | None = None,
        row_weight: Float[Tensor, " row"] | None = None,
    ) -> Scores:
        """Score units of columns on some rows together.

        Args:
            cells: The rows.
            target: As the loss takes it; None to take the prediction as the target.
            method: How to score.
            units: What to score.
            member_weight: Weight of each member in each row; None for equal weights.
            row_weight: Weight of each row; None for equal weights.

        Returns:
            Scores in the order of the units.

        Raises:
            ParameterError: The method is unknown.
        """
        weight = torch.ones(len(cells), dtype=torch.float64) if row_weight is None else row_weight
        return self.scores_of_parts(cells, target, method, units, weight[:, None], member_weight=member_weight)[0]

    def scores_of_parts(
        self,
        cells: Cells,
        target: Target | None,
        method: Method,
        units: Units,
        row_weights: Float[Tensor, "row part"],
        *,
        member_weight: Float[Tensor, "row member"] | None = None,
        block: Int[Tensor, " row"] | None = None,
    ) -> list[Scores]:
        """Score units of columns on several parts of some rows, such as those of each class, reading each row once.

        Args:
            cells: The rows.
            target: As the loss takes it; None to take the prediction as the target.
            method: How to score.
            units: What to score.
            row_weights: Weight of each row in each part, not all zero in any part.
            member_weight: Weight of each member in each row; None for equal weights.
            block: Number of the block of each row, see `member_scores`.

        Returns:
            Scores of each part, in the order of the units.

        Raises:
            ParameterError: The method is unknown.
        """
        sums, start = torch.zeros((), dtype=torch.float64), 0
        scores = self.member_scores(cells, target, method, member_weight=member_weight, units=units.joined, block=block)
        for each in scores:
            sums = sums + torch.tensordot(row_weights[start : start + len(each)].double(), each, dims=([0], [0]))
            start += len(each)
        means = sums / row_weights.double().sum(dim=0)[:, None, None]
        return [_spread(normalize_scores(part), units) for part in means.numpy()]

    def additive_values(
        self, cells: Cells, decode: Callable[[Array], Array], units: Int[Tensor, " column"] | None
    ) -> Iterator[Float[Tensor, "batch unit output"]]:
        """Divide predictions, less the mean of those of the first 64 background rows, among units of columns.

        Args:
            cells: The rows.
            decode: Makes predictions of averaged outputs, shape (row, output).
            units: The unit of each column, from 0 on; None where every column is a unit.

        Yields:
            Shapley values, batch by batch, which add up over units.
        """
        n_units = self.model.shape.n_columns if units is None else int(units.max()) + 1
        read_before: Background | None = None

        def read(model: TabAttnModel, batch: Cells, rows: slice) -> Tensor:
            nonlocal read_before
            device = batch.numeric.device
            if read_before is None:
                read_before = read_background(model, self.additive_background.to(device))
            orders = _orders(rows, (len(read_before) + 1) // 2, n_units).to(device)
            own = None if units is None else units.to(device)
            return additive_values(model, read_before, orders, batch, decode, own)

        return self.read(cells, read)

    @property
    def additive_background(self) -> Cells:
        """The background rows whose mean prediction additive values start from."""
        return self.background.take(slice(min(MAX_BASELINE_ROWS, self._n_background())))

    def n_blocks(self, n_rows: int) -> int:
        """Return how many blocks rows can be in, so that each is compared with background rows of its own.

        Args:
            n_rows: Number of rows.
        """
        n_background = self._n_background()
        n_most = min(MAX_BLOCKS, n_background, n_rows)
        return max(min(MIN_BLOCKS, n_most), min(n_most, n_background // self._n_baseline_rows(n_rows)))

    def _n_background(self) -> int:
        """Return how many background rows fit into memory."""
        return min(len(self.background), max(1, MAX_BACKGROUND_ELEMENTS // self._n_token_elements()))

    def _n_baseline_rows(self, n_rows: int) -> int:
        """Return how many background rows each of some rows is compared with."""
        return min(max(1, N_PAIRS // n_rows), MAX_BASELINE_ROWS, self._n_background())

    def _n_read_rows(self) -> int:
        """Return how many rows are read at once, so that all weights and a few arrays as wide as tokens fit."""
        shape = self.model.shape
        n_elements = 4 * self._n_token_elements() + shape.n_weights_per_row
        n_rows = min(self.limits.max_rows, max(1, self.limits.max_elements // n_elements))
        return n_rows - n_rows % BLOCK_ROWS if n_rows > BLOCK_ROWS else n_rows

    def _n_token_elements(self) -> int:
        """Numbers in the tokens of one row."""
        shape = self.model.shape
        return shape.n_columns * shape.n_groups * shape.d_token


@dataclass(eq=False)
class _Draws:
    """Draws of some rows, made when they are asked for and kept for those asked for last.

    Args:
        reader: The model and its background rows, which are learned from too.
        cells: The rows.
        block: Number of the block of each row; cells are drawn from other rows of the same block.
        units: Columns of each unit.
    """

    reader: Reader
    cells: Cells
    block: Int[Tensor, " row"]
    units: Sequence[Sequence[int]]
    kept: dict[int, tuple[Cells, ...]] = field(default_factory=dict)

    @property
    def n_units(self) -> int:
        """Number of units of columns."""
        return len(self.units)

    def of(self, rows: slice) -> list[Cells]:
        """Return the draws of some rows.

        Args:
            rows: The rows.
        """
        start, stop = rows.start, rows.stop
        numbers = range(start // N_DRAWN_ROWS, (stop - 1) // N_DRAWN_ROWS + 1)
        self.kept = {number: self.kept.get(number) or self._drawn(number) for number in numbers}
        first = numbers.start * N_DRAWN_ROWS
        return [
            functools.reduce(Cells.joined, parts).take(slice(start - first, stop - first))
            for parts in zip(*self.kept.values(), strict=True)
        ]

    def _drawn(self, number: int) -> tuple[Cells, ...]:
        some = slice(number * N_DRAWN_ROWS, (number + 1) * N_DRAWN_ROWS)
        cells, block = self.cells.take(some), self.block[some]
        n_blocks = int(self.block.max()) + 1
        n_folds = n_blocks if n_blocks > 1 else N_FOLDS
        random = np.random.default_rng(number)
        if n_blocks == 1:
            block = torch.from_numpy(random.permutation(len(cells)) % n_folds)
        known = self.reader.background
        fold = torch.cat([block, torch.arange(len(known)) % n_folds]).numpy()
        layout = self.reader.model.shape.layout
        joined, n_draws = Cells.joined(cells, known), n_draws_of(len(self.cells))
        draws = conditional_draws(joined, layout, self.units, fold, n_draws, number)
        return tuple(each.take(slice(len(cells))) for each in draws.cells)


def n_draws_of(n_rows: int) -> int:
    """Return how often each of some rows is drawn by "conditional".

    Args:
        n_rows: Number of rows.
    """
    return int(np.clip(N_PAIRS // n_rows, MIN_DRAWS, MAX_DRAWS))


def n_orders_of(n_rows: int) -> int:
    """Return in how many orders, and as many reverse ones, the columns of each of some rows become known by "shapley".

    Args:
        n_rows: Number of rows.
    """
    return int(np.clip(N_PAIRS // n_rows, 1, MAX_ORDERS))


def _unit_columns(units: Int[Tensor, " column"] | None, n_columns: int) -> list[list[int]]:
    """Return the columns of each unit."""
    if units is None:
        return [[column] for column in range(n_columns)]
    return [(units == unit).nonzero().flatten().tolist() for unit in range(int(units.max()) + 1)]


def _orders(rows: slice, n_orders: int, n_units: int) -> Int[Tensor, "row order unit"]:
    """Return the places of units in random orders, which depend on the row's number alone."""
    unordered = np.tile(np.arange(n_units), (n_orders, 1))
    places = [np.random.default_rng(row).permuted(unordered, axis=1) for row in range(rows.start, rows.stop)]
    return torch.from_numpy(np.stack(places))


def _spread(scores: Scores, units: Units) -> Scores:
    """Put scores of the units that the model reads in the order of all units."""
    return Scores(
        raw=units.spread(scores.raw, unread=-np.inf),
        importance=units.spread(scores.importance),
        std=units.spread(scores.std),
        by_member=units.spread(scores.by_member),
    )


def _baseline_rows(block: Int[Tensor, " row"], n_baseline_rows: int, n_background: int) -> Int[Tensor, "row baseline"]:
    """Return the background rows that each row is compared with, those of its block one after another."""
    n_blocks = int(block.max()) + 1
    n_own = n_background // n_blocks
    n_baseline_rows = min(n_baseline_rows, n_own)
    order = torch.argsort(block, stable=True)
    first = torch.searchsorted(block[order], torch.arange(n_blocks))
    place = torch.empty_like(block)
    place[order] = torch.arange(len(block)) - first[block[order]]
    own = (place[:, None] * n_baseline_rows + torch.arange(n_baseline_rows)) % n_own
    return block[:, None] + n_blocks * own


def _full(cells: Cells) -> Cells:
    """Repeat rows until all blocks are full."""
    n_rows = len(cells)
    n_padding = -n_rows % BLOCK_ROWS
    return cells.take(torch.arange(n_rows + n_padding) % n_rows) if n_padding else cells
