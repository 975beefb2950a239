-- +goose Up
-- One request that a second person decides. The texts of what changes may name
-- a customer, so they are sealed.
CREATE TABLE approval_request (
  id         TEXT   NOT NULL PRIMARY KEY,
  kind       TEXT   NOT NULL, -- campaign, decision, extension …
  subject    TEXT   NOT NULL, -- id of the thing that changes
  title      TEXT   NOT NULL, -- what lists call it; no personal data
  hash       TEXT   NOT NULL, -- of all that the decision binds
  state      TEXT   NOT NULL, -- pending, approved, sent_back, withdrawn, superseded
  asked_by   TEXT   NOT NULL, -- account
  asker      TEXT   NOT NULL, -- the person behind it
  asked_at   BIGINT NOT NULL,
  decided_by TEXT   NOT NULL,
  decided_at BIGINT NOT NULL, -- 0 while pending
  body       BLOB   NOT NULL, -- before, after, payload, reason
  note       BLOB   NOT NULL  -- what the decider wrote
) WITHOUT ROWID;
-- One thing waits for one decision of a kind.
CREATE UNIQUE INDEX approval_request_one ON approval_request (kind, subject) WHERE state = 'pending';
CREATE INDEX approval_request_subject ON approval_request (kind, subject, id);
CREATE INDEX approval_request_waiting ON approval_request (kind, id) WHERE state = 'pending';
CREATE INDEX approval_request_asker ON approval_request (asker, id);
CREATE INDEX approval_request_decided ON approval_request (decided_at, id) WHERE decided_at > 0;

-- Who had a hand in making what is to be decided, the asker included; none of
-- them decides.
CREATE TABLE approval_hand (
  request_id TEXT NOT NULL,
  account    TEXT NOT NULL,
  person     TEXT NOT NULL,
  PRIMARY KEY (request_id, account)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE approval_hand;
DROP TABLE approval_request;
