-- +goose Up
-- Who saw a customer's data in the clear, or heard a recording, and why. The
-- customer sees this list too.
CREATE TABLE disclosure (
  id       TEXT   NOT NULL PRIMARY KEY,
  party_id TEXT   NOT NULL,
  at       BIGINT NOT NULL,
  by_whom  TEXT   NOT NULL, -- account
  role     TEXT   NOT NULL, -- in which role; what the customer is told
  session  TEXT   NOT NULL, -- fingerprint of the session; '' outside the console
  what     TEXT   NOT NULL, -- phone, name, recording …
  subject  TEXT   NOT NULL, -- the contact point, contact or case it is about; may be ''
  reason   TEXT   NOT NULL, -- code
  words    BLOB   NOT NULL  -- the reason in words, sealed; may be empty
);
CREATE INDEX disclosure_party ON disclosure (party_id, at, id);
-- A recording is asked for once per session.
CREATE UNIQUE INDEX disclosure_heard ON disclosure (by_whom, session, subject) WHERE what = 'recording' AND session <> '';
-- A bulk disclosure is carried out once.
CREATE INDEX disclosure_subject ON disclosure (subject) WHERE what = 'export';

-- +goose Down
DROP TABLE disclosure;
