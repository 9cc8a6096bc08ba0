"""How much is held in memory at once while rows are read."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReadLimits:
    """How much is held in memory at once while rows are read.

    Args:
        max_rows: Rows of a batch.
        max_elements: Numbers of a batch: the weights of all layers and a few arrays as wide as its tokens.
        max_swap_elements: Numbers of a batch of which columns are swapped.
    """

    max_rows: int = 4096
    max_elements: int = 8_000_000
    max_swap_elements: int = 4_000_000
