-- +goose Up
-- What is said in business transactions and not yet sequenced. INTEGER PRIMARY
-- KEY is the rowid: it numbers rows as PostgreSQL's identity column does.
CREATE TABLE ledger_outbox (
  seq        INTEGER PRIMARY KEY,
  type       TEXT   NOT NULL,
  at         BIGINT NOT NULL,
  id         TEXT   NOT NULL,
  salt       BLOB,
  record     TEXT,
  commitment BLOB   NOT NULL
);

-- The log. leaf is dense from 0; salt and record are NULL once erased.
CREATE TABLE ledger_entry (
  leaf       INTEGER PRIMARY KEY,
  type       TEXT   NOT NULL,
  at         BIGINT NOT NULL,
  id         TEXT   NOT NULL,
  salt       BLOB,
  record     TEXT,
  commitment BLOB   NOT NULL
);
CREATE INDEX ledger_entry_id ON ledger_entry (id);

-- Merkle tree hashes, up to 256 of 32 bytes in a row (C2SP tlog-tiles).
CREATE TABLE ledger_tile (
  level BIGINT NOT NULL,
  n     BIGINT NOT NULL,
  data  BLOB   NOT NULL,
  PRIMARY KEY (level, n)
);

-- One row: whose log this is, and its newest signed checkpoint. Whoever holds
-- its lock is the sequencer.
CREATE TABLE ledger_head (
  id         BIGINT PRIMARY KEY,
  origin     TEXT NOT NULL,
  verifier   TEXT NOT NULL,
  checkpoint TEXT NOT NULL
);

-- +goose Down
DROP TABLE ledger_head;
DROP TABLE ledger_tile;
DROP TABLE ledger_entry;
DROP TABLE ledger_outbox;
