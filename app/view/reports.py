"""Reports: findings put together under a title, in an order, exported as one document."""

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from app.view.exports import Words, draw_exports
from app.view.frame import guarded, services
from app.view.words import count, plain
from storage import Archive, Finding, Report, reports

NEW = "New report"
OPENED = "report_id"


def _act(what: Callable[..., Any], *given: Any, **named: Any) -> Any:
    with services().database.session() as s:
        return what(s, *given, **named)


def draw_adder(archive: Archive, chosen: Sequence[Finding]) -> None:
    """Put the selected findings into a report, in the order of the list from its oldest on."""
    if not chosen:
        return
    kept: list[Report] = _act(reports.list_reports, archive.id)
    names = {report.id: report.title for report in kept}
    with st.popover("Add to report", icon=":material/library_add:"), st.form("add_to_report", border=False):
        target = st.selectbox(
            "Report", [0, *names], format_func=lambda key: names.get(key, NEW), key="report_target"
        )
        title = st.text_input("Title of the new report", key="report_title", max_chars=reports.MAX_TITLE)
        if st.form_submit_button("Add", type="primary"):
            with guarded():
                ids = [finding.id for finding in reversed(chosen)]
                if target:
                    _act(reports.add_to_report, target, ids)
                else:
                    target = _act(
                        reports.create_report, archive.id, title or f"Report on {archive.name}", ids
                    ).id
                st.session_state[OPENED] = target
                st.toast(f"{count(len(ids), 'finding')} added", icon=":material/check:")
                st.rerun()


def draw_reports(archive: Archive) -> None:
    """The archive's reports behind one line; the one in hand in full."""
    kept: list[Report] = _act(reports.list_reports, archive.id)
    if not kept:
        return
    titles = {report.id: report.title for report in kept}
    opened = st.session_state.get(OPENED)
    with st.expander(count(len(kept), "report"), icon=":material/article:", expanded=opened in titles):
        current = list(titles).index(opened) if opened in titles else len(kept) - 1
        chosen = st.selectbox(
            "Report",
            list(titles),
            index=current,
            format_func=titles.__getitem__,
            key=f"report_choice_{current}",
        )
        _draw_report(archive, next(report for report in kept if report.id == chosen))


def _draw_report(archive: Archive, report: Report) -> None:
    held: list[Finding] = _act(reports.report_findings, report.id)
    with st.form(f"report_{report.id}", border=False):
        title = st.text_input(
            "Title", value=report.title, max_chars=reports.MAX_TITLE, key=f"title_{report.id}"
        )
        words = st.text_area(
            "Introduction", value=report.introduction, key=f"introduction_{report.id}", height=90
        )
        if st.form_submit_button("Save", icon=":material/save:"):
            with guarded():
                _act(reports.update_report, report.id, title=title, introduction=words)
                st.toast("Saved", icon=":material/check:")
                _keep(report)
    for number, finding in enumerate(held, 1):
        _row(report, finding, number, last=number == len(held))
    finished = [finding for finding in held if finding.status != "running"]
    with st.container(horizontal=True, vertical_alignment="center"):
        if finished:
            about = Words(archive.name, report.title, report.introduction)
            draw_exports(finished, archive.name, f"report_{report.id}", about)
        key = f"delete_report_{report.id}"
        if st.button("Delete the report", key=key, icon=":material/delete:", type="tertiary"):
            with guarded():
                _act(reports.delete_report, report.id)
                st.rerun()


def _row(report: Report, finding: Finding, number: int, *, last: bool) -> None:
    name = f"{report.id}_{finding.id}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"report_row_{name}"):
        st.markdown(f"{number}\\. {plain(finding.question)}", width="stretch")
        for words, icon, step, off in (
            ("Up", ":material/arrow_upward:", -1, number == 1),
            ("Down", ":material/arrow_downward:", 1, last),
        ):
            if st.button(
                words, key=f"move_{step}_{name}", icon=icon, disabled=off, type="tertiary", help=words
            ):
                _act(reports.move_in_report, report.id, finding.id, step)
                _keep(report)
        out = "Take out"
        if st.button(out, key=f"drop_{name}", icon=":material/close:", type="tertiary", help=out):
            _act(reports.remove_from_report, report.id, finding.id)
            _keep(report)


def _keep(report: Report) -> None:
    st.session_state[OPENED] = report.id
    st.rerun()
