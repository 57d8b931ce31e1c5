"""Is the lens too near or too far? Told at the first glance, from colour, and from luminance alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ciliary.agents.eye.reflex import ContrastLook, likeliest_dpt, object_likelihood
from ciliary.cortex.eye.parameters import FOCUS_DPT
from ciliary.envs.data.active.scene import EyeScene
from ciliary.envs.eye.config import EyeConfig
from ciliary.envs.eye.single import EyeEnv
from ciliary.envs.eye.terms import STATISTICS, read_statistics
from ciliary.envs.metrics.gaze import roc_area
from ciliary.envs.metrics.statistics import Bootstrap, Interval, bootstrap_of
from ciliary.tuning.focus.exam_lens import places_of

DEFOCUS_DPT = (0.25, 0.5, 1.0)
#: Luminance of white; None: without photons' noise.
WHITES_CD_M2: tuple[float | None, ...] = (None, 80.0, 8.0, 0.8)
_HOW = Bootstrap(n_resamples=500)
_PUPIL_MM = 4.0


@dataclass(frozen=True)
class ColourRow:
    """Areas under the ROC of too near against too far, intervals by scene; .5 is chance."""

    nearness: str
    white_cd_m2: str
    defocus_dpt: float
    n: int
    red_over_blue: Interval
    likelihood: Interval
    luminance: Interval


def auc(pairs: np.ndarray) -> float:
    """Area under the ROC of scores (..., 2): how often one of the second column is above one of the first."""
    far, near = pairs.reshape(-1, 2).T
    return roc_area(near, far)


def examine_colour(
    scenes: Mapping[str, Sequence[EyeScene]],
    *,
    seed: int,
    n_gazes: int = 3,
    on_place: Callable[[], object] = lambda: None,
) -> list[ColourRow]:
    """Rows of every nearness, light and defocus; a place counts where the lens can be off to both sides."""
    rows = []
    for nearness, some in scenes.items():
        table = places_of(some, n_gazes=n_gazes, n_seeds=1, seed=seed)
        for white in WHITES_CD_M2:
            config = EyeConfig(
                muscles=("focus_dpt",),
                scenes="synthetic",
                photon_noise=white is not None,
                white_cd_m2=white,
                mosaic_coarse=8,
            )
            env = EyeEnv(config)
            scores: dict[float, list[list[np.ndarray]]] = {off: [] for off in DEFOCUS_DPT}
            for places in table:
                by_gaze: dict[float, list[np.ndarray]] = {off: [] for off in DEFOCUS_DPT}
                for place in places:
                    options = {"scene": place.scene, "gaze": place.gaze, "noise_seed": place.seed}
                    object_dpt = env.reset(options=options)[1]["hidden"]["object_dpt"]
                    for off in DEFOCUS_DPT:
                        focus = (object_dpt - off, object_dpt + off)
                        if FOCUS_DPT[0] <= focus[0] and focus[1] <= FOCUS_DPT[1]:
                            by_gaze[off].append(np.stack([_scores(env, options, one) for one in focus], -1))
                    on_place()
                for off in DEFOCUS_DPT:
                    scores[off] += [by_gaze[off]] if by_gaze[off] else []
            rows += [
                _row(nearness, "no noise" if white is None else f"{white:g}", off, scores[off])
                for off in DEFOCUS_DPT
                if len(scores[off]) > 1
            ]
    return rows


def _row(nearness: str, white: str, off: float, scores: list[list[np.ndarray]]) -> ColourRow:
    # Scenes may have unequally many places: they are drawn whole, by number.
    def of(k: int) -> Interval:
        def statistic(numbers: np.ndarray) -> float:
            return auc(np.concatenate([np.stack(scores[int(i)])[:, k] for i in numbers]))

        return bootstrap_of(statistic, np.arange(len(scores)), how=_HOW)

    return ColourRow(nearness, white, off, sum(map(len, scores)), of(0), of(1), of(2))


def _scores(env: EyeEnv, options: Mapping[str, object], focus_dpt: float) -> np.ndarray:
    """(3,) at one look, higher for too near: red over blue, the reflex's likelihood, and luminance alone.

    Luminance has no sign to tell; the focus term stands for whatever it may be correlated with.
    """
    obs, info = env.reset(options={**options, "focus_dpt": focus_dpt})
    told = obs["statistics"]
    energy, error = read_statistics(told)
    look = ContrastLook(focus_dpt, _PUPIL_MM, energy, error)
    answer = likeliest_dpt(object_likelihood([look], info["px_per_deg"]))
    return np.array([told[STATISTICS.index("red_over_blue")], focus_dpt - answer, info["terms"]["focus"]])
