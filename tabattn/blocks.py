"""Dates and texts to numbers: a block of several per column, which becomes one token."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tabattn.schema import Column, Kind
from tabattn.values import AnySeries, as_texts, as_times, is_missing

N_TEXT_PARTS = 30
Block = np.ndarray[tuple[int, int], np.dtype[np.float64]]


@dataclass(frozen=True)
class BlockEncoder:
    """What turns the cells of one column into numbers.

    Args:
        column: The column, dates or texts.
        encoder: skrub's fitted encoder.
        is_kept: Which of its outputs vary among the training rows.
    """

    column: Column
    encoder: Any
    is_kept: np.ndarray[tuple[int], np.dtype[np.bool_]]

    @property
    def n_parts(self) -> int:
        """Numbers per cell, at least 1."""
        return int(self.is_kept.sum())

    def transform(self, cells: AnySeries) -> Block:
        """Return the numbers of each cell, NaN where missing."""
        block = _encode(self.encoder, _readable(cells, self.column))
        block[is_missing(cells)] = np.nan
        return block[:, self.is_kept]


def fit_block(column: Column, cells: AnySeries) -> BlockEncoder:
    """Learn how to turn the cells of one column into numbers.

    A date becomes seconds elapsed, year, day of the year, and places on the circles of months, days, weekdays and
    hours. A text becomes its first 30 singular components among the training texts, by the groups of 3 and 4 letters
    in it.

    Args:
        column: The column, dates or texts, not constant.
        cells: Its training rows.

    Returns:
        The fitted encoder.

    Source: skrub's DatetimeEncoder and StringEncoder.

    Example:
        >>> column = Column("when", Kind.DATETIME, (), is_constant=False)
        >>> days = pd.Series(pd.date_range("2024-01-01", periods=30))
        >>> fit_block(column, days).transform(days).shape
        (30, 6)
    """
    from skrub import DatetimeEncoder, StringEncoder  # half a second that tables of numbers and categories don't pay

    encoder: Any
    if column.kind is Kind.DATETIME:
        encoder = DatetimeEncoder(add_weekday=True, add_day_of_year=True, periodic_encoding="circular")
    else:
        encoder = StringEncoder(n_components=N_TEXT_PARTS, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few texts have fewer components
        readable = _readable(cells, column)
        encoder.fit(readable)
        block = _encode(encoder, readable)
    is_kept = np.ptp(block[~is_missing(cells)], axis=0) > 0
    if not is_kept.any():  # missing or not is all that varies
        is_kept[0] = True
    return BlockEncoder(column, encoder, is_kept)


def _readable(cells: AnySeries, column: Column) -> AnySeries:
    if column.kind is Kind.DATETIME:
        return as_times(cells, column.name, column.written).rename("cell").reset_index(drop=True)
    return as_texts(cells).rename("cell").reset_index(drop=True)


def _encode(encoder: Any, cells: AnySeries) -> Block:
    return pd.DataFrame(encoder.transform(cells)).to_numpy(dtype=np.float64).copy()
