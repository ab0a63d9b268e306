"""What the benchmarks compute from what they measure; nothing here is timed."""

import argparse
import math
import mmap
from pathlib import Path

import epoch
import pytest
import scale
import torch

from trainwell.data.prepare import prepare


def test_ratios_are_taken_round_by_round() -> None:
    speeds = [(100.0, 50.0), (80.0, 20.0), (90.0, 30.0)]
    rounds = [
        {name: {"samples_per_second": speed, "cpu_seconds": 1.0} for name, speed in zip(("loop", "bare"), pair)}
        for pair in speeds
    ]
    found = epoch.figures("loop", rounds)
    assert found["n"] == 3
    assert found["loop"] == {"samples_per_second": 90.0, "low": 80.0, "high": 100.0, "cpu_seconds": 1.0}
    assert found["ratio_to_bare"] == {"median": 3.0, "low": 2.0, "high": 4.0}


def test_pictures_say_their_class() -> None:
    images, labels = epoch.pictures(200, 3)
    assert images.shape == (200, 28, 28, 3)
    assert images.dtype == torch.uint8
    brightness = images.float().mean(dim=(1, 2, 3))
    assert (brightness[labels == 9].min() > brightness[labels == 0].max()).item()


@pytest.mark.parametrize("name", ["loop", "small-loop", "small-loop-float32"])
def test_the_loop_takes_part(name: str) -> None:
    options = argparse.Namespace(images=300, epochs=1, threads=torch.get_num_threads(), precision="float32")
    found = epoch.CONTENDERS[name](options)
    assert found["samples_per_second"] > 0
    assert found["seconds"] > 0


def test_the_small_network_has_three_convolutions() -> None:
    network = epoch.small_network()
    assert sum(isinstance(layer, torch.nn.Conv2d) for layer in network) == 3
    assert network(torch.zeros(2, 3, 28, 28)).shape == (2, 10)


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_slope_is_the_power(power: float) -> None:
    counts = [1_000, 3_000, 10_000]
    assert math.isclose(scale.slope(counts, [3e-6 * count**power for count in counts]), power)


def test_summary_tells_flat_memory_from_growing() -> None:
    counts = [1_000, 10_000, 100_000]
    flat = scale.summary(counts, [{"seconds": count / 1e4, "peak_mib": 60.0} for count in counts])
    assert flat["slope"] == pytest.approx(1.0)
    assert flat["memory_growth_mib"] == 0
    grown = scale.summary(counts, [{"seconds": count / 1e4, "peak_mib": count / 1e3} for count in counts])
    assert grown["memory_slope_of_the_larger"] == pytest.approx(1.0)
    assert grown["bytes_a_sample"] == pytest.approx(2**20 / 1e3)


def test_made_pictures_are_prepared_and_none_is_a_copy(tmp_path: Path) -> None:
    scale.make_images(tmp_path / "png", 60)
    dataset = prepare(tmp_path / "png", cache=tmp_path / "cache")
    assert dataset.record.samples == 60
    assert dataset.record.input.shape == (32, 32, 3)
    assert dataset.record.duplicates == 0


def test_made_rows_are_prepared(tmp_path: Path) -> None:
    scale.make_rows(tmp_path / "rows.csv", 500)
    dataset = prepare(tmp_path / "rows.csv", target="kind", cache=tmp_path / "cache")
    assert dataset.record.samples == 500
    assert dataset.record.task == "classification"


def test_measured_counts_what_was_added_within() -> None:
    # Mapped anew: the allocator would take a bytearray from what earlier tests have freed and is resident still.
    with mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as added, scale.measured() as found:
        added.write(b"x" * len(added))
    assert found["peak_mib"] > 50
