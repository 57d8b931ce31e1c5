"""The whole of the cortex, the eye and what looks for them under torch's fake tensors, on a device that is not there.

Forward on ``cuda``; forward and backward on a device whose backward pass runs without it. Here tensors have no numbers;
what reads values to go on has them beside it: ``test_fake_numbers.py`` (basins and their trees, labels, integration,
assignment, segmenters, photons, whole percepts), ``test_fake_contracts.py`` (the exam of every stage), and those of
``tests/envs`` (whole episodes).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ciliary.cortex import PARAMETERS, Cortex, Cues
from ciliary.cortex.dorsal.conspicuity import conspicuity
from ciliary.cortex.dorsal.expectation import ExpectationNet, expected_priority
from ciliary.cortex.dorsal.gain import expected_gain
from ciliary.cortex.dorsal.itti_koch import itti_koch
from ciliary.cortex.dorsal.mixture import attraction, read_mixture
from ciliary.cortex.dorsal.motion import residual_motion
from ciliary.cortex.dorsal.priority import Dorsal, centre_prior
from ciliary.cortex.dorsal.scan import scan_path
from ciliary.cortex.eye.carrying import carried
from ciliary.cortex.eye.contrast import window_contrast
from ciliary.cortex.eye.fovea import take_glance
from ciliary.cortex.eye.lattice import FoveatedLattice
from ciliary.cortex.eye.layers import split_layers
from ciliary.cortex.eye.mosaic import add_glance, blank_mosaic
from ciliary.cortex.eye.optics import retinal_image
from ciliary.cortex.eye.pupil import expected_photons, steady_pupil_mm, trolands
from ciliary.cortex.eye.receptor import RECEPTORS, tell
from ciliary.cortex.eye.rods import dim_light
from ciliary.cortex.memory.kalman import begun, corrected, predicted
from ciliary.cortex.memory.warp import mean_flow, shifted, splatted
from ciliary.cortex.motion.flow import read_flow
from ciliary.cortex.motion.mt import pattern_cells
from ciliary.cortex.motion.perceive import motion_step
from ciliary.cortex.ops.basins import Basins
from ciliary.cortex.percept import M3Out
from ciliary.cortex.stages.retina import retina
from ciliary.cortex.v4.bank import respond_at_scales
from ciliary.cortex.v4.code import figure_curves, object_curves
from ciliary.testing.stage import arguments, with_cues
from ciliary_tests.fake_device import BACKWARD, devices_of, fake_device, flat
from ciliary_tests.learned import write_untrained

SIZE = (32, 48)
PX_PER_DEG = 8.0
Answer = tuple[Any, list[Tensor]]


def image_on(device: str, n: int = 2) -> Tensor:
    return torch.rand(n, 3, *SIZE, device=device)


def theta_on(cortex: Cortex, device: str) -> dict[str, Tensor]:
    return {k: v.requires_grad_() for k, v in cortex.table.default_theta(2, torch.device(device)).items()}


def leaf(*shape: int, device: str) -> Tensor:
    return torch.rand(*shape, device=device).requires_grad_()


def perceived(**options: Any) -> Callable[[str], Answer]:
    """A whole percept and what is drawn of it."""
    cortex = Cortex(**options)

    def case(device: str) -> Answer:
        theta = theta_on(cortex, device)
        percept = cortex.to(device)(image_on(device), theta)
        drawn = (percept.masks, percept.masks_coarse, percept.m1.regions, percept.m1.orientation, percept.m3.texture)
        return (percept, drawn, percept.m3.slots, percept.m3.distance), list(theta.values())

    return case


def stage(name: str, **options: Any) -> Callable[[str], Answer]:
    """One stage, given what the mathematical cortex has before it, a depth map, a backbone's and deep maps."""
    cortex, plain, shapes = Cortex(**options), Cortex(), with_cues(torch.zeros(2, 3, *SIZE))

    def case(device: str) -> Answer:
        image = image_on(device)
        theta = theta_on(cortex, device)
        made = cues_on(shapes, image)
        return getattr(cortex.to(device), name)(*arguments(plain, name, image, theta, made)), list(theta.values())

    return case


def cues_on(shapes: Cues, image: Tensor) -> Cues:
    """As those of the contract, and a mosaic's spacing."""
    given = [torch.rand(x.shape, device=image.device) for x in (shapes.depth, shapes.backbone, shapes.deep)]
    return Cues(*given, spacing_px=torch.rand(len(image), 1, *SIZE, device=image.device))


