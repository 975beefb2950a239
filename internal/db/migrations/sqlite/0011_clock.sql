-- +goose Up
-- The latest instant this bank has recorded: its clock never goes back before it.
CREATE TABLE clock (
  id   BIGINT PRIMARY KEY,
  high BIGINT NOT NULL
);

-- +goose Down
DROP TABLE clock;
