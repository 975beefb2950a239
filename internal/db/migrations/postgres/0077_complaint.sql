-- +goose Up
-- A letter to the customer, as it went out, and the wording it was made from.
CREATE TABLE complaint_letter (
  id       TEXT   NOT NULL PRIMARY KEY,
  case_id  TEXT   NOT NULL,
  at       BIGINT NOT NULL,
  kind     TEXT   NOT NULL, -- received, answer …: the template
  version  BIGINT NOT NULL, -- of the template; 0 = before wordings had versions
  wording  TEXT   NOT NULL, -- that version's id
  sum      TEXT   NOT NULL, -- that wording's sha256
  decision TEXT   NOT NULL, -- of an answer
  zh       TEXT   NOT NULL, -- sealed
  en       TEXT   NOT NULL
);
CREATE INDEX complaint_letter_case ON complaint_letter (case_id, id);
-- Answers used to lie in their decision; the program takes them over at its next start.
CREATE INDEX complaint_decision_letter ON complaint_decision (id) WHERE letter_zh <> '';

-- +goose Down
DROP INDEX complaint_decision_letter;
DROP TABLE complaint_letter;
