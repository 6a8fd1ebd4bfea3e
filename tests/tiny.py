"""A tiny random model in our own format with a real byte-level tokenizer: loads in milliseconds, answers
nonsense.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from engine.prepare import engram_config, engram_tensors
from engine.ranking import DIRECTIONS, LAYER, save_ranking

SETTINGS = {
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_heads": 4,
    "num_kv_heads": 2,
    "head_dim": 16,
    "norm_eps": 1e-5,
    "rope_theta": 100000.0,
    "num_layers": 3,
}
WINDOW = 32
CORPUS = (
    "The contract ends on 31 December. The dose was 5 mg twice a day for 12 weeks.",
    "The mass was measured as 125.1 GeV with an uncertainty of 0.2 GeV.",
    "Either party may terminate this agreement with a notice of thirty days.",
)


def tiny_model_dir(folder: Path, *, seed: int = 0, gates: bool = False, ranking: bool = False) -> Path:
    """Write the model below `folder` and return its path; `gates` adds random gated linear attention
    weights, `ranking` random directions to sift passages by after its second layer.
    """
    target = folder / "tiny-model"
    target.mkdir(parents=True, exist_ok=True)
    config = engram_config(SETTINGS, "tiny") | {"windows": [WINDOW] * SETTINGS["num_layers"]}
    (target / "config.json").write_text(json.dumps(config), "utf-8")
    save_file(tiny_tensors(seed, gates), target / "model.safetensors")
    if ranking:
        draw = torch.Generator().manual_seed(seed + 2)
        directions = torch.randn(2, SETTINGS["hidden_size"], generator=draw)
        save_ranking({LAYER: torch.tensor([2]), DIRECTIONS: directions}, target)
    _tokenizer().save(str(target / "tokenizer.json"))
    names = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"}
    (target / "tokenizer_config.json").write_text(json.dumps(names), "utf-8")
    return target


def tiny_base(seed: int = 0) -> dict[str, torch.Tensor]:
    """Random float32 base weights under GGUF names."""
    draw = torch.Generator().manual_seed(seed)
    d, inner, dim = SETTINGS["hidden_size"], SETTINGS["intermediate_size"], SETTINGS["head_dim"]
    shapes = {
        "attn_q": (SETTINGS["num_heads"] * dim, d),
        "attn_k": (SETTINGS["num_kv_heads"] * dim, d),
        "attn_v": (SETTINGS["num_kv_heads"] * dim, d),
        "attn_output": (d, SETTINGS["num_heads"] * dim),
        "ffn_gate": (inner, d),
        "ffn_up": (inner, d),
        "ffn_down": (d, inner),
    }
    base = {
        "token_embd.weight": torch.randn(SETTINGS["vocab_size"], d, generator=draw),
        "output_norm.weight": torch.ones(d),
    }
    for i in range(SETTINGS["num_layers"]):
        for name, shape in shapes.items():
            base[f"blk.{i}.{name}.weight"] = torch.randn(shape, generator=draw) * shape[1] ** -0.5
        for name in ("attn_norm", "ffn_norm"):
            base[f"blk.{i}.{name}.weight"] = 1 + 0.1 * torch.randn(d, generator=draw)
    return base


def tiny_tensors(seed: int, gates: bool) -> dict[str, torch.Tensor]:
    """Tensors of the tiny model in our format, recall head included."""
    draw = torch.Generator().manual_seed(seed + 1)
    tensors = engram_tensors(tiny_base(seed), SETTINGS["num_layers"])
    d, width, dim = (
        SETTINGS["hidden_size"],
        SETTINGS["num_kv_heads"] * SETTINGS["head_dim"],
        SETTINGS["head_dim"],
    )
    tensors["recall.layer"] = torch.tensor([2])
    for side in ("", "query_"):
        tensors[f"recall.{side}mean"] = torch.zeros(d)
    tensors["recall.projection"] = torch.randn(512, d, generator=draw)
    tensors["recall.query_projection"] = tensors["recall.projection"].clone()
    if gates:
        for i in range(SETTINGS["num_layers"]):
            tensors[f"layers.{i}.gate.down"] = torch.randn(16, d, generator=draw) * 0.1
            tensors[f"layers.{i}.gate.up"] = torch.randn(width, 16, generator=draw) * 0.1
            tensors[f"layers.{i}.gate.bias"] = torch.randn(width, generator=draw)
            tensors[f"layers.{i}.gate.norm"] = torch.ones(dim)
            tensors[f"layers.{i}.gate.mix"] = torch.rand(SETTINGS["num_heads"], generator=draw)
    return tensors


def _tokenizer() -> Tokenizer:
    """Byte-level BPE built as SmolLM2's: digits one by one, then byte level; ids 0, 1, 2 are its special
    tokens.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = [AddedToken(t, special=True) for t in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")]
    trainer = trainers.BpeTrainer(
        vocab_size=SETTINGS["vocab_size"],
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer
