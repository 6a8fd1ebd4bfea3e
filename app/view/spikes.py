"""The Spikes page's parts: which text, the job that works its spikes out, what came of it, the export."""

import io
from typing import Any

import numpy as np
import streamlit as st

from app.projecting import PAPER, Rates, project, rates
from app.spiking import MAX_TOKENS, SpikeFile, submit
from app.trains import CODINGS, encode, steps_needed
from app.view import charts, spike_charts
from app.view.frame import services
from app.view.run_sheet import table_html
from app.view.words import count, figure, safe, share
from storage import Archive, Document, Finding, documents, findings, passages
from storage.models import Job

CHANNELS, MOST_STEPS = 96, 12
PASSAGES_SHOWN, QUESTIONS_SHOWN = 400, 50
EXAMPLE = (
    "The notice period for terminating the lease of 12 Harbour Street is six months. "
    "The niobium film became superconducting at 9.12 kelvin."
)


def choose_text(archives: list[Archive]) -> tuple[str, str]:
    """The text whose spikes are wanted, and its title."""
    kinds = ["Own text", *(["Passage", "Question"] if archives else [])]
    kind = st.segmented_control("Spikes of", kinds, default=kinds[0], key="spikes_of")
    if kind in ("Passage", "Question"):
        archive = st.selectbox("Archive", archives, format_func=lambda a: a.name, key="spikes_archive")
        return _passage(archive) if kind == "Passage" else _question(archive)
    text = st.text_area("Text", EXAMPLE, key="spikes_text", height=110, max_chars=20_000)
    return text, "Own text"


def _passage(archive: Archive) -> tuple[str, str]:
    with services().database.session() as s:
        rows = [row for row in documents.list_documents(s, archive.id) if row.status == "ready"]
    if not rows:
        st.html('<p class="eg-small">Nothing of this archive has been read yet.</p>')
        return "", ""
    document: Document = st.selectbox(
        "Document", rows, format_func=lambda d: d.name, key=f"spikes_doc_{archive.id}"
    )
    with services().database.session() as s:
        spans = passages.list_passages(s, document.id)[:PASSAGES_SHOWN]
        texts = [documents.document_text(s, document.id, span.start, span.end) for span in spans]
    if not texts:
        return "", ""
    number = st.selectbox(
        "Passage",
        range(len(texts)),
        format_func=lambda n: f"{n + 1}. {' '.join(texts[n].split())[:90]}",
        key=f"spikes_passage_{document.id}",
    )
    return texts[number], f"{document.name}, passage {number + 1}"


def _question(archive: Archive) -> tuple[str, str]:
    with services().database.session() as s:
        asked: list[Finding] = findings.list_findings(s, archive.id, limit=QUESTIONS_SHOWN)
    if not asked:
        st.html('<p class="eg-small">No question has been asked of this archive yet.</p>')
        return "", ""
    chosen = st.selectbox(
        "Question", asked, format_func=lambda f: f.question[:120], key=f"spikes_finding_{archive.id}"
    )
    return chosen.question, "Question"


def put(text: str, title: str) -> Job:
    """Hand the text to the worker."""
    with services().database.session() as s:
        return submit(s, text, title)


def draw_result(job_id: int) -> None:
    """Everything about the spikes of one text."""
    kept = SpikeFile.open(services().home, job_id)
    tokens = kept.about["tokens"]
    st.html(f'<p class="eg-small eg-figures">{safe(_sentence(kept))}</p>')
    draw_paper(rates(kept.sites), kept.about.get("k"))
    coding = st.selectbox(
        "Coding", list(CODINGS), format_func=CODINGS.__getitem__, index=3, key="spikes_coding"
    )
    left, right = st.columns([0.5, 0.5])
    layers = sorted({site["layer"] for site in kept.sites})
    with left:
        layer = st.select_slider("Layer", [n + 1 for n in layers], key="spikes_layer") - 1
    here = [n for n, site in enumerate(kept.sites) if site["layer"] == layer]
    with right:
        number = st.selectbox(
            "Input of", here, format_func=lambda n: kept.sites[n]["site"], key=f"spikes_site_{layer}"
        )
    counts = kept.counts(number)
    steps = min(MOST_STEPS, steps_needed(counts, coding))
    channels = spike_charts.busiest(counts, CHANNELS)
    words = _raster_words(counts, channels, steps, coding)
    st.html(f'<p class="eg-label">Raster</p><p class="eg-small">{safe(words)}</p>')
    charts.show(spike_charts.raster(counts, channels, tokens, coding, steps), "raster", 460)
    one, two = st.columns(2, gap="large")
    with one:
        st.html('<p class="eg-label">How large the counts are</p>')
        charts.show(spike_charts.histogram(counts), "histogram", 260)
    with two:
        st.html('<p class="eg-label">How much each layer fires</p>')
        charts.show(spike_charts.layer_rates(kept.sites), "layer_rates", 260)
    st.html('<p class="eg-label">Which tokens fire most</p>')
    fired = np.array([site["by_token"] for site in kept.sites], dtype=np.int64).sum(axis=0)
    st.html(spike_charts.tokens_html(tokens, fired))
    draw_projection(kept, coding)
    draw_export(kept, job_id, coding, number)


