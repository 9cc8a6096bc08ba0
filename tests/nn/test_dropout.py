import pytest
import torch

from tabattn.nn.dropout import dropout


@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
def test_a_share_is_dropped_and_the_mean_stays(share: float) -> None:
    torch.manual_seed(0)
    dropped = dropout(torch.ones(1000, 333), share, training=True)
    assert (dropped == 0).float().mean().item() == pytest.approx(round(256 * min(share, 255 / 256)) / 256, abs=0.002)
    assert dropped.mean().item() == pytest.approx(1.0, rel=0.05)


def test_every_position_is_as_likely_to_be_dropped() -> None:
    torch.manual_seed(0)
    dropped = dropout(torch.ones(20_000, 16), 0.5, training=True) == 0
    assert dropped.float().mean(dim=0).tolist() == pytest.approx([0.5] * 16, abs=0.02)


def test_the_gradient_passes_where_the_value_does() -> None:
    x = torch.ones(100, requires_grad=True)
    dropped = dropout(x, 0.3, training=True)
    dropped.sum().backward()
    torch.testing.assert_close(x.grad, dropped.detach())


def test_nothing_happens_outside_training() -> None:
    x = torch.ones(3)
    assert dropout(x, 0.9, training=False) is x
    assert dropout(x, 0.0, training=True) is x
