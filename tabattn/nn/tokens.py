"""Cells of a table to column tokens: one token per column, whatever its kind."""

import math
from dataclasses import dataclass
from itertools import accumulate

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

N_FREQUENCIES = 16
FREQUENCY_SCALE = 0.1
N_BINS = 16
LIMIT = 3.0


@dataclass(frozen=True)
class CellLayout:
    """Where the cells of each column stand: columns of one number, then the parts of blocks, then columns of codes.

    Args:
        n_numeric: Number of columns of one number.
        n_parts: Number of numbers of each column that is a block of them.
        n_levels: Number of codes of each categorical column, the code 0 among them.

    Example:
        >>> layout = CellLayout(2, (3,), (4, 2))
        >>> layout.n_columns, layout.n_numbers, layout.first_numbers, layout.column_of_number
        (5, 5, (0, 1, 2), (0, 1, 2, 2, 2))
    """

    n_numeric: int
    n_parts: tuple[int, ...]
    n_levels: tuple[int, ...]

    @property
    def widths(self) -> tuple[int, ...]:
        """Numbers of each column that is one or several."""
        return (1,) * self.n_numeric + self.n_parts

    @property
    def n_numbered(self) -> int:
        """Number of columns that are one number or several."""
        return self.n_numeric + len(self.n_parts)

    @property
    def n_numbers(self) -> int:
        """Numbers of a row."""
        return self.n_numeric + sum(self.n_parts)

    @property
    def n_columns(self) -> int:
        """Number of columns."""
        return self.n_numbered + len(self.n_levels)

    @property
    def first_numbers(self) -> tuple[int, ...]:
        """Place of the first number of each column that is one or several."""
        return tuple(accumulate(self.widths[:-1], initial=0))[: self.n_numbered]

    @property
    def column_of_number(self) -> tuple[int, ...]:
        """The column that each number belongs to."""
        return tuple(column for column, width in enumerate(self.widths) for _ in range(width))

    def numbers_of(self, column: int) -> slice:
        """Return the places of the numbers of a column that is one or several.

        Args:
            column: Place of the column.
        """
        first = self.first_numbers[column]
        return slice(first, first + self.widths[column])

    def values_of(self, column: int) -> slice:
        """Return the places of the values of a column where numbers and codes stand side by side.

        Args:
            column: Place of the column.
        """
        code = self.n_numbers + column - self.n_numbered
        return self.numbers_of(column) if column < self.n_numbered else slice(code, code + 1)


@dataclass(frozen=True)
class Cells:
    """The cells of some rows, as the tokenizer takes them, in the order of their `CellLayout`.

    Every group of members may have rows of its own: then all tensors have the groups as their first axis.

    Args:
        numeric: Transformed numbers; 0 where missing.
        codes: Level codes of the categorical columns, 0 for a level that is rare or was not seen in training.
        missing: Which cells are missing; None if no cell is.
    """

    numeric: Float[Tensor, "*group batch part"]
    codes: Int[Tensor, "*group batch categorical"]
    missing: Bool[Tensor, "*group batch column"] | None

    def __len__(self) -> int:
        return self.numeric.shape[-2]

    @staticmethod
    def joined(first: "Cells", second: "Cells") -> "Cells":
        """Return the rows of both."""
        numeric, codes = torch.cat([first.numeric, second.numeric]), torch.cat([first.codes, second.codes])
        if first.missing is None and second.missing is None:
            return Cells(numeric, codes, None)
        shape = next(each.missing.shape[1] for each in (first, second) if each.missing is not None)
        masks = [
            torch.zeros(len(each), shape, dtype=torch.bool) if each.missing is None else each.missing
            for each in (first, second)
        ]
        return Cells(numeric, codes, torch.cat(masks))

    def take(self, rows: Int[Tensor, "*group taken"] | slice) -> "Cells":
        """Return the given rows, which may be other ones for every group."""
        missing = None if self.missing is None else self.missing[rows]
        return Cells(self.numeric[rows], self.codes[rows], missing)

    def to(self, device: torch.device) -> "Cells":
        """Return the same cells on a device."""
        missing = None if self.missing is None else self.missing.to(device)
        return Cells(self.numeric.to(device), self.codes.to(device), missing)


