// Package approvals is the pages of four eyes: what waits for a second person,
// what the reader asked for, what was decided; and one request with what
// changes, why, who asked and what happens on approval.
package approvals
