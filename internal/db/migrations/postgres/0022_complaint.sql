-- +goose Up
-- What people wrote is sealed from now on. SQL cannot seal the old texts; the
-- program does at its next start, and until then reads them as they are.
ALTER TABLE complaint_case ADD COLUMN sealed BIGINT NOT NULL DEFAULT 0;
CREATE INDEX complaint_case_clear ON complaint_case (id) WHERE sealed = 0;

-- +goose Down
DROP INDEX complaint_case_clear;
ALTER TABLE complaint_case DROP COLUMN sealed;
