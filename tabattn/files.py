"""Writing files: what is written is complete, or not there at all, and the files of a run are of one run.

Files are written to a staging folder beside their place. A whole set of them takes its place in one step where the
system can exchange two folders (Linux, macOS), and nothing else is in the folder; else file by file. manifest.json,
which names the files of the set and their checksums, is removed before the first file is replaced and written after the
last: a folder whose manifest is absent, or does not fit, has files of a run that was ended in between.
"""

import ctypes
import errno
import hashlib
import json
import os
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from tabattn.errors import OutputError
from tabattn.version import __version__

if sys.platform != "win32":
    import fcntl

STAGING, MANIFEST, N_BYTES = ".tabattn-", "manifest.json", 1 << 20
RESUMABLE, STATE_PREFIX, MAX_NAME = ".resume-", "fit_", 100
Writer = Callable[[Path], None]

_found: ContextVar[Mapping[Path, str] | None] = ContextVar("_found", default=None)


def check_writable(directory: Path) -> None:
    """Check that a directory can be made and written to, before any work is done for it.

    Args:
        directory: Where results are to go; need not exist.

    Raises:
        OutputError: The directory, or the nearest one above it that exists, can't be written to.
    """
    existing = directory
    try:
        _resolved(directory)
        while not os.path.lexists(existing) and existing != existing.parent:
            existing.exists()  # a name that is too long is no name
            existing = existing.parent
        if not existing.is_dir():
            what = "a link to nothing" if existing.is_symlink() and not existing.exists() else "a file"
            raise OutputError(
                f"The output must be a directory, got {str(directory)!r}, but {str(existing)!r} is {what}."
            )
        with _staging_in(existing):
            pass
    except OSError as error:
        raise OutputError(
            f"The output directory must be writable, got {str(directory)!r}: {error.strerror}. Choose another."
        ) from error


@contextmanager
def reserved(directory: Path) -> Iterator[None]:
    """Check that a directory can be written to, and refuse to replace what another run writes there in the meantime.

    Args:
        directory: Where results are to go; need not exist.

    Raises:
        OutputError: It can't be written to; later, from `write_all`: another run has written to it.
    """
    check_writable(directory)
    place = _resolved(directory)
    token = _found.set({**(_found.get() or {}), place: _state(place)})
    try:
        yield
    finally:
        _found.reset(token)


@contextmanager
def resumable(directory: Path, *, is_kept: bool = False) -> Iterator[Path]:
    """Give a job that writes to a directory a folder next to it, which is removed where the job has done its work.

    Args:
        directory: Where results are to go; need not exist.
        is_kept: Whether another process removes it.

    Yields:
        The folder; need not exist.
    """
    place = _resolved(directory)
    folder = _beside(place) / f"{RESUMABLE}{place.name[:MAX_NAME]}"
    yield folder
    if not is_kept and not folder.is_symlink():
        _remove_states(folder)


def _remove_states(folder: Path) -> None:
    """Remove the states of fits and the folders that are empty then; files of others stay."""
    for path in sorted(folder.rglob("*"), reverse=True):
        with suppress(OSError):
            if path.name.startswith(STATE_PREFIX) and path.is_file() and not path.is_symlink():
                path.unlink()
            elif path.is_dir() and not path.is_symlink():
                path.rmdir()
    with suppress(OSError):
        folder.rmdir()


def write_atomic(path: Path, write: Writer) -> None:
    """Write a temporary file in the same directory, then move it into place in one step.

    Args:
        path: Where the file is to be; replaced if it exists.
        write: Writes the file at the path it is given, which has the same suffix.

    Raises:
        OutputError: The file can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _staging_in(path.parent) as staging:
            _write(staging, {path.name: write})
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, f"{path.name!r} is a directory")
            os.replace(staging / path.name, path)
    except OSError as error:
        raise _refused(path.parent, error) from error


def write_all(directory: Path, writers: Mapping[str, Writer], manifest: str = MANIFEST) -> None:
    """Write the files of a run, and manifest.json; remove those of the run before that this one does not have.

    Args:
        directory: Where the files are to be; made if it does not exist. Files that were not named by the manifest of
            an earlier run, or were changed since, stay.
        writers: For each path relative to the directory, what writes the file at the path it is given.
        manifest: Name of the manifest.

    Raises:
        OutputError: A file can't be written, or another run has written to the directory, see `reserved`.
    """
    try:
        place = _resolved(directory)
        place.parent.mkdir(parents=True, exist_ok=True)
        beside = _beside(place)
        with _staging_in(beside) as staging:
            new = staging / "new"
            new.mkdir()
            _write(new, writers)
            content = {"tabattn": __version__, "files": {name: _checksum(new / name) for name in sorted(writers)}}
            (new / manifest).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            with _turn(beside):
                before = _found.get() or {}
                expected = before.get(place)
                if expected is not None and _state(place) != expected:
                    raise OutputError(
                        f"Another run has written to {str(directory)!r} in the meantime; nothing of this one was "
                        "written. Choose another --out, or run again."
                    )
                if not _moved(new, place, staging, manifest):
                    _replace(new, place, writers, manifest)
            if expected is not None:
                _found.set({**before, place: _state(place)})
    except OSError as error:
        raise _refused(directory, error) from error


def unfinished(directory: Path) -> list[str]:
    """Return the files of a run that are not as its manifest says: because it was ended, or they were changed since.

    Args:
        directory: A directory that `write_all` wrote to.

    Returns:
        Their names; only that of the manifest where it is absent.
    """
    manifest = _manifest(directory)
    if manifest is None:
        return [MANIFEST]
    return [name for name, checksum in manifest.items() if _checksum(directory / name) != checksum]


def _resolved(directory: Path) -> Path:
    """Return an absolute path without links.

    Raises:
        OSError: It is too long, or links lead in a circle.
    """
    try:
        return directory.resolve()
    except RuntimeError as error:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from error


def _beside(place: Path) -> Path:
    """Return where unfinished files belong: next to a directory, or in it where nothing can be written there."""
    return place.parent if os.access(place.parent, os.W_OK) else place


def _write(folder: Path, writers: Mapping[str, Writer]) -> None:
    """Write files, readable as the user's other files are."""
    mode = folder.stat().st_mode & 0o666
    for name, write in writers.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
        path.chmod(mode)


