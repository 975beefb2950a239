-- +goose Up
-- Whether the bank knows that the complainant is the customer: they called, they
-- gave a one-time code, or staff checked. A number typed into a form is a claim.
ALTER TABLE complaint_case ADD COLUMN proven BIGINT NOT NULL DEFAULT 1;
UPDATE complaint_case SET proven = 0 WHERE source = 'web';

-- What a complainant sent along; the content is in the blob store under its hash.
CREATE TABLE complaint_attachment (
  id      TEXT PRIMARY KEY,
  case_id TEXT NOT NULL,
  name    TEXT NOT NULL,
  media   TEXT NOT NULL,
  size    BIGINT NOT NULL,
  sha256  TEXT NOT NULL,
  at      BIGINT NOT NULL
);
CREATE INDEX complaint_attachment_case ON complaint_attachment (case_id, id);

-- +goose Down
DROP TABLE complaint_attachment;
ALTER TABLE complaint_case DROP COLUMN proven;
