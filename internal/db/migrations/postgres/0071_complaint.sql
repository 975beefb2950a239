-- +goose Up
-- How many cases stand in which state, and how many of those have the contact
-- complained of attached. Kept in the transaction that changes a case; the truth is
-- the sum over the lanes.
CREATE TABLE complaint_count (
  state  TEXT   NOT NULL,
  lane   BIGINT NOT NULL,
  n      BIGINT NOT NULL,
  caused BIGINT NOT NULL,
  PRIMARY KEY (state, lane)
);
INSERT INTO complaint_count (state, lane, n, caused)
  SELECT state, 0, count(*), COALESCE(SUM(CASE WHEN attempt_id <> '' AND cause <> '' THEN 1 ELSE 0 END), 0) FROM complaint_case GROUP BY state;
-- It served the count alone.
DROP INDEX complaint_case_cause;

-- +goose Down
CREATE INDEX complaint_case_cause ON complaint_case (state) WHERE attempt_id <> '' AND cause <> '';
DROP TABLE complaint_count;
