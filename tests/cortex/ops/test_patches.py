"""Soft patches: shares, places, drawing, and the graph of borders, against plain loops."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from ciliary.cortex.ops.patches import (
    N_PATCHES,
    border_graph,
    from_cells,
    gather_to_patches,
    grid_for,
    neighbourhood,
    sample_at,
    soft_patches,
    to_cells,
)

SIZES = [(32, 32), (33, 47), (48, 64)]


def smooth(size=(33, 47), b=1, c=4, seed=0):
    coarse = torch.randn(b, c, 6, 8, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, size=size, mode="bicubic", align_corners=False) * 0.3


def patches_of(features, compactness=0.02, sharpness=60.0, **more):
    b = len(features)
    settings = {"compactness": torch.full((b,), compactness), "sharpness": torch.full((b,), sharpness)}
    return soft_patches(features, **{**settings, **more})


# --- the grid


@given(st.integers(16, 600), st.integers(16, 600))
def test_the_grid_covers_the_picture_with_few_even_cells(h, w):
    rows, columns, cell_px = grid_for(h, w)
    assert cell_px % 2 == 0
    assert (rows - 1) * cell_px < h <= rows * cell_px
    assert (columns - 1) * cell_px < w <= columns * cell_px
    assert rows * columns <= N_PATCHES + rows + columns + 1


@pytest.mark.parametrize("size", SIZES)
def test_cells_and_back(size):
    x = smooth(size, b=2)
    rows, columns, cell_px = grid_for(*size)
    cells = to_cells(x, cell_px)
    assert cells.shape == (2, rows * columns, 4, cell_px**2)
    assert torch.equal(from_cells(cells, (rows, columns), cell_px, size), x)
    torch.testing.assert_close(cells.sum((1, 3)), x.sum((2, 3)))  # nothing where cells overhang
    assert torch.equal(
        cells[0, columns + 1, 2].reshape(cell_px, -1), x[0, 2, cell_px : 2 * cell_px, cell_px : 2 * cell_px]
    )


def test_neighbourhood_by_hand():
    x = torch.arange(12.0).view(1, 12, 1)  # 3 rows of 4
    assert neighbourhood(x, (3, 4))[0, 5, :, 0].tolist() == [0, 1, 2, 4, 5, 6, 8, 9, 10]
    assert neighbourhood(x, (3, 4))[0, 0, :, 0].tolist() == [0, 0, 1, 0, 0, 1, 4, 4, 5]  # the border repeats


def test_gathering_is_the_adjoint_inside():
    rng = torch.Generator().manual_seed(0)
    given_ = torch.zeros(1, 30, 9, 2)
    inside = [r * 6 + c for r in range(1, 4) for c in range(1, 5)]
    given_[:, inside] = torch.rand(1, len(inside), 9, 2, generator=rng)
    x = torch.rand(1, 30, 2, generator=rng)
    left = (neighbourhood(x, (5, 6)) * given_).sum()
    torch.testing.assert_close(left, (x * gather_to_patches(given_, (5, 6))).sum())


# --- the patches


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("compactness", [0.002, 0.2])
def test_shares_are_on_the_simplex_and_mass_is_kept(size, compactness):
    patches = patches_of(smooth(size, b=2), compactness)
    assert (patches.share >= 0).all()
    torch.testing.assert_close(patches.share.sum(2), torch.ones_like(patches.share[:, :, 0]))
    torch.testing.assert_close(patches.size.sum(1), torch.full((2,), float(size[0] * size[1])), rtol=1e-5, atol=0)
    assert patches.label.shape == (2, *size)
    assert 0 <= patches.label.min() <= patches.label.max() < patches.size.shape[1]
    assert (patches.centre_px >= 0).all()
    assert (patches.centre_px <= torch.tensor(size) - 1).all()


def plain_soft_patches(x, compactness, sharpness, n_iterations):
    """The same in float64, with the responsibilities of every patch for every pixel laid out."""
    _, h, w = x.shape
    rows, columns, cell = grid_for(h, w)
    y, xx = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    place = torch.stack([y, xx]).double() / cell * compactness**0.5
    vector = torch.cat([x.double(), place]).flatten(1).T  # (HW, C+2)
    own_row, own_column = (y // cell).flatten(), (xx // cell).flatten()
    row, column = torch.arange(rows * columns) // columns, torch.arange(rows * columns) % columns
    near = ((own_row[:, None] - row).abs() <= 1) & ((own_column[:, None] - column).abs() <= 1)
    own = own_row * columns + own_column
    mean = torch.stack([vector[own == n].mean(0) for n in range(rows * columns)])
    for _ in range(n_iterations + 1):
        drive = torch.where(near, -sharpness * torch.cdist(vector, mean) ** 2, -torch.inf)
        weight = torch.softmax(drive, 1)
        mean = (weight.T @ vector) / weight.sum(0)[:, None]
    return weight, mean


@pytest.mark.parametrize("size", [(33, 47), (32, 36)])
def test_patches_against_a_plain_loop(size):
    x = smooth(size)
    patches = patches_of(x, 0.05)
    weight, mean = plain_soft_patches(x[0], 0.05, 60.0, n_iterations=1)
    drawn = patches.render(torch.eye(weight.shape[1])[None])[0].flatten(1).T  # (HW, N)
    torch.testing.assert_close(drawn.double(), weight, atol=1e-4, rtol=0)
    torch.testing.assert_close(patches.mean[0].double(), mean[:, :4], atol=1e-4, rtol=0)
    torch.testing.assert_close(patches.size[0].double(), weight.sum(0), atol=1e-2, rtol=0)
    centre_px = mean[:, 4:] / 0.05**0.5 * patches.cell_px
    torch.testing.assert_close(patches.centre_px[0].double(), centre_px, atol=1e-3, rtol=0)
    certain = weight.topk(2, 1).values.diff(dim=1).abs()[:, 0] > 1e-3
    assert torch.equal(patches.label[0].flatten()[certain], weight.argmax(1)[certain])


def test_a_constant_picture_has_square_patches():
    patches = patches_of(torch.full((1, 3, 48, 64), 0.5), 0.2)
    cell_px, (rows, columns) = patches.cell_px, patches.grid
    y, x = torch.meshgrid(torch.arange(48) // cell_px, torch.arange(64) // cell_px, indexing="ij")
    inside = (y < rows - 2) & (x < columns - 2)  # the last cells may be cut
    assert torch.equal(patches.label[0][inside], (y * columns + x)[inside])
    middle = patches.centre_px[0].reshape(rows, columns, 2)[2:-3, 2:-3]
    expected = torch.stack(torch.meshgrid(torch.arange(2, rows - 3), torch.arange(2, columns - 3), indexing="ij"), -1)
    torch.testing.assert_close(middle, expected * cell_px + (cell_px - 1) / 2, atol=1e-3, rtol=0)


def test_patches_keep_to_a_clear_edge():
    x = torch.zeros(1, 1, 48, 64)
    x[..., 29:] = 1.0  # not on the grid of cells
    label = patches_of(x, 0.01).label[0]
    assert not set(label[:, :29].unique().tolist()) & set(label[:, 29:].unique().tolist())


def test_settings_are_per_sample_to_the_last_digits():
    """Squares of places counted from the picture's corner cost four digits, and patches depended on the batch."""
    x = smooth((64, 96), b=3)
    compactness, sharpness = torch.tensor([0.002, 0.02, 0.2]), torch.tensor([60.0, 20.0, 60.0])
    together = soft_patches(x, compactness=compactness, sharpness=sharpness)
    exact = soft_patches(x.double(), compactness=compactness.double(), sharpness=sharpness.double())
    torch.testing.assert_close(together.share, exact.share.float(), atol=3e-5, rtol=0)
    for i in range(3):
        one = slice(i, i + 1)
        alone = soft_patches(x[one], compactness=compactness[one], sharpness=sharpness[one])
        torch.testing.assert_close(together.share[one], alone.share, atol=1e-5, rtol=0)
        assert torch.equal(together.label[one], alone.label)


