-- +goose Up
CREATE TABLE complaint_counter (
  year BIGINT PRIMARY KEY,
  last BIGINT NOT NULL
);

CREATE TABLE complaint_case (
  id          TEXT PRIMARY KEY,
  number      TEXT NOT NULL,            -- 2026-000123: what people say and write
  token       TEXT NOT NULL,            -- opens the customer's progress page
  source      TEXT NOT NULL,            -- key2, web, staff
  state       TEXT NOT NULL,
  round       BIGINT NOT NULL,          -- 1, then 2 after a review (核查)
  party_id    TEXT NOT NULL,            -- '' while nobody knows who complains
  attempt_id  TEXT NOT NULL,            -- the contact complained of; '' when there is none
  lang        TEXT NOT NULL,
  subject     TEXT NOT NULL,
  words       TEXT NOT NULL,            -- the customer's own words, as typed
  recording   TEXT NOT NULL,            -- sha256 of the recording that holds the spoken words
  span_from   BIGINT NOT NULL,          -- where in the recording, microseconds
  span_to     BIGINT NOT NULL,
  cause       TEXT NOT NULL,            -- JSON: consent, verdict, pack, script, recording of the contact
  received_at BIGINT NOT NULL,
  handler     TEXT NOT NULL,
  due_at      BIGINT NOT NULL,          -- of the deadline that runs now
  hold_id     TEXT NOT NULL,            -- the stop that holds marketing while the case is open
  closed_at   BIGINT NOT NULL
);
CREATE UNIQUE INDEX complaint_case_number ON complaint_case (number);
CREATE UNIQUE INDEX complaint_case_token ON complaint_case (token);
CREATE INDEX complaint_case_state ON complaint_case (state, due_at);
CREATE INDEX complaint_case_party ON complaint_case (party_id, received_at);
CREATE INDEX complaint_case_attempt ON complaint_case (attempt_id);

CREATE TABLE complaint_event (
  id      TEXT PRIMARY KEY,
  case_id TEXT NOT NULL,
  at      BIGINT NOT NULL,
  by_whom TEXT NOT NULL,
  kind    TEXT NOT NULL,
  public  BIGINT NOT NULL,              -- 1: the customer sees it too
  data    TEXT NOT NULL                 -- JSON
);
CREATE INDEX complaint_event_case ON complaint_event (case_id, at);

-- A deadline is a legal object: what started it, which rule, who extended it, when the customer was told.
CREATE TABLE complaint_deadline (
  id          TEXT PRIMARY KEY,
  case_id     TEXT NOT NULL,
  rule        TEXT NOT NULL,
  started_at  BIGINT NOT NULL,
  due_at      BIGINT NOT NULL,
  state       TEXT NOT NULL,            -- asked, running, met, missed, replaced, refused
  reason      TEXT NOT NULL,
  asked_by    TEXT NOT NULL,
  approved_by TEXT NOT NULL,
  told_at     BIGINT NOT NULL
);
CREATE INDEX complaint_deadline_case ON complaint_deadline (case_id, started_at);

CREATE TABLE complaint_decision (
  id           TEXT PRIMARY KEY,
  case_id      TEXT NOT NULL,
  round        BIGINT NOT NULL,
  state        TEXT NOT NULL,           -- proposed, sent_back, answered
  body         TEXT NOT NULL,           -- JSON
  proposed_by  TEXT NOT NULL,
  proposed_at  BIGINT NOT NULL,
  decided_by   TEXT NOT NULL,
  decided_at   BIGINT NOT NULL,
  note         TEXT NOT NULL,
  letter_zh    TEXT NOT NULL,
  letter_en    TEXT NOT NULL
);
CREATE INDEX complaint_decision_case ON complaint_decision (case_id, proposed_at);

-- +goose Down
DROP TABLE complaint_decision;
DROP TABLE complaint_deadline;
DROP TABLE complaint_event;
DROP TABLE complaint_case;
DROP TABLE complaint_counter;
