"""Findings of other kinds than a plain answer: two documents side by side, a summary; what they cost."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from app.view.answer import answer_html, chip, mark_html
from app.view.gauges import context_rows, energy_rows, panel, power_note
from app.view.words import count, safe, seconds
from storage import Citation, Finding

PARTS_SHOWN = 40


def draw_comparison(finding: Finding) -> None:
    """Both answers side by side, the sentences they share but for some words, and what each says alone."""
    details, quotes = finding.details, {item.number: item for item in finding.citations}
    only = {item["document"]: item["citations"] for item in details.get("only", ())}
    for column, side in zip(st.columns(2, gap="medium"), details.get("sides", ())[:2], strict=False):
        with column, st.container(border=True, gap="xsmall"):
            st.html(f'<p class="eg-label eg-name">{safe(side["document"])}</p>')
            st.html(chip(side["status"]).replace(" by the archive", "").replace("in this archive", "here"))
            st.html(answer_html(side["answer"], finding.id, side["citations"]))
            alone = [quotes[number] for number in only.get(side["document"], ()) if number in quotes]
            if alone:
                listed = "".join(_quoted(one, finding.id) for one in alone)
                st.html(f'<p class="eg-label">Only here</p>{listed}')
    pairs = [pair for pair in details.get("pairs", ()) if {pair["left"], pair["right"]} <= set(quotes)]
    if pairs:
        st.html('<p class="eg-label">Nearly the same in both</p>')
        rows = "".join(_pair(pair, quotes, finding.id) for pair in pairs)
        st.html(f'<div class="eg-pairs">{rows}</div>')
    st.html(
        '<p class="eg-small">Only here: no sentence of the other document holds half of its words, rare ones '
        "counting more. The same said in wholly other words is not noticed.</p>"
    )


def _pair(pair: Mapping[str, Any], quotes: Mapping[int, Citation], finding_id: int) -> str:
    left = _quoted(quotes[pair["left"]], finding_id, pair["left_words"])
    return f"<div>{left}</div><div>{_quoted(quotes[pair['right']], finding_id, pair['right_words'])}</div>"


def _quoted(citation: Citation, finding_id: int, differing: Sequence[str] = ()) -> str:
    """A quote with its mark; the words that the other document lacks are set off."""
    words = []
    for word in citation.quote.split():
        bare = word.strip(".,;:()[]“”\"'")
        words.append(f"<b>{safe(word)}</b>" if bare in differing else safe(word))
    return f'<p class="eg-said">{" ".join(words)} {mark_html(finding_id, citation.number)}</p>'


def draw_summary(finding: Finding) -> None:
    """The sentences document by document, the outline of each, and the words that recur."""
    details, quotes = finding.details, {item.number: item for item in finding.citations}
    parts = details.get("parts", ())
    length = st.session_state.get(f"parts_{finding.id}", PARTS_SHOWN)
    drawn = []
    for part in parts[:length]:
        said = "".join(_quoted(quotes[n], finding.id) for n in part["citations"] if n in quotes)
        head = f'<p class="eg-label eg-name">{safe(part["document"])}</p>' if len(parts) > 1 else ""
        none = '<p class="eg-small">No whole sentence to quote.</p>'
        under = _outline(part["headings"])
        drawn.append(f'<div class="eg-part">{head}{said or none}{under}</div>')
    st.html("".join(drawn))
    if len(parts) > length:
        st.button(
            f"Show {count(min(PARTS_SHOWN, len(parts) - length))} more of {count(len(parts), 'document')}",
            key=f"more_parts_{finding.id}",
            on_click=_show_more,
            args=(f"parts_{finding.id}", length + PARTS_SHOWN),
        )
    terms = details.get("terms", ())
    if terms:
        label = "Words that recur, and in how many documents" if len(parts) > 1 else "Words it turns on"
        shown = "".join(_term(item, len(parts) > 1) for item in terms)
        st.html(f'<p class="eg-label">{label}</p><p class="eg-terms">{shown}</p>')
    uncoded = sum(not part["coded"] for part in parts)
    note = f" Of {count(uncoded, 'document')} no codes were there: words alone decided." if uncoded else ""
    model = (
        " The model weighed the best: how likely each is under the heading “Summary” of its document."
        if any(part.get("weighed") for part in parts)
        else ""
    )
    st.html(
        '<p class="eg-small">Extractive: whole sentences, chosen by words that are frequent here and rare '
        "elsewhere, and by how near the recall code of their passage lies to the document's other passages."
        f"{model} Nothing is reworded.{safe(note)}</p>"
    )


def outline(headings: Sequence[str]) -> list[str]:
    """The headings, each by what stands below its parents, the title that all share left out."""
    paths = [heading.split(" > ") for heading in headings]
    if len(paths) > 1 and len({path[0] for path in paths}) == 1:
        paths = [path for path in paths if len(path) > 1]
    return list(dict.fromkeys(path[-1] for path in paths))


def _outline(headings: Sequence[str]) -> str:
    """In one line; a single heading is no outline."""
    shown = outline(headings)
    return f'<p class="eg-small">Sections: {safe(" · ".join(shown))}</p>' if len(shown) > 1 else ""


def _show_more(key: str, length: int) -> None:
    st.session_state[key] = length


def _term(item: Mapping[str, Any], counted: bool) -> str:
    number = f" {item['documents']}" if counted else ""
    return f'<span class="eg-tag">{safe(item["term"])}{number}</span> '


def draw_search_gauges(context: Mapping[str, Any], run: Mapping[str, Any]) -> None:
    """What a walk over the passages cost; the model writes nothing in it."""
    model = " · ".join(str(run[key]) for key in ("model", "device") if run.get(key))
    body = (
        panel("Search", [("Time", seconds(run.get("seconds")))], "The model wrote nothing for this.")
        + panel("Context", context_rows(context, run), model)
        + panel("Energy", energy_rows(run), power_note(run))
    )
    st.html(f'<section class="eg-gauges" aria-label="Gauges">{body}</section>')
