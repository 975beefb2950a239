-- +goose Up
-- number is the staff number (工号): two accounts with one number are one
-- person. disabled is since when an account is closed, 0 = open.
ALTER TABLE staff ADD COLUMN number TEXT NOT NULL DEFAULT '';
ALTER TABLE staff ADD COLUMN disabled BIGINT NOT NULL DEFAULT 0;
-- What opened a session (password, totp, passkey, oidc …), on which device.
ALTER TABLE staff_session ADD COLUMN how TEXT NOT NULL DEFAULT '';
ALTER TABLE staff_session ADD COLUMN device TEXT NOT NULL DEFAULT '';
CREATE INDEX staff_session_staff ON staff_session (staff);

-- The authenticator app of a person (RFC 6238). The secret is sealed with the
-- bank's key; step is the last one used, so that no code is taken twice.
CREATE TABLE staff_totp (
  staff     TEXT PRIMARY KEY REFERENCES staff (id),
  secret    BLOB NOT NULL,
  step      BIGINT NOT NULL,
  created   BIGINT NOT NULL
);

-- One-time codes for whoever has lost the app, by their hash.
CREATE TABLE staff_recovery (
  staff TEXT NOT NULL REFERENCES staff (id),
  code  TEXT NOT NULL,
  used  BIGINT NOT NULL,
  PRIMARY KEY (staff, code)
);

-- Passkeys (WebAuthn credentials). The public key is no secret.
CREATE TABLE staff_passkey (
  id         TEXT PRIMARY KEY,
  staff      TEXT NOT NULL REFERENCES staff (id),
  name       TEXT NOT NULL,
  credential TEXT NOT NULL,
  created    BIGINT NOT NULL,
  used       BIGINT NOT NULL
);
CREATE INDEX staff_passkey_staff ON staff_passkey (staff);

-- Who of ours an identity provider means by its stable subject.
CREATE TABLE staff_identity (
  issuer  TEXT NOT NULL,
  subject TEXT NOT NULL,
  staff   TEXT NOT NULL REFERENCES staff (id),
  created BIGINT NOT NULL,
  PRIMARY KEY (issuer, subject)
);
CREATE INDEX staff_identity_staff ON staff_identity (staff);

-- One-time links by their hash: the first administrator (staff is empty), an
-- invitation, a reset. until is when they end.
CREATE TABLE staff_link (
  code    TEXT PRIMARY KEY,
  staff   TEXT NOT NULL,
  until   BIGINT NOT NULL
);

-- A sign-in that is half done: the password was right and the second factor is
-- awaited, or a browser is away at the identity provider. By the hash of a cookie.
CREATE TABLE staff_pending (
  token   TEXT PRIMARY KEY,
  staff   TEXT NOT NULL,
  kind    TEXT NOT NULL,
  data    BLOB NOT NULL,
  tries   BIGINT NOT NULL,
  created BIGINT NOT NULL
);
CREATE INDEX staff_pending_created ON staff_pending (created);

-- +goose Down
DROP TABLE staff_pending;
DROP TABLE staff_link;
DROP TABLE staff_identity;
DROP TABLE staff_passkey;
DROP TABLE staff_recovery;
DROP TABLE staff_totp;
DROP INDEX staff_session_staff;
ALTER TABLE staff_session DROP COLUMN device;
ALTER TABLE staff_session DROP COLUMN how;
ALTER TABLE staff DROP COLUMN disabled;
ALTER TABLE staff DROP COLUMN number;
