"""Languages: told by script and little words, kept intact, and said what the model makes of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from app_home import by_name, fill, make_services

from app.languages import language_name, languages_of, statement
from app.passages import MOST_TOKENS, split_passages
from storage import documents, passages
from storage.ingest.language import detect_language

TEXTS = {
    "en": "The tenant shall leave the premises in good repair, and the landlord is to return the "
    "deposit for it.",
    "de": "Der Mieter hat die Wohnung in gutem Zustand zu verlassen, und der Vermieter gibt die Kaution"
    " mit Zinsen zurück, sobald das Protokoll von beiden unterschrieben ist.",
    "fr": "Le locataire doit quitter les lieux en bon état, et le bailleur rend la caution dans un "
    "délai de deux mois à compter de la remise des clés par la personne qui a signé.",
    "es": "El inquilino debe dejar la vivienda en buen estado y el propietario devuelve la fianza en el"
    " plazo de un mes, que se cuenta desde la entrega de las llaves.",
    "pt": "O inquilino deve deixar a casa em bom estado e o senhorio devolve a caução no prazo de um "
    "mês, que se conta desde a entrega das chaves, e não há juros.",
    "it": "Il conduttore lascia i locali in buono stato e il locatore restituisce la cauzione con gli "
    "interessi, che sono dovuti dalla data della consegna delle chiavi.",
    "nl": "De huurder moet het pand in goede staat achterlaten en de verhuurder betaalt de borg terug "
    "binnen een maand nadat de sleutels zijn ingeleverd, als er geen schade is.",
    "sv": "Hyresgästen ska lämna lägenheten i gott skick och hyresvärden betalar tillbaka depositionen "
    "när det är klart att inga skador finns som inte har anmälts.",
    "pl": "Najemca jest zobowiązany oddać lokal w dobrym stanie, a wynajmujący zwraca kaucję w ciągu "
    "miesiąca od dnia, w którym klucze zostały oddane, i nie nalicza odsetek.",
    "tr": "Kiracı daireyi iyi durumda bırakır ve ev sahibi depozitoyu bir ay içinde geri öder, ancak bu"
    " süre için faiz ödenmez ve her iki taraf da bunu kabul eder.",
    "ru": "Арендатор обязан оставить помещение в хорошем состоянии, и арендодатель возвращает залог в "
    "течение месяца, но не раньше, чем ключи сданы и это записано.",
    "uk": "Орендар зобов'язаний залишити приміщення в доброму стані, і орендодавець повертає заставу "
    "протягом місяця, але не раніше, ніж ключі здано та це записано, як і було.",
    "ar": "يلتزم المستأجر بترك العقار في حالة جيدة ويعيد المالك مبلغ التأمين خلال شهر واحد.",
    "fa": "مستأجر باید ملک را در وضعیت خوب تحویل دهد و مالک ودیعه را پس از یک ماه پرداخت می‌کند چون "
    "قرار چنین است.",
    "he": "השוכר מחויב להשאיר את הדירה במצב טוב והמשכיר מחזיר את הפיקדון בתוך חודש אחד.",
    "hi": "किरायेदार को मकान अच्छी हालत में छोड़ना है और मकान मालिक एक महीने में जमा राशि लौटाता है।",
    "zh": "承租人应当保持房屋完好，出租人应在一个月内退还押金，并支付相应的利息。",
    "ja": "借主は部屋を良い状態で明け渡し、貸主は一か月以内に敷金を返還するものとする。",
    "ko": "임차인은 건물을 양호한 상태로 반환하고 임대인은 한 달 이내에 보증금을 돌려준다.",
    "el": "Ο μισθωτής παραδίδει το ακίνητο σε καλή κατάσταση και ο εκμισθωτής επιστρέφει την εγγύηση.",
    "th": "ผู้เช่าต้องส่งคืนห้องในสภาพดีและผู้ให้เช่าต้องคืนเงินประกันภายในหนึ่งเดือน",
}


@pytest.mark.parametrize("code", TEXTS)
def test_a_language_is_told_by_its_text(code: str) -> None:
    assert detect_language(TEXTS[code]) == code


@pytest.mark.parametrize(
    "text", ["", "12.5 | 13 | 14", "Oslo", "qzx vbn wrt plk mnb hgf dsa poi uyt rew lkj zxc"]
)
def test_what_is_no_language_gets_none(text: str) -> None:
    assert detect_language(text) == ""


def test_words_count_more_than_what_the_file_declares(tmp_path: Path) -> None:
    services = make_services(tmp_path)
    html = f'<html lang="en-US"><body><p>{TEXTS["de"]}</p></body></html>'
    archive = fill(services, tmp_path / "in", {"a.html": html, "b.html": '<html lang="fr_CA"><p>Oslo 12</p>'})
    found = {name: row.language for name, row in by_name(services, archive).items()}
    assert found == {"a.html": "de", "b.html": "fr"}


def test_right_to_left_text_is_stored_letter_for_letter_and_found(tmp_path: Path) -> None:
    services = make_services(tmp_path)
    texts = {f"{code}.txt": TEXTS[code] for code in ("ar", "fa", "he")}
    archive = fill(services, tmp_path / "in", texts)
    for name, row in by_name(services, archive).items():
        with services.database.session() as s:
            assert documents.document_text(s, row.id) == texts[name] + "\n"
            found = passages.search_text(s, archive.id, texts[name].split()[1])
            assert passages.get_passages(s, [key for key, _ in found])[0].document == name


def test_unspaced_text_is_cut_into_passages_by_tokens(tmp_path: Path) -> None:
    services = make_services(tmp_path)
    text = TEXTS["zh"] * 60
    spans, tokens = split_passages(text, (), services.tokenizer)
    assert len(spans) > 1
    assert spans[-1].token_end == tokens
    assert max(span.token_end - span.token_start for span in spans) <= MOST_TOKENS + 8
    assert all(text[span.end - 1] in "。，、" for span in spans[:-1])


def test_the_statement_names_what_the_model_cannot_read() -> None:
    said = statement(["en", "en", "de", "zh", ""], frozenset({"en"}))
    assert said.startswith("Languages: English (2), German (1), Chinese (1).")
    assert "trained on English." in said
    assert "Documents in German and Chinese are found by their words" in said
    assert "do not rely" not in statement(["en"], frozenset({"en"}))
    assert "not known" in statement(["en"], None)
    assert statement([], None) == ""


def test_a_models_languages_come_from_its_name_or_its_configuration(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "engram"}))
    assert languages_of("default", tmp_path) == {"en"}
    assert languages_of("SpikingBrain-7B", tmp_path / "none") == {"en", "zh"}
    assert languages_of("mystery", tmp_path / "none") is None


def test_a_language_without_a_name_is_shown_by_its_code() -> None:
    assert language_name("de") == "German"
    assert language_name("xx") == "xx"
