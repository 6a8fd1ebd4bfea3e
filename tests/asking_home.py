"""What the tests of asking share: an archive that was read, an engine that says what a test wants."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from app_home import copy_read, make_services, prose

from app.services import Services
from engine import answering as engine_answering
from engine.answering import AnswerEvent, AnswerResult, AnswerStats, Quote
from storage import Archive, Finding, archives, documents, findings

LEASE = "The lease of 12 Harbour Street runs for ten years. The notice period is six months.\n"
LAB = "The niobium film became superconducting at 9.12 kelvin. The clamp was tightened on Monday.\n"
FILES = {"law/lease.txt": LEASE, "lab.txt": LAB, "long.txt": prose(3, 12)}
QUESTION = "What is the notice period of the lease of 12 Harbour Street?"

RUN = (
    "model device backend ttft_s read_tokens_per_s write_tokens_per_s energy_j power_w power_source "
    "spikes_per_channel silent_share power_kind power_reason idle_power_w device_note"
).split()


@pytest.fixture
def services(tmp_path: Path) -> Services:
    return make_services(tmp_path)


@pytest.fixture
def archive(services: Services, tmp_path: Path) -> Archive:
    copy_read(tmp_path, FILES)
    with services.database.session() as s:
        return archives.get_archive(s, "Archive")


def answer_with(monkeypatch: pytest.MonkeyPatch, *texts: str, quote: Quote | None = None) -> None:
    """Have the engine say these texts one after another, the last with a quote of the best evidence."""

    def answer(engine: Any, state: Any, question: str, evidence: Any, **more: Any) -> Iterator[AnswerEvent]:
        for text in texts[:-1]:
            yield AnswerEvent(text, False)
        quotes = (quote,) if quote else _quotes(evidence)
        yield AnswerEvent(
            texts[-1], True, AnswerResult(texts[-1], "supported", 0.9, quotes, AnswerStats(ttft_s=0.1))
        )

    def _quotes(evidence: Any) -> tuple[Quote, ...]:
        item = evidence[0].evidence
        return (Quote(1, item.id, 4, 30, item.text[4:30], True, 0.8),)

    monkeypatch.setattr(engine_answering, "answer", answer)


def check_quotes(services: Services, archive: Archive, answer: dict[str, Any]) -> None:
    """Each quote of an answer's JSON stands where it says, letter for letter, and is called verified."""
    with services.database.session() as s:
        names = {row.name: row.id for row in documents.list_documents(s, archive.id)}
        for cited in answer["citations"]:
            place = (names[cited["document"]], cited["start"], cited["end"])
            assert documents.document_text(s, *place) == cited["quote"]
            assert cited["verified"]


def finding_of(services: Services, finding_id: int) -> Finding:
    with services.database.session() as s:
        return findings.get_finding(s, finding_id)
