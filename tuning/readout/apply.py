"""Reading new images by a readout that was learned: class maps and probabilities, at the images' own size."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch.nn.functional as F
from rich.console import Console

from ciliary.cortex import Cortex
from ciliary.cortex.device import choose_device
from ciliary.tuning.cli.complain import complain, failure
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, SOME_FAILED
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.readout.fields import CortexFields
from ciliary.tuning.readout.kept import load_readout
from ciliary.tuning.readout.models import probabilities
from ciliary.tuning.readout.settings import ReadoutSettings
from ciliary.tuning.runs.files import save_map, save_values
from ciliary.tuning.sessions.inputs import collect, set_apart

_complain = partial(complain, "readout")


def apply(settings: ReadoutSettings) -> int:
    """Write ``<image>.classes.png`` and ``<image>.p_<class>.png`` of every image; returns the exit code.

    The cortex and the size are those that the readout was learned with, whatever the settings say.

    Raises:
        FileNotFoundError, ValueError: there is no such readout.
    """
    assert settings.model is not None
    kept = load_readout(settings.model)
    cortex = Cortex(**kept.about["cortex"]).eval().requires_grad_(False).to(choose_device(settings.device))
    see, model, values = (
        CortexFields(cortex, kept.about["is_oriented"], tuple(kept.about["fields"])),
        kept.model.to(cortex.device),
        kept.classes.values,
    )
    inputs, problems, notes = collect(settings.images, int(kept.about["size_px"]))
    for line in (*problems, *notes):
        _complain(line)
    ends = [".classes.png", *(f".p_{name}.png" for name in kept.classes.names)]
    inputs = set_apart(inputs, (settings.out, ends), say=_complain)
    stdout, n_done = Console(highlight=False, soft_wrap=True, quiet=settings.is_quiet), 0
    with Bar(len(inputs), unit="images", is_quiet=settings.is_quiet) as bar:
        for item in inputs:
            bar.move(title=item.name)
            try:
                photograph = item.load()
                found = probabilities(model, see(photograph.image[None]).to(cortex.device)).cpu()
                whole = F.interpolate(found, size=photograph.original_size, mode="bilinear", align_corners=False)
                classes = np.array(values)[whole[0].argmax(0).numpy()]
                path = save_values(classes, settings.out / f"{item.name}.classes.png")
                for k, name in enumerate(kept.classes.names):
                    save_map(whole[:, k : k + 1], photograph.original_size, settings.out / f"{item.name}.p_{name}.png")
            except (ValueError, OSError, RuntimeError, MemoryError) as error:
                problems.append(failure(item.label, error))
                _complain(problems[-1])
                continue
            finally:
                bar.advance()
            n_done += 1
            stdout.print(f"readout  {path}", markup=False)
    if not n_done:
        return NOTHING
    return SOME_FAILED if problems else ALL_WELL
