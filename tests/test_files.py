from collections.abc import Callable
from pathlib import Path

import pytest

from tabattn.errors import OutputError
from tabattn.files import check_writable, write_all, write_atomic


def text(content: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_text(content)

    return write


def names(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def test_files_are_written_and_replaced(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    for content in ("first", "second"):
        write_all(out, {"a.txt": text(content), "plots/b.txt": text(content)})
    assert names(out) == ["a.txt", "plots/b.txt"]
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
