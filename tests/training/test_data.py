import torch

from tabattn.nn.tokens import Cells
from tabattn.training.data import OrderedBatches, ShuffledBatches, TrainingRows


def make_rows(n_rows: int) -> TrainingRows:
    cells = Cells(torch.arange(n_rows, dtype=torch.float32)[:, None], torch.zeros(n_rows, 0, dtype=torch.long), None)
    return TrainingRows(
        cells, torch.arange(n_rows), torch.ones(n_rows), torch.arange(n_rows)[:, None] % 2 == torch.arange(2)
    )


def test_every_pass_shuffles_all_rows_once() -> None:
    batches = ShuffledBatches(make_rows(103), batch_size=10, seed=0)
    passes = [torch.cat([batch.target for batch in batches]) for _ in range(2)]
    assert len(batches) == 11
    assert all(sorted(order.tolist()) == list(range(103)) for order in passes)
    assert passes[0].tolist() != passes[1].tolist()


def test_batches_have_nearly_equal_size_so_that_no_step_rests_on_a_few_rows() -> None:
    sizes = [len(batch) for batch in ShuffledBatches(make_rows(101), batch_size=50, seed=0)]
    assert sorted(sizes) == [33, 34, 34]


def test_cells_and_target_of_a_row_stay_together() -> None:
    for batch in ShuffledBatches(make_rows(50), batch_size=8, seed=0):
        assert batch.cells.numeric[:, 0].tolist() == batch.target.tolist()
        assert batch.held_out[:, 1].tolist() == (batch.target % 2 == 1).tolist()


def test_the_seed_determines_the_orders() -> None:
    def order(seed: int) -> list[int]:
        return torch.cat([b.target for b in ShuffledBatches(make_rows(50), 8, seed)]).tolist()

    assert order(1) == order(1) != order(2)


def test_ordered_batches_keep_the_order() -> None:
    batches = OrderedBatches(make_rows(25), batch_size=10)
    assert [len(batch) for batch in batches] == [10, 10, 5]
    assert len(batches) == 3
    assert torch.cat([batch.target for batch in batches]).tolist() == list(range(25))
