"""Chat prompts by a model's own template, in a sandbox, with what people and documents say kept as data."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from jinja2 import Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from engine.errors import ModelError

MOST_CHARACTERS = 1_000_000
_SLOT = re.compile("\ue000([0-9]+)\ue001")
"""Stands for the content of a message while the template runs; two characters of the private use area."""

Piece = tuple[str, bool]
Messages = Sequence[Mapping[str, str]]

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PLAIN = (
    "{% for message in messages %}{{ message['content'] }}\n\n{% endfor %}"
    "{% if add_generation_prompt %}Answer:{% endif %}"
)
"""For models that were never taught to chat."""


def render_chat(
    template: str, messages: Messages, names: Mapping[str, str | None], add_generation_prompt: bool = True
) -> list[Piece]:
    """The prompt as (text, trusted) pieces: what the template writes may name control tokens, contents not.

    `names` are the template's bos_token, eos_token and the like. A template that refuses a system message
    gets it before the first user message. ModelError if it cannot be run or drops what was said.
    """
    try:
        return _render(template, messages, names, add_generation_prompt)
    except ModelError:
        if len(messages) < 2 or messages[0]["role"] != "system":
            raise
        joined = f"{messages[0]['content']}\n\n{messages[1]['content']}"
        folded = [{"role": messages[1]["role"], "content": joined}, *messages[2:]]
        return _render(template, folded, names, add_generation_prompt)


def chosen_template(given: Any) -> str | None:
    """The template of a tokenizer_config.json: its only one, or the one called default of several."""
    if isinstance(given, list):
        given = {item.get("name"): item.get("template") for item in given}.get("default")
    return given if isinstance(given, str) else None


def _render(
    template: str, messages: Messages, names: Mapping[str, str | None], add_generation_prompt: bool
) -> list[Piece]:
    slots = [{**message, "content": f"\ue000{i}\ue001"} for i, message in enumerate(messages)]
    given: dict[str, Any] = {name: value or "" for name, value in names.items()}
    given |= {"messages": slots, "add_generation_prompt": add_generation_prompt, "tools": None}
    parts, size = [], 0
    try:
        for part in _compiled(template).generate(**given, enable_thinking=False):
            parts.append(part)
            size += len(part)
            if size > MOST_CHARACTERS:
                raise ModelError("the model's chat template writes without end", _HINT)
    except (TemplateError, TypeError, ValueError, KeyError, AttributeError, ArithmeticError) as error:
        raise ModelError(f"the model's chat template cannot be run: {error}", _HINT) from error
    return _pieces("".join(parts), messages)


_HINT = "Correct chat_template in tokenizer_config.json (or chat_template.jinja), or remove it."


def _pieces(text: str, messages: Messages) -> list[Piece]:
    said = _SLOT.split(text)
    if [int(number) for number in said[1::2]] != list(range(len(messages))):
        raise ModelError("the model's chat template does not say every message once, in order", _HINT)
    pieces: list[Piece] = []
    for index, part in enumerate(said):
        piece = (messages[int(part)]["content"], False) if index % 2 else (part, True)
        if piece[0]:
            pieces.append(piece)
    return pieces


@cache
def _compiled(template: str) -> Template:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = lambda value, indent=None: json.dumps(
        value, ensure_ascii=False, indent=indent
    )
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    try:
        return environment.from_string(template)
    except TemplateError as error:
        raise ModelError(f"the model's chat template is not one: {error}", _HINT) from error


def _refuse(message: str) -> Any:
    raise TemplateError(message)
