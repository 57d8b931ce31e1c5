"""Priority and scan paths: what they sum to, what changes them, and paths that can be followed by hand."""

from __future__ import annotations

import pytest
import torch

from ciliary.cortex.dorsal.conspicuity import Conspicuity
from ciliary.cortex.dorsal.priority import Dorsal, PrioritySettings, normalised, priority
from ciliary.cortex.dorsal.scan import ScanSettings, choose, inhibit, scan_path, start
from ciliary.cortex.parameters import default_theta
from ciliary.cortex.stages.retina import retina

SIZE = (2, 1, 6, 8)


def random(seed: int = 0) -> torch.Tensor:
    return torch.rand(SIZE, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def maps() -> Conspicuity:
    return Conspicuity(*(random(seed) for seed in range(4)))


def sums_to_one(x: torch.Tensor) -> bool:
    return torch.allclose(x.sum((1, 2, 3)), torch.ones(len(x))) and bool((x >= 0).all())


def test_the_formula(maps):
    settings = PrioritySettings(
        energy_weight=1, rarity_weight=2, ends_weight=0, colour_weight=3, exponent=2, resolved_share=0.1
    )
    unresolved, prior, inhibition = random(5), random(6), random(7)
    found = priority(maps, settings, unresolved=unresolved, prior=prior, inhibition=inhibition)
    expected = (maps.energy + 2 * maps.rarity + 3 * maps.colour) ** 2
    expected = expected * (0.1 + 0.9 * unresolved) * prior * (1 - inhibition)
    assert torch.allclose(found, expected / expected.sum((1, 2, 3), keepdim=True), atol=1e-6)
    assert sums_to_one(found)


def test_every_argument_counts_and_of_any_size(maps):
    plain = priority(maps)
    for name in ("motion", "unresolved", "prior", "inhibition"):
        other = priority(maps, **{name: torch.nn.functional.interpolate(random(9), size=(12, 16))})
        assert other.shape == SIZE
        assert sums_to_one(other)
        assert not torch.allclose(other, plain, atol=1e-4)


def test_nothing_left_falls_back():
    blank = Conspicuity(*[torch.zeros(SIZE)] * 4)
    assert torch.allclose(priority(blank), torch.full(SIZE, 1 / 48))
    prior = normalised(random(3))
    assert torch.allclose(priority(blank, prior=prior), prior)
    assert torch.allclose(priority(blank, prior=prior, inhibition=torch.ones(SIZE)), prior)


def test_the_module_is_the_function(small_image):
    theta = default_theta(1)
    found = Dorsal(px_per_deg=6.0)(retina(small_image, theta), prior=torch.ones(1, 1, 4, 4))
    assert found.shape == (1, 1, 12, 16)
    assert sums_to_one(found)
    image = small_image.clone().requires_grad_()
    Dorsal(px_per_deg=6.0)(retina(image, theta))[..., :6, :].sum().backward()
    assert bool(torch.isfinite(image.grad).all())
    assert float(image.grad.abs().sum()) > 0


def test_errors_say_what_is_wrong(maps):
    with pytest.raises(ValueError, match="prior"):
        priority(maps, prior=torch.ones(6, 8))
    with pytest.raises(ValueError, match="weights"):
        PrioritySettings(rarity_weight=-1)
    with pytest.raises(ValueError, match="exponent"):
        PrioritySettings(exponent=0)
    with pytest.raises(ValueError, match="decay"):
        ScanSettings(inhibition_decay=1.5)
    with pytest.raises(ValueError, match="n_fixations"):
        scan_path(random(), n_fixations=0, cells_per_deg=1)
    with pytest.raises(ValueError, match="priority"):
        scan_path(random()[0], n_fixations=1, cells_per_deg=1)


def test_a_path_visits_the_peaks_in_their_order():
    peaks = torch.full((1, 1, 40, 40), 1e-3)
    for value, (y, x) in zip((3.0, 2.0, 1.0), ((5, 6), (30, 33), (6, 34)), strict=True):
        peaks[..., y, x] = value
    settings = ScanSettings(inhibition_deg=2, inhibition_decay=1, saccade_deg=float("inf"))
    y, x = scan_path(peaks, n_fixations=3, cells_per_deg=1, settings=settings)
    assert torch.stack([y, x], -1)[0].tolist() == [[5, 6], [30, 33], [6, 34]]


def test_a_batch_goes_as_each_alone_and_near_targets_win():
    both = random()
    y, x = scan_path(both, n_fixations=5, cells_per_deg=1)
    for i in range(2):
        alone = scan_path(both[i : i + 1], n_fixations=5, cells_per_deg=1)
        assert torch.equal(torch.stack(alone)[:, 0], torch.stack([y[i], x[i]]))
    two = torch.zeros(1, 1, 21, 21)
    two[..., 10, 13], two[..., 10, 0] = 1.0, 1.2
    near = ScanSettings(inhibition_deg=0.5, saccade_deg=4)
    assert [float(v) for v in scan_path(two, n_fixations=1, cells_per_deg=1, settings=near)] == [10, 13]
    far = ScanSettings(inhibition_deg=0.5, saccade_deg=float("inf"))
    assert [float(v) for v in scan_path(two, n_fixations=1, cells_per_deg=1, settings=far)] == [10, 0]


def test_inhibition_decays_and_is_highest_where_the_gaze_is():
    settings = ScanSettings(inhibition_deg=1, inhibition_decay=0.5, saccade_deg=float("inf"))
    state = inhibit(start(torch.zeros(1, 1, 9, 9)), settings, cells_per_deg=1)
    assert float(state.inhibition[0, 0, 4, 4]) == 1
    goal = torch.zeros(1, 1, 9, 9)
    goal[..., 0, 0] = 1
    state = choose(goal, state, settings, cells_per_deg=1)
    assert (float(state.gaze_y), float(state.gaze_x)) == (0, 0)
    state = inhibit(state, settings, cells_per_deg=1)
    assert float(state.inhibition[0, 0, 0, 0]) == 1
    assert float(state.inhibition[0, 0, 4, 4]) == 0.5
