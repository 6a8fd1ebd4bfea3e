"""The pages about the machine: models and devices, the spikes of a passage, help."""

from __future__ import annotations

import io

import numpy as np
from desk import Desk
from playwright.sync_api import Page, expect
from steps import LEASE, choose, download, pick, press, visit


def test_the_engine_page_tells_models_and_devices(page: Page) -> None:
    visit(page, "Engine")
    expect(page.locator(".eg-gauges").first).to_contain_text("Heard from")
    model = page.locator(".st-key-model_default")
    expect(model).to_contain_text("in use by default")
    press(page, "Check", model)
    expect(model).to_contain_text("Memory:")
    press(page, "List devices")
    expect(page.get_by_test_id("stDataFrame")).to_contain_text("✓ chosen", timeout=120_000)  # loads torch
    expect(page.get_by_test_id("stDataFrame")).to_contain_text("cpu")


def test_the_spikes_of_a_passage_are_drawn_and_taken_along(page: Page, desk: Desk) -> None:
    archive = desk.archive("Spiking", LEASE)
    visit(page, "Spikes")
    choose(page, "Passage")
    pick(page, "Archive", archive.name)
    press(page, "Show the spikes")
    expect(page.get_by_text(f"{LEASE.name}, passage 1:")).to_be_visible()
    expect(page.get_by_test_id("stPlotlyChart")).to_have_count(3)
    expect(page.get_by_text("A projection, not a measurement")).to_be_visible()
    counts = download(page, page.get_by_role("button", name="Counts of all layers (NPZ)"))
    with np.load(io.BytesIO(counts), allow_pickle=False) as kept:
        assert len(kept.files) > 1


def test_help_names_the_formats_and_the_model_in_use(page: Page) -> None:
    visit(page, "Help")
    for words in ("What it reads", "What the gauges mean", "Privacy"):
        expect(page.get_by_role("heading", name=words)).to_be_visible()
    expect(page.get_by_text("The model in use is default.")).to_be_visible()
