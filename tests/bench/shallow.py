"""The archive of worker.py, its passages coded but read no further than that needs: minutes, not an hour.

    python tests/bench/shallow.py --home HOME --data DATA [--tokens 4300000]

HOME holds the prepared model and keeps the archive, for tests/bench/recall.py --home HOME: finding passages
needs their words and codes, not the state. Documents are parsed and cut as the product does; codes come from
one stream through the layers up to the recall layer (the reader's own, see tests/test_convert_recall.py).
"""

import argparse
import hashlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import app.bench  # noqa: F401  (before torch)
from app.passages import split_passages
from app.services import Services
from app.settings import Options
from engine.convert.features import passage_features
from engine.convert.progress import Progress
from engine.passages import sign_codes
from storage import archives, documents, passages
from storage.ingest import Parser
from storage.texts import clean_text
from tests.bench.data_archive import write_documents
from tests.bench.worker import FOLDER, NAME


def store(services: Services, files: list[Path]) -> int:
    """An archive of these files, parsed and cut into passages; its id."""
    progress = Progress("documents", len(files), "files")
    with services.database.session() as s:
        archive = archives.create_archive(s, NAME).id
    with Parser() as parser:
        for path in files:
            name, data = f"{FOLDER}/{path.name}", path.read_bytes()
            parsed = parser.parse(path, name)
            spans, tokens = split_passages(clean_text(parsed.text), parsed.headings, services.tokenizer)
            with services.database.session() as s:
                digest = hashlib.sha256(data).hexdigest()
                row, _ = documents.add_document(s, archive, name, digest, len(data), parsed.media_type)
                documents.store_parsed(s, row.id, parsed, spans, tokens)
            progress.add(1)
    progress.close()
    return archive


def code(services: Services, archive: int) -> None:
    """Recall codes of all passages of an archive, in reading order."""
    engine, head = services.engine, services.engine.decoder.weights.recall
    assert head is not None
    with services.database.session() as s:
        order = [row.id for row in documents.reading_order(s, archive)]
        held = [item for row in order for item in passages.list_passages(s, row)]
        texts = [item.text for item in passages.get_passages(s, [item.id for item in held])]
    means = passage_features(engine, texts, [head.layer], head.salience)[:, 0]
    codes = sign_codes(means, head.mean, head.projection)
    with services.database.session() as s:
        ids = [item.id for item in held]
        passages.set_codes(s, engine.fingerprint, dict(zip(ids, codes, strict=True)))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, required=True, help="home folder with the prepared model")
    parser.add_argument("--data", type=Path, required=True, help="folder of passages and questions")
    parser.add_argument("--tokens", type=int, default=4_300_000)
    options = parser.parse_args()
    write_documents(options.data, options.home / FOLDER, options.tokens)
    services = Services(Options(home=options.home))
    with services.database.session() as s:
        if any(archive.name == NAME for archive in archives.list_archives(s)):
            raise SystemExit(f"{options.home} holds the archive already: name another home folder")
    code(services, store(services, sorted((options.home / FOLDER).iterdir())))


if __name__ == "__main__":
    main()
