"""Whether the evidence answers the question at all: a logistic score fitted by tests/bench/refusal.py."""

from dataclasses import dataclass
from math import exp

NAMED_NEEDED = 0.5
UNNAMED_AT_MOST = 0.3


@dataclass(frozen=True, slots=True)
class Score:
    """Weights of what the best passage adds to the question's mean log likelihood (nats a token), of the
    model's own log odds that it answers, and of the share of the question that its best sentence takes up.
    """

    intercept: float
    likelihood: float
    odds: float
    relevance: float


ARCHIVE = Score(-2.34, 1.11, 0.49, 0.3)
"""For a question put to an archive, perhaps in other words than its own."""

DOCUMENT = Score(-1.52, 0.88, 0.63, 2.04)
"""For a sentence of the one document asked. A matrix puts the same question to documents that say nothing
about it, and lends it the words such clauses are written in: shared words tell more here. Fitted on
development questions; its intercept chosen on 20 agreements of tests/bench/matrix.py, whose result is of 40
others."""


def found_probability(
    likelihood_gain: float, odds: float, relevance: float, named: float = 1.0, score: Score = ARCHIVE
) -> float:
    """Probability that the evidence answers the question.

    `likelihood_gain`, `odds` (0 from a model not trained to tell), `relevance` (0..1): see `Score`; `named`:
    the share of the question's names and numbers that the passage with most of them holds. Where these are
    missing, the passages speak of somebody else in the same words, which the other numbers cannot tell.
    """
    likely, told, shared = score.likelihood * likelihood_gain, score.odds * odds, score.relevance * relevance
    probability = 1.0 / (1.0 + exp(-(score.intercept + likely + told + shared)))
    return probability if named >= NAMED_NEEDED else min(probability, UNNAMED_AT_MOST)
