-- +goose Up
-- The calendar a deadline was reckoned with ("CN 2026.1"), and whether it ran into
-- a year that this calendar does not know (1).
ALTER TABLE complaint_deadline ADD COLUMN calendar TEXT NOT NULL DEFAULT '';
ALTER TABLE complaint_deadline ADD COLUMN unsure BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE complaint_deadline DROP COLUMN unsure;
ALTER TABLE complaint_deadline DROP COLUMN calendar;
