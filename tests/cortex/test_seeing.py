"""Scenes whose answer is known: a disc is seen as a disc, with a closed contour around it."""

import math

import pytest
import torch
from scipy import ndimage

from ciliary.cortex import Cortex
from ciliary.cortex.parameters import default_theta
from ciliary_tests.theta_scenes import scene_theta


@pytest.fixture(scope="module")
def cortex():
    return Cortex()


@pytest.mark.parametrize(
    ("background", "disc", "radius_px", "centre"),
    [(0.5, 1.0, 14, (32, 32)), (0.5, 0.9, 12, (30, 34)), (0.2, 0.8, 18, (32, 32)), (0.6, 0.2, 10, (24, 38))],
)
@pytest.mark.parametrize("which", ["scene", "defaults"])
def test_a_disc_is_seen_as_a_disc(cortex, background, disc, radius_px, centre, which):
    theta = scene_theta(1) if which == "scene" else default_theta(1)
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    far = torch.sqrt((y - centre[0]) ** 2 + (x - centre[1]) ** 2)
    truth = far <= radius_px
    image = torch.where(truth, disc, background).expand(1, 3, 64, 64).contiguous()
    with torch.no_grad():
        percept = cortex(image, theta)
    labels = percept.labels()[0]
    overlap = [
        ((labels == k) & truth).sum().item() / ((labels == k) | truth).sum().item()
        for k in range(int(labels.max()) + 1)
    ]
    # The defaults expect more than two things: patches on the border may stay for themselves.
    assert max(overlap) >= (0.9 if which == "scene" else 0.85), overlap
    # A closed ring: at half the weakest contour of the circle, no way leads from the inside out.
    contour = percept.m2.contour[0, 0]
    angles = torch.linspace(0, 2 * math.pi, 73)[:-1]
    ring = torch.stack(
        [
            contour[
                (far - radius_px).abs().le(2) & (torch.atan2(y - centre[0], x - centre[1]) - a).cos().ge(0.98)
            ].max()
            for a in angles
        ]
    )
    level = 0.5 * ring.min().item()
    assert level > 10 * contour[far > radius_px + 10].max()
    parts, _ = ndimage.label((contour < level).numpy())
    assert parts[centre] != 0
    assert parts[0, 0] != 0
    assert parts[centre] != parts[0, 0]


def test_two_discs_of_two_colours_and_their_ground(cortex):
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(96.0), indexing="ij")
    discs = [((y - 32) ** 2 + (x - column) ** 2) <= 14**2 for column in (26, 70)]
    image = torch.full((3, 64, 96), 0.5)
    image = torch.where(discs[0], torch.tensor([0.85, 0.2, 0.2]).view(3, 1, 1), image)
    image = torch.where(discs[1], torch.tensor([0.2, 0.3, 0.85]).view(3, 1, 1), image)
    labels = cortex(image[None], scene_theta(1)).labels()[0]
    for truth in (*discs, ~(discs[0] | discs[1])):
        k = labels[truth].mode().values
        overlap = ((labels == k) & truth).sum() / ((labels == k) | truth).sum()
        assert overlap > 0.85
