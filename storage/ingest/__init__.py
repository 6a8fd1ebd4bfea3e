"""Ingestion: files of many formats to pages of text. Hostile files are parsed in a child process."""

from storage.ingest.folders import expand
from storage.ingest.formats import MAIL_TYPES, SUPPORTED, is_archive
from storage.ingest.names import sanitize_name
from storage.ingest.parsed import ParsedDocument, ParsedPage, ParseFailure, ParseLimits
from storage.ingest.parser import Member, Parser, parse, unpack_zip

__all__ = [
    "MAIL_TYPES",
    "SUPPORTED",
    "Member",
    "ParseFailure",
    "ParseLimits",
    "ParsedDocument",
    "ParsedPage",
    "Parser",
    "expand",
    "is_archive",
    "parse",
    "sanitize_name",
    "unpack_zip",
]
