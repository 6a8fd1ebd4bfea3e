"""What start.py does: environment, model, then the page, the tests or a command. Standard library only."""
