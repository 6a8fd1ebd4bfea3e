ALTER TABLE findings ADD COLUMN details JSON NOT NULL DEFAULT '{}';

CREATE TABLE follow_ups (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    finding_id INTEGER NOT NULL,
    parent_id INTEGER NOT NULL,
    UNIQUE (finding_id),
    FOREIGN KEY(finding_id) REFERENCES findings (id) ON DELETE CASCADE,
    FOREIGN KEY(parent_id) REFERENCES findings (id) ON DELETE CASCADE
);

CREATE INDEX ix_follow_ups_parent_id ON follow_ups (parent_id);

CREATE TABLE found_passages (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    finding_id INTEGER NOT NULL,
    document_id INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    start BIGINT NOT NULL,
    rank INTEGER NOT NULL,
    words INTEGER NOT NULL,
    share DOUBLE NOT NULL,
    distance INTEGER,
    FOREIGN KEY(finding_id) REFERENCES findings (id) ON DELETE CASCADE,
    FOREIGN KEY(document_id) REFERENCES documents (id) ON DELETE CASCADE
);

CREATE INDEX ix_found_passages_order ON found_passages (finding_id, rank);

CREATE INDEX ix_found_passages_document_id ON found_passages (document_id);
