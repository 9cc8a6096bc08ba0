"""What machine a result was measured on."""

import os
import platform
import subprocess
from pathlib import Path

import torch


def describe_code() -> str:
    """Return the short name of the commit that is checked out, with a plus sign if the package was changed since."""
    root = Path(__file__).parent.parent
    try:
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=root, capture_output=True, check=True)
        status = subprocess.run(["git", "status", "--porcelain", "tabattn"], cwd=root, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit.stdout.decode().strip() + ("+" if status.stdout.strip() else "")


CODE = describe_code()


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
