"""Percepts over glances: one is itself, the same again is nothing new, and a look counts as it was sharp."""

from __future__ import annotations

import math

import pytest
import torch
from skimage.metrics import adapted_rand_error

from ciliary.cortex.dorsal.looking import look_around, mosaics_along
from ciliary.cortex.eye.fovea import take_glance
from ciliary.cortex.eye.lattice import FoveatedLattice
from ciliary.cortex.eye.mosaic import Mosaic, add_glance, blank_mosaic
from ciliary.cortex.integration.glances import (
    glance_looks,
    perceive_glances,
    perceive_mosaic,
)
from ciliary.cortex.integration.percept import integrate
from ciliary.cortex.integration.similarity import likeness, likeness_at
from ciliary.cortex.model import Cortex
from ciliary.cortex.plot.gaze import draw_gaze
from ciliary.cortex.segmenters.percept import LabelPercept

SIZE, PX_PER_DEG = (48, 64), 8.0
LATTICE = FoveatedLattice()


@pytest.fixture(scope="module")
def cortex():
    return Cortex().eval().requires_grad_(False)


def squares() -> torch.Tensor:
    """(1, 3, H, W) light: two bright things on dark ground."""
    light = torch.full((1, 3, *SIZE), 0.1)
    light[:, 0, 8:24, 8:24] = 0.8
    light[:, 2, 24:42, 36:58] = 0.9
    return light


def mosaics(*gazes: tuple[float, float]) -> list[Mosaic]:
    found = [blank_mosaic(1, SIZE, PX_PER_DEG, ground=0.2)]
    for gaze in gazes:
        found.append(add_glance(found[-1], take_glance(squares(), LATTICE, torch.tensor([gaze]), PX_PER_DEG)))
    return found[1:]


def with_spacing(*spacings: torch.Tensor) -> list[Mosaic]:
    count = torch.ones(1, dtype=torch.int64)
    return [Mosaic(torch.zeros(1, 3, *one.shape), one[None, None], count, count, PX_PER_DEG) for one in spacings]


def said(*maps: torch.Tensor) -> list[LabelPercept]:
    return [LabelPercept(one[None]) for one in maps]


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """The same partition, whatever the numbers: by an independent library."""
    return bool(adapted_rand_error(one.numpy(), other.numpy(), ignore_labels=())[0] < 1e-9)


def left_right(column: int) -> torch.Tensor:
    return (torch.arange(SIZE[1]) >= column).long().expand(SIZE).contiguous()


def test_one_glance_is_its_own_percept(cortex):
    seen = mosaics((0.0, 0.0))
    found = perceive_glances(cortex, seen)
    alone = perceive_mosaic(cortex, seen[0]).labels()[0]
    assert same(found.percept.segments[0], alone)
    assert same(found.last.labels()[0], alone)
    torch.testing.assert_close(found.percept.uncertainty, torch.zeros(1, 1, *SIZE), atol=1e-5, rtol=0)


def test_the_same_glance_again_is_one_percept_and_no_more_uncertainty(cortex):
    once, twice = (perceive_glances(cortex, mosaics(*[(1.0, -1.0)] * n)) for n in (1, 2))
    assert same(once.percept.segments[0], twice.percept.segments[0])
    torch.testing.assert_close(once.uncertainty, twice.uncertainty)
    torch.testing.assert_close(once.percept.boundary, twice.percept.boundary)


def test_a_look_counts_as_it_was_sharp():
    """Weights worked by hand: half the acuity of later, with an exponent of 2, a quarter of the trust; unseen, none."""
    fine, coarse = torch.full(SIZE, 0.1), torch.full(SIZE, 0.2)
    coarse[:, :8] = math.inf
    looks = glance_looks(said(left_right(20), left_right(30)), with_spacing(coarse, fine), acuity_exponent=2.0)
    assert looks.reliability is not None
    assert looks.reliability[0, 0, :, 8:].unique().tolist() == pytest.approx([0.25])
    assert looks.reliability[0, 0, :, :8].unique().tolist() == [0.0]
    assert looks.reliability[0, 1].unique().tolist() == [1.0]
    alike = glance_looks(said(left_right(20), left_right(30)), with_spacing(coarse, fine), acuity_exponent=0.0)
    assert alike.reliability is not None
    assert alike.reliability[0, 0, :, 8:].unique().tolist() == [1.0]
    assert alike.reliability[0, 0, :, :8].unique().tolist() == [0.0]


