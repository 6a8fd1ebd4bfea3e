"""Gauges before, during and after a run; every figure of energy carries the label of where it comes from."""

from __future__ import annotations

import json
from typing import Any

import pytest
from page_driver import notices, open_page, words_of
from page_seeds import RUN, Seeds

from app.live import SERIES, live_path
from app.view import charts
from app.view.run_sheet import operations, run_lines
from storage import metrics
from storage.models import Finding

NO_SENSOR = "this machine shows no RAPL energy counters"
POWERS: dict[str, dict[str, Any]] = {
    "measured": {
        "power_w": 12.3,
        "energy_j": 41.27,
        "power_kind": "measured",
        "power_source": "RAPL package-0",
        "power_reason": "",
        "idle_power_w": 5.0,
    },
    "estimated": {
        "power_w": 31.0,
        "energy_j": 310.0,
        "power_kind": "estimated",
        "power_source": "estimate: utilisation × 65 W TDP",
        "power_reason": f"{NO_SENSOR}; estimated because it was switched on",
        "idle_power_w": None,
    },
    "not available": {
        "power_w": None,
        "energy_j": None,
        "power_kind": "not available",
        "power_source": "not available",
        "power_reason": NO_SENSOR,
        "idle_power_w": None,
    },
}
LABELS = {
    "measured": "Measured by RAPL package-0",
    "estimated": "Estimated, not measured. Estimate: utilisation × 65 W TDP",
    "not available": f"No reading: {NO_SENSOR}",
}
SHAPE = {
    "layers": 3,
    "heads": 9,
    "kv_heads": 3,
    "head_dim": 64,
    "matrices": 10_616_832,
    "full_matrices": 10_616_832,
    "states": 0,
    "softmax": [{"window": 1024, "block": 0, "topk": 0, "sinks": 4, "learned": 0}] * 3,
    "cache_bytes": 2,
}


@pytest.fixture
def seeds() -> Seeds:
    return Seeds()


def live(power: dict[str, Any], kind: str = "ask", samples: int = 5) -> dict[str, Any]:
    """What the worker writes beside a running job."""
    column = {name: [None] * samples for name in SERIES}
    column |= {
        "seconds": [float(n) for n in range(samples)],
        "tokens": [100 * (n + 1) for n in range(samples)],
        "tokens_per_s": [812.0] * samples,
        "memory_bytes": [612_000_000] * samples,
        "spikes_per_channel": [1.18] * samples,
        "silent_share": [0.175] * samples,
        "context_tokens": [4096 if kind == "read" else None] * samples,
        "power_w": [power["power_w"]] * samples,
        "energy_j": [power["energy_j"]] * samples,
    }
    about = {"kind": kind, "device": "cpu", "device_note": "", "shape": SHAPE, **power}
    return {**about, "series": column}


def answered(seeds: Seeds, kind: str, **trace: Any) -> Finding:
    """An answer with its history."""
    archive = seeds.archive()
    run = {**RUN, **POWERS[kind], "seconds": 6.2}
    finding = seeds.finding(archive, run=run)
    with seeds.database.session() as s:
        values = {**live(POWERS[kind]), **trace}
        metrics.add_metric(s, "trace", values, archive_id=archive.id, finding_id=finding.id)
        read = {"tokens": 1204, "seconds": 2.0, "read_tokens_per_s": 602.0, "context_tokens": 1204}
        metrics.add_metric(s, "read", read, archive_id=archive.id)
    return finding


@pytest.mark.parametrize("kind", POWERS)
def test_energy_of_a_finished_answer_is_labelled(seeds: Seeds, kind: str) -> None:
    said = words_of(open_page("ask", finding=answered(seeds, kind).id))
    assert LABELS[kind] in said
    if kind == "not available":
        assert "Energy of the answer not available" in said
        assert " 0 J" not in said


@pytest.mark.parametrize("kind", POWERS)
def test_every_line_of_energy_in_the_run_sheet_names_its_source(kind: str) -> None:
    lines = run_lines({**RUN, **POWERS[kind]}, 500)
    energy = [(value, where) for what, value, where in lines if "nergy" in what or "ower" in what]
    assert len(energy) == 4
    expected = {"measured": "measured: RAPL package-0", "estimated": "estimated: utilisation × 65 W TDP"}
    assert any(value == "not available" for value, _ in energy) is (kind != "measured")
    for value, where in energy:
        assert where == ("" if value == "not available" else expected[kind])


