"""Cells of a table to column tokens: one token per column, whatever its kind."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from rtdl_num_embeddings import PeriodicEmbeddings
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


class ColumnTokens(nn.Module):
    """Embed every cell and add to it the vector of its column.

    Numbers go through periodic embeddings, level codes through a look-up, missing cells become a learned vector of
    their column. The tokens come out in the order of the table.

    Args:
        n_numeric: Number of numeric columns.
        n_levels: Number of codes of each categorical column, the code 0 among them.
        positions: Position in the table of each column, numeric columns first.
        d_token: Width of a token.

    Source: Gorishniy et al. 2021 (arXiv 2106.11959), section 3.3; periodic embeddings:
        Gorishniy et al. 2022 (arXiv 2203.05556).
    """

    def __init__(self, n_numeric: int, n_levels: tuple[int, ...], positions: tuple[int, ...], d_token: int) -> None:
        super().__init__()
        n_columns = n_numeric + len(n_levels)
        bound = d_token**-0.5
        self.numeric = (
            PeriodicEmbeddings(
                n_numeric,
                d_token,
                n_frequencies=N_FREQUENCIES,
                frequency_init_scale=FREQUENCY_SCALE,
                activation=False,
                lite=False,
            )
            if n_numeric
            else None
        )
        self.levels = nn.Parameter(torch.empty(sum(n_levels), d_token).uniform_(-bound, bound)) if n_levels else None
        self.missing = nn.Parameter(torch.zeros(n_columns, d_token))
        self.column = nn.Parameter(torch.empty(n_columns, d_token).uniform_(-bound, bound))
        first_code = torch.tensor([0, *n_levels]).cumsum(0)[:-1]
        self.register_buffer("first_code", first_code, persistent=False)
        in_table_order = list(range(n_columns)) == list(positions)
        self.register_buffer("order", None if in_table_order else torch.tensor(positions).argsort(), persistent=False)

    first_code: Tensor
    order: Tensor | None

    def forward(self, cells: Cells) -> Float[Tensor, "batch column d"]:
        """Return one token per column."""
        parts = []
        if self.numeric is not None:
            parts.append(self.numeric(cells.numeric))
        if self.levels is not None:
            parts.append(nn.functional.embedding(cells.codes + self.first_code, self.levels))
        tokens = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        if cells.missing is not None:
            tokens = torch.where(cells.missing[..., None], self.missing, tokens)
        tokens = tokens + self.column
        return tokens if self.order is None else tokens[:, self.order]
