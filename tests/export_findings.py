"""A finding with everything in it, for the export tests."""

from __future__ import annotations

from datetime import UTC, datetime

from storage.export import CitationRecord, FindingRecord


def finding() -> FindingRecord:
    return FindingRecord(
        question="How long is the notice period?",
        answer="Six months [1], with a penalty [2].\n\nNothing else is said [7].",
        status="partly_supported",
        citations=(
            CitationRecord(1, "legal/lease.pdf", 3, 120, 152, "The notice period is six months.", True, 0.91),
            CitationRecord(2, "annex.docx", 1, 0, 18, "A penalty of 5 %\nis due.", False),
        ),
        archive="Leases",
        confidence=0.72,
        documents=("legal/lease.pdf", "annex.docx"),
        context={
            "documents": 3,
            "tokens_read": 1200,
            "tokens_total": 1500,
            "not_read": [{"document": "scan.pdf", "reason": "images without text, needs OCR"}],
        },
        run={
            "model": "engram",
            "fingerprint": "ab12cd34",
            "device": "cpu",
            "backend": "torch cpu int8",
            "ttft_s": 0.84,
            "read_tokens_per_s": 812.4,
            "write_tokens_per_s": 14.2,
            "energy_j": 41.27,
            "power_w": 12.3,
            "power_source": "RAPL package-0",
            "spikes_per_channel": 1.134,
            "silent_share": 0.184,
        },
        asked_at=datetime(2026, 3, 1, 10, 0, tzinfo=UTC),
        finished_at=datetime(2026, 3, 1, 10, 0, 9, tzinfo=UTC),
    )
