"""With what machine and what code a result was measured."""

import hashlib
import os
import platform
import subprocess
from pathlib import Path

import torch

ROOT = Path(__file__).parent.parent
FITTED_FOLDERS = ("nn", "training", "encoding")
MEASURED_FOLDERS = (*FITTED_FOLDERS, "importance")
N_DIGITS = 12


def describe_commit() -> str:
    """Return the short name of the commit that is checked out, with a plus sign if the package was changed since."""
    try:
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, check=True)
        status = subprocess.run(["git", "status", "--porcelain", "tabattn"], cwd=ROOT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit.stdout.decode().strip() + ("+" if status.stdout.strip() else "")


def code_hash(package: Path, folders: tuple[str, ...] = MEASURED_FOLDERS) -> str:
    """Return a hash of the code that results depend on: paths and bytes of all modules of some folders, sorted.

    Args:
        package: The directory of the package.
        folders: The folders; `FITTED_FOLDERS` for fitted models.

    Returns:
        The first 12 hexadecimal digits of a SHA-256.
    """
    digest = hashlib.sha256()
    modules = (module for folder in folders for module in (package / folder).rglob("*.py"))
    for name, module in sorted((module.relative_to(package).as_posix(), module) for module in modules):
        digest.update(name.encode() + b"\0" + module.read_bytes() + b"\0")
    return digest.hexdigest()[:N_DIGITS]


COMMIT = describe_commit()
CODE = code_hash(ROOT / "tabattn")
CODE_OF_FITS = code_hash(ROOT / "tabattn", FITTED_FOLDERS)


def describe_machine() -> str:
    """Return processor, cores, threads and versions in one line."""
    cpu_info = Path("/proc/cpuinfo")
    lines = cpu_info.read_text().splitlines() if cpu_info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    processor = models[0] if models else platform.processor() or platform.machine()
    return (
        f"{processor}, {os.cpu_count()} cores, {torch.get_num_threads()} torch threads, {platform.system()}, "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )
