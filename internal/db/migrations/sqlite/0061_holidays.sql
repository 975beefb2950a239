-- +goose Up
-- One version of a calendar, or the draft of one. An approved version never changes.
CREATE TABLE holidays_version (
  id        TEXT   NOT NULL PRIMARY KEY,
  calendar  TEXT   NOT NULL, -- CN, US …
  name      TEXT   NOT NULL, -- 2026.1; with the calendar what deadlines are pinned to
  year      BIGINT NOT NULL, -- whose days a draft sets; 0 = as shipped
  state     TEXT   NOT NULL, -- draft, submitted, approved, dropped
  notice    TEXT   NOT NULL, -- JSON of a draft's days and their source
  made_by   TEXT   NOT NULL,
  made      BIGINT NOT NULL,
  since     BIGINT NOT NULL, -- approved; 0 = not yet
  sum       TEXT   NOT NULL, -- sha256 of doc
  doc       TEXT   NOT NULL, -- the whole calendar as YAML, once approved
  last_year BIGINT NOT NULL  -- the last year it knows; 0 = a draft
) WITHOUT ROWID;
CREATE UNIQUE INDEX holidays_version_name ON holidays_version (calendar, name);
CREATE UNIQUE INDEX holidays_version_open ON holidays_version (calendar, year) WHERE state IN ('draft', 'submitted');
CREATE INDEX holidays_version_force ON holidays_version (calendar, last_year DESC, since DESC, id DESC) WHERE state = 'approved';
CREATE INDEX holidays_version_history ON holidays_version (calendar, id);
CREATE INDEX holidays_version_since ON holidays_version (since);

-- Who had a hand in a draft; none of them may approve it.
CREATE TABLE holidays_hand (
  version TEXT NOT NULL,
  account TEXT NOT NULL,
  PRIMARY KEY (version, account)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE holidays_hand;
DROP TABLE holidays_version;
