"""Small PDFs for the ingestion tests, written byte by byte."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence

Line = tuple[float, float, float, str]


def escape(text: str) -> str:
    return text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def page_content(lines: Sequence[str], top: float = 770, leading: float = 14, size: float = 11) -> bytes:
    """A content stream that shows one line under the other."""
    shown = [
        f"1 0 0 1 60 {top - index * leading:.1f} Tm ({escape(line)}) Tj" for index, line in enumerate(lines)
    ]
    return (f"BT /F1 {size:g} Tf " + "\n".join(shown) + " ET").encode("cp1252")


def assemble(objects: Sequence[bytes], trailer: bytes = b"") -> bytes:
    """Number the objects from 1 (the first is the catalog) and write the cross-reference table."""
    out = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer << /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n" % (
        len(objects) + 1,
        trailer,
        start,
    )
    return bytes(out)


def stream(data: bytes, entries: bytes = b"", compress: bool = False) -> bytes:
    if compress:
        data, entries = zlib.compress(data), entries + b" /Filter /FlateDecode"
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(data), entries, data)


def make_pdf(pages: Sequence[Sequence[str] | bytes | None], title: str = "") -> bytes:
    """A PDF of pages: lines of text, or a content stream; None stands for a page that is only an image."""
    count = len(pages)
    kids = b" ".join(b"%d 0 R" % (6 + 2 * index) for index in range(count))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count %d /Kids [%s] >>" % (count, kids),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        stream(
            b"\x80" * 64,
            b"/Type /XObject /Subtype /Image /Width 8 /Height 8 /ColorSpace /DeviceGray /BitsPerComponent 8",
        ),
        b"<< /Title (%s) >>" % escape(title).encode("cp1252"),
    ]
    for index, lines in enumerate(pages):
        used = b"/XObject << /Im1 4 0 R >>" if lines is None else b"/Font << /F1 3 0 R >>"
        content = (
            b"q 500 0 0 700 50 50 cm /Im1 Do Q"
            if lines is None
            else lines
            if isinstance(lines, bytes)
            else page_content(lines)
        )
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << %s >> /Contents %d 0 R >>"
            % (used, 7 + 2 * index)
        )
        objects.append(stream(content))
    return assemble(objects, b"/Info 5 0 R")


# One page that says "Secret clause here.", AES-128, empty user password: made with pypdf and the cryptography
# package, which the tests do without.
AES_PDF = zlib.decompress(
    base64.b85decode(
        "c-oCqOKTKC5We`L!Gl*(>C1wMI^EOHfh8DC)@O`leISxUPd}2;btcYqLKM7s5b-yN7q1dg5EMZ?Du^Ducn|~?4+;u;R_vK<lEwAl"
        "%rI1aUG-H}S5@o8SZ5F3OF-+x$JcKFh6onvdC+cy=;Y-&3!?+dt6nh!q7!PyRxl0*Q($BS*xb~H@sLAf2ciSTeC{Cz(b3FQ@Ejzy"
        "Bb**^CI57-1C=(oE=P(ctjW~=Vlhyl@UnzKN#j5iP1&lLFLg+&X6O{brx7ruD@legB$E5US3&ky>U1c6%>knBeCivu215b+Rb?CY"
        "=#cF#Sf6PHqVZf8Cd+4FbSBG3^D0{b1_H2w0LN@T<7c5n^?Bt>t1g24>F(QSKi|2qu<!NFAK&cBd+Q$^JoBLS_}Tj%zps5_zcwwM"
        "ihpjqR7}5mvHAY?XTQFG*?M)?x}DYA8_yT-f_J?wN3Orz@b%%7jq=vg)cfP>>$rXDeg=H7#LV|BY@;+0jwp%a1WUoF#i`N4=)@>#"
        "h{i~3!?2)E5^P9n6;d2K%8|CnVP!`K3KRqMry&h3sek=aaV$eGA&nE7a1keQXie7hwuDjFtK6v4fM^o78Rt$(L98W2i$v%UH9^!F"
        "Wt_xRIYp>(i6YW*YbZ_=No}mTQL$3ovC!gEuq|aO5}i;@rIFkuR@sy|hA5LHO*M*T>ZoOwTEV2Em{Wv;&Yg1#VI=E8=`{1x^`<Y4"
        "&imQ%g?bjFu|iMI*}OKIfYIo9_jJ5gC|?=1uD{rU%LKJjt}1I+wpdyR5R?F|K9Dm;7<6zI!(noolY9;1bO^&S8Ny<QhcH6r5Jtr?"
        "#>4=hFICpFWz*YkcEyI2qp6|@E4{pzhjUjz-j~P1cD9McLMs%eMJR*};(|DeB~Ep!u_a>Ue@v#E)haK~c_>!)weqU;&Be*EKdsjI"
        "WC#2KfZ9@Q"
    )
)