@pytest.mark.parametrize("name", ["compactness", "sharpness"])
def test_gradients_are_the_slopes(name):
    x = smooth((32, 32)).double()
    base = {"compactness": torch.tensor([0.05]).double(), "sharpness": torch.tensor([20.0]).double()}

    def value(v):
        patches = soft_patches(x, **{**base, name: v})
        return patches.mean.square().sum() + patches.share.square().mean()

    v = base[name].clone().requires_grad_()
    (slope,) = torch.autograd.grad(value(v), v)
    step = 1e-5 * base[name]
    expected = (value(base[name] + step) - value(base[name] - step)) / (2 * step)
    assert slope.item() == pytest.approx(expected.item(), rel=1e-3)
    assert slope.abs() > 1e-4


# --- drawing


@pytest.mark.parametrize("size", SIZES)
def test_a_constant_is_drawn_as_itself(size):
    patches = patches_of(smooth(size))
    drawn = patches.render(torch.full((1, patches.size.shape[1], 2), 0.3))
    torch.testing.assert_close(drawn, torch.full((1, 2, *size), 0.3))


@pytest.mark.parametrize("size", SIZES)
def test_drawing_coarsely_is_averaging(size):
    patches = patches_of(smooth(size))
    values = torch.rand(1, patches.size.shape[1], 3, generator=torch.Generator().manual_seed(0))
    coarse = patches.render(values, is_coarse=True)
    torch.testing.assert_close(coarse, F.avg_pool2d(patches.render(values), 2))


