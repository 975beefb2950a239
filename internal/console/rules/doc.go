// Package rules is the pages of the rules: those in force with their citations
// and tests, what any facts would come to, and the life of an edition from its
// draft over tests and replay to the second person's approval.
package rules
