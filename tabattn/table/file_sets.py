"""One table in many Parquet or Arrow files: a directory, a pattern, a hive-partitioned set, a place in an object store.

PyArrow finds and reads the files, batch by batch, so that a table may be larger than memory.
"""

import glob
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from pandas.util import hash_array

from tabattn.arrays import Array
from tabattn.errors import TableError, in_one_line, quoted
from tabattn.table.limits import BYTES_PER_VALUE, GIGABYTE, memory_allowed

SUFFIXES = {".parquet": "parquet", ".pq": "parquet", ".feather": "feather", ".arrow": "feather"}
LOCAL_SCHEMES = ("file",)
N_BATCH, SAMPLE_SHARE, BYTES_PER_TEXT, SEED = 65_536, 0.25, 64, 0
HASH_SEED, HASH_FACTOR = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
Hashes: TypeAlias = "np.ndarray[Any, np.dtype[np.uint64]]"
URI = re.compile(r"^([a-z][a-z0-9+.-]+):/+(.*)$")
PATTERN = re.compile(r"[*?\[]")


def location_of(path: str | Path) -> str:
    """Return a path as text; one in which `Path` has lost a slash of s3:// as it was.

    Args:
        path: A path, or the address of a place in an object store.

    Example:
        >>> location_of(Path("s3://bucket/lots")), location_of("data/t.csv")
        ('s3://bucket/lots', 'data/t.csv')
    """
    text = str(path)
    found = URI.match(text)
    if found is None or len(found[1]) == 1:
        return text
    rest = f"/{found[2]}" if found[1] in LOCAL_SCHEMES else found[2]
    return f"{found[1]}://{rest}"


def is_file_set(path: str | Path) -> bool:
    """Return whether a path stands for several files, or for a place that is no file of this machine.

    Args:
        path: A path.
    """
    location = location_of(path)
    if "://" in location:
        return True
    try:
        return Path(location).is_dir() or (PATTERN.search(location) is not None and not Path(location).exists())
    except (OSError, ValueError):
        return False


