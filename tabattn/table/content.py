"""What a file holds, by its first bytes and not by its name; and what is inside compressed ones."""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Mapping
from typing import IO, Any, Literal, TypeAlias

from tabattn.table.limits import BYTES_PER_CHARACTER, check_memory

Content: TypeAlias = Literal["text", "workbook", "parquet", "arrow"]
CHUNK, GZIP_TRAILER, MAX_LINE = 1 << 22, 18, 1 << 26
SIGNATURES: Mapping[bytes, str] = {
    b"\x1f\x8b": "gz",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zst",
    b"PK\x03\x04": "zip",
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"FEA1": "arrow",
    b"\xff\xff\xff\xff": "arrow",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "workbook",
}
BINARY = tuple(start for start in SIGNATURES if start != b"\xff\xff\xff\xff")
OTHERS: Mapping[bytes, str] = {
    b"\x89PNG": "a picture (PNG)",
    b"\xff\xd8\xff": "a picture (JPEG)",
    b"%PDF": "a PDF document",
    b"<!DOCTYPE html": "a web page (HTML)",
    b"<html": "a web page (HTML)",
    b"<table": "a web page (HTML)",
    b"<!--": "a web page (HTML)",
    b"<?xml": "an XML document",
    b'[{"': "JSON",
    b'{"': "JSON",
    b"SQLite format 3": "a database (SQLite)",
    b"Rar!": "an archive (RAR)",
    b"7z\xbc\xaf": "an archive (7z)",
    b"\x89HDF": "an HDF5 file",
}


def signature(data: bytes) -> str:
    """Return what the first bytes of a file say: one of the values of `SIGNATURES`, or "" where they say nothing."""
    found = next((what for start, what in SIGNATURES.items() if data.startswith(start)), "")
    if found == "zip":
        names = zip_names(data)
        if any(name.startswith("xl/") for name in names) or "content.xml" in names:
            return "workbook"
    return found


def foreign(data: bytes) -> str | None:
    """Return what a file is, in words, if it can't hold a table."""
    start = data[:64].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next((what for each, what in OTHERS.items() if start.startswith(each.lower())), None)


def zip_names(data: bytes) -> list[str]:
    """Return the names of the files in an archive, directories and those of macOS left out."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX")]


def decompressed(data: bytes, compression: str, file_name: str, max_memory: float | None) -> bytes:
    """Return what is inside compressed bytes, refused as soon as it is too large for memory.

    Args:
        data: The bytes.
        compression: "gz", "bz2", "xz", "zst" or "zip".
        file_name: For errors.
        max_memory: Gigabytes that may be taken; None for most of what is at hand.

    Raises:
        TableError: It is too large.
        ValueError: A .zip holds several files, or a line is longer than 64 MB.
    """
    if compression == "gz" and len(data) >= GZIP_TRAILER:
        claimed = int.from_bytes(data[-4:], "little")  # modulo 4 GB, of the last member
        check_memory(claimed * BYTES_PER_CHARACTER, f"What is inside {file_name!r}", max_memory)
    if compression == "zip":
        names = zip_names(data)
        if len(names) != 1:
            raise ValueError(f"a .zip must hold one file, got {len(names)}")
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            claimed = archive.getinfo(names[0]).file_size
        check_memory(claimed * BYTES_PER_CHARACTER, f"What is inside {file_name!r}", max_memory)
        with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open(names[0]) as part:
            return _read_all(part, file_name, max_memory)
    if compression == "zst":
        import pyarrow as pa

        return _read_all(pa.CompressedInputStream(pa.BufferReader(data), "zstd"), file_name, max_memory)
    opened: Any = {"gz": gzip.GzipFile, "bz2": bz2.BZ2File, "xz": lzma.LZMAFile}[compression]
    with opened(io.BytesIO(data)) if compression != "gz" else opened(fileobj=io.BytesIO(data)) as part:
        return _read_all(part, file_name, max_memory)


def _read_all(part: IO[bytes], file_name: str, max_memory: float | None) -> bytes:
    """Return all bytes, refused as soon as they are too many for memory, or in one line."""
    chunks, n_bytes, n_since_end = [], 0, 0
    while chunk := part.read(CHUNK):
        chunks.append(chunk)
        n_bytes += len(chunk)
        check_memory(n_bytes * BYTES_PER_CHARACTER, f"What is inside {file_name!r}", max_memory)
        has_end = b"\n" in chunk or b"\r" in chunk
        n_since_end = 0 if has_end else n_since_end + len(chunk)
        if n_since_end > MAX_LINE and not chunks[0].startswith(BINARY):
            raise ValueError(f"a line of it is longer than {MAX_LINE >> 20} MB")
    return b"".join(chunks)
