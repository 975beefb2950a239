-- +goose Up
CREATE INDEX complaint_attachment_sha256 ON complaint_attachment (sha256);

-- +goose Down
DROP INDEX complaint_attachment_sha256;
