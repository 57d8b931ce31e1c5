"""What an image is described by in the exams, and what the experts of M5 take part in it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from ciliary.cortex.description import N_DESCRIPTION
from ciliary.cortex.stages.m5_learned import N_CODE, ExpertBank
from ciliary.cortex.stages.m5_recognition import recognise
from ciliary.cortex.v4.code import EXTENT, RASTER, join_curves
from ciliary.cortex.v4.place import raster
from ciliary.tuning.benchmarks.perceive import Look
from ciliary.tuning.benchmarks.tokens import Features, Tokens, sets, single, unit

Representation = Callable[[Tokens], Features]

LEARNED = "M5 code"
MATHEMATICAL = "mathematical M5 code"
RANDOM = "random features"
GLOBAL = "global description"
DEEP = "deep on proto-objects"
BOTH = "M5 code + deep"
GLOBAL_DEEP = "global deep"
CURVES = "V4 on proto-objects"
SHAPED = "M5 code + V4"
FIGURE = "V4 of the figure"
CELLS = "V4 cells of the figure"
RANDOM_SEED = 0

WORDS: Mapping[str, str] = {
    LEARNED: "codes of the learned M5, one a proto-object",
    MATHEMATICAL: "codes of M5 without learning, of the same proto-objects",
    RANDOM: f"the mathematical codes, projected at random to {N_CODE} numbers (seed {RANDOM_SEED})",
    GLOBAL: "mathematical code of the image's mean description: no proto-objects",
    DEEP: "the backbone's last map averaged over each proto-object",
    BOTH: "code and deep features of each proto-object, each with the same say",
    GLOBAL_DEEP: "the backbone's last map averaged over the whole image",
    CURVES: "which bends, corners and ends lie where on each proto-object",
    SHAPED: "code and V4 of each proto-object, V4 with half the say",
    FIGURE: "which bends, corners and ends lie where in the whole image, taken as one figure",
    CELLS: "the same, place by place, for a match that lets each place move",
}


def representations(look: Look, *, has_runs: bool = False) -> dict[str, Representation]:
    """Name -> function, of all there is with this cortex; see :data:`WORDS` for what they are.

    Args:
        look: which cortex.
        has_runs: whether examples are those of official runs, few enough to be matched place by place.
    """
    own: dict[str, Representation] = {LEARNED: learned_code} if look.has_learned_m5 else {}
    found = own | {MATHEMATICAL: mathematical_code, RANDOM: random_features, GLOBAL: global_description}
    code = learned_code if look.has_learned_m5 else mathematical_code
    if look.curvature:
        found |= {
            CURVES: curves,
            SHAPED: lambda tokens: shaped_code(tokens, code(tokens)),
            FIGURE: lambda tokens: single(_given(tokens.figure).reshape(len(tokens), -1)),
        } | ({CELLS: figure_cells} if has_runs else {})
    if look.deep != "none":
        found |= {
            DEEP: lambda tokens: sets(_given(tokens.pooled), tokens.weight),
            BOTH: lambda tokens: _side_by_side(code(tokens), sets(_given(tokens.pooled), tokens.weight)),
            GLOBAL_DEEP: lambda tokens: single(_given(tokens.deep)),
        }
    return found


def learned_code(tokens: Tokens) -> Features:
    """What the cortex's own M5 answered."""
    return sets(tokens.code, tokens.weight)


def mathematical_code(tokens: Tokens) -> Features:
    """:func:`ciliary.cortex.stages.m5_recognition.recognise` of the same descriptions."""
    return sets(_recognised(tokens.description, tokens.weight), tokens.weight)


def random_features(tokens: Tokens) -> Features:
    """A normal projection, fixed by its seed, of the mathematical code to the size of the learned one."""
    rng = np.random.default_rng(RANDOM_SEED)
    projection = rng.standard_normal((N_DESCRIPTION, N_CODE)).astype(np.float32)
    return sets(_recognised(tokens.description, tokens.weight) @ projection, tokens.weight)


