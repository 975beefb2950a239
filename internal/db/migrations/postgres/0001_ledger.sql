-- +goose Up
-- What is said in business transactions and not yet sequenced. Rows live for a
-- moment, so vacuum goes by their number and not by a share of the table.
CREATE TABLE ledger_outbox (
  seq        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  type       TEXT   NOT NULL,
  at         BIGINT NOT NULL,
  id         TEXT   NOT NULL,
  salt       BYTEA,
  record     TEXT,
  commitment BYTEA  NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);

-- The log. leaf is dense from 0; salt and record are NULL once erased.
CREATE TABLE ledger_entry (
  leaf       BIGINT PRIMARY KEY,
  type       TEXT   NOT NULL,
  at         BIGINT NOT NULL,
  id         TEXT   NOT NULL,
  salt       BYTEA,
  record     TEXT,
  commitment BYTEA  NOT NULL
);
CREATE INDEX ledger_entry_id ON ledger_entry (id);

-- Merkle tree hashes, up to 256 of 32 bytes in a row (C2SP tlog-tiles). They
-- do not compress, so they are kept as they are.
CREATE TABLE ledger_tile (
  level BIGINT NOT NULL,
  n     BIGINT NOT NULL,
  data  BYTEA  NOT NULL,
  PRIMARY KEY (level, n)
);
ALTER TABLE ledger_tile ALTER COLUMN data SET STORAGE EXTERNAL;

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