def test_features_drawn_from_patches_are_close_to_the_features():
    x = smooth((48, 64))
    patches = patches_of(x, 0.01)
    assert (patches.render(patches.mean) - x).square().mean() < 0.1 * x.var()


# --- the graph


def plain_borders(label, n, field):
    length, total = torch.zeros(n, n), torch.zeros(n, n)
    h, w = label.shape
    for y in range(h):
        for x in range(w):
            for dy, dx in ((0, 1), (1, 0)):
                if y + dy < h and x + dx < w and label[y, x] != label[y + dy, x + dx]:
                    i, j = int(label[y, x]), int(label[y + dy, x + dx])
                    strength = max(float(field[y, x]), float(field[y + dy, x + dx]))
                    for a, b in ((i, j), (j, i)):
                        length[a, b] += 1
                        total[a, b] += strength
    return length, total


def test_borders_against_a_plain_loop():
    rng = torch.Generator().manual_seed(0)
    label = torch.randint(5, (2, 7, 9), generator=rng).repeat_interleave(2, 1)
    field = torch.rand(2, 1, *label.shape[1:], generator=rng)
    length, strength = border_graph(label, 6, field)
    for i in range(2):
        expected = plain_borders(label[i], 6, field[i, 0])
        assert torch.equal(length[i], expected[0])
        torch.testing.assert_close(strength[i], expected[1])
    assert length[:, 5].sum() == 0  # no pixel has this label


def test_strength_along_a_border_has_a_gradient():
    label = torch.zeros(1, 4, 4, dtype=torch.int64)
    label[..., 2:] = 1
    field = torch.rand(1, 1, 4, 4, requires_grad=True)
    border_graph(label, 2, field)[1][0, 0, 1].backward()
    assert (
        field.grad.sum((0, 1, 2)) == torch.tensor([0.0, field.grad[..., 1].sum(), field.grad[..., 2].sum(), 0])
    ).all()
    assert field.grad.sum() == 4


@pytest.mark.parametrize("size", [(32, 48), (16, 24), (8, 12)])
def test_sampling_at_centres_of_a_plane(size):
    """A plane at any resolution is sampled exactly, away from its border."""
    y, x = torch.meshgrid(
        (torch.arange(size[0]) + 0.5) / size[0], (torch.arange(size[1]) + 0.5) / size[1], indexing="ij"
    )
    centre_px = torch.tensor([[[10.0, 20.0], [15.5, 31.25]]])
    got = sample_at(torch.stack([y, x])[None], centre_px, (32, 48))
    torch.testing.assert_close(got, (centre_px + 0.5) / torch.tensor([32.0, 48.0]))
