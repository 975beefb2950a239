-- +goose Up
-- The loops read what is open, or waits to become a complaint, in the order in
-- which it began: the small indexes give that order too.
DROP INDEX outbound_attempt_open;
CREATE INDEX outbound_attempt_open ON outbound_attempt (state, id) WHERE state <> 'ended';
DROP INDEX outbound_attempt_complaint;
CREATE INDEX outbound_attempt_complaint ON outbound_attempt (complaint, id) WHERE complaint <> '';