@dataclass(frozen=True)
class MissingNumbers:
    """Which numbers are missing.

    Args:
        cells: Which.
        vectors: What is added to the bias of a number instead of what is made of its value.
    """

    cells: Bool[Tensor, "batch column"]
    vectors: Float[Tensor, "column 1 d"]


class NumericEmbeddings(nn.Module):
    """Numbers to tokens: periodic and piecewise-linear features, then a linear map, with separate weights per column.

    Periodic features are sines and cosines of learned frequencies. Piecewise-linear features are the fraction of
    each of `N_BINS` intervals below the number; numbers arrive as normal scores, so intervals between quantiles of the
    normal distribution hold equally many training rows of a continuous column. Written column first, so that all
    columns are one batched product and the bias is the vector of the column.

    Args:
        n_columns: Number of columns.
        d_token: Width of a token.

    Source: Gorishniy et al. 2022 (arXiv 2203.05556), sections 3.2 and 3.3.
    """

    def __init__(self, n_columns: int, d_token: int) -> None:
        super().__init__()
        frequency = torch.empty(n_columns, 1, N_FREQUENCIES)
        limit = 3 * FREQUENCY_SCALE
        self.frequency = nn.Parameter(nn.init.trunc_normal_(frequency, std=FREQUENCY_SCALE, a=-limit, b=limit))
        n_features = 2 * N_FREQUENCIES + N_BINS
        bound = n_features**-0.5
        self.weight = nn.Parameter(torch.empty(n_columns, n_features, d_token).uniform_(-bound, bound))
        edges = torch.special.ndtri(torch.linspace(0, 1, N_BINS + 1)).clamp(-LIMIT, LIMIT)
        self.register_buffer("slope", 1 / edges.diff(), persistent=False)
        self.register_buffer("offset", -edges[:-1] / edges.diff(), persistent=False)

    slope: Tensor
    offset: Tensor

    def forward(
        self,
        x: Float[Tensor, "batch column"],
        bias: Float[Tensor, "column 1 d"],
        missing: MissingNumbers | None = None,
    ) -> Float[Tensor, "column batch d"]:
        """Return one token per number, with the bias added.

        Args:
            x: The numbers; any that are finite where they are missing.
            bias: Vector of each number.
            missing: Which are missing, and what stands in their place; None if no number is.
        """
        numbers = x.t()[..., None]
        angle = (2 * math.pi * self.frequency) * numbers
        fraction_of_bin = torch.addcmul(self.offset, numbers, self.slope).clamp(0, 1)
        features = [angle.cos(), angle.sin(), fraction_of_bin]
        weight: Tensor = self.weight
        if missing is not None:
            is_missing = missing.cells.t()[..., None].to(x.dtype)
            features = [torch.cat(features, dim=-1) * (1 - is_missing), is_missing]
            weight = torch.cat([weight, missing.vectors], dim=1)
        return torch.baddbmm(bias, torch.cat(features, dim=-1), weight)


