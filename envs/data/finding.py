"""Which files there are under the paths that a user names: nothing is read, and no torch is imported."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable
from pathlib import Path

from ciliary.cortex.installing import pip_install
from ciliary.envs.data.opening import UnreadableImage

EXTENSIONS = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".gif", ".webp", ".tif", ".tiff", ".bmp", ".dib",
    ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".jp2", ".j2k", ".avif", ".qoi",
    ".pfm", ".jpx", ".jpf", ".jpc", ".j2c", ".pcx", ".sgi", ".ico",
})  # fmt: skip

#: Pictures too, of kinds that cannot be read here: not searched for, but not passed over in silence either.
OTHER_KINDS = frozenset({
    ".heic", ".heif", ".hif", ".jxl", ".psd", ".xcf", ".svg", ".eps", ".exr", ".hdr", ".dcm", ".fits", ".dng", ".cr2",
    ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2",
})  # fmt: skip

# Natural photographs that lie inside scikit-image's wheel (0.24 to 0.26), so that nothing is downloaded.
BUNDLED: dict[str, str] = {
    "astronaut": "astronaut.png",
    "chelsea": "chelsea.png",
    "coffee": "coffee.png",
    "rocket": "rocket.jpg",
    "motorcycle": "motorcycle_left.png",
    "camera": "camera.png",
    "coins": "coins.png",
    "hubble": "hubble_deep_field.jpg",
}


def bundled_files() -> dict[str, Path]:
    """Files of the bundled photographs that are on this machine, by name."""
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise UnreadableImage("skimage/data", f"scikit-image is not installed; {pip_install('scikit-image')}")
    data = Path(spec.origin).parent / "data"
    return {name: data / file_name for name, file_name in BUNDLED.items() if (data / file_name).is_file()}


def expand_paths(paths: Iterable[str | Path]) -> tuple[list[Path], list[UnreadableImage]]:
    """Files, folders and names of bundled photographs to image files; what cannot be is returned as a problem.

    A file is taken whatever its extension; a folder gives the files below it whose extension is an image's
    (:data:`EXTENSIONS`, in any case; hidden files are left out), sorted. A file named twice is taken once.
    """
    found: dict[Path, Path] = {}
    problems: list[UnreadableImage] = []
    for asked in map(Path, paths):
        path = asked
        if not path.exists() and str(path) in BUNDLED:
            path = bundled_files().get(str(path), path)
        if not path.exists():
            problems.append(UnreadableImage(path, "no such file or folder"))
            continue
        below, trouble = walk(path) if path.is_dir() else ([path], [])
        problems += trouble
        for image_path in below:
            found.setdefault(image_path.resolve(), image_path)
    return list(found.values()), problems


def walk(root: Path) -> tuple[list[Path], list[UnreadableImage]]:
    """Image files below a folder, sorted, without hidden ones; and what is of other kinds, or cannot be read."""
    paths: list[Path] = []
    problems: list[UnreadableImage] = []

    def note(error: OSError) -> None:
        problems.append(UnreadableImage(error.filename or root, f"folder cannot be read ({error.strerror})"))

    others: list[Path] = []
    for directory, subfolders, files in os.walk(root, onerror=note):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        found = [Path(directory, name) for name in sorted(files) if not name.startswith(".")]
        known = [path for path in found if path.suffix.lower() in EXTENSIONS]
        stems = {path.stem for path in known}  # a camera writes its raw beside the JPEG: nothing is missed
        others += [path for path in found if path.suffix.lower() in OTHER_KINDS and path.stem not in stems]
        paths += known
    for kind in sorted({path.suffix.lower() for path in others}):
        own = sorted(path for path in others if path.suffix.lower() == kind)
        words = f"of a kind that cannot be read here ({kind}); convert to PNG or JPEG"
        more = f", and {len(own) - 1} more" if len(own) > 1 else ""
        problems.append(UnreadableImage(own[0], f"{words}{more}"))
    if not paths and not problems:
        problems.append(UnreadableImage(root, "no images in this folder"))
    return sorted(paths), problems
