"""The model's own words for an answer, token by token, and what they cost."""

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.engine import Engine
from engine.evidence import Evidence, tokenizer_of
from engine.grounded import NO_ANSWER, grounded_prompt
from engine.prompting import build_prompt
from engine.sentences import sentence_spans
from engine.state import ContextState

PROMPT_TOKENS = 900


@dataclass(frozen=True, slots=True)
class AnswerStats:
    """What answering cost: prompt tokens read and tokens written, each with seconds, and time to the first
    token.
    """

    prompt_tokens: int = 0
    read_s: float = 0.0
    ttft_s: float | None = None
    new_tokens: int = 0
    write_s: float = 0.0
    spikes_per_channel: float | None = None
    silent_share: float | None = None

    @property
    def read_tokens_per_s(self) -> float | None:
        """Speed of reading the prompt."""
        return self.prompt_tokens / self.read_s if self.read_s else None

    @property
    def write_tokens_per_s(self) -> float | None:
        """Speed of writing; None below two tokens."""
        return (self.new_tokens - 1) / self.write_s if self.new_tokens > 1 and self.write_s else None


class Draft:
    """The model's own words, token by token."""

    def __init__(
        self, engine: Engine, state: ContextState | None, question: str, items: Sequence[Evidence], limit: int
    ) -> None:
        self.text = ""
        self.stats = AnswerStats()
        self._engine = engine
        self._state = engine.new_state() if state is None else state.clone()
        tokenizer = tokenizer_of(engine)
        if engine.config.grounded:
            self._prompt = grounded_prompt(tokenizer, [(items[0].title(), items[0].text)], question)
        else:
            self._prompt = build_prompt(tokenizer, question, items, PROMPT_TOKENS)
        self._limit = limit

    def stream(self) -> Iterator[str]:
        """Yield the growing text; `text` and `stats` are complete afterwards."""
        tokenizer = tokenizer_of(self._engine)
        started = time.perf_counter()
        ids: list[int] = []
        first, text = started, ""
        for token in self._engine.generate(self._prompt, self._state, self._limit):
            if not ids:
                first = time.perf_counter()
            ids.append(token)
            text = _clean(tokenizer.decode(ids))
            spans = sentence_spans(text)
            if len(spans) > 1:
                # One sentence was asked for; an untuned model then says it again, or strays.
                text = text[: spans[0][1]]
                break
            if text != self.text and not NO_ANSWER.strip().startswith(text) and not text.endswith("\ufffd"):
                self.text = text
                yield text
        cut_off = len(ids) >= self._limit and not text.endswith((".", "!", "?"))
        self.text = "" if cut_off or text == NO_ANSWER.strip() else text
        run = self._engine.last_run
        self.stats = AnswerStats(
            prompt_tokens=len(self._prompt),
            read_s=first - started,
            ttft_s=first - started if ids else None,
            new_tokens=len(ids),
            write_s=time.perf_counter() - first,
            spikes_per_channel=run.spikes_per_channel if run else None,
            silent_share=run.silent_share if run else None,
        )


def _clean(text: str) -> str:
    """The draft without citation marks of its own making: numbers are given by us."""
    return re.sub(r"\s*\[(\d+\]?)?$|\s*\[\d+\]", "", text).strip()
