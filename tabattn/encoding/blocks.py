"""Dates and texts to numbers: a block of several per column, which becomes one token."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from tabattn.process_state import filters_kept, warnings_ignored
from tabattn.table.cells import AnySeries, as_texts, as_times, is_missing
from tabattn.table.schema import Column, Kind

N_TEXT_PARTS = 30
MOMENTS = pd.Series([pd.Timestamp(1970, 1, 1, hour) for hour in (0, 1)], name="cell")
DAYS = pd.Series([pd.Timestamp(1970, 1, day) for day in (1, 2)], name="cell")
Array = np.ndarray[Any, np.dtype[Any]]
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

    @property
    def arrays(self) -> dict[str, Array]:
        """All that was learned, as arrays by name."""
        arrays: dict[str, Array] = {"is_kept": self.is_kept}
        if self.column.kind is Kind.TEXT:
            vectorizer = self.encoder.vectorizer_
            letters = json.dumps(vectorizer.get_feature_names_out().tolist())
            arrays["letters"] = np.frombuffer(letters.encode(), dtype=np.uint8)
            arrays["idf"], arrays["scale"] = vectorizer.idf_, np.array([self.encoder.scaling_factor_], dtype=np.float64)
            if hasattr(self.encoder, "tsvd_"):
                arrays["components"] = self.encoder.tsvd_.components_
        return arrays

    @classmethod
    def from_arrays(cls, column: Column, arrays: Mapping[str, Array]) -> Self:
        """Return the encoder of a column whose `arrays` these are.

        Raises:
            ValueError, KeyError: They are not those of an encoder of such a column.
        """
        is_kept = arrays["is_kept"].astype(bool)
        encoder = _new_encoder(column.kind)
        with warnings_ignored():
            if column.kind is Kind.TEXT:
                _restore_text_encoder(encoder, arrays)
                n_parts = int(encoder.n_components_)
            else:  # skrub leaves out the hour if every training row is a day
                for probe in (MOMENTS, DAYS):
                    encoder.fit(probe)
                    n_parts = _encode(encoder, probe).shape[1]
                    if is_kept.shape == (n_parts,):
                        break
        if is_kept.shape != (n_parts,) or not is_kept.any():
            raise ValueError("there must be a mark for each number of the block")
        return cls(column, encoder, is_kept)


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
    encoder = _new_encoder(column.kind)
    with warnings_ignored():  # few texts have fewer components
        readable = _readable(cells, column)
        encoder.fit(readable)
        block = _encode(encoder, readable)
    is_kept = np.ptp(block[~is_missing(cells)], axis=0) > 0
    if not is_kept.any():  # missing or not is all that varies
        is_kept[0] = True
    return BlockEncoder(column, encoder, is_kept)


def _new_encoder(kind: Kind) -> Any:
    with filters_kept():
        from skrub import DatetimeEncoder, StringEncoder  # half a second that numbers and categories don't pay

    if kind is Kind.DATETIME:
        # total seconds in its single precision would be good to two minutes only: `_encode` adds them
        return DatetimeEncoder(
            add_total_seconds=False, add_weekday=True, add_day_of_year=True, periodic_encoding="circular"
        )
    return StringEncoder(n_components=N_TEXT_PARTS, random_state=0)


def _restore_text_encoder(encoder: Any, arrays: Mapping[str, Array]) -> None:
    """Fit an encoder on anything, then give it what it had learned."""
    encoder.fit(pd.Series(["any text"], dtype="str", name="cell"))
    letters = [str(group) for group in json.loads(arrays["letters"].astype(np.uint8).tobytes())]
    idf, components = arrays["idf"].astype(np.float64), arrays.get("components")
    if not all(np.isfinite(each).all() for each in (idf, arrays["scale"], components) if each is not None):
        raise ValueError("numbers must be finite")
    if idf.shape != (len(letters),) or len(set(letters)) != len(letters):
        raise ValueError("there must be a frequency for each group of letters")
    parameters = encoder.vectorizer_.get_params() | {"vocabulary": letters}
    encoder.vectorizer_ = TfidfVectorizer(**parameters)
    encoder.vectorizer_.idf_ = idf
    if hasattr(encoder, "tsvd_"):
        del encoder.tsvd_
    if components is not None:
        if components.shape != (N_TEXT_PARTS, len(letters)):
            raise ValueError("there must be singular components for each group of letters")
        encoder.tsvd_ = TruncatedSVD(n_components=N_TEXT_PARTS, random_state=0)
        encoder.tsvd_.components_, encoder.tsvd_.n_features_in_ = components, len(letters)
    encoder.n_components_ = N_TEXT_PARTS if components is not None else min(N_TEXT_PARTS, len(letters))
    encoder.scaling_factor_ = float(arrays["scale"].reshape(-1)[0])
    encoder.all_outputs_ = encoder.get_feature_names_out()


def _readable(cells: AnySeries, column: Column) -> AnySeries:
    if column.kind is Kind.DATETIME:
        return as_times(cells, column.name, column.written).rename("cell").reset_index(drop=True)
    return as_texts(cells).rename("cell").reset_index(drop=True)


def _encode(encoder: Any, cells: AnySeries) -> Block:
    encoded: Block = pd.DataFrame(encoder.transform(cells)).to_numpy(dtype=np.float64).copy()
    if not pd.api.types.is_datetime64_any_dtype(cells):
        return encoded
    microseconds = cells.to_numpy().astype("datetime64[us]")  # nanoseconds end in 2262
    elapsed = np.where(np.isnat(microseconds), np.nan, microseconds.astype(np.int64) / 1e6)
    return np.column_stack([elapsed, encoded])
