// Package consents is the console's pages about what people agreed to and what
// they said no to: the bank's do-not-contact list, which holds numbers of
// anybody; what customers have stopped lately; and the wordings consents rest on.
package consents
