"""Words, units and escaping: how the pages say things."""

import html
import re
from datetime import UTC, datetime

NOT_AVAILABLE = "not available"

_PUNCTUATION = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$^=\"'&/])")
_WAKES_UP = re.compile(r"(:|@|\bwww(?=\.))", re.IGNORECASE)
_WORD_JOINER = "\u2060"


def plain(text: object) -> str:
    """Text for a place that renders Markdown (labels, notices): shown as it stands, never interpreted.

    Emoji names, icons and addresses are recognised after Markdown is parsed, so a backslash alone does not
    stop them; an invisible joiner does.
    """
    flat = " ".join(str(text).split())
    return _PUNCTUATION.sub(r"\\\1", _WAKES_UP.sub(r"\1" + _WORD_JOINER, flat))


def safe(text: object) -> str:
    """Text for a place that renders HTML."""
    return html.escape(str(text), quote=True)


def count(number: float | None, noun: str = "", plural: str = "") -> str:
    """`1,204 tokens`; the noun is put in the plural unless there is exactly one."""
    if number is None:
        return NOT_AVAILABLE
    figure = f"{number:,.0f}"
    if not noun:
        return figure
    return f"{figure} {noun if figure == '1' else plural or noun + 's'}"


def size(number_of_bytes: float | None) -> str:
    """`512 bytes`, `1.4 MB`: decimal units, as disks and file managers count."""
    if number_of_bytes is None:
        return NOT_AVAILABLE
    if number_of_bytes < 1000:
        return count(number_of_bytes, "byte")
    value = float(number_of_bytes)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.5 or unit == "TB":
            break
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"


def rate(per_second: float | None, noun: str = "tokens") -> str:
    """`812 tokens/s`; slow rates keep a decimal."""
    if per_second is None:
        return NOT_AVAILABLE
    return f"{per_second:,.1f} {noun}/s" if per_second < 20 else f"{per_second:,.0f} {noun}/s"


def seconds(value: float | None) -> str:
    """`0.42 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if value is None:
        return NOT_AVAILABLE
    if value < 10:
        return f"{value:.2g} s" if value < 1 else f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    hours, rest = divmod(round(whole / 60), 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def remaining(value: float | None) -> str:
    """The time left, coarse on purpose: a figure that jumps every second reads as a guess."""
    if value is None:
        return "estimating the time left"
    if value < 1:
        return "almost done"
    step = 1 if value < 20 else 5 if value < 120 else 30 if value < 1800 else 300
    coarse = max(step, round(value / step) * step)
    return f"about {coarse} s left" if coarse < 10 else f"about {seconds(coarse)} left"


def figure(value: float | None, unit: str = "", digits: int = 3) -> str:
    """A measured number with `digits` significant digits and its unit, or `not available`."""
    if value is None:
        return NOT_AVAILABLE
    text = f"{value:,.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"
    return f"{text} {unit}".strip()


def share(value: float | None) -> str:
    """`18.4 %`."""
    return NOT_AVAILABLE if value is None else f"{100 * value:.1f} %"


def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """`just now`, `5 min ago`, `3 h ago`, then the date."""
    if moment is None:
        return ""
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    passed = ((now or datetime.now(UTC)) - moment).total_seconds()
    if passed < 60:
        return "just now"
    if passed < 3600:
        return f"{passed // 60:.0f} min ago"
    if passed < 24 * 3600:
        return f"{passed // 3600:.0f} h ago"
    local = moment.astimezone()
    return f"{local.day} {local:%B %Y}"
