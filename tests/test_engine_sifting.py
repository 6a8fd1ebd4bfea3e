"""Sifting: only the passages that promise most are read to the end, and those as without it."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine import Engine
from engine.errors import ModelError
from engine.evidence import Evidence, prompts_of, question_alone, rank_evidence, sentence_fits
from engine.inspecting import inspect_checkpoint
from engine.ranking import DIRECTIONS, FILE, LAYER
from engine.sifting import prompt_features, sift
from tests.tiny import tiny_model_dir

QUESTION = "How long is the notice of the lease?"
TEXTS = (
    "The lease starts in May.",
    "Its notice period is ninety days, given in writing to the other party.",
    "Patients received 40 mg of velorin daily.",
    "The mass was measured as 125.1 GeV.",
    "Nothing is said here of keys, rent or repairs, whatever the tenant may hold.",
)
OFFERED = [[("file.txt", text)] for text in TEXTS]


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return Engine.load(tiny_model_dir(tmp_path_factory.mktemp("model"), ranking=True))


@pytest.fixture
def evidence():
    return [Evidence(10 + i, "file.txt", "", text) for i, text in enumerate(TEXTS)]


def _promises(engine):
    """What each text promises, from a reading of its own."""
    ranking, found = engine.decoder.weights.ranking, []
    for prompt in prompts_of(engine, OFFERED, QUESTION):
        (features,) = prompt_features(engine, [prompt], ranking.layer)
        found.append(float((features * ranking.directions).sum()))
    return found


def test_what_promises_most_is_read_to_the_end_as_it_is_without_sifting(engine):
    prompts, promises = prompts_of(engine, OFFERED, QUESTION), _promises(engine)
    whole = list(engine.hidden_each([prompt.ids for prompt in prompts]))
    best = sorted(range(len(TEXTS)), key=lambda i: -promises[i])[:2]
    found = sift(engine, prompts, 2)
    assert sorted(found) == sorted(best)
    for i, one in found.items():
        assert torch.equal(one.stream, whole[i])
        assert one.promise == pytest.approx(promises[i], rel=1e-5)


def test_the_question_by_itself_is_always_read(engine):
    prompts = prompts_of(engine, [*OFFERED, []], QUESTION)
    assert [prompt.bare for prompt in prompts] == [False] * len(TEXTS) + [True]
    assert len(TEXTS) in sift(engine, prompts, 1)
    assert len(sift(engine, prompts, 1)) == 2
    assert len(sift(engine, prompts, 99)) == len(prompts)
    assert sift(engine, [], 4) == {}


def test_the_layers_after_the_middle_are_not_run_for_the_rest(engine, monkeypatch):
    products, own = [], engine.decoder._project
    monkeypatch.setattr(
        engine.decoder, "_project", lambda coder, layer, x: products.append(len(x)) or own(coder, layer, x)
    )
    prompts = prompts_of(engine, OFFERED, QUESTION)
    (kept,) = sift(engine, prompts, 1)
    every = sum(map(len, prompts))
    assert products == [every, every, len(prompts[kept])]


def test_features_are_of_the_question_and_of_the_last_token(engine):
    (prompt,) = prompts_of(engine, OFFERED[:1], QUESTION)
    seen = {}
    engine.decoder.forward(
        torch.tensor(prompt.ids), engine.new_state(), tap=lambda layer, x: seen.update({layer: x.clone()})
    )
    first = len(prompt.before)
    wanted = torch.stack((seen[2][first : first + len(prompt.asked)].mean(dim=0), seen[2][-1]))
    assert torch.allclose(prompt_features(engine, [prompt], 2)[0], wanted, rtol=1e-5, atol=1e-5)
    text = engine.tokenizer.decode(prompt.asked)
    assert text.strip() == QUESTION


def test_a_model_that_was_not_trained_to_tell_reads_all_to_the_end(tmp_path):
    engine = Engine.load(tiny_model_dir(tmp_path))
    found = sift(engine, prompts_of(engine, OFFERED, QUESTION), 1)
    assert list(found) == list(range(len(TEXTS)))
    assert {one.promise for one in found.values()} == {0.0}


def test_so_does_one_whose_layers_cannot_be_read_abreast(engine, monkeypatch):
    monkeypatch.setattr(type(engine.decoder), "reads_abreast", False)
    assert len(sift(engine, prompts_of(engine, OFFERED, QUESTION), 1)) == len(TEXTS)


def test_gated_branches_do_not_keep_a_model_from_sifting(tmp_path):
    engine = Engine.load(tiny_model_dir(tmp_path, gates=True, ranking=True))
    (found,) = sift(engine, prompts_of(engine, OFFERED, QUESTION), 1).items()
    alone = engine.hidden(prompts_of(engine, OFFERED, QUESTION)[found[0]].ids)
    assert float((found[1].stream - alone).abs().mean()) < 0.01 * float(alone.abs().mean())


def test_the_best_are_weighed_with_what_they_promised(engine, evidence):
    promises = _promises(engine)
    ranked = rank_evidence(engine, QUESTION, evidence, top=3)
    best = sorted(range(len(TEXTS)), key=lambda i: -promises[i])[:3]
    assert sorted(item.evidence.id - 10 for item in ranked) == sorted(best)
    assert [item.score for item in ranked] == sorted((item.score for item in ranked), reverse=True)
    alone = question_alone(engine, QUESTION)
    for item in ranked:
        i = item.evidence.id - 10
        assert item.promise == pytest.approx(promises[i], rel=1e-5)
        prompt = prompts_of(engine, [OFFERED[i]], QUESTION)[0]
        logits = engine.next_logits(prompt.question_rows(engine.hidden(prompt.ids)))[:-1]
        said = torch.log_softmax(logits, dim=1).gather(1, torch.tensor(prompt.asked)[:, None]).mean()
        assert item.gain == pytest.approx(float(said) - alone, abs=1e-3)
        assert item.tokens == len(prompt)


def test_sentences_are_all_read(engine):
    fits = sentence_fits(engine, [("file.txt", text) for text in TEXTS], QUESTION)
    assert len(fits) == len(TEXTS)
    assert sentence_fits(engine, [], QUESTION) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({LAYER: torch.tensor([3])}, "ranking.layer 3 is not on the way"),
        ({LAYER: torch.tensor([0])}, "ranking.layer 0 is not on the way"),
        ({LAYER: torch.tensor([1, 2])}, "'ranking.layer' has shape"),
        ({DIRECTIONS: torch.zeros(2, 3)}, "'ranking.directions' has shape"),
        ({DIRECTIONS: torch.zeros(2, 64, dtype=torch.int64)}, "'ranking.directions' holds int64"),
        ({LAYER: None}, "ranking.safetensors cannot be read: 'ranking.layer'"),
    ],
)
def test_a_damaged_score_is_refused_with_its_name(tmp_path, change, words):
    folder = tiny_model_dir(tmp_path, ranking=True)
    tensors = load_file(folder / FILE) | change
    save_file({name: value for name, value in tensors.items() if value is not None}, folder / FILE)
    with pytest.raises(ModelError, match=words):
        Engine.load(folder)


def test_a_broken_file_is_refused_with_what_to_do(tmp_path):
    folder = tiny_model_dir(tmp_path, ranking=True)
    (folder / FILE).write_bytes(b"broken")
    with pytest.raises(ModelError, match=r"ranking\.safetensors cannot be read") as caught:
        Engine.load(folder)
    assert caught.value.hint == "Prepare the model again."


def test_another_score_leaves_what_was_read_valid(tmp_path):
    with_it = Engine.load(tiny_model_dir(tmp_path / "a", ranking=True))
    without = Engine.load(tiny_model_dir(tmp_path / "b"))
    assert with_it.decoder.weights.ranking is not None
    assert without.decoder.weights.ranking is None
    assert with_it.fingerprint == without.fingerprint
    assert inspect_checkpoint(tmp_path / "a" / "tiny-model").problems == ()
