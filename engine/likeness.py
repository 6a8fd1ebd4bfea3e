"""How alike passages are to a question, token by token: synonyms and word forms count, whole words need not
match.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from engine.engine import Engine
from engine.evidence import tokenizer_of
from engine.grounded import PASSAGE_TOKENS, question_text


def likeness(engine: Engine, question: str, texts: Sequence[str]) -> list[float]:
    """For each of `texts` the mean over the question's tokens of the cosine (-1..1) of the nearest token in
    the text, tokens weighed as the recall head weighs them. Late interaction (Khattab and Zaharia 2020, arXiv
    2004.12832) of the rows of the embedding table, less their mean over `texts`: no layer is run.
    """
    tokenizer = tokenizer_of(engine)
    asked = question_text(tokenizer, question)
    read = [tokenizer.encode(text)[:PASSAGE_TOKENS] for text in texts]
    if not asked or not any(read):
        return [0.0] * len(read)
    distinct, place = torch.unique(torch.tensor([i for ids in read for i in ids]), return_inverse=True)
    wanted, found = engine.embed_each([asked, distinct.tolist()])
    middle, recall = found.mean(dim=0), engine.decoder.weights.recall
    near = F.normalize(wanted - middle, dim=1) @ F.normalize(found - middle, dim=1).T
    ids = torch.tensor(asked, device=near.device)
    weights = torch.ones_like(near[:, 0]) if recall is None else recall.weigh(ids, tokenizer.separator_id)
    weights = weights / weights.sum()
    places = place.to(near.device).split([len(ids) for ids in read])
    return [float(weights @ near[:, some].amax(dim=1)) if len(some) else 0.0 for some in places]
