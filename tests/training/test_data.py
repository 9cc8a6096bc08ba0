import torch

from tabattn.nn.tokens import Cells
from tabattn.training.data import ChosenRows, OrderedBatches, ShuffledBatches, TrainingRows

ALL = torch.arange(50)


def make_rows(n_rows: int) -> TrainingRows:
    cells = Cells(torch.arange(n_rows, dtype=torch.float32)[:, None], torch.zeros(n_rows, 0, dtype=torch.long), None)
    return TrainingRows.numbered(cells, torch.arange(n_rows), torch.ones(n_rows))


def test_every_pass_shuffles_all_chosen_rows_once() -> None:
    chosen = torch.arange(3, 103)
    batches = ShuffledBatches(make_rows(200), ChosenRows.all_of(chosen), batch_size=10, seed=0)
    passes = [torch.cat([batch.target for batch in batches]) for _ in range(2)]
    assert len(batches) == 10
    assert all(sorted(order.tolist()) == chosen.tolist() for order in passes)
    assert passes[0].tolist() != passes[1].tolist()


def test_every_group_has_its_own_rows_in_its_own_order() -> None:
    chosen = torch.stack([torch.arange(0, 40), torch.arange(10, 50)])
    batches = list(ShuffledBatches(make_rows(50), ChosenRows.all_of(chosen), batch_size=16, seed=0))
    assert [batch.number.shape for batch in batches] == [(2, 14), (2, 13), (2, 13)]
    numbers = torch.cat([batch.number for batch in batches], dim=1)
    assert numbers.sort(dim=1).values.tolist() == chosen.tolist()
    assert (numbers[0] + 10).tolist() != numbers[1].tolist()


def test_batches_have_nearly_equal_size_so_that_no_step_rests_on_a_few_rows() -> None:
    sizes = [
        len(batch)
        for batch in ShuffledBatches(make_rows(101), ChosenRows.all_of(torch.arange(101)), batch_size=50, seed=0)
    ]
    assert sorted(sizes) == [33, 34, 34]


def test_cells_target_and_number_of_a_row_stay_together() -> None:
    for batch in ShuffledBatches(make_rows(50), ChosenRows.all_of(torch.stack([ALL, ALL])), batch_size=8, seed=0):
        assert batch.cells.numeric[..., 0].tolist() == batch.target.tolist() == batch.number.tolist()
        assert len(batch) == len(batch.cells) == batch.number.shape[1]


def test_the_seed_determines_the_orders() -> None:
    def order(seed: int) -> list[int]:
        return torch.cat([b.target for b in ShuffledBatches(make_rows(50), ChosenRows.all_of(ALL), 8, seed)]).tolist()

    assert order(1) == order(1) != order(2)


def test_ordered_batches_keep_the_order() -> None:
    batches = OrderedBatches(make_rows(50), ChosenRows.all_of(torch.arange(25)), batch_size=10)
    assert [len(batch) for batch in batches] == [10, 10, 5]
    assert len(batches) == 3
    assert torch.cat([batch.target for batch in batches]).tolist() == list(range(25))


def test_groups_with_fewer_rows_repeat_some_that_do_not_count() -> None:
    chosen = torch.arange(50)[:, None] < torch.tensor([50, 20, 30])
    batches = list(ShuffledBatches(make_rows(50), ChosenRows.of(chosen), batch_size=16, seed=0))
    numbers = torch.cat([batch.number for batch in batches], dim=1)
    weights = torch.cat([batch.weight for batch in batches], dim=1)
    cells = torch.cat([batch.cells.numeric for batch in batches], dim=1)[..., 0]
    assert weights.sum(dim=1).tolist() == [50, 20, 30]
    for group, size in enumerate((50, 20, 30)):
        counted = numbers[group] >= 0
        assert sorted(numbers[group][counted].tolist()) == list(range(size))
        assert (counted == (weights[group] == 1)).all()
        assert (cells[group] < size).all()
    ordered = torch.cat([b.number for b in OrderedBatches(make_rows(50), ChosenRows.of(chosen), 7)], dim=1)
    assert ordered[1].tolist() == [*range(20), *[-1] * 30]
