"""The benchmark: what it counts, on a cortex that does next to nothing; never how long it takes."""

import copy
import json
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from ciliary.cortex import PARAMETERS
from ciliary.cortex.ops.smoothing import halve
from ciliary.cortex.percept import Cues, M1Out, M2Out, M3Out, M4Out, Percept, RetinaOut
from ciliary.tuning.benchmarks import speed as benchmark
from ciliary.tuning.benchmarks.speed import BenchmarkSettings, Row, Timing, compare, growth, run_benchmark, write_record

SMALL = BenchmarkSettings(sizes_px=(24, 48), populations=(1, 3), n_repeats=3, n_warmup=1, n_threads=1, max_images=10)


class Stage(nn.Module):
    def __init__(self, out, calls):
        super().__init__()
        self.out, self.calls = out, calls

    def forward(self, image):
        self.calls.append(len(image))
        n_fields = len(self.out.__dataclass_fields__)
        return self.out(*[image.expand(-1, 3, -1, -1)] * n_fields)


STAGES = ("retina", "m1", "m2", "m3", "m4")  # of a cortex that does not recognise


class QuickCortex(nn.Module):
    """Every stage hands the image on; the masks are its three channels."""

    name, table, answers, inert = "cortex", PARAMETERS, frozenset({"gradient"}), frozenset()

    def __init__(self):
        super().__init__()
        self.calls = []
        for name, out in zip(STAGES, (RetinaOut, M1Out, M2Out, M3Out, M4Out), strict=True):
            setattr(self, name, Stage(out, self.calls))

    def cues(self, image):
        return Cues(torch.zeros_like(image[:, :1]), None)

    def forward(self, image, theta=None, cues=None):
        assert len(image) == len(cues.depth) == len(theta["n_slots"])
        stages = [getattr(self, name)(image) for name in STAGES]
        masks = torch.softmax(8 * image, 1)
        flat = replace(stages[4], embedding=masks.mean((2, 3))[..., None], objectness=masks.mean((2, 3)))
        # Where the cached properties keep what they drew.
        flat.__dict__.update(masks=masks, masks_coarse=halve(masks))
        return Percept(*stages[:4], flat)


@pytest.fixture(scope="module")
def cortex():
    return QuickCortex()


@pytest.fixture(scope="module")
def record(cortex):
    return run_benchmark(SMALL, cortex=cortex)


def test_every_scenario_is_there(record):
    scenarios = [(tuple(row["size_px"]), row["population"]) for row in record["rows"]]
    assert scenarios == [((16, 24), 1), ((16, 24), 3), ((32, 48), 1), ((32, 48), 3)]
    for row in record["rows"]:
        assert list(row["stages"]) == [*STAGES, "rest"]
        for timing in (row["candidate"], row["look"], *row["stages"].values()):
            assert timing["q25_ms"] <= timing["median_ms"] <= timing["q75_ms"]
        assert row["candidate"]["median_ms"] > 0


def test_a_candidate_is_an_image_and_its_views(cortex, record):
    # 2 sizes x (warm-up + 3 repeats) x (1 + 3 candidates) x (1 + 4 views), through 5 stages; chunks hold 10 images.
    assert sum(cortex.calls) == 2 * 4 * 4 * 5 * 5
    assert max(cortex.calls) == 10


def test_hardware_versions_and_settings_are_inside(record):
    assert record["hardware"]["n_threads"] == 1
    assert record["hardware"]["processor"]
    assert {"python", "torch", "ciliary"} <= set(record["versions"])
    assert record["settings"]["n_repeats"] == 3
    assert set(record["growth"]) == {"1", "3"}


def test_threads_are_given_back_and_hooks_removed(cortex, record):
    before = torch.get_num_threads()
    run_benchmark(BenchmarkSettings(sizes_px=(24,), populations=(1,), n_repeats=1, n_threads=before + 1), cortex=cortex)
    assert torch.get_num_threads() == before
    assert not any(stage._forward_hooks or stage._forward_pre_hooks for stage in cortex.children())


def test_the_record_is_strict_json(record, tmp_path):
    path = tmp_path / "new" / "record.json"
    write_record({**record, "growth": {"1": math.nan}}, path)
    read = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert read["growth"]["1"] is None
    assert [row["population"] for row in read["rows"]] == [1, 3, 1, 3]


def rows_growing_as(exponent):
    sizes = [(64, 96), (128, 192), (256, 384)]
    return [Row(size, 1, Timing(*[0.01 * (size[0] * size[1]) ** exponent] * 3), {}, Timing(0, 0, 0)) for size in sizes]


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_growth_of_a_power_is_its_exponent(exponent):
    assert growth(rows_growing_as(exponent)) == pytest.approx(exponent)


def test_growth_needs_two_sizes():
    assert math.isnan(growth(rows_growing_as(1)[:1]))


def test_timing_by_hand():
    assert Timing.of([4, 1, 3, 2, 5]) == Timing(median_ms=3, q25_ms=2, q75_ms=4)


def with_time(record, name, ms):
    record = copy.deepcopy(record)
    timing = record["rows"][2]["candidate"] if name == "candidate" else record["rows"][2]["stages"][name]
    timing["median_ms"] = ms
    return record


@pytest.mark.parametrize(
    ("before_ms", "after_ms", "is_slower"),
    [(10, 13, True), (10, 12, False), (100, 102, False), (0.1, 0.9, False), (13, 10, False)],
)
@pytest.mark.parametrize("name", ["candidate", "m3"])
def test_slower_needs_both_ratio_and_floor(record, name, before_ms, after_ms, is_slower):
    lines = compare(with_time(record, name, before_ms), with_time(record, name, after_ms))
    expected = [f"48x32, population 1, {name}: {before_ms:.1f} -> {after_ms:.1f} ms"] if is_slower else []
    assert lines == expected


def test_scenarios_without_counterpart_are_passed_over(record):
    assert compare({"rows": []}, record) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_repeats": 0}, "n_repeats .*at least 1"),
        ({"populations": (0,)}, "populations .*at least 1"),
        ({"sizes_px": (16,)}, "sizes_px .*at least 24"),
    ],
)
def test_impossible_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        BenchmarkSettings(**settings)


def test_the_photograph_has_the_size_asked_for():
    image = benchmark.photograph(96)
    assert image.shape == (3, 64, 96)
    assert 0 <= image.min() < image.max() <= 1
