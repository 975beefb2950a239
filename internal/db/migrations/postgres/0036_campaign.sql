-- +goose Up
-- The versions of a script as people write them: a draft may still have
-- mistakes. What is approved is stored under its hash in campaign_script.
CREATE TABLE campaign_script_version (
  script     TEXT   NOT NULL, -- the script's id
  version    BIGINT NOT NULL, -- 1, 2, 3 …
  state      TEXT   NOT NULL, -- draft, submitted, approved, replaced
  yaml       TEXT   NOT NULL,
  hash       TEXT   NOT NULL, -- of yaml
  made_by    TEXT   NOT NULL,
  made_at    BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  decided_by TEXT   NOT NULL,
  decided_at BIGINT NOT NULL,
  hands      TEXT   NOT NULL, -- JSON: the accounts that wrote it; none of them approves it
  note       TEXT   NOT NULL, -- why it was sent back, or where it comes from
  PRIMARY KEY (script, version)
);
CREATE INDEX campaign_script_version_hash ON campaign_script_version (hash);

-- +goose Down
DROP TABLE campaign_script_version;
