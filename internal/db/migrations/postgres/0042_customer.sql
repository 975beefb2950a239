-- +goose Up
-- Files that visitors have sent for a complaint that they may never file: what
-- no case cites after a while is deleted from the blob store.
CREATE TABLE customer_upload (
  sha256 TEXT PRIMARY KEY,
  at     BIGINT NOT NULL
);
CREATE INDEX customer_upload_at ON customer_upload (at);

-- +goose Down
DROP TABLE customer_upload;
