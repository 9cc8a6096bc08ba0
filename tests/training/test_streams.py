"""Rows on disk are learned from as those in memory are."""

import tempfile
from pathlib import Path

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tabattn.nn.tokens import Cells
from tabattn.training.data import TrainingRows
from tabattn.training.streams import RowStream, StreamedBatches
from tests.conftest import small_shape
from tests.training.test_fitting import SHAPE, make_rows, make_settings, train_on

CPU = torch.device("cpu")


def stream_of(rows: TrainingRows, folder: str | Path, n_buckets: int, n_at_once: int = 1_000) -> RowStream:
    stream = RowStream(
        Path(folder), SHAPE.layout.n_columns, len(rows), 1, seed=0, bucket_bytes=-(-len(rows) // n_buckets)
    )
    for start in range(0, len(rows), n_at_once):
        stream.add(rows.take(slice(start, start + n_at_once)))
    return stream


def numbered(n_rows: int) -> TrainingRows:
    """Rows whose target is their number."""
    rows = make_rows(n_rows, 0)
    return TrainingRows.numbered(rows.cells, torch.arange(n_rows).float()[:, None], rows.weight)


def test_one_bucket_gives_the_weights_of_rows_in_memory(tmp_path: Path) -> None:
    shape = small_shape(n_groups=1, attention_dropout=0.1, ffn_dropout=0.1)
    rows, is_held_out = make_rows(300, 0), torch.arange(300) % 4 == 0
    learned = rows.take((~is_held_out).nonzero().flatten())
    streams = (None, stream_of(learned, tmp_path, 1))
    in_memory, streamed = (
        train_on(shape, rows, is_held_out[:, None], make_settings(max_epochs=3), stream=each).model for each in streams
    )
    for name, weights in in_memory.state_dict().items():
        torch.testing.assert_close(weights, streamed.state_dict()[name], rtol=0, atol=0)


@settings(deadline=None, max_examples=30)
@given(
    st.integers(1, 60), st.integers(1, 8), st.integers(1, 20), st.integers(1, 3), st.integers(1, 25), st.integers(1, 2)
)
def test_every_pass_has_every_row_once_in_as_many_batches_for_every_process(
    n_rows: int, n_buckets: int, batch_size: int, n_parts: int, n_at_once: int, n_groups: int
) -> None:
    n_parts = min(n_parts, n_rows)
    with tempfile.TemporaryDirectory() as folder:
        stream = stream_of(numbered(n_rows), folder, n_buckets, n_at_once)
        processes = [
            StreamedBatches(stream, batch_size, n_groups, CPU, seed=1, n_parts=n_parts, part=part)
            for part in range(n_parts)
        ]
        for _ in range(2):
            batches = [list(each) for each in processes]
            assert {len(each) for each in batches} == {len(processes[0])}
            sizes = [sum(len(each[i]) for each in batches) for i in range(len(processes[0]))]
            assert max(sizes) <= max(batch_size, n_parts + 1)
            assert max(sizes) - min(sizes) <= 1
            assert all(len(each) > 0 for own in batches for each in own)
            seen = torch.cat([each.target[0, :, 0] for own in batches for each in own])
            assert sorted(seen.tolist()) == list(range(n_rows))


def test_passes_differ_and_the_same_seed_gives_the_same(tmp_path: Path) -> None:
    stream = stream_of(numbered(200), tmp_path, 4)
    one, again, other = (StreamedBatches(stream, 20, 1, CPU, seed=seed) for seed in (1, 1, 2))
    first, second, same, different = (torch.cat([b.target for b in each], dim=1) for each in (one, one, again, other))
    assert torch.equal(first, same)
    assert not torch.equal(first, second)
    assert not torch.equal(first, different)


def test_a_pass_that_was_ended_goes_on_where_it_was(tmp_path: Path) -> None:
    stream = stream_of(numbered(101), tmp_path, 3)
    whole = StreamedBatches(stream, 10, 1, CPU, seed=1)
    passes = [[b.target for b in whole] for _ in range(3)]
    for n_done in (1, 7, 11):
        ended = StreamedBatches(stream, 10, 1, CPU, seed=1)
        list(ended)
        rest = iter(ended)
        for _ in range(n_done):
            next(rest)
        resumed = StreamedBatches(stream, 10, 1, CPU, seed=5)
        resumed.load_state_dict(ended.state_dict())
        left = [b.target for b in resumed]
        expected = passes[1][n_done:] or passes[2]
        assert len(left) == len(expected)
        assert all(torch.equal(a, b) for a, b in zip(left, expected, strict=True))


def test_missing_cells_codes_and_weights_come_back(tmp_path: Path) -> None:
    rows = make_rows(50, 0)
    weight = torch.rand(50)
    stream = stream_of(TrainingRows.numbered(rows.cells, rows.target, weight), tmp_path, 1)
    back = stream.bucket(0)
    assert torch.equal(back.cells.numeric, rows.cells.numeric)
    assert torch.equal(back.cells.codes, rows.cells.codes)
    assert torch.equal(back.target, rows.target)
    assert torch.equal(back.weight, weight)
    assert (back.cells.missing is None) == (rows.cells.missing is None or not bool(rows.cells.missing.any()))
    assert stream.n_rows == 50


def test_columns_of_one_kind_come_back_too(tmp_path: Path) -> None:
    for number, (n_numbers, n_codes) in enumerate([(2, 0), (0, 3)]):
        (tmp_path / str(number)).mkdir()
        cells = Cells(torch.rand(20, n_numbers), torch.ones(20, n_codes, dtype=torch.long), torch.rand(20, 3) < 0.5)
        stream = RowStream(tmp_path / str(number), 3, 20, 1, seed=0, bucket_bytes=7)
        stream.add(TrainingRows.numbered(cells, torch.zeros(20, 1), torch.ones(20)))
        back = [stream.bucket(place).cells for place in range(stream.n_buckets)]
        assert sum(len(each) for each in back) == 20
        assert all((each.numeric.shape[1], each.codes.shape[1]) == (n_numbers, n_codes) for each in back)
