"""The Engine page: no worker, a worker without and with its model, reading speed, devices."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest
from page_driver import notices, open_page, press, words_of
from page_seeds import Seeds

from app.choices import Choices
from app.view import machine, threshold
from storage import jobs, metrics

LOADED = {
    "pid": 4711,
    "model": "default",
    "device": "cpu",
    "backend": "torch cpu int8",
    "model_bytes": 140_000_000,
    "memory_bytes": 612_000_000,
    "fingerprint": "ab12cd34ef56ab12cd34ef56",
    "description": "30 layers, width 576",
    "power_source": "RAPL package-0",
}


@pytest.fixture(autouse=True)
def _fresh_devices() -> None:
    machine.find_devices.clear()


def test_without_a_worker_it_says_how_to_start_one() -> None:
    page = open_page("machine")
    assert not page.exception
    assert "python3 start.py worker" in notices(page)
    assert "No worker has been heard from yet" in words_of(page)
    assert "Nothing has been read yet" in words_of(page)


def test_a_worker_without_its_model_says_when_it_loads() -> None:
    seeds = Seeds()
    with seeds.database.session() as s:
        jobs.beat_worker(s, "w", pid=os.getpid(), model="default", device="auto")
    said = words_of(open_page("machine"))
    assert "Fingerprint not available" in said
    assert "loaded when there is something to read" in said


def test_a_worker_tells_model_device_and_memory() -> None:
    seeds = Seeds()
    with seeds.database.session() as s:
        jobs.beat_worker(s, "w", **LOADED)
    page = open_page("machine")
    assert not page.exception
    assert notices(page) == ""
    said = words_of(page)
    for words in (
        "Model default",
        "140 MB",
        "ab12cd34ef56ab12",
        "torch cpu int8",
        "612 MB",
        "RAPL package-0",
        "4711",
    ):
        assert words in said
    assert "30 layers, width 576" in said


def test_reading_speed_is_drawn_against_the_context() -> None:
    seeds = Seeds()
    with seeds.database.session() as s:
        for tokens in (1000, 2000, 3000):
            metrics.add_metric(s, "read", {"context_tokens": tokens, "read_tokens_per_s": 800.0})
        metrics.add_metric(s, "read", {})
    page = open_page("machine")
    assert not page.exception
    assert "3 stretches of reading" in words_of(page)
    table = machine.reading_table(machine.load_machine().stretches)
    assert table["Tokens in the context"].tolist() == [1000, 2000, 3000]


def test_devices_are_listed_by_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"name": "cpu", "label": "A processor", "memory_bytes": 8e9, "chosen": True, "reason": "only one"}
    reply = json.dumps([found]).encode()
    answer_with(monkeypatch, subprocess.CompletedProcess([], 0, stdout=reply))
    page = press(open_page("machine"), "List devices")
    assert not page.exception
    row = page.dataframe[0].value.to_dict("records")[0]
    assert (row["Name"], row["Memory"], row["Why"]) == ("cpu", "8.0 GB", "only one")


def test_devices_that_cannot_be_listed_are_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_with(monkeypatch, subprocess.CompletedProcess([], 0, stdout=b"nonsense"))
    page = press(open_page("machine"), "List devices")
    assert not page.exception
    assert "could not be listed" in notices(page)


def answer_with(monkeypatch: pytest.MonkeyPatch, reply: subprocess.CompletedProcess[bytes]) -> None:
    def run(*args: Any, **kwargs: Any) -> subprocess.CompletedProcess[bytes]:
        return reply

    monkeypatch.setattr(machine.subprocess, "run", run)


def test_a_device_is_chosen_for_the_next_job(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = Seeds()
    found = [
        {"name": "cpu", "label": "A processor", "usable": True},
        {"name": "cuda:0", "label": "A card", "usable": True},
        {"name": "npu", "label": "Broken", "usable": False},
    ]
    answer_with(monkeypatch, subprocess.CompletedProcess([], 0, stdout=json.dumps(found).encode()))
    page = press(open_page("machine"), "List devices")
    box = next(box for box in page.selectbox if box.key == "device_choice")
    assert not any("npu" in option for option in box.options), "what cannot be used is not offered"
    box.set_value("cuda:0").run()
    press(page, "Use this device")
    assert not page.exception
    with seeds.database.session() as s:
        chosen = Choices.load(s)
    assert chosen.device == "cuda:0"
    assert chosen.device_at > 0


def test_a_device_fixed_on_the_command_line_is_not_offered_for_choice() -> None:
    seeds = Seeds()
    with seeds.database.session() as s:
        jobs.beat_worker(s, "w", **LOADED, fixed=True)
    page = open_page("machine")
    assert not page.exception
    assert "--device" in words_of(page)
    assert not any(box.key == "device_choice" for box in page.selectbox)


def test_power_is_estimated_only_when_switched_on() -> None:
    seeds = Seeds()
    page = open_page("machine")
    assert not any(box.key == "estimate_kind" for box in page.selectbox)
    page.toggle(key="estimate_on").set_value(True).run()
    next(box for box in page.selectbox if box.key == "estimate_kind").set_value("Thin laptop, 15 W")
    press(page, "Use")
    assert not page.exception
    with seeds.database.session() as s:
        assert Choices.load(s).tdp_w == 15
    page.toggle(key="estimate_on").set_value(False).run()
    with seeds.database.session() as s:
        assert Choices.load(s).tdp_w is None


def test_another_threshold_names_what_must_be_read_again_and_has_it_read() -> None:
    seeds = Seeds()
    archive = seeds.archive("Leases")
    seeds.lease(archive)
    page = open_page("machine")
    own = threshold.measured()["own_k"]
    assert f"k = {own:g} (measured): perplexity {threshold.at(own)['perplexity']:.3g}" in words_of(page)
    assert "the model that comes with Engram" in words_of(page)
    page.slider(key="spike_k").set_value(2.0).run()
    assert not page.exception
    assert f"k = 2 ({_exactly(2)}): perplexity {threshold.at(2)['perplexity']:.3g}" in words_of(page)
    assert "Leases" in notices(page)
    assert "To be read again" in notices(page)
    press(page, "Use k = 2 and read again")
    assert not page.exception
    with seeds.database.session() as s:
        assert Choices.load(s).spike_k == 2.0
        assert [job.kind for job in jobs.list_jobs(s, archive.id)] == ["read"]


def _exactly(k: float) -> str:
    points = [point["k"] for point in threshold.measured()["points"]]
    return "measured" if k in points else "between measured points"


def test_figures_between_measured_points_lie_between() -> None:
    low, high = threshold.measured()["points"][2:4]
    assert threshold.at(low["k"]) == low
    between = threshold.at((low["k"] + high["k"]) / 2)
    assert high["perplexity"] < between["perplexity"] < low["perplexity"]


def test_the_curve_says_what_it_was_measured_on() -> None:
    kept = {
        "fingerprint": "9ee89df891c9", "machine": "AMD EPYC", "date": "2026-11-22T10:00:00", "tokens": 4688,
        "texts": 12, "perplexity_dense": 16.43, "answerable": 30, "sets": ["squad"], "f1_dense": 0.74,
        "source": "tests/bench/results/threshold.jsonl",
    }  # fmt: skip
    said = threshold.measured_on(kept, {})
    for words in ("fingerprint 9ee89df891c9", "4,688 tokens of 12 sample texts", "30 development questions"):
        assert words in said
    assert "0.74 without spikes" in said
    assert "shows the direction" not in said
    assert "For seven, which is in use, it shows the direction" in threshold.measured_on(
        kept, {"model": "seven"}
    )
    without = threshold.measured_on(kept | {"answerable": 0, "fingerprint": None}, {})
    assert "F1" not in without
    assert "an earlier version of the model" in without


def test_the_curve_draws_f1_on_an_axis_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [dict(point, f1=0.5 + 0.05 * i) for i, point in enumerate(threshold.measured()["points"])]
    without = [{name: point[name] for name in point if name != "f1"} for point in points]
    monkeypatch.setattr("app.view.colours.is_dark", lambda: False)
    monkeypatch.setattr(threshold, "measured", lambda: {"points": without, "perplexity_dense": 16.4})
    plain = threshold.trade_off(3.0)
    monkeypatch.setattr(threshold, "measured", lambda: {"points": points, "perplexity_dense": 16.4})
    figure = threshold.trade_off(3.0)
    assert len(figure.data) == len(plain.data) + 1
    assert list(figure.data[-1].y) == [point["f1"] for point in points]
    assert (figure.layout.yaxis2.side, figure.layout.yaxis2.type) == ("right", None)


def test_every_measured_point_lies_within_the_curves_axes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.view.colours.is_dark", lambda: False)
    figure, kept = threshold.trade_off(3.0), threshold.measured()
    low, high = (10**end for end in figure.layout.yaxis.range)
    values = [point["perplexity"] for point in kept["points"]] + [kept["perplexity_dense"]]
    assert low < min(values) < max(values) < high
    assert high < 1.3 * max(values), "the curve fills the chart"
    left, right = figure.layout.xaxis.range
    assert all(left < point["spikes_per_channel"] < right for point in kept["points"])


def test_the_power_meter_of_each_device_is_in_the_table() -> None:
    power = {"source": "not available", "kind": "not available", "reason": "no sensor"}
    row = machine.device_table([{"name": "cpu", "dtypes": ["int8"], "power": power}]).to_dict("records")[0]
    assert row["Power"] == "not available: no sensor"
    assert row["Number formats"] == "int8"
    measured = {"source": "RAPL package-0", "kind": "measured", "reason": ""}
    assert machine.power_words(measured) == "RAPL package-0"
