"""The Help page's text: what can be asked of the product itself is filled in, so that it stays true."""

import streamlit as st

from app.languages import language_name, languages_of
from app.view.frame import ASSETS, services
from app.view.shelf import model_in_use
from app.view.words import plain
from storage.ingest import SUPPORTED


def draw_help() -> None:
    """The whole page."""
    with st.container(key="help_text"):
        st.markdown(help_text())


def help_text() -> str:
    """The text with the formats that are read, the model in use and its languages, and the home folder."""
    with services().database.session() as s:
        model = model_in_use(s)
    read = languages_of(model, services().home.models / model)
    spoken = "not known here" if read is None else ", ".join(sorted(language_name(code) for code in read))
    filled = {
        "{formats}": ", ".join(sorted(set(SUPPORTED.values()))),
        "{model}": plain(model),
        "{languages}": spoken,
        "{home}": str(services().home.path).replace("`", "'"),
    }
    text = (ASSETS / "help.md").read_text("utf-8")
    for name, value in filled.items():
        text = text.replace(name, value)
    return text
