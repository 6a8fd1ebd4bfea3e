"""Full-text search: any text as a query, words of every script."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from storage_rows import add_archive, add_text, new_database

from storage import Archive, Database, archives, passages
from storage.fulltext.terms import MAX_TERMS, gram_text, plain_words, split_query

TEXTS = {
    "muon": "The measured mean lifetime of the muon is 2.184 microseconds.\n",
    "lease": "The notice period for terminating the lease is six months.\n",
    "covid": "Patients with COVID-19 received dexamethasone; IL-6 fell.\n",
    "umlaut": "Die Kündigungsfrist beträgt sechs Monate zum Quartalsende.\n",
    "russian": "Срок действия договора составляет пять лет.\n",
    "chinese": "本合同于2025年12月31日终止。患者每日最大剂量为400毫克，使用IL6抑制剂。\n",
    "japanese": "この薬の用量は一日三回です。副作用は頭痛。\n",
    "korean": "계약은 2030년에 종료된다. 심장병 환자에게 투여한다.\n",
    "thai": "ผู้ป่วยควรรับประทานยาวันละสองครั้ง\n",
    "hindi": "अनुबंध की अवधि पाँच वर्ष है।\n",
    "arabic": "مدة العقد خمس سنوات.\n",
}


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with new_database(tmp_path) as database:
        with database.session() as s:
            archive = add_archive(s)
            for name, text in TEXTS.items():
                add_text(s, archive, name, text)
        yield database


def search(db: Database, query: str, limit: int = 50) -> list[str]:
    """Names of the documents found, best first."""
    with db.session() as s:
        archive = archives.get_archive(s, "Papers")
        found = passages.search_text(s, archive.id, query, limit)
        assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
        return [p.document for p in passages.get_passages(s, [key for key, _ in found])]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("How long does a muon live?", "muon"),
        ("What is the notice period to terminate the lease?", "lease"),
        ("terminated leases", "lease"),
        ("COVID-19", "covid"),
        ("covid", "covid"),
        ("kundigungsfrist", "umlaut"),
        ("2.184", "muon"),
        ("договора", "russian"),
        ("合同何时终止?", "chinese"),
        ("最大剂量是多少", "chinese"),
        ("IL6 inhibitor", "chinese"),
        ("薬", "japanese"),
        ("頭痛の副作用はありますか", "japanese"),
        ("계약이 언제 끝나나요", "korean"),
        ("ผู้ป่วยควรทานยากี่ครั้ง", "thai"),
        ("अनुबंध की अवधि", "hindi"),
        ("العقد", "arabic"),
    ],
)
def test_question_finds_its_passage_first(db: Database, query: str, name: str) -> None:
    assert search(db, query)[:1] == [name]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "   ",
        "?!.,;",
        '"',
        '""""',
        "'",
        "*",
        "a*",
        "muon*",
        "NEAR(muon lease, 5)",
        "AND OR NOT",
        "muon AND",
        "body:muon",
        "{title body}: muon",
        "-muon",
        "^muon",
        "muon)",
        "((((",
        "\\",
        ";--",
        "😀 🧪",
        "\0",
        "\ud800",
        "%",
        "_",
        "' OR 1=1 --",
        "ﬁ ½ Ⅷ",
        "\u202e",
        "e\u0301\u0301\u0301",
        "。、・",
        "ー",
        "\x1b[31m",
    ],
)
def test_no_text_is_an_error_or_syntax(db: Database, query: str) -> None:
    assert set(search(db, query)) <= set(TEXTS)


def test_operators_are_plain_words(db: Database) -> None:
    assert search(db, "lease NOT months") == ["lease"]
    assert set(search(db, "muon OR NEAR lease")) == {"muon", "lease"}
    assert search(db, 'body:"muon" AND title:nothing') == ["muon"]


def test_random_text_never_raises(db: Database) -> None:
    source = random.Random(7)
    alphabet = "\"'*():^-+{}[]\\/ \t\n\0abcäß漢字かなกขα½😀\u0301\u200d.,;!?0123456789_%~`|&<>=@#$"
    for _ in range(300):
        search(db, "".join(source.choices(alphabet, k=source.randint(0, 60))))


