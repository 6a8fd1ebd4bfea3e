"""One archive in one file: written with the hash of everything in it, read back with suspicion."""

from storage.backup.reading import BackupReader
from storage.backup.writing import write_backup

__all__ = ["BackupReader", "write_backup"]
