"""Charts of spikes: the raster of a layer, how large counts are, how much each layer fires, which tokens."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from app.trains import encode
from app.view.charts import axes, colours
from app.view.words import safe

Ints = npt.NDArray[np.int32]
HISTOGRAM_REACH = 12


def busiest(counts: Ints, most: int) -> npt.NDArray[np.int64]:
    """The numbers of the channels with most spikes, in the order they lie in the layer."""
    fired = np.bitwise_count(np.abs(counts)).sum(axis=0, dtype=np.int64)
    return np.sort(np.argsort(-fired, kind="stable")[:most])


def raster(
    counts: Ints, channels: npt.NDArray[np.int64], tokens: Sequence[str], coding: str, steps: int
) -> go.Figure:
    """Channels over time: `steps` moments a token; a spike is dark, an inhibiting one of the other colour."""
    shade = colours()
    planes = encode(counts[:, channels], coding, steps)  # [S, T, C]
    grid = planes.transpose(2, 1, 0).reshape(len(channels), -1)
    clear = "rgba(0,0,0,0)"
    scale = [[0, shade["warm"]], [0.33, shade["warm"]], [0.34, clear], [0.66, clear],
             [0.67, shade["accent"]], [1, shade["accent"]]]  # fmt: skip
    figure = go.Figure(
        go.Heatmap(
            z=grid, zmin=-1, zmax=1, colorscale=scale, showscale=False, hoverinfo="skip", xgap=0, ygap=0
        )
    )
    every = max(1, len(tokens) // 24)
    places = list(range(0, len(tokens), every))
    axes(figure, showgrid=False)
    figure.update_xaxes(
        tickvals=[place * steps + (steps - 1) / 2 for place in places],
        ticktext=[safe(shown(tokens[place])) for place in places],
        tickangle=-55,
    )
    title = {"text": f"{len(channels)} channels", "font": {"size": 12}}
    figure.update_yaxes(title=title, showticklabels=False, showgrid=False, ticks="")
    figure.update_layout(margin={"l": 8, "r": 8, "t": 8, "b": 8})
    return figure


def shown(token: str) -> str:
    """A token as a label: spaces seen, nothing long."""
    return (token.replace("\n", "⏎").replace(" ", "·") or "∅")[:10]


def histogram(counts: Ints) -> go.Figure:
    """How often each count occurs, the far ones gathered at the edges, on a logarithmic scale."""
    shade = colours()
    clipped = np.clip(counts, -HISTOGRAM_REACH, HISTOGRAM_REACH)
    values = np.arange(-HISTOGRAM_REACH, HISTOGRAM_REACH + 1)
    share = np.array([(clipped == value).mean() for value in values])
    names = [f"≤ {v}" if v == values[0] else f"≥ {v}" if v == values[-1] else str(v) for v in values]
    tones = [shade["line"] if v == 0 else shade["warm"] if v < 0 else shade["accent"] for v in values]
    figure = go.Figure(
        go.Bar(x=values, y=100 * share, marker_color=tones, customdata=names,
               hovertemplate="count %{customdata}: %{y:.3g} %<extra></extra>")
    )  # fmt: skip
    axes(figure)
    figure.update_xaxes(title={"text": "spike count", "font": {"size": 12}}, showgrid=False, dtick=4)
    figure.update_yaxes(type="log", title={"text": "% of places", "font": {"size": 12}}, dtick=1)
    figure.update_layout(margin={"l": 8, "r": 8, "t": 8, "b": 8}, bargap=0.18)
    return figure


def layer_rates(sites: Sequence[dict[str, Any]]) -> go.Figure:
    """Spikes per channel of each layer, a line for each of its inputs."""
    shade = colours()
    names = list(dict.fromkeys(site["site"] for site in sites))
    tones = [shade["accent"], shade["warm"], shade["cool"], shade["soft"]]
    figure = go.Figure()
    for name, tone in zip(names, tones, strict=False):
        rows = [site for site in sites if site["site"] == name]
        figure.add_scatter(
            x=[row["layer"] + 1 for row in rows], y=[row["bits"] / row["places"] for row in rows],
            mode="lines+markers", name=name, line={"color": tone, "width": 2}, marker={"size": 5},
            hovertemplate=f"layer %{{x}}, {name}: %{{y:.3g}}<extra></extra>",
        )  # fmt: skip
    axes(figure)
    figure.update_xaxes(title={"text": "layer", "font": {"size": 12}}, showgrid=False)
    figure.update_yaxes(title={"text": "spikes per channel", "font": {"size": 12}}, rangemode="tozero")
    figure.update_layout(
        showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "font": {"size": 12}},
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
    )
    return figure


def tokens_html(tokens: Sequence[str], fired: npt.NDArray[np.int64]) -> str:
    """The text, each token shaded by how much it fires; hovering tells the figure."""
    low, high = np.percentile(fired, (5, 95))  # the first token of a text fires far more than any other
    parts = []
    for token, spikes in zip(tokens, fired, strict=True):
        strength = 2 + 58 * min(1.0, max(0.0, (float(spikes) - low) / ((high - low) or 1.0)))
        parts.append(
            f'<span style="--eg-heat:{strength:.0f}%" title="{int(spikes):,} spikes">{safe(token)}</span>'
        )
    return f'<p class="eg-heat">{"".join(parts)}</p>'
