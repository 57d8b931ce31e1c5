#!/usr/bin/env python
"""Draw the pictures of ``docs/gallery`` anew, each by the command that ``docs/gallery.md`` shows beneath it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from ciliary.tuning.cli.app import main as ciliary

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "gallery"
MOST_BYTES = 100_000
#: Commands, and which of the pictures that each writes below its folder is kept under which name.
DRAWN = {
    "look coffee --only m1 --only m4": {"coffee/m1.png": "stages_m1.png", "coffee/m4.png": "stages_m4.png"},
    "accommodate coffee --perceiver felzenszwalb --answer best --size 128 --no-animation": {
        "**/figures/*.png": "own_segmenter.png"
    },
    "accommodate rocket --size 128 --disturb fog:4 --no-animation": {"**/figures/*.png": "fog.png"},
    "motion": {"*.png": "motion.png"},
    "track --size 96": {"*.png": "track.png"},
}


def shrink(source: Path, target: Path) -> None:
    """A picture with at most 256 colours, narrower until it has at most :data:`MOST_BYTES`."""
    picture = Image.open(source).convert("RGB")
    width = min(picture.width, 1200)
    while True:
        size = (width, round(picture.height * width / picture.width))
        picture.resize(size, Image.Resampling.LANCZOS).quantize(256).save(target, optimize=True)
        if target.stat().st_size <= MOST_BYTES:
            return
        width = round(0.9 * width)


def main() -> int:
    """All of them; the exit code of the first command that fails."""
    FOLDER.mkdir(exist_ok=True)
    for command, pictures in DRAWN.items():
        with TemporaryDirectory() as folder:
            code = ciliary([*shlex.split(command), "--quiet", "--out", folder])
            if code:
                return code
            for pattern, name in pictures.items():
                shrink(sorted(Path(folder).glob(pattern))[0], FOLDER / name)
                print(FOLDER / name, (FOLDER / name).stat().st_size)
    return 0


if __name__ == "__main__":
    sys.exit(main())
