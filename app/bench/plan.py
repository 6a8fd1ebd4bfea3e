"""What a bench is asked to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from app.bench.record import Measured
from app.errors import UserError
from app.services import Services

if TYPE_CHECKING:
    from engine import Engine
    from engine.tokenizer import Tokenizer


@dataclass(frozen=True)
class Plan:
    """`quick`: small sizes, to see that it works; `runs` a figure; `tokens` of a long run, 0 for none."""

    services: Services
    quick: bool = False
    runs: int = 3
    tokens: int = 0

    @cached_property
    def engine(self) -> Engine:
        """The chosen model, loaded when a bench needs it."""
        return self.services.engine

    @property
    def tokenizer(self) -> Tokenizer:
        """Its tokenizer; UserError if the checkpoint came without."""
        if self.engine.tokenizer is None:
            raise UserError("no_tokenizer", "This model has no tokenizer, so it cannot read text.")
        return self.engine.tokenizer


Bench = Callable[[Plan], Iterator[Measured]]
