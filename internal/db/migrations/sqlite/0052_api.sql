-- +goose Up
-- Requests that carried an Idempotency-Key, and their answers, for a day. The
-- answers hold ids and states, never personal data.
CREATE TABLE api_request (
  key_id  TEXT   NOT NULL, -- the API key that asked
  name    TEXT   NOT NULL, -- its Idempotency-Key
  digest  BLOB   NOT NULL, -- HMAC of method, path and body under the caller's own secret
  claimed BIGINT NOT NULL, -- when it was begun, or begun again after a crash
  status  BIGINT NOT NULL, -- 0 = under way
  body    TEXT   NOT NULL,
  PRIMARY KEY (key_id, name)
) WITHOUT ROWID;
CREATE INDEX api_request_claimed ON api_request (claimed);

-- +goose Down
DROP TABLE api_request;
