"""Numbers of a run: what was done, how fast, with how many spikes."""

from dataclasses import dataclass

from engine.tally import SpikeTally


@dataclass(frozen=True, slots=True)
class RunStats:
    """One read, logits or generate call. Shares are None where nothing was spike-coded."""

    tokens: int
    seconds: float
    bytes: int
    spikes_per_channel: float | None
    silent_share: float | None

    @property
    def tokens_per_s(self) -> float:
        """Tokens processed a second."""
        return self.tokens / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class ReadProgress:
    """After a chunk: `tokens_read` in the state, `tokens` and `seconds` of this call, recall codes just
    completed.

    `codes` holds (index into passage_ends, 64 bytes).
    """

    tokens_read: int
    tokens: int
    seconds: float
    codes: tuple[tuple[int, bytes], ...]

    @property
    def tokens_per_s(self) -> float:
        """Mean speed of this call so far."""
        return self.tokens / self.seconds if self.seconds > 0 else 0.0


def run_stats(tokens: int, seconds: float, nbytes: int, tally: SpikeTally) -> RunStats:
    """Stats with the shares of `tally`."""
    return RunStats(tokens, seconds, nbytes, tally.spikes_per_channel(), tally.silent_share())
