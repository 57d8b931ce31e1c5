"""Windows that reach every pixel, overlaps averaged, and the only thing there is found."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from ciliary.cortex.explain.occlusion import mean_of_overlaps, occlusion_maps, window_starts, windows
from ciliary.cortex.explain.scalars import local_mean


@pytest.mark.parametrize(("n", "side", "stride"), [(64, 50, 10), (100, 50, 30), (220, 50, 10), (64, 10, 7), (9, 9, 4)])
def test_windows_cover_the_whole_axis_whatever_the_steps(n, side, stride):
    starts = window_starts(n, side, stride)
    covered = {pixel for start in starts for pixel in range(start, start + side)}
    assert covered == set(range(n))  # stopping at range(0, n - side, stride) leaves 4, 20 and 10 pixels of the first
    assert starts == sorted(set(starts))
    assert all(b - a <= stride for a, b in pairwise(starts))


def test_windows_by_hand():
    hidden = windows((5, 4), (2, 3), (2, 3))
    assert hidden.shape == (6, 5, 4)  # rows 0, 2, 3 and columns 0, 1
    assert hidden[0].nonzero().tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    assert hidden[-1].nonzero().amin(0).tolist() == [3, 1]
    assert hidden.any(0).all()


@pytest.mark.parametrize(("side", "stride"), [(0, 1), (5, 1), (2, 3), (2, 0)])
def test_windows_that_leave_gaps_are_refused(side, stride):
    with pytest.raises(ValueError, match="stride <= side"):
        window_starts(4, side, stride)


def test_overlapping_windows_are_averaged_by_hand():
    hidden = windows((1, 3), (1, 2), (1, 1))  # pixels 0 1 and 1 2
    value = torch.tensor([[1.0, 10.0], [3.0, 20.0]])
    assert mean_of_overlaps(hidden, value).tolist() == [[[1.0, 2.0, 3.0]], [[10.0, 15.0, 20.0]]]


def disc(size, centre, radius):
    y, x = torch.meshgrid(*(torch.arange(float(n)) for n in size), indexing="ij")
    return (((y - centre[0]) ** 2 + (x - centre[1]) ** 2).sqrt() < radius).float()


def test_a_bright_disc_is_what_brightness_hangs_on():
    image = 0.2 + 0.7 * disc((48, 64), (14, 45), 6).expand(3, -1, -1)
    (heat,) = occlusion_maps(lambda x: (x - 0.5).relu().sum((1, 2, 3))[:, None], image)
    inside = disc((48, 64), (14, 45), 6) > 0
    peak = divmod(int(heat.argmax()), 64)
    assert abs(peak[0] - 14) <= 6
    assert abs(peak[1] - 45) <= 6
    assert heat[inside].mean() > 5 * heat[~inside].mean()
    assert heat[36:].abs().max() < 1e-6


def test_what_is_linear_is_known_exactly():
    """Of the mean brightness, a window of the whole width that moves down: (image - fill) summed over its rows."""
    image = torch.rand(3, 6, 4, generator=torch.Generator().manual_seed(0))
    (heat,) = occlusion_maps(lambda x: x.mean((1, 2, 3))[:, None], image, share=1.0)
    expected = (image - local_mean(image, 6)).mean()
    torch.testing.assert_close(heat, torch.full((6, 4), float(expected)))


def test_captum_finds_the_same_where_its_windows_are_ours():
    captum = pytest.importorskip("captum.attr")
    image = torch.rand(3, 12, 16, generator=torch.Generator().manual_seed(1))
    weight = torch.rand(3, 12, 16, generator=torch.Generator().manual_seed(2))

    def of(x):
        return (x * weight).sum((1, 2, 3))[:, None] ** 2

    (ours,) = occlusion_maps(of, image, share=0.5, step=0.5)
    theirs = captum.Occlusion(of).attribute(
        image[None], (3, 6, 8), (3, 3, 4), baselines=local_mean(image, 8)[None], target=0
    )
    torch.testing.assert_close(ours, theirs[0, 0], rtol=1e-4, atol=1e-3)


def test_numbers_are_explained_together_and_in_passes():
    image = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
    sizes, ticks = [], []

    def of(x):
        sizes.append(len(x))
        return torch.stack([x.mean((1, 2, 3)), x.amax((1, 2, 3))], 1)

    both = occlusion_maps(of, image, n_at_once=4, tick=lambda *n: ticks.append(n))
    assert both.shape == (2, 16, 16)
    assert max(sizes) == 4
    assert ticks[-1] == (50, 50)  # 7 x 7 places, and the image itself
    torch.testing.assert_close(both[0], occlusion_maps(lambda x: of(x)[:, :1], image)[0])
