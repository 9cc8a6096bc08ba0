"""What torch does by default, as this package means it, whatever a program has set."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

from tabattn.process_state import exclusive


@contextmanager
def torch_defaults() -> Iterator[None]:
    """Compute in single precision, on the CPU where no device is named, without autocast or inference mode.

    A default dtype or device, `torch.inference_mode` or `torch.autocast` around a call would change what it learns or
    predicts, or end it with an error of torch.

    Example:
        >>> with torch.device("meta"), torch_defaults():
        ...     torch.zeros(2).device.type
        'cpu'
    """
    with ExitStack() as stack:
        if torch.get_default_dtype() != torch.float32:
            stack.enter_context(exclusive())
            stack.callback(torch.set_default_dtype, torch.get_default_dtype())
            torch.set_default_dtype(torch.float32)
        if torch.empty(0).device.type != "cpu":
            stack.enter_context(torch.device("cpu"))
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(mode=False))
        yield
