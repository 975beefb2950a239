-- +goose Up
-- Everything a person said about being contacted, in the order it was recorded.
-- Append-only: a mistake is mended by a further event.
CREATE TABLE consent_event (
  party_id TEXT   NOT NULL,
  seq      BIGINT NOT NULL, -- 1, 2, 3 … per person
  at       BIGINT NOT NULL, -- recorded; never less than that of the event before
  kind     TEXT   NOT NULL, -- grant, stop, lift
  ref      TEXT   NOT NULL, -- id of the grant or stop concerned
  by_whom  TEXT   NOT NULL,
  body     TEXT   NOT NULL, -- JSON of the grant, the stop, or the reason of a lift
  PRIMARY KEY (party_id, seq)
) WITHOUT ROWID;

-- What the events of a person amount to now. Its row is the lock of the person.
CREATE TABLE consent_state (
  party_id TEXT   NOT NULL PRIMARY KEY,
  version  BIGINT NOT NULL, -- seq of the last event; 0 = none yet
  at       BIGINT NOT NULL, -- of the last event
  state    BLOB     NOT NULL
) WITHOUT ROWID;

-- The wording a person was shown, by the sha256 of its text.
CREATE TABLE consent_notice (
  hash       TEXT   NOT NULL PRIMARY KEY,
  version    TEXT   NOT NULL,
  lang       TEXT   NOT NULL,
  text       TEXT   NOT NULL,
  valid_from BIGINT NOT NULL
);

-- +goose Down
DROP TABLE consent_notice;
DROP TABLE consent_state;
DROP TABLE consent_event;
