import pytest
import torch

from tabattn.training.holdout import MAX_HELD_OUT, held_out_rows


def draw(target: torch.Tensor, n_groups: int, fraction: float = 0.2, seed: int = 0) -> torch.Tensor:
    return held_out_rows(target, n_groups, fraction, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("n_rows", "n_members", "fraction"), [(100, 8, 0.2), (7, 3, 0.5), (2, 8, 0.2), (20, 1, 0.99)])
def test_every_member_holds_out_a_share_and_learns_from_the_rest(n_rows: int, n_members: int, fraction: float) -> None:
    held_out = draw(torch.randn(n_rows), n_members, fraction)
    expected = min(max(1, round(fraction * n_rows)), n_rows - 1)
    assert held_out.sum(dim=0).tolist() == [expected] * n_members


def test_all_rows_judge_about_equally_often() -> None:
    counts = draw(torch.randn(1000), 8).sum(dim=1)
    assert set(counts.tolist()) == {1, 2}


def test_large_tables_spare_most_rows() -> None:
    assert draw(torch.randn(50_000), 2).sum(dim=0).tolist() == [MAX_HELD_OUT] * 2


def test_classes_are_held_out_in_proportion() -> None:
    codes = torch.tensor([0] * 900 + [1] * 90 + [2] * 10)
    held_out = draw(codes, 8)
    for code, expected in ((0, 180), (1, 18), (2, 2)):
        assert held_out[codes == code].sum(dim=0).sub(expected).abs().max() <= 1


def test_the_seed_determines_the_draw() -> None:
    target = torch.randn(100)
    assert torch.equal(draw(target, 4, seed=1), draw(target, 4, seed=1))
    assert not torch.equal(draw(target, 4, seed=1), draw(target, 4, seed=2))


def test_a_row_of_a_rare_class_is_no_more_likely_to_be_held_out_by_one_group_than_by_another() -> None:
    """Each class begins at a place of its own on the circle: else the first group would hold out one of each."""
    codes, n_draws = torch.tensor([0] * 40 + [1] * 2), 600
    counts = sum(draw(codes, 4, seed=seed)[codes == 1].sum(dim=0) for seed in range(n_draws))
    assert isinstance(counts, torch.Tensor)
    torch.testing.assert_close(counts / n_draws, torch.full((4,), 2 * 0.2), atol=0.08, rtol=0)
