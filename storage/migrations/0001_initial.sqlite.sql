CREATE TABLE archives (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    name VARCHAR(200) NOT NULL,
    description TEXT NOT NULL,
    created_at DATETIME NOT NULL,
    UNIQUE (name)
);

CREATE TABLE settings (
    "key" VARCHAR(200) NOT NULL,
    value JSON NOT NULL,
    PRIMARY KEY ("key")
);

CREATE TABLE checkpoints (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    archive_id INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    chain TEXT NOT NULL,
    documents INTEGER NOT NULL,
    tokens BIGINT NOT NULL,
    file TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    created_at DATETIME NOT NULL,
    FOREIGN KEY(archive_id) REFERENCES archives (id) ON DELETE CASCADE
);

CREATE INDEX ix_checkpoints_ladder ON checkpoints (archive_id, fingerprint, tokens);

CREATE TABLE documents (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    archive_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    sha256 VARCHAR(64) NOT NULL,
    media_type TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    status VARCHAR(16) NOT NULL,
    error TEXT NOT NULL,
    hint TEXT NOT NULL,
    title TEXT NOT NULL,
    language TEXT NOT NULL,
    pages INTEGER NOT NULL,
    characters BIGINT NOT NULL,
    tokens BIGINT NOT NULL,
    position INTEGER,
    created_at DATETIME NOT NULL,
    read_at DATETIME,
    warnings JSON NOT NULL,
    UNIQUE (archive_id, sha256),
    FOREIGN KEY(archive_id) REFERENCES archives (id) ON DELETE CASCADE
);

CREATE INDEX ix_documents_order ON documents (archive_id, position);

CREATE INDEX ix_documents_sha256 ON documents (sha256);

CREATE TABLE jobs (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    archive_id INTEGER,
    kind VARCHAR(32) NOT NULL,
    status VARCHAR(16) NOT NULL,
    priority INTEGER NOT NULL,
    payload JSON NOT NULL,
    done DOUBLE NOT NULL,
    total DOUBLE NOT NULL,
    unit TEXT NOT NULL,
    message TEXT NOT NULL,
    rate DOUBLE,
    eta_s DOUBLE,
    heartbeat_at DATETIME,
    worker TEXT,
    attempts INTEGER NOT NULL,
    error TEXT NOT NULL,
    hint TEXT NOT NULL,
    cancel_requested BOOLEAN NOT NULL,
    result JSON,
    created_at DATETIME NOT NULL,
    started_at DATETIME,
    finished_at DATETIME,
    FOREIGN KEY(archive_id) REFERENCES archives (id) ON DELETE CASCADE
);

CREATE INDEX ix_jobs_archive_id ON jobs (archive_id);

CREATE INDEX ix_jobs_queue ON jobs (status, priority);

CREATE TABLE findings (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    archive_id INTEGER NOT NULL,
    job_id INTEGER,
    question TEXT NOT NULL,
    documents JSON NOT NULL,
    answer TEXT NOT NULL,
    status VARCHAR(24) NOT NULL,
    confidence DOUBLE,
    context JSON NOT NULL,
    run JSON NOT NULL,
    error TEXT NOT NULL,
    created_at DATETIME NOT NULL,
    finished_at DATETIME,
    FOREIGN KEY(archive_id) REFERENCES archives (id) ON DELETE CASCADE,
    FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE SET NULL
);

CREATE INDEX ix_findings_archive_id ON findings (archive_id);

CREATE INDEX ix_findings_job_id ON findings (job_id);

CREATE TABLE pages (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    document_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    start BIGINT NOT NULL,
    "end" BIGINT NOT NULL,
    needs_ocr BOOLEAN NOT NULL,
    text TEXT NOT NULL,
    FOREIGN KEY(document_id) REFERENCES documents (id) ON DELETE CASCADE
);

CREATE INDEX ix_pages_span ON pages (document_id, start, number);

CREATE TABLE passages (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    archive_id INTEGER NOT NULL,
    document_id INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    start BIGINT NOT NULL,
    "end" BIGINT NOT NULL,
    token_start BIGINT NOT NULL,
    token_end BIGINT NOT NULL,
    heading TEXT NOT NULL,
    code BLOB,
    fingerprint TEXT,
    FOREIGN KEY(archive_id) REFERENCES archives (id) ON DELETE CASCADE,
    FOREIGN KEY(document_id) REFERENCES documents (id) ON DELETE CASCADE
);

CREATE INDEX ix_passages_archive ON passages (archive_id, fingerprint);

CREATE INDEX ix_passages_order ON passages (document_id, ordinal);

CREATE TABLE citations (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    finding_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    document_id INTEGER,
    document TEXT NOT NULL,
    page INTEGER NOT NULL,
    start BIGINT NOT NULL,
    "end" BIGINT NOT NULL,
    quote TEXT NOT NULL,
    verified BOOLEAN NOT NULL,
    score DOUBLE,
    FOREIGN KEY(finding_id) REFERENCES findings (id) ON DELETE CASCADE,
    FOREIGN KEY(document_id) REFERENCES documents (id) ON DELETE SET NULL
);

CREATE INDEX ix_citations_document_id ON citations (document_id);

CREATE INDEX ix_citations_finding_id ON citations (finding_id);

CREATE TABLE run_metrics (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    kind VARCHAR(32) NOT NULL,
    archive_id INTEGER,
    finding_id INTEGER,
    job_id INTEGER,
    created_at DATETIME NOT NULL,
    "values" JSON NOT NULL,
    FOREIGN KEY(archive_id) REFERENCES archives (id) ON DELETE CASCADE,
    FOREIGN KEY(finding_id) REFERENCES findings (id) ON DELETE SET NULL,
    FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE SET NULL
);

CREATE INDEX ix_run_metrics_archive_id ON run_metrics (archive_id);

CREATE INDEX ix_run_metrics_finding_id ON run_metrics (finding_id);

CREATE INDEX ix_run_metrics_job_id ON run_metrics (job_id);

CREATE VIRTUAL TABLE passages_fts USING fts5(
    title, heading, body, tokenize = 'porter unicode61 remove_diacritics 2'
);

CREATE VIRTUAL TABLE passages_grams USING fts5(
    title, heading, body, tokenize = "unicode61 remove_diacritics 0 categories 'L* M* N* Co'"
);
