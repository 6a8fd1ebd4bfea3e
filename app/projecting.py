"""Figures of spikes: the paper's beside ours, and what neuromorphic hardware would draw, as a projection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.spiking import WINDOW_BITS
from app.trains import UNARY

PAPER = {"spikes_per_channel": 1.13, "silent_share": 0.184, "sparsity": 0.6915}
"""SpikingBrain, arXiv 2509.05276."""

ADD_INT8_PJ, MAC_INT8_PJ, MAC_FP16_PJ = 0.03, 0.23, 1.5
"""Picojoules at 45 nm: an INT8 addition, an INT8 and an FP16 multiply-accumulate."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Shares over layer inputs; None where there are none."""

    spikes_per_channel: float
    silent_share: float
    sparsity: float


@dataclass(frozen=True, slots=True)
class Projection:
    """Picojoules a token in the linear layers that spikes enter."""

    spiking_pj: float
    int8_pj: float
    fp16_pj: float


def rates(sites: Sequence[dict[str, Any]]) -> Rates:
    """A spike is a set bit of |count|; sparsity is the share of empty places in the low three bits."""
    places = sum(site["places"] for site in sites) or 1
    return Rates(
        spikes_per_channel=sum(site["bits"] for site in sites) / places,
        silent_share=sum(site["silent"] for site in sites) / places,
        sparsity=1 - sum(site["low_bits"] for site in sites) / (WINDOW_BITS * places),
    )


def project(sites: Sequence[dict[str, Any]], tokens: int, coding: str) -> Projection:
    """Each spike costs one addition an output it reaches; each place one multiply-accumulate an output."""
    fired = "unary" if coding in UNARY else "bits"
    additions = sum(site[fired] * site["outputs"] for site in sites) / tokens
    macs = sum(site["places"] * site["outputs"] for site in sites) / tokens
    return Projection(additions * ADD_INT8_PJ, macs * MAC_INT8_PJ, macs * MAC_FP16_PJ)