def _sentence(kept: SpikeFile) -> str:
    about = kept.about
    words = f"{about['title']}: {count(len(about['tokens']), 'token')}, model {about['model']}"
    words += f", k = {about['k']:g}." if about.get("k") else "."
    left = about.get("left_out") or 0
    return words + (f" The first {MAX_TOKENS}; {count(left)} more are left out." if left else "")


def _raster_words(counts: Any, channels: Any, steps: int, coding: str) -> str:
    words = f"The {len(channels)} busiest of {count(counts.shape[1], 'channel')}, "
    words += f"{count(steps, 'time step')} a token."
    if steps_needed(counts, coding) > steps:
        cut = int((np.abs(counts[:, channels]) >= 1 << steps).sum()) if "bitwise" in coding else None
        what = "steps beyond the twelfth are not drawn" if cut is None else f"{count(cut, 'count')} need more"
        words += f" Bursts: {what}; nothing is cut in the model or the export."
    return words


def draw_paper(ours: Rates, k: float | None) -> None:
    """The paper's figures beside ours."""
    rows = [
        ("Spikes per channel", figure(ours.spikes_per_channel), figure(PAPER["spikes_per_channel"])),
        ("Silent channels", share(ours.silent_share), share(PAPER["silent_share"])),
        ("Sparsity over three bits", f"{100 * ours.sparsity:.2f} %", f"{100 * PAPER['sparsity']:.2f} %"),
    ]
    st.html(table_html(("", "This text, counted", "SpikingBrain, arXiv 2509.05276"), rows))


def draw_projection(kept: SpikeFile, coding: str) -> None:
    """What neuromorphic hardware would draw; a projection, and said so."""
    p = project(kept.sites, len(kept.about["tokens"]), coding)
    st.html('<p class="eg-label">Projection for neuromorphic hardware</p>')
    rows = [
        ("Spikes × INT8 additions, 0.03 pJ", f"{p.spiking_pj / 1e6:.3g} µJ", ""),
        (
            "INT8 multiply-accumulates, 0.23 pJ",
            f"{p.int8_pj / 1e6:.3g} µJ",
            f"{p.int8_pj / p.spiking_pj:.3g} times",
        ),
        (
            "FP16 multiply-accumulates, 1.5 pJ",
            f"{p.fp16_pj / 1e6:.3g} µJ",
            f"{p.fp16_pj / p.spiking_pj:.3g} times",
        ),
    ]
    st.html(table_html(("Arithmetic of the linear layers", "A token", "Against spikes"), rows))
    st.html(
        '<p class="eg-small">A projection, not a measurement: published energies of single operations at '
        "45 nm times the operations of this text under the coding chosen above, memory and wires left out. "
        "On the processor or GPU of this machine spikes save no energy by themselves.</p>"
    )


def draw_export(kept: SpikeFile, job_id: int, coding: str, number: int) -> None:
    """Spike trains for other tools."""
    with st.container(horizontal=True):
        st.download_button(
            "Counts of all layers (NPZ)",
            lambda: kept.path.read_bytes(),
            file_name=f"engram-spike-counts-{job_id}.npz",
            icon=":material/download:",
            key="counts_npz",
        )
        st.download_button(
            "Spike train of this layer input (NPZ)",
            lambda: train_npz(kept, coding, number),
            file_name=f"engram-spike-train-{job_id}.npz",
            icon=":material/download:",
            key="train_npz",
        )


def train_npz(kept: SpikeFile, coding: str, number: int) -> bytes:
    """One layer input as events: token, step, channel and sign of each spike, and what undoes the code."""
    counts, site = kept.counts(number), kept.sites[number]
    steps = min(steps_needed(counts, coding), 16_384)
    step_parts, token_parts, channel_parts, sign_parts = [], [], [], []
    for token, row in enumerate(counts):
        plane = encode(row, coding, steps)
        moment, channel = np.nonzero(plane)
        step_parts.append(moment)
        channel_parts.append(channel)
        token_parts.append(np.full(len(moment), token))
        sign_parts.append(plane[moment, channel])
    out = io.BytesIO()
    np.savez_compressed(
        out,
        token=np.concatenate(token_parts).astype(np.int32),
        step=np.concatenate(step_parts).astype(np.int32),
        channel=np.concatenate(channel_parts).astype(np.int32),
        sign=np.concatenate(sign_parts).astype(np.int8),
        threshold=kept.thresholds(number),
        steps=np.int32(steps),
        channels=np.int32(site["channels"]),
        layer=np.int32(site["layer"]),
        site=np.str_(site["site"]),
        coding=np.str_(coding),
        tokens=np.array(kept.about["tokens"], dtype=np.str_),
    )
    return out.getvalue()
