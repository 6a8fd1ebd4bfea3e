"""What LaTeX commands mean for plain text."""

from __future__ import annotations

SECTIONS = {"part": 1, "chapter": 2, "section": 3, "subsection": 4, "subsubsection": 5, "paragraph": 6}
MATH = frozenset(
    "equation align gather multline eqnarray displaymath math alignat flalign split aligned "
    "cases array".split()
)
VERBATIM = frozenset("verbatim lstlisting minted Verbatim".split())
TABULAR = frozenset("tabular tabularx longtable tabulary".split())
HIDDEN = frozenset("comment tikzpicture filecontents picture".split())
# Commands whose arguments are not shown, and how many braces follow.
DROPPED = {
    **dict.fromkeys(
        "label usepackage documentclass bibliographystyle bibliography includegraphics pagestyle "
        "thispagestyle vspace hspace graphicspath hypersetup geometry setcounter addcontentsline "
        "pagenumbering input include thanks index nocite phantom cline cmidrule theoremstyle "
        "captionsetup lstset rowcolor color usetikzlibrary".split(),
        1,
    ),
    **dict.fromkeys(
        "newcommand renewcommand providecommand DeclareMathOperator setlength newtheorem rule "
        "addtocounter".split(),
        2,
    ),
    "newenvironment": 3,
    "renewenvironment": 3,
    "definecolor": 3,
}
CITATIONS = frozenset("cite citep citet citealp citeauthor citeyear autocite parencite textcite".split())
REFERENCES = frozenset("ref eqref autoref cref Cref pageref".split())
ACCENTS = {
    "'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "~": "\u0303", "=": "\u0304", ".": "\u0307",
    "c": "\u0327", "v": "\u030c", "u": "\u0306", "H": "\u030b", "r": "\u030a", "k": "\u0328", "d": "\u0323",
}  # fmt: skip
SIGNS = {
    "ss": "ß", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "o": "ø", "O": "Ø", "aa": "å", "AA": "Å", "l": "ł",
    "L": "Ł", "i": "i", "j": "j", "S": "§", "P": "¶", "ldots": "…", "dots": "…", "textellipsis": "…",
    "copyright": "©", "pounds": "£", "euro": "€", "textendash": "–", "textemdash": "—", "textbackslash": "\\",
    "LaTeX": "LaTeX", "TeX": "TeX", "textdegree": "°", "degree": "°", "quad": " ", "qquad": " ",
    "newline": "\n",
    "par": "\n\n", "textasciitilde": "~", "textregistered": "®", "texttrademark": "™", "textquoteright": "’",
    "textquotedblleft": "“", "textquotedblright": "”", "newpage": "\n\n", "clearpage": "\n\n",
    "bigskip": "\n\n",
    "medskip": "\n\n", "smallskip": "\n\n",
}  # fmt: skip
