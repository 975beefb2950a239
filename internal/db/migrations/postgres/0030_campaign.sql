-- +goose Up
-- The list of campaigns, narrowed to a state, in the order they were made.
DROP INDEX campaign_by_state;
CREATE INDEX campaign_by_state ON campaign (state, id);

-- +goose Down
DROP INDEX campaign_by_state;
CREATE INDEX campaign_by_state ON campaign (state);
