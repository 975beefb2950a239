-- +goose Up
-- The people who work with Parley. A password is an argon2id hash in PHC form;
-- an empty one cannot sign in.
CREATE TABLE staff (
  id        TEXT PRIMARY KEY,
  login     TEXT NOT NULL UNIQUE,
  name      TEXT NOT NULL,
  roles     TEXT NOT NULL,
  password  TEXT NOT NULL,
  failures  BIGINT NOT NULL,
  failed_at BIGINT NOT NULL,
  created   BIGINT NOT NULL
);

-- Who is signed in. The key is the hash of the token, so a copy of this table
-- opens no door.
CREATE TABLE staff_session (
  token   TEXT PRIMARY KEY,
  staff   TEXT NOT NULL REFERENCES staff (id),
  created BIGINT NOT NULL,
  seen    BIGINT NOT NULL
);

-- +goose Down
DROP TABLE staff_session;
DROP TABLE staff;
