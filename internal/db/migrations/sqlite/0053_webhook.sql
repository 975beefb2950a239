-- +goose Up
-- Systems that are told what happens. What is to be told is read from the
-- ledger, which is written in the transaction of the fact: cursor is the leaf
-- each has been told up to.
CREATE TABLE webhook_endpoint (
  id            TEXT   NOT NULL PRIMARY KEY,
  name          TEXT   NOT NULL,
  client        TEXT   NOT NULL, -- the system it belongs to; '' = made by an administrator
  url           TEXT   NOT NULL,
  types         TEXT   NOT NULL, -- patterns, space separated
  records       BIGINT NOT NULL, -- 1 = the ledger's record is sent along
  secret        BLOB   NOT NULL, -- sealed
  old_secret    BLOB,            -- sealed; signs too until old_until
  old_until     BIGINT NOT NULL,
  cursor        BIGINT NOT NULL,
  state         TEXT   NOT NULL, -- active, paused, disabled
  failing_since BIGINT NOT NULL, -- 0 = the last delivery went well
  lease         BIGINT NOT NULL, -- a process sends to it until then
  note          TEXT   NOT NULL, -- why it was disabled
  made_by       TEXT   NOT NULL,
  made_at       BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE webhook_delivery (
  endpoint_id TEXT   NOT NULL,
  leaf        BIGINT NOT NULL,
  type        TEXT   NOT NULL,
  state       TEXT   NOT NULL, -- pending, done, skipped
  tries       BIGINT NOT NULL,
  due_at      BIGINT NOT NULL,
  tried_at    BIGINT NOT NULL,
  code        BIGINT NOT NULL, -- HTTP status of the last try; 0 = none
  error       TEXT   NOT NULL,
  PRIMARY KEY (endpoint_id, leaf)
) WITHOUT ROWID;
CREATE INDEX webhook_delivery_pending ON webhook_delivery (endpoint_id, leaf) WHERE state = 'pending';
CREATE INDEX webhook_delivery_tried ON webhook_delivery (tried_at);

-- +goose Down
DROP TABLE webhook_delivery;
DROP TABLE webhook_endpoint;
