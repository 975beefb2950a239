-- +goose Up
-- An edition is rule packs and their tests as they stand together: what is
-- drafted, tested, replayed, approved and put in force as one.
CREATE TABLE rulebook_edition (
  id       TEXT   NOT NULL PRIMARY KEY,
  title    TEXT   NOT NULL,
  base     TEXT   NOT NULL, -- the edition it was copied from; '' = none
  uses     TEXT   NOT NULL, -- packs that speak together, a line each; '' = all of its files
  hash     TEXT   NOT NULL, -- sha256 over names and bytes of its files
  state    TEXT   NOT NULL, -- draft, submitted, approved, dropped
  made_by  TEXT   NOT NULL,
  made     BIGINT NOT NULL,
  changed  BIGINT NOT NULL,
  tested   TEXT   NOT NULL, -- JSON of the last run of its tests, with the hash it was of; '' = never
  replayed TEXT   NOT NULL  -- JSON of the last replay, likewise
);

CREATE TABLE rulebook_file (
  edition TEXT NOT NULL,
  name    TEXT NOT NULL,
  body    TEXT NOT NULL,
  PRIMARY KEY (edition, name)
);

-- Who had a hand in an edition; none of them may approve it.
CREATE TABLE rulebook_hand (
  edition TEXT NOT NULL,
  account TEXT NOT NULL,
  PRIMARY KEY (edition, account)
);

-- When which edition began, or will begin, to judge. Rows are never changed
-- but for begun, which says that the ledger knows.
CREATE TABLE rulebook_activation (
  id          TEXT   NOT NULL PRIMARY KEY,
  edition     TEXT   NOT NULL,
  hash        TEXT   NOT NULL, -- of the texts that were approved
  start_at    BIGINT NOT NULL,
  made        BIGINT NOT NULL,
  asked_by    TEXT   NOT NULL,
  approved_by TEXT   NOT NULL, -- '' = adopted when the bank was installed
  why         TEXT   NOT NULL,
  begun       BIGINT NOT NULL  -- 0 = not yet
);
CREATE INDEX rulebook_activation_start ON rulebook_activation (start_at);

-- +goose Down
DROP TABLE rulebook_activation;
DROP TABLE rulebook_hand;
DROP TABLE rulebook_file;
DROP TABLE rulebook_edition;
