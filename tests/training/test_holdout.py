import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tabattn.training.holdout import MAX_HELD_OUT, LinkedRows, hold_out_rows


def draw(target: torch.Tensor, n_groups: int, fraction: float = 0.2, seed: int = 0) -> torch.Tensor:
    return hold_out_rows(target, n_groups, fraction, torch.Generator().manual_seed(seed)).held_out


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


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 30), min_size=2, max_size=25),
    n_groups=st.integers(1, 8),
    fraction=st.floats(0.05, 0.9),
    gap=st.integers(0, 12),
    in_time=st.booleans(),
    is_class=st.booleans(),
    seed=st.integers(0, 99),
)
def test_units_are_whole_and_every_group_holds_some_out_and_learns_from_others(
    sizes: list[int], n_groups: int, fraction: float, gap: int, in_time: bool, is_class: bool, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    unit = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    unit = unit[torch.randperm(len(unit), generator=generator)]
    time = unit.double() if in_time else None
    target = torch.randint(0, 2, (len(unit),), generator=generator)
    links = LinkedRows(unit, time, gap)
    chosen = hold_out_rows(target if is_class else target.float(), n_groups, fraction, generator, links)
    held_out, learned, half = chosen
    assert held_out.any(dim=0).all()
    assert learned.any(dim=0).all()
    assert not (held_out & learned).any()
    for each in range(len(sizes)):
        for rows in (held_out[unit == each], half[unit == each]):
            assert (rows == rows[0]).all()
    aimed = min(max(1, round(fraction * len(unit))), len(unit) - 1)
    assert (held_out.sum(dim=0) - aimed).abs().max() <= 2 * max(sizes)
    if not (in_time and gap):
        assert (held_out | learned).all()


def test_in_time_blocks_are_held_out_and_the_first_group_holds_out_the_last_rows() -> None:
    time = torch.randperm(100, generator=torch.Generator().manual_seed(0)).double()
    held_out, learned, half = hold_out_rows(
        torch.randn(100), 4, 0.2, torch.Generator(), LinkedRows(torch.arange(100), time, gap=5)
    )
    in_order = time.argsort()
    assert held_out[in_order][:, 0].nonzero().flatten().tolist() == list(range(80, 100))
    assert learned[in_order][:, 0].nonzero().flatten().tolist() == list(range(75))
    assert held_out[in_order][:, 1].nonzero().flatten().tolist() == list(range(5, 25))
    assert half[in_order].tolist() == [place // 2 % 2 == 1 for place in range(100)]
    assert learned[in_order][:, 1].nonzero().flatten().tolist() == list(range(30, 100))
    assert held_out.sum(dim=1).max() == 1


def test_classes_of_units_are_held_out_in_proportion() -> None:
    unit = torch.arange(100).repeat_interleave(5)
    codes = (unit < 20).long()
    held_out = hold_out_rows(codes, 8, 0.2, torch.Generator().manual_seed(0), LinkedRows(unit)).held_out
    assert held_out[codes == 1].sum(dim=0).sub(20).abs().max() <= 5
