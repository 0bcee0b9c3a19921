-- Times are microseconds since 1970 in UTC; lists and maps are JSON.
CREATE TABLE token (
    hash       BLOB    NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    id         TEXT    NOT NULL UNIQUE,
    kind       TEXT    NOT NULL CHECK (kind IN ('user', 'service')),
    name       TEXT    NOT NULL,
    groups     TEXT    NOT NULL,
    attributes TEXT    NOT NULL,
    created    INTEGER NOT NULL,
    expires    INTEGER,
    revoked    INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX token_by_name ON token (kind, name);

CREATE TABLE user (
    name       TEXT    NOT NULL PRIMARY KEY,
    password   TEXT    NOT NULL,
    groups     TEXT    NOT NULL,
    attributes TEXT    NOT NULL,
    created    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE secret (
    name       TEXT    NOT NULL PRIMARY KEY,
    value      BLOB    NOT NULL CHECK (length(value) = 32)
) STRICT, WITHOUT ROWID;
