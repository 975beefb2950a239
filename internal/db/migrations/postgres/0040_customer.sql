-- +goose Up
-- One-time codes that prove that a visitor can be reached at a number or
-- address. A row is made whether the bank knows the address or not, so that
-- neither the answer nor the time it takes tells which; party_id is then ''.
-- Nothing here can be read back: address, visitor and code are keyed hashes.
CREATE TABLE customer_code (
  asked    BYTEA PRIMARY KEY,  -- hash of what the visitor's browser holds
  address  BYTEA NOT NULL,     -- keyed hash of the number or e-mail address
  visitor  BYTEA NOT NULL,     -- keyed hash of the network address that asked
  party_id TEXT NOT NULL,
  point_id TEXT NOT NULL,
  way      TEXT NOT NULL,     -- call, mail
  code     BYTEA NOT NULL,     -- keyed hash
  tries    BIGINT NOT NULL,
  at       BIGINT NOT NULL,
  used_at  BIGINT NOT NULL
);
CREATE INDEX customer_code_address ON customer_code (address, at);
CREATE INDEX customer_code_visitor ON customer_code (visitor, at);
CREATE INDEX customer_code_at ON customer_code (at);

-- Who is signed in on the customer pages, for a short while.
CREATE TABLE customer_session (
  token      BYTEA PRIMARY KEY,  -- hash
  id         TEXT NOT NULL,
  party_id   TEXT NOT NULL,
  point_id   TEXT NOT NULL,
  way        TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  seen_at    BIGINT NOT NULL
);
CREATE INDEX customer_session_seen ON customer_session (seen_at);

-- What a visitor has typed and not sent yet: it survives errors, sign-in and a
-- detour. Encrypted with a key that only the visitor's browser holds.
CREATE TABLE customer_draft (
  token BYTEA PRIMARY KEY,       -- hash
  body  BYTEA NOT NULL,
  at    BIGINT NOT NULL
);
CREATE INDEX customer_draft_at ON customer_draft (at);

-- +goose Down
DROP TABLE customer_draft;
DROP TABLE customer_session;
DROP TABLE customer_code;
