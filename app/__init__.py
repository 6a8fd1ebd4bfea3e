"""The faces of Engram: pages, command line, worker process, and the services they share."""
