"""Summaries: sentences of the documents, each a checked quote; the walk goes on where it was interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from app_home import copy_read, prose
from asking_home import check_quotes, services

from app import library, summarising
from app.asking import ask
from app.questions import load_answer, submit
from app.request import SUMMARY, Request, titled
from app.salience import Rarity, choose_sentences, code_centrality, document_words, telling_words
from app.services import Services
from app.summarising import sentences_each
from app.worker import Worker
from storage import Archive, Document, PassageText, archives, jobs

__all__ = ["services"]  # a fixture

REPORT = (
    "The survey measured the depth of the glacier at twelve stations.\n\n"
    "At every station the glacier was thinner than in the survey before.\n\n"
    "Lunch was served at noon. It rained.\n"
)
FILES = {
    "glacier.txt": REPORT,
    "long.txt": prose(3, 20),
    "note.txt": "The glacier survey cost 40,000 euros.\n",
}
WHOLE = titled(Request("", SUMMARY), "Archive")


@pytest.fixture
def archive(services: Services, tmp_path: Path) -> Archive:
    copy_read(tmp_path, FILES)
    with services.database.session() as s:
        return archives.get_archive(s, "Archive")


def passage(text: str, key: int = 1, heading: str = "") -> PassageText:
    return PassageText(key, 1, "a.txt", "a", heading, 1, 1000 * key, 1000 * key + len(text), text)


def test_every_document_gives_sentences_that_stand_in_it(services: Services, archive: Archive) -> None:
    answer = ask(services, archive, WHOLE)
    assert answer["question"] == "Summary of Archive"
    assert sorted(part["document"] for part in answer["parts"]) == sorted(FILES)
    check_quotes(services, archive, answer)
    assert all(f"[{cited['number']}]" in answer["answer"] for cited in answer["citations"])


def test_the_words_that_recur_are_counted_by_documents(services: Services, archive: Archive) -> None:
    terms = {item["term"]: item["documents"] for item in ask(services, archive, WHOLE)["terms"]}
    assert terms["glacier"] == terms["survey"] == 2


def test_one_document_is_summarised_alone(services: Services, archive: Archive) -> None:
    answer = ask(services, archive, titled(Request("", SUMMARY, documents=("glacier.txt",)), "Archive"))
    assert {cited["document"] for cited in answer["citations"]} == {"glacier.txt"}
    assert "Lunch" not in answer["answer"]


def test_an_interrupted_walk_goes_on_and_ends_the_same(
    services: Services, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ask(services, archive, WHOLE)
    asked = submit(services, archive, WHOLE)
    worker, walked = Worker(services), []
    summarise = summarising.Summarising._summarise

    def one_then_stop(self: Any, row: Document, *given: Any) -> None:
        summarise(self, row, *given)
        walked.append(row.name)
        worker.stop()

    with monkeypatch.context() as patched:
        patched.setattr(summarising.Summarising, "_summarise", one_then_stop)
        worker.run_until_idle()
    with services.database.session() as s:
        assert jobs.get_job(s, asked.job.id).status == "queued"
    held = load_answer(services, asked.finding.id)
    assert [part["document"] for part in held["parts"]] == walked == [whole["parts"][0]["document"]]

    def walking(self: Any, row: Document, *given: Any) -> None:
        walked.append(row.name)
        summarise(self, row, *given)

    monkeypatch.setattr(summarising.Summarising, "_summarise", walking)
    Worker(services).run_until_idle()
    done = load_answer(services, asked.finding.id)
    assert walked == [part["document"] for part in whole["parts"]]  # none of them twice
    assert (done["answer"], done["status"]) == (whole["answer"], whole["status"])


def test_an_archive_without_documents_has_no_summary(services: Services) -> None:
    empty = library.create_archive(services, "Empty")
    answer = ask(services, empty, titled(Request("", SUMMARY), "Empty"))
    assert (answer["status"], answer["citations"]) == ("not_found", [])


def test_a_long_list_gives_each_document_fewer_sentences() -> None:
    def many(number: int, tokens: int = 900) -> list[Document]:
        return [Document(tokens=tokens) for _ in range(number)]

    assert sentences_each(many(1)) == [3]
    assert sentences_each(many(1, 1_000_000)) == [12]
    assert [sentences_each(many(number))[0] for number in (10, 60, 61)] == [3, 2, 1]


def test_codes_close_to_all_others_are_central() -> None:
    random = np.random.default_rng(0)
    base = random.integers(0, 256, 64, np.uint8)
    near = [bytes(base ^ (random.random(64) < 0.05).astype(np.uint8)) for _ in range(6)]
    far = bytes(random.integers(0, 256, 64, np.uint8))
    scores = code_centrality([*near, far, None])
    assert scores[6] == scores.min() == 0.0
    assert min(scores[:6]) > 0.8
    assert list(code_centrality([None, None])) == [0.0, 0.0]


def test_headings_rows_and_cut_sentences_are_not_quoted_where_whole_ones_are() -> None:
    text = (
        "RESULTS OF THE GLACIER SURVEY\n\nName: a | Depth: 4 | Year: 2 | Ice: 3.\n\n"
        "of the glacier survey in the valley below the hut.\n\n"
        "The glacier survey found thinner ice at every station of the valley.\n"
    )
    found = [passage(text)]
    chosen = choose_sentences(found, {}, document_words(found, Rarity([text])), 5)
    said = [one.passage.text[one.start : one.end] for one in chosen]
    assert said == ["The glacier survey found thinner ice at every station of the valley."]


def test_a_sentence_is_not_chosen_twice_in_other_passages() -> None:
    line = "The glacier survey found thinner ice at every station of the valley."
    other = "The harbour was closed to all ships during the whole of the winter."
    found = [passage(f"{line}\n", 1), passage(f"{line}\n{other}\n", 2)]
    chosen = choose_sentences(found, {}, document_words(found, Rarity([line, other])), 2)
    assert {one.passage.text[one.start : one.end] for one in chosen} == {line, other}


def test_telling_words_are_shown_as_they_stand_in_the_text() -> None:
    found = [passage("Terminating leases: the lease, a lease, terminating. DNA and DNA.")]
    words = telling_words(found, document_words(found, Rarity(["the other text"])))
    assert {"DNA", "terminating", "lease"} <= set(words.values())


def test_a_script_without_spaces_is_summarised_too() -> None:
    text = "本合同的通知期限为六个月。租金每月支付一次，金额为两千欧元。天气很好。"
    found = [passage(text)]
    chosen = choose_sentences(found, {}, document_words(found, Rarity([text])), 1)
    assert chosen[0].passage.text[chosen[0].start : chosen[0].end].endswith("。")
