"""Calibration texts: the sample archive in pieces, lines of a file, plain files."""

import lzma

from engine.convert.texts import cut, read_texts, sample_texts


def test_the_sample_archive_gives_128_texts():
    texts = sample_texts()
    assert len(texts) == 128
    joined = " ".join(texts)
    assert "muon" in joined
    assert "<p>" not in joined
    assert max(map(len, texts)) < 3 * min(map(len, texts))


def test_texts_are_cut_between_words_and_nothing_is_lost():
    text = "one two  three four\nfive six seven"
    for count in (1, 2, 5, 40):
        assert " ".join(" ".join(cut(text, count)).split()) == " ".join(text.split())
    assert cut("  \n ", 4) == []


def test_texts_come_from_lines_and_from_plain_files(tmp_path):
    packed = tmp_path / "a.jsonl.xz"
    with lzma.open(packed, "wt", encoding="utf-8") as file:
        file.write('"first"\n\n{"text": "second", "id": 2}\n{"text": " "}\n"third"\n')
    assert read_texts(packed) == ["first", "second", "third"]
    assert read_texts(packed, 2) == ["first", "second"]
    plain = tmp_path / "b.txt"
    plain.write_text("a b c d e f g h", "utf-8")
    assert " ".join(read_texts(plain, 4)) == "a b c d e f g h"
