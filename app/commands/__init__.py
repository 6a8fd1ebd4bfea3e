"""One module a command: `run(services, arguments)` returns the exit code."""