def test_what_was_seen_sharply_decides():
    early, late = torch.full(SIZE, 0.8), torch.full(SIZE, 0.1)
    found = integrate(
        glance_looks(said(left_right(20), left_right(20), left_right(34)), with_spacing(early, early, late))
    )
    assert same(found.segments[0], left_right(34))


def test_what_nobody_saw_is_wholly_uncertain(cortex):
    found = perceive_glances(cortex, mosaics((0.0, 0.0), (1.0, 0.0)))
    blank = blank_mosaic(1, SIZE, PX_PER_DEG)
    near = FoveatedLattice(8, 24)  # sees 1.5 degrees
    small = add_glance(blank, take_glance(squares(), near, torch.zeros(1, 2), PX_PER_DEG))
    part = perceive_glances(cortex, [small])
    assert found.uncertainty.max() < 1
    assert (part.uncertainty[~small.is_seen] == 1).all()
    assert (part.uncertainty[small.is_seen] < 0.5).all()


def test_looks_that_disagree_are_uncertain_where_they_do():
    even = torch.full(SIZE, LATTICE.finest_deg)
    found = integrate(glance_looks(said(*[left_right(20)] * 3, left_right(44)), with_spacing(*[even] * 4)))
    doubt = found.uncertainty[0, 0]
    assert doubt[:, 22:42].mean() > doubt[:, 46:].mean() > 0


def test_scenes_of_a_batch_do_not_know_each_other(cortex):
    light = torch.cat([squares(), squares().flip(3)])
    gaze = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    one = add_glance(blank_mosaic(2, SIZE, PX_PER_DEG), take_glance(light, LATTICE, gaze, PX_PER_DEG))
    two = add_glance(one, take_glance(light, LATTICE, -gaze, PX_PER_DEG))
    both = perceive_glances(cortex, [one, two])
    first = [Mosaic(m.image[:1], m.spacing_deg[:1], m.n_samples[:1], m.n_glances[:1], PX_PER_DEG) for m in (one, two)]
    alone = perceive_glances(cortex, first)
    assert same(both.percept.segments[0], alone.percept.segments[0])
    torch.testing.assert_close(both.uncertainty[:1], alone.uncertainty, atol=1e-4, rtol=0)


def test_it_follows_a_look_around(cortex, small_image):
    look = look_around(small_image[0], n_fixations=3)
    found = perceive_glances(cortex, mosaics_along(look))
    assert found.percept.segments.shape == (1, *small_image.shape[-2:])
    assert 0 <= found.uncertainty.min() <= found.uncertainty.max() <= 1


def test_its_figure_has_a_row_of_percepts(cortex, small_image):
    look = look_around(small_image[0], n_fixations=2)
    plain, more = (
        draw_gaze(look, glanced=glanced) for glanced in (None, perceive_glances(cortex, mosaics_along(look)))
    )
    titles = [ax.get_title(loc="left") or ax.get_title() for ax in more.axes]
    assert len(more.axes) == len(plain.axes) + 3
    assert "Uncertainty" in titles


def test_likeness_at_a_place_is_worked_by_hand_and_its_mean_is_likeness():
    one, other = left_right(16)[None], left_right(32)[None]
    at = likeness_at(one, other)[0]
    assert at[0, 0].item() == pytest.approx(16 / 32)
    assert at[0, 20].item() == pytest.approx(16 / 64)  # the right of one, the left of the other
    assert at[0, 63].item() == pytest.approx(32 / 48)
    torch.testing.assert_close(at.mean(), likeness(one, other)[0])


def test_no_glance_is_refused(cortex):
    with pytest.raises(ValueError, match="expected a percept for each"):
        perceive_glances(cortex, [])
    with pytest.raises(ValueError, match="expected a percept for each"):
        glance_looks(said(left_right(3)), mosaics((0.0, 0.0), (1.0, 1.0)))
