"""The page server's entry: page configuration and navigation. Start it with `python -m app serve`."""

from pathlib import Path

import streamlit as st

from app.view.gate import admitted

ASSETS = Path(__file__).resolve().parent / "assets"
PAGES = (
    st.Page("app/pages/library.py", title="Library", icon=":material/library_books:", default=True),
    st.Page("app/pages/ask.py", title="Ask", icon=":material/forum:", url_path="ask"),
    st.Page("app/pages/matrix.py", title="Matrix", icon=":material/table_view:", url_path="matrix"),
    st.Page("app/pages/findings.py", title="Findings", icon=":material/fact_check:", url_path="findings"),
    st.Page("app/pages/spikes.py", title="Spikes", icon=":material/blur_on:", url_path="spikes"),
    st.Page("app/pages/machine.py", title="Engine", icon=":material/memory:", url_path="engine"),
    st.Page("app/pages/help.py", title="Help", icon=":material/help:", url_path="help"),
)

st.set_page_config(page_title="Engram", page_icon=ASSETS / "icon.svg", layout="wide")
st.logo(ASSETS / "logo.svg", icon_image=ASSETS / "icon.svg", size="large")
page = st.navigation(PAGES)
if admitted():
    page.run()
