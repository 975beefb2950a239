-- +goose Up
-- How many attempts there are and what came of them, by the hour in which their
-- permits were asked for (hours since 1970; ids are made from the bank's clock), and
-- since ever under slot -1, where campaign '' stands for all. Kept in the transaction that
-- changes an attempt; the truth is the sum over the lanes.
CREATE TABLE outbound_count (
  slot        BIGINT NOT NULL,
  campaign_id TEXT   NOT NULL,
  outcome     TEXT   NOT NULL,
  lane        BIGINT NOT NULL,
  n           BIGINT NOT NULL,
  answered    BIGINT NOT NULL,
  recorded    BIGINT NOT NULL,
  not_due     BIGINT NOT NULL, -- answered, and nothing asked for a recording
  withdrawn   BIGINT NOT NULL,
  complained  BIGINT NOT NULL,
  PRIMARY KEY (slot, campaign_id, outcome, lane)
) WITHOUT ROWID;
INSERT INTO outbound_count (slot, campaign_id, outcome, lane, n, answered, recorded, not_due, withdrawn, complained)
  SELECT ((instr('0123456789abcdef', substr(h, 1, 1)) - 1) * 17592186044416 + (instr('0123456789abcdef', substr(h, 2, 1)) - 1) * 1099511627776 + (instr('0123456789abcdef', substr(h, 3, 1)) - 1) * 68719476736 +
      (instr('0123456789abcdef', substr(h, 4, 1)) - 1) * 4294967296 + (instr('0123456789abcdef', substr(h, 5, 1)) - 1) * 268435456 + (instr('0123456789abcdef', substr(h, 6, 1)) - 1) * 16777216 +
      (instr('0123456789abcdef', substr(h, 7, 1)) - 1) * 1048576 + (instr('0123456789abcdef', substr(h, 8, 1)) - 1) * 65536 + (instr('0123456789abcdef', substr(h, 9, 1)) - 1) * 4096 +
      (instr('0123456789abcdef', substr(h, 10, 1)) - 1) * 256 + (instr('0123456789abcdef', substr(h, 11, 1)) - 1) * 16 + (instr('0123456789abcdef', substr(h, 12, 1)) - 1) * 1) / 3600000, campaign_id, outcome, 0, count(*),
    SUM(CASE WHEN answered_at > 0 THEN 1 ELSE 0 END), SUM(CASE WHEN sha256 <> '' THEN 1 ELSE 0 END),
    SUM(CASE WHEN error = 'no rule and no script asked for a recording' THEN 1 ELSE 0 END),
    SUM(CASE WHEN withdrawn_at > 0 THEN 1 ELSE 0 END), SUM(CASE WHEN complaint <> '' THEN 1 ELSE 0 END)
  FROM (
    SELECT a.campaign_id, a.outcome, a.answered_at, a.withdrawn_at, a.complaint, r.sha256, r.error, substr(a.id, 1, 8) || substr(a.id, 10, 4) AS h
    FROM outbound_attempt a LEFT JOIN outbound_recording r ON r.attempt_id = a.id) AS one GROUP BY 1, 2, 3;
INSERT INTO outbound_count (slot, campaign_id, outcome, lane, n, answered, recorded, not_due, withdrawn, complained)
  SELECT -1, campaign_id, outcome, 0, SUM(n), SUM(answered), SUM(recorded), SUM(not_due), SUM(withdrawn), SUM(complained)
  FROM outbound_count WHERE slot >= 0 AND campaign_id <> '' GROUP BY campaign_id, outcome;
INSERT INTO outbound_count (slot, campaign_id, outcome, lane, n, answered, recorded, not_due, withdrawn, complained)
  SELECT -1, '', outcome, 0, SUM(n), SUM(answered), SUM(recorded), SUM(not_due), SUM(withdrawn), SUM(complained)
  FROM outbound_count WHERE slot >= 0 GROUP BY outcome;

-- +goose Down
DROP TABLE outbound_count;
