"""What is imported when: the command line answers at once, and Lightning waits for a fit."""

import subprocess
import sys

import pytest

import tabattn

HEAVY = ("torch", "pandas", "sklearn", "scipy", "lightning", "matplotlib", "transformers")


def imported_by(statement: str) -> set[str]:
    """The packages of `HEAVY` that a statement imports in a new process."""
    code = f"{statement}\nimport sys\nprint(*(set({HEAVY}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("statement", ["import tabattn", "import tabattn.cli", "from tabattn import __version__"])
def test_neither_the_package_nor_its_command_line_waits_for_anything(statement: str) -> None:
    assert imported_by(statement) == set()


def test_lightning_and_matplotlib_wait_until_they_are_needed() -> None:
    assert imported_by("from tabattn import rank, explain, load").isdisjoint(
        {"lightning", "matplotlib", "transformers"}
    )


def test_help_and_a_mistyped_option_import_nothing_either() -> None:
    run = "from typer.testing import CliRunner\nfrom tabattn.cli import app\nCliRunner().invoke(app, {})"
    for arguments in (["--help"], ["rank", "--help"], ["rank", "t.csv", "--tagret", "y"], ["--version"]):
        assert imported_by(run.format(arguments)) == set()


def test_what_is_public_is_listed_and_nothing_else_is_found() -> None:
    assert set(tabattn.__all__) <= set(dir(tabattn))
    assert all(getattr(tabattn, name) is not None for name in tabattn.__all__)
    with pytest.raises(AttributeError, match="module 'tabattn' has no attribute 'rnk'"):
        _ = tabattn.rnk


def test_what_is_imported_later_leaves_the_random_state_alone() -> None:
    code = "import random; state = random.getstate(); import tabattn; tabattn.rank; assert random.getstate() == state"
    subprocess.run([sys.executable, "-c", code], check=True)
