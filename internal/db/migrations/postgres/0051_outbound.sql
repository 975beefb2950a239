-- +goose Up
-- The system of the bank's that made the contact; '' = Parley itself.
ALTER TABLE outbound_attempt ADD COLUMN via TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE outbound_attempt DROP COLUMN via;
