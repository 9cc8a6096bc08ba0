"""Cells of a table to column tokens: one token per column, whatever its kind."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

N_FREQUENCIES = 32
FREQUENCY_SCALE = 0.1


@dataclass(frozen=True)
class Cells:
    """The cells of some rows, as the tokenizer takes them.

    Args:
        numeric: Transformed numbers of the numeric columns; 0 where missing.
        codes: Level codes of the categorical columns, 0 for a level that is rare or was not seen in training.
        missing: Which cells are missing, numeric columns first; None when none is.
    """

    numeric: Float[Tensor, "batch numeric"]
    codes: Int[Tensor, "batch categorical"]
    missing: Bool[Tensor, "batch column"] | None

    def __len__(self) -> int:
        return len(self.numeric)

    def take(self, rows: Int[Tensor, " taken"] | slice) -> "Cells":
        """Return the given rows."""
        missing = None if self.missing is None else self.missing[rows]
        return Cells(self.numeric[rows], self.codes[rows], missing)

    def to(self, device: torch.device) -> "Cells":
        """Return the same cells on a device."""
        missing = None if self.missing is None else self.missing.to(device)
        return Cells(self.numeric.to(device), self.codes.to(device), missing)


class PeriodicEmbeddings(nn.Module):
    """Numbers to tokens: sines and cosines of learned frequencies, then a linear map, all of them each column's own.

    Written column first, so that all columns are one batched product and the bias is the vector of the column: the
    same function as `rtdl_num_embeddings.PeriodicEmbeddings` without its copies.

    Args:
        n_columns: Number of columns.
        d_token: Width of a token.

    Source: Gorishniy et al. 2022 (arXiv 2203.05556), section 3.3.
    """

    def __init__(self, n_columns: int, d_token: int) -> None:
        super().__init__()
        frequency = torch.empty(n_columns, 1, N_FREQUENCIES)
        limit = 3 * FREQUENCY_SCALE
        self.frequency = nn.Parameter(nn.init.trunc_normal_(frequency, std=FREQUENCY_SCALE, a=-limit, b=limit))
        bound = (2 * N_FREQUENCIES) ** -0.5
        self.weight = nn.Parameter(torch.empty(n_columns, 2 * N_FREQUENCIES, d_token).uniform_(-bound, bound))

    def forward(
        self, x: Float[Tensor, "batch column"], bias: Float[Tensor, "column 1 d"]
    ) -> Float[Tensor, "column batch d"]:
        """Return one token per number, with the bias added."""
        angle = (2 * math.pi * self.frequency) * x.t()[..., None]
        return torch.baddbmm(bias, torch.cat([angle.cos(), angle.sin()], dim=-1), self.weight)


class ColumnTokens(nn.Module):
    """Embed every cell and add to it the vector of its column.

    Numbers go through periodic embeddings, level codes through a look-up, missing cells become a learned vector of
    their column.

    Args:
        n_numeric: Number of numeric columns.
        n_levels: Number of codes of each categorical column, the code 0 among them.
        d_token: Width of a token.

    Source: Gorishniy et al. 2021 (arXiv 2106.11959), section 3.3.
    """

    def __init__(self, n_numeric: int, n_levels: tuple[int, ...], d_token: int) -> None:
        super().__init__()
        n_columns = n_numeric + len(n_levels)
        bound = d_token**-0.5
        self.n_numeric = n_numeric
        self.numeric = PeriodicEmbeddings(n_numeric, d_token) if n_numeric else None
        self.levels = nn.Parameter(torch.empty(sum(n_levels), d_token).uniform_(-bound, bound)) if n_levels else None
        self.missing = nn.Parameter(torch.zeros(n_columns, 1, d_token))
        self.column = nn.Parameter(torch.empty(n_columns, 1, d_token).uniform_(-bound, bound))
        self.register_buffer("first_code", torch.tensor([0, *n_levels]).cumsum(0)[:-1], persistent=False)

    first_code: Tensor

    def forward(self, cells: Cells) -> Float[Tensor, "batch column d"]:
        """Return one token per column, numeric columns first."""
        parts = []
        if self.numeric is not None:
            parts.append(self.numeric(cells.numeric, self.column[: self.n_numeric]))
        if self.levels is not None:
            codes = (cells.codes + self.first_code).t()
            parts.append(nn.functional.embedding(codes, self.levels) + self.column[self.n_numeric :])
        tokens = parts[0] if len(parts) == 1 else torch.cat(parts)
        if cells.missing is not None:
            tokens = torch.where(cells.missing.t()[..., None], self.missing + self.column, tokens)
        return tokens.transpose(0, 1)
