-- +goose Up
-- What is given back to a customer, and the settings changed for them.
CREATE TABLE remedy_order (
  id          TEXT PRIMARY KEY,
  case_id     TEXT NOT NULL,
  party_id    TEXT NOT NULL,
  kind        TEXT NOT NULL,            -- apology, compensation, block
  amount_fen  BIGINT NOT NULL,
  stop_id     TEXT NOT NULL,            -- the do-not-contact a block became
  approved_by TEXT NOT NULL,
  at          BIGINT NOT NULL
);
CREATE INDEX remedy_order_case ON remedy_order (case_id);

-- +goose Down
DROP TABLE remedy_order;
