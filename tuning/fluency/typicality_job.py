"""Photographs in, the file of what is usual out. An exit code."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch

from ciliary.envs.observation import STATISTICS, statistics
from ciliary.tuning.cli.complain import complain
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, SOME_FAILED, STOPPED
from ciliary.tuning.cli.many import cortex_or_code, one_of_many
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.fluency.settings import TypicalityTraining
from ciliary.tuning.fluency.typicality import fit, to_bytes
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.sessions.inputs import collect


def run(settings: TypicalityTraining) -> int:
    """Fit and write.

    Returns:
        0 all well, 1 nothing could be done, 2 wrong usage, 3 some images failed, 130 stopped by Ctrl-C.
    """
    cortex = cortex_or_code(settings, _complain)
    if isinstance(cortex, int):
        return cortex
    inputs, problems, notes = collect(settings.images, settings.size_px)
    for line in (*problems, *notes):
        _complain(line)
    rows = []
    try:
        with Bar(len(inputs), unit="photographs", is_quiet=settings.is_quiet) as bar:
            for item in inputs:
                with one_of_many(item.label, problems, _complain, bar), torch.no_grad():
                    image = item.load().image[None].to(cortex.device)
                    rows.append(statistics(image, cortex(image))[0])
    except KeyboardInterrupt:
        _complain("stopped; nothing was written")
        return STOPPED
    about = {
        "cortex": cortex.name,
        "size_px": settings.size_px,
        "images": ", ".join(Path(one).name for one in settings.images),
    }
    try:
        reference = fit(np.array(rows).reshape(-1, len(STATISTICS)), STATISTICS, about)
        write_atomically(settings.out, to_bytes(reference))
    except (ValueError, OSError) as error:
        _complain(error)
        return NOTHING
    if not settings.is_quiet:
        print(f"typicality {settings.out}, of {len(rows)} photographs at {settings.size_px} px")
    return SOME_FAILED if problems else ALL_WELL


_complain = partial(complain, "train_typicality")
