"""E-mail: messages, mailboxes, and attachments as documents of their own."""

from __future__ import annotations

import mailbox
from email.message import EmailMessage
from pathlib import Path

import pytest
from app_home import by_name, make_services
from parsing_home import parse, parser
from pdf_files import make_pdf

from app import library
from app.worker import Worker
from storage.ingest import ParseFailure

__all__ = ["parse", "parser"]  # fixtures


def message(subject: str = "Keys to the flat", text: str = "The keys are with the porter.") -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = "Ada Berg <ada@example.org>"
    mail["To"] = "Ole Dahl <ole@example.org>"
    mail["Date"] = "Tue, 05 Mar 2024 10:15:00 +0100"
    mail["Subject"] = subject
    mail.set_content(text)
    return mail


def with_attachments() -> EmailMessage:
    mail = message("Lease signed")
    mail.add_attachment(make_pdf([["The rent is 900 euros."]]), "application", "pdf", filename="../lease.pdf")
    mail.add_attachment("item,price\nlamp,19\n", subtype="csv", filename="prices.csv")
    return mail


def test_a_message_shows_who_when_and_what(parse):
    document = parse(message().as_bytes(), "keys.eml")
    assert document.title == "Keys to the flat"
    assert "From: Ada Berg <ada@example.org>" in document.text
    assert "Date: 2024-03-05 10:15 +0100" in document.text
    assert "The keys are with the porter." in document.text
    assert document.headings == ((0, "Keys to the flat"),)


def test_plain_text_comes_before_html_and_html_is_read_when_alone(parse):
    both = message()
    both.add_alternative("<p>The <b>HTML</b> form.</p>", subtype="html")
    assert "HTML" not in parse(both.as_bytes(), "a.eml").text
    alone = message()
    alone.set_content("<p>Only the <b>HTML</b> form.</p>", subtype="html")
    assert "Only the HTML form." in parse(alone.as_bytes(), "a.eml").text


def test_attachments_are_named_in_the_message_and_taken_out(parse, parser, tmp_path):
    data = with_attachments().as_bytes()
    assert "Attachments: ../lease.pdf; prices.csv" in parse(data, "a.eml").text
    members = parser.detach(tmp_path / "input", tmp_path / "out", "a.eml")
    assert [member.name for member in members] == ["a.eml/lease.pdf", "a.eml/prices.csv"]
    assert members[1].path is not None
    assert members[1].path.read_text() == "item,price\nlamp,19\n"


def test_pictures_shown_in_the_text_are_no_documents(parse, parser, tmp_path):
    mail = message()
    mail.add_alternative('<img src="cid:logo">', subtype="html")
    mail.get_payload()[1].add_related(b"\x89PNG", "image", "png", cid="<logo>", filename="logo.png")
    parse(mail.as_bytes(), "a.eml")
    assert parser.detach(tmp_path / "input", tmp_path / "out", "a.eml") == []


def test_a_mailbox_gives_each_message_a_part_of_its_own(parse, tmp_path):
    box = mailbox.mbox(tmp_path / "box")
    for number in range(3):
        box.add(message(f"Subject {number}", f"Body number {number}."))
    box.close()
    document = parse((tmp_path / "box").read_bytes(), "post.mbox")
    assert [page.number for page in document.pages] == [1, 2, 3]
    assert "Body number 1." in document.pages[1].text
    assert [path for _, path in document.headings] == ["Subject 0", "Subject 1", "Subject 2"]


def test_an_encoded_message_is_read_as_written(parse):
    mail = message("Überweisung", "Schöne Grüße, 你好")
    mail.set_content("Schöne Grüße, 你好", cte="base64")
    document = parse(mail.as_bytes(), "a.eml")
    assert "Schöne Grüße, 你好" in document.text
    assert document.title == "Überweisung"


@pytest.mark.parametrize(
    "data",
    [
        b"Subject: broken\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\nstill readable",
        b"Subject: =?utf-8?b?///?=\nDate: no\nContent-Type: text/plain; charset=nosuch\n\nstill readable",
        b"Subject: a\nContent-Transfer-Encoding: base64\n\nstill readable\x00\xff",
    ],
)
def test_malformed_messages_still_end_in_a_document(parse, data):
    assert parse(data, "a.eml").text.strip()


def test_a_deeply_nested_message_is_read_for_its_head(parse):
    data = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(150))
    assert parse(b"Subject: deep\n" + data, "a.eml").title == "deep"


def test_what_is_no_mail_is_refused(parse):
    with pytest.raises(ParseFailure, match="the content is no e-mail"):
        parse(b"\x01\x02 nothing of the kind", "a.eml")


def test_an_encrypted_message_is_said_to_be(parse):
    mail = message()
    mail.set_content(b"sealed", "application", "pkcs7-mime")
    assert "is encrypted" in parse(mail.as_bytes(), "a.eml").warnings[0]


def test_attachments_become_documents_also_inside_attached_messages(tmp_path: Path):
    services = make_services(tmp_path)
    archive = library.create_archive(services, "Mail")
    outer = message("Forwarded", "See the message inside.")
    outer.add_attachment(with_attachments())
    (tmp_path / "outer.eml").write_bytes(outer.as_bytes())
    library.add_files(services, archive, [tmp_path / "outer.eml"])
    Worker(services).run_until_idle()
    found = {name: row.status for name, row in by_name(services, archive).items()}
    assert found == {
        "outer.eml": "ready",
        "outer.eml/Lease signed.eml": "ready",
        "outer.eml/Lease signed.eml/lease.pdf": "ready",
        "outer.eml/Lease signed.eml/prices.csv": "ready",
    }
