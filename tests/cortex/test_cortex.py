"""The whole cortex: samples on their own, determinism, extremes, and what it says to a wrong call."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ciliary.cortex import Cortex, Cues
from ciliary.cortex.model import MIN_SIDE_PX
from ciliary.cortex.options import STAGES
from ciliary.cortex.parameters import PARAMETERS, default_theta, from_unit, repeat_theta
from ciliary.cortex.percept import Percept
from ciliary.testing.stage import ANSWERS, photograph, tensors, with_cues

FIELDS = STAGES[:-1]  # of a cortex that does not recognise
u_rows = st.lists(st.floats(-1, 1), min_size=len(PARAMETERS), max_size=len(PARAMETERS))


@pytest.fixture(scope="module")
def cortex():
    return Cortex()


def perceive(cortex, image, theta):
    return cortex(image, theta, with_cues(image))


def check(percept, image):
    b, _, h, w = image.shape
    for stage in FIELDS:
        assert isinstance(getattr(percept, stage), ANSWERS[stage])
        for name, x in tensors(getattr(percept, stage)).items():
            assert len(x) == b
            assert not torch.isnan(x).any(), f"{stage}.{name}"
            if name != "merge_height":
                assert torch.isfinite(x).all(), f"{stage}.{name}"
    for field in (percept.m1.regions, percept.m2.regions, percept.m3.slots, percept.m4.masks):
        assert field.shape[-2:] == (h, w)
        torch.testing.assert_close(field.sum(1), torch.ones(b, h, w), atol=1e-4, rtol=0)
    labels = percept.labels()
    assert labels.shape == (b, h, w)
    assert all(image_labels.unique().tolist() == list(range(int(image_labels.max()) + 1)) for image_labels in labels)


# --- samples


def test_one_image_under_many_settings_in_one_pass(cortex):
    """What makes a population of candidates one forward pass."""
    u = torch.rand(5, len(PARAMETERS), generator=torch.Generator().manual_seed(3)) - 0.5
    theta, cues = from_unit(u), with_cues(photograph())
    with torch.no_grad():
        together = cortex(photograph().expand(5, -1, -1, -1), theta, cues[torch.zeros(5, dtype=torch.int64)])
        for i in range(5):
            alone = cortex(photograph(), {name: value[i : i + 1] for name, value in theta.items()}, cues)
            torch.testing.assert_close(together.m4.masks[i : i + 1], alone.m4.masks, atol=1e-4, rtol=0)
            torch.testing.assert_close(together.m2.contour[i : i + 1], alone.m2.contour, atol=1e-5, rtol=0)
            assert (together.labels()[i] == alone.labels()[0]).float().mean() > 0.999


def test_many_images_under_one_setting(cortex):
    image = torch.cat([photograph(), photograph("coffee"), torch.full((1, 3, 64, 96), 0.5)])
    theta = repeat_theta(default_theta(1), 3)
    with torch.no_grad():
        together = perceive(cortex, image, theta)
        for i in range(3):
            alone = perceive(cortex, image[i : i + 1], default_theta(1))
            assert (together.labels()[i] == alone.labels()[0]).float().mean() > 0.999
            if i < 2:  # on a blank all choices are ties, which slot is which is rounding's
                torch.testing.assert_close(together.m4.masks[i : i + 1], alone.m4.masks, atol=1e-4, rtol=0)


def test_order_of_the_batch_does_not_matter(cortex):
    image = torch.cat([photograph(), photograph("coffee"), photograph("chelsea")])
    order = torch.tensor([2, 0, 1])
    with torch.no_grad():
        one, other = (perceive(cortex, x, default_theta(3)) for x in (image, image[order]))
    torch.testing.assert_close(one.m4.masks[order], other.m4.masks, atol=1e-4, rtol=0)


def test_two_runs_and_two_cortices_agree_to_the_last_bit(cortex):
    torch.manual_seed(0)
    one = perceive(cortex, photograph(), default_theta(1))
    torch.manual_seed(1)
    other = perceive(Cortex(), photograph(), default_theta(1))
    for stage in FIELDS:
        a, b = (tensors(getattr(x, stage)) for x in (one, other))
        assert all(torch.equal(a[name], b[name]) for name in a)


def test_with_and_without_a_graph_the_percept_is_the_same(cortex):
    theta = {name: value.requires_grad_() for name, value in default_theta(1).items()}
    taped = perceive(cortex, photograph(), theta).detach()
    with torch.no_grad():
        plain = perceive(cortex, photograph(), default_theta(1))
    torch.testing.assert_close(taped.m4.masks, plain.m4.masks, atol=1e-5, rtol=0)


# --- extremes


@settings(max_examples=12)
@given(st.lists(u_rows, min_size=1, max_size=2), st.integers(0, 3), st.sampled_from([(32, 32), (33, 47), (40, 64)]))
def test_any_setting_on_any_image_is_a_sound_percept(rows, kind, size):
    image = {
        0: photograph(size=size),
        1: torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0)),
        2: (torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1)) > 0.5).float(),
        3: torch.full((1, 3, *size), 0.5),
    }[kind].expand(len(rows), -1, -1, -1)
    with torch.no_grad():
        check(perceive(Cortex(), image, from_unit(torch.tensor(rows))), image)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_blank_is_one_segment(cortex, value):
    image = torch.full((3, 3, 33, 47), value)
    theta = from_unit(torch.tensor([-1.0, 0.0, 1.0])[:, None].expand(3, len(PARAMETERS)))
    # A count alone makes several of anything: not beside the heaviest weights of position.
    theta["threshold_adaptation"] = torch.tensor([1.0, 0.5, 0.0])
    percept = cortex(image, theta)
    check(percept, image)
    assert (percept.labels() == 0).all()
    assert percept.m1.boundary.max() < 1e-3
    assert percept.m2.contour.max() < 1e-3


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_blank_is_one_segment_however_many_objects_are_expected(cortex, value):
    theta = default_theta(3)
    theta["threshold_adaptation"], theta["expected_objects"] = torch.tensor([0.5, 1.0, 1.0]), torch.tensor([8.0, 2, 16])
    assert (cortex(torch.full((3, 3, 48, 64), value), theta).labels() == 0).all()


def test_large_and_long_images(cortex):
    for size in ((32, 200), (96, 144)):
        image = photograph(size=size)
        with torch.no_grad():
            check(cortex(image), image)


# --- the door


def test_stages_can_be_exchanged():
    class Loud(torch.nn.Module):
        def forward(self, m3, theta):
            raise RuntimeError("asked")

    with pytest.raises(RuntimeError, match="asked"):
        Cortex(m4=Loud())(photograph())


def test_cues_are_computed_once_and_can_be_given():
    cortex = Cortex(depth="pictorial")
    cues = cortex.cues(photograph())
    assert isinstance(cues, Cues)
    assert cues.backbone is None
    assert not cues.depth.requires_grad
    one, other = cortex(photograph(), cues=cues), cortex(photograph())
    assert isinstance(one, Percept)
    assert torch.equal(one.m4.masks, other.m4.masks)
    flat = Cortex(depth="none")(photograph())
    assert not torch.equal(flat.m4.masks, one.m4.masks)


@pytest.mark.parametrize(
    "image",
    [
        torch.rand(3, 64, 64),
        torch.rand(1, 1, 64, 64),
        torch.rand(1, 3, 64, 64, dtype=torch.float64),
        torch.zeros(1, 3, 64, 64, dtype=torch.uint8),
    ],
)
def test_wrong_images_are_named(cortex, image):
    with pytest.raises(ValueError, match=r"expected an image \(B, 3, H, W\) of float32 in \[0, 1\], got"):
        cortex(image)


@pytest.mark.parametrize(
    "image", [255 * torch.rand(1, 3, 64, 64), torch.full((1, 3, 64, 64), torch.nan), -torch.rand(1, 3, 40, 40)]
)
def test_images_out_of_range_are_refused(cortex, image):
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        cortex(image)


def test_small_images_are_refused(cortex):
    with pytest.raises(ValueError, match=f"both sides >= {MIN_SIDE_PX} px.*enlarge"):
        cortex(torch.rand(1, 3, MIN_SIDE_PX - 1, 64))


def test_wrong_settings_are_named(cortex):
    with pytest.raises(ValueError, match=r"expected shape \(1,\), one value per image, got \(2,\)"):
        cortex(photograph(), default_theta(2))
    with pytest.raises(KeyError, match="lacks"):
        cortex(photograph(), {name: value for name, value in default_theta(1).items() if name != PARAMETERS.names[0]})
    with pytest.raises(KeyError, match=r"unknown parameter.*choose from"):
        cortex(photograph(), {**default_theta(1), "focus": torch.ones(1)})


def test_a_stage_by_its_place_in_a_module():
    home = "ciliary.cortex.stages.m2_grouping"
    assert type(Cortex(m2=f"{home}:M2").m2) is type(Cortex().m2)
    with pytest.raises(ValueError, match="has no 'Mine'"):
        Cortex(m2=f"{home}:Mine")
    with pytest.raises(TypeError, match="expected a stage"):
        Cortex(m2="math:pi")
