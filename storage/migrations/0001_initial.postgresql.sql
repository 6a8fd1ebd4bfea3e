CREATE TABLE archives (
    id SERIAL NOT NULL,
    name VARCHAR(200) NOT NULL,
    description TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (name)
);

CREATE TABLE settings (
    key VARCHAR(200) NOT NULL,
    value JSON NOT NULL,
    PRIMARY KEY (key)
);

CREATE TABLE checkpoints (
    id SERIAL NOT NULL,
    archive_id INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    chain TEXT NOT NULL,
    documents INTEGER NOT NULL,
    tokens BIGINT NOT NULL,
    file TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(archive_id) REFERENCES archives (id) ON DELETE CASCADE
);

CREATE INDEX ix_checkpoints_ladder ON checkpoints (archive_id, fingerprint, tokens);

CREATE TABLE documents (
    id SERIAL NOT NULL,
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
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    read_at TIMESTAMP WITH TIME ZONE,
    warnings JSON NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (archive_id, sha256),
    FOREIGN KEY(archive_id) REFERENCES archives (id) ON DELETE CASCADE
);

CREATE INDEX ix_documents_order ON documents (archive_id, position);

CREATE INDEX ix_documents_sha256 ON documents (sha256);

CREATE TABLE jobs (
    id SERIAL NOT NULL,
    archive_id INTEGER,
    kind VARCHAR(32) NOT NULL,
    status VARCHAR(16) NOT NULL,
    priority INTEGER NOT NULL,
    payload JSON NOT NULL,
    done DOUBLE PRECISION NOT NULL,
    total DOUBLE PRECISION NOT NULL,
    unit TEXT NOT NULL,
    message TEXT NOT NULL,
    rate DOUBLE PRECISION,
    eta_s DOUBLE PRECISION,
    heartbeat_at TIMESTAMP WITH TIME ZONE,
    worker TEXT,
    attempts INTEGER NOT NULL,
    error TEXT NOT NULL,
    hint TEXT NOT NULL,
    cancel_requested BOOLEAN NOT NULL,
    result JSON,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE,
    finished_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    FOREIGN KEY(archive_id) REFERENCES archives (id) ON DELETE CASCADE
);

CREATE INDEX ix_jobs_archive_id ON jobs (archive_id);

CREATE INDEX ix_jobs_queue ON jobs (status, priority);

CREATE TABLE findings (
    id SERIAL NOT NULL,
    archive_id INTEGER NOT NULL,
    job_id INTEGER,
    question TEXT NOT NULL,
    documents JSON NOT NULL,
    answer TEXT NOT NULL,
    status VARCHAR(24) NOT NULL,
    confidence DOUBLE PRECISION,
    context JSON NOT NULL,
    run JSON NOT NULL,
    error TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    FOREIGN KEY(archive_id) REFERENCES archives (id) ON DELETE CASCADE,
    FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE SET NULL
);

CREATE INDEX ix_findings_archive_id ON findings (archive_id);

CREATE INDEX ix_findings_job_id ON findings (job_id);

CREATE TABLE pages (
    id SERIAL NOT NULL,
    document_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    start BIGINT NOT NULL,
    "end" BIGINT NOT NULL,
    needs_ocr BOOLEAN NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(document_id) REFERENCES documents (id) ON DELETE CASCADE
);

CREATE INDEX ix_pages_span ON pages (document_id, start, number);

CREATE TABLE passages (
    id SERIAL NOT NULL,
    archive_id INTEGER NOT NULL,
    document_id INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    start BIGINT NOT NULL,
    "end" BIGINT NOT NULL,
    token_start BIGINT NOT NULL,
    token_end BIGINT NOT NULL,
    heading TEXT NOT NULL,
    code BYTEA,
    fingerprint TEXT,
    PRIMARY KEY (id),
    FOREIGN KEY(archive_id) REFERENCES archives (id) ON DELETE CASCADE,
    FOREIGN KEY(document_id) REFERENCES documents (id) ON DELETE CASCADE
);

CREATE INDEX ix_passages_archive ON passages (archive_id, fingerprint);

CREATE INDEX ix_passages_order ON passages (document_id, ordinal);

CREATE TABLE citations (
    id SERIAL NOT NULL,
    finding_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    document_id INTEGER,
    document TEXT NOT NULL,
    page INTEGER NOT NULL,
    start BIGINT NOT NULL,
    "end" BIGINT NOT NULL,
    quote TEXT NOT NULL,
    verified BOOLEAN NOT NULL,
    score DOUBLE PRECISION,
    PRIMARY KEY (id),
    FOREIGN KEY(finding_id) REFERENCES findings (id) ON DELETE CASCADE,
    FOREIGN KEY(document_id) REFERENCES documents (id) ON DELETE SET NULL
);

CREATE INDEX ix_citations_document_id ON citations (document_id);

CREATE INDEX ix_citations_finding_id ON citations (finding_id);

CREATE TABLE run_metrics (
    id SERIAL NOT NULL,
    kind VARCHAR(32) NOT NULL,
    archive_id INTEGER,
    finding_id INTEGER,
    job_id INTEGER,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    values JSON NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(archive_id) REFERENCES archives (id) ON DELETE CASCADE,
    FOREIGN KEY(finding_id) REFERENCES findings (id) ON DELETE SET NULL,
    FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE SET NULL
);

CREATE INDEX ix_run_metrics_archive_id ON run_metrics (archive_id);

CREATE INDEX ix_run_metrics_finding_id ON run_metrics (finding_id);

CREATE INDEX ix_run_metrics_job_id ON run_metrics (job_id);

CREATE TABLE passages_search (
    passage_id INTEGER PRIMARY KEY REFERENCES passages (id) ON DELETE CASCADE,
    body TEXT NOT NULL,
    words TSVECTOR NOT NULL
);

CREATE INDEX ix_passages_search_words ON passages_search USING gin (words);
