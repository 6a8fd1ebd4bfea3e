"""Languages: what they are called, and what the model in use can and cannot read of an archive."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

_NAMES = """
en:English de:German fr:French es:Spanish pt:Portuguese it:Italian nl:Dutch sv:Swedish
da:Danish no:Norwegian fi:Finnish et:Estonian lv:Latvian lt:Lithuanian pl:Polish cs:Czech
sk:Slovak sl:Slovenian hr:Croatian hu:Hungarian ro:Romanian tr:Turkish sq:Albanian
is:Icelandic ca:Catalan gl:Galician eu:Basque af:Afrikaans id:Indonesian vi:Vietnamese
sw:Swahili tl:Tagalog ru:Russian uk:Ukrainian be:Belarusian bg:Bulgarian mk:Macedonian
sr:Serbian kk:Kazakh hi:Hindi mr:Marathi ne:Nepali ar:Arabic fa:Persian ur:Urdu he:Hebrew
zh:Chinese ja:Japanese ko:Korean el:Greek th:Thai hy:Armenian ka:Georgian bn:Bengali
pa:Punjabi gu:Gujarati ta:Tamil te:Telugu kn:Kannada ml:Malayalam si:Sinhala lo:Lao
my:Burmese am:Amharic km:Khmer
"""
NAMES = dict(pair.split(":") for pair in _NAMES.split())
# What the makers of a base model say it was trained on, told by a part of its name or model type.
_TRAINED_ON = (
    ("engram", "en"),
    ("smollm", "en"),
    ("spikingbrain", "en zh"),
    ("gla_swa", "en zh"),
    ("sse_swa_moba", "en zh"),
    ("qwen3", "en zh de fr es pt it nl ru ar ja ko th vi id tr pl cs sv da no fi hu ro el he hi bn uk fa ur"),
    ("qwen2", "en zh fr es pt de it ru ja ko vi th ar"),
    ("llama-3", "en de fr it pt hi es th"),
)


def language_name(code: str) -> str:
    """`German`; a code without a name is shown as it is, no code as nothing."""
    return NAMES.get(code, code)


def languages_of(model: str, folder: Path) -> frozenset[str] | None:
    """The languages that a model was trained on; None where its makers' statement is not known here."""
    names = f"{model} {_model_type(folder)}".lower()
    known = next((codes for part, codes in _TRAINED_ON if part in names), None)
    return frozenset(known.split()) if known is not None else None


def statement(languages: Iterable[str], read: frozenset[str] | None) -> str:
    """What the model can and cannot read of documents in these languages; "" where there are none."""
    counts = Counter(code for code in languages if code)
    if not counts:
        return ""
    named = ", ".join(f"{language_name(code)} ({count:,})" for code, count in counts.most_common())
    if read is None:
        return f"Languages: {named}. Which of them the model in use was trained on is not known."
    trained = _listed(sorted(language_name(code) for code in read)[:6]) + (
        " and others" if len(read) > 6 else ""
    )
    foreign = [language_name(code) for code, _ in counts.most_common() if code not in read]
    if not foreign:
        return f"Languages: {named}. The model in use was trained on {trained}."
    return (
        f"Languages: {named}. The model in use was trained on {trained}. Documents in {_listed(foreign)} are "
        "found by their words and quoted letter for letter, but do not rely on the ranking, the answers or a "
        "“not found” there; ask in the language of the document."
    )


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _model_type(folder: Path) -> str:
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return ""
    return (
        f"{config.get('model_type', '')} {config.get('_name_or_path', '')}"
        if isinstance(config, dict)
        else ""
    )
