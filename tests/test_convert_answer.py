"""Training to answer: groups as they are used, gradients, overfitting, resuming, merging."""

import json
import lzma
import random

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine import Engine
from engine.convert.answer import AnswerSettings, Trainer, batches, load_groups, loss_of, train
from engine.convert.data import DISTRACTORS, Passage, Question
from engine.convert.examples import IGNORE, Branch, GroupSettings, build, with_prose
from engine.convert.group_source import GroupSource
from engine.convert.softmax import MASKED
from engine.convert.student import Student, visible
from engine.convert.training import rate_at
from engine.errors import EngineError
from engine.grounded import grounded_prompt
from engine.lora import merge
from engine.tokenizer import Tokenizer
from tests.tiny import SETTINGS, tiny_model_dir

PASSAGES = [
    Passage(f"p{i}", f"Lease {i}", "leases", f"Tenant {i} pays {i}00 euro a month.") for i in range(8)
]
ASKED = [
    Question(p.cid, "s", "human", f"What pays tenant {i}?", (f"{i}00 euro",), 0, 2)
    for i, p in enumerate(PASSAGES)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model_dir(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def tokenizer(folder):
    return Tokenizer.load(folder)


def _student(folder, rank=8, dtype=torch.float32):
    return Student(folder, rank, 1, dtype)


def _wide(folder, tmp_path):
    """The tiny model with a window that no group exceeds."""
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (tmp_path / "config.json").write_text(
        json.dumps(config | {"windows": [1024] * SETTINGS["num_layers"]}), "utf-8"
    )
    for name in ("model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    return tmp_path


def _group(tokenizer, *branches):
    return build(tokenizer, PASSAGES[:2], branches or [Branch("What pays tenant 1?", "100 euro", 1)])


def test_a_branch_reads_as_the_product_prompts(tokenizer):
    group = _group(tokenizer)
    prompt = grounded_prompt(tokenizer, [(p.title, p.text) for p in PASSAGES[:2]], "What pays tenant 1?")
    assert group.ids[: len(prompt)].tolist() == prompt
    assert tokenizer.decode(group.ids[len(prompt) :].tolist()) == " 100 euro [2]"
    assert group.positions.tolist() == list(range(len(group)))


def test_only_answers_are_learned_and_expected_questions_a_little(tokenizer):
    plain, expected = Branch("What pays tenant 1?", "100 euro", 1), Branch("Why?", "no", 0, expected=True)
    group = _group(tokenizer, plain, expected)
    for number, branch in ((1, plain), (2, expected)):
        places = (group.branch == number).nonzero().flatten()
        learned = [int(group.targets[i]) for i in places if group.weights[i] == 1.0]
        wanted = tokenizer.encode(f" {branch.answer}") + tokenizer.encode(f" [{branch.passage + 1}]")
        assert learned == [*wanted, tokenizer.separator_id]
        assert any(0 < group.weights[i] < 1 for i in places) == branch.expected
    assert (group.targets[group.branch == 0] == IGNORE).all()


def test_a_long_answer_does_not_teach_to_stop(tokenizer):
    group = _group(tokenizer, Branch("Why?", "because " * 80, 0))
    assert tokenizer.separator_id not in group.targets.tolist()


def test_a_refusal_is_learned_for_what_the_passages_lack(tokenizer):
    group = _group(tokenizer, Branch("Who painted it?", None))
    learned = group.targets[group.weights == 1.0].tolist()
    assert tokenizer.decode(learned) == " not found"


def test_a_share_of_the_passages_is_to_be_predicted_against_forgetting(tokenizer):
    group = _group(tokenizer)
    trunk = int((group.branch == 0).sum())
    taught = with_prose(group, 0.5, 0.1, random.Random(0))
    places = (taught.targets[:trunk] != IGNORE).nonzero().flatten()
    assert 0.3 * trunk < len(places) < 0.7 * trunk
    assert taught.targets[places].tolist() == group.ids[places + 1].tolist()
    assert taught.weights[places].tolist() == pytest.approx([0.1] * len(places))
    assert torch.equal(taught.targets[trunk:], group.targets[trunk:])
    assert (with_prose(group, 0.0, 0.1, random.Random(0)).targets == group.targets).all()


def test_threshold_factors_are_drawn_anew_each_step(folder, tokenizer):
    trainer = Trainer(_student(folder), AnswerSettings(steps=9, factors=(1.75, 3.0)))
    drawn = set()
    for _ in range(8):
        trainer.train_on([_group(tokenizer)])
        drawn.add(tuple(trainer.student.spike_k))
    assert drawn == {(k,) * SETTINGS["num_layers"] for k in (1.75, 3.0)}


def test_a_branch_sees_the_trunk_and_itself_alone(tokenizer):
    group = _group(tokenizer, Branch("What pays tenant 1?", "100 euro", 1), Branch("Why?", "no", 0))
    seen = visible(group) > MASKED / 2
    second = int((group.branch == 2).nonzero()[0])
    assert seen[second, group.branch == 0].all()
    assert not seen[second, group.branch == 1].any()
    assert not seen[second, second + 1 :].any()
    assert group.positions[second] == int((group.branch == 0).sum())


def test_branches_give_the_logits_of_their_own_prompts(folder, tokenizer):
    student = _student(folder)
    one, two = Branch("What pays tenant 1?", "100 euro", 1), Branch("Why so much?", "no", 0)
    both, alone = _group(tokenizer, one, two), _group(tokenizer, two)
    joined = student.logits(student([both])[both.branch == 2])
    single = student.logits(student([alone])[alone.branch == 1])
    # Float32 sums in another order: far below 1e-4 over 3 layers; a rounded spike count may flip.
    assert (joined - single).abs().median() < 1e-4


def test_the_student_computes_what_the_engine_computes(folder, tokenizer, tmp_path):
    wide = _wide(folder, tmp_path)
    group = _group(tokenizer)
    engine = Engine.load(wide, dtype="float32")
    expected = engine.hidden(group.ids.tolist())
    given = _student(wide)([group]).detach()
    # A sum in another order can flip a rounding to the next count, which then moves the rest of the stream.
    assert ((given - expected).abs() < 1e-4).float().mean() > 0.9
    assert (given - expected).norm() < 0.02 * expected.norm()


def test_training_overfits_eight_examples(folder, tokenizer):
    torch.manual_seed(0)
    settings = AnswerSettings(steps=60, rank=16, first_layer=0, rate=2e-2, warmup=2)
    trainer = Trainer(Student(folder, 16, 0, torch.float32), settings)
    groups = [
        build(tokenizer, [p], [Branch(q.question, q.answers[0])])
        for p, q in zip(PASSAGES, ASKED, strict=True)
    ]
    first = trainer.train_on(groups)
    for _ in range(59):
        last = trainer.train_on(groups)
    assert last < 0.1 < first


def test_merged_adapters_compute_what_unmerged_ones_do(folder, tokenizer, tmp_path):
    student = _dense(folder)
    draw = torch.Generator().manual_seed(1)
    for value in student.adapters.parameters():
        value.data = torch.randn(value.shape, generator=draw) * 0.1
    tensors = load_file(folder / "model.safetensors")
    merge(tensors, {name: value.detach() for name, value in student.adapters.named_tensors().items()})
    merged = _wide(folder, tmp_path)
    save_file(tensors, merged / "model.safetensors")
    group = _group(tokenizer)
    unmerged, whole, untrained = (m([group]).detach() for m in (student, _dense(merged), _dense(folder)))
    # Merging rounds to 8 bits a row once more, half a percent of a weight: little beside the adapters.
    assert (whole - unmerged).norm() < 0.1 * (unmerged - untrained).norm()


def _dense(folder):
    student = Student(folder, 4, 0, torch.float32)
    student.spiking = False
    return student


def test_the_learning_rate_warms_up_holds_and_falls_to_zero():
    rates = [rate_at(step, 100, 1.0, 10, 0.2) for step in (0, 9, 50, 79, 90)]
    assert rates == pytest.approx([0.1, 1.0, 1.0, 1.0, 0.5])


def _data(folder):
    folder.mkdir()
    rows = [{"cid": p.cid, "title": p.title, "doc": p.doc, "text": p.text} for p in PASSAGES]
    asked = [
        {"cid": q.cid, "kind": q.kind, "question": q.question, "answers": list(q.answers), "spec": 2}
        for q in ASKED
    ]
    asked.append({"cid": "p0", "kind": "unanswerable-neg", "question": "What pays tenant 5?", "answers": []})
    for name, lines in (("contexts", rows), ("qa_train", asked)):
        with lzma.open(folder / f"{name}.jsonl.xz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
    return folder


def test_groups_come_in_the_same_order_from_the_same_seed_and_hold_refusals(tokenizer):
    held = {p.cid: p for p in PASSAGES}
    settings = GroupSettings(several=0.5, earlier=0.5)

    def draw(seed):
        source = iter(GroupSource(tokenizer, held, ASKED, settings, seed))
        return [next(source).ids.tolist() for _ in range(30)]

    assert draw(3) == draw(3) != draw(4)
    text = " ".join(tokenizer.decode(ids) for ids in draw(3))
    assert "Answer: not found" in text
    assert "[3] Lease" in text


def test_distractors_are_what_recall_finds_unless_they_answer_too(tokenizer):
    held = {p.cid: p for p in PASSAGES} | {"copy": Passage("copy", "Copy", "copies", PASSAGES[0].text)}
    asked = [*ASKED, Question("copy", "s", "human", "What is it?", ("tenant",), 0, 2)]
    settings = GroupSettings(several=1.0, passages=2, earlier=0.0, least=1)
    near = {"p0": ["copy", "p5"], "p1": ["p6"]}
    texts = [
        tokenizer.decode(group.ids[group.branch == 0].tolist())
        for group, _ in zip(GroupSource(tokenizer, held, asked, settings, 0, near), range(60), strict=False)
    ]
    beside = {i: {t for t in texts if f"Lease {i}" in t} for i in (0, 1)}
    assert any("Lease 5" in text for text in beside[0])
    assert not any("Copy" in text for text in beside[0])
    assert any("Lease 6" in text for text in beside[1])


def test_the_answer_stage_takes_the_distractors_of_the_recall_stage(tokenizer, tmp_path):
    data, settings = _data(tmp_path / "data"), AnswerSettings(groups=GroupSettings(several=1.0, earlier=0.0))
    (tmp_path / DISTRACTORS).write_text(json.dumps({p.cid: ["p7"] for p in PASSAGES[:7]}), "utf-8")
    texts = [
        tokenizer.decode(group.ids.tolist())
        for group, _ in zip(load_groups(data, tokenizer, settings, tmp_path), range(8), strict=False)
    ]
    assert all("Lease 7" in text for text in texts)


def test_a_stopped_run_goes_on_as_if_never_stopped(folder, tmp_path):
    data = _data(tmp_path / "data")
    settings = AnswerSettings(steps=6, batch_tokens=150, rank=4, first_layer=0, warmup=2, save_every=1)
    torch.manual_seed(0)
    train(folder, data, tmp_path / "whole", settings)
    steps = [train(folder, data, tmp_path / "parts", settings, stop_s=0.0).step for _ in range(6)]
    assert steps == [1, 2, 3, 4, 5, 6]
    curves = []
    for name in ("whole", "parts"):
        lines = (tmp_path / name / "answer.jsonl").read_text("utf-8").splitlines()
        curves.append([(json.loads(line)["step"], json.loads(line)["loss"]) for line in lines])
    assert [step for step, _ in curves[0]] == [1, 2, 3, 4, 5, 6]
    assert curves[0] == curves[1]


def test_batches_hold_about_the_wanted_tokens(tokenizer):
    group = _group(tokenizer)
    (first, second) = list(batches(iter([group] * 5), 2 * len(group)))
    assert (len(first), len(second)) == (2, 2)


def test_the_loss_counts_weighted_targets_only(folder, tokenizer):
    student = _student(folder)
    group = _group(
        tokenizer, Branch("Who?", None), Branch("What pays tenant 1?", "100 euro", 1, expected=True)
    )
    loss, answers = loss_of(student, [group])
    assert loss.requires_grad
    assert answers > 0
    assert SETTINGS["vocab_size"] == student.logits(student([group])).shape[-1]


def test_a_run_may_start_from_the_adapters_of_another(folder, tokenizer, tmp_path):
    other = Student(folder, 4, 1)
    start = {name: torch.randn(v.shape) for name, v in other.adapters.named_tensors().items()}
    save_file(start, tmp_path / "adapter.safetensors")
    data = _data(tmp_path / "data")
    settings = AnswerSettings(steps=0, rank=4, first_layer=0)
    trainer = train(folder, data, tmp_path / "work", settings, start=tmp_path / "adapter.safetensors")
    assert set(start) < set(trainer.named)  # the layers before were not adapted there and start anew
    for name, value in trainer.named.items():
        expected = start.get(name)
        assert torch.equal(value, expected) if expected is not None else True
        assert expected is not None or not name.endswith("up") or not value.any()


def test_adapters_of_another_rank_are_refused(folder, tmp_path):
    with pytest.raises(EngineError, match="another rank"):
        Student(folder, 8, 1).adapters.load(Student(folder, 4, 1).adapters.named_tensors())
    with pytest.raises(EngineError, match="none of this model"):
        Student(folder, 8, 1).adapters.load({"recall.mean": torch.zeros(4)})


def test_nothing_to_adapt_is_said(folder):
    with pytest.raises(EngineError, match="no layer to adapt"):
        Trainer(Student(folder, 4, 99), AnswerSettings(first_layer=99))
