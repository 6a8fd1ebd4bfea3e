"""What the released SpikingBrain-7B checkpoints say of their sizes, the layers' kinds apart."""

RELEASED_7B = {
    "model_type": "gla_swa",
    "hidden_size": 3584,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "intermediate_size": 18944,
    "vocab_size": 152064,
    "sliding_window": 4096,
    "norm_eps": 1e-6,
    "rope_theta": 1e6,
    "tie_word_embeddings": False,
    "hidden_act": "swish",
    "torch_dtype": "bfloat16",
}
