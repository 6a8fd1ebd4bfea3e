"""Every format other than PDF: what its text, headings and warnings look like."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import docx
import pytest

from storage.ingest import SUPPORTED, ParsedDocument, Parser


@pytest.fixture(scope="module")
def parser() -> Iterator[Parser]:
    with Parser() as shared:
        yield shared


@pytest.fixture
def parse(parser: Parser, tmp_path: Path):
    def parse_bytes(data: bytes | str, name: str) -> ParsedDocument:
        path = tmp_path / "input"
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return parser.parse(path, name)

    return parse_bytes


def paths(document: ParsedDocument) -> list[str]:
    for offset, path in document.headings:
        assert document.text[offset:].startswith(path.rsplit(" > ", 1)[-1])
    return [path for _, path in document.headings]


def test_text_keeps_its_lines_and_form_feeds_end_pages(parse):
    document = parse("one\r\ntwo\n\n\n\nthree\fpage two\f", "a.txt")
    assert [page.text for page in document.pages] == ["one\ntwo\n\nthree\n", "page two\n"]
    assert (document.media_type, document.title) == ("text/plain", "a.txt")


def test_markdown(parse):
    document = parse(
        "---\ntitle: Notes\n---\n# Top *one*\nSome **bold** [link](http://x) snake_case_name `code`\n\n"
        "Sub\n---\n\n"
        "| drug | dose |\n|---|---|\n| A | 5 mg |\n\n```\n# not a heading\n```\n> quoted\n",
        "a.md",
    )
    assert document.title == "Notes"
    assert paths(document) == ["Top one", "Top one > Sub"]
    assert "Some bold link snake_case_name code" in document.text
    assert "drug: A; dose: 5 mg" in document.text
    assert "\n# not a heading\n" in document.text
    assert document.text.endswith("quoted\n")


def test_html_drops_what_is_not_shown_and_names_table_columns(parse):
    document = parse(
        "<html lang=en><head><title>Leaf &amp; let</title><style>p{}</style>"
        "<script>var a='<p>no</p>'</script></head>"
        "<body><nav>menu</nav><h1>Top</h1><p>Para <b>one</b><br>line two 10<sup>-3</sup></p>"
        "<p style='display:none'>x"
        "</p><h2>Sub</h2><ol><li>first<li>second</ol><table><caption>Doses</caption><tr><th>Drug<th>Dose</tr>"
        "<tr><td rowspan=2>A<td>5</tr><tr><td>6</tr></table></body></html>",
        "a.html",
    )
    assert document.title == "Leaf & let"
    assert document.language == "en"
    assert paths(document) == ["Top", "Top > Sub"]
    assert document.text == (
        "Top\n\nPara one\nline two 10^-3\n\nSub\n\n1. first\n2. second\n\n"
        "Doses\nDrug: A; Dose: 5\nDrug: A; Dose: 6\n"
    )


def test_html_layout_tables_read_as_paragraphs(parse):
    document = parse(
        "<table><tr><td>Left text</td><td><table><tr><td>a<td>b</table></td></tr></table>", "a.htm"
    )
    assert "Left text\n" in document.text
    assert ":" not in document.text


def test_html_in_a_declared_encoding(parse):
    document = parse("<meta charset=windows-1251><p>Договор аренды</p>".encode("cp1251"), "a.html")
    assert document.text == "Договор аренды\n"
    assert document.warnings == ()


def word_file() -> bytes:
    document = docx.Document()
    document.core_properties.title = "Lease"
    document.add_heading("Lease of a flat", 0)
    document.add_heading("Rent", 1)
    document.add_paragraph("The rent is 500.")
    table = document.add_table(2, 3)
    for row, cells in enumerate([["Month", "Rent", "Paid"], ["May", "500", "yes"]]):
        for column, text in enumerate(cells):
            table.cell(row, column).text = text
    document.add_paragraph("After the table.")
    document.add_paragraph("first point", style="List Number")
    document.add_paragraph("second point", style="List Number")
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def test_docx_keeps_document_order_headings_tables_and_list_numbers(parse):
    document = parse(word_file(), "a.docx")
    assert document.title == "Lease"
    assert paths(document) == ["Lease of a flat", "Lease of a flat > Rent"]
    assert document.text == (
        "Lease of a flat\n\nRent\n\nThe rent is 500.\n\nMonth: May; Rent: 500; Paid: yes\n\n"
        "After the table.\n\n"
        "1. first point\n2. second point\n"
    )


def test_docx_reads_insertions_and_leaves_out_deletions(parse):
    with zipfile.ZipFile(io.BytesIO(word_file())) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    body = members["word/document.xml"]
    old = b"<w:t>The rent is 500.</w:t></w:r>"
    assert old in body
    new = (
        b"<w:t>The rent is </w:t></w:r><w:del><w:r><w:delText>500</w:delText></w:r></w:del>"
        b"<w:ins><w:r><w:t>600.</w:t></w:r></w:ins>"
    )
    members["word/document.xml"] = body.replace(old, new)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    assert "The rent is 600." in parse(out.getvalue(), "a.docx").text


@pytest.mark.parametrize(("name", "mark"), [("a.csv", ";"), ("a.csv", ","), ("a.tsv", "\t"), ("a.csv", "|")])
def test_tables_of_separated_values_name_their_columns(parse, name, mark):
    document = parse(f'drug{mark}dose{mark}note\nA{mark}5 mg{mark}"two\nlines"\nB{mark}{mark}x\n', name)
    assert document.text == "drug: A; dose: 5 mg; note: two lines\ndrug: B; note: x\n"


def test_a_table_without_header_numbers_its_columns(parse):
    assert parse("1,2\n3,4\n", "a.csv").text == "column 1: 1; column 2: 2\ncolumn 1: 3; column 2: 4\n"


def test_an_open_quote_does_not_swallow_the_rows_after_it(parse):
    document = parse('id,text\n1,"open\n2,b\n3,c\n', "a.csv")
    assert "id: 2; text: b\nid: 3; text: c\n" in document.text
    assert document.warnings == ("quotes are not balanced: read line by line",)


def test_cells_beyond_the_header_are_kept_and_said(parse):
    document = parse("a,b\nx,y,z\n", "a.csv")
    assert document.text == "a: x; b: y; column 3: z\n"
    assert "more cells" in document.warnings[0]


def test_json_keeps_numbers_as_written_and_names_nested_values(parse):
    document = parse(
        '{"title": "T", "n": 1.10, "a": {"b": [{"c": true}, {"c": null}]}, "tags": ["x", "y"]}', "a.json"
    )
    assert document.title == "T"
    assert document.text == "title: T\nn: 1.10\na.b[1].c: yes\ntags: x; y\n"


def test_json_lines_keep_broken_lines_and_name_them(parse):
    document = parse('{"id": 1}\nbroken\n{"id": 2}\n', "a.jsonl")
    assert document.text == "id: 1\n\nbroken\n\nid: 2\n"
    assert document.warnings == ("line 2: not valid JSON, kept as text",)


def test_json_lines_under_the_name_of_json(parse):
    assert parse('{"id": 1}\n{"id": 2}\n', "a.json").text == "id: 1\n\nid: 2\n"


def test_broken_json_is_read_as_text_with_a_warning(parse):
    document = parse('{"id": 1,', "a.json")
    assert document.text == '{"id": 1,\n'
    assert "not valid JSON (line 1" in document.warnings[0]


JATS = """<?xml version="1.0"?>
<!DOCTYPE article PUBLIC "-//NLM//DTD JATS//EN" "JATS.dtd">
<article xml:lang="en"><front><journal-meta><journal-title-group><journal-title>Heart</journal-title>
</journal-title-group></journal-meta><article-meta><article-id pub-id-type="doi">10.1/x</article-id>
<title-group><article-title>On <italic>E. coli</italic></article-title></title-group>
<contrib-group><contrib><name>
<surname>Doe</surname><given-names>Jane</given-names></name></contrib></contrib-group><pub-date><year>2020</year>
</pub-date><abstract><p>We found 10<sup>3</sup> &alpha; cells.</p></abstract></article-meta></front>
<body><sec><label>1</label><title>Methods</title><p>We <xref>[1]</xref> counted.
<table-wrap><label>Table 1</label><caption><p>Doses</p></caption>
<table><thead><tr><th>Drug</th><th>Dose</th></tr></thead><tbody><tr><td>A</td>
<td>5 mg</td></tr></tbody></table></table-wrap></p>
<sec><title>Cells</title><p>Deep.</p></sec></sec></body>
<back><ref-list><ref>
<label>1</label><mixed-citation>Foo B. <source>Nature</source>.</mixed-citation></ref></ref-list>
</back></article>"""


def test_journal_articles_give_title_sections_tables_and_references(parse):
    document = parse(JATS, "a.nxml")
    assert (document.title, document.language) == ("On E. coli", "en")
    assert paths(document) == [
        "On E. coli",
        "On E. coli > Abstract",
        "On E. coli > 1 Methods",
        "On E. coli > 1 Methods > Cells",
        "On E. coli > References",
    ]
    for line in (
        "Authors: Jane Doe\nJournal: Heart\nPublished: 2020\nDOI: 10.1/x\n",
        "We found 10^3 α cells.\n",
        "Table 1 Doses\nDrug: A; Dose: 5 mg\n",
        "1 Foo B. Nature.\n",
    ):
        assert line in document.text


def test_other_xml_gives_its_text_with_names(parse):
    document = parse(
        '<?xml version="1.0" encoding="ISO-8859-1"?><patient id="3"><name>Ren\xe9</name>'
        "<note>Feels <b>good</b> now"
        "</note></patient>".encode("latin-1")
        .decode("latin-1")
        .encode("latin-1"),
        "a.xml",
    )
    assert document.text == "id: 3\nname: René\n\nFeels good now\n"


def test_broken_xml_is_mended_with_a_warning(parse):
    document = parse("<a><b>text one</b><c>two</a>", "a.xml")
    assert document.text == "b: text one\nc: two\n"
    assert "not well-formed XML" in document.warnings[0]


def test_xml_broken_beyond_mending_still_gives_its_text(parse):
    document = parse(b"\x01<<<!DOCTYPE [ <?xml?><r><p>Still here.</p></r>", "a.xml")
    assert "Still here." in document.text
    assert document.warnings


def epub(extra: dict[str, str] | None = None) -> bytes:
    out = io.BytesIO()
    members = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
        "<rootfiles>"
        '<rootfile full-path="OEBPS/c.opf"/></rootfiles></container>',
        "OEBPS/c.opf": '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        "<metadata><dc:title>Book</dc:title><dc:language>en</dc:language></metadata><manifest>"
        '<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/>'
        '<item id="b" href="b%20b.xhtml" media-type="application/xhtml+xml"/>'
        '</manifest><spine><itemref idref="b"/><itemref idref="a"/></spine></package>',
        "OEBPS/a.xhtml": '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>x</title></head>'
        "<body><h1>Chapter 2</h1><p>Two é</p></body></html>",
        "OEBPS/b b.xhtml": "<html><body><h1>Chapter 1</h1><p>One</p></body></html>",
    }
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in (members | (extra or {})).items():
            archive.writestr(name, text)
    return out.getvalue()


def test_epub_chapters_come_in_the_order_of_the_spine(parse):
    document = parse(epub(), "a.epub")
    assert [page.text for page in document.pages] == ["Chapter 1\n\nOne\n", "Chapter 2\n\nTwo é\n"]
    assert (document.title, document.language) == ("Book", "en")
    assert paths(document) == ["Chapter 1", "Chapter 2"]


def test_copy_protected_epub_is_told(parse):
    from storage.ingest import ParseFailure

    locked = (
        '<encryption><EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/></encryption>'
    )
    with pytest.raises(ParseFailure, match="copy protection"):
        parse(epub({"META-INF/encryption.xml": locked}), "a.epub")


LATEX = r"""\documentclass{article}
\newcommand{\foo}[1]{bar #1}
\title{On \emph{Things}}
\author{J. M\"uller}
\begin{document}
\maketitle
\begin{abstract} We show $x^2 \leq 5$. % a comment
More text.
\end{abstract}
\section{Intro}\label{s:i}
Hello \textbf{bold \textit{nested}} 50\% of ``quoted'' text~\cite{foo}.
Next line\footnote{A note.} caf\'e.

\begin{itemize}
\item One
\item Two
\end{itemize}
\begin{equation} E = mc^2 \end{equation}
\subsection{Data}
\begin{tabular}{lll}\hline Name & Dose & Unit \\ \hline A & 5 & \$ \\ \end{tabular}
\input{other}
\end{document}"""


def test_latex_gives_sections_text_and_mathematics(parse):
    document = parse(LATEX, "a.tex")
    assert document.title == "On Things"
    assert paths(document) == [
        "On Things",
        "On Things > Abstract",
        "On Things > Intro",
        "On Things > Intro > Data",
    ]
    for piece in (
        "J. Müller\n",
        "We show $x^2 \\leq 5$. More text.\n",
        "Hello bold nested 50% of “quoted” text [foo]. Next line (footnote: A note.) café.\n",
        "- One\n- Two\n",
        "\\begin{equation} E = mc^2 \\end{equation}",
        "Name: A; Dose: 5; Unit: $\n",
    ):
        assert piece in document.text
    assert "newcommand" not in document.text
    assert document.warnings == ("parts in other files are not included: other",)


def test_content_counts_more_than_the_suffix(parse):
    assert parse("<!DOCTYPE html><h1>Top</h1>", "a.txt").media_type == "text/html"
    assert parse(word_file(), "a.bin").media_type.endswith("wordprocessingml.document")
    assert parse(epub(), "a.zip").media_type == "application/epub+zip"


def test_every_supported_suffix_has_a_name_for_people():
    assert {".pdf", ".txt", ".md", ".html", ".docx", ".csv", ".json", ".xml", ".epub", ".tex", ".zip"} <= set(
        SUPPORTED
    )
    assert all(suffix.startswith(".") and name for suffix, name in SUPPORTED.items())
