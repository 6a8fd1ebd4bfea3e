"""Errors of the app layer, and the one place where any error becomes a code, a sentence and a remedy."""

from __future__ import annotations

from dataclasses import dataclass

from storage.errors import InvalidInputError, NotFoundError, translate

INTERNAL = "internal"
# Codes of `engine` and `devices` for what the person asked for wrongly.
MISTAKES = frozenset({"unknown_device", "device_error", "no_model", "unknown_model_type"})


class AppError(Exception):
    """Something the person can be told in one line; `code` is stable, `hint` says what to do."""

    exit_code = 1

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


class UserError(AppError):
    """The request cannot be met as it was made; the person can change it."""

    exit_code = 2


class JobCancelledError(Exception):
    """Somebody cancelled the running job; nothing is wrong."""


class JobStoppedError(Exception):
    """The worker is stopping; the job goes back to the queue and is taken up again."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as people and scripts see it."""

    code: str
    message: str
    hint: str
    exit_code: int

    def as_dict(self) -> dict[str, dict[str, str]]:
        """The `--json` form."""
        return {"error": {"code": self.code, "message": self.message, "hint": self.hint}}

    def line(self) -> str:
        """The one line for standard error."""
        text = " ".join(self.message.split())
        stop = "" if text.endswith((".", "!", "?")) or not self.hint else "."
        return f"error: {text}{stop} {' '.join(self.hint.split())}".strip()


def describe(error: BaseException) -> Problem:
    """Any exception as a Problem; the coded errors of every package keep their own words."""
    if isinstance(error, AppError):
        return Problem(error.code, error.message, error.hint, error.exit_code)
    if isinstance(error, KeyboardInterrupt):
        return Problem("interrupted", "Interrupted.", "Run the same command again to go on.", 1)
    if isinstance(error, MemoryError):
        return Problem("out_of_memory", "Not enough memory.", "Close other programs and try again.", 1)
    error = translate(error) or error
    code, message = getattr(error, "code", None), getattr(error, "message", None)
    if isinstance(code, str) and isinstance(message, str):
        mistake = code in MISTAKES or isinstance(error, NotFoundError | InvalidInputError)
        exit_code = 2 if mistake else 1
        return Problem(code, message, str(getattr(error, "hint", "") or ""), exit_code)
    text = f"Unexpected {type(error).__name__}: {error}"
    return Problem(INTERNAL, text, "The log in the home folder's logs/ says more.", 1)
