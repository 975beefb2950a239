-- +goose Up
-- A message leads to the oldest version with its hash.
DROP INDEX template_version_sum;
CREATE INDEX template_version_sum ON template_version (sum, number) WHERE number > 0;

-- +goose Down
DROP INDEX template_version_sum;
CREATE INDEX template_version_sum ON template_version (sum);
