"""A session of gazes: each photograph an episode, tracked, recorded and drawn as those of ``focus`` are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ciliary.agents.episode import Progress
from ciliary.agents.trace import Ending, Trace, running_best
from ciliary.cortex.device import to_device
from ciliary.cortex.dorsal.looking import GazeLook, look_around, mosaics_along
from ciliary.cortex.dorsal.search import believe
from ciliary.cortex.eye.fovea import field_deg
from ciliary.cortex.eye.lattice import FoveatedLattice
from ciliary.cortex.eye.parameters import eye_table
from ciliary.cortex.integration.glances import GlancePercepts, perceive_glances
from ciliary.cortex.perceivers import make_perceiver
from ciliary.cortex.plot.gaze import draw_gaze
from ciliary.envs.data.sources import Photograph
from ciliary.tuning.gaze.film import write_gaze_film
from ciliary.tuning.gaze.means import Means, read_means
from ciliary.tuning.gaze.settings import OWN_SIGHT, GazeSettings
from ciliary.tuning.runs import record as records
from ciliary.tuning.runs.files import save_episode, save_map, summary_of, write_page
from ciliary.tuning.runs.record import EpisodeKey
from ciliary.tuning.runs.store import GAZING
from ciliary.tuning.sessions.figures import write_figure
from ciliary.tuning.sessions.inputs import Input, mark_of
from ciliary.tuning.sessions.job import Equipment, Job, Workbench
from ciliary.tuning.sessions.made import Drawing, Keep, Made, keep_and_draw
from ciliary.tuning.sessions.resume import Session
from ciliary.tuning.sessions.task import Task

ENDS = (".png", ".gif", ".json")
SAVED = (".priority.png", ".labels.png", ".boundary.png", ".regions.png", ".uncertainty.png", ".json")


class Gazing(Job[Input, Photograph]):
    """Looking at photographs, as a session knows it.

    Args:
        settings: of the job.
        means: those of this process; workers read theirs.
    """

    experiment, command = GAZING, "gaze"
    settings: GazeSettings

    def __init__(self, settings: GazeSettings, means: Means) -> None:
        super().__init__(settings)
        self._means, self._fingerprint = means, settings.fingerprint()

    def load(self, item: Input) -> tuple[Photograph, EpisodeKey]:
        """The photograph, known again by its pixels."""
        photograph, settings = item.load(), self.settings
        pixels = mark_of(photograph)
        return photograph, EpisodeKey(item.name, pixels, "none", f"gaze-{settings.sight}", 0, self._fingerprint)

    def run_name(self, key: EpisodeKey) -> str:
        """The photograph, and what is done."""
        return f"{key.image} gaze"

    def equip(self, session: Session) -> Equipment[GazeSettings]:
        """The settings, which name the rest."""
        return Equipment(self.settings, session.folder, GazeBench)

    def bench(self, session: Session) -> GazeBench:
        """That of this process has what was read already."""
        return GazeBench(self.settings, session.folder, self._means)


class GazeBench(Workbench):
    """What makes an episode of gaze; its files lie where the settings say, not in the session's folder."""

    def __init__(self, settings: GazeSettings, folder: Path, means: Means | None = None) -> None:
        self.settings, self.folder = settings, folder
        self.means = read_means(settings) if means is None else means
        kind = settings.percept
        self.perceiver = None if kind is None else make_perceiver({"inherited": kind}, device=settings.device)

    def make(self, task: Task, on_batch: Callable[[Progress], object], keep: Keep) -> Made:
        """Look, write the JSON, keep, and draw: a photograph is looked at to its end."""
        del on_batch
        photograph: Photograph = task.shown
        s, means, name, start = self.settings, self.means, task.stem, time.perf_counter()
        scale = photograph.image.shape[2] / photograph.original_size[1]
        look = look_around(
            photograph.image,
            px_per_deg=None if s.px_per_deg is None else s.px_per_deg * scale,
            n_fixations=s.n_fixations,
            centre_exponent=s.centre,
            mixture=means.mixture,
            trunk=means.trunk,
            own_sight=means.net is not None,
            net=means.net,
        )
        glanced = None
        if self.perceiver is not None:
            glanced = to_device(perceive_glances(self.perceiver, mosaics_along(look)), "cpu")
        along = what_it_brought(look)
        trace = as_trace(look, along, controller=task.key.controller, seconds=time.perf_counter() - start)
        record = records.build(task.key, trace, photograph)
        record["gaze"] = {role: values.tolist() for role, values in along.items()}
        page = write_page(s.out / f"{name}.json", as_page(look, photograph, s))
        if s.save is not None:
            field = look.priority / look.priority.max()
            save_map(field, photograph.original_size, s.save / f"{name}.priority.png")
        if s.save is not None and glanced is not None:
            save_episode(
                s.save,
                name,
                percept=glanced.percept,
                image=photograph.image,
                size=photograph.original_size,
                summary=summary_of(record),
            )
        drawings = [*_drawings(look, glanced, name, s)]
        figures, problems = keep_and_draw(record, drawings, {"json": records.printable(str(page))}, keep)
        return Made(record, trace.theta_moved, figures, {}, problems)


