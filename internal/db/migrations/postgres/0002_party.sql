-- +goose Up
-- A customer. What identifies a person is in body, sealed with a key of the
-- customer's own; dropping that key erases the person.
CREATE TABLE party (
  id      TEXT   NOT NULL PRIMARY KEY,
  ref     TEXT   NOT NULL, -- the bank's customer number; once erased, a keyed hash of it
  lang    TEXT   NOT NULL,
  zone    TEXT   NOT NULL, -- IANA; empty = Asia/Shanghai
  region  TEXT   NOT NULL,
  at      BIGINT NOT NULL, -- last change
  datakey BYTEA     NOT NULL, -- wrapped by the key-encryption key; empty = erased
  body    BYTEA     NOT NULL  -- number, name, ID number, attributes, contact points
);
CREATE UNIQUE INDEX party_ref ON party (ref);

-- Where a customer can be reached; the value is in the customer's body. The
-- keyed hash falls anywhere in its index, so its entries are kept small.
CREATE TABLE contact_point (
  id       TEXT NOT NULL PRIMARY KEY,
  party_id TEXT NOT NULL,
  blind    BYTEA NOT NULL -- keyed hash of kind and value, for look-ups
);
CREATE INDEX contact_point_blind ON contact_point (blind);

-- +goose Down
DROP TABLE contact_point;
DROP TABLE party;
