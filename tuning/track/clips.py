"""What is to be followed, from files: a film, photographs that are moved over, or photographs that are glanced at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from ciliary.cortex.dorsal.looking import look_around, mosaics_along
from ciliary.cortex.memory.glances import displayed
from ciliary.cortex.memory.objects import ProtoObjects, only_seen, proto_objects
from ciliary.cortex.model import Cortex
from ciliary.cortex.stages.retina import linear_to_srgb
from ciliary.envs.data.active.clips import Clip, FilmClip, PosedClip, StillClip
from ciliary.envs.data.active.motion import POSE, read_posed
from ciliary.envs.data.active.moving import CameraPath, move_over
from ciliary.envs.data.active.stacks import frame_paths, read_frames
from ciliary.envs.data.depth import COLOURS, DEPTH, read_depth
from ciliary.envs.data.reading import fit_size
from ciliary.tuning.sessions.inputs import Input
from ciliary.tuning.track.settings import TrackSettings


@dataclass(frozen=True, eq=False)
class Scene:
    """A clip to come.

    Attributes:
        name: of its files.
        label: what the user called it.
        load: reads it.
    """

    name: str
    label: str
    load: Callable[[], Clip]


@dataclass(frozen=True, eq=False)
class Watched:
    """A clip that has been perceived, frame by frame (batches of one)."""

    clip: Clip
    objects: tuple[ProtoObjects, ...]


def film(settings: TrackSettings) -> Scene:
    """The one film that the paths are."""
    first = Path(settings.images[0])
    name = first.resolve().name if first.is_dir() else first.resolve().parent.name
    return Scene(name, str(first), lambda: read_film(settings))


def read_film(settings: TrackSettings) -> Clip:
    """Frames of a folder, or files in the order given; with their true motion if they are posed and it is asked for.

    Raises:
        ValueError: fewer than two frames, several folders, frames of different sizes, or no focal length.
        UnreadableImage: a frame cannot be read.
    """
    given = [Path(path) for path in settings.images]
    folders = [path for path in given if path.is_dir()]
    if folders and len(given) > 1:
        raise ValueError(f"expected one folder of frames or several files, got {len(given)} paths with {folders[0]}")
    if folders and settings.is_exam and is_posed(folders[0]):
        entries = [one for one in read_depth(folders).entries if one.colour.parent.samefile(folders[0])]
        read = [read_posed(one, long_side_px=settings.size_px, focal_px=settings.focal_px) for one in entries]
        if len(read) < 2:
            raise ValueError(f"{folders[0]}: expected 2 frames or more, got {len(read)}; one is a photograph")
        return PosedClip(folders[0].resolve().name, tuple(read))
    paths = frame_paths(folders[0], at_least=2) if folders else given
    paths = [path for path in paths if not path.name.endswith(DEPTH)]
    if len(paths) < 2:
        raise ValueError(f"{given[0]}: expected 2 frames or more of one film, got {len(paths)}; one is a photograph")
    images = linear_to_srgb(read_frames(paths, settings.size_px)).clamp(0, 1)
    return FilmClip(film(settings).name, images, tuple(path.stem for path in paths))


def is_posed(folder: Path) -> bool:
    """Whether its frames have depth and the camera's pose beside them."""
    colours = [path for end in COLOURS for path in folder.glob(f"*{end}")]
    stems = [path.name.rsplit(".color.", 1)[0] for path in colours]
    return bool(stems) and all((folder / f"{stem}{end}").is_file() for stem in stems for end in (DEPTH, POSE))


def moved(item: Input, settings: TrackSettings, seed: int) -> Scene:
    """A photograph that a camera moves over; a frame has the sizes of the option, in the photograph's shape."""

    def load() -> Clip:
        image = item.load().image
        size = fit_size((image.shape[-2], image.shape[-1]), settings.size_px)
        return move_over(image, CameraPath(size_px=size), name=item.name, seed=settings.seed + seed)

    return Scene(item.name, item.label, load)


def glanced(item: Input, settings: TrackSettings) -> Scene:
    """A photograph after each glance at it."""

    def load() -> Clip:
        look = look_around(item.load().image, n_fixations=settings.n_fixations)
        mosaics = list(mosaics_along(look))
        images = torch.cat([displayed(mosaic) for mosaic in mosaics])
        return StillClip(item.name, images, torch.cat([mosaic.is_seen for mosaic in mosaics]))

    return Scene(item.name, item.label, load)


@torch.no_grad()
def watch(cortex: Cortex, clip: Clip, on_frame: Callable[[], None] = lambda: None) -> Watched:
    """Perceive every frame."""
    found = []
    for i, image in enumerate(clip.images):
        objects = proto_objects(cortex(image[None].to(cortex.device)))
        if isinstance(clip, StillClip):
            objects = only_seen(objects, clip.is_seen[i : i + 1].to(cortex.device))
        found.append(objects.to("cpu"))
        on_frame()
    return Watched(clip, tuple(found))
