// Package cases is the complaint pages of the staff console: the list, the case
// with all that stood behind the contact complained of, and typing in a
// complaint. It decides nothing: the desk refuses what may not be done, and the
// page shows the refusal in the reader's language.
package cases