@pytest.mark.parametrize("unit", ["muon ", "x", "漢字", "a.b-", '"', "né ", "ย"])
def test_fifty_thousand_characters_are_fine(db: Database, unit: str) -> None:
    began = time.perf_counter()
    search(db, unit * (50_000 // len(unit)))
    search(db, unit + "".join(chr(97 + n % 23) + ("" if n % 7 else " ") for n in range(50_000)))
    assert time.perf_counter() - began < 5


def test_long_question_keeps_the_terms_that_look_rare(db: Database) -> None:
    filler = " ".join(f"ab{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(500))
    terms = split_query(f"{filler} dexamethasone IL-6")
    assert len(terms.words) == MAX_TERMS
    assert "dexamethasone" in terms.words
    assert search(db, f"{filler} dexamethasone") == ["covid"]


def test_stop_words_are_dropped_unless_nothing_is_left() -> None:
    assert split_query("What is the dose of it?").words == ("dose",)
    assert split_query("to be or not to be").words == ("to", "be", "or", "not")
    assert split_query("What does the WHO say about IT?").words == ("WHO", "IT")
    assert split_query("the patient's don't").words == ("patient",)


def test_compounds_are_phrases() -> None:
    assert split_query("COVID-19 at 3.5").words == ("COVID 19", "COVID", "3 5")


def test_terms_are_distinct() -> None:
    assert split_query("Dose dose DOSE, dose.").words == ("Dose",)


def test_grams_cover_unspaced_scripts_and_nothing_else() -> None:
    assert gram_text("plain “English” and Русский") == ""
    assert gram_text("心臓病") == "心臓 臓病 病"
    assert gram_text("用IL6药") == "用 药 IL6"
    assert split_query("心臓病").grams == ("心臓", "臓病")
    assert split_query("病").grams == ("病*",)


def test_single_letter_of_an_unspaced_script_is_found_anywhere(db: Database) -> None:
    assert search(db, "痛") == ["japanese"]
    assert search(db, "克") == ["chinese"]


def test_search_stays_in_the_archive_and_the_documents_asked(db: Database) -> None:
    with db.session() as s:
        other: Archive = add_archive(s, "Other")
        mine = add_text(s, other, "muon2", TEXTS["muon"])
        more = add_text(s, other, "muon3", TEXTS["muon"])
        everywhere = passages.search_text(s, other.id, "muon")
        one = passages.search_text(s, other.id, "muon", document_ids=[more.id])
        none = passages.search_text(s, other.id, "muon", document_ids=[])
        found = [p.document for p in passages.get_passages(s, [key for key, _ in everywhere])]
        assert sorted(found) == ["muon2", "muon3"]
        assert [p.document for p in passages.get_passages(s, [key for key, _ in one])] == ["muon3"]
        assert none == []
        assert passages.search_text(s, other.id, "muon", document_ids=range(mine.id, mine.id + 40_000))


def test_limit_is_kept(db: Database) -> None:
    assert len(search(db, "months lease muon covid", limit=2)) == 2
    assert search(db, "muon", limit=0) == []


def test_title_and_heading_help_and_a_heading_counts_more_than_the_body(db: Database) -> None:
    with db.session() as s:
        archive = add_archive(s, "Weights")
        padding = "filler words go here to make texts of equal length\n"
        add_text(s, archive, "body", "termination " + padding)
        add_text(s, archive, "heading", "plain " + padding, heading="Termination")
        add_text(s, archive, "title", "plain " + padding, title="Ibuprofen")
        by_heading = passages.search_text(s, archive.id, "termination")
        by_title = passages.search_text(s, archive.id, "ibuprofen")
        names = [
            [p.document for p in passages.get_passages(s, [k for k, _ in f])] for f in (by_heading, by_title)
        ]
    assert names == [["heading", "body"], ["title"]]


def test_plain_words_fold_what_postgresql_does_not() -> None:
    assert plain_words("Kündigung: 2.184 IL-6, 계약!").split() == ["Kundigung", "2", "184", "IL", "6", "계약"]


def test_a_question_that_names_a_document_finds_the_clause_and_not_only_the_first_page(
    tmp_path: Path,
) -> None:
    clause = "Payment falls due thirty days after the invoice. Interest runs at four per cent.\n"
    with new_database(tmp_path) as database, database.session() as s:
        archive = add_archive(s)
        for number, party in enumerate(
            ("Nordlys Marine", "Erchonia Medical", "Harbour Optics", "Fjord Foods")
        ):
            add_text(s, archive, f"front {number}", f"Agreement between {party} and Acme Trading.\n", clause)
        found = passages.search_text(
            s, archive.id, "When is payment due under the Agreement with Erchonia Medical?"
        )
        first, second = passages.get_passages(s, [key for key, _ in found])[:2]
    assert {first.document, second.document} == {"front 1"}
    assert clause.strip() in (first.text.strip(), second.text.strip())


def test_pairs_of_capitals_are_names_and_first_words_are_not() -> None:
    assert split_query("Does Acme Trading lease 12 Harbour Street?").names == (
        ("Acme", "Trading"),
        ("12", "Harbour"),
        ("Harbour", "Street"),
    )
    assert split_query("What Is This? IT IS US.").names == (("IT", "IS"), ("IS", "US"))
    assert split_query("WHO WROTE THIS").names == ()
