package policy

import (
	"slices"
	"strings"
)

// CallerID says which number a call must show.
type CallerID struct {
	Allow    []string // it begins with one of these; empty = any
	Deny     []string // and with none of these
	MinLen   int      // digits
	MaxLen   int
	Requires []string // and these are declared: callback_refusal …
}

type rawCallerID struct {
	Allow    []string `yaml:"allow"`
	Deny     []string `yaml:"deny"`
	Digits   []int    `yaml:"digits"`
	Requires []string `yaml:"requires"`
}

func (c *compiler) callerID(at string, rc *rawCallerID) *CallerID {
	b := &CallerID{Allow: rc.Allow, Deny: rc.Deny, MaxLen: 32, Requires: rc.Requires}
	for _, p := range slices.Concat(rc.Allow, rc.Deny) {
		if p == "" || strings.Trim(p, "+0123456789") != "" {
			c.fail(at, "%q is not the beginning of a number; write digits, with quotes", p)
		}
	}
	for _, p := range rc.Allow {
		if slices.ContainsFunc(rc.Deny, func(d string) bool { return strings.HasPrefix(p, d) }) {
			c.fail(at+".deny", "every number that begins with %s is both allowed and denied", p)
		}
	}
	switch len(rc.Digits) {
	case 0:
	case 1:
		b.MinLen, b.MaxLen = rc.Digits[0], rc.Digits[0]
	case 2:
		b.MinLen, b.MaxLen = rc.Digits[0], rc.Digits[1]
	default:
		c.fail(at+".digits", "digits is one length or two: the shortest and the longest")
	}
	if b.MinLen < 0 || b.MinLen > b.MaxLen {
		c.fail(at+".digits", "no number has from %d to %d digits", b.MinLen, b.MaxLen)
	}
	c.declared(at+".requires", rc.Requires)
	return b
}

// callerID judges the number shown. None is never right: hiding the number is
// what every law about it forbids.
func (e *eval) callerID(b *CallerID) outcome {
	num := e.CallerID
	why := Reason{Code: "caller_id", What: num}
	starts := func(p string) bool { return strings.HasPrefix(num, p) }
	digits := len(num) - strings.Count(num, "+")
	switch {
	case num == "":
		why.Code = "caller_id_missing"
	case len(b.Allow) > 0 && !slices.ContainsFunc(b.Allow, starts):
		why.Code = "caller_id_range"
	case slices.ContainsFunc(b.Deny, starts):
		why.Code = "caller_id_denied"
	case digits < b.MinLen || digits > b.MaxLen:
		why.Code = "caller_id_length"
	default:
		for _, k := range b.Requires {
			if !e.declares(k) {
				return outcome{effect: Deny, reason: Reason{Code: "not_disclosed", What: k}}
			}
		}
		return outcome{effect: Allow, reason: why}
	}
	return outcome{effect: Deny, reason: why}
}