def what_it_brought(look: GazeLook) -> dict[str, np.ndarray]:
    """After each of N fixations, (N,) each: ``acuity`` in [0, 1], ``degrees`` travelled, ``samples`` taken.

    Acuity is gained where priority lies: octaves of spacing, of those that a fovea gives.
    """
    lattice, acuity, samples = FoveatedLattice(), [], []
    for mosaic in mosaics_along(look, lattice=lattice):
        left = believe(mosaic, lattice, density=look.priority).unresolved_share
        acuity.append(1 - float(left[0]))
        samples.append(int(mosaic.n_samples[0]))
    steps = look.gaze_deg.diff(dim=0).norm(dim=1).double().numpy()
    return {
        "acuity": np.array(acuity),
        "degrees": np.concatenate([[0.0], np.cumsum(steps)]),
        "samples": np.array(samples),
    }


def as_trace(look: GazeLook, along: dict[str, np.ndarray], *, controller: str, seconds: float) -> Trace:
    """The path as a trace of the eye's muscles; ``total`` is what priority is left unresolved."""
    table = eye_table(field_deg((look.image.shape[-2], look.image.shape[-1]), look.px_per_deg))
    u = np.tile(table.default_unit().double().numpy(), (len(look.y_px), 1))
    u[:, :2] = look.gaze_deg.double().numpy() / [table[name].high for name in table.names[:2]]
    total = 1 - along["acuity"]
    return Trace(
        controller=controller,
        seed=0,
        u=u,
        terms={"total": total},
        best_so_far=running_best(total),
        i_chosen=len(u) - 1,
        u_chosen=u[-1],
        before={"total": float(total[0])},
        after={"total": float(total[-1])},
        guard=None,
        ending=Ending.BUDGET_SPENT,
        n_evaluations=len(u),
        seconds=seconds,
        parameters=table,
        frozen=table.names[2:],
    )


def _drawings(look: GazeLook, glanced: GlancePercepts | None, name: str, settings: GazeSettings) -> Iterator[Drawing]:
    """Figure and film."""
    words = "rarity, ends and colour" if settings.map == "priority" else "fitted weights"
    sight = "by what was seen" if settings.sight == OWN_SIGHT else "that of the whole photograph's priority"
    note = f"{settings.map}: {words}, times a prior for the centre; the path is {sight}"
    if settings.centre == 0:
        note = note.replace("times a prior for the centre", "without a prior for the centre")

    def figure(path: Path) -> Path:
        return write_figure(draw_gaze(look, name=name, note=note, glanced=glanced), path)

    yield "figure", settings.out / f"{name}.png", figure
    if settings.is_animated:
        yield "animation", settings.out / f"{name}.gif", lambda path: write_gaze_film(look, path, name=name)


def as_page(look: GazeLook, photograph: Photograph, settings: GazeSettings) -> dict[str, Any]:
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