def objects_of_basins() -> Callable[[str], Answer]:
    """M4 on basins of a given number, as BasinM3 hands them on."""
    cortex, n, s, c = Cortex(inherited="contours"), 40, 32, 42

    def case(device: str) -> Answer:
        theta = theta_on(cortex, device)
        label = torch.zeros(2, *SIZE, dtype=torch.int64, device=device)
        basins = Basins(label, *(leaf(*x, device=device) for x in ((2, n, 8), (2, n), (2, n, 2))))
        fields = ((2, 18, 8, 12), (2, n, c), (2, n, s), (2, n, s), (2, s, c), (2, s), (2, s, s), (2, s, s))
        texture, *rest = (leaf(*x, device=device) for x in fields)
        m4 = cortex.to(device).m4(M3Out(texture, basins, *rest), theta)
        return (m4, m4.masks, m4.masks_coarse), [*theta.values(), *rest]

    return case


def dimmed(image: Tensor) -> Tensor:
    """A user's own network."""
    return image[:, :1] / 2


def cue(**options: Any) -> Callable[[str], Answer]:
    """What depends on the image alone."""
    cortex = Cortex(**options)
    return lambda device: ([cortex.to(device).cues(image_on(device))], [])


def optics(device: str) -> Answer:
    light, focus, pupil = leaf(2, 3, *SIZE, device=device), leaf(2, device=device), leaf(2, device=device)
    layers = split_layers(light, torch.rand(2, 1, *SIZE, device=device), n_layers=3)
    return retinal_image(layers, focus_dpt=focus, pupil_mm=pupil, px_per_deg=PX_PER_DEG), [light, focus, pupil]


def one_plane_each(device: str) -> Answer:
    light, level = leaf(2, 3, *SIZE, device=device), torch.rand(2, 3, device=device)
    layers = split_layers(light, torch.rand(2, 1, *SIZE, device=device), level_dpt=level)
    still = torch.rand(2, device=device)
    seen = retinal_image(layers, focus_dpt=still, pupil_mm=still, px_per_deg=PX_PER_DEG, wraps=True)
    return seen, [light]


def receptors(device: str) -> Answer:
    light, unit = leaf(2, 3, 32, 32, device=device), leaf(2, device=device)
    told = [tell(light, unit, unit, receptor, is_noisy=True) for receptor in RECEPTORS.values()]
    return (told, window_contrast(light, torch.rand(2, 2, device=device), unit)), [light, unit]


def pupil(device: str) -> Answer:
    luminance, width = leaf(2, device=device), leaf(2, device=device)
    photons = expected_photons(luminance, width, area_deg2=0.1)
    return (steady_pupil_mm(luminance, 100.0), trolands(luminance, width), photons), [luminance, width]


def rods(device: str) -> Answer:
    light = leaf(2, 3, *SIZE, device=device)
    return dim_light(light, torch.rand(2, device=device), px_per_deg=PX_PER_DEG), [light]


def glances() -> Callable[[str], Answer]:
    """Glances with an eye of small lattice."""
    net, lattice, prior = ExpectationNet(), FoveatedLattice(12, 24, foveal_spacing_deg=0.15), centre_prior((9, 16))
    _ = lattice.position_deg, lattice.spacing_deg  # a lattice's own, made once where it is made
    return lambda device: seen_by_glances(device, net, lattice, prior)


def seen_by_glances(device: str, net: ExpectationNet, lattice: FoveatedLattice, prior: Tensor) -> Answer:
    """Fovea, lattice, mosaic, carrying, what is to be expected of it, where to look next, and the percept."""
    image = leaf(2, 3, *SIZE, device=device)
    mosaic = blank_mosaic(2, SIZE, PX_PER_DEG, device=device)
    for gaze in torch.rand(2, 2, 2, device=device):
        mosaic = add_glance(mosaic, take_glance(image, lattice, gaze, PX_PER_DEG))
    mosaic = carried(mosaic, *(torch.rand(2, n, *SIZE, device=device) for n in (2, 1)))
    density = expected_priority(mosaic, lattice, net=net.to(device), prior=prior.to(device))
    field = (SIZE[0] / PX_PER_DEG, SIZE[1] / PX_PER_DEG)
    gain = expected_gain(density, torch.rand_like(density), lattice, field_deg=field)
    return (mosaic, mosaic.acuity, density, gain), [image]


def looked_for(device: str) -> Answer:
    image = leaf(2, 3, *SIZE, device=device)
    seen = retina(image, PARAMETERS.default_theta(2, torch.device(device)))
    maps = conspicuity(seen.opponent, px_per_deg=PX_PER_DEG)
    priority = Dorsal(px_per_deg=PX_PER_DEG)(seen)
    path, at = scan_path(priority, n_fixations=2, cells_per_deg=2.0)
    pull = attraction(read_mixture(), maps, cells_per_deg=2.0)
    return (list(maps), priority, path, at, pull, itti_koch(image)), [image]


