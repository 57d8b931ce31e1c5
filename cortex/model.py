"""The cortex: retina and stages M1-M5 in a row, and the cues that depend on the image alone."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

import torch
from torch import Tensor, nn

from ciliary.cortex.cues import make_backbone, make_deep, make_depth
from ciliary.cortex.cues.contour import ContourProvider, check_contour, make_contours
from ciliary.cortex.cues.depth import NoDepth
from ciliary.cortex.device import has_numbers, to_device
from ciliary.cortex.floats import single_precision
from ciliary.cortex.loading import load_object
from ciliary.cortex.options import cortex_name
from ciliary.cortex.parameters import COLUMNS_V0, LOOK_SPREADS, ParameterTable, Theta, check_theta, table_for
from ciliary.cortex.percept import Cues, LeanPercept, M1Out, M2Out, M3Out, M4Out, M5Out, Percept, RetinaOut
from ciliary.cortex.stages.inherited import TRUNK, load_inherited
from ciliary.cortex.stages.m2_taught import GivenM2
from ciliary.cortex.stages.table import TABLE
from ciliary.cortex.stages.weights import load_stages, stage_names
from ciliary.cortex.v4.code import add_curves

MIN_SIDE_PX = 32
_RANGE_SLACK = 1e-3  # rounding, of a resampled or mirrored image


class Cortex(nn.Module):
    """From an image and theta to a :class:`Percept`. Deterministic; differentiable in theta.

    It is made on the CPU; ``cortex.to("cuda")`` perceives images that lie there. In single precision always, also where
    torch's autocast is on around it: :meth:`_apply` says why.

    Args:
        depth: depth provider, ``"none"``, ``"pictorial"``, ``"learned"``, ``"midas"``, ``"hub:REPO:MODEL"`` or your
            own as ``"module:object"`` (:func:`ciliary.cortex.cues.make_depth`).
        features: backbone as a cue of grouping, ``"none"``, ``"efficientnet_lite0"`` or the name of a model of timm's.
        features_weights: state dict file of the backbone, in place of the package's or the hub's weights.
        inherited: stages that people's drawings taught: ``"none"``, ``"contours"`` (contours and the hierarchy on
            them), or ``"all"`` (the same on a pretrained trunk's maps, which become ``features`` if there are none).
        inherited_weights: file of inherited stages in place of the one that comes with the project.
        contours: a contour network of your own in place of the inherited one: called with images (B, 3, H, W), it
            returns boundary strength (B, 1, H, W) in [0, 1]; or ``module:object`` that is or makes one.
        learned: stages that use their learned part beside the mathematical one: True for all, or names such as
            ``("m2", "m5")``.
        weights: file of learned stages in place of the one that comes with the project.
        recognise: M5 answers too (it does when it is learned or given, or there are ``deep`` features).
        deep: backbone as a cue of recognition, ``"none"`` or ``"efficientnet_lite0"``.
        curvature: M4 tells which bends, corners and ends lie where (:mod:`ciliary.cortex.v4`), and M5 answers too.
        searches_all: nothing is called inert, as in version 0.1: parameters that can do nothing are searched too.
        retina, m1, m2, m3, m4, m5: stages of your own, in place of ours; modules with the same call and answer, or
            ``module:object`` that is or makes one.

    Raises:
        ProviderUnavailable: if a provider's weights can't be had; the message says what to do.
        FileNotFoundError, ValueError: as :func:`ciliary.cortex.stages.weights.load_stages`.
    """

    retina: nn.Module
    m1: nn.Module
    m2: nn.Module
    m3: nn.Module
    m4: nn.Module
    m5: nn.Module | None
    _lies: Tensor

    @single_precision
    def __init__(
        self,
        *,
        depth: str = "none",
        features: str = "none",
        features_weights: Path | str | None = None,
        inherited: str = "none",
        inherited_weights: Path | str | None = None,
        contours: ContourProvider | str | None = None,
        learned: bool | Collection[str] = False,
        weights: Path | str | None = None,
        recognise: bool = False,
        deep: str = "none",
        curvature: bool = False,
        searches_all: bool = False,
        retina: nn.Module | str | None = None,
        m1: nn.Module | str | None = None,
        m2: nn.Module | str | None = None,
        m3: nn.Module | str | None = None,
        m4: nn.Module | str | None = None,
        m5: nn.Module | str | None = None,
    ) -> None:
        super().__init__()
        # Of no size, and no weight: a cortex of mathematics alone has no other tensor that says where it lies.
        self.register_buffer("_lies", torch.empty(0), persistent=False)
        self.searches_all = searches_all
        self.sees_curvature = curvature
        self.name = cortex_name(inherited)
        self._table = table_for(inherited)
        self.look_spread = LOOK_SPREADS[inherited]
        if inherited == "all" and features == "none":
            features = TRUNK
        if inherited == "all" and features != TRUNK and inherited_weights is None:
            raise ValueError(
                f"inherited='all' was taught on {TRUNK}, got features={features!r}; use inherited='contours'"
            )
        self.depth = make_depth(depth)
        self.contours = None if contours is None else make_contours(contours)
        self.backbone = make_backbone(features, features_weights)
        self.deep = make_deep(deep)
        own = {"retina": retina, "m1": m1, "m2": m2, "m3": m3, "m4": m4, "m5": m5}
        given = {name: own_stage(stage) for name, stage in own.items() if stage is not None}
        if self.contours is not None:
            given.setdefault("m2", GivenM2())
        names = [name for name in stage_names(learned) if name not in given]
        stages = load_inherited(inherited, inherited_weights) | (load_stages(names, weights) if names else {}) | given
        recognises = recognise or curvature or deep != "none" or "m5" in stages
        for name, row in TABLE.items():
            self.add_module(name, stages.get(name) or (row.make() if name != "m5" or recognises else None))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Cortex:
        """Every move of a module goes through here; ``ValueError`` on one to another precision than float32.

        On 28 photographs, region covering of the percept in float32: bfloat16 in the contour networks alone .987, at
        least .897; in everything (the mathematical cortex; the inherited one fails) .844, at least .585; float16 .918,
        with terms that are not numbers.
        """
        if (dtype := fn(self._lies).dtype) is not torch.float32:
            raise ValueError(
                f"a cortex perceives in float32 alone, got {dtype}: with fewer digits it perceives something else; "
                "leave out .half(), .bfloat16() and the like"
            )
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    @property
    def device(self) -> torch.device:
        """Where it lies, and wants its images."""
        return self._lies.device

    @property
    def table(self) -> ParameterTable:
        """The cortex's parameter table, with the defaults of what it inherits."""
        return self._table

    @property
    def answers(self) -> frozenset[str]:
        """What its percepts have (:data:`ciliary.cortex.perceiver.ANSWERS`)."""
        always = ("gradient", "boundary", "energy", "stages")
        return frozenset((*always, "recognition") if self.m5 is not None else always)

    @property
    def inert(self) -> frozenset[str]:
        """Weights of cues that it was built without, and what its stages do not read."""
        if self.searches_all:  # what the first version had; later parameters were never searched by it
            return frozenset(self.table.names) - frozenset(COLUMNS_V0)
        given = {"depth_weight": not isinstance(self.depth, NoDepth), "backbone_weight": self.backbone is not None}
        unread: list[frozenset[str]] = [
            getattr(stage, "inert", frozenset()) for stage in (self.m1, self.m2, self.m3, self.m4)
        ]
        return frozenset(name for name, is_given in given.items() if not is_given).union(*unread)

    def cues(self, image: Tensor) -> Cues:
        """The maps that depend on the image (B, 3, H, W) alone; compute them once and share them between settings."""
        check_image(image)
        with torch.no_grad():
            trunk = backbone = None
            if self.backbone is not None:  # it looks once: the full-size map is made of its maps
                trunk = self.backbone.maps(image)
                backbone = self.backbone.full(trunk, (image.shape[-2], image.shape[-1]))
            deep = None if self.deep is None else self.deep(image)
            contour = None if self.contours is None else check_contour(self.contours(image), image)
            return Cues(self.depth(image), backbone, deep, trunk, contour)

    if TYPE_CHECKING:  # a torch module takes and returns Any

        @overload
        def __call__(
            self,
            image: Tensor,
            theta: Theta | None = None,
            cues: Cues | None = None,
            *,
            store_intermediate: Literal[True] = True,
        ) -> Percept: ...
        @overload
        def __call__(
            self,
            image: Tensor,
            theta: Theta | None = None,
            cues: Cues | None = None,
            *,
            store_intermediate: Literal[False],
        ) -> LeanPercept: ...
        def __call__(
            self,
            image: Tensor,
            theta: Theta | None = None,
            cues: Cues | None = None,
            *,
            store_intermediate: bool = True,
        ) -> Percept | LeanPercept:
            """As :meth:`forward`."""
            ...

    @single_precision
    def forward(
        self,
        image: Tensor,
        theta: Theta | None = None,
        cues: Cues | None = None,
        *,
        store_intermediate: bool = True,
    ) -> Percept | LeanPercept:
        """Perceive.

        Args:
            image: (B, 3, H, W) float32, sRGB in [0, 1], both sides at least MIN_SIDE_PX, where the cortex lies; so
                does the percept.
            theta: one value per sample and parameter, (B,) each, on any device; the defaults when None.
            cues: from :meth:`cues`; computed here when None.
            store_intermediate: False keeps the proto-objects and the contour alone, and M5 is not asked.

        Raises:
            ValueError: on a wrong shape, dtype or range of ``image``, or a theta of another batch size.
            KeyError: on unknown or missing parameter names.
        """
        check_image(image)
        theta = self.table.default_theta(len(image), image.device) if theta is None else theta
        check_theta(theta, len(image))
        theta = to_device(theta, image.device)
        cues = self.cues(image) if cues is None else cues
        retina = self.retina(image, theta)
        m1 = self.m1(retina, cues, theta)
        m2 = self.m2(m1, theta)
        m3 = self.m3(m1, m2, theta)
        m4 = self.objects(m1, m2, m3, theta)
        return self.recognised(retina, m1, m2, m3, m4, cues) if store_intermediate else LeanPercept(m4, m2.contour)

    def objects(self, m1: M1Out, m2: M2Out, m3: M3Out, theta: Theta) -> M4Out:
        """M4's proto-objects, with V4's embedding of them where the cortex sees curvature."""
        m4: M4Out = self.m4(m3, theta)
        return add_curves(m4, m1, m2) if self.sees_curvature else m4

    def recognised(self, retina: RetinaOut, m1: M1Out, m2: M2Out, m3: M3Out, m4: M4Out, cues: Cues) -> Percept:
        """The percept of these stages, with what M5 says of it where there is one."""
        m5: M5Out | None = None if self.m5 is None else self.m5(retina, m1, m4, cues)
        return Percept(retina, m1, m2, m3, m4, m5)


def own_stage(stage: nn.Module | str) -> nn.Module:
    """A stage that is given, or that ``module:object`` names: a module, or a class or function that makes one.

    Raises:
        ValueError, TypeError: no such object, or it is no stage.
    """
    found = load_object(stage, what="stage") if isinstance(stage, str) else stage
    made = found() if callable(found) and not isinstance(found, nn.Module) else found
    if not isinstance(made, nn.Module):
        raise TypeError(f"expected a stage, a torch module, got {type(made).__name__} from {stage!r}")
    return made


def check_image(image: Tensor) -> None:
    """Raise ``ValueError`` unless ``image`` is (B, 3, H, W) float32 in [0, 1] and large enough."""
    if image.ndim != 4 or image.shape[1] != 3 or image.dtype != torch.float32:
        raise ValueError(
            f"expected an image (B, 3, H, W) of float32 in [0, 1], got {tuple(image.shape)} of {image.dtype}"
        )
    if min(image.shape[-2:]) < MIN_SIDE_PX:
        raise ValueError(
            f"expected both sides >= {MIN_SIDE_PX} px, got {tuple(image.shape[-2:])}; enlarge the image first"
        )
    if not image.numel() or not has_numbers(image):
        return
    low, high = (float(x) for x in torch.aminmax(image.detach()))
    if not (low >= -_RANGE_SLACK and high <= 1 + _RANGE_SLACK):  # also when one of them is NaN
        raise ValueError(
            f"expected values in [0, 1], got {low:.3g} to {high:.3g}; divide bytes by 255, clamp after interpolating"
        )
