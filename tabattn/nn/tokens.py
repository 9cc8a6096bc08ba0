"""Cells of a table to column tokens: one token per column, whatever its kind."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

N_FREQUENCIES = 16
FREQUENCY_SCALE = 0.1
N_BINS = 16
LIMIT = 3.0


@dataclass(frozen=True)
class Cells:
    """The cells of some rows, as the tokenizer takes them.

    Args:
        numeric: Transformed numbers: one for each numeric column, then the parts of each block; 0 where missing.
        codes: Level codes of the categorical columns, 0 for a level that is rare or was not seen in training.
        missing: Which cells are missing, numeric columns first, then blocks; None when none is.
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

    def to(self, device: torch.device) -> "Cells":
        """Return the same cells on a device."""
        missing = None if self.missing is None else self.missing.to(device)
        return Cells(self.numeric.to(device), self.codes.to(device), missing)


class NumericEmbeddings(nn.Module):
    """Numbers to tokens: periodic and piecewise-linear features, then a linear map, all of them each column's own.

    Periodic features are sines and cosines of learned frequencies. Piecewise-linear features say how far a number
    has come through each of `N_BINS` intervals; numbers arrive as normal scores, so intervals between quantiles of the
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
        share_of_bin = torch.addcmul(self.offset, numbers, self.slope).clamp(0, 1)
        return torch.baddbmm(bias, torch.cat([angle.cos(), angle.sin(), share_of_bin], dim=-1), self.weight)


class ColumnTokens(nn.Module):
    """Embed every cell and add to it the vector of its column, for each group of members anew.

    Numbers go through `NumericEmbeddings`, level codes through a look-up, missing cells become a learned vector of
    their column. A block is a column of several numbers, whose embeddings are added up. The vector of code 0 starts at
    zero, so that new levels say nothing where training has no rare ones.

    Args:
        n_groups: Number of groups; each has embeddings of its own.
        n_numeric: Number of numeric columns.
        n_parts: Number of numbers of each block.
        n_levels: Number of codes of each categorical column, the code 0 among them.
        d_token: Width of a token.

    Source: Gorishniy et al. 2021 (arXiv 2106.11959), section 3.3.
    """

    def __init__(
        self, n_groups: int, n_numeric: int, n_parts: tuple[int, ...], n_levels: tuple[int, ...], d_token: int
    ) -> None:
        super().__init__()
        n_numbers = n_numeric + sum(n_parts)
        n_columns = n_numeric + len(n_parts) + len(n_levels)
        bound = d_token**-0.5
        self.n_groups = n_groups
        self.n_numeric = n_numeric
        self.n_parts = list(n_parts)
        self.numeric = NumericEmbeddings(n_groups * n_numbers, d_token) if n_numbers else None
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
        n_numbered = self.n_numeric + len(self.n_parts)
        if self.numeric is not None:
            parts.append(self._numbered(self.numeric, cells.numeric.repeat(1, self.n_groups)))
        if self.levels is not None:
            codes = cells.codes.t() + self.first_code
            parts.append(nn.functional.embedding(codes, self.levels) + self.column[:, n_numbered:])
        tokens = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        if cells.missing is not None:
            tokens = torch.where(cells.missing.t()[..., None], self.missing + self.column, tokens)
        by_row: Tensor = tokens.transpose(1, 2)
        return by_row

    def _numbered(
        self, embeddings: NumericEmbeddings, numbers: Float[Tensor, "batch group_part"]
    ) -> Float[Tensor, "group column batch d"]:
        """Tokens of the columns that are numbers."""
        bias = self.column[:, : self.n_numeric]
        if not self.n_parts:
            tokens: Tensor = embeddings(numbers, bias.flatten(0, 1)).unflatten(0, (self.n_groups, -1))
            return tokens
        part_bias = bias.new_zeros(self.n_groups, sum(self.n_parts), 1, bias.shape[-1])
        embedded = embeddings(numbers, torch.cat([bias, part_bias], dim=1).flatten(0, 1))
        by_group = embedded.unflatten(0, (self.n_groups, -1))
        of_columns = self.column[:, self.n_numeric : self.n_numeric + len(self.n_parts)]
        parts = by_group[:, self.n_numeric :].split(self.n_parts, dim=1)  # sums in a fixed order, unlike index_add
        blocks = of_columns + torch.stack([each.sum(dim=1, dtype=of_columns.dtype) for each in parts], dim=1)
        return torch.cat([by_group[:, : self.n_numeric], blocks], dim=1)