def test_joules_per_thousand_tokens_are_counted_over_all_tokens() -> None:
    lines = {what: value for what, value, _ in run_lines({**RUN, **POWERS["measured"]}, 500)}
    assert lines["Energy per 1,000 tokens"] == "82.5 J"
    assert lines["Power of the idle machine"] == "5 W"


def test_the_run_sheet_compares_with_full_attention(seeds: Seeds) -> None:
    page = open_page("ask", finding=answered(seeds, "measured").id)
    assert not page.exception
    said = words_of(page)
    for words in ("Against full attention", "counted", "fitted, scaled", "tests/bench/results/reading.jsonl"):
        assert words in said
    assert len(page.get("plotly_chart")) == 3


def test_an_answer_without_history_still_has_its_sheet(seeds: Seeds) -> None:
    finding = seeds.finding(seeds.archive(), run={"model": "tiny"})
    page = open_page("ask", finding=finding.id)
    assert not page.exception
    assert "Whole question" in words_of(page)
    assert "Against full attention" not in words_of(page)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("measured", "Measured by RAPL package-0"),
        ("estimated", "Estimated, not measured. Estimate: utilisation × 65 W TDP"),
        ("not available", f"Power is not available: {NO_SENSOR}"),
    ],
)
def test_gauges_beside_a_growing_answer(seeds: Seeds, kind: str, words: str) -> None:
    archive = seeds.archive()
    seeds.lease(archive)
    finding = seeds.finding(archive, "running", "The notice per", run={}, context={})
    live_path(seeds.home, finding.job_id or 0).write_text(json.dumps(live(POWERS[kind])))
    page = open_page("ask")
    assert not page.exception
    said = words_of(page)
    assert words in said
    assert "812 tokens/s" in said
    assert "1.18" in said
    assert "17.5 %" in said
    charts_drawn = len(page.get("plotly_chart"))
    assert charts_drawn == (3 if kind == "not available" else 4), "a dial, and a line for each known figure"


def test_before_the_first_sample_the_gauges_wait(seeds: Seeds) -> None:
    archive = seeds.archive()
    seeds.lease(archive)
    seeds.finding(archive, "running", "", run={}, context={})
    page = open_page("ask")
    assert not page.exception
    assert "The gauges start with the model" in words_of(page)


def test_gauges_beside_reading(seeds: Seeds) -> None:
    archive = seeds.archive()
    job = seeds.job(archive, done=4096, total=8192, unit="tokens", message="reading a.txt")
    live_path(seeds.home, job.id).write_text(json.dumps(live(POWERS["measured"], "read")))
    page = open_page("library")
    assert not page.exception
    said = words_of(page)
    assert "4,096 tokens" in said
    assert "Measured by RAPL package-0" in said
    assert len(page.get("plotly_chart")) == 4


def test_a_device_that_failed_is_told_beside_the_gauges_and_the_answer(seeds: Seeds) -> None:
    note = "cuda:0 ran out of memory. The work goes on with the processor."
    archive = seeds.archive()
    finding = seeds.finding(archive, run={**RUN, "device_note": note})
    assert note in notices(open_page("ask", finding=finding.id))
    job = seeds.job(archive)
    live_path(seeds.home, job.id).write_text(
        json.dumps({**live(POWERS["measured"], "read"), "device_note": note})
    )
    assert note in notices(open_page("library"))


@pytest.mark.parametrize(("power_w", "top"), [(8.4, 40), (60, 80), (700, 1280), (None, 40)])
def test_the_dial_always_holds_the_brain_and_the_needle(
    power_w: float | None, top: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.view.colours.is_dark", lambda: True)
    figure = charts.dial(power_w, 4.0, "power now")
    gauge = figure.data[0].gauge
    assert gauge.axis.range == (0, top)
    assert gauge.threshold.value == 20
    text = figure.layout.annotations[0].text
    assert ("not available" in text) is (power_w is None)


@pytest.mark.parametrize(("number", "text"), [(999, "999"), (5_700_000_000_000, "5.7 T"), (10**22, "10 Z")])
def test_operations_are_short(number: int, text: str) -> None:
    assert operations(number) == text
