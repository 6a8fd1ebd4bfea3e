"""The copy button and the cursor in the question box: what only a script in the browser can do."""

import streamlit as st

from app.request import request_of
from app.view.words import count
from storage import Citation, Finding

_COPY = st.components.v2.component(
    "engram_copy",
    html='<button type="button"><span></span></button>',
    css="""
button { font: inherit; font-size: 0.875rem; line-height: 1.6; color: inherit; background: transparent;
  cursor: pointer; border: 1px solid var(--st-border-color); border-radius: var(--st-button-radius, 0.5rem);
  padding: 0.25rem 0.75rem; min-height: 2.5rem; white-space: nowrap; }
button:hover, button:focus-visible { border-color: var(--st-primary-color); color: var(--st-primary-color); }
""",
    js="""
export default function ({ parentElement, data }) {
  const button = parentElement.querySelector("button"), words = button.querySelector("span");
  words.textContent = data.label;
  const byHand = text => {  // where the browser keeps its clipboard from pages that are not encrypted
    const area = document.createElement("textarea");
    area.value = text; area.style.position = "fixed"; area.style.opacity = "0";
    document.body.append(area); area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) throw new Error("refused");
  };
  button.onclick = async () => {
    try {
      if (navigator.clipboard) await navigator.clipboard.writeText(data.text); else byHand(data.text);
      words.textContent = "Copied";
    } catch { words.textContent = "The browser refused"; }
    setTimeout(() => { words.textContent = data.label; }, 2000);
  };
}
""",
)

_FOCUS = st.components.v2.component(
    "engram_focus",
    js="""
export default function ({ data }) {
  if (window.engramFocused === data.place) return;
  window.engramFocused = data.place;
  setTimeout(() => {
    const active = document.activeElement;
    const box = document.querySelector(`.st-key-${data.place} textarea`);
    if (box && (!active || active === document.body)) box.focus({ preventScroll: true });
  }, 150);
}
""",
)


def draw_copy(finding: Finding, key: str) -> None:
    """A button that puts the answer with its citations on the clipboard."""
    _COPY(key=key, data={"text": copied(finding), "label": "Copy"}, width="content", height="content")


def focus(place: str) -> None:
    """Put the cursor into the box of a container by its key, unless the person is elsewhere already."""
    _FOCUS(key="focus", data={"place": place}, height="content")


def copied(finding: Finding) -> str:
    """Question, answer, and the citations by number, as plain text."""
    understood = request_of(finding).understood
    said = [f"(understood as: {understood})"] if understood and understood != finding.question else []
    lines = [finding.question, *said, "", finding.answer.strip(), ""]
    lines += [_line(citation) for citation in finding.citations]
    return "\n".join(lines).strip() + "\n"


def _line(citation: Citation) -> str:
    quote = " ".join(citation.quote.split())
    mark = "" if citation.verified else " (not verified)"
    return f"[{citation.number}] {citation.document}, page {count(citation.page)}{mark}: “{quote}”"
