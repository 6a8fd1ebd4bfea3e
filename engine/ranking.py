"""The score that sifts passages, in a file of its own: no state or code depends on it, so the model's
fingerprint does not either, and archives need not be read anew for a better one.
"""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.config import ModelConfig
from engine.errors import ModelError
from engine.sources import FLOATS, INDICES, check_tensor
from engine.weights import RankingWeights

FILE = "ranking.safetensors"
PREFIX = "ranking."
LAYER, DIRECTIONS = f"{PREFIX}layer", f"{PREFIX}directions"


def save_ranking(tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Write the file if there is such a score among the `tensors` of an adapter."""
    if DIRECTIONS in tensors:
        save_file({name: tensors[name] for name in (LAYER, DIRECTIONS)}, folder / FILE)


def load_ranking(folder: Path, config: ModelConfig) -> RankingWeights | None:
    """The score of a model folder, None where it has none; ModelError names what is amiss."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        tensors = load_file(path)
        layer, directions = tensors[LAYER], tensors[DIRECTIONS]
    except (SafetensorError, OSError, KeyError) as error:
        raise ModelError(f"{FILE} cannot be read: {error}", "Prepare the model again.") from error
    check_tensor(LAYER, layer, (1,), INDICES)
    check_tensor(DIRECTIONS, directions, (2, config.hidden_size), FLOATS)
    if not 0 < int(layer) < len(config.layers):
        raise ModelError(f"{LAYER} {int(layer)} is not on the way through {len(config.layers)} layers")
    return RankingWeights(int(layer), directions.float())
