"""Rows for the page tests: an archive as the worker would have left it, without any model."""

from __future__ import annotations

import os
from pathlib import Path

from storage import CitationData, Database, Home, PassageSpan, documents, findings, jobs
from storage import archives as archive_rows
from storage.files import FileStore
from storage.ingest import ParsedDocument, ParsedPage
from storage.models import Archive, Document, Finding, Job

SAMPLE = Path(__file__).resolve().parents[1] / "assets" / "sample" / "documents"
LEASE = (SAMPLE / "legal" / "lease-12-harbour-street.md").read_text(encoding="utf-8")
QUOTE = "The notice period for terminating the lease of 12 Harbour Street is six months"
PDF_QUOTE = "The measured mean lifetime of the muon is 2.184 ± 0.021 microseconds."
RUN = {
    "model": "tiny",
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
    "memory_bytes": 612_000_000,
    "state_bytes": 10_616_832,
}


class Seeds:
    """A home folder with a database to put rows into."""

    def __init__(self, home: Path | None = None) -> None:
        self.home = Home(home or Path(os.environ["ENGRAM_HOME"])).ensure()
        self.database = Database(self.home.database_url)
        self.database.migrate()
        self.files = FileStore(self.home.files)

    def archive(self, name: str = "Leases") -> Archive:
        with self.database.session() as s:
            return archive_rows.create_archive(s, name)

    def text(
        self, archive: Archive, name: str, *pages: str, status: str = "ready", file: Path | None = None
    ) -> Document:
        """A document with these pages; `file` is its original."""
        stored = self.files.add(file) if file else None
        media_type = "application/pdf" if file and file.suffix == ".pdf" else "text/plain"
        parsed = ParsedDocument(
            media_type, name, tuple(ParsedPage(i + 1, t) for i, t in enumerate(pages)), (), ()
        )
        tokens = max(1, len(parsed.text) // 4)
        with self.database.session() as s:
            sha256 = stored.sha256 if stored else f"{archive.id:08x}{abs(hash(name)):056x}"[:64]
            size = stored.bytes if stored else len(parsed.text)
            document, _ = documents.add_document(s, archive.id, name, sha256, size, media_type)
            if status not in ("queued", "parsing"):
                documents.store_parsed(
                    s, document.id, parsed, [PassageSpan(0, 0, len(parsed.text), 0, tokens)], tokens
                )
            return documents.set_status(s, document.id, status)

    def failed(
        self, archive: Archive, name: str, error: str, hint: str = "", status: str = "failed"
    ) -> Document:
        with self.database.session() as s:
            sha256 = f"{archive.id:08x}{abs(hash(name)):056x}"[:64]
            document, _ = documents.add_document(s, archive.id, name, sha256, 2048, "application/pdf")
            return documents.fail_document(s, document.id, status, error, hint)

    def lease(self, archive: Archive) -> Document:
        return self.text(archive, "legal/lease-12-harbour-street.md", LEASE)

    def paper(self, archive: Archive) -> Document:
        """The sample's PDF, its text taken from the file itself."""
        from pypdf import PdfReader

        path = SAMPLE / "physics" / "muon-lifetime.pdf"
        pages = [page.extract_text().replace("\n", " ") + "\n" for page in PdfReader(path).pages]
        return self.text(archive, "physics/muon-lifetime.pdf", *pages, file=path)

    def job(self, archive: Archive, kind: str = "read", **progress: object) -> Job:
        """A running job with progress."""
        with self.database.session() as s:
            job = jobs.enqueue(s, kind, archive.id, {})
            jobs.claim_job(s, job.id, "tester")
            if progress:
                jobs.beat(s, job.id, **progress)  # type: ignore[arg-type]
            return jobs.get_job(s, job.id)

    def worker(self) -> None:
        """A worker that is alive."""
        with self.database.session() as s:
            jobs.beat_worker(
                s, "tester-1", pid=os.getpid(), model="tiny", device="cpu", backend="torch cpu int8"
            )

    def finding(
        self,
        archive: Archive,
        status: str = "supported",
        answer: str = "The notice period is six months [1].",
        question: str = "What is the notice period?",
        **fields: object,
    ) -> Finding:
        context = {"documents": 2, "tokens_read": 1204, "tokens_total": 1204, "not_read": []}
        with self.database.session() as s:
            job = jobs.enqueue(s, "ask", archive.id, {}, 10)
            finding = findings.create_finding(s, archive.id, job.id, question)
            values = {"answer": answer, "status": status, "context": context, "run": RUN} | fields
            findings.update_finding(s, finding.id, **values)
            return findings.get_finding(s, finding.id)

    def cite(
        self,
        finding: Finding,
        document: Document | None,
        quote: str,
        *,
        number: int = 1,
        verified: bool = True,
    ) -> None:
        """A citation of the quote where it stands in the document."""
        with self.database.session() as s:
            text = documents.document_text(s, document.id) if document else quote
            start = max(text.find(quote), 0)
            page = documents.page_at(s, document.id, start).number if document else 1
            name = document.name if document else "removed.txt"
            there = document.id if document else None
            data = CitationData(number, there, name, page, start, start + len(quote), quote, verified, 0.9)
            kept = [
                CitationData(
                    c.number, c.document_id, c.document, c.page, c.start, c.end, c.quote, c.verified, c.score
                )
                for c in finding.citations
            ]
            findings.set_citations(s, finding.id, [*kept, data])
            finding.citations = findings.get_finding(s, finding.id).citations
