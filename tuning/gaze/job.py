"""Photographs in, figures and fixations out; or a folder of people's fixations in, a table out. An exit code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from ciliary.cortex.cues import make_backbone
from ciliary.cortex.cues.base import ProviderUnavailable
from ciliary.cortex.dorsal.expectation import ExpectationNet, read_expectation
from ciliary.cortex.dorsal.looking import GazeLook, Trunk, look_around
from ciliary.cortex.dorsal.mixture import GazeMixture, read_mixture
from ciliary.cortex.plot.gaze import draw_gaze
from ciliary.envs.data.sources import Photograph
from ciliary.tuning.cli.complain import complain, failure
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, SOME_FAILED, STOPPED, USAGE
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.gaze.ablations import tell_ablations
from ciliary.tuning.gaze.detail import tell_detail
from ciliary.tuning.gaze.film import write_gaze_film
from ciliary.tuning.gaze.people import as_markdown, tell, write_table
from ciliary.tuning.gaze.settings import OWN_SIGHT, GazeSettings
from ciliary.tuning.runs.files import save_map, write_atomically
from ciliary.tuning.sessions.figures import write_figure
from ciliary.tuning.sessions.inputs import Input, collect, showcase


def run(settings: GazeSettings) -> int:
    """Look at photographs, or tell maps beside people.

    Returns:
        0 all well, 1 nothing could be done, 2 wrong usage, 3 some images failed, 130 stopped by Ctrl-C.
    """
    try:
        needs_mixture = settings.map == "learned" or settings.people is not None
        mixture = read_mixture(settings.weights) if needs_mixture else None
        trunk = trunk_of(mixture)
        net = read_expectation(settings.expectation) if settings.sight == OWN_SIGHT else None
    except (ValueError, FileNotFoundError) as error:
        _complain(error)
        return USAGE
    except ProviderUnavailable as error:
        _complain(error)
        return NOTHING
    try:
        if settings.detail is not None:
            return _tell_detail(settings)
        if settings.people is not None:
            return _tell(settings, mixture, trunk)
        return _look_at_all(settings, mixture, trunk, net)
    except KeyboardInterrupt:
        _complain("stopped; what was written stays")
        return STOPPED


def trunk_of(mixture: GazeMixture | None) -> Trunk | None:
    """Maps of the backbone that a mixture names; None without.

    Raises:
        ProviderUnavailable, ValueError: there is no such backbone here.
    """
    if mixture is None or mixture.features == "none":
        return None
    backbone = make_backbone(mixture.features)
    return None if backbone is None else backbone.maps


def _tell(settings: GazeSettings, mixture: GazeMixture | None, trunk: Trunk | None) -> int:
    try:
        table, scores, words = tell(settings, mixture, trunk)
        more, files = tell_ablations(scores, settings.out) if settings.ablations else ("", ())
        paths = (*write_table(table, words, settings.out, more=f"\n{more}" if more else ""), *files)
    except (ValueError, OSError) as error:
        _complain(error)
        return NOTHING
    if not settings.is_quiet:
        Console(highlight=False, soft_wrap=True).print(
            "\n".join([words, "", as_markdown(table), more, *(f"gaze     {path}" for path in paths)]), markup=False
        )
    return ALL_WELL


def _tell_detail(settings: GazeSettings) -> int:
    try:
        page, paths = tell_detail(settings)
    except (ValueError, OSError) as error:
        _complain(error)
        return NOTHING
    if not settings.is_quiet:
        print("\n".join([page, *(f"detail   {path}" for path in paths)]))
    return ALL_WELL


def _look_at_all(
    settings: GazeSettings, mixture: GazeMixture | None, trunk: Trunk | None, net: ExpectationNet | None
) -> int:
    size_px = settings.size_px
    inputs, problems, _ = collect(settings.images, size_px) if settings.images else (showcase(size_px), [], [])
    for line in problems:
        _complain(line)
    n_done = _each(inputs, settings, mixture, trunk, net, problems)
    if not n_done:
        return NOTHING
    return SOME_FAILED if problems else ALL_WELL


def _each(
    inputs: Sequence[Input],
    settings: GazeSettings,
    mixture: GazeMixture | None,
    trunk: Trunk | None,
    net: ExpectationNet | None,
    problems: list[str],
) -> int:
    """A figure of each input; lines of what failed go to ``problems``. Returns how many were done."""
    stdout, n_done = Console(highlight=False, soft_wrap=True), 0
    with Bar(len(inputs), unit="photographs", is_quiet=settings.is_quiet) as bar:
        for i, item in enumerate(inputs):
            bar.move(i, title=item.name)
            try:
                photograph = item.load()
                scale = photograph.image.shape[2] / photograph.original_size[1]
                look = look_around(
                    photograph.image,
                    px_per_deg=None if settings.px_per_deg is None else settings.px_per_deg * scale,
                    n_fixations=settings.n_fixations,
                    centre_exponent=settings.centre,
                    mixture=mixture,
                    trunk=trunk,
                    own_sight=net is not None,
                    net=net,
                )
                path = _write(look, item.name, photograph, settings)
            except (ValueError, OSError, RuntimeError, MemoryError) as error:
                problems.append(failure(item.label, error))
                _complain(problems[-1])
                continue
            n_done += 1
            if not settings.is_quiet:
                stdout.print(f"gaze     {path}", markup=False)
        bar.move(len(inputs))
    return n_done


def _write(look: GazeLook, name: str, photograph: Photograph, settings: GazeSettings) -> Path:
    """The figure, the JSON beside it, and the map where it is asked for; returns the figure."""
    words = "rarity, ends and colour" if settings.map == "priority" else "fitted weights"
    sight = "by what was seen" if settings.sight == OWN_SIGHT else "that of the whole photograph's priority"
    note = f"{settings.map}: {words}, times a prior for the centre; the path is {sight}"
    if settings.centre == 0:
        note = note.replace("times a prior for the centre", "without a prior for the centre")
    path = write_figure(draw_gaze(look, name=name, note=note), settings.out / f"{name}.png")
    if settings.is_animated:
        write_gaze_film(look, settings.out / f"{name}.gif", name=name)
    page = as_record(look, photograph, settings)
    write_atomically(settings.out / f"{name}.json", (json.dumps(page, indent=1, ensure_ascii=False) + "\n").encode())
    if settings.save is not None:
        field = look.priority / look.priority.max()
        save_map(field, photograph.original_size, settings.save / f"{name}.priority.png")
    return path


def as_record(look: GazeLook, photograph: Photograph, settings: GazeSettings) -> dict[str, Any]:
    """What the JSON holds: fixations in pixels of the file (the first pixel's middle lies at .5) and in degrees."""
    height, width = photograph.original_size
    down, right = height / look.image.shape[1], width / look.image.shape[2]
    places = zip(look.y_px.tolist(), look.x_px.tolist(), look.gaze_deg.tolist(), strict=True)
    return {
        "image": photograph.name,
        "original_size": [height, width],
        "px_per_deg": round(look.px_per_deg * right, 6),
        "map": settings.map,
        "sight": settings.sight,
        "centre_exponent": settings.centre,
        "fixations": [
            {
                "order": order,
                "y_px": round((y + 0.5) * down, 2),
                "x_px": round((x + 0.5) * right, 2),
                "y_deg": round(y_deg, 3),
                "x_deg": round(x_deg, 3),
            }
            for order, (y, x, (y_deg, x_deg)) in enumerate(places)
        ],
        "samples": int(look.mosaic.n_samples[0]),
        "notes": list(photograph.notes),
    }


_complain = partial(complain, "gaze")
