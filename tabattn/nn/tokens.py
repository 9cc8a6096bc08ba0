"""Cells of a table to column tokens: one token per column, whatever its kind."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from jaxtyping import Bool, Float, Int
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

    Args:
        numeric: Transformed numbers; 0 where missing.
        codes: Level codes of the categorical columns, 0 for a level that is rare or was not seen in training.
        missing: Which cells are missing; None if no cell is.
    """

    numeric: Float[Tensor, "batch part"]
    codes: Int[Tensor, "batch categorical"]
    missing: Bool[Tensor, "batch column"] | None

    def __len__(self) -> int:
        return len(self.numeric)

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

    def take(self, rows: Int[Tensor, " taken"] | slice) -> "Cells":
        """Return the given rows."""
        missing = None if self.missing is None else self.missing[rows]
        return Cells(self.numeric[rows], self.codes[rows], missing)

    def with_columns_from(self, rows: Int[Tensor, " batch"], columns: Sequence[int], layout: CellLayout) -> "Cells":
        """Return the same rows with some columns taken from other rows.

        Args:
            rows: For each row, the row that its cells come from.
            columns: Places of the columns.
            layout: Where the cells of each column stand.
        """
        numeric, codes = self.numeric.clone(), self.codes.clone()
        missing = None if self.missing is None else self.missing.clone()
        for column in columns:
            if column < layout.n_numbered:
                numeric[:, layout.numbers_of(column)] = self.numeric[rows, layout.numbers_of(column)]
            else:
                codes[:, column - layout.n_numbered] = self.codes[rows, column - layout.n_numbered]
            if missing is not None and self.missing is not None:
                missing[:, column] = self.missing[rows, column]
        return Cells(numeric, codes, missing)

    def to(self, device: torch.device) -> "Cells":
        """Return the same cells on a device."""
        missing = None if self.missing is None else self.missing.to(device)
        return Cells(self.numeric.to(device), self.codes.to(device), missing)


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
        self, x: Float[Tensor, "batch column"], bias: Float[Tensor, "column 1 d"]
    ) -> Float[Tensor, "column batch d"]:
        """Return one token per number, with the bias added."""
        numbers = x.t()[..., None]
        angle = (2 * math.pi * self.frequency) * numbers
        fraction_of_bin = torch.addcmul(self.offset, numbers, self.slope).clamp(0, 1)
        return torch.baddbmm(bias, torch.cat([angle.cos(), angle.sin(), fraction_of_bin], dim=-1), self.weight)


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
            parts.append(self._numbered(self.numeric, cells.numeric.repeat(1, self.n_groups)))
        if self.levels is not None:
            codes = cells.codes.t() + self.first_code
            parts.append(nn.functional.embedding(codes, self.levels) + self.column[:, self.layout.n_numbered :])
        tokens = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        if cells.missing is not None:
            tokens = torch.where(cells.missing.t()[..., None], self.missing + self.column, tokens)
        by_row: Tensor = tokens.transpose(1, 2)
        return by_row

    def _numbered(
        self, embeddings: NumericEmbeddings, numbers: Float[Tensor, "batch group_part"]
    ) -> Float[Tensor, "group column batch d"]:
        """Tokens of the columns that are numbers."""
        n_numeric, n_parts = self.layout.n_numeric, list(self.layout.n_parts)
        bias = self.column[:, :n_numeric]
        if not n_parts:
            tokens: Tensor = embeddings(numbers, bias.flatten(0, 1)).unflatten(0, (self.n_groups, -1))
            return tokens
        part_bias = bias.new_zeros(self.n_groups, sum(n_parts), 1, bias.shape[-1])
        embedded = embeddings(numbers, torch.cat([bias, part_bias], dim=1).flatten(0, 1))
        by_group = embedded.unflatten(0, (self.n_groups, -1))
        of_columns = self.column[:, n_numeric : self.layout.n_numbered]
        parts = by_group[:, n_numeric:].split(n_parts, dim=1)  # sums in a fixed order, unlike index_add
        blocks = of_columns + torch.stack([each.sum(dim=1, dtype=of_columns.dtype) for each in parts], dim=1)
        return torch.cat([by_group[:, :n_numeric], blocks], dim=1)
