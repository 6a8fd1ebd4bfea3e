"""The run sheet of an answer: its history, what each figure comes from, and full attention beside it."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from app.versus import Versus, compare, load_fit
from app.view import charts
from app.view.frame import services
from app.view.gauges import energy_per_thousand
from app.view.machine import reading_speed
from app.view.words import NOT_AVAILABLE, count, figure, rate, safe, seconds, share, size
from storage import metrics
from storage.models import Finding

Line = tuple[str, str, str]  # what, figure, where it comes from
COUNTED, MEASURED, FITTED = "counted", "measured", "fitted"
RUNS = 400


def find_trace(finding: Finding) -> dict[str, Any]:
    """What was sampled while the answer was made; empty if nothing was."""
    with services().database.session() as s:
        for metric in metrics.list_metrics(s, "trace", finding.archive_id, limit=RUNS):
            if metric.finding_id == finding.id or (finding.job_id and metric.job_id == finding.job_id):
                return dict(metric.values)
    return {}


def tokens_of(trace: Mapping[str, Any]) -> int | None:
    """Tokens that the model processed for the answer."""
    known = [value for value in trace.get("series", {}).get("tokens", []) if value is not None]
    return int(known[-1]) if known else None


def power_label(run: Mapping[str, Any]) -> str:
    """`measured: RAPL package-0`, `estimated: utilisation × 65 W TDP`."""
    source = str(run.get("power_source") or NOT_AVAILABLE)
    if run.get("power_kind") == "estimated":
        return f"estimated: {source.removeprefix('estimate: ')}"
    return f"{MEASURED}: {source}"


def run_lines(run: Mapping[str, Any], tokens: int | None) -> list[Line]:
    """Every figure of the run with its source."""
    energy_j = run.get("energy_j")
    power = power_label(run)
    lines = [
        ("Whole question", seconds(run.get("seconds")), MEASURED),
        ("Time to first token", seconds(run.get("ttft_s")), MEASURED),
        ("Reading speed", rate(run.get("read_tokens_per_s")), MEASURED),
        ("Writing speed", rate(run.get("write_tokens_per_s")), MEASURED),
        ("Tokens processed", count(tokens, "token"), COUNTED),
        ("Energy of the answer", figure(energy_j, "J"), power),
        ("Energy per 1,000 tokens", figure(energy_per_thousand(energy_j, tokens), "J"), power),
        ("Mean power", figure(run.get("power_w"), "W"), power),
        ("Power of the idle machine", figure(run.get("idle_power_w"), "W"), power),
        ("Memory of the worker", size(run.get("memory_bytes")), MEASURED),
        ("Spikes per channel", figure(run.get("spikes_per_channel")), "counted on every 32nd token"),
        ("Silent channels", share(run.get("silent_share")), "counted on every 32nd token"),
    ]
    return [(what, value, "" if value == NOT_AVAILABLE else where) for what, value, where in lines]


def table_html(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A quiet table; cells are escaped."""
    top = "".join(f"<th>{safe(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{safe(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    table = f'<table class="eg-sheet"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="eg-scroll">{table}</div>'


def operations(number: int) -> str:
    """`4.2 × 10¹² multiply-accumulates` in a short form: `4.2 T`."""
    value, units = float(number), ("", " k", " M", " G", " T", " P", " E", " Z")
    for unit in units:
        if value < 1000 or unit == units[-1]:
            break
        value /= 1000
    return f"{value:.3g}{unit}"


def times(ours: float, full: float) -> str:
    """`12 times`."""
    return f"{full / ours:.3g} times" if ours else ""


def versus_rows(versus: Versus, ours_s: float | None, state_bytes: int | None) -> list[tuple[str, ...]]:
    """Ours, full attention, the ratio, and where both come from."""
    v = versus
    on_top = f"Operations for {count(v.tokens)} tokens on top of it"
    read, question = (v.ours_reading, v.full_reading), (v.ours_question, v.full_question)
    rows: list[tuple[str, ...]] = [
        ("Operations to read the archive", *map(operations, read), times(*read), COUNTED),
        (on_top, *map(operations, question), times(*question), COUNTED),
        ("Memory of the context", size(state_bytes), size(v.full_cache_bytes),
         times(state_bytes or 0, v.full_cache_bytes), "measured / counted"),
        ("Time to read the archive, bench machine", seconds(v.ours_reading_s), seconds(v.full_reading_s),
         times(v.ours_reading_s, v.full_reading_s), f"{FITTED}, scaled" if v.scaled else FITTED),
        ("Time to read the archive, this machine", seconds(ours_s), "", "", MEASURED if ours_s else ""),
    ]  # fmt: skip
    return rows


def _speed(archive_id: int) -> float | None:
    """Tokens a second over the archive's reading, as measured."""
    with services().database.session() as s:
        return reading_speed(metrics.list_metrics(s, "read", archive_id, limit=RUNS))


def draw_versus(finding: Finding, trace: Mapping[str, Any]) -> None:
    """The same through a Transformer of the same size."""
    shape, tokens, context = trace.get("shape"), tokens_of(trace), finding.context.get("tokens_read")
    if not shape or not tokens or not context:
        return
    fit, speed = load_fit(), _speed(finding.archive_id)
    versus = compare(shape, context, tokens, fit)
    if versus is None:
        return
    st.html('<p class="eg-label">Against full attention</p>')
    head = ("", "This model", "Full attention", "Full attention costs", "")
    rows = versus_rows(versus, context / speed if speed else None, finding.run.get("state_bytes"))
    st.html(table_html(head, rows))
    beyond = f" Beyond {count(fit.longest)} tokens it extrapolates." if context > fit.longest else ""
    scaled = (
        " They were taken with the model that comes with Engram and are scaled to this one's operations."
        if versus.scaled
        else ""
    )
    st.html(
        f'<p class="eg-small">A Transformer of the same size (of a mixture the same experts active), every '
        f"layer attending to all {safe(count(context))} tokens. Operations are multiply-accumulates, "
        f"counted exactly from the two architectures, for the {safe(count(tokens))} tokens that the "
        f"model processed here. Times on the bench machine are fitted to {len(fit.points)} measurements "
        f"of both in the same run on {safe(fit.machine)} ({safe(fit.source)}): a·T + b·T² for "
        f"full attention, a·T for this model.{scaled}{beyond}</p>"
    )


def draw_history(trace: Mapping[str, Any], key: str) -> None:
    """The run as lines over time."""
    series = trace.get("series", {})
    moments = series.get("seconds", [])
    if len(moments) < 3:
        return
    shown = [
        ("power_w", "Watts", charts.BRAIN_W),
        ("tokens_per_s", "Tokens/s", None),
        ("memory_bytes", "Memory", None),
    ]
    shown = [item for item in shown if any(value is not None for value in series.get(item[0], []))]
    for column, (name, words, mark) in zip(st.columns(len(shown)), shown, strict=True):
        with column:
            st.html(f'<p class="eg-spark">{safe(words)} over {safe(seconds(moments[-1]))}</p>')
            charts.show(charts.sparkline(moments, series[name], mark), f"{name}_{key}", 64)


def draw_run_sheet(finding: Finding, key: str) -> None:
    """Folded away below an answer; for one that is finished."""
    if finding.status == "running" or not finding.run:
        return
    with st.expander("Run sheet", icon=":material/speed:"):
        trace = find_trace(finding)
        draw_history(trace, key)
        st.html(table_html(("Figure", "", "Source"), run_lines(finding.run, tokens_of(trace))))
        if reason := str(finding.run.get("power_reason") or ""):
            st.html(f'<p class="eg-small">Power: {safe(reason)}.</p>')
        draw_versus(finding, trace)
