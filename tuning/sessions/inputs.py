"""Which images a session is shown. They are read one by one, when their turn comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ciliary.envs.data.finding import BUNDLED, bundled_files, expand_paths
from ciliary.envs.data.images import as_photograph
from ciliary.envs.data.opening import is_signed
from ciliary.envs.data.sources import Photograph, bundled, read_image
from ciliary.tuning.runs.files import is_own, plan_stems
from ciliary.tuning.runs.fingerprints import digest
from ciliary.tuning.runs.record import FILE, printable

N = TypeVar("N", bound=Any)  # a dataclass with a name

_MOST_TOLD = 4  # images that got another name
SHOWCASE = ("chelsea", "coffee", "rocket")
SHOWCASE_DISTURBANCES = ("low_light:3", "gaussian_noise:3")


@dataclass(frozen=True)
class Input:
    """One image to come.

    Attributes:
        name: short name, unique within the session; names files, runs and studies.
        label: what the user called it, for messages.
        load: reads it; may raise ``UnreadableImage``.
    """

    name: str
    label: str
    load: Callable[[], Photograph]


def collect(paths: Sequence[Any], long_side_px: int) -> tuple[list[Input], list[str], list[str]]:
    """Files, folders, names of bundled photographs and images in memory to inputs.

    Also a line for each path which gave none, and notes about what was passed over.

    A name is the file's stem; a repeated one gets ``_2``, ``_3``, ... What Ciliary itself has written into a folder
    (figures, maps, artifacts) is no photograph and is passed over, unless it is named as a file.
    """
    held = [image for image in paths if not isinstance(image, (str, Path))]
    paths = [path for path in paths if isinstance(path, (str, Path))]
    files, problems = expand_paths(paths)
    named = {Path(path).resolve() for path in paths}
    ours = {str(path) for path in paths if str(path) in BUNDLED and not Path(path).exists()}
    labels = {path: name for name, path in bundled_files().items() if name in ours} if ours else {}
    own = [path for path in files if path.resolve() not in named and is_output(path)]
    files = [path for path in files if path not in set(own)]
    notes = (
        [f"{len(own)} files that Ciliary wrote itself were passed over, such as {printable(str(own[0]))}"]
        if own
        else []
    )
    called = [printable(str(getattr(image, "name", None) or f"image_{i}")) for i, image in enumerate(held)]
    stems = plan_stems([*(printable(path.stem) for path in files), *called], ["none"])
    names = [row["none"] for row in stems]
    inputs = [
        Input(name, labels.get(path, printable(str(path))), partial(_read, path, name, long_side_px))
        for name, path in zip(names, files, strict=False)
    ]
    renamed = [
        f"{item.label} as {item.name}"
        for item, path in zip(inputs, files, strict=True)
        if item.name != printable(path.stem)
    ]
    if renamed:
        more = f", and {len(renamed) - _MOST_TOLD} more" if len(renamed) > _MOST_TOLD else ""
        notes.append(f"several images have one name; kept {', '.join(renamed[:_MOST_TOLD])}{more}")
    for name, image in zip(names[len(files) :], held, strict=True):
        inputs.append(Input(name, name, partial(as_photograph, image, name, long_side_px)))
    return inputs, [printable(str(problem)) for problem in problems], notes


def mark_of(photograph: Photograph) -> str:
    """Twelve hex digits of its pixels."""
    return digest(np.ascontiguousarray(photograph.image).tobytes())


def set_apart(items: Sequence[N], *places: tuple[Path, Sequence[str]], say: Callable[[str], object]) -> list[N]:
    """Inputs under names by which no folder holds anything of anybody else's: the photographs, or what lies beside.

    Args:
        items: dataclasses with a ``name``.
        places: folders that files of these names go to, each with the ends of these files' names.
        say: is told which got another name, and why.
    """
    before: list[str] = []
    names = [item.name for item in items]
    while names != before:  # a name that is free in one folder may be taken in another
        before = names
        for folder, ends in places:
            names = [row["none"] for row in plan_stems(names, ["none"], folder, ends)]
    for item, name in zip(items, names, strict=True):
        if name != item.name:
            where = ", ".join(dict.fromkeys(str(folder) for folder, _ in places))
            say(f"{item.name}: files of this name in {where} are not ours: saved as {name} instead")
    return [replace(item, name=name) for item, name in zip(items, names, strict=True)]


def _read(path: Path, name: str, long_side_px: int) -> Photograph:
    return replace(read_image(path, long_side_px), name=name)


def is_output(path: Path) -> bool:
    """Whether an image is one that Ciliary wrote: a map (``--save``), a figure of a session, an artifact of a run."""
    if is_signed(path):
        return True
    if path.name.endswith((".labels.png", ".boundary.png", ".regions.png", ".uncertainty.png")):
        page = path.with_name(f"{path.name.rsplit('.', 2)[0]}.json")
        return is_own(page)  # of version 0.1, which signed no map
    if (path.parent.parent / FILE).is_file():  # figures/ and stages/ of a session
        return True
    return any(folder.name == "artifacts" and (folder.parent / "mlflow.db").is_file() for folder in path.parents)


def showcase(long_side_px: int) -> list[Input]:
    """The handful of bundled photographs that is shown when no image is given."""
    source = bundled(long_side_px, SHOWCASE)
    return [Input(name, name, partial(source.find, name)) for name in source.names]
