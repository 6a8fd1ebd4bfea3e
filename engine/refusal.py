"""Whether the evidence answers the question at all: a logistic score fitted by tests/bench/refusal.py."""

from math import exp

INTERCEPT = -2.37
PER_LIKELIHOOD = 0.89
PER_RELEVANCE = 0.43
PER_ODDS = 0.42

NAMED_NEEDED = 0.5
UNNAMED_AT_MOST = 0.3


def found_probability(
    likelihood_gain: float, odds: float, relevance: float, named: float = 1.0, prior: float = 0.0
) -> float:
    """Probability that the archive answers the question.

    `likelihood_gain`: what the best passage adds to the question's mean log likelihood (nats a token);
    `odds`: the model's own log odds that this passage answers, 0 from a model not trained to tell;
    `relevance`: how much of the question the best sentence takes up (0..1); `named`: the share of the
    question's names and numbers that the passage with most of them holds. Where these are missing, the
    passages speak of somebody else in the same words, which the other two numbers cannot tell; `prior`: log
    odds by which an answer is likelier here than where the score was fitted.
    """
    score = prior + INTERCEPT + PER_LIKELIHOOD * likelihood_gain + PER_ODDS * odds + PER_RELEVANCE * relevance
    probability = 1.0 / (1.0 + exp(-score))
    return probability if named >= NAMED_NEEDED else min(probability, UNNAMED_AT_MOST)
