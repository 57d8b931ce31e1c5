from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from ciliary.envs.objective.views import affine_matrices, apply_views, invert_affine, sample_views, undo, way_back


def smooth_image(height=48, width=64):
    y, x = torch.meshgrid(torch.linspace(0, 3, height), torch.linspace(0, 4, width), indexing="ij")
    return torch.stack(
        [0.5 + 0.4 * torch.sin(x + 0.3 * y), 0.5 + 0.4 * torch.cos(y), 0.5 + 0.3 * torch.sin(x * y / 2)]
    )[None]


def geometric(seed, n=2, **ranges):
    return sample_views(seed, n_photometric=0, n_geometric=n, **ranges)


def test_undo_is_the_true_inverse_on_valid_pixels():
    image = smooth_image()
    views = geometric(3, n=4)
    back, valid = undo(apply_views(image, views), views)
    error = ((back - image).abs() * valid[:, None]).amax((1, 2, 3, 4))
    assert valid.mean((1, 2, 3)).min() > 0.6
    assert error.max() < 0.01


def test_the_forward_grid_is_not_a_way_back():
    # The original notes warped twice by the same grid; this is the size of that mistake.
    image = smooth_image()
    views = replace(geometric(3, n=1), is_flipped=torch.tensor([False]))
    view = apply_views(image, views)[:, 0]
    valid = way_back(views, size=(48, 64)).valid
    grid = F.affine_grid(affine_matrices(views, height=48, width=64), [1, 3, 48, 64], align_corners=False)
    twice = F.grid_sample(view, grid, padding_mode="reflection", align_corners=False)
    mistake = ((twice - image).abs() * valid).sum() / valid.sum()
    true = ((undo(view, views)[0] - image).abs() * valid).sum() / valid.sum()
    assert mistake > 20 * true


def test_a_flip_round_trips_exactly():
    image = torch.rand(2, 3, 31, 45, generator=torch.Generator().manual_seed(0))
    views = geometric(0, n=1, max_rotation_rad=0, max_log_scale=0, max_shift=0)
    assert views.is_flipped.tolist() == [True]
    view = apply_views(image, views)
    back, valid = undo(view, views)
    assert torch.equal(view[0], image.flip(-1))
    assert torch.equal(back[0], image)
    assert valid.min() == 1


def test_photometric_views_move_no_pixel():
    views = sample_views(5, n_photometric=3, n_geometric=0)
    field = torch.rand(3, 4, 20, 30)
    back, valid = undo(field, views)
    assert torch.equal(back, field)
    assert valid.min() == 1


def test_geometric_views_leave_light_alone():
    image = torch.full((1, 3, 32, 48), 0.37)
    assert torch.allclose(apply_views(image, geometric(1, n=3)), image.expand(3, 1, -1, -1, -1))


def test_no_false_edge_outside_the_image():
    # A vertical gradient of light: mirrored borders keep its range, black ones would not.
    image = torch.linspace(0.5, 0.8, 40).view(1, 1, 40, 1).expand(1, 3, 40, 56)
    view = apply_views(image, geometric(2, n=4, max_shift=0.4))
    assert view.min() >= 0.5 - 1e-5
    assert (view[..., 1:, :] - view[..., :-1, :]).abs().max() < 0.05


def test_hand_worked_shift():
    # 8 px wide, shift of 0.5 in coordinates 2 wide is 2 px to the right in the image: view[x] = image[x + 2].
    views = replace(
        geometric(0, n=1, max_rotation_rad=0, max_log_scale=0),
        is_flipped=torch.tensor([False]),
        shift=torch.tensor([[0.5, 0.0]]),
    )
    image = torch.arange(8.0).div(10).view(1, 1, 1, 8).expand(1, 3, 8, 8)
    view = apply_views(image, views)[0, 0, 0, 0]
    assert torch.allclose(view, torch.tensor([0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.7, 0.6]), atol=1e-5)
    back, valid = undo(view.expand(1, 1, 8, 8), views)
    assert valid[0, 0, 0].tolist() == [0, 0, 1, 1, 1, 1, 1, 1]
    assert torch.allclose(back[0, 0, 0, 2:], image[0, 0, 0, 2:], atol=1e-5)


