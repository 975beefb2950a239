-- +goose Up
-- Who bears a name, by a keyed hash of it: found when the whole name is known,
-- and never read back.
CREATE TABLE party_name (
  blind    BYTEA NOT NULL,
  party_id TEXT NOT NULL,
  PRIMARY KEY (blind, party_id)
);

-- Customers recorded before there was that index: those up to the one named
-- here are in it. No row = all are.
CREATE TABLE party_naming (
  id   BIGINT NOT NULL PRIMARY KEY,
  upto TEXT   NOT NULL
);
INSERT INTO party_naming (id, upto) SELECT 1, '' WHERE EXISTS (SELECT 1 FROM party);

-- +goose Down
DROP TABLE party_naming;
DROP TABLE party_name;
