-- +goose Up
-- How far an import of one file, by one mapping, has come.
CREATE TABLE roster_file (
  hash       TEXT PRIMARY KEY,  -- sha256 of kind, mapping and file
  kind       TEXT NOT NULL,
  rows_done  BIGINT NOT NULL,   -- rows that are in, or refused
  rejected   BIGINT NOT NULL,
  started_at BIGINT NOT NULL,
  done_at    BIGINT NOT NULL    -- 0 = not finished
);

-- +goose Down
DROP TABLE roster_file;
