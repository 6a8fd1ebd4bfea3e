"""`python -m engine.convert spike`: a dense checkpoint in W8ASpike form, and what that costs in perplexity.

Weights keep their values and gain `weight_quantizer.scales` for groups of input channels (golden README 4):
the engine rounds them to INT8 and feeds them spike counts. The dense checkpoint reads the calibration texts
first: its perplexity is the one before, and its layer inputs say how much each input channel's error counts.
The same texts through the converted checkpoint give the perplexity after and the spikes.
"""

import argparse
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from engine.convert.calibration import CalibrationCoder, fit_scales, group_size
from engine.convert.dense import DenseModel, open_dense
from engine.convert.measure import FullTally, perplexity
from engine.convert.shard_writer import SHARD_BYTES, ShardWriter, refuse_existing
from engine.convert.texts import encode_texts, read_texts, sample_texts
from engine.decoder import Decoder
from engine.engine import Engine
from engine.errors import ModelError
from engine.families.layout import SCALES
from engine.host import choose_ops
from engine.w8aspike import W8ASpikeCoder

REPORT = "spike-report"
CALIBRATION = "calibration.safetensors"
INPUTS = {"q": "qkv", "k": "qkv", "v": "qkv", "o": "out", "gate": "gate_up", "up": "gate_up", "down": "down"}
"""Which joined layer of the decoder takes a projection's input."""


@dataclass(frozen=True, slots=True)
class SpikeReport:
    """What a conversion did. `sparsity_3bit`: share of the three lowest bits of |count| that hold no spike;
    `counts_up_to_7`: share of counts that fit those three bits.
    """

    model: str
    family: str
    texts: int
    tokens: int
    k: float
    group_size: int
    perplexity_before: float
    perplexity_after: float
    spikes_per_channel: float
    silent_share: float
    sparsity_3bit: float
    counts_up_to_7: float
    largest_count: int

    def table(self) -> str:
        """For people."""
        rows = {
            "perplexity, dense": f"{self.perplexity_before:.3f}",
            "perplexity, spike-coded": f"{self.perplexity_after:.3f}",
            "spikes per channel": f"{self.spikes_per_channel:.3f}",
            "silent channels": f"{self.silent_share:.1%}",
            "sparsity over 3 bits": f"{self.sparsity_3bit:.1%}",
            "counts up to 7": f"{self.counts_up_to_7:.1%}",
            "largest count": f"{self.largest_count:,}",
        }
        head = (
            f"{self.model} ({self.family}), {self.texts} texts, {self.tokens:,} tokens, "
            f"threshold mean|x| / {self.k:g}, weights INT8 in groups of {self.group_size}"
        )
        return "\n".join([head, *(f"  {name:<24} {value:>10}" for name, value in rows.items())])


def convert(
    path: Path,
    out: Path,
    texts: Path | None = None,
    dtype: str = "auto",
    shard_bytes: int = SHARD_BYTES,
) -> SpikeReport:
    """Write the W8ASpike form of the dense checkpoint at `path` to the new folder `out`, its report beside.
    Interrupted, the same call goes on: texts are not read again, nor whole shards written twice.

    `texts`: a file of calibration texts, by default the sample archive. EngineError if it cannot be done.
    """
    refuse_existing(out)
    model = open_dense(path)
    tokenizer = model.checkpoint.load_tokenizer()
    if tokenizer is None:
        raise ModelError(f"{path} has no tokenizer to read calibration texts with", "Add its tokenizer.json.")
    ids = encode_texts(tokenizer, sample_texts() if texts is None else read_texts(texts))
    size = sum(torch.Size(shape).numel() for shape in model.shapes.values())
    total = size * model.source.take(model.largest).element_size()
    for name in model.shapes:
        model.source.skip(name)
    model.source.finish()  # what is left over is said before hours of work
    stamp = _stamp(model, ids, dtype, shard_bytes)
    with ShardWriter(out, total, "converting", shard_bytes, stamp) as writer:
        moments, before = _calibrated(writer.folder / CALIBRATION, path, ids, dtype)
        for name, make in _spiked(model, moments):
            if not writer.has(name):
                writer.add(name, make())
        model.copy_tokenizer(writer.folder)
        writer.seal(model.checkpoint.raw)
        report = _measure(writer.folder, model, ids, before, dtype)
        blob = json.dumps(asdict(report), indent=1)
        (writer.folder / f"{REPORT}.json").write_text(blob + "\n", "utf-8")
        (writer.folder / f"{REPORT}.txt").write_text(report.table() + "\n", "utf-8")
        (writer.folder / CALIBRATION).unlink()
        writer.publish()
    return report


def _calibrate(path: Path, ids: list[list[int]], dtype: str) -> tuple[list[dict[str, Tensor]], float]:
    """Mean squares of the inputs of each layer's joined projections, and the dense model's perplexity."""
    engine = Engine.load(path, spiking=False, dtype=dtype)
    kind = engine.decoder.cache_dtype
    coder = CalibrationCoder(kind, choose_ops()[0])
    decoder = Decoder(engine.config, engine.decoder.weights, coder, kind)
    before = perplexity(decoder, ids, "reading before")
    joined = sorted(set(INPUTS.values()))
    layers = engine.decoder.weights.layers
    return [{name: coder.moments(getattr(layer, name)) for name in joined} for layer in layers], before


