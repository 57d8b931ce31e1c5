#!/usr/bin/env python
"""Draw the pictures of ``docs/gallery`` anew: the first page's, and those of ``docs/gallery.md`` by its commands."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from matplotlib.figure import Figure
from PIL import Image

from ciliary.agents import make_controller, run_episode
from ciliary.agents.looking import Looking
from ciliary.cortex.plot import style
from ciliary.cortex.plot.paint import paint_regions
from ciliary.envs import AccommodationEnv
from ciliary.tuning.cli.app import main as ciliary

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "gallery"
MOST_BYTES = 100_000
#: Commands, and which of the pictures that each writes below its folder is kept under which name.
DRAWN = {
    "look coffee --only m1 --only m4": {"coffee/m1.png": "stages_m1.png", "coffee/m4.png": "stages_m4.png"},
    "accommodate rocket --perceiver watershed --answer best --size 128 --no-animation": {
        "**/figures/*.png": "own_segmenter.png"
    },
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


def draw_first(path: Path) -> None:
    """A cat in low light: what was seen, by the defaults, by all looks together, and where these disagree."""
    env = AccommodationEnv(
        perceiver="glances", source="chelsea", objective="looks", with_looks=True, action_mode="absolute"
    )
    trace = run_episode(env, make_controller("panel"), 0, {"disturbance": "low_light:3"}, looking=Looking())
    seen = env.image.permute(1, 2, 0).numpy()
    together = env.looks.percept
    default = env.percept(trace.u[0])
    figure = Figure(figsize=(7.5, 1.5), layout="constrained")
    axes = figure.subplots(1, 4)
    style.picture(axes[0], seen, "Seen")
    style.picture(axes[1], paint_regions(seen, default.labels()[0].numpy()), "Set as for all images")
    style.picture(axes[2], paint_regions(seen, together.labels()[0].numpy()), "Several looks together")
    style.picture(axes[3], together.uncertainty[0, 0].numpy(), "Where looks disagree")
    figure.savefig(path, dpi=160)


def main() -> int:
    """All of them; the exit code of the first command that fails."""
    FOLDER.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        draw_first(Path(folder) / "first.png")
        shrink(Path(folder) / "first.png", FOLDER / "first.png")
    for command, pictures in DRAWN.items():
        with TemporaryDirectory() as folder:
            code = ciliary([*shlex.split(command), "--quiet", "--out", folder])
            if code:
                return code
            for pattern, name in pictures.items():
                shrink(min(Path(folder).glob(pattern)), FOLDER / name)
                print(FOLDER / name, (FOLDER / name).stat().st_size)
    return 0


if __name__ == "__main__":
    sys.exit(main())