def test_rotation_is_a_rotation_in_pixels():
    views = replace(
        geometric(0, n=1, max_rotation_rad=0, max_log_scale=0, max_shift=0), rotation_rad=torch.tensor([torch.pi / 2])
    )
    matrix = affine_matrices(views, height=20, width=40)[0]
    half_size_px = torch.tensor([20.0, 10.0])
    sampled_px = (matrix[:, :2] @ (torch.tensor([5.0, 0.0]) / half_size_px)) * half_size_px
    assert torch.allclose(sampled_px, torch.tensor([0.0, 5.0]), atol=1e-5)


@settings(deadline=None)
@given(seed=st.integers(0, 2**31), height=st.integers(16, 200), width=st.integers(16, 200))
def test_inverse_matrix(seed, height, width):
    matrix = affine_matrices(geometric(seed), height=height, width=width)
    point = torch.tensor([0.3, -0.7])
    there = matrix[:, :, :2] @ point + matrix[:, :, 2]
    inverse = invert_affine(matrix)
    home = (inverse[:, :, :2] @ there[..., None])[..., 0] + inverse[:, :, 2]
    assert torch.allclose(home, point.expand(2, 2), atol=1e-5)


def test_the_way_back_holds_at_a_coarser_resolution():
    # A field of half resolution comes back to where the full-size one does.
    image, views = smooth_image(), geometric(7)
    view = apply_views(image, views)[:, 0]
    back = way_back(views, size=(24, 32), image_size=(48, 64))
    coarse = back(F.avg_pool2d(view, 2))
    assert ((coarse - F.avg_pool2d(image, 2)).abs() * back.valid).max() < 0.015


def test_same_seed_same_views_other_seed_other_views():
    image = smooth_image()
    first, again, other = (apply_views(image, sample_views(seed)) for seed in (11, 11, 12))
    assert torch.equal(first, again)
    assert not torch.allclose(first[0], other[0], atol=1e-3)
    assert not torch.allclose(first[2], other[2], atol=1e-3)


def test_views_ignore_the_global_generator():
    before = torch.get_rng_state()
    image = smooth_image()
    first = apply_views(image, sample_views(1))
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(99)
    assert torch.equal(first, apply_views(image, sample_views(1)))


def test_a_view_does_not_depend_on_the_batch():
    image = torch.rand(3, 3, 24, 32, generator=torch.Generator().manual_seed(4))
    views = sample_views(2)
    together = apply_views(image, views)
    assert together.shape == (4, 3, 3, 24, 32)
    assert together.min() >= 0
    assert together.max() <= 1
    assert torch.allclose(together[:, 1], apply_views(image[1:2], views)[:, 0], atol=1e-6)


def test_photometric_strength_is_mild_and_there():
    image = smooth_image()
    change = (apply_views(image, sample_views(0, n_photometric=16, n_geometric=0)) - image).abs().mean((1, 2, 3, 4))
    assert change.min() > 0.01
    assert change.max() < 0.25


def test_blur_keeps_a_constant_and_the_mean_noise_is_right():
    views = sample_views(0, n_photometric=1, n_geometric=0, max_log_gain=0, max_log_gamma=0, max_log_cast=0)
    view = apply_views(torch.full((1, 3, 200, 200), 0.5), views)
    assert view.mean().item() == pytest.approx(0.5, abs=1e-3)
    assert view.std().item() == pytest.approx(views.noise_sigma.item(), rel=0.02)


def test_errors_name_the_next_move():
    with pytest.raises(ValueError, match=">= 0"):
        sample_views(0, n_photometric=-1)
    with pytest.raises(ValueError, match="at least 8 px"):
        apply_views(torch.zeros(1, 3, 4, 4), sample_views(0))
    with pytest.raises(ValueError, match="one field per view"):
        undo(torch.zeros(3, 1, 8, 8), sample_views(0))


def test_no_views_are_views_too():
    none = sample_views(0, n_photometric=0, n_geometric=0)
    assert len(none) == 0
    assert apply_views(torch.rand(2, 3, 16, 24), none).shape == (0, 2, 3, 16, 24)
    back = way_back(none, size=(8, 12), image_size=(16, 24))
    assert (len(back.grid), tuple(back.valid.shape)) == (0, (0, 1, 8, 12))
