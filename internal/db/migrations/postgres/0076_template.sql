-- +goose Up
-- One version of what customers are told in writing, or the draft of one. An
-- approved version never changes.
CREATE TABLE template_version (
  id       TEXT   NOT NULL PRIMARY KEY,
  template TEXT   NOT NULL, -- answer, received …
  number   BIGINT NOT NULL, -- 1, 2 … once approved; 0 = not yet
  state    TEXT   NOT NULL, -- draft, submitted, approved, dropped
  body     TEXT   NOT NULL, -- JSON: subject and text in both languages
  sum      TEXT   NOT NULL, -- sha256 of the wording as one document; letters keep it
  based    BIGINT NOT NULL, -- the version it was drafted from
  back     BIGINT NOT NULL, -- 1: it brings that version back
  made_by  TEXT   NOT NULL,
  hands    TEXT   NOT NULL, -- JSON: the accounts that wrote it; none of them may approve it
  made     BIGINT NOT NULL,
  changed  BIGINT NOT NULL,
  since    BIGINT NOT NULL  -- in force from then on; 0 = at once, or a draft
);
CREATE UNIQUE INDEX template_version_number ON template_version (template, number) WHERE number > 0;
CREATE UNIQUE INDEX template_version_open ON template_version (template) WHERE state IN ('draft', 'submitted');
CREATE INDEX template_version_sum ON template_version (sum);

-- +goose Down
DROP TABLE template_version;
