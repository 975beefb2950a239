// Package errs holds the few kinds of error Parley tells people about.
//
// An error shown to a person is a sentence in their language and says what to
// do next; its cause is for the log only.
package errs

import (
	"errors"
	"fmt"
)

// Kind says what sort of refusal an error is; faces map it to a status.
type Kind int

// The kinds. Internal is the zero value: an error nobody classified is ours.
const (
	Internal  Kind = iota // our fault; the person is told to try again or to call us
	Invalid               // the input is wrong; names the field and the mend
	NotFound              // no such thing, or not for this person
	Forbidden             // the person may not do this (four eyes, role)
	Conflict              // the thing has moved on; reload and look again
	Refused               // a rule or the gate says no
	Busy                  // try again later
	TooMany               // this person or address has tried too often (RFC 6585 section 4)
)

// Error is a failure with a public sentence in both languages.
type Error struct {
	Kind  Kind
	Code  string // stable, snake_case; for programs and tests
	Zh    string // sentence for the reader, Chinese
	En    string // sentence for the reader, English
	cause error
}

// New makes an error of kind with a stable code and its two sentences.
func New(kind Kind, code, zh, en string) *Error {
	return &Error{Kind: kind, Code: code, Zh: zh, En: en}
}

// Error gives the English sentence and the cause; it is for logs and terminals.
func (e *Error) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("%s (%s): %v", e.En, e.Code, e.cause)
	}
	return e.En
}

// Unwrap gives the private cause.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is an Error with the same code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// With returns a copy of e that carries its private cause.
func (e *Error) With(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// Public gives what may be shown for err: its own sentence, or for an unknown
// error a neutral one that leaks nothing.
func Public(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return New(Internal, "internal", "系统出了点问题，请稍后再试；若一直如此请联系管理员。",
		"Something went wrong on our side. Please try again; if it keeps happening, tell the administrator.").With(err)
}
