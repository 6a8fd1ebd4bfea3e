"""Help: what Engram reads, what its figures mean, what not to expect of the model, where the data stays."""

from app.view import frame, help, sidebar

frame.style()
frame.heading("Help", "What Engram reads, what its figures mean, and what not to expect of it.")
with frame.guarded():
    sidebar.draw_worker()
    help.draw_help()
