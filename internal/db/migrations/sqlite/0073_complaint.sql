-- +goose Up
-- A case can have a second clock: the complainant is to be contacted first within
-- so long, where a rule says so (CN-BJ-1WD). step is what must happen within a
-- deadline: 'contacted', or '' for the answer.
ALTER TABLE complaint_deadline ADD COLUMN step TEXT NOT NULL DEFAULT '';
-- When the complainant must have been contacted; 0 = no rule says so, or they have been.
ALTER TABLE complaint_case ADD COLUMN contact_due BIGINT NOT NULL DEFAULT 0;
CREATE INDEX complaint_case_contact ON complaint_case (contact_due, id) WHERE contact_due > 0;
CREATE INDEX complaint_case_handler_contact ON complaint_case (handler, contact_due, id) WHERE contact_due > 0;

-- +goose Down
DROP INDEX complaint_case_handler_contact;
DROP INDEX complaint_case_contact;
ALTER TABLE complaint_case DROP COLUMN contact_due;
ALTER TABLE complaint_deadline DROP COLUMN step;