@dataclass(frozen=True, eq=False)
class FileSet:
    """Files that are one table.

    Args:
        location: Where they were looked for.
        dataset: PyArrow's dataset of them, sorted by their names.
        counts: Number of rows of each file.
    """

    location: str
    dataset: Any
    counts: tuple[int, ...]

    @property
    def n_rows(self) -> int:
        """Number of rows of all files."""
        return sum(self.counts)

    @property
    def n_files(self) -> int:
        """Number of files."""
        return len(self.counts)

    @property
    def names(self) -> list[str]:
        """Names of the columns, with those of the partitions."""
        return list(self.dataset.schema.names)

    @classmethod
    def opened(cls, path: str | Path) -> "FileSet":
        """Find the files, and hold the schemas of all of them against that of the first.

        Args:
            path: A directory, a pattern, the address of either, or a file.

        Raises:
            TableError: There are no such files, one of them is damaged or has other columns, or PyArrow is not
                installed.
        """
        try:
            import pyarrow as pa
            from pyarrow import dataset as arrow
            from pyarrow import fs
        except ImportError as error:
            raise TableError(
                f"Reading {str(path)!r} needs pyarrow. Install it with: pip install 'tabattn[parquet]'"
            ) from error
        location = location_of(path)
        try:
            filesystem, place = (
                fs.FileSystem.from_uri(location) if "://" in location else (fs.LocalFileSystem(), location)
            )
            files = _files(filesystem, place, is_local="://" not in location)
        except (OSError, ValueError) as error:
            raise TableError(
                f"The table must be in files that can be listed, got {location!r}: {_said(error)}."
            ) from error
        if not files:
            endings = ", ".join(SUFFIXES)
            raise TableError(f"The table must be in files that end in {endings}, got none in {location!r}.")
        kinds = {SUFFIXES[_suffix(file)] for file in files}
        if len(kinds) > 1:
            raise TableError(f"All files of a table must be of one format, got {' and '.join(sorted(kinds))}.")
        try:
            kind = arrow.ParquetFileFormat() if kinds.pop() == "parquet" else arrow.IpcFileFormat()
            options = arrow.FileSystemFactoryOptions(
                partition_base_dir=_base(place, files),
                partitioning=arrow.HivePartitioning.discover(),
                exclude_invalid_files=False,
            )
            dataset = arrow.FileSystemDatasetFactory(filesystem, files, kind, options).finish()
            counts = tuple(_checked_rows(fragment, dataset.schema) for fragment in dataset.get_fragments())
        except TableError:
            raise
        except (OSError, pa.ArrowException) as error:
            raise _damaged(files[0]) from error
        return cls(location, dataset, counts)

    def batches(self) -> Iterator[Any]:
        """Return the rows of all files, batch by batch.

        Raises:
            TableError: A file is damaged, or has gone.
        """
        for number in range(self.n_files):
            yield from self.batches_of(number)

    def batches_of(self, number: int) -> Iterator[Any]:
        """Return the rows of one file, batch by batch.

        Args:
            number: Of the file, from 0 on.

        Raises:
            TableError: It is damaged, or has gone.
        """
        import pyarrow as pa

        fragment = next(itertools.islice(self.dataset.get_fragments(), number, None))
        try:
            for batch in fragment.to_batches(
                schema=self.dataset.schema, batch_size=N_BATCH, batch_readahead=1, fragment_readahead=1
            ):
                if len(batch):
                    batch.validate(full=True)
                    yield batch
        except (OSError, pa.ArrowException) as error:
            raise _damaged(fragment.path) from error

    def fits(self, max_memory: float | None) -> bool:
        """Return whether all rows fit into memory.

        Args:
            max_memory: Gigabytes that may be taken; None for most of what is at hand.
        """
        return self.n_rows * self._bytes_per_row() <= memory_allowed(max_memory)

    def _bytes_per_row(self) -> int:
        widths = (_has_width(self.dataset.schema.field(name).type) for name in self.names)
        return sum(BYTES_PER_VALUE if has_width else BYTES_PER_TEXT for has_width in widths)

    def read(self, max_memory: float | None, *, may_sample: bool) -> tuple[Any, list[str]]:
        """Return all rows, or a random sample of them that fits into memory.

        Each row is drawn independently, with a fixed seed: the sample is uniform, the same in every run, and which
        rows it has does not depend on how files are cut into batches.

        Args:
            max_memory: Gigabytes that may be taken; None for most of what is at hand.
            may_sample: Whether a sample will do.

        Returns:
            The rows as a table of PyArrow, and what to say of them.

        Raises:
            TableError: A file is damaged; or the rows do not fit into memory and a sample won't do.
        """
        import pyarrow as pa

        allowed, share, n_bytes = memory_allowed(max_memory), 1.0, self._bytes_per_row()
        if self.n_rows * n_bytes > allowed:
            if not may_sample:
                raise TableError(
                    f"{self.location!r} must fit into memory, but needs about "
                    f"{self.n_rows * n_bytes / GIGABYTE:.3g} GB, and {allowed / GIGABYTE:.3g} GB may be taken. "
                    "Give --out a directory, to predict it file by file."
                )
            share = SAMPLE_SHARE * allowed / (self.n_rows * n_bytes)
        random = np.random.default_rng(SEED)
        chosen = []
        for batch in self.batches():
            is_chosen = random.random(len(batch)) < share
            kept = batch if share >= 1 else batch.filter(pa.array(is_chosen))
            if len(kept):
                chosen.append(kept)
        arrow = pa.Table.from_batches(chosen, schema=chosen[0].schema if chosen else self.dataset.schema)
        said = [f"{self.n_files} files are read as one table"] * (self.n_files > 1)
        if share < 1:
            needed = self.n_rows * n_bytes / GIGABYTE
            said.append(
                f"its {self.n_rows} rows need about {needed:.3g} GB, and {allowed / GIGABYTE:.3g} GB may be taken: "
                f"a random sample of {len(arrow)} rows is read, always the same"
            )
        return arrow, said


def fractions_of(rows: Any, columns: Sequence[str] = ()) -> Array:
    """Return a number in [0, 1) for each row that follows from its cells, and from nothing else.

    Args:
        rows: A batch of rows, or a table of PyArrow.
        columns: Names of the columns that it follows from; none for all. Where one of them is missing it follows from
            all cells, so that such rows do not belong together.

    Example:
        >>> import pyarrow as pa
        >>> rows = pa.table({"lot": ["A", "B", "A"], "heat": [1.0, None, 3.0]})
        >>> one, other, again = fractions_of(rows, ["lot"])
        >>> bool(one == again), bool(one == other), len(set(fractions_of(rows).tolist()))
        (True, False, 3)
    """
    places = {name.strip(): place for place, name in enumerate(rows.schema.names)}
    mixed, is_absent = _mixed([rows.column(places[name]) for name in columns or places], len(rows))
    if columns and is_absent.any():
        mixed = np.where(is_absent, _mixed(rows.columns, len(rows))[0], mixed)
    fractions: Array = (mixed >> np.uint64(11)).astype(np.float64) / 2.0**53
    return fractions


def _mixed(columns: Sequence[Any], n_rows: int) -> "tuple[Hashes, np.ndarray[Any, np.dtype[np.bool_]]]":
    """Return a hash of some cells of each row, and where one of them is missing."""
    mixed, is_absent = np.full(n_rows, HASH_SEED, dtype=np.uint64), np.zeros(n_rows, dtype=bool)
    for cells in columns:
        hashed, absent = _hashed(cells)
        mixed = (mixed ^ hashed) * HASH_FACTOR
        mixed ^= mixed >> np.uint64(29)
        is_absent |= absent
    return mixed, is_absent


