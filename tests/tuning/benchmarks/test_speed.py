"""The benchmark: what it counts, on a cortex that does next to nothing; never how long it takes."""

import copy
import json
import math
import time
from dataclasses import replace

import pytest
import torch
from torch import nn

from ciliary.cortex import PARAMETERS
from ciliary.cortex.ops.smoothing import halve
from ciliary.cortex.percept import Cues, M1Out, M2Out, M3Out, M4Out, Percept, RetinaOut
from ciliary.tuning.benchmarks import speed_page
from ciliary.tuning.benchmarks.settings import PARTS, BenchmarkSettings, named_parts
from ciliary.tuning.benchmarks.speed import compare, run_benchmark, write_record
from ciliary.tuning.benchmarks.speed_job import command
from ciliary.tuning.benchmarks.speed_percept import Row, growth
from ciliary.tuning.benchmarks.speed_pictures import make_pictures, photograph
from ciliary.tuning.benchmarks.timing import Timing, Watch, each, repeat

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
        for timing in (row["candidate"], row["look"], row["percept"], *row["stages"].values()):
            assert timing["n"] == 3
            assert timing["q25_ms"] <= timing["median_ms"] <= timing["q75_ms"]
        assert row["candidate"]["median_ms"] > 0


def test_a_candidate_is_an_image_and_its_views(cortex, record):
    # 2 sizes x (warm-up + 3 repeats) x (1 + 3 candidates) x (1 + 4 views), through 5 stages; chunks hold 10 images;
    # and as often each candidate without views, the percept.
    assert sum(cortex.calls) == 2 * 4 * 4 * (5 + 1) * 5
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
    assert Timing.of([4, 1, 3, 2, 5]) == Timing(median_ms=3, q25_ms=2, q75_ms=4, n=5)


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
    image = photograph(96)
    assert image.shape == (3, 64, 96)
    assert 0 <= image.min() < image.max() <= 1


def test_pictures_are_others_and_the_same_again(tmp_path):
    one, two = (sorted(make_pictures(tmp_path / name, 5, 48, 0).iterdir()) for name in "ab")
    contents = [path.read_bytes() for path in one]
    assert [path.read_bytes() for path in two] == contents
    assert len(set(contents)) == 5


def test_both_clocks_and_the_warming_up():
    called = []
    timing = repeat(lambda: called.append(sum(range(100_000))), n_repeats=4, n_warmup=2, n_units=2)
    assert (len(called), timing.n) == (6, 4)
    assert timing.processor is not None
    assert 0 < timing.processor.median_ms <= timing.q75_ms * 2
    assert each([lambda: called.append(0)] * 3).n == 2
    assert len(called) == 9


def test_who_waits_takes_no_processor_time():
    watch = Watch()
    watch.time(lambda: time.sleep(0.05))
    assert watch.wall_ms[0] >= 50
    assert watch.processor_ms[0] < 25


def test_parts_by_name():
    assert named_parts(["all"]) == PARTS
    assert named_parts(["peers,percept"]) == ("percept", "peers")
    with pytest.raises(ValueError, match="knows no 'everything'"):
        BenchmarkSettings(parts=named_parts(["everything"]))


LINE = {
    "part": "folder",
    "name": "session, 2 workers",
    "unit": "image",
    "timing": {"median_ms": 500.0, "q25_ms": 450.0, "q75_ms": 650.0, "n": 9, "processor": None},
    "about": {
        "size_px": 96,
        "controller": "panel",
        "n_workers": 2,
        "n_images": 10,
        "per_s": 2.0,
        "simulated_per_s": 2.2,
        "start_s": 3.0,
        "processor_s_in_all": 8.0,
        "kb_per_image": 120.0,
        "files_per_image": 3.1,
    },
}


def test_the_page_says_what_is_in_the_record(record):
    whole = {**record, "measured": [LINE], "missing": {"ap_gym": "cannot be imported"}}
    text = speed_page.page(whole, "ciliary benchmark --parts all")
    for words in (
        *("ciliary benchmark --parts all", "48x32", "500 (450–650)", "no GPU", "- ap_gym: cannot be imported"),
        "| 2 | 2.00 | 2.20 | 3.0 | 0.80 | 120 | 3.1 |",
    ):
        assert words in text
    assert "nan" not in text


def test_a_million_is_a_million_times_one(record):
    spent = {"median_ms": 36.0, "q25_ms": 36.0, "q75_ms": 36.0}
    stages = [
        {**LINE, "name": name, "about": {"size_px": 96}, "timing": {**spent, "n": 5, "processor": spent}}
        for name in ("read", "play")
    ]
    text = speed_page.page({**record, "measured": [*stages, LINE]}, "")
    for row in ("| read | 10.0 h of a core |", "| all stages | 20 h of a core |", "| on the disk | 123 GB |"):
        assert row in text


def test_other_parts_are_compared_too(record):
    slower = copy.deepcopy(LINE)
    slower["timing"]["median_ms"] = 900.0
    records = [{**record, "measured": [one]} for one in (LINE, slower)]
    assert compare(*records) == ["session, 2 workers, 96: 500.0 -> 900.0 ms"]
    assert compare(*records[::-1]) == []


def test_records_of_two_cortices_are_not_compared(record):
    other = {**record, "settings": {**record["settings"], "inherited": "all"}}
    with pytest.raises(ValueError, match="inherited all, not contours; run again with --inherited all"):
        compare(other, record)


def test_the_command_is_told_as_it_is_typed():
    asked = BenchmarkSettings(parts=PARTS, sizes_px=(96, 192), n_images=40)
    assert command(asked) == "ciliary benchmark --parts all --sizes 96 192 --images 40"
    assert command(BenchmarkSettings()) == "ciliary benchmark"