def _moved(new: Path, place: Path, staging: Path, name: str) -> bool:
    """Put a folder in its place in one step, and return whether that was possible."""
    is_used = Path.cwd() == place or place in Path.cwd().parents
    if staging.parent == place or is_used:
        return False
    if not place.exists() or not any(place.iterdir()):
        with suppress(OSError):
            os.rename(new, place)
            return True
        return False
    manifest = _manifest(place, name)
    known = {place / name, *(place / each for each in manifest or {})}
    folders = {parent for path in known for parent in path.parents}
    if manifest is None or any(path.is_symlink() or path not in known | folders for path in place.rglob("*")):
        return False
    if any(_checksum(place / each) != checksum for each, checksum in manifest.items()):
        return False
    return _exchanged(new, place)


def _exchanged(first: Path, second: Path) -> bool:
    """Exchange two folders in one step, and return whether the system can do that."""
    if sys.platform == "win32":
        return False
    library = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(first), os.fsencode(second)
    try:
        if sys.platform == "darwin":
            return bool(library.renamex_np(*names, ctypes.c_uint(2)) == 0)
        here = ctypes.c_int(-100)
        return bool(library.renameat2(here, names[0], here, names[1], ctypes.c_uint(2)) == 0)
    except (AttributeError, OSError):
        return False


def _replace(new: Path, place: Path, writers: Mapping[str, Writer], manifest: str) -> None:
    """Put the files of a folder in their places one after another, without a manifest meanwhile."""
    place.mkdir(exist_ok=True)
    for name in writers:
        final = place / name
        final.parent.mkdir(parents=True, exist_ok=True)
        if any(parent.is_symlink() for parent in final.parents if parent != place and place in parent.parents):
            raise OSError(errno.ELOOP, f"{final.parent.name!r} is a symbolic link; remove it or choose another output")
        if final.is_dir():
            raise IsADirectoryError(errno.EISDIR, f"{final.name!r} is a directory")
    old = _manifest(place, manifest) or {}
    gone = [name for name in old if name not in writers and _checksum(place / name) == old[name]]
    (place / manifest).unlink(missing_ok=True)
    for name in gone:
        (place / name).unlink(missing_ok=True)
    for name in (*writers, manifest):
        os.replace(new / name, place / name)


def _manifest(directory: Path, name: str = MANIFEST) -> dict[str, str] | None:
    """Return the checksums of the files of a run by their names; None if they can't be read."""
    try:
        files: Any = json.loads((directory / name).read_text(encoding="utf-8"))["files"]
        names = {str(each): str(checksum) for each, checksum in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    is_below = all(not Path(each).is_absolute() and ".." not in Path(each).parts for each in names)
    return names if is_below else None


def _checksum(path: Path) -> str:
    """Return a checksum of a file; nothing for none."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(N_BYTES):
                digest.update(block)
    except OSError:
        return ""
    return digest.hexdigest()


def _state(place: Path) -> str:
    """Return what tells whether a run has written to a directory since."""
    try:
        found = (place / MANIFEST).stat()
    except OSError:
        return "none"
    return f"{found.st_ino} {found.st_mtime_ns}"


@contextmanager
def _staging_in(directory: Path) -> Iterator[Path]:
    """Make a folder for files that are not complete, and remove it, with those that killed runs have left."""
    _remove_abandoned(directory)
    staging = directory / f"{STAGING}{uuid.uuid4().hex[:12]}"
    try:
        with ExitStack() as stack:
            while not staging.exists():  # another run may take it for abandoned before it is locked
                staging.mkdir()
                with suppress(FileNotFoundError):
                    stack.enter_context(_turn(staging))
            yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _remove_abandoned(directory: Path) -> None:
    if sys.platform == "win32":  # there are no locks that tell which are in use
        return
    for path in directory.glob(f"{STAGING}*"):
        with suppress(OSError):
            if path.is_dir() and not path.is_symlink():
                with _turn(path, is_patient=False):
                    shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _turn(directory: Path, *, is_patient: bool = True) -> Iterator[None]:
    """Hold the lock of a directory, which ends with the process at the latest.

    Raises:
        BlockingIOError: Another process holds it, and this one is not patient.
    """
    if sys.platform == "win32":
        yield
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if is_patient else fcntl.LOCK_NB))
        yield
    finally:
        os.close(handle)


def _refused(directory: Path, error: OSError) -> OutputError:
    reason = error.strerror or " ".join(str(error).split())
    return OutputError(f"Results can't be written to {str(directory)!r}: {reason}.")
