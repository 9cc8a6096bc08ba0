import numpy as np
import rtdl_num_embeddings
import scipy.stats
import torch

from tabattn.nn.tokens import LIMIT, N_BINS, N_FREQUENCIES, CellLayout, Cells, ColumnTokens, NumericEmbeddings

D = 8


def make_cells(missing: torch.Tensor | None = None) -> Cells:
    return Cells(torch.tensor([[0.5, -1.0], [2.0, 0.1]]), torch.tensor([[1], [0]]), missing)


def test_numeric_embeddings_are_those_of_the_library() -> None:
    torch.manual_seed(0)
    ours = NumericEmbeddings(3, D)
    n_periodic = 2 * N_FREQUENCIES
    periodic = rtdl_num_embeddings.PeriodicEmbeddings(3, D, n_frequencies=N_FREQUENCIES, activation=False, lite=False)
    bias = torch.randn(3, 1, D)
    periodic.load_state_dict(
        {
            "periodic.weight": ours.frequency[:, 0],
            "linear.weight": ours.weight[:, :n_periodic],
            "linear.bias": bias[:, 0],
        }
    )
    edges = torch.from_numpy(scipy.stats.norm.ppf(np.linspace(0, 1, N_BINS + 1)).clip(-LIMIT, LIMIT)).float()
    encoding = rtdl_num_embeddings.PiecewiseLinearEncoding([edges] * 3)
    x = 2 * LIMIT * (torch.rand(50, 3) - 0.5)
    fractions = encoding(x).unflatten(1, (3, N_BINS))
    expected = periodic(x) + torch.einsum("bci,cid->bcd", fractions, ours.weight[:, n_periodic:])
    torch.testing.assert_close(ours(x, bias).transpose(0, 1), expected, atol=1e-5, rtol=1e-5)


def test_a_missing_cell_is_the_learned_vector_of_its_column_whatever_it_held() -> None:
    tokens = ColumnTokens(1, CellLayout(2, (), (3,)), D)
    torch.nn.init.normal_(tokens.missing)
    missing = torch.tensor([[True, False, False], [True, False, True]])
    embedded = tokens(make_cells(missing))[0]
    expected = (tokens.missing + tokens.column)[0, :, 0]
    torch.testing.assert_close(embedded[0, 0], expected[0])
    torch.testing.assert_close(embedded[1, 0], expected[0])
    torch.testing.assert_close(embedded[1, 2], expected[2])
    torch.testing.assert_close(embedded[:, 1], tokens(make_cells())[0, :, 1])


def test_a_new_level_says_nothing_before_training() -> None:
    tokens = ColumnTokens(n_groups=1, layout=CellLayout(0, (), (3, 2)), d_token=4)
    read = tokens(Cells(torch.zeros(1, 0), torch.tensor([[0, 0]]), missing=None))
    torch.testing.assert_close(read[0, 0], tokens.column[0, :, 0])


def test_each_column_has_its_own_levels() -> None:
    tokens = ColumnTokens(1, CellLayout(0, (), (3, 2)), D)
    cells = Cells(torch.zeros(1, 0), torch.tensor([[2, 1]]), None)
    embedded = tokens(cells)[0, 0] - tokens.column[0, :, 0]
    assert tokens.levels is not None
    torch.testing.assert_close(embedded, tokens.levels[[2, 4]])


def test_take_keeps_cells_of_a_row_together() -> None:
    cells = make_cells(torch.tensor([[True, False, False], [False, True, False]])).take(torch.tensor([1]))
    assert cells.missing is not None
    assert (cells.numeric.tolist(), cells.codes.tolist()) == ([[2.0, 0.10000000149011612]], [[0]])
    assert cells.missing.tolist() == [[False, True, False]]


def test_a_block_is_the_sum_of_what_its_numbers_say_alone() -> None:
    """A column of three numbers between a numeric and a categorical one, for two groups."""
    torch.manual_seed(0)
    tokens = ColumnTokens(n_groups=2, layout=CellLayout(1, (3, 1), (4,)), d_token=D)
    cells = Cells(torch.randn(6, 5), torch.randint(0, 4, (6, 1)), torch.rand(6, 4) < 0.3)
    assert tokens.numeric is not None
    assert cells.missing is not None
    embedded = tokens(cells)
    assert embedded.shape == (2, 6, 4, D)
    for group in range(2):
        for row in range(6):
            numbers = cells.numeric[row : row + 1].repeat(1, 2)
            alone = tokens.numeric(numbers, torch.zeros(10, 1, D))[5 * group : 5 * group + 5, 0]
            expected = [alone[0], alone[1:4].sum(dim=0), alone[4]]
            for column in range(3):
                value = tokens.missing[group, column, 0] if cells.missing[row, column] else expected[column]
                torch.testing.assert_close(embedded[group, row, column], value + tokens.column[group, column, 0])
