"""The estimator: ``fit`` chooses how to look, on labelled images or on none; ``predict`` accommodates to each image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ciliary.agents.base import ControllerBase
from ciliary.agents.guard import Guard
from ciliary.agents.registry import make_controller
from ciliary.cortex.device import choose_device
from ciliary.cortex.floats import single_precision
from ciliary.cortex.options import INHERITED, default_objective
from ciliary.cortex.perceiver import Perceiver
from ciliary.cortex.perceivers import make_glancing, make_perceiver
from ciliary.envs.data.reading import MIN_SIDE_PX, Photograph
from ciliary.envs.metrics.regions import People
from ciliary.envs.objective.looks_objective import LooksObjective
from ciliary.envs.single import AccommodationEnv
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.estimator.choosing import chosen_looks, given_looks, people_of, recommended_looks
from ciliary.tuning.estimator.inputs import at_image, check_images, check_people, read_image, read_label_maps
from ciliary.tuning.estimator.scores import check_metric, image_scores
from ciliary.tuning.sessions.accommodation import Accommodation, accommodated
from ciliary.tuning.sessions.settings import ANSWERS, CALIBRATED_CONTROLLERS, LOOKERS

N_LOOKS = 4
_SPREAD = 0.25  # in u, of where a search begins


class CiliarySegmenter(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Segment images with settings accommodated to each; those to begin with chosen on labelled images.

    ``fit(X, y)`` chooses, among ``n_candidates`` settings of the perceiver, the one that agrees best with the label
    maps, and the looks that add most to it. ``fit(X)``, without labels, takes those that come along for the perceiver.
    ``predict`` sees no label: it looks at each image through all of them and puts together what was seen
    (``answer="integrated"``), or searches the one setting that holds best for it (``answer="best"``).

    X is a list of images, of any sizes, or an array (N, H, W) or (N, H, W, 3): arrays of uint8, uint16 or in [0, 1],
    PIL images, paths, names of bundled photographs. y is a list of label maps (H, W) of any integers, numbers that mean
    nothing but "the same region"; or of each image those of several people; or paths of label maps.

    Args:
        perceiver: who sees. ``contours``, ``all`` or ``none``: the cortex, by what it inherits; ``slic``,
            ``felzenszwalb``, ``watershed``; ``module:object``; a perceiver; or a function
            ``segment(image, **parameters) -> label map`` whose parameters have positive numbers as defaults.
        answer: ``integrated`` (what all looks come to together) or ``best`` (one setting for each image).
        looks: to look through these, and choose none: :class:`~ciliary.envs.objective.chosen_looks.ChosenLooks`, or a
            file of ``looks_.save`` or ``ciliary calibrate --looks``. None: ``fit`` chooses.
        n_looks: how many looks; 1 with labels is the best fixed setting. None: 4 with labels, without them all that
            there are.
        n_candidates: settings that fitting with labels chooses from; a power of two keeps them evenly spread.
        controller: who proposes settings, by name or ``module:object``; None: ``panel``, and ``tpe`` for ``best``.
        objective: what a search for ``best`` minimises; None: ``agreement``, ``calibrated`` where the controller
            learned under it.
        n_trials: settings tried an image, at most.
        use_guard: whether the first setting is kept where the gain of leaving it may be noise.
        metric: what fitting and ``score`` take for good: ``covering``, ``pri``, or ``voi`` (its negative).
        size_px: long side at which images are looked at, >= 32; label maps have the images' own size.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        random_state: of the search, and the order of images in races; an int makes all of it repeatable.
        verbose: above 0 shows progress on stderr.

    Attributes:
        looks_: the settings, as :class:`ciliary.envs.objective.chosen_looks.ChosenLooks`; ``looks_.save("looks.json")``
            writes a file of numbers, for ``looks`` and for ``ciliary accommodate --objective looks.json``.
        settings_: of each look, physical values by the parameters' names.
        scores_: (n_looks,) mean of the metric over the fitted images of the first 1, 2, ... looks together; None where
            no label chose. They chose the looks: what is to be told to others is ``score`` of other images.
        seed_: of every episode.
    """

    def __init__(
        self,
        perceiver: Any = "contours",
        *,
        answer: str = "integrated",
        looks: Any = None,
        n_looks: int | None = None,
        n_candidates: int = 32,
        controller: Any = None,
        objective: Any = None,
        n_trials: int = 64,
        use_guard: bool = True,
        metric: str = "covering",
        size_px: int = 192,
        device: str = "auto",
        random_state: Any = 0,
        verbose: int = 0,
    ) -> None:
        self.perceiver = perceiver
        self.answer = answer
        self.looks = looks
        self.n_looks = n_looks
        self.n_candidates = n_candidates
        self.controller = controller
        self.objective = objective
        self.n_trials = n_trials
        self.use_guard = use_guard
        self.metric = metric
        self.size_px = size_px
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @single_precision
    def fit(self, X: Any, y: Any = None) -> CiliarySegmenter:  # noqa: N803 -- scikit-learn's name
        """Choose how to look: on labelled images, or, without ``y``, as is recommended for the perceiver.

        Raises:
            ValueError, TypeError: a parameter, an image or a label map is wrong; says which, and what was expected.
            RuntimeError: the perceiver failed; says on which image.
        """
        self._check_parameters()
        images = check_images(X)
        photographs = [read_image(image, i, self.size_px) for i, image in enumerate(images)]
        people = [] if y is None else self._read_people(y, photographs)
        perceiver = self._make_perceiver()
        self.seed_ = int(check_random_state(self.random_state).randint(2**31 - 1))
        if self.looks is not None:
            self.looks_, self.scores_ = given_looks(perceiver, self.looks, self.n_looks), None
        elif not people:
            self.looks_, self.scores_ = recommended_looks(perceiver, self.n_looks), None
        else:
            self.looks_, self.scores_ = chosen_looks(
                perceiver,
                photographs,
                people,
                n_looks=self.n_looks or min(N_LOOKS, self.n_candidates),
                n_candidates=self.n_candidates,
                metric=self.metric,
                seed=self.seed_,
                is_quiet=not self.verbose,
            )
        values = perceiver.table.by_name(self.looks_.u)
        self.settings_ = [{k: float(v[i]) for k, v in values.items()} for i in range(len(self.looks_.u))]
        self._seer = perceiver
        return self

    @single_precision
    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """The label map (H, W) int32 of each image, at its own size, numbered from 0.

        Returns:
            (N,) of arrays, dtype object, as images may differ in size; (N, H, W) where X is an array.

        Raises:
            sklearn.exceptions.NotFittedError: before ``fit``.
            ValueError, RuntimeError: an image cannot be read or perceived; says which. Nothing is left out in silence.
        """
        maps = [percept.labels for percept in self._each(X)]  # one percept at a time: it holds all its looks
        if isinstance(X, np.ndarray) and X.ndim > 1:
            return np.stack(maps)
        out = np.empty(len(maps), dtype=object)
        for i, labels in enumerate(maps):
            out[i] = labels
        return out

    def fit_predict(self, X: Any, y: Any = None) -> np.ndarray:  # noqa: N803
        """:meth:`fit`, then :meth:`predict` of the same images, as clusterers have it."""
        return self.fit(X, y).predict(X)

    @single_precision
    def percepts(self, X: Any) -> list[Accommodation]:  # noqa: N803
        """More than label maps: of each image also the boundary, the uncertainty, and what was tried.

        An image's looks take some 10 MB at 192 px: give many images in parts. Raises as :meth:`predict`.
        """
        return list(self._each(X))

    def _each(self, images: Any) -> Iterator[Accommodation]:
        check_is_fitted(self)
        images = check_images(images)
        env, controller = self._make_env(), self._make_controller()
        guard = Guard() if self.use_guard else None
        with Bar(len(images), title="accommodating", unit="images", is_quiet=not self.verbose) as bar:
            for i, image in enumerate(images):
                photograph = read_image(image, i, self.size_px)
                with at_image(i):
                    percept = accommodated(
                        env,
                        controller,
                        photograph,
                        seed=self.seed_,
                        n_trials=self.n_trials,
                        guard=guard,
                        with_before=False,
                    )
                yield percept
                bar.advance()

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:  # noqa: N803
        """Mean over images of the metric between predicted and drawn label maps; higher is better."""
        scores = image_scores(check_people(y, len(check_images(X))), self.predict(X), metric=self.metric)
        return float(np.average(scores, weights=sample_weight))

    def _read_people(self, y: Any, photographs: Sequence[Photograph]) -> list[People]:
        if self.looks is None and (self.n_looks or 0) > self.n_candidates:
            raise ValueError(f"expected n_looks <= n_candidates, got {self.n_looks} of {self.n_candidates}")
        pairs = zip(check_people(y, len(photographs)), photographs, strict=True)
        return [people_of(read_label_maps(drawn, i, one.original_size)) for i, (drawn, one) in enumerate(pairs)]

    def _check_parameters(self) -> None:
        if self.answer not in ANSWERS:
            raise ValueError(f"answer: expected one of {', '.join(ANSWERS)}, got {self.answer!r}")
        check_metric(self.metric)
        least = {"n_candidates": 1, "n_trials": 1, "size_px": MIN_SIDE_PX}
        least |= {} if self.n_looks is None else {"n_looks": 1}
        for name, low in least.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low:
                raise ValueError(f"{name}: expected a whole number >= {low}, got {value!r}")
        choose_device(self.device)
        self._make_controller()

    @property
    def _is_integrated(self) -> bool:
        return self.answer == "integrated"

    def _make_perceiver(self) -> Perceiver:
        asked = self.perceiver
        if isinstance(asked, str) and asked in INHERITED:
            asked = {"inherited": asked}
        return (make_glancing if self._is_integrated else make_perceiver)(asked, device=self.device)

    def _make_controller(self) -> ControllerBase:
        asked = self.controller or (LOOKERS[0] if self._is_integrated else "tpe")
        made = make_controller(asked)
        is_plain = isinstance(asked, str) and "spread" in made.option_names
        return made.with_options(spread=_SPREAD) if is_plain else made

    def _make_env(self) -> AccommodationEnv:
        """One environment for all images; episodes begin at the first look."""
        if not hasattr(self, "_seer"):  # it is not pickled
            self._seer = self._make_perceiver()
        objective = LooksObjective(chosen=self.looks_) if self._is_integrated else self.objective
        if objective is None:
            is_calibrated = self.controller in CALIBRATED_CONTROLLERS
            objective = default_objective(self._seer.name) if is_calibrated else "agreement"
        return AccommodationEnv(
            perceiver=self._seer,
            objective=objective,
            size_px=self.size_px,
            action_mode="absolute",
            with_looks=self._is_integrated,
            default_u=self.looks_.u[0],
        )

    def __getstate__(self) -> dict[str, Any]:
        """Without the perceiver, which is made anew: a file holds parameters and settings, not weights."""
        state = dict(super().__getstate__())
        state.pop("_seer", None)
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.no_validation = True  # images of several sizes are no table: they are read and checked one by one
        return tags
