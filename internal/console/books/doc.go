// Package books is the pages of the staff console about Parley itself: the
// ledger, which anybody may have verified anew, and the system page.
package books
