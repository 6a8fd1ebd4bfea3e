"""Questions: put to the worker, followed while they are answered, kept in the address of the page."""

import streamlit as st

from app import library
from app.questions import again, submit
from app.request import Request
from app.view import opened
from app.view.cited import CitedPage, load_cited
from app.view.frame import services, show_error
from app.view.progress import progress_html, share_done
from storage import Archive, Citation, Finding, NotFoundError, findings, jobs, recognised


def put(archive: Archive, request: Request) -> None:
    """Hand the question to the worker and take its finding in hand."""
    try:
        finding = submit(services(), archive, request).finding
    except Exception as error:  # an empty or endless question is told like any other mistake
        show_error(error)
        return
    hold(finding.id)
    st.rerun()


def put_again(archive: Archive, finding: Finding) -> None:
    """Ask the same once more, with the archive as it is now; both findings are kept."""
    with services().database.session() as s:
        request = again(s, finding)
    put(archive, request)


def hold(finding_id: int | None) -> None:
    """Take a finding in hand; its number goes into the address, so that a reload shows it again."""
    st.session_state["finding_id"] = finding_id
    if finding_id is None:
        st.query_params.pop("finding", None)
    opened.close()


def in_hand(archive: Archive) -> Finding | None:
    """The finding being looked at, if it belongs to this archive; else one that is still being answered."""
    wanted = st.session_state.get("finding_id") or st.query_params.get("finding", "")
    finding = load(int(wanted)) if str(wanted).isdecimal() else None
    if finding is None or finding.archive_id != archive.id:
        finding = _running(archive.id)
    if finding is None:
        st.query_params.pop("finding", None)
        return None
    st.session_state["finding_id"] = finding.id
    st.query_params["finding"] = str(finding.id)
    return finding


def _running(archive_id: int) -> Finding | None:
    with services().database.session() as s:
        return next(
            (f for f in findings.list_findings(s, archive_id, limit=5) if f.status == "running"), None
        )


def load(finding_id: int) -> Finding | None:
    """The finding as it stands, or None when it was deleted."""
    with services().database.session() as s:
        try:
            return findings.get_finding(s, finding_id)
        except NotFoundError:
            return None


def load_page(citation: Citation) -> CitedPage | None:
    """The page a citation points at."""
    with services().database.session() as s:
        return load_cited(s, services().files, citation)


def load_sureness(finding: Finding) -> dict[int, float]:
    """Confidence of text recognition by citation number, for those of recognised text."""
    with services().database.session() as s:
        return recognised.of_citations(s, finding.citations)


def draw_waiting(finding: Finding) -> None:
    """What goes on before the first word, and the stop button."""
    with services().database.session() as s:
        job = jobs.get_job(s, finding.job_id) if finding.job_id else None
    if job is not None and job.status == "running" and job.total:
        st.html(progress_html(job))
        st.progress(share_done(job))
    with st.container(horizontal=True, vertical_alignment="center"):
        if not finding.answer and not (job and job.total):
            st.caption(_stage(job.status if job else "queued", job.message if job else ""))
        if job and st.button(
            "Stop",
            key=f"stop_{finding.id}",
            icon=":material/stop_circle:",
            shortcut="Esc",
            disabled=job.cancel_requested,
        ):
            stop(finding)


def _stage(status: str, message: str) -> str:
    return (
        "Waiting for the worker…"
        if status == "queued"
        else message.strip() or "Looking through every passage…"
    )


def stop(finding: Finding) -> None:
    """Stop the answer; what was written of it stays."""
    if finding.job_id:
        library.cancel(services(), finding.job_id)


def history(archive_id: int) -> list[Finding]:
    """Findings of an archive, newest first."""
    with services().database.session() as s:
        return findings.list_findings(s, archive_id)


def delete(finding_ids: list[int]) -> None:
    """Forget these findings."""
    with services().database.session() as s:
        for finding_id in finding_ids:
            findings.delete_finding(s, finding_id)