def _stamp(model: DenseModel, ids: list[list[int]], dtype: str, shard_bytes: int) -> str:
    """What the written shards depend on: an interrupted conversion goes on only from the same."""
    source = model.checkpoint.identity(model.source.files, None)
    return hashlib.sha256(json.dumps([source, ids, dtype, shard_bytes]).encode()).hexdigest()


def _calibrated(
    kept: Path, path: Path, ids: list[list[int]], dtype: str
) -> tuple[list[dict[str, Tensor]], float]:
    """`_calibrate`, or what an interrupted run found and `kept`."""
    if not kept.is_file():
        moments, before = _calibrate(path, ids, dtype)
        named = {f"{i}.{name}": value for i, layer in enumerate(moments) for name, value in layer.items()}
        part = kept.with_suffix(".part")
        save_file(named, part, metadata={"perplexity": repr(before), "layers": str(len(moments))})
        os.replace(part, kept)
    with safe_open(str(kept), framework="pt") as file:
        meta = file.metadata()
        found: list[dict[str, Tensor]] = [{} for _ in range(int(meta["layers"]))]
        for key in file.keys():  # noqa: SIM118 - a safetensors file is no mapping
            layer, _, name = key.partition(".")
            found[int(layer)][name] = file.get_tensor(key)
    return found, float(meta["perplexity"])


def _spiked(
    model: DenseModel, moments: list[dict[str, Tensor]]
) -> Iterator[tuple[str, Callable[[], Tensor]]]:
    """All tensors of the W8ASpike form by name, made when called; a low-rank gate becomes one matrix."""
    take = model.source.take

    def gate(base: str) -> Tensor:
        up, down = take(base + "1.weight"), take(base + "0.weight")
        return (up.float() @ down.float()).to(up.dtype)

    def scales(make: Callable[[], Tensor], seen: Tensor) -> Tensor:
        return fit_scales(make(), seen)

    for name in model.shapes:
        parts = name.split(".")
        kind = parts[-2].removesuffix("_proj")
        if ".gk_proj." in name:
            if name.endswith("1.weight"):
                base, seen = name.removesuffix("1.weight"), moments[int(parts[2])]["qkv"]
                yield base + "weight", partial(gate, base)
                yield base[:-1] + SCALES, partial(scales, partial(gate, base), seen)
            elif name.endswith("1.bias"):
                yield name.replace(".1.bias", ".bias"), partial(take, name)
            continue
        yield name, partial(take, name)
        if parts[-1] == "weight" and kind in INPUTS:
            seen = moments[int(parts[2])][INPUTS[kind]]
            yield name.removesuffix(".weight") + SCALES, partial(scales, partial(take, name), seen)


def _measure(folder: Path, model: DenseModel, ids: list[list[int]], before: float, dtype: str) -> SpikeReport:
    engine = Engine.load(folder, dtype=dtype)
    spike, tally = engine.config.spike, FullTally()
    assert spike is not None
    coder = W8ASpikeCoder(spike.k, tally, choose_ops()[0])
    decoder = Decoder(engine.config, engine.decoder.weights, coder, engine.decoder.cache_dtype)
    after = perplexity(decoder, ids, "reading after")
    return SpikeReport(
        model=model.checkpoint.path.name,
        family=model.config.model_type,
        texts=len(ids),
        tokens=sum(len(text) - 1 for text in ids),
        k=spike.k,
        group_size=group_size(model.config.hidden_size),
        perplexity_before=before,
        perplexity_after=after,
        spikes_per_channel=tally.spikes_per_channel() or 0.0,
        silent_share=tally.silent_share() or 0.0,
        sparsity_3bit=tally.sparsity(),
        counts_up_to_7=tally.small / tally.places,
        largest_count=tally.largest,
    )


def add_arguments(stages: Any) -> None:
    """The command `spike`."""
    stage = stages.add_parser("spike", help="a dense checkpoint in W8ASpike form: INT8 weights, spike counts")
    stage.add_argument("checkpoint", type=Path, help="folder of a dense checkpoint, or a Llama GGUF file")
    stage.add_argument("--out", type=Path, required=True, help="new folder to write")
    stage.add_argument(
        "--texts", type=Path, help="calibration texts: .jsonl or plain text (default: the sample archive)"
    )
    stage.add_argument(
        "--dtype",
        default="auto",
        choices=("auto", "float32", "bfloat16"),
        help="of what stays dense while reading the texts; bfloat16 takes half the memory (default float32)",
    )
    stage.add_argument("--json", action="store_true", help="print the report as JSON")
    stage.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    report = convert(options.checkpoint, options.out, options.texts, options.dtype)
    print(json.dumps(asdict(report)) if options.json else f"{report.table()}\n{options.out} is ready.")
