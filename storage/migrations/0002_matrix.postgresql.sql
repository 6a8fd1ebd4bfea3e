ALTER TABLE findings ADD COLUMN note TEXT NOT NULL DEFAULT '';

ALTER TABLE findings ADD COLUMN tags JSON NOT NULL DEFAULT '[]';

CREATE TABLE reports (
    id SERIAL NOT NULL,
    archive_id INTEGER NOT NULL,
    title VARCHAR(200) NOT NULL,
    introduction TEXT NOT NULL,
    findings JSON NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(archive_id) REFERENCES archives (id) ON DELETE CASCADE
);

CREATE INDEX ix_reports_archive_id ON reports (archive_id);

CREATE TABLE matrices (
    id SERIAL NOT NULL,
    archive_id INTEGER NOT NULL,
    title VARCHAR(200) NOT NULL,
    documents JSON NOT NULL,
    run JSON NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(archive_id) REFERENCES archives (id) ON DELETE CASCADE
);

CREATE INDEX ix_matrices_archive_id ON matrices (archive_id);

CREATE TABLE matrix_questions (
    id SERIAL NOT NULL,
    matrix_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    label TEXT NOT NULL,
    question TEXT NOT NULL,
    terms TEXT NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(matrix_id) REFERENCES matrices (id) ON DELETE CASCADE
);

CREATE INDEX ix_matrix_questions_order ON matrix_questions (matrix_id, position);

CREATE TABLE matrix_cells (
    id SERIAL NOT NULL,
    question_id INTEGER NOT NULL,
    document_id INTEGER NOT NULL,
    status VARCHAR(24) NOT NULL,
    answer TEXT NOT NULL,
    confidence DOUBLE PRECISION,
    page INTEGER,
    start BIGINT,
    "end" BIGINT,
    quote TEXT NOT NULL,
    verified BOOLEAN NOT NULL,
    error TEXT NOT NULL,
    run JSON NOT NULL,
    answered_at TIMESTAMP WITH TIME ZONE,
    correction TEXT,
    corrected_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    UNIQUE (question_id, document_id),
    FOREIGN KEY(question_id) REFERENCES matrix_questions (id) ON DELETE CASCADE,
    FOREIGN KEY(document_id) REFERENCES documents (id) ON DELETE CASCADE
);

CREATE INDEX ix_matrix_cells_document_id ON matrix_cells (document_id);
