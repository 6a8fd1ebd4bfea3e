"""Whether the evidence answers the question at all: a logistic score fitted by tests/bench/refusal.py."""

from math import exp

INTERCEPT = -4.95
PER_LIKELIHOOD = 1.88
PER_RELEVANCE = 2.66


def found_probability(likelihood_gain: float, relevance: float) -> float:
    """Probability that the archive answers the question.

    `likelihood_gain`: what the best passage adds to the question's mean log likelihood (nats a token);
    `relevance`: how much of the question the best sentence takes up (0..1).
    """
    score = INTERCEPT + PER_LIKELIHOOD * likelihood_gain + PER_RELEVANCE * relevance
    return 1.0 / (1.0 + exp(-score))
