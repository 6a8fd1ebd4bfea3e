"""The page's colours for what is drawn on a canvas or by plotly, by day and by night."""

import streamlit as st


def is_dark() -> bool:
    """Whether the person sees the dark theme."""
    return st.context.theme.type == "dark"


def colours() -> dict[str, str]:
    """The style sheet's colours where it does not reach."""
    if is_dark():
        return {
            "accent": "#6fc0b3", "fill": "rgba(111,192,179,0.18)", "ink": "#e4e1da", "soft": "#a3a8ae",
            "line": "#343a40", "warm": "#e9b178", "cool": "#93bbe6", "panel": "#202529",
            "warn": "#e9b178", "bad": "#ee9a96",
        }  # fmt: skip
    return {
        "accent": "#1f6b63", "fill": "rgba(31,107,99,0.13)", "ink": "#23262b", "soft": "#5f656d",
        "line": "#dfdbd0", "warm": "#b0661f", "cool": "#2a5383", "panel": "#efece2",
        "warn": "#8f4a12", "bad": "#982f2f",
    }  # fmt: skip
