"""What reads values to go on, on torch's fake tensors of a device that is not there: with their numbers beside them.

Sizes that hang on values are those of the numbers; where each answer lies is torch's to say; the numbers are the CPU's,
to the last bit. What needs no numbers is in ``test_fake_device.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from ciliary.cortex import Cortex, SegmenterPerceiver
from ciliary.cortex.cues.depth import OwnDepth
from ciliary.cortex.eye.mosaic import Mosaic
from ciliary.cortex.eye.pupil import draw_photons, seen_light
from ciliary.cortex.glance import GlancingPerceiver
from ciliary.cortex.integration.glances import perceive_glances
from ciliary.cortex.integration.looks import Looks, join_looks
from ciliary.cortex.integration.percept import integrate
from ciliary.cortex.integration.similarity import likeness, likeness_at
from ciliary.cortex.memory.assignment import assign
from ciliary.cortex.memory.files import empty_memory
from ciliary.cortex.memory.objects import objects_of, only_seen
from ciliary.cortex.memory.remember import remember
from ciliary.cortex.ops.agglomerate import agglomerate, agglomerate_tables, cut_at, region_tree
from ciliary.cortex.ops.basins import make_basins
from ciliary.cortex.ops.geodesic import relaxed
from ciliary.cortex.ops.pair_cost import contrast_cost, strength_cost
from ciliary.cortex.ops.region_graph import region_graph
from ciliary.cortex.ops.watershed import watershed
from ciliary.cortex.percept import final_labels
from ciliary.testing.stage import photograph
from ciliary_tests.fake_device import BACKWARD, devices_of, flat
from ciliary_tests.fake_numbers import numbered_device, numbers

pytestmark = pytest.mark.slow  # some seconds each

SIZE, TINY = (32, 48), (16, 24)


def basins(height: Tensor, fine: Tensor, coarse: Tensor) -> Any:
    """Watershed, means in the basins at two sizes, borders, both trees, cuts, and drawing."""
    label = watershed(height, min_depth=0.1)
    found = make_basins(label, fine)
    graph = region_graph(label, found.size.shape[1], height)
    b, n, c = found.mean.shape
    sample = torch.arange(b, device=height.device).repeat_interleave(n)
    one = torch.ones(b, device=height.device)
    cost = contrast_cost(exponent=one, contour_weight=one, unit_size=found.unit_px)
    mass = found.size.flatten()
    total = found.mean.reshape(b * n, c) * mass[:, None]
    cluster = agglomerate(total, mass, graph, linkage=cost, n_left=5, sample=sample)
    tree = region_tree(mass[:, None], mass, graph, linkage=strength_cost, sample=sample)
    drawn = found.render(found.mean), found.render(found.mean, is_coarse=True), found.winner(found.mean)
    return found, make_basins(label, coarse), graph, cluster, tree, cut_at(tree, 0.5), drawn


def tables(total: Tensor, size: Tensor, border: Tensor, strength: Tensor, step: Tensor, beside: Tensor) -> Any:
    """The two operators that are one to torch, taken apart."""
    one = torch.ones(len(total), device=total.device)
    length = torch.relu(border + border.mT - 1).triu(1)
    seeds = torch.eye(12, 4, device=total.device).bool().expand(len(total), -1, -1)
    with torch.no_grad():
        return agglomerate_tables(total, size, length, strength, one, one, 1.0, 4), relaxed(seeds, beside, step)


def drawn_labels(masks: Tensor) -> Any:
    return [final_labels(masks, size) for size in (None, (16, 24), (40, 30))]


def looks(segments: Tensor, strength: Tensor, masks: Tensor) -> Any:
    """Looks with boundaries, weights and reliabilities, put together in two ways, and told from each other."""
    plain = Looks(segments, strength, strength.new_ones(strength.shape[:2]))
    together = integrate(join_looks([plain, Looks.of_masks(torch.softmax(3 * masks, 2))]))
    alike = likeness(segments[:, 0], segments[:, 1]), likeness_at(segments[:, 0], segments[:, 2])
    drawn = together.masks, together.masks_coarse, together.labels((20, 30)), together[0]
    return together, drawn, integrate(plain, cut=0.4), alike


def remembered(masks: Tensor, code: Tensor, seen: Tensor, flow: Tensor, cost: Tensor) -> Any:
    """Two frames of things, found again by SciPy, with a flow between them; and a matching by itself."""
    frames = [objects_of(torch.softmax(6 * one, 1), other) for one, other in zip(masks, code, strict=True)]
    memory, first = remember(empty_memory(frames[0], n_slots=6), frames[0])
    memory, second = remember(memory, only_seen(frames[1], seen > 0.3), motion=flow)
    return first, memory, second, assign(cost, limit=0.6)


def segmented(image: Tensor) -> Any:
    """A function of an array; more segments than masks."""

    def columns(image: Any, *, n: float = 6.0) -> Any:
        return (image.mean(-1) * n).astype(int) * 8 + (image[..., 0] > image[..., 1])

    found = SegmenterPerceiver(columns, {"n": (2.0, 40.0, 6.0)}, max_masks=4)(image)
    return found, found.masks, found.masks_coarse, found.boundary, found.labels((20, 30))


def photons(light: Tensor, pupil_mm: Tensor) -> Any:
    noise = [torch.Generator().manual_seed(i) for i in range(2)]
    return draw_photons(50 * light, noise), seen_light(light, pupil_mm, area_deg2=0.01, generator=noise[0])


def own_depth(image: Tensor) -> Any:
    return OwnDepth(lambda image: image[:, :1, ::2, ::2])(image)


def perceived(**options: Any) -> Callable[..., Any]:
    """A whole percept, its labels, and what is drawn of it."""

    cortex = Cortex(**options)

    def case(image: Tensor) -> Any:
        found = cortex.to(image.device)(image, cortex.table.default_theta(len(image), image.device))
        drawn = (found.masks, found.masks_coarse, found.m1.regions, found.m1.orientation, found.m3.slots)
        return found.m1, found.m2, found.m3, found.m4, found.m5 or (), drawn, found.labels(), found.labels((50, 40))

    return case


def glimpsed() -> Callable[..., Any]:
    """Glances of other light and size, and of a mosaic that grows."""
    cortex = Cortex(inherited="contours")

    def case(image: Tensor, seen: Tensor) -> Any:
        there = image.device
        perceiver = GlancingPerceiver([cortex.to(there)])
        theta = perceiver.table.default_theta(2, there)
        theta["glance_scale"] = torch.tensor([1.0, 1.3], device=there)
        theta["glance_gamma"] = torch.full((2,), 0.7, device=there)
        n = torch.ones(2, dtype=torch.int64, device=there)
        mosaics = [Mosaic(image, torch.where(seen < share, 0.1, torch.inf), n, n, 8.0) for share in (0.5, 2.0)]
        return Looks.of(perceiver(image, theta)).flat(), perceive_glances(cortex, mosaics)

    return case


def rand(*shapes: tuple[int, ...]) -> list[Tensor]:
    return [torch.rand(shape) for shape in shapes]


def photographs() -> list[Tensor]:
    return [torch.cat([photograph(size=SIZE), photograph("coffee", size=SIZE)])]


def blocks() -> list[Tensor]:
    return [torch.randint(6, (2, 3, 4, 6)).repeat_interleave(4, -2).repeat_interleave(4, -1)]


#: What is given, what it is done by, made anew for each device, and what of it works on the host and says so: SciPy's
#: matching, a user's function of an array, photons drawn by a seed, and the marks of images that were looked at.
CASES: dict[str, tuple[Callable[[], list[Tensor]], Callable[[], Callable[..., Any]], list[str]]] = {
    "basins": (lambda: rand((2, *TINY), (2, 4, *TINY), (2, 4, 8, 12)), lambda: basins, []),
    "tables": (
        lambda: [*rand((2, 12, 3), (2, 12), *[(2, 12, 12)] * 2, (2, 12, 3)), torch.randint(12, (2, 12, 3))],
        lambda: tables,
        [],
    ),
    "labels": (lambda: rand((2, 7, *TINY)), lambda: drawn_labels, []),
    "looks": (lambda: [*blocks(), *rand((2, 3, *TINY), (2, 2, 4, *TINY))], lambda: looks, []),
    "memory": (
        lambda: rand((2, 2, 5, *TINY), (2, 2, 5, 8), (2, 1, *TINY), (2, 2, 8, 12), (2, 3, 4)),
        lambda: remembered,
        ["cortex/memory/assignment.py"],
    ),
    "segmenter": (photographs, lambda: segmented, ["cortex/segmenters/", "cortex/table.py"]),
    "photons": (lambda: rand((2, 3, 8, 12), (2,)), lambda: photons, ["cortex/eye/pupil.py"]),
    "own depth": (photographs, lambda: own_depth, []),
    "mathematical": (photographs, lambda: perceived(recognise=True, depth="pictorial"), []),
    "contours": (photographs, lambda: perceived(inherited="contours"), []),
    "all": (
        photographs,
        lambda: perceived(inherited="all", depth="learned", deep="efficientnet_lite0"),
        [],
    ),
    "glances": (lambda: [*photographs(), *rand((2, 1, *SIZE))], glimpsed, ["cortex/glance.py"]),
}
LONG = {"mathematical", "contours", "all", "glances"}
LONG_BACKWARD = {*LONG, "basins", "tables", "looks"}
NAMES = [
    pytest.param(name, device, marks=[pytest.mark.slow] if name in long else [])
    for device, long in (("cuda", LONG), (BACKWARD, LONG_BACKWARD))
    for name in CASES
]


def outcome(case: Callable[..., Any], given: list[Tensor], device: str, *, with_gradient: bool) -> list[list[Tensor]]:
    """All tensors of the answer, and the gradients of their sum in what was given."""
    there = [x.to(device).requires_grad_(x.is_floating_point()) for x in given]
    found = flat(case(*there))
    ends = [x.nan_to_num(posinf=0.0).sum() for x in found if x.requires_grad]
    if not (with_gradient and ends):
        return [found, []]
    leaves = [x for x in there if x.requires_grad]
    slopes = torch.autograd.grad(torch.stack(ends).sum(), leaves, allow_unused=True)
    return [found, [x for x in slopes if x is not None]]


@pytest.mark.parametrize(("name", "device"), NAMES)
def test_all_of_it_lies_there_and_is_the_same(name, device):
    give, make, host = CASES[name]
    given, with_gradient = give(), device == BACKWARD
    here = outcome(make(), given, "cpu", with_gradient=with_gradient)
    case = make()
    with numbered_device(device, host=host) as watch:
        there = outcome(case, given, device, with_gradient=with_gradient)
        assert devices_of(there) == {watch.device}
    assert [len(part) for part in there] == [len(part) for part in here]
    for one, other in zip(flat(there), flat(here), strict=True):
        torch.testing.assert_close(numbers(one), other.detach(), rtol=0, atol=0, equal_nan=True)


# --- the watch itself


def test_sizes_are_those_of_the_numbers():
    with numbered_device() as watch:
        there = torch.tensor([0.0, 2.0, 3.0], device="cuda")
        at = there.nonzero()
        assert (tuple(at.shape), at.device.type) == ((2, 1), "cuda")
        assert float(there[at[:, 0]].sum()) == 5.0
        assert there[there > 2].tolist() == [3.0]
        assert there.cpu().numpy().tolist() == [0.0, 2.0, 3.0]
        assert sum(watch.reads.values()) == 3  # two sizes and a number
        with pytest.raises(TypeError, match="cpu"):
            there.numpy()


def test_two_devices_do_not_meet():
    here = torch.ones(3)
    with numbered_device(), pytest.raises(RuntimeError, match="two devices"):
        _ = torch.ones(3, device="cuda") + here


def test_what_lies_on_the_host_is_named():
    told = r"made on another device than cuda: .*aten\.neg\.default"
    with pytest.raises(AssertionError, match=told), numbered_device():
        _ = -torch.ones(3, device="cuda").cpu()


def test_an_operator_of_our_own_is_taken_apart():
    with numbered_device() as watch:
        seeds, step = torch.eye(2, device="cuda").bool()[None], torch.ones(1, 2, 1, device="cuda")
        relaxed(seeds, step.long(), step)
    assert watch.there["aten.amin.default"] > 0
    assert not any("ciliary" in name for name in watch.there)
