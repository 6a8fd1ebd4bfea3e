"""Questions changed in one place so that their passage no longer answers them.

People who were asked to write such questions turned a word into its opposite or exchanged a name, a number or
a thing for another one of the text (SQuAD 2.0, Rajpurkar et al. 2018, arXiv 1806.03822, table 2). Beside the
question as it was asked, an altered one teaches to refuse what only sounds like the passage.
"""

import random
import re
from collections.abc import Iterator

from engine.sentences import content_terms, sentence_spans

_NUMBER = re.compile(r"\d[\d,.]*\d|\d")
_NAME = re.compile(r"[A-Z][\w'’-]+(?:\s+[A-Z][\w'’-]+)*")
_WORD = re.compile(r"(?<![\w'’-])[a-z]{5,}(?![\w'’-])")
_NOUN = re.compile(r"\b(?:an?|the|its|his|her|any|and|for|of|in|by|to) ([a-z]{5,})(?![\w'’-])")
_ENDINGS = "tions ments tion ment ings ness ing ies ity ers ed er al ly s".split()
_PAIRS = """
first last, before after, largest smallest, larger smaller, highest lowest, higher lower, high low,
increase decrease, increases decreases, increased decreased, more fewer, most least, early late,
earlier later, begin end, began ended, start stop, started stopped, above below, inside outside,
allow forbid, allowed forbidden, accept reject, accepted rejected, win lose, won lost, gain lose,
gained lost, always never, maximum minimum, positive negative, internal external, common rare,
strong weak, stronger weaker, cause prevent, causes prevents, caused prevented, old young, oldest
youngest, long short, longest shortest, east west, northern southern, eastern western, support
oppose, supported opposed, join leave, joined left, add remove, added removed, attract repel, absorb
emit, absorbed emitted, hot cold, warm cool, buyer seller, landlord tenant, lender borrower,
employer employee, include exclude, included excluded, require forbid, required forbidden, same
different, benefits drawbacks, advantages disadvantages, rise fall, rose fell, majority minority,
acute chronic, necessary unnecessary, successful unsuccessful, born died, rich poor, faster slower,
fast slow
"""
OPPOSITES = {
    a: b
    for pair in _PAIRS.split(",")
    for one, other in [pair.split()]
    for a, b in ((one, other), (other, one))
}


def alter(question: str, answer: str, text: str, other: str, draw: random.Random) -> str | None:
    """`question` changed so that `text`, which answers it with `answer`, does not; None if nothing can be
    exchanged safely. What comes in stands in `text` or in `other`, but never in the sentence of the answer.
    """
    sentences = (text[start:end] for start, end in sentence_spans(text))
    said = next((sentence for sentence in sentences if answer.casefold() in sentence.casefold()), None)
    if said is None:
        return None
    told = draw.choice((text, other)) if other else text
    ways = [
        _opposites(question, text),
        _names(question, answer, said, told, draw),
        _things(question, answer, said, told, draw),
    ]
    for way in draw.sample(ways, len(ways)):
        changed = next(way, None)
        if changed is not None:
            return changed
    return None


def _opposites(question: str, text: str) -> Iterator[str]:
    """A word turned into an opposite that the text does not speak of."""
    there = set(re.findall(r"\w+", text.casefold()))
    for word in re.finditer(r"\b[a-z]+\b", question):
        opposite = OPPOSITES.get(word.group())
        if opposite and opposite not in there:
            yield _exchanged(question, word, opposite)


def _names(question: str, answer: str, said: str, told: str, draw: random.Random) -> Iterator[str]:
    """A name for a name, a number for a number written with as many digits."""
    for kind in draw.sample((_NUMBER, _NAME), 2):
        for found in kind.finditer(question):
            if not found.start():
                continue
            alike = [one for one in _middles(kind, told) if kind is _NAME or len(one) == len(found.group())]
            yield from _each(question, found, alike, answer, said, draw)


def _things(question: str, answer: str, said: str, told: str, draw: random.Random) -> Iterator[str]:
    """A word of the answer's sentence for one of the same ending."""
    there = set(content_terms(said))
    words = [word for word in _WORD.finditer(question) if there.intersection(content_terms(word.group()))]
    for found in draw.sample(words, len(words)):
        ending = _ending(found.group())
        if ending:
            alike = [one for one in sorted(set(_WORD.findall(told))) if _ending(one) == ending]
        elif any(noun.span(1) == found.span() for noun in _NOUN.finditer(question)):
            alike = sorted(set(_NOUN.findall(told)))
        else:
            continue
        yield from _each(question, found, alike, answer, said, draw)


def _each(
    question: str, found: re.Match[str], alike: list[str], answer: str, said: str, draw: random.Random
) -> Iterator[str]:
    """The question with each of `alike` that neither it, the answer nor its sentence speaks of."""
    taken = {*content_terms(question), *content_terms(answer), *content_terms(said)}
    for one in draw.sample(alike, len(alike)):
        terms = content_terms(one)
        if terms and taken.isdisjoint(terms):
            yield _exchanged(question, found, one)


def _middles(kind: re.Pattern[str], text: str) -> list[str]:
    """Names or numbers that do not begin a sentence, where any word has a capital."""
    starts = {start for start, _ in sentence_spans(text)}
    found = (m.group() for m in kind.finditer(text) if m.start() not in starts)
    return sorted({one for one in found if kind is _NUMBER or content_terms(one.split()[0])})


def _ending(word: str) -> str:
    return next((end for end in _ENDINGS if word.endswith(end)), "")


def _exchanged(question: str, found: re.Match[str], one: str) -> str:
    return question[: found.start()] + one + question[found.end() :]
