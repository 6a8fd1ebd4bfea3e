"""An archive made on the fly: documents of three fields with facts planted in them, and questions.

Every document speaks of its own people, companies, substances or instruments, in sentences that resemble
those of the other documents: what is asked for stands once, among many statements of the same form.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from app.bench.text import CITIES, FIELDS, filler, subjects


@dataclass(frozen=True, slots=True)
class Fact:
    """A planted sentence with a question in its words, one in other words, and the answer both ask for."""

    sentence: str
    question: str
    paraphrase: str
    answer: str


@dataclass(frozen=True, slots=True)
class Planted:
    """A fact and the name of the only document that states it."""

    document: str
    fact: Fact


def legal_fact(draw: random.Random, who: str) -> Fact:
    """One clause of a contract of the company `who`."""
    days, sum_, place = draw.randrange(11, 180), draw.randrange(110, 990), draw.choice(CITIES.split())
    return draw.choice(
        [
            Fact(
                f"Either party may terminate the {who} supply agreement by {days} days written notice.",
                f"How many days written notice terminates the {who} supply agreement?",
                f"How long in advance must one announce leaving the deal with {who}?",
                f"{days} days",
            ),
            Fact(
                f"The total liability of {who} shall not exceed {sum_},000 euros.",
                f"What amount shall the total liability of {who} not exceed?",
                f"Up to which sum is {who} answerable for damage?",
                f"{sum_},000 euros",
            ),
            Fact(
                f"Disputes arising from the {who} lease shall be settled by arbitration in {place}.",
                f"Where shall disputes arising from the {who} lease be settled by arbitration?",
                f"In which city are quarrels about premises rented from {who} decided?",
                place,
            ),
        ]
    )


def medical_fact(draw: random.Random, who: str) -> Fact:
    """One finding of a trial of the substance `who`."""
    dose, weeks, share = draw.randrange(3, 95), draw.randrange(5, 60), draw.randrange(12, 88)
    return draw.choice(
        [
            Fact(
                f"Patients received {who} at a dose of {dose} mg once daily.",
                f"At what dose did patients receive {who}?",
                f"How much {who} was given per day?",
                f"{dose} mg",
            ),
            Fact(
                f"Treatment with {who} lasted {weeks} weeks in the main study.",
                f"How many weeks did treatment with {who} last?",
                f"What was the duration of the {who} therapy?",
                f"{weeks} weeks",
            ),
            Fact(
                f"Headache was the most frequent adverse event of {who}, in {share} percent.",
                f"What was the most frequent adverse event of {who}?",
                f"Which side effect did people taking {who} complain of most?",
                "Headache",
            ),
        ]
    )


def physics_fact(draw: random.Random, who: str) -> Fact:
    """One result of the instrument `who`."""
    energy, kelvin, mass = draw.randrange(100, 990), draw.randrange(3, 80), draw.randrange(101, 999)
    return draw.choice(
        [
            Fact(
                f"The {who} detector recorded collisions at a beam energy of {energy} GeV.",
                f"At what beam energy did the {who} detector record collisions?",
                f"How energetic were the particles smashed together in {who}?",
                f"{energy} GeV",
            ),
            Fact(
                f"The sensors of {who} were cooled to {kelvin} kelvin during the run.",
                f"To what temperature were the sensors of {who} cooled?",
                f"How cold did they keep the {who} pixels?",
                f"{kelvin} kelvin",
            ),
            Fact(
                f"The {who} collaboration measured a mass of {mass}.4 MeV with an uncertainty of 0.3 MeV.",
                f"What mass did the {who} collaboration measure?",
                f"How heavy is the particle according to {who}?",
                f"{mass}.4 MeV",
            ),
        ]
    )


FACTS: dict[str, Callable[[random.Random, str], Fact]] = {
    "legal": legal_fact,
    "medical": medical_fact,
    "physics": physics_fact,
}


def write_archive(
    folder: Path, documents: int = 90, words: int = 1800, planted: int = 40, seed: int = 0
) -> tuple[list[Planted], list[str]]:
    """Write `documents` text files of about `words` words, a fact planted in each of the first `planted`.

    Returns the facts, and a quarter as many questions about subjects that no document mentions.
    """
    draw = random.Random(seed)
    names = {field: subjects(field, draw) for field in FIELDS}
    facts, folder_names = [], list(range(documents))
    folder.mkdir(parents=True, exist_ok=True)
    for number in folder_names:
        field = FIELDS[number % 3]
        who = next(names[field])
        sentences = [filler(field, who, draw) for _ in range(max(1, words // 15))]
        name = f"{field}-{number:04d}.txt"
        if number < planted:
            fact = FACTS[field](draw, who)
            facts.append(Planted(name, fact))
            sentences.insert(draw.randrange(len(sentences)), fact.sentence)
        (folder / name).write_text(_laid_out(field, who, sentences, draw), "utf-8")
    absent = []
    for number in range(max(1, planted // 4)):
        field = FIELDS[number % 3]
        absent.append(FACTS[field](draw, next(names[field])).question)
    return facts, absent


def _laid_out(field: str, who: str, sentences: list[str], draw: random.Random) -> str:
    titles = {"legal": "Agreement with {}", "medical": "Study report: {}", "physics": "Run report: {}"}
    parts, at = [titles[field].format(who)], 0
    while at < len(sentences):
        size = draw.randrange(4, 9)
        parts.append(" ".join(sentences[at : at + size]))
        at += size
    return "\n\n".join(parts) + "\n"
