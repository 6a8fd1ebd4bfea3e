ALTER TABLE findings ADD COLUMN parent_id INTEGER;

ALTER TABLE findings ADD COLUMN details JSON NOT NULL DEFAULT '{}';

CREATE INDEX ix_findings_parent_id ON findings (parent_id);

CREATE TABLE found_passages (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    finding_id INTEGER NOT NULL,
    passage_id INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    words INTEGER NOT NULL,
    share DOUBLE NOT NULL,
    distance INTEGER,
    FOREIGN KEY(finding_id) REFERENCES findings (id) ON DELETE CASCADE,
    FOREIGN KEY(passage_id) REFERENCES passages (id) ON DELETE CASCADE
);

CREATE INDEX ix_found_passages_order ON found_passages (finding_id, rank);

CREATE INDEX ix_found_passages_passage_id ON found_passages (passage_id);