def global_description(tokens: Tokens) -> Features:
    """The whole image as one proto-object whose description is the weighted mean of all."""
    mean = (tokens.description * tokens.weight[..., None]).sum(1, keepdims=True)
    return single(_recognised(mean, np.ones_like(tokens.weight[:, :1]))[:, 0])


def curves(tokens: Tokens) -> Features:
    """V4's embedding of each proto-object."""
    return sets(_given(tokens.curves), tokens.weight)


def shaped_code(tokens: Tokens, code: Features) -> Features:
    """``M5Out.shaped`` of what was kept."""
    joint = join_curves(torch.from_numpy(code.vectors), torch.from_numpy(curves(tokens).vectors))
    return Features(joint.numpy(), code.weight, code.starts)


def figure_cells(tokens: Tokens) -> Features:
    """A vector for each place of the figure where V4 answers: what answers there, and where it is.

    The place is a population of its own, Gaussian fields over the frame: the cosine of two vectors is that of what
    answers, plus ``_PLACE_SHARE`` times a Gaussian of their distance. So a match may move, at a price.
    """
    figure = _given(tokens.figure)
    strength = np.linalg.norm(figure, axis=2)
    strength = np.where(strength >= _LEAST_ANSWER * strength.max(1, keepdims=True), strength, 0)
    distance = np.linalg.norm(PLACES[:, None] - PLACES[None], axis=2)
    place = unit(np.exp(-0.5 * (distance / _PLACE_WIDTH) ** 2)) * np.sqrt(_PLACE_SHARE)
    vectors = np.concatenate([unit(figure), np.broadcast_to(place, (len(figure), *place.shape))], 2)
    weight = strength / np.maximum(strength.sum(1, keepdims=True), 1e-12)
    return sets(vectors, weight, least_weight=1e-9)


_PLACE_SHARE, _PLACE_WIDTH, _LEAST_ANSWER = 1.0, 0.6, 0.1
PLACES = raster(RASTER, EXTENT, torch.device("cpu")).numpy()


def _recognised(description: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return recognise(torch.from_numpy(description), torch.from_numpy(weight)).code.numpy()


def _given(deep: np.ndarray | None) -> np.ndarray:
    if deep is None:
        raise ValueError("expected tokens with such features; perceive with a deep backbone, or with V4")
    return deep.astype(np.float32)


def _side_by_side(a: Features, b: Features) -> Features:
    return Features(unit(np.concatenate([a.vectors, b.vectors], 1)), a.weight, a.starts)


@dataclass(frozen=True, eq=False)
class Load:
    """Who answers, over the proto-objects of many images, weighted by how much each counts.

    Attributes:
        n_active: mean number of experts that answer.
        share: (E,) of all answers, each expert's; sums to 1.
    """

    n_active: float
    share: np.ndarray

    @property
    def n_experts(self) -> int:
        """E."""
        return len(self.share)

    @property
    def n_effective(self) -> float:
        """Experts in use: the exponential of the entropy of their shares, between 1 and E."""
        share = self.share[self.share > 0]
        return float(np.exp(-(share * np.log(share)).sum()))


def expert_load(tokens: Tokens) -> Load:
    """Load of the gates that were perceived."""
    weight = tokens.weight[..., None] / len(tokens)
    n_active = float((weight * (tokens.gate > 0)).sum())
    share = (weight * tokens.gate).sum((0, 1))
    return Load(n_active, share / share.sum())


def with_active(net: ExpertBank, n_active: int) -> ExpertBank:
    """The same experts, of which ``n_active`` answer; weights are shared."""
    if not 1 <= n_active <= net.router.out_features:
        raise ValueError(f"expected 1 to {net.router.out_features} active experts, got {n_active}")
    changed = copy.copy(net)
    changed.n_active = n_active
    return changed


@torch.no_grad()
def codes_with(tokens: Tokens, net: ExpertBank, n_active: int) -> Features:
    """Codes of the same descriptions when ``n_active`` experts answer."""
    description = torch.from_numpy(tokens.description)
    standard = net.standardise(description.flatten(0, 1))
    code = with_active(net, n_active)(standard)[0]
    return sets(code.unflatten(0, description.shape[:2]).numpy(), tokens.weight)
