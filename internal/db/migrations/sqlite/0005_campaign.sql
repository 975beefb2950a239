-- +goose Up
-- A call flow by the hash of its bytes; never changed once stored.
CREATE TABLE campaign_script (
  hash      TEXT PRIMARY KEY,
  name      TEXT NOT NULL,
  yaml      TEXT NOT NULL,
  stored_at BIGINT NOT NULL,
  stored_by TEXT NOT NULL
);

CREATE TABLE campaign (
  id         TEXT PRIMARY KEY,
  name       TEXT NOT NULL,
  terms      TEXT NOT NULL,
  script     TEXT NOT NULL,
  synthetic  BIGINT NOT NULL,
  list_sum   TEXT NOT NULL,
  members    BIGINT NOT NULL,
  state      TEXT NOT NULL,
  version    BIGINT NOT NULL,
  hash       TEXT NOT NULL,
  made_by    TEXT NOT NULL,
  made_at    BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  note       TEXT NOT NULL
);
CREATE INDEX campaign_by_state ON campaign (state);

-- Who did what to a campaign; whoever made or changed it cannot approve it.
CREATE TABLE campaign_change (
  campaign_id TEXT NOT NULL,
  seq         BIGINT NOT NULL,
  at          BIGINT NOT NULL,
  actor       TEXT NOT NULL,
  what        TEXT NOT NULL,
  version     BIGINT NOT NULL,
  hash        TEXT NOT NULL,
  note        TEXT NOT NULL,
  PRIMARY KEY (campaign_id, seq)
);

CREATE TABLE campaign_approval (
  campaign_id TEXT NOT NULL,
  version     BIGINT NOT NULL,
  hash        TEXT NOT NULL,
  approved_by TEXT NOT NULL,
  at          BIGINT NOT NULL,
  PRIMARY KEY (campaign_id, version)
);

CREATE TABLE campaign_member (
  campaign_id  TEXT NOT NULL,
  party_id     TEXT NOT NULL,
  point_id     TEXT NOT NULL,
  state        TEXT NOT NULL,
  due_at       BIGINT NOT NULL,
  tries        BIGINT NOT NULL,
  day          TEXT NOT NULL,
  day_tries    BIGINT NOT NULL,
  faults       BIGINT NOT NULL,
  last_outcome TEXT NOT NULL,
  permit_id    TEXT NOT NULL,
  rule         TEXT NOT NULL,
  PRIMARY KEY (campaign_id, party_id)
);
CREATE INDEX campaign_member_due ON campaign_member (campaign_id, state, due_at);
CREATE INDEX campaign_member_party ON campaign_member (party_id);

-- +goose Down
DROP TABLE campaign_member;
DROP TABLE campaign_approval;
DROP TABLE campaign_change;
DROP TABLE campaign;
DROP TABLE campaign_script;
