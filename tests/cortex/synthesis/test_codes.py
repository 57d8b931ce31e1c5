"""What stages hold, asked only as far as needed: the same as the whole cortex says."""

from __future__ import annotations

import math

import pytest
import torch

from ciliary.cortex import Cortex
from ciliary.cortex.synthesis.ascent import AscentSettings, ascend, noise_around_grey
from ciliary.cortex.synthesis.codes import CODES, answer_of, early_maps, stage_code, stages_of
from ciliary.cortex.synthesis.texture import texture_distance


@pytest.fixture(scope="module")
def cortex() -> Cortex:
    return Cortex(recognise=True).requires_grad_(False)


@pytest.mark.parametrize("stage", CODES)
def test_a_stage_answers_as_in_the_whole(cortex, chelsea, stage):
    theta = cortex.table.default_theta(1, colour_weight=2.0, adaptation_exponent=1.2)  # not the defaults
    whole = getattr(cortex(chelsea, theta), stage)
    read = CODES[stage]
    torch.testing.assert_close(read(answer_of(cortex, stage, chelsea, theta)), read(whole))


@pytest.mark.parametrize("stage", CODES)
def test_a_code_has_a_gradient_down_to_the_pixels(cortex, chelsea, stage):
    code = stage_code(cortex, stage, cortex.table.default_theta(1))
    image = chelsea.expand(2, -1, -1, -1).clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(code(image).square().sum(), image)
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0


def test_a_stage_that_is_not_there_is_named():
    blind = Cortex().requires_grad_(False)
    assert stages_of(blind) == ["retina", "m1", "m2", "m3", "m4"]
    for stage in ("m5", "m6"):
        with pytest.raises(ValueError, match=f"got '{stage}'; it has retina, m1"):
            answer_of(blind, stage, torch.rand(1, 3, 32, 32), blind.table.default_theta(1))


def test_the_code_of_proto_objects_does_not_know_their_slots(cortex, chelsea):
    m4 = cortex(chelsea).m4
    read = CODES["m4"]
    order = torch.randperm(m4.assignment.shape[2], generator=torch.Generator().manual_seed(0))
    turned = type(m4)(
        m4.assignment[..., order], m4.patches, m4.embedding[:, order], m4.objectness[:, order], m4.merge_height
    )
    torch.testing.assert_close(read(turned), read(m4), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("i_orientation", [0, 2, 3])
def test_a_unit_of_v1_likes_lines_of_its_orientation(cortex, i_orientation):
    """The image that pleases it has its power across the line: the direction is read off the spectrum."""
    theta, n_px = cortex.table.default_theta(1), 48

    def energy(image: torch.Tensor) -> torch.Tensor:
        return answer_of(cortex, "m1", image, theta).energy[:, 6 + i_orientation, n_px // 2, n_px // 2]

    start = noise_around_grey((1, 3, n_px, n_px))
    liked = ascend(energy, start, AscentSettings(n_steps=15))
    assert energy(liked) > 20 * energy(start)
    power = torch.fft.fft2(liked.mean(1)[0] - liked.mean()).abs().square()
    f = torch.fft.fftfreq(n_px)
    angle = torch.atan2(*torch.meshgrid(f, f, indexing="ij"))  # of (y, x): where the frequency points
    twice = torch.angle((power * torch.exp(2j * angle)).sum())
    tangent = (0.5 * float(twice) + math.pi / 2) % math.pi  # a line lies across its frequency
    away = (tangent - i_orientation * math.pi / 6 + math.pi / 2) % math.pi - math.pi / 2
    assert abs(away) < math.pi / 12


def test_texture_of_a_shifted_image_is_nearer_than_that_of_another(cortex, chelsea):
    maps = early_maps(cortex, cortex.table.default_theta(1), chelsea)
    shifted, other = chelsea.roll(9, 3), torch.rand_like(chelsea)
    near, far = (texture_distance(maps(chelsea), maps(one)) for one in (shifted, other))
    assert near < 0.15 * far
