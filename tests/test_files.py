import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tabattn.errors import OutputError
from tabattn.files import check_writable, reserved, resumable, unfinished, write_all, write_atomic

HOLD = """
import fcntl, os, sys
fcntl.flock(os.open(sys.argv[1], 0), fcntl.LOCK_EX)
print(flush=True)
input()
"""
OTHER_RUN = """
import sys
from pathlib import Path
from tabattn.files import write_all
write_all(Path(sys.argv[1]), {"a.txt": lambda path: path.write_text("other")})
"""


def text(content: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_text(content)

    return write


def private(path: Path) -> None:
    path.write_text("")
    path.chmod(0o600)


def names(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def test_files_are_written_and_replaced(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    for content in ("first", "second"):
        write_all(out, {"a.txt": text(content), "plots/b.txt": text(content)})
    assert names(out) == ["a.txt", "manifest.json", "plots/b.txt"]
    assert (out / "plots/b.txt").read_text() == "second"


def test_nothing_is_replaced_when_one_file_fails(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a.txt", text("old"))

    def fail(path: Path) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match="No space left on device"):
        write_all(tmp_path, {"a.txt": text("new"), "b.txt": fail})
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


@pytest.mark.parametrize("obstacle", ["file where a folder must be", "folder where a file must be"])
def test_nothing_is_written_when_one_place_is_taken(tmp_path: Path, obstacle: str) -> None:
    if obstacle.startswith("file"):
        (tmp_path / "plots").write_text("")
    else:
        (tmp_path / "plots" / "b.txt").mkdir(parents=True)
    with pytest.raises(OutputError, match="can't be written"):
        write_all(tmp_path, {"a.txt": text("new"), "plots/b.txt": text("new")})
    assert "a.txt" not in names(tmp_path)


def test_writable_places_are_left_as_they_were(tmp_path: Path) -> None:
    check_writable(tmp_path / "deep" / "down")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"must be a directory.*is a file"):
        check_writable(tmp_path / "file" / "out")


def test_an_unwritable_directory_is_refused() -> None:
    with pytest.raises(OutputError, match="must be writable"):
        check_writable(Path("/proc/tabattn"))


@pytest.mark.parametrize(
    ("name", "to", "message"),
    [
        ("a" * 300, None, "must be writable.*too long"),
        ("/".join(["a" * 200] * 30), None, "must be writable.*too long"),
        ("circle", "circle", "must be writable.*symbolic links"),
        ("gone", "nowhere", "must be a directory.*a link to nothing"),
        ("gone/below", None, "must be a directory.*a link to nothing"),
    ],
)
def test_places_that_can_not_be_are_refused(tmp_path: Path, name: str, to: str | None, message: str) -> None:
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    if to == "circle":
        (tmp_path / name).symlink_to(tmp_path / to)
    with pytest.raises(OutputError, match=message), reserved(tmp_path / name):
        pytest.fail("nothing may be written here")
    if "must be writable" in message:
        with pytest.raises(OutputError, match="can't be written"):
            write_all(tmp_path / name, {"a.txt": Path.touch})


def test_the_set_of_a_run_replaces_that_of_the_run_before(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_all(out, {"a.txt": text("old"), "plots/b.txt": text("old"), "only_old.txt": text("old")})
    write_all(out, {"a.txt": text("new"), "plots/b.txt": text("new")})
    assert names(out) == ["a.txt", "manifest.json", "plots/b.txt"]
    assert names(tmp_path) == [f"out/{name}" for name in names(out)]
    assert unfinished(out) == []
    (out / "plots/b.txt").write_text("edited")
    assert unfinished(out) == ["plots/b.txt"]
    assert unfinished(tmp_path) == ["manifest.json"]


@pytest.mark.parametrize("foreign", ["notes.txt", "plots/notes.txt", "other/notes.txt"])
def test_files_of_others_stay(tmp_path: Path, foreign: str) -> None:
    write_all(tmp_path / "out", {"a.txt": text("old"), "plots/b.txt": text("old"), "old.txt": text("old")})
    (tmp_path / "out" / foreign).parent.mkdir(exist_ok=True)
    (tmp_path / "out" / foreign).write_text("mine")
    (tmp_path / "out" / "old.txt").write_text("edited, so mine")
    write_all(tmp_path / "out", {"a.txt": text("new"), "plots/b.txt": text("new")})
    assert set(names(tmp_path / "out")) == {"a.txt", "manifest.json", "old.txt", "plots/b.txt", foreign}
    assert (tmp_path / "out" / foreign).read_text() == "mine"
    assert unfinished(tmp_path / "out") == []


@pytest.mark.parametrize("n_replaced", [0, 1, 2])
def test_a_set_that_was_replaced_in_part_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_replaced: int
) -> None:
    (tmp_path / "mine.txt").write_text("so that files are replaced one by one")
    writers = {name: text("old") for name in ("a.txt", "b.txt", "c.txt")}
    write_all(tmp_path, writers)
    replace = os.replace
    done: list[Path] = []

    def killed(source: Path, final: Path) -> None:
        if len(done) == n_replaced:
            raise KeyboardInterrupt
        done.append(final)
        replace(source, final)

    monkeypatch.setattr("tabattn.files.os.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_all(tmp_path, {name: text("new") for name in writers})
    assert unfinished(tmp_path) == ["manifest.json"]
    monkeypatch.undo()
    write_all(tmp_path, {name: text("newest") for name in writers})
    assert unfinished(tmp_path) == []


def test_what_killed_runs_left_is_removed_and_what_others_are_writing_is_not(tmp_path: Path) -> None:
    (tmp_path / ".tabattn-abandoned").mkdir()
    (tmp_path / ".tabattn-abandoned" / "half.csv").write_text("")
    (tmp_path / ".tabattn-alive").mkdir()
    command = [sys.executable, "-c", HOLD, str(tmp_path / ".tabattn-alive")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        check_writable(tmp_path / "out")
        assert [path.name for path in tmp_path.iterdir()] == [".tabattn-alive"]
        other.kill()
    check_writable(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_of_two_runs_with_one_output_the_second_says_so(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with reserved(out):
        write_all(out, {"a.txt": text("mine")})
        write_all(out, {"a.txt": text("mine, again")})
        command = [sys.executable, "-c", OTHER_RUN, str(out)]
        subprocess.run(command, check=True)
        with pytest.raises(OutputError, match="Another run has written to"):
            write_all(out, {"a.txt": text("mine, too late")})
    assert (out / "a.txt").read_text() == "other"
    assert names(tmp_path) == ["out/a.txt", "out/manifest.json"]


def test_files_can_be_read_by_those_whom_the_umask_lets(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_all(tmp_path / "out", {"plots/a.txt": private, "b.txt": text("")})
        write_atomic(tmp_path / "model", private)
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert modes == {"out": 0o750, "plots": 0o750} | dict.fromkeys(("a.txt", "b.txt", "manifest.json", "model"), 0o640)


def test_a_linked_folder_in_the_output_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "plots").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="'plots' is a symbolic link"):
        write_all(tmp_path / "out", {"plots/a.txt": text("")})
    assert names(tmp_path) == []
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    write_all(tmp_path / "link", {"a.txt": text("")})
    assert names(tmp_path / "elsewhere") == ["a.txt", "manifest.json"]


def test_a_manifest_names_nothing_outside_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "mine.txt").write_text("mine")
    checksum = hashlib.sha256(b"mine").hexdigest()
    (tmp_path / "out" / "manifest.json").write_text(json.dumps({"files": {"../mine.txt": checksum}}))
    write_all(tmp_path / "out", {"a.txt": text("")})
    assert (tmp_path / "mine.txt").exists()


def test_the_folder_of_a_job_that_may_be_resumed_is_removed_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / ".resume-out"

    def fail() -> None:
        with resumable(tmp_path / "out") as given:
            (given / "target_1").mkdir(parents=True)
            (given / "target_1" / "fit_1.ckpt").write_text("state")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (folder / "target_1" / "fit_1.ckpt").exists(), "a job that failed may be resumed"
    with resumable(tmp_path / "out"):
        (folder / "mine.txt").write_text("not a state")
    assert [path.name for path in folder.rglob("*")] == ["mine.txt"]
    (folder / "mine.txt").unlink()
    with resumable(tmp_path / "out"):
        folder.mkdir(exist_ok=True)
        (folder / "fit_1.ckpt.new").write_text("half a state")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "fit_1.ckpt").write_text("of another")
    folder.symlink_to(tmp_path / "elsewhere")
    with resumable(tmp_path / "out"):
        pass
    assert (tmp_path / "elsewhere" / "fit_1.ckpt").exists()