def moving(device: str) -> Answer:
    """Parvo and magno, motion energy, MT, flow, and what moves otherwise than the whole."""
    frames, state = [leaf(2, 3, 48, 64, device=device) for _ in range(2)], None
    for frame in frames:
        out, state = motion_step(retina(frame, PARAMETERS.default_theta(2, torch.device(device))), state)
    component = out.component
    return (out, pattern_cells(component), read_flow(component), residual_motion(out.flow)), frames


def remembered(device: str) -> Answer:
    """Places by Kalman's filter, and masks that move; which is which is on the host."""
    place, mask = leaf(2, 5, 2, device=device), leaf(2, 5, 16, 24, device=device)
    noise = torch.rand(2, 5, device=device)
    track = corrected(predicted(begun(place, noise, velocity_sd_px=1.0), acceleration_sd_px=1.0), place, noise)
    flow = torch.rand(2, 2, 16, 24, device=device)
    by = torch.rand(2, 5, 2, device=device)
    return (track, shifted(mask, by), splatted(mask, flow), mean_flow(mask, flow)), [place, mask]


def curves(device: str) -> Answer:
    """V4's codes of an oriented contour."""
    oriented, masks = leaf(2, 6, 17, 24, device=device), leaf(2, 5, 16, 24, device=device)
    answers = respond_at_scales(oriented)
    return (object_curves(answers, masks), figure_curves(answers, oriented[:, :1])), [oriented, masks]


CASES = {
    "percept": lambda: perceived(),
    "V4": lambda: curves,
    "percept that recognises": lambda: perceived(recognise=True, depth="pictorial"),
    **{name: (lambda name=name: stage(name, recognise=True)) for name in ("retina", "m1", "m2", "m3", "m4", "m5")},
    "m2 lifted": lambda: stage("m2", m2="ciliary.cortex.stages.m2_lifted:LiftedM2"),
    "m1 of contours": lambda: stage("m1", inherited="contours"),
    "m1 that grew": lambda: stage("m1", m1="ciliary.cortex.stages.m1_grown:grown"),
    "m2 of contours": lambda: stage("m2", inherited="contours"),
    "m4 of contours": objects_of_basins,
    "cues": lambda: cue(depth="pictorial"),
    "cues of networks": lambda: cue(depth="learned", features="efficientnet_lite0", deep="efficientnet_lite0"),
    "cues of a user": lambda: cue(depth=f"{__name__}:dimmed", contours=dimmed),
    "optics": lambda: optics,
    "optics of planes": lambda: one_plane_each,
    "receptors": lambda: receptors,
    "pupil": lambda: pupil,
    "rods": lambda: rods,
    "glances": glances,
    "dorsal": lambda: looked_for,
    "motion": lambda: moving,
    "memory": lambda: remembered,
}


def check(case: Callable[[str], Answer], device: str, *, with_gradient: bool) -> None:
    with fake_device(device) as watch:
        answer, leaves = case(device)
        assert devices_of(answer) == {watch.device}
        ends = [x.sum() for x in flat(answer) if x.requires_grad]
        if with_gradient and leaves:
            found = torch.autograd.grad(torch.stack(ends).sum(), leaves, allow_unused=True)
            assert devices_of([x for x in found if x is not None]) == {watch.device}


#: Trees of merges, some ten thousand operators, and networks: what takes seconds.
LONG = {"percept", "percept that recognises", "m3", "m4", "m5", "m4 of contours", "cues of networks"}
NAMES = [pytest.param(name, marks=[pytest.mark.slow] if name in LONG else []) for name in CASES]


@pytest.mark.parametrize("name", NAMES)
def test_all_of_it_lies_on_cuda(name):
    check(CASES[name](), "cuda", with_gradient=torch.cuda.is_available())


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_and_so_do_its_gradients(name):
    check(CASES[name](), BACKWARD, with_gradient=True)


@pytest.mark.parametrize("name", ["m2", *(pytest.param(name, marks=pytest.mark.slow) for name in ("m3", "m5"))])
def test_learned_stages(name, tmp_path):
    weights = write_untrained(tmp_path / "weights.safetensors")
    check(stage(name, learned=True, weights=weights), BACKWARD, with_gradient=True)


@pytest.mark.parametrize("device", ["cuda", BACKWARD])
def test_depth_of_a_hub(device, monkeypatch):
    """Whatever network the hub has, what is done before and after it."""
    monkeypatch.setattr("ciliary.cortex.cues.midas.load_midas", lambda settings: nn.Conv2d(3, 1, 3, 2, 1))
    check(cue(depth="midas"), device, with_gradient=False)