class ColumnTokens(nn.Module):
    """Embed every cell and add to it the vector of its column, separately for each group of members.

    Numbers go through `NumericEmbeddings`, level codes through a look-up, missing cells become a learned vector of
    their column. A block is a column of several numbers, whose embeddings are added up. The vector of code 0 starts at
    zero, so that new levels have no effect where training has no rare ones.

    Args:
        n_groups: Number of groups; each has its own embeddings.
        layout: The columns.
        d_token: Width of a token.

    Source: Gorishniy et al. 2021 (arXiv 2106.11959), section 3.3.
    """

    def __init__(self, n_groups: int, layout: CellLayout, d_token: int) -> None:
        super().__init__()
        n_levels, n_columns = layout.n_levels, layout.n_columns
        bound = d_token**-0.5
        self.n_groups = n_groups
        self.layout = layout
        self.numeric = NumericEmbeddings(n_groups * layout.n_numbers, d_token) if layout.n_numbers else None
        self.levels = None
        if n_levels:
            first_code = torch.tensor([0, *n_levels * n_groups]).cumsum(0)[:-1]
            self.register_buffer("first_code", first_code.reshape(n_groups, -1, 1), persistent=False)
            levels = torch.empty(n_groups * sum(n_levels), d_token).uniform_(-bound, bound)
            self.levels = nn.Parameter(levels.index_fill(0, first_code, 0.0))
        self.missing = nn.Parameter(torch.zeros(n_groups, n_columns, 1, d_token))
        self.column = nn.Parameter(torch.empty(n_groups, n_columns, 1, d_token).uniform_(-bound, bound))

    first_code: Tensor

    def forward(self, cells: Cells) -> Float[Tensor, "group batch column d"]:
        """Return one token per group and column: numeric columns, blocks, categories."""
        parts = []
        if self.numeric is not None:
            parts.append(self._numbered(self.numeric, cells))
        if self.levels is not None:
            parts.append(self._levels(self.levels, cells))
        tokens = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        by_row: Tensor = tokens.transpose(1, 2)
        return by_row

    def _levels(self, levels: Tensor, cells: Cells) -> Float[Tensor, "group column batch d"]:
        """Tokens of the columns that are codes; a missing cell is one more level of its column."""
        codes = cells.codes.transpose(-1, -2) + self.first_code
        if cells.missing is not None:
            vectors = self.missing[:, self.layout.n_numbered :].flatten(0, 2)
            code_of_missing = torch.arange(len(levels), len(levels) + len(vectors), device=codes.device)
            is_missing = cells.missing[..., self.layout.n_numbered :].transpose(-1, -2)
            codes = torch.where(is_missing, code_of_missing.reshape(self.first_code.shape), codes)
            levels = torch.cat([levels, vectors])
        return nn.functional.embedding(codes, levels) + self.column[:, self.layout.n_numbered :]

    def _numbered(self, embeddings: NumericEmbeddings, cells: Cells) -> Float[Tensor, "group column batch d"]:
        """Tokens of the columns that are numbers."""
        n_numeric, n_parts = self.layout.n_numeric, list(self.layout.n_parts)
        bias, vectors = self.column[:, :n_numeric], self.missing[:, :n_numeric]
        if n_parts:
            no_part = bias.new_zeros(self.n_groups, sum(n_parts), 1, bias.shape[-1])
            bias = torch.cat([bias, no_part], dim=1)
            of_blocks = self.missing[:, n_numeric : self.layout.n_numbered].split(1, dim=1)
            rest = (no_part[:, : width - 1] for width in n_parts)  # the vector of a block is that of its first part
            vectors = torch.cat(
                [vectors, *(each for pair in zip(of_blocks, rest, strict=True) for each in pair)], dim=1
            )
        missing = None
        if cells.missing is not None:
            of_numbers = cells.missing[..., list(self.layout.column_of_number)]
            missing = MissingNumbers(self._side_by_side(of_numbers), vectors.flatten(0, 1))
        embedded = embeddings(self._side_by_side(cells.numeric), bias.flatten(0, 1), missing)
        by_group: Tensor = embedded.unflatten(0, (self.n_groups, -1))
        if not n_parts:
            return by_group
        of_columns = self.column[:, n_numeric : self.layout.n_numbered]
        parts = by_group[:, n_numeric:].split(n_parts, dim=1)  # sums in a fixed order, unlike index_add
        blocks = of_columns + torch.stack([each.sum(dim=1, dtype=of_columns.dtype) for each in parts], dim=1)
        return torch.cat([by_group[:, :n_numeric], blocks], dim=1)

    def _side_by_side(self, values: Shaped[Tensor, "*group batch part"]) -> Shaped[Tensor, "batch group_part"]:
        """Put the values of all groups beside each other; repeat them where the groups have the same rows."""
        by_row: Tensor = values.expand(self.n_groups, -1, -1).transpose(0, 1).flatten(1)
        return by_row
