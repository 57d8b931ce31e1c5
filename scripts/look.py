#!/usr/bin/env python
"""See what each stage of the cortex makes of photographs: one page an image, from the retina to recognition.

Without IMAGE, three bundled photographs are looked at.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ciliary.tuning.cli.arguments import add_cortex_arguments, assignment, learned_stages

EPILOG = """\
output        OUT/<image>/index.html, a page that holds its pictures, and the same pictures as PNG files beside it:
              retina, filters, m1, m2, m3, m4, m5, occlusion. --experts adds OUT/experts.png, over all images.
exit code     0 all well · 1 nothing could be done · 2 wrong usage · 3 some images failed, the rest is done ·
              130 stopped by Ctrl-C

examples      python scripts/look.py photo.jpg --set n_regions=5 --learned none
              python scripts/look.py holiday/ --experts --out pages
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="look", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = p.add_argument
    add("images", nargs="*", metavar="IMAGE|FOLDER", help="photographs; folders are searched through")
    add(
        "--learned",
        type=learned_stages,
        metavar="all|none|m1,m2,...",
        help="stages that use their learned part (all, or none if there are no weights)",
    )
    add("--weights", type=Path, metavar="FILE", help="learned stages (the file that comes with Ciliary)")
    add("--set", action="append", type=assignment, default=[], metavar="NAME=VALUE", help="change a default")
    add_cortex_arguments(p)
    add("--experts", action="store_true", help="also draw what each expert of M5 answers for, over all images")
    add("--out", type=Path, default=Path("runs/look"), metavar="DIR", help="where pages go (runs/look)")
    add("--quiet", action="store_true", help="no progress, no list of pages: only problems and the exit code")
    return p


def main(argv: list[str] | None = None, *, owns_process: bool = False) -> int:
    """Look at each image; returns the exit code."""
    options = parser().parse_args(argv)
    from ciliary.tuning.cli import processor  # after parsing: torch takes seconds, --help should not
    from ciliary.tuning.inspect import job

    if owns_process:
        processor.flush_denormals()
    settings = job.LookSettings(
        learned=options.learned,
        weights=options.weights,
        changes=dict(options.set),
        long_side_px=options.size,
        depth=options.depth,
        features=options.features,
        out=options.out,
        has_experts=options.experts,
    )
    return job.run(options.images, settings, is_quiet=options.quiet)


if __name__ == "__main__":
    sys.exit(main(owns_process=True))
