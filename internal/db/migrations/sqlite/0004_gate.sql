-- +goose Up
-- One row per decision. A decision mints at most one permit and a permit is at
-- most one attempt, so the row carries those as well. It is written once;
-- only the permit's columns change, under the lock of the person.
CREATE TABLE gate_decision (
  id        TEXT   NOT NULL PRIMARY KEY, -- UUIDv7 made from the bank's clock
  party_id  TEXT   NOT NULL,
  prev      TEXT   NOT NULL, -- the person's decision before this one; '' = the first
  class     BIGINT NOT NULL, -- gate_class: what the intents of a batch share
  verdict   BIGINT NOT NULL, -- gate_verdict: effect, deciding rule, every rule's outcome, pack hash
  facts     BLOB NOT NULL, -- everything the verdict depended on, packed
  state     BIGINT NOT NULL, -- 0 no permit, 1 reserved, 2 attempting, 3 settled, 4 unknown, 5 voided, 6 expired
  until     BIGINT NOT NULL, -- the permit's end; 0 = no permit
  attempted BIGINT,          -- when it was spent
  ended     BIGINT,          -- when it was settled, voided or expired
  outcome   TEXT,
  reason    TEXT             -- why it was voided, or who reconciled it
) WITHOUT ROWID;
CREATE INDEX gate_decision_class ON gate_decision (class, id);
CREATE INDEX gate_decision_reserved ON gate_decision (until) WHERE state = 1;
CREATE INDEX gate_decision_flight ON gate_decision (attempted) WHERE state IN (2, 4);

-- The budget of a person: a sliding log of what counts against any cap, pruned
-- to the longest window, and the id of the person's last decision.
CREATE TABLE gate_person (
  party_id TEXT   NOT NULL PRIMARY KEY,
  log      BLOB NOT NULL
) WITHOUT ROWID;

-- What many intents have in common, once.
CREATE TABLE gate_class (
  id          BIGINT NOT NULL PRIMARY KEY, -- first 8 bytes of the sha256 of body
  campaign_id TEXT   NOT NULL,
  body        TEXT   NOT NULL  -- JSON of the intent without the person's own fields
) WITHOUT ROWID;
CREATE INDEX gate_class_campaign ON gate_class (campaign_id);

-- What many verdicts have in common, once.
CREATE TABLE gate_verdict (
  id   BIGINT NOT NULL PRIMARY KEY, -- first 8 bytes of the sha256 of body
  body TEXT   NOT NULL  -- pack, effect, deciding rule and each rule's outcome, a line each
) WITHOUT ROWID;

-- How many decisions there are of each class and verdict. Several lanes, so
-- that transactions side by side do not wait for one row.
CREATE TABLE gate_count (
  lane    BIGINT NOT NULL,
  class   BIGINT NOT NULL,
  verdict BIGINT NOT NULL,
  n       BIGINT NOT NULL,
  PRIMARY KEY (lane, class, verdict)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE gate_count;
DROP TABLE gate_verdict;
DROP TABLE gate_class;
DROP TABLE gate_person;
DROP TABLE gate_decision;
