"""A follow-up question completed from the question and answer before it: rules, no model, so that a person
can see what was made of it and change it.

What the earlier question was about is its topic: the phrase around its names and numbers, else its last noun
phrase. "And for 21 Harbour Street?" puts a new name into the earlier question; "and its term?" asks the same
topic for something else; "it" stands for the topic, "he" and "she" for the person named in the answer.
"""

from __future__ import annotations

import re

_OPENING = re.compile(r"^(?:(?:and|also|so|but|then|ok|okay|well)\b[\s,]*)+", re.IGNORECASE)
_ABOUT = re.compile(r"^(?:(?:what|how)\s+about|what\s+of)\s+", re.IGNORECASE)
_ARTICLE = r"(?:the|a|an|this|that|these|those|its|their|his|her|our)"
_PREPOSITION = r"(?:of|for|in|on|at|by|with|from|under|about|to|within|during)"
_ASKS = re.compile(
    r"\b(?:who|whom|whose|what|when|where|which|why|how|is|are|was|were|do|does|did|has|have|had|can|could|"
    r"may|must|shall|should|will|would|list|name|give|tell|show|explain)\b",
    re.IGNORECASE,
)
_WORD = r"[^\W\d_][\w’'&/-]*"
_CAPITAL = r"[^\W\d_a-z][\w.’'&/-]*"
_NUMBER = r"\d[\w.,’'/%-]*"
_NAME = re.compile(rf"(?:{_NUMBER}|{_CAPITAL})(?:\s+(?:{_NUMBER}|{_CAPITAL}))*")
_THING = re.compile(r"\b(?:it|them|they|this one|that one)\b", re.IGNORECASE)
_PERSON = re.compile(r"\b(?:he|she|him)\b", re.IGNORECASE)
_OWN = re.compile(rf"\b(?:its|their|his|her)\s+(?P<what>{_WORD}(?:\s+{_WORD}){{0,2}})$", re.IGNORECASE)
_POINTS = re.compile(r"\b(?:its|their|his|her|hers|theirs|this|that|these|those|there|then)\b", re.IGNORECASE)
_BEFORE_NAME = 4  # words before a name that may belong to its phrase: "the lease of 12 Harbour Street"


def understand(question: str, before: str, answer: str = "") -> str:
    """The follow-up `question` as a question of its own, after the question `before` and its `answer`."""
    asked = " ".join(question.split())
    mark = "?" if asked.endswith("?") else ""
    core = _ABOUT.sub("", _OPENING.sub("", asked)).rstrip("?.! ")
    earlier = " ".join(before.split()).rstrip("?.! ")
    subject = topic(earlier)
    if not core or not subject:
        return asked
    if not _ASKS.search(earlier):  # in another language than these rules know
        return f"{asked} ({earlier})"
    fragment = _ASKS.search(core) is None
    if fragment and (renamed := _with_new_name(core, earlier)):
        return renamed + "?"
    if fragment:
        return f"What is the {_without_article(core)} of {subject}?"
    if len(core.split()) <= 2 and not _names(core):
        return f"{_upper(core)}: {earlier}?"
    return _upper(_pointing(core, subject, answer)) + mark


def topic(question: str) -> str:
    """What a question is about, as a phrase of it."""
    text = question.rstrip("?.! ")
    names = _names(text)
    if names:
        phrases = dict.fromkeys(_phrase(text, *span) for span in names)
        whole = [one for one in phrases if not any(one != other and one in other for other in phrases)]
        return " and ".join(whole)
    articles = list(re.finditer(rf"\b{_ARTICLE}\s+(?=\w)", text, re.IGNORECASE))
    if articles:
        return _lower(text[articles[-1].start() :])
    prepositions = list(re.finditer(rf"\b{_PREPOSITION}\s+(?=\w)", text, re.IGNORECASE))
    if prepositions:
        return text[prepositions[-1].end() :]
    words = text.split()
    return " ".join(words[2:] if len(words) > 2 and _ASKS.match(text) else words)


def _names(text: str) -> list[tuple[int, int]]:
    """Spans of names and numbers; a sentence's first word tells nothing by its capital."""
    first = re.match(r"\w+", text)
    after = first.end() if first and not text[:1].isdigit() else 0
    spans = [match.span() for match in _NAME.finditer(text, after)]
    return [span for span in spans if not _ASKS.fullmatch(text[slice(*span)])]


def _phrase(text: str, start: int, end: int) -> str:
    """A name with the words before it that it belongs to, back to their article."""
    words = list(re.finditer(r"\S+", text[:start]))[-_BEFORE_NAME:]
    first = start
    for match in reversed(words):
        word = match[0]
        if re.fullmatch(_ARTICLE, word, re.IGNORECASE):
            return _lower(text[match.start() : end])
        if _ASKS.fullmatch(word) or word.endswith((",", ";", ":")):
            break
        if not re.fullmatch(_PREPOSITION, word, re.IGNORECASE):
            first = match.start() if first == start and match.end() + 1 == start else first
    return text[first:end]


def _with_new_name(fragment: str, earlier: str) -> str:
    """The earlier question with the name or number of the fragment in place of its own last one."""
    new, old = _fragment_names(fragment), _names(earlier)
    if not new or not old:
        return ""
    start, end = old[-1]
    return earlier[:start] + fragment[slice(*new[-1])] + earlier[end:]


def _fragment_names(fragment: str) -> list[tuple[int, int]]:
    """In a fragment the first word may be a name, unless it is a preposition or an article."""
    led = re.match(rf"(?:(?:{_PREPOSITION}|{_ARTICLE})\s+)*", fragment, re.IGNORECASE)
    return [match.span() for match in _NAME.finditer(fragment, led.end() if led else 0)]


def _pointing(core: str, subject: str, answer: str) -> str:
    """A whole question with what its pronouns point to; without any, with the topic behind it."""
    if own := _OWN.search(core):
        return f"{core[: own.start()]}the {own['what']} of {subject}"
    person = _person(answer)
    if person and _PERSON.search(core):
        return _PERSON.sub(lambda _: person, core, count=1)
    if _THING.search(core):
        return _THING.sub(lambda _: subject, core, count=1)
    if _names(core) and not _POINTS.search(core):
        return core
    return f"{core} ({subject})"


def _person(answer: str) -> str:
    """The first name of two words or more in an answer."""
    for match in _NAME.finditer(answer):
        if len(match[0].split()) > 1 and not re.search(r"\d", match[0]):
            return match[0].rstrip(".,")
    return ""


def _without_article(text: str) -> str:
    return re.sub(rf"^(?:{_PREPOSITION}\s+)?{_ARTICLE}\s+", "", text, flags=re.IGNORECASE)


def _lower(text: str) -> str:
    """An article at the head of a phrase needs no capital inside a sentence."""
    return text[:1].lower() + text[1:] if re.match(rf"{_ARTICLE}\b", text, re.IGNORECASE) else text


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