def _hashed(cells: Any) -> "tuple[Hashes, np.ndarray[Any, np.dtype[np.bool_]]]":
    """Return a hash of each cell, which does not depend on the others, and which are missing."""
    import pyarrow as pa
    from pyarrow import compute

    if pa.types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    is_plain = pa.types.is_primitive(cells.type)
    if not is_plain and not pa.types.is_string(cells.type):
        cells = cells.cast(pa.large_string())
    absent = compute.is_null(cells).to_numpy(zero_copy_only=False)
    if pa.types.is_null(cells.type):
        return np.zeros(len(cells), dtype=np.uint64), absent
    zero = pa.scalar("" if not is_plain else 0).cast(cells.type) if not pa.types.is_boolean(cells.type) else False
    values = compute.fill_null(cells, zero).to_numpy(zero_copy_only=False)
    hashed: Hashes = hash_array(values)
    return np.where(absent, HASH_FACTOR, hashed), absent


def _files(filesystem: Any, place: str, *, is_local: bool) -> list[str]:
    """Return the files of a place, sorted by name, without hidden ones."""
    from pyarrow import fs

    if is_local and PATTERN.search(place) and not Path(place).exists():
        found = [name for name in glob.glob(place, recursive=True) if Path(name).is_file()]
        folders = [name for name in glob.glob(place, recursive=True) if Path(name).is_dir()]
        found += [file for folder in folders for file in _files(filesystem, folder, is_local=False)]
        return sorted({file for file in found if _suffix(file) in SUFFIXES and not _is_hidden(file, "")})
    info = filesystem.get_file_info(place)
    if info.type == fs.FileType.File:
        return [place] if _suffix(place) in SUFFIXES else []
    listed = filesystem.get_file_info(fs.FileSelector(place, recursive=True))
    files = [each.path for each in listed if each.type == fs.FileType.File and not _is_hidden(each.path, place)]
    return sorted(file for file in files if _suffix(file) in SUFFIXES)


def _base(place: str, files: Sequence[str]) -> str:
    """Return the folder below which folders such as "site=N" are partitions: those above it are none."""
    steady = PATTERN.split(place)[0] if PATTERN.search(place) and not Path(place).exists() else place
    return str(Path(steady).parent) if steady in files or steady != place else steady


def _is_hidden(file: str, place: str) -> bool:
    """Return whether a file, or a folder below the place, begins with a dot or an underscore."""
    inside = file[len(place) :] if place and file.startswith(place) else Path(file).name
    return any(part.startswith((".", "_")) and "=" not in part for part in Path(inside.lstrip("/")).parts)


def _suffix(file: str) -> str:
    return Path(file).suffix.lower()


def _damaged(path: str) -> TableError:
    return TableError(
        f"The file {path!r} must be readable, got one that is damaged or has gone. Write it again, or take it away."
    )


def _checked_rows(fragment: Any, schema: Any) -> int:
    """Return the number of rows of a file whose columns are those of the table.

    Raises:
        TableError: They are others, or the file is damaged.
    """
    import pyarrow as pa

    try:
        own, n_rows = fragment.physical_schema, int(fragment.count_rows())
    except (OSError, pa.ArrowException) as error:
        raise _damaged(fragment.path) from error
    partitions = set(pa.dataset.get_partition_keys(fragment.partition_expression))
    expected = {name: schema.field(name).type for name in schema.names if name not in partitions}
    found = {name: own.field(name).type for name in own.names if name not in partitions}
    absent, more = [name for name in expected if name not in found], [name for name in found if name not in expected]
    if absent or more:
        what = f"without {quoted(absent)}" if absent else f"with {quoted(more)} too"
        raise TableError(
            f"All files of a table must have the same columns, got {fragment.path!r} {what}. Write it again with them."
        )
    for name, kind in found.items():
        if kind != expected[name] and not _is_castable(kind, expected[name]):
            raise TableError(
                f"All files of a table must have columns of one type, got {fragment.path!r} with {name!r} as {kind}, "
                f"not {expected[name]}. Write it again."
            )
    return n_rows


def _has_width(kind: Any) -> bool:
    """Return whether a cell of a type takes the same number of bytes, whatever is in it."""
    import pyarrow as pa

    return bool(pa.types.is_primitive(kind) or pa.types.is_null(kind) or pa.types.is_decimal(kind))


def _is_castable(kind: Any, expected: Any) -> bool:
    """Return whether cells of one type become cells of another without a loss."""
    import pyarrow as pa

    def is_number(each: Any) -> bool:
        return bool(pa.types.is_integer(each) or pa.types.is_floating(each))

    if pa.types.is_null(kind):
        return True
    if pa.types.is_dictionary(kind) or pa.types.is_dictionary(expected):
        value = kind.value_type if pa.types.is_dictionary(kind) else kind
        other = expected.value_type if pa.types.is_dictionary(expected) else expected
        return bool(value == other)
    if is_number(kind) and is_number(expected):
        return bool(kind.bit_width <= expected.bit_width) and not (
            pa.types.is_floating(kind) and pa.types.is_integer(expected)
        )
    texts = (pa.types.is_string, pa.types.is_large_string)
    return any(each(kind) for each in texts) and any(each(expected) for each in texts)


def _said(error: Exception) -> str:
    return in_one_line(error).rstrip(".")[:200]
