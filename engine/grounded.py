"""The form in which passages, a question and an answer stand, in training as in use.

Pieces are encoded one by one, so that the same tokens come out whatever stands beside them. All of it is
encoded as plain text: no control token can come out of a document or a question.
"""

from collections.abc import Sequence

from engine.tokenizer import Tokenizer

QUESTION = "\n\nQuestion:"
ANSWER = "\nAnswer:"
NO_ANSWER = " not found"
PASSAGE_TOKENS = 300


def numbered(
    tokenizer: Tokenizer, passages: Sequence[tuple[str, str]], limit: int = PASSAGE_TOKENS
) -> list[int]:
    """Tokens of (title, text) passages, numbered from 1, each cut to `limit` tokens, up to the question."""
    ids: list[int] = []
    for number, (title, text) in enumerate(passages, start=1):
        head = tokenizer.encode(f"[{number}] {title}\n" if number == 1 else f"\n[{number}] {title}\n")
        ids += [*head, *tokenizer.encode(text.strip())][:limit]
    return [*ids, *tokenizer.encode(QUESTION)]


def question_text(tokenizer: Tokenizer, question: str) -> list[int]:
    """Tokens of a question, right after `numbered`."""
    return tokenizer.encode(f" {question.strip()}")


def citation(number: int) -> str:
    """The mark that ends an answer."""
    return f" [{number}]"


def grounded_prompt(tokenizer: Tokenizer, passages: Sequence[tuple[str, str]], question: str) -> list[int]:
    """Tokens after which a trained model answers `question` from (title, text) passages."""
    asked = question_text(tokenizer, question)[:PASSAGE_TOKENS]
    return [tokenizer.separator_id, *numbered(tokenizer, passages), *asked, *tokenizer.encode(ANSWER)]
