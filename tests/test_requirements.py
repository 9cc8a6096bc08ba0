"""constraints-lowest.txt holds the lower bounds of pyproject.toml, no others."""

import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]


def bounds() -> Iterator[tuple[str, Version]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for requirement in map(Requirement, chain(project["dependencies"], *extras.values())):
        if requirement.name != "tabattn":
            (lowest,) = (each.version for each in requirement.specifier if each.operator == ">=")
            yield canonicalize_name(requirement.name), Version(lowest)


def test_the_lowest_versions_are_those_that_are_allowed() -> None:
    lines = (ROOT / "constraints-lowest.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert {canonicalize_name(name): Version(version) for name, version in pinned.items()} == dict(bounds())
