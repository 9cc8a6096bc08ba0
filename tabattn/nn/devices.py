"""Where to compute."""

import torch


def resolve_device(name: str) -> torch.device:
    """Return the device that a name stands for.

    Args:
        name: "auto" for a CUDA GPU where torch sees one, else the CPU; "cpu" or "cuda" for themselves.

    Returns:
        The device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
