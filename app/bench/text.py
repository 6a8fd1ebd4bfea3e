"""Generated but realistic text of three fields, without end: what benches read."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.tokenizer import Tokenizer

FIELDS = ("legal", "medical", "physics")

COMPANIES = (
    "Alder Brook Corvane Delmar Estrel Fenwick Garrow Halden Jarrow Kestrel Lorne Marlow Nordane Orwell"
)
ENDINGS = ("Holdings", "Logistics", "Biologics", "Energy", "Foods", "Systems", "Shipping", "Partners")
SUBSTANCES = (
    "veltrinib cordazole amlistat bexoprine talvaquin ornidexin sulmatine perivane zelcotrol larvexin"
)
CITIES = "Tallinn Bergen Trieste Porto Gdansk Lyon Basel Leiden Malmo Ghent Turku Cork Brno Split Graz Tartu"
PEOPLE = "Anand Okafor Lindqvist Moreau Takeda Ferreira Novak Haddad Sorensen Petrov Adeyemi Weiss Kimura"
INSTRUMENTS = (
    "Halcyon Meridian Aurelia Borealis Castor Draco Electra Fornax Gemini Helios Icarus Juno Kepler Lyra"
)


def subjects(field: str, draw: random.Random) -> Iterator[str]:
    """Names no two documents share."""
    if field == "legal":
        names = [f"{a} {b}" for a in COMPANIES.split() for b in ENDINGS]
    elif field == "medical":
        names = [f"{a}-{n}" for a in SUBSTANCES.split() for n in range(11, 99, 7)]
    else:
        names = [f"{a}-{n}" for a in INSTRUMENTS.split() for n in range(2, 12)]
    draw.shuffle(names)
    yield from names
    for city in CITIES.split():
        yield from (f"{name} {city}" for name in names)


def filler(field: str, who: str, draw: random.Random) -> str:
    """A sentence about `who` that answers none of the questions."""
    n, year = draw.randrange(2, 900), draw.randrange(1981, 2024)
    person, city = draw.choice(PEOPLE.split()), draw.choice(CITIES.split())
    adverb = draw.choice(("broadly", "largely", "partly", "as a rule", "in most cases", "with some delay"))
    reason = draw.choice(
        ("rising costs", "a lack of staff", "new guidance", "an audit", "earlier experience", "the weather")
    )
    shared = [
        f"A first draft was circulated by {person} in {city} in {year}, and {n} comments were returned.",
        f"Section {n % 30 + 1} was {adverb} rewritten because of {reason}.",
        f"The annex lists {n} items, of which the committee in {city} reviewed every third.",
        f"{person} noted that the figures of {year} had been {adverb} confirmed.",
        f"Because of {reason}, the meeting planned for {year} in {city} was held {n % 9 + 1} months later.",
        f"No change was made to table {n % 40 + 1}, although {person} had asked for one.",
        f"The file was kept in {city} and copied {n % 7 + 2} times.",
    ]
    own = {
        "legal": [
            f"{who} shall keep records of each delivery and show them to the auditor on request.",
            f"The goods travel at the risk of the seller until {who} has signed the receipt in {city}.",
            f"Invoices to {who} are numbered and carry the reference {n}/{year}.",
            f"Amendments need the signature of both sides; {person} signs for {who}.",
            "Headings are for convenience and do not affect the meaning of a clause.",
            f"Insurance taken out by {who} covers warehouses in {city} {adverb}.",
        ],
        "medical": [
            f"Participants of the {who} programme were recruited at {n % 20 + 2} clinics around {city}.",
            f"Blood samples were drawn before breakfast and stored by {person}.",
            f"The placebo looked and tasted like {who}, which was {adverb} confirmed by the nurses.",
            f"Of those screened, {n} did not meet the criteria for {who}.",
            "The investigators recorded weight, pulse and blood pressure at every visit.",
            f"An independent board in {city} watched over the safety of {who}.",
        ],
        "physics": [
            f"The magnet of {who} was built in {city} and surveyed by {person}.",
            f"Calibration of {who} took {n % 50 + 3} shifts and was {adverb} automatic.",
            f"Noise in channel {n} of {who} was traced to {reason}.",
            "Events with more than one vertex were removed before the fit.",
            f"The data acquisition of {who} wrote {n} files a day to the disks in {city}.",
            "Systematic effects were studied with simulated samples of equal size.",
        ],
    }
    return draw.choice(shared + own[field] * 2)


def text_ids(tokenizer: Tokenizer, count: int, seed: int = 0) -> Iterator[int]:
    """`count` token ids of an endless archive, made as they are read."""
    draw = random.Random(seed)
    done = 0
    while done < count:
        field = draw.choice(FIELDS)
        who = next(subjects(field, draw))
        ids = [tokenizer.separator_id]
        ids += tokenizer.encode(" ".join(filler(field, who, draw) for _ in range(120)))
        yield from ids[: count - done]
        done += len(ids)
