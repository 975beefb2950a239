-- +goose Up
-- Numbers and addresses nobody may be contacted at, whoever has them, known to
-- the bank or not. The value itself is not here: a keyed hash finds it, a mask shows it.
CREATE TABLE consent_number (
  id        TEXT   NOT NULL PRIMARY KEY,
  blind     TEXT   NOT NULL, -- hex
  mask      TEXT   NOT NULL,
  purposes  BIGINT NOT NULL, -- set of contact.Purpose; 0 = all
  source    TEXT   NOT NULL, -- staff, upload, regulator …
  reason    TEXT   NOT NULL,
  by_whom   TEXT   NOT NULL,
  at        BIGINT NOT NULL,
  until     BIGINT NOT NULL, -- 0 = until lifted
  lifted_at BIGINT NOT NULL, -- 0 = in force
  lifted_by TEXT   NOT NULL,
  lift_why  TEXT   NOT NULL
);
CREATE INDEX consent_number_blind ON consent_number (blind);
CREATE INDEX consent_number_at ON consent_number (at, id);
CREATE INDEX consent_number_on ON consent_number (at, id) WHERE lifted_at = 0;
CREATE INDEX consent_number_off ON consent_number (at, id) WHERE lifted_at > 0;

-- The stops an entry has put on those who have the number.
CREATE TABLE consent_number_stop (
  number_id TEXT NOT NULL,
  party_id  TEXT NOT NULL,
  stop_id   TEXT NOT NULL,
  PRIMARY KEY (number_id, party_id, stop_id)
);

-- What people have said no to, bank-wide, the newest first. Grants, which are
-- most of the events, are not in it.
CREATE INDEX consent_event_no ON consent_event (at, party_id, seq) WHERE kind <> 'grant';

-- How many grants rest on each wording. Several lanes, so that transactions
-- side by side do not wait for one row.
CREATE TABLE consent_notice_count (
  hash TEXT   NOT NULL,
  lane BIGINT NOT NULL,
  n    BIGINT NOT NULL,
  PRIMARY KEY (hash, lane)
);

-- +goose Down
DROP TABLE consent_notice_count;
DROP INDEX consent_event_no;
DROP TABLE consent_number_stop;
DROP TABLE consent_number;
