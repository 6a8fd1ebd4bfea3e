"""Keys of a raw config.json: each taken once, none left over."""

from collections.abc import Mapping
from typing import Any

from engine.errors import ModelError


class ConfigReader:
    """Takes keys out of a raw config and reports what was not taken."""

    def __init__(self, raw: Mapping[str, Any], quantised: bool = False) -> None:
        self._raw = dict(raw)
        self.quantised = quantised

    def take(self, key: str, *default: Any) -> Any:
        """The value of `key`, or the default if one is given; ModelError without either."""
        if key not in self._raw and not default:
            raise ModelError(f"config.json lacks the key {key!r}", "The checkpoint folder is incomplete.")
        return self._raw.pop(key, *default)

    def whole(self, key: str, *default: int) -> int:
        """A positive whole number; null counts as absent."""
        value = self._given(key, *default)
        if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
            raise ModelError(f"config.json: {key} = {value!r} is not a positive whole number")
        return value

    def number(self, key: str, *default: float) -> float:
        """A number; null counts as absent."""
        value = self._given(key, *default)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ModelError(f"config.json: {key} = {value!r} is not a number")
        return float(value)

    def _given(self, key: str, *default: float) -> Any:
        value = self.take(key, *default)
        return default[0] if value is None and default else value

    def expect(self, key: str, allowed: tuple[Any, ...]) -> None:
        """Take `key`, which must be absent or one of the values that Engram computes."""
        value = self.take(key, allowed[0])
        if value not in allowed:
            raise ModelError(f"config.json: {key} = {value!r} is not supported", f"Supported: {allowed}.")

    def ignore(self, keys: frozenset[str]) -> None:
        """Drop keys that change no result."""
        for key in keys:
            self._raw.pop(key, None)

    def finish(self) -> None:
        """ModelError if keys were left over."""
        if self._raw:
            names = ", ".join(sorted(self._raw))
            raise ModelError(
                f"config.json has keys that Engram does not know: {names}",
                "They may change the arithmetic. Remove them if they do not.",
                "unknown_config_key",
            )


SILENT = frozenset(
    "architectures auto_map torch_dtype dtype transformers_version use_cache bos_token_id eos_token_id "
    "pad_token_id initializer_range max_position_embeddings is_llama_config rope_interleaved pretraining_tp "
    "transformers.js_config attention_dropout _name_or_path".split()
)
"""Keys of Hugging Face configs that change no result at inference."""
