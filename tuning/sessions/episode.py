"""What is made of one episode of a session: its record, its figures, the maps for other programs.

A figure of the episode is added in :func:`draw`, under the role by which MLflow and the record name it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from ciliary.agents.base import ControllerBase
from ciliary.cortex.perceiver import AbstractPercept
from ciliary.cortex.percept import Percept
from ciliary.cortex.plot.overview import draw_stages
from ciliary.cortex.plot.paint import paint_regions
from ciliary.envs.data.reading import Photograph
from ciliary.tuning.runs import record as records
from ciliary.tuning.runs.coco import save_coco
from ciliary.tuning.runs.files import save_episode, summary_of
from ciliary.tuning.runs.record import EpisodeKey
from ciliary.tuning.sessions.animation import animate_episode, labels_of, plan_looks, plan_shots, shots_of
from ciliary.tuning.sessions.figures import draw_episode, title, write_figure
from ciliary.tuning.sessions.made import Drawing, Keep, Made, keep_and_draw
from ciliary.tuning.sessions.panels import count_recommended
from ciliary.tuning.sessions.playing import Played
from ciliary.tuning.sessions.settings import SessionSettings

_MOST_PICTURES = 7  # of regions over the trials, in MLflow; each is a pass of the perceiver that nothing else needs


def make(
    played: Played,
    photograph: Photograph,
    key: EpisodeKey,
    settings: SessionSettings,
    *,
    env: gym.Env[Any, Any],
    controller: ControllerBase,
    folder: Path,
    stem: str,
    keep: Keep,
    is_drawn: bool = True,
    fluency: Mapping[str, Mapping[str, float]] | None = None,
) -> Made:
    """Save the maps, keep the record, then draw; a figure that cannot be drawn costs no result.

    Args:
        played: the episode.
        photograph: what was seen.
        key: of the episode.
        settings: of the session.
        env: as the episode left it.
        controller: who played.
        folder: of the session.
        stem: names the files.
        keep: writes the record down, which names the figures that are to come.
        is_drawn: whether it is drawn.
        fluency: numbers of :mod:`ciliary.tuning.fluency`, ``before`` and ``after``.

    Raises:
        OSError: the maps cannot be written.
    """
    record = records.build(key, played.trace, photograph, objective=settings.mark, seen_with=settings.seen_with)
    if fluency is not None:
        record["fluency"] = records.plain(fluency)
    saved: dict[str, str] = {}
    if settings.save is not None:
        saved = save_episode(
            settings.save,
            stem,
            percept=played.after,
            image=played.image.cpu(),
            size=photograph.original_size,
            summary=summary_of(record),
        )
        if settings.is_coco:
            name = photograph.path.name if photograph.path is not None else stem
            path = save_coco(settings.save, stem, played.after, photograph.original_size, file_name=name)
            saved["coco"] = str(path)
    drawings: list[Drawing] = []
    if is_drawn:
        drawings = draw(played, record, settings, env=env, controller=controller, folder=folder, stem=stem)
    figures, problems = keep_and_draw(record, drawings, saved, keep)
    pictures: dict[int, np.ndarray] = {}
    if is_drawn:
        try:  # passes of the perceiver for pictures alone: as figures, they cost no result
            pictures = pictures_of(played, None if controller.env_options else env)
        except Exception as error:  # noqa: BLE001 -- of a perceiver of the user's own, of full memory
            problems = (*problems, f"no regions over trials: {type(error).__name__}: {error}")
    return Made(record, played.trace.theta_moved, figures, pictures, problems)


def draw(
    played: Played,
    record: Mapping[str, Any],
    settings: SessionSettings,
    *,
    env: gym.Env[Any, Any],
    controller: ControllerBase,
    folder: Path,
    stem: str,
) -> list[Drawing]:
    """The figures of an episode: role, file, and what draws it there (or None, if there is nothing to draw)."""
    n_recommended = count_recommended(played.trace.u, env.unwrapped.starts)  # type: ignore[attr-defined]

    def page(path: Path) -> Path:
        return write_figure(draw_episode(record, played, n_recommended=n_recommended), path)

    def animation(path: Path) -> Path | None:
        return animate_episode(
            env,
            played.trace,
            path,
            title=title(record),
            by_steps=controller.use_steps,
            known=_percepts(played),
            n_recommended=n_recommended,
        )

    figures: list[Drawing] = []
    figures.append(("figure", folder / "figures" / f"{stem}.png", page))
    # the environment no longer stands at the image of a controller that changed it
    moves = len(shots_of(played.trace, by_steps=controller.use_steps)) > 1
    if settings.is_animated and moves and not controller.env_options:
        figures.append(("animation", folder / "figures" / f"{stem}.gif", animation))
    if isinstance(after := played.after, Percept):  # the cortex's, which has stages

        def stages(path: Path) -> Path:
            note = "what each stage makes of it at the setting applied"
            return write_figure(draw_stages(played.image, after, title=title(record), note=note), path)

        figures.append(("stages", folder / "stages" / f"{stem}.stages.png", stages))
    return figures


def pictures_of(played: Played, env: gym.Env[Any, Any] | None = None) -> dict[int, np.ndarray]:
    """Regions over the trials, (H, W, 3) uint8: the defaults at 0, each improvement, and at the end what came of it.

    Where the answer is all looks together, what the first so many come to.

    Args:
        played: the episode.
        env: as the episode left it; without one, only what was perceived already.
    """
    seen = played.image.detach().permute(1, 2, 0).numpy()
    size, trace = (seen.shape[0], seen.shape[1]), played.trace
    labels: dict[int, np.ndarray] = {}
    if env is not None:
        if trace.is_integrated:
            shots = plan_looks(trace.n_trials, n_most=_MOST_PICTURES)
        else:
            shots = plan_shots(trace.total, i_chosen=trace.i_chosen, n_most=_MOST_PICTURES)
        found = labels_of(env.unwrapped, trace, shots, size, _percepts(played))
        labels = {shot.i_trial: found[shot.i_shown] for shot in shots}
    for i, percept in ((0, played.before), (trace.n_trials, played.after)):
        if percept is not None:
            labels[i] = percept.labels(size)[0].numpy()
    return {i: np.rint(paint_regions(seen, one) * 255).astype(np.uint8) for i, one in sorted(labels.items())}


def _percepts(played: Played) -> dict[int, AbstractPercept]:
    """Those that are there already, by trial; what all looks come to stands behind the last."""
    found = {0: played.before, played.trace.i_chosen: played.after if played.best is None else played.best}
    if played.best is not None:
        found[played.trace.n_trials] = played.after
    return {i: percept for i, percept in found.items() if percept is not None}
