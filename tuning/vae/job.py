"""Photographs in, an autoencoder of their proto-objects out, and what it is worth. An exit code."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from rich.console import Console
from safetensors.torch import save

from ciliary.tuning.cli.complain import complain
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, SOME_FAILED, STOPPED
from ciliary.tuning.cli.many import cortex_or_code, one_of_many
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.tables import rows_to_markdown
from ciliary.tuning.sessions.figures import write_figure
from ciliary.tuning.sessions.inputs import collect
from ciliary.tuning.vae.figure import draw_vae
from ciliary.tuning.vae.learn import Objects, describe, gather, learn, worth
from ciliary.tuning.vae.model import Vae
from ciliary.tuning.vae.settings import VaeTraining


def run(settings: VaeTraining) -> int:
    """Learn and report.

    Returns:
        0 all well, 1 nothing could be done, 2 wrong usage, 3 some images failed, 130 stopped by Ctrl-C.
    """
    cortex = cortex_or_code(settings, _complain, recognise=True)
    if isinstance(cortex, int):
        return cortex
    inputs, problems, notes = collect(settings.images, settings.size_px)
    for line in (*problems, *notes):
        _complain(line)
    rows = []
    try:
        with Bar(len(inputs), title="photographs", unit="images", is_quiet=settings.is_quiet) as bar:
            for item in inputs:
                with one_of_many(item.label, problems, _complain, bar):
                    rows.append(describe(cortex, item.load().image))
        objects = gather(rows)
        with Bar(settings.n_steps, title="steps", is_quiet=settings.is_quiet) as bar:
            model = learn(objects, settings, on_step=bar.advance)
        _tell(settings, model, objects)
    except KeyboardInterrupt:
        _complain("stopped; nothing was written")
        return STOPPED
    except (ValueError, OSError) as error:
        _complain(error)
        return NOTHING
    return SOME_FAILED if problems else ALL_WELL


def _tell(settings: VaeTraining, model: Vae, objects: Objects) -> None:
    about = {name: getattr(settings, name) for name in ("n_latents", "n_hidden", "attention", "beta", "free_bits")}
    about |= {"sparsity": settings.sparsity, "inherited": settings.inherited, "size_px": settings.size_px}
    about |= {"images": ", ".join(Path(one).name for one in settings.images)}
    tensors = {**model.state_dict(), "mean": objects.mean, "spread": objects.spread}
    n_learned, n_held = (int(known.sum()) for known in (objects.is_learned_from, ~objects.is_learned_from))
    page = (
        f"# An autoencoder of proto-objects\n\nLearned from {n_learned} proto-objects; told of {n_held} of photographs "
        "not learned from. Given back: share of their variance about the mean; 95 %, bootstrap over photographs.\n\n"
        f"{rows_to_markdown(worth(model, objects))}"
    )
    paths = (
        write_atomically(settings.out / "vae.safetensors", save(tensors, metadata={"about": json.dumps(about)})),
        write_atomically(settings.out / "report.md", page.encode()),
        write_figure(draw_vae(model, objects, seed=settings.seed), settings.out / "vae.png"),
    )
    if not settings.is_quiet:
        text = "\n".join([page, *(f"vae      {path}" for path in paths)])
        Console(highlight=False, soft_wrap=True).print(text, markup=False)


_complain = partial(complain, "train_vae")
