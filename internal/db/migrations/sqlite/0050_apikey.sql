-- +goose Up
-- Keys of other systems. The secret itself is not here: only its SHA-256.
CREATE TABLE api_key (
  id          TEXT   NOT NULL PRIMARY KEY,
  prefix      TEXT   NOT NULL UNIQUE, -- public part, to recognise a key by
  hash        BLOB   NOT NULL,        -- SHA-256 of the secret part
  name        TEXT   NOT NULL,
  client      TEXT   NOT NULL,        -- the system that holds it; a successor key names the same one
  scopes      TEXT   NOT NULL,        -- space separated
  rate        BIGINT NOT NULL,        -- requests per second; 0 = the configured default
  made_by     TEXT   NOT NULL,
  made_at     BIGINT NOT NULL,
  approved_by TEXT   NOT NULL,        -- '' while a second person has not approved
  approved_at BIGINT NOT NULL,        -- 0 = waits for approval
  expires_at  BIGINT NOT NULL,
  revoked_by  TEXT   NOT NULL,
  revoked_at  BIGINT NOT NULL,        -- 0 = not revoked
  used_at     BIGINT NOT NULL         -- within a minute; 0 = never
) WITHOUT ROWID;

-- +goose Down
DROP TABLE api_key;
