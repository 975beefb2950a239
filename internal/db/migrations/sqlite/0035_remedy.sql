-- +goose Up
-- What was given back to one person, for their lifeline.
CREATE INDEX remedy_order_party ON remedy_order (party_id, at);

-- +goose Down
DROP INDEX remedy_order_party;
