-- +goose Up
-- How many members of a campaign stand where: by state, by last outcome, and
-- those whom a rule holds back by that rule. Kept in the transaction that changes
-- a member. Several lanes, so that transactions side by side do not wait for one row;
-- the truth is their sum.
CREATE TABLE campaign_count (
  campaign_id TEXT   NOT NULL,
  kind        TEXT   NOT NULL, -- state, outcome, rule
  what        TEXT   NOT NULL,
  lane        BIGINT NOT NULL,
  n           BIGINT NOT NULL,
  PRIMARY KEY (campaign_id, kind, what, lane)
);
INSERT INTO campaign_count (campaign_id, kind, what, lane, n)
  SELECT campaign_id, 'state', state, 0, count(*) FROM campaign_member GROUP BY campaign_id, state;
INSERT INTO campaign_count (campaign_id, kind, what, lane, n)
  SELECT campaign_id, 'outcome', last_outcome, 0, count(*) FROM campaign_member WHERE last_outcome <> '' GROUP BY campaign_id, last_outcome;
INSERT INTO campaign_count (campaign_id, kind, what, lane, n)
  SELECT campaign_id, 'rule', rule, 0, count(*) FROM campaign_member WHERE rule <> '' AND state IN ('denied', 'later') GROUP BY campaign_id, rule;

-- +goose Down
DROP TABLE campaign_count;
