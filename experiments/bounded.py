"""A function in a child of this process: what it printed, how it ended, what it took, and whether it ran anything.

The child is forked, so that what was imported need not be imported again; the parent must have no threads.
"""

import contextlib
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

AUDITED = frozenset({
    "pickle.find_class", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn",
    "socket.connect", "socket.getaddrinfo", "webbrowser.open",
})  # fmt: skip
STREAMS = ("out", "err", "ran")
EXIT_DEFECT, MAX_DATA_BYTES, POLL_SECONDS, YES, N_CALLERS = 70, 6 << 30, 0.01, b"y\n" * 100, 8


@dataclass(frozen=True)
class Ended:
    """How a child ended.

    Args:
        code: Its exit code; minus the signal that ended it.
        out: What it printed.
        err: What it printed on the standard error stream.
        ran: What it ran, unpickled or connected to.
        cpu_seconds: Time it took, on all threads.
        seconds: The same by the clock.
        grown_bytes: How far its memory rose.
        was_stopped: Whether it was killed because it did not end.
    """

    code: int
    out: str
    err: str
    ran: tuple[str, ...]
    cpu_seconds: float
    seconds: float
    grown_bytes: int
    was_stopped: bool = False


def run_bounded(
    run: Callable[[], None],
    folder: Path,
    *,
    max_seconds: float = 60,
    max_file_bytes: int | None = None,
    kill: tuple[float, signal.Signals] | None = None,
) -> Ended:
    """Run a function in a child process.

    Args:
        run: What to run; may raise SystemExit.
        folder: Where what it prints is kept meanwhile; it must be empty of "out", "err" and "ran".
        max_seconds: After which the child is killed.
        max_file_bytes: Size of the largest file that it may write, as on a disk that is full; None for any.
        kill: Seconds after which it is sent a signal, and which.

    Returns:
        How it ended; time counts from the moment at which the child is ready.
    """
    for name in STREAMS:
        (folder / name).touch()
    ready_reader, ready_writer = os.pipe()
    child = os.fork()
    if child == 0:
        _run_child(run, folder, max_file_bytes, ready_writer)
    os.close(ready_writer)
    before = int.from_bytes(os.read(ready_reader, 8), "little")
    os.close(ready_reader)
    begun = time.perf_counter()
    sent = was_stopped = False
    while True:
        ended, status, usage = os.wait4(child, os.WNOHANG)
        if ended:
            break
        passed = time.perf_counter() - begun
        if kill is not None and not sent and passed > kill[0]:
            os.kill(child, kill[1])
            sent = True
        if passed > max_seconds:
            os.kill(child, signal.SIGKILL)
            was_stopped = True
        time.sleep(POLL_SECONDS)
    out, err, ran = ((folder / name).read_bytes().decode(errors="replace") for name in STREAMS)
    return Ended(
        code=os.waitstatus_to_exitcode(status),
        out=out,
        err=err,
        ran=tuple(ran.splitlines()),
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        seconds=time.perf_counter() - begun,
        grown_bytes=max(0, usage.ru_maxrss * 1024 - before),
        was_stopped=was_stopped,
    )


def _run_child(run: Callable[[], None], folder: Path, max_file_bytes: int | None, ready_writer: int) -> None:
    """Tell the parent that it can begin, run a function with nothing of the parent's streams, and end the process."""
    code = EXIT_DEFECT
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        streams = [os.open(folder / name, os.O_WRONLY | os.O_APPEND) for name in STREAMS]
        reader, writer = os.pipe()
        os.write(writer, YES)
        for new, old in ((reader, 0), (streams[0], 1), (streams[1], 2)):
            os.dup2(new, old)
        sys.stdin, sys.stdout, sys.stderr = (os.fdopen(n, mode) for n, mode in ((0, "r"), (1, "w"), (2, "w")))
        limit = _data_bytes() + MAX_DATA_BYTES
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        if max_file_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (max_file_bytes, max_file_bytes))
        sys.addaudithook(lambda event, arguments: _note(streams[2], event, arguments))
        os.write(ready_writer, _resident_bytes().to_bytes(8, "little"))
        run()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:  # noqa: BLE001  # whatever it is, it is a defect
        with contextlib.suppress(OSError):  # on a disk that is full
            os.write(2, traceback.format_exc().encode(errors="replace"))
    finally:
        try:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
        finally:
            os._exit(code)


def _note(stream: int, event: str, arguments: tuple[Any, ...]) -> None:
    """Keep an event that is audited, and who caused it."""
    if event not in AUDITED:
        return
    frame: FrameType | None = sys._getframe()
    names: list[str] = []
    while frame is not None and len(names) < N_CALLERS:
        names.append(f"{frame.f_globals.get('__name__')}.{frame.f_code.co_name}")
        frame = frame.f_back
    os.write(stream, f"{event} {arguments!r} {' < '.join(names)}\n".encode(errors="replace"))


def _resident_bytes() -> int:
    return _pages(1) * resource.getpagesize()


def _data_bytes() -> int:
    return _pages(5) * resource.getpagesize()


def _pages(field: int) -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[field])
