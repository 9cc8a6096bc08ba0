"""Dates and texts to numbers: a block of several numbers per column, which becomes one token."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from typing_extensions import override

from tabattn.arrays import Array
from tabattn.process_state import filters_restored, warnings_ignored
from tabattn.table.cells import AnySeries
from tabattn.table.columns import Texts, Times
from tabattn.table.schema import Kind

N_TEXT_PARTS, N_GRAMS = 30, (3, 4)
MIN_SCALE = 10 * np.finfo(np.float32).eps
HOURS = pd.Series([pd.Timestamp(1970, 1, 1, hour) for hour in (0, 1)], name="cell")
DAYS = pd.Series([pd.Timestamp(1970, 1, day) for day in (1, 2)], name="cell")
Block = np.ndarray[tuple[int, int], np.dtype[np.float64]]


class PartsEncoder(ABC):
    """Cells of a column to several numbers each."""

    @abstractmethod
    def transform(self, cells: AnySeries) -> Block:
        """Return the numbers of each cell; those of a missing cell are arbitrary."""

    @property
    @abstractmethod
    def arrays(self) -> dict[str, Array]:
        """Everything that was learned, as arrays by name."""


@dataclass(frozen=True, eq=False)
class DateEncoder(PartsEncoder):
    """Dates to seconds elapsed, year, day of the year, and places on the circles of months, days, weekdays and hours.

    Args:
        encoder: skrub's fitted encoder; it leaves out the hour if every training row is a day.

    Source: skrub's DatetimeEncoder. Its total seconds in single precision would be exact to two minutes only.
    """

    encoder: Any

    @classmethod
    def learned(cls, times: AnySeries) -> Self:
        """Learn whether there are hours.

        Args:
            times: Training rows.
        """
        with filters_restored():
            from skrub import DatetimeEncoder  # takes half a second, needed for dates only

        encoder = DatetimeEncoder(
            add_total_seconds=False, add_weekday=True, add_day_of_year=True, periodic_encoding="circular"
        )
        with warnings_ignored():
            return cls(encoder.fit(times.rename("cell")))

    @override
    def transform(self, cells: AnySeries) -> Block:
        encoded = pd.DataFrame(self.encoder.transform(cells.rename("cell"))).to_numpy(dtype=np.float64)
        microseconds = cells.to_numpy().astype("datetime64[us]")  # nanoseconds end in 2262
        elapsed = np.where(np.isnat(microseconds), np.nan, microseconds.astype(np.int64) / 1e6)
        return np.column_stack([elapsed, encoded])

    @override
    @property
    def arrays(self) -> dict[str, Array]:
        return {}

    @classmethod
    def from_n_parts(cls, n_parts: int) -> Self:
        """Return the encoder that returns so many numbers per cell.

        Args:
            n_parts: Numbers per cell.

        Raises:
            ValueError: No encoder does.
        """
        for times in (HOURS, DAYS):
            encoder = cls.learned(times)
            if encoder.transform(times).shape[1] == n_parts:
                return encoder
        raise ValueError("dates have another number of parts")


@dataclass(frozen=True, eq=False)
class TextEncoder(PartsEncoder):
    """Texts to their first 30 singular components among the training texts, by the character 3- and 4-grams in them.

    Args:
        vectorizer: Fitted; texts to weights of n-grams.
        components: Singular components of the weights, shape (component, n-gram); None for the first n-grams
            themselves, where training has too few rows or n-grams.
        scale: Divisor of the components, such that their total variance among the training texts is 1.

    Source: latent semantic analysis, Deerwester et al. 1990; settings and scale of skrub's StringEncoder.
    """

    vectorizer: TfidfVectorizer
    components: Array | None
    scale: float

    @classmethod
    def learned(cls, texts: AnySeries) -> Self:
        """Learn n-grams and components.

        Args:
            texts: Training rows.
        """
        vectorizer = TfidfVectorizer(ngram_range=N_GRAMS, analyzer="char_wb")
        weights = vectorizer.fit_transform(texts.fillna("")).astype(np.float32)
        if min(weights.shape) > N_TEXT_PARTS:
            svd = TruncatedSVD(n_components=N_TEXT_PARTS, random_state=0)
            parts, components = svd.fit_transform(weights), svd.components_
        else:
            parts, components = weights[:, :N_TEXT_PARTS].toarray(), None
        scale = float(np.sqrt(np.nansum(np.nanvar(parts, axis=0))))
        return cls(vectorizer, components, scale if scale >= MIN_SCALE else 1.0)

    @override
    def transform(self, cells: AnySeries) -> Block:
        weights = self.vectorizer.transform(cells.fillna("")).astype(np.float32)
        parts = weights[:, :N_TEXT_PARTS].toarray() if self.components is None else weights @ self.components.T
        block: Block = (parts / np.float32(self.scale)).astype(np.float64)
        return block

    @override
    @property
    def arrays(self) -> dict[str, Array]:
        n_grams = json.dumps(self.vectorizer.get_feature_names_out().tolist())
        arrays = {
            "n_grams": np.frombuffer(n_grams.encode(), dtype=np.uint8),
            "idf": self.vectorizer.idf_,
            "scale": np.array([self.scale]),
        }
        return arrays if self.components is None else arrays | {"components": self.components}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Self:
        """Return the encoder whose `arrays` these are.

        Raises:
            ValueError, KeyError: They are not those of an encoder of texts.
        """
        n_grams = [str(each) for each in json.loads(arrays["n_grams"].astype(np.uint8).tobytes())]
        idf, components = arrays["idf"].astype(np.float64), arrays.get("components")
        if not all(np.isfinite(each).all() for each in (idf, arrays["scale"], components) if each is not None):
            raise ValueError("numbers must be finite")
        if arrays["scale"].size != 1 or not arrays["scale"].reshape(-1)[0] > 0:
            raise ValueError("the scale must be above 0")
        if idf.shape != (len(n_grams),) or len(set(n_grams)) != len(n_grams):
            raise ValueError("there must be a frequency for each n-gram")
        if components is not None and components.shape != (N_TEXT_PARTS, len(n_grams)):
            raise ValueError("there must be singular components for each n-gram")
        vectorizer = TfidfVectorizer(ngram_range=N_GRAMS, analyzer="char_wb", vocabulary=n_grams)
        vectorizer.idf_ = idf
        return cls(vectorizer, components, float(arrays["scale"].reshape(-1)[0]))

    @property
    def n_parts(self) -> int:
        """Numbers per cell."""
        n_grams = len(self.vectorizer.idf_)
        return min(N_TEXT_PARTS, n_grams) if self.components is None else N_TEXT_PARTS


@dataclass(frozen=True, eq=False)
class BlockEncoder:
    """The parts of the cells of one column that vary among the training rows.

    Args:
        parts: All parts.
        is_kept: Which of them vary.
    """

    parts: PartsEncoder
    is_kept: np.ndarray[tuple[int], np.dtype[np.bool_]]

    @property
    def n_parts(self) -> int:
        """Numbers per cell, at least 1."""
        return int(self.is_kept.sum())

    @classmethod
    def learned(cls, cells: Times | Texts) -> tuple[Self, Block]:
        """Learn how to turn the cells of one column into numbers.

        Args:
            cells: Training rows, not constant.

        Returns:
            The encoder, and the numbers of the training rows.

        Example:
            >>> encoder, block = BlockEncoder.learned(Times(pd.Series(pd.date_range("2024-01-01", periods=30))))
            >>> block.shape
            (30, 6)
        """
        with warnings_ignored():
            parts: PartsEncoder = (DateEncoder if isinstance(cells, Times) else TextEncoder).learned(cells.values)
            block = parts.transform(cells.values)
        is_kept = np.ptp(block[~cells.missing], axis=0) > 0
        if not is_kept.any():  # only whether cells are missing varies
            is_kept[0] = True
        learned = cls(parts, is_kept)
        return learned, learned._kept(block, cells)

    def transform(self, cells: Times | Texts) -> Block:
        """Return the numbers of each cell, NaN where missing."""
        with warnings_ignored():
            return self._kept(self.parts.transform(cells.values), cells)

    def _kept(self, block: Block, cells: Times | Texts) -> Block:
        block[cells.missing] = np.nan
        return block[:, self.is_kept]

    @property
    def arrays(self) -> dict[str, Array]:
        """Everything that was learned, as arrays by name."""
        return {"is_kept": self.is_kept, **self.parts.arrays}

    @classmethod
    def from_arrays(cls, kind: Kind, arrays: Mapping[str, Array]) -> Self:
        """Return the encoder whose `arrays` these are.

        Args:
            kind: Kind of the column: dates or texts.
            arrays: What `arrays` returned.

        Raises:
            ValueError, KeyError: They are not those of an encoder.
        """
        is_kept = arrays["is_kept"].astype(bool)
        if is_kept.ndim != 1 or not is_kept.any():
            raise ValueError("there must be a flag for each number of the block")
        if kind is Kind.DATETIME:
            return cls(DateEncoder.from_n_parts(len(is_kept)), is_kept)
        texts = TextEncoder.from_arrays(arrays)
        if is_kept.shape != (texts.n_parts,):
            raise ValueError("there must be a flag for each number of the block")
        return cls(texts, is_kept)
