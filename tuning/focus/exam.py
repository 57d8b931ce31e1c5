"""The exams of the eye's optics: which data each is told on, and where its table goes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ciliary.envs.data.active.pictures import photograph_in_uneven_light
from ciliary.envs.data.active.scene import EyeScene
from ciliary.envs.data.depth import read_depth
from ciliary.envs.data.sources import bundled
from ciliary.envs.eye.config import EyeConfig
from ciliary.envs.eye.sources import covering
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.focus.exam_colour import WHITES_CD_M2, examine_colour
from ciliary.tuning.focus.exam_lens import examine_lens, rows_of
from ciliary.tuning.focus.exam_optics import examine_optics
from ciliary.tuning.focus.exam_pupil import examine_pupil
from ciliary.tuning.focus.exam_stacks import examine_stacks, gazes
from ciliary.tuning.focus.inputs import LENS, PUPIL, collect, evenly, in_field, muscle_of, read_depth_scene
from ciliary.tuning.focus.settings import FocusSettings
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.tables import rows_to_csv, rows_to_markdown

NEARNESS = (5.0, 1.0)
_N_FRAMES = 4  # of one room: they are near one another
_N_GAZES, _N_SEEDS = 3, 2


def depth_scenes(folder: Path, *, nearness: float, n_most: int) -> list[EyeScene]:
    """Frames with depth as the environment shows them, 320 x 240 px and 33.3 degrees wide."""
    return [read_depth_scene(entry, nearness) for entry in evenly(read_depth([folder]).entries, n_most)]


def run_exams(settings: FocusSettings, say: Callable[[str], object]) -> tuple[list[Path], list[str]]:
    """The exams asked for; returns the files written and a line for each exam that could not be made."""
    assert settings.exam is not None
    problems: list[str] = []
    pages: list[str] = []
    files: list[Path] = []
    for name in settings.only:
        try:
            rows, words = _EXAMS[name](settings)
        except (ValueError, OSError) as error:
            problems.append(f"{name}: {error}")
            say(problems[-1])
            continue
        pages.append(f"## {words}\n\n{rows_to_markdown(rows)}")
        files.append(write_atomically(settings.out / f"focus_{name}.csv", rows_to_csv(rows).encode()))
    if pages:
        page = "# Focus\n\nIntervals: 95 %, bootstrap over scenes.\n\n" + "\n".join(pages)
        files.insert(0, write_atomically(settings.out / "focus.md", page.encode()))
    return files, problems


def _near_and_far(settings: FocusSettings) -> tuple[dict[str, list[EyeScene]], int]:
    """Scenes by nearness, and how many there are of each."""
    assert settings.exam is not None
    n_most = settings.n_scenes or _N_FRAMES
    scenes = {
        f"{nearness:g}": depth_scenes(settings.exam / "depth", nearness=nearness, n_most=n_most)
        for nearness in NEARNESS
    }
    return scenes, len(scenes[f"{NEARNESS[0]:g}"])


def _lens(settings: FocusSettings) -> tuple[list[Any], str]:
    scenes, n_scenes = _near_and_far(settings)
    total = len(NEARNESS) * n_scenes * _N_GAZES * _N_SEEDS * (len(rows_of(settings.controller)) + 1)
    with Bar(total, title="lens", unit="episodes", is_quiet=settings.is_quiet) as bar:
        rows = examine_lens(
            scenes,
            seed=settings.seed,
            n_gazes=_N_GAZES,
            n_seeds=_N_SEEDS,
            only=settings.controller,
            on_episode=bar.advance,
        )
    return rows, f"Focus in six looks: {n_scenes} scenes, {_N_GAZES} gazes each, {_N_SEEDS} seeds of photons each"


def _colour(settings: FocusSettings) -> tuple[list[Any], str]:
    scenes, n_scenes = _near_and_far(settings)
    total = len(NEARNESS) * n_scenes * _N_GAZES * len(WHITES_CD_M2)
    with Bar(total, title="colour", unit="places", is_quiet=settings.is_quiet) as bar:
        rows = examine_colour(scenes, seed=settings.seed, n_gazes=_N_GAZES, on_place=bar.advance)
    return rows, f"Too near or too far at the first glance, AUC: {n_scenes} scenes, {_N_GAZES} gazes each"


def _stacks(settings: FocusSettings) -> tuple[list[Any], str]:
    assert settings.exam is not None
    scenes = [scene for scene in _stack_scenes(settings.exam / "stacks") if muscle_of(scene) == LENS]
    if not scenes:
        raise ValueError(f"{settings.exam / 'stacks'}: no focus stack")
    with Bar(len(scenes) * len(gazes()), title="stacks", unit="gazes", is_quiet=settings.is_quiet) as bar:
        rows = examine_stacks(scenes, seed=settings.seed, on_gaze=bar.advance)
    return rows, "Real focus stacks, where contrast tells of a peak"


def _pupil(settings: FocusSettings) -> tuple[list[Any], str]:
    assert settings.exam is not None
    scenes = [scene for scene in _stack_scenes(settings.exam / "stacks") if muscle_of(scene) == PUPIL]
    if (settings.exam / "hdr").is_dir():
        scenes += [item.load() for item in collect([str(settings.exam / "hdr")], nearness=1.0, n_frames=None)[0]]
    if not scenes:
        raise ValueError(f"{settings.exam}: no exposure stack in stacks/, and no hdr/")
    chosen_on = uneven_scenes()
    groups = {f"{len(chosen_on)} photographs in uneven light (chosen on)": chosen_on}
    groups |= {one.name: [one] for one in scenes}
    with Bar(None, title="pupil", unit="gazes", is_quiet=settings.is_quiet) as bar:
        rows = examine_pupil(groups, seed=settings.seed, on_gaze=bar.advance)
    return rows, "The pupil: share of the best of all settings, at gazes on a grid"


def uneven_scenes() -> list[EyeScene]:
    """Bundled photographs in uneven light, as the environment shows them: on these the pupil's numbers were chosen."""
    source = bundled(None, covering(EyeConfig().size_px))
    return [in_field(photograph_in_uneven_light(source[i])) for i in range(len(source.names))]


def _optics(settings: FocusSettings) -> tuple[list[Any], str]:
    with Bar(None, title="optics", is_quiet=settings.is_quiet):
        return list(examine_optics()), "Optics"


def _stack_scenes(folder: Path) -> list[EyeScene]:
    return [item.load() for item in collect([str(folder)], nearness=1.0, n_frames=None)[0]]


_EXAMS: dict[str, Callable[[FocusSettings], tuple[list[Any], str]]] = {
    "lens": _lens,
    "colour": _colour,
    "stacks": _stacks,
    "pupil": _pupil,
    "optics": _optics,
}
