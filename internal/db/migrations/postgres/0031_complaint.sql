-- +goose Up
-- The list of cases by when they came, narrowed to a state, a handler or both.
CREATE INDEX complaint_case_received ON complaint_case (received_at, id);
CREATE INDEX complaint_case_state_received ON complaint_case (state, received_at, id);
CREATE INDEX complaint_case_handler ON complaint_case (handler, received_at, id);
CREATE INDEX complaint_case_handler_state ON complaint_case (handler, state, received_at, id);
-- What must be answered soonest. Few cases are open, however many there have been.
CREATE INDEX complaint_case_due ON complaint_case (due_at, id) WHERE state NOT IN ('answered', 'closed');
CREATE INDEX complaint_case_handler_due ON complaint_case (handler, due_at, id) WHERE state NOT IN ('answered', 'closed');
DROP INDEX complaint_case_state;
CREATE INDEX complaint_case_state ON complaint_case (state, due_at, id);
-- How many have their cause attached.
CREATE INDEX complaint_case_cause ON complaint_case (state) WHERE attempt_id <> '' AND cause <> '';

-- +goose Down
DROP INDEX complaint_case_cause;
DROP INDEX complaint_case_state;
CREATE INDEX complaint_case_state ON complaint_case (state, due_at);
DROP INDEX complaint_case_handler_due;
DROP INDEX complaint_case_due;
DROP INDEX complaint_case_handler_state;
DROP INDEX complaint_case_handler;
DROP INDEX complaint_case_state_received;
DROP INDEX complaint_case_received;
