"""See, and know again: each proto-object of a frame is looked for among the object files, where it should be by now."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ciliary.cortex.memory.assignment import NONE, assign
from ciliary.cortex.memory.files import ObjectMemory, Recognised
from ciliary.cortex.memory.kalman import begun, chosen, corrected, predicted
from ciliary.cortex.memory.objects import ProtoObjects
from ciliary.cortex.memory.settings import MemorySettings
from ciliary.cortex.memory.warp import flow_at, mean_flow, shifted, splatted

CELL_PX = 2  # of the masks


def remember(
    memory: ObjectMemory,
    objects: ProtoObjects,
    *,
    motion: Tensor | None = None,
    settings: MemorySettings | None = None,
) -> tuple[ObjectMemory, Recognised]:
    """See the next frame: expect each thing where it should be by now, find it again, and open a file for what is new.

    Args:
        memory: of the frames before; the first time :func:`empty_memory`.
        objects: of this frame, of the same scenes and size.
        motion: (B, 2, h, w) flow from the last frame to this, at the places of the last, y and x in pixels of the
            picture, at any resolution. Zeros for a scene that stands still, such as the mosaic of one. None: things
            go on as they went.
        settings: the defaults when None.

    Returns:
        The memory, and which file each proto-object is. Differentiable in the objects' places, codes and masks but for
        the assignment itself.

    Raises:
        ValueError: other scenes, another size, another kind of code, or a flow of another shape.
    """
    how = settings or MemorySettings()
    _check(memory, objects, motion)
    expected = expect(memory, motion=motion, settings=how)
    cost = compare(expected, objects, settings=how)
    old = assign(cost, limit=how.limit)
    slot = _born(expected, objects, old)
    memory = _written(expected, objects, slot, old, how)
    identity = torch.where(slot == NONE, slot, memory.identity.gather(1, slot.clamp_min(0)))
    return memory, Recognised(slot, identity, (slot != NONE) & (old == NONE), cost)


def expect(memory: ObjectMemory, *, motion: Tensor | None, settings: MemorySettings) -> ObjectMemory:
    """The memory one frame later, before anything is seen: places and masks moved along."""
    size = (memory.mask.shape[-2], memory.mask.shape[-1])
    if motion is not None:
        flow = flow_at(motion.to(memory.mask), size, CELL_PX)
        drift = CELL_PX * mean_flow(memory.mask, flow)
        mask = splatted(memory.mask, flow)
    else:
        drift = memory.velocity_px if settings.moves else torch.zeros_like(memory.velocity_px)
        mask = shifted(memory.mask, drift / CELL_PX) if settings.moves else memory.mask
    own = motion is None and settings.moves
    track = predicted(memory.track, acceleration_sd_px=settings.acceleration_sd_px, drift_px=None if own else drift)
    return replace(memory, track=track, mask=mask)


def compare(expected: ObjectMemory, objects: ProtoObjects, *, settings: MemorySettings) -> Tensor:
    """(B, N, M) how unlike each proto-object is to each file, in [0, 1]; inf where either is empty.

    A weighed mean of the overlap of masks, the distance of centres in units of what is uncertain about them, that of
    codes and that of log extents, each of the three squared as ``d² / (1 + d²)``: beyond a point, unlike is unlike
    (Geman & McClure 1985), so that one wild measurement does not outvote the others.
    """
    terms: list[tuple[float, Tensor]] = []
    if settings.overlap_weight:
        terms.append((settings.overlap_weight, 1 - overlap(objects.mask, expected.mask)))
    if settings.place_weight:
        noise = (settings.noise_share * objects.extent_px).square()[:, :, None]
        variance = expected.track.covariance[..., 0][:, None] + noise
        gap = (objects.place_px[:, :, None] - expected.place_px[:, None]).square().sum(-1)
        terms.append((settings.place_weight, _bounded(gap / variance.clamp_min(1e-6))))
    if settings.code_weight:
        apart = (objects.code[:, :, None] - expected.code[:, None]).square().sum(-1)
        terms.append((settings.code_weight, _bounded(apart / settings.code_spread**2)))
    if settings.size_weight:
        log_a, log_b = (torch.log(x.clamp_min(1.0)) for x in (objects.extent_px, expected.extent_px))
        apart = (log_a[:, :, None] - log_b[:, None]).square()
        terms.append((settings.size_weight, _bounded(apart / settings.size_spread**2)))
    cost = torch.stack([weight * value for weight, value in terms]).sum(0) / sum(weight for weight, _ in terms)
    is_pair = objects.is_there[:, :, None] & expected.is_alive[:, None]
    return torch.where(is_pair, cost, torch.inf)


def _bounded(squared: Tensor) -> Tensor:
    return squared / (1 + squared)


def overlap(one: Tensor, other: Tensor) -> Tensor:
    """(B, N, M) in [0, 1] of soft masks (B, N, h, w) and (B, M, h, w): intersection over union, of products.

    ``ab / (aa + bb - ab)`` (Tanimoto 1958): that of sets where masks are 0 or 1.
    """
    a, b = one.flatten(2), other.flatten(2)
    shared: Tensor = a @ b.mT
    return shared / (a.square().sum(2)[:, :, None] + b.square().sum(2)[:, None] - shared).clamp_min(1e-6)


def _born(expected: ObjectMemory, objects: ProtoObjects, slot: Tensor) -> Tensor:
    """The slots with one for each proto-object that found none: an empty one, else that longest unseen."""
    n_slots = expected.identity.shape[1]
    is_held = torch.zeros(len(slot), n_slots + 1, dtype=torch.bool, device=slot.device)
    is_held = is_held.scatter(1, torch.where(slot == NONE, n_slots, slot), True)[:, :n_slots]
    # Empty ones come first, then by how long they were not seen; what was found again is never taken.
    wait = torch.where(expected.is_alive, -expected.unseen - 1, -(2**40))
    order = torch.where(is_held, 1, wait).argsort(dim=1, stable=True)
    n_free = (~is_held).sum(1, keepdim=True)
    is_born = objects.is_there & (slot == NONE)
    # Large ones first: where slots are few, it is the crumbs that have none.
    size = torch.where(is_born, objects.extent_px, -1.0)
    rank = size.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    has_room = is_born & (rank < n_free)
    return torch.where(has_room, order.gather(1, rank.clamp(max=n_slots - 1)), slot)


def _written(
    expected: ObjectMemory, objects: ProtoObjects, slot: Tensor, old: Tensor, how: MemorySettings
) -> ObjectMemory:
    """What was seen written into its files; the others wait, or are closed."""
    b, n_slots = expected.identity.shape
    is_old, is_new = (slot != NONE) & (old != NONE), (slot != NONE) & (old == NONE)
    rows = torch.arange(slot.shape[1], device=slot.device).expand_as(slot)

    def by_slot(which: Tensor) -> tuple[Tensor, Tensor]:
        """Of each slot: whether it holds one of these proto-objects, and which."""
        index = torch.where(which, slot, n_slots)
        source = torch.full((b, n_slots + 1), NONE, dtype=torch.int64, device=slot.device)
        source = source.scatter(1, index, rows)[:, :n_slots]
        return source != NONE, source.clamp_min(0)

    is_seen, source = by_slot(is_old | is_new)
    is_fresh, _ = by_slot(is_new)

    def seen(values: Tensor) -> Tensor:
        index = source.reshape(b, n_slots, *[1] * (values.ndim - 2)).expand(-1, -1, *values.shape[2:])
        return values.gather(1, index)

    def blended(before: Tensor, values: Tensor, rate: float) -> Tensor:
        shape = (b, n_slots, *[1] * (before.ndim - 2))
        now = seen(values)
        kept = torch.where(is_seen.view(shape), torch.lerp(before, now, rate), before)
        return torch.where(is_fresh.view(shape), now, kept)

    place, extent = seen(objects.place_px), seen(objects.extent_px)
    noise = how.noise_share * extent
    track = chosen(is_seen, corrected(expected.track, place, noise.clamp_min(1e-3)), expected.track)
    track = chosen(is_fresh, begun(place, noise, velocity_sd_px=how.velocity_sd_px), track)
    unseen = torch.where(is_seen, 0, expected.unseen + 1)
    is_alive = (expected.is_alive & (unseen < how.n_lost + 1)) | is_fresh
    number = expected.n_born[:, None] + is_fresh.cumsum(1) - 1
    identity = torch.where(is_fresh, number, torch.where(is_alive, expected.identity, NONE))
    doubt = 1 - expected.confidence
    confidence = torch.where(is_seen, 1 - how.decay * doubt, how.decay * expected.confidence)
    confidence = torch.where(is_fresh, 1 - how.decay, confidence)
    return ObjectMemory(
        track,
        blended(expected.extent_px, objects.extent_px, how.code_rate),
        blended(expected.code, objects.code, how.code_rate),
        blended(expected.mask, objects.mask, 1.0) * is_alive[..., None, None],
        identity,
        torch.where(is_fresh, 0, expected.age + 1),
        unseen,
        confidence * is_alive,
        expected.n_born + is_fresh.sum(1),
        expected.n_frames + 1,
    )


def _check(memory: ObjectMemory, objects: ProtoObjects, motion: Tensor | None) -> None:
    if len(objects.code) != len(memory.code) or objects.code.shape[-1] != memory.code.shape[-1]:
        raise ValueError(
            f"expected codes (B, N, d) = ({len(memory.code)}, N, {memory.code.shape[-1]}) of the memory's scenes, got "
            f"{tuple(objects.code.shape)}"
        )
    if objects.mask.shape[-2:] != memory.mask.shape[-2:]:
        raise ValueError(
            f"expected frames of one size, masks of {tuple(memory.mask.shape[-2:])}, got "
            f"{tuple(objects.mask.shape[-2:])}; a memory is of one size of picture"
        )
    if motion is not None and (motion.ndim != 4 or motion.shape[:2] != (len(memory.code), 2)):
        raise ValueError(f"expected motion ({len(memory.code)}, 2, h, w), y and x, got {tuple(motion.shape)}")
