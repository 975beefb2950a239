-- +goose Up
-- One attempt to reach a person; its id is its permit's. The row is durable
-- before anything leaves the bank, so what has no row was never sent.
CREATE TABLE outbound_attempt (
  id           TEXT PRIMARY KEY,
  party_id     TEXT NOT NULL,
  point_id     TEXT NOT NULL,
  campaign_id  TEXT NOT NULL,
  channel      TEXT NOT NULL,
  purpose      TEXT NOT NULL,
  script       TEXT NOT NULL,
  lang         TEXT NOT NULL,
  caller_id    TEXT NOT NULL,
  state        TEXT NOT NULL,
  outcome      TEXT NOT NULL,
  code         BIGINT NOT NULL,
  reason       TEXT NOT NULL,
  started_at   BIGINT NOT NULL,
  answered_at  BIGINT NOT NULL,
  ended_at     BIGINT NOT NULL,
  rang_us      BIGINT NOT NULL,
  talk_us      BIGINT NOT NULL,
  ended_by     TEXT NOT NULL,
  digits       TEXT NOT NULL,
  steps        TEXT NOT NULL,
  withdrawn_at BIGINT NOT NULL,
  complaint    TEXT NOT NULL,
  span_from    BIGINT NOT NULL,
  span_to      BIGINT NOT NULL
);
CREATE INDEX outbound_attempt_party ON outbound_attempt (party_id, id);
CREATE INDEX outbound_attempt_point ON outbound_attempt (point_id, id);
CREATE INDEX outbound_attempt_campaign ON outbound_attempt (campaign_id, id);
-- Few rows are ever in flight, and the rest must not burden every write.
CREATE INDEX outbound_attempt_open ON outbound_attempt (state) WHERE state <> 'ended';
CREATE INDEX outbound_attempt_complaint ON outbound_attempt (complaint) WHERE complaint <> '';

-- The recording of an attempt, or the reason why there is none.
CREATE TABLE outbound_recording (
  attempt_id  TEXT PRIMARY KEY,
  sha256      TEXT NOT NULL,
  size        BIGINT NOT NULL,
  duration_us BIGINT NOT NULL,
  stored_at   BIGINT NOT NULL,
  salvaged    BIGINT NOT NULL,
  error       TEXT NOT NULL
);

-- +goose Down
DROP TABLE outbound_recording;
DROP TABLE outbound_attempt;
