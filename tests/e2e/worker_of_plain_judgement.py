"""The worker, with a model that cannot weigh words: the tiny random one of these tests.

Whether evidence answers a question, and which sentence is the likelier, takes a trained model. Here every
question is taken to be answerable and the shared words decide; scans are never recognised, as where the extra
is not installed; a Stop is noticed soon; and while a file named `hold` lies in the home folder answers wait.
Everything else is the product's own.
"""

import os
import sys
import time
from pathlib import Path

from app import task
from app.cli import main
from engine import answering, refusal
from storage.ingest import parser

HOLD = Path(os.environ["ENGRAM_HOME"]) / "hold"


def found_probability(*_: object, **__: object) -> float:
    """Always found, once there is no hold on answers."""
    while HOLD.exists():
        time.sleep(0.02)
    return 0.9


answering.found_probability = refusal.found_probability = found_probability
answering.sentence_fits = lambda _engine, sentences, _question: [0.0] * len(sentences)
parser.can_recognise = lambda: False
task.BEAT_S = 0.5

sys.exit(main(["worker"]))
