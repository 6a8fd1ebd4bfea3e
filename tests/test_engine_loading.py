"""Loading a checkpoint of some hundred megabytes holds its weights and little more."""

from pathlib import Path

from big_checkpoint import loading_cost, write_big_llama

SPARE = 50_000_000


def test_loading_takes_no_more_than_the_weights_and_a_little(tmp_path: Path) -> None:
    cost = loading_cost(write_big_llama(tmp_path / "model"))
    whole, mapped = cost["float32"], cost["bfloat16"]
    assert whole["weights"] > 350_000_000
    assert whole["peak"] < whole["weights"] + SPARE  # the embedding alone has 82 MB in the file
    assert mapped["peak"] < mapped["weights"] / 2  # weights that need no converting stay in the file
