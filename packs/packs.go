// Package packs carries the rule packs that ship with Parley and their tests.
// A lawyer reads the YAML; the program reads exactly the same bytes.
package packs

import "embed"

// FS holds what runs unless the configuration chooses otherwise: the packs of
// the mainland (cn*.yaml) with their tests, and the calendars (calendars/*.yaml).
//
//go:embed cn*.yaml calendars/*.yaml
var FS embed.FS

// All holds every pack that ships, of every jurisdiction, with their tests and
// the calendars. They do not speak together unless somebody composes them.
//
//go:embed *.yaml calendars/*.yaml
var All embed.FS
