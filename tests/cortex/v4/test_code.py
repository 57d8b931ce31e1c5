"""V4's code: moved and enlarged shapes, turned ones, company, blanks, gradients; and the cortex that has it."""

import math

import pytest
import torch

from ciliary.cortex import Cortex
from ciliary.cortex.device import to_device
from ciliary.cortex.ops.smoothing import halve
from ciliary.cortex.v4.bank import N_CELLS, oriented_contour, respond_at_scales
from ciliary.cortex.v4.code import N_CURVES, RASTER, figure_curves, join_curves, object_curves
from ciliary.cortex.v4.place import moments, pool, pool_within, raster, rings
from ciliary_tests.v4_figures import cross, disc, picture

P = RASTER**2


@pytest.fixture(scope="module")
def cortex():
    return Cortex(curvature=True).eval()


def figures(cortex, *images):
    """Codes of figures by the first stages alone."""
    image = torch.stack(images)
    theta = cortex.table.default_theta(len(image), image.device)
    with torch.no_grad():
        m1 = cortex.m1(cortex.retina(image, theta), cortex.cues(image), theta)
        m2 = cortex.m2(m1, theta)
        return figure_curves(respond_at_scales(oriented_contour(m1, m2)), halve(m2.contour))


def alike(a, b):
    return float((a * b).sum() / (a.norm() * b.norm()))


def test_moments_by_hand():
    weight = torch.zeros(1, 2, 8, 8)
    weight[0, 0, 2, 1] = weight[0, 0, 2, 7] = 3.0
    centre, spread = moments(weight)
    assert centre[0, 0].tolist() == pytest.approx([2, 4])
    least, wide = 0.16**2, 9.0
    common = (least + wide) / 2
    assert spread[0, 0].tolist() == pytest.approx([(v * common) ** 0.25 for v in (least, wide)], rel=1e-4)
    assert torch.isfinite(torch.cat([centre, spread])).all()  # of nothing too


def test_places():
    assert raster(2, 1.0, torch.device("cpu")).tolist() == [[-0.5, -0.5], [-0.5, 0.5], [0.5, -0.5], [0.5, 0.5]]
    found = rings(4, (1.0, 2.0), torch.device("cpu"))
    expected = [[0, 0], [0, 1], [1, 0], [0, -1], [-1, 0], [0, 2], [2, 0], [0, -2], [-2, 0]]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float32), atol=1e-6, rtol=0)


def test_a_field_sees_what_lies_in_it():
    """Everywhere the same is pooled to itself; a point to its Gaussian."""
    centre, spread = torch.tensor([[[20.0, 20.0]]]), torch.tensor([[[4.0, 5.0]]])
    cells = torch.tensor([[0.0, 0.0], [0.5, -0.5]])
    same = pool(torch.full((1, 3, 41, 41), 0.7), centre, spread, cells, 0.5)
    torch.testing.assert_close(same, torch.full((1, 1, 2, 3), 0.7), atol=1e-4, rtol=0)
    point = torch.zeros(1, 1, 41, 41)
    point[0, 0, 22, 20] = 1
    found = pool(point, centre, spread, cells, 0.5)[0, 0, :, 0]
    height = 1 / (2 * math.pi * (0.5 * 4) * (0.5 * 5))
    expected = [math.exp(-0.5), math.exp(-0.5)]
    assert found.tolist() == pytest.approx([height * v for v in expected], rel=1e-4)
    half = (torch.arange(41) < 21).float().view(1, 1, 41, 1).expand(1, 1, 41, 41)
    assert not pool_within(half, point, centre, spread, cells, 0.5).any()
    torch.testing.assert_close(pool_within(1 - half, point, centre, spread, cells, 0.5)[0, 0, :, 0], found)


def test_a_moved_figure_has_the_same_code(cortex):
    """By as much as the coarsest cells are apart: the grid is the same."""
    plain, moved, other = figures(cortex, picture(cross(), 96), picture(cross(), 96, by=(8, -16)), picture(disc(), 96))
    assert alike(plain, moved) > 0.98
    assert alike(plain, other) < 0.7


@pytest.mark.parametrize("size", [0.75, 1.5])
def test_a_larger_figure_has_nearly_the_same_code(cortex, size):
    plain, scaled, other = figures(cortex, picture(cross(), 128), picture(cross(size), 128), picture(disc(size), 128))
    assert alike(plain, scaled) > 0.85
    assert alike(plain, scaled) > alike(plain, other) + 0.2


