"""What the Triton kernels share: block sizes by device family, and the number types of their products.

Imported only by modules that need Triton. Kernels use plain pointers and masks (no block pointers, which
newer versions dropped) and compute offsets in 64 bits. In loops they call no functions of their own: the
interpreter takes milliseconds for a call. Compiled kernels and tuned choices stay in Triton's cache folder
($TRITON_CACHE_DIR).
"""

import inspect
import math
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import triton
import triton.language as tl

Choice = tuple[dict[str, int], int, int]
"""Block sizes, warps and pipeline stages of one way to run a kernel."""

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"


@cache
def device_family() -> str:
    """ "interpreter", "hopper" (and newer NVIDIA), "ampere", "amd" or "other": what kernels compile for."""
    if INTERPRETED:
        return "interpreter"
    try:
        target = triton.runtime.driver.active.get_current_target()
    except RuntimeError:  # no driver: kernels can be compiled for a named target, not run
        return "other"
    if target.backend == "hip":
        return "amd"
    if target.backend != "cuda":
        return "other"
    return "hopper" if target.arch >= 90 else "ampere" if target.arch >= 80 else "other"


def tuned(
    table: Mapping[str, Sequence[Choice]], key: Sequence[str], restore: Sequence[str] = ()
) -> Callable[[Any], Any]:
    """Decorator: the fastest choice of this device's family is measured once for each value of `key`.

    `table` needs "other" and "interpreter" (one choice); `restore` names tensors that the kernel adds to.
    """
    choices = table.get(device_family(), table["other"])
    configs = [triton.Config(dict(blocks), num_warps=w, num_stages=s) for blocks, w, s in choices]
    keeps = "cache_results" in inspect.signature(triton.autotune).parameters
    extra = {"cache_results": True} if keeps and not INTERPRETED else {}
    return triton.autotune(
        configs=configs,
        key=list(key),
        restore_value=list(restore) or None,
        prune_configs_by={"early_config_prune": _fitting},
        **extra,
    )


def _fitting(configs: list[Any], _arguments: dict[str, Any], **settings: Any) -> list[Any]:
    """Products in float32 need the room and the compiling time of several: the smallest choice does."""
    if settings.get("KIND") != tl.float32:
        return configs
    return [min(configs, key=lambda c: (math.prod(c.kwargs.values()), c.num_stages, c.num_warps))]


def block_of(width: int, least: int = 16) -> int:
    """The power of two that holds `width`; products need at least 16."""
    return max(least, triton.next_power_of_2(width))


def product_types(bf16: bool) -> dict[str, Any]:
    """What a kernel converts the operands of a product to, one after the other: `ROUND`, then `KIND`.

    The interpreter's product takes the bits of bfloat16 for integers, so there the rounded values go on as
    float32. `PRECISION` keeps float32 products float32: in three parts on tensor cores where there are any.
    """
    rounded = tl.bfloat16 if bf16 else tl.float32
    cores = device_family() in ("hopper", "ampere")
    return {
        "ROUND": rounded,
        "KIND": tl.float32 if INTERPRETED else rounded,
        "PRECISION": "tf32x3" if cores else "ieee",
    }