def test_a_quarter_turn_turns_the_code_exactly():
    """Given the contours: the raster turns, and the cells change places by three of twelve."""
    generator = torch.Generator().manual_seed(1)
    oriented, contour = torch.rand(1, 6, 24, 24, generator=generator), torch.rand(1, 1, 24, 24, generator=generator)
    plain = figure_curves(respond_at_scales(oriented), contour)
    turn = torch.rot90(oriented, -1, (2, 3)).roll(3, 1)
    found = figure_curves(respond_at_scales(turn), torch.rot90(contour, -1, (2, 3)))
    expected = torch.rot90(plain.unflatten(1, (RASTER, RASTER)), -1, (1, 2)).flatten(1, 2)
    groups = [group.roll(3, 2) for group in expected.split([6, 12, 12, 12, 12, 12], 2)]
    torch.testing.assert_close(found, torch.cat(groups, 2), atol=1e-4, rtol=1e-3)


def test_objects_see_their_own_contours_alone():
    generator = torch.Generator().manual_seed(2)
    oriented = torch.zeros(1, 6, 32, 32)
    oriented[..., :12] = torch.rand(1, 6, 32, 12, generator=generator)
    masks = torch.zeros(1, 3, 32, 32)
    masks[:, 0, :, :16], masks[:, 1, :, 20:] = 1, 1
    code = object_curves(respond_at_scales(oriented), masks)
    assert code.shape == (1, 3, N_CURVES)
    assert code[0, 0].norm() > 0.9
    assert code[0, 1].norm() < 0.2
    assert code[0, 2].abs().max() < 1e-6  # no mask, no contour


def test_blank_has_no_curves(cortex):
    with torch.no_grad():
        m4 = cortex(torch.full((1, 3, 48, 64), 0.5)).m4
    assert m4.figure.abs().max() < 1e-4
    assert m4.curves.abs().max() < 1e-4


def test_the_cortex_says_it_when_asked(cortex):
    images = torch.stack([picture(shape(0.5), 48) for shape in (cross, disc)])
    with torch.no_grad():
        percept = cortex(images)
        alone = torch.cat([cortex(image[None]).m4.figure for image in images])
        plain = Cortex(recognise=True)(images)
    m4, m5 = percept.m4, percept.m5
    assert m4.curves.shape == (*m4.objectness.shape, N_CURVES)
    assert m4.figure.shape == (len(images), P, N_CELLS)
    assert m4.curves.norm(dim=2).max() <= 1
    torch.testing.assert_close(m4.figure.flatten(1).norm(dim=1), torch.ones(len(images)), atol=1e-2, rtol=0)
    torch.testing.assert_close(m4.figure, alone, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(m5.shaped, join_curves(m5.code, m4.curves))
    assert plain.m4.curves is plain.m4.figure is plain.m5.shaped is None
    assert torch.equal(plain.m5.code, m5.code)  # M5's own code and the proto-objects stay as they are
    assert torch.equal(plain.m4.embedding, m4.embedding)


def test_it_goes_where_proto_objects_go(cortex):
    """Chosen of a batch, without gradient, kept alone, and brought to another device."""
    images = torch.stack([picture(shape(0.5), 48) for shape in (cross, disc)])
    with torch.no_grad():
        percept = cortex(images)
        lean = cortex(images, store_intermediate=False)
    assert torch.equal(percept[1].m4.curves, percept.m4.curves[1:])
    assert torch.equal(percept.lean()[:1].m4.figure, percept.m4.figure[:1])
    assert torch.equal(lean.m4.curves, percept.m4.curves)
    assert to_device(lean, torch.device("meta")).m4.figure.is_meta
    theta = {name: value.requires_grad_() for name, value in cortex.table.default_theta(2).items()}
    drawn = cortex(images, theta)
    assert drawn.m4.curves.requires_grad
    assert not drawn.detach().m4.curves.requires_grad


def test_a_learned_m5_reads_it_too():
    m5 = Cortex(curvature=True, learned=("m5",)).eval()(picture(cross(0.5), 48)[None]).m5
    assert m5.shaped.shape[-1] == m5.code.shape[-1] + N_CURVES
    torch.testing.assert_close(m5.shaped.norm(dim=-1), torch.ones(m5.code.shape[:2]))


def test_v4_has_half_the_say_beside_the_code():
    code, curves = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 0.6, 0.8]])
    expected = torch.tensor([[1.0, 0, 0, 0.3, 0.4]]) / 1.25**0.5
    torch.testing.assert_close(join_curves(code, curves), expected)
    torch.testing.assert_close(join_curves(code, 0.2 * curves), expected)  # its direction alone
    torch.testing.assert_close(join_curves(code, 0 * curves)[:, :2], code)  # an object without contours


def test_gradients_are_finite_on_a_blank_too(cortex):
    theta = {name: value.clone().requires_grad_() for name, value in cortex.table.default_theta(2).items()}
    image = torch.stack([picture(cross(0.5), 48), torch.full((3, 48, 48), 0.5)])
    m4 = cortex(image, theta).m4
    (m4.figure[..., ::7].sum() + m4.curves[..., ::7].sum()).backward()
    grads = {name: value.grad for name, value in theta.items() if value.grad is not None}
    assert all(torch.isfinite(grad).all() for grad in grads.values())
    assert grads["wavelength_px"][0] != 0
