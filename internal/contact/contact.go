// Package contact is the vocabulary every step of a contact shares: who is
// contacted, how, for what, under which terms, and how it ended. It stores
// nothing and decides nothing.
package contact

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// ID is an application-made UUIDv7 in its text form. One kind of id keeps
// tables and URLs alike; the name of the field says whose it is.
type ID = string

// NewID returns a new UUIDv7 (RFC 9562), so ids sort by the time they were made.
func NewID() ID { return uuid.Must(uuid.NewV7()).String() }

// IDFrom gives the start that every UUIDv7 made at or after the millisecond of
// t sorts behind, so that a stretch of time is a range of ids. It is good only
// for ids made from the bank's clock, as the gate's are.
func IDFrom(t time.Time) string {
	h := fmt.Sprintf("%012x", max(0, t.UnixMilli()))
	return h[:8] + "-" + h[8:] + "-7"
}

// IDTime gives the instant that a UUIDv7 was made at, to the millisecond; the
// zero time for what is none.
func IDTime(id ID) time.Time {
	ms, err := strconv.ParseInt(strings.ReplaceAll(id[:min(13, len(id))], "-", ""), 16, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// Channel is a way to reach a person.
type Channel uint8

// The channels of outbound contact.
const (
	Voice Channel = iota + 1
	SMS
	Email
	Letter
	Push
)

var channelNames = [...]string{"", "voice", "sms", "email", "letter", "push"}

// Purpose is why a bank contacts a person.
type Purpose uint8

// The purposes. FraudAlert, Collection and Statutory are the "risk" class of
// contact; rules differ between them, so they are purposes of their own.
const (
	Service    Purpose = iota + 1 // account questions, confirmations, reminders that sell nothing
	Marketing                     // anything that offers or recommends
	FraudAlert                    // suspected fraud on the person's account
	Collection                    // overdue reminders and collection
	Statutory                     // notices the law requires
)

var purposeNames = [...]string{"", "service", "marketing", "fraud_alert", "collection", "statutory"}

// Relation is who the called person is to the account or debt.
type Relation uint8

// The relations a contact rule may ask about.
const (
	Self      Relation = iota + 1 // customer or debtor
	Guarantor                     // answers for the debt by contract
	Reference                     // contact person (紧急联系人) named by the debtor
)

var relationNames = [...]string{"", "self", "guarantor", "reference"}

func name[T ~uint8](names []string, v T) string {
	if int(v) < len(names) {
		return names[v]
	}
	return fmt.Sprintf("%d", v)
}

func parse[T ~uint8](what string, names []string, s string) (T, error) {
	for i, n := range names {
		if i > 0 && n == s {
			return T(i), nil
		}
	}
	return 0, fmt.Errorf("%s %q is not one of %s", what, s, strings.Join(names[1:], ", "))
}

// String gives the channel's name as written in packs and files.
func (c Channel) String() string { return name(channelNames[:], c) }

// ParseChannel reads a channel's name; the error lists those that exist.
func ParseChannel(s string) (Channel, error) { return parse[Channel]("channel", channelNames[:], s) }

// MarshalText writes the channel's name.
func (c Channel) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads the channel's name.
func (c *Channel) UnmarshalText(b []byte) (err error) { *c, err = ParseChannel(string(b)); return err }

// String gives the purpose's name as written in packs and files.
func (p Purpose) String() string { return name(purposeNames[:], p) }

// ParsePurpose reads a purpose's name; the error lists those that exist.
func ParsePurpose(s string) (Purpose, error) { return parse[Purpose]("purpose", purposeNames[:], s) }

// MarshalText writes the purpose's name.
func (p Purpose) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads the purpose's name.
func (p *Purpose) UnmarshalText(b []byte) (err error) { *p, err = ParsePurpose(string(b)); return err }

// Class gives the family a bank files the purpose under: service, risk or marketing.
func (p Purpose) Class() string {
	switch p {
	case Marketing:
		return "marketing"
	case FraudAlert, Collection, Statutory:
		return "risk"
	default:
		return "service"
	}
}

// String gives the relation's name as written in packs and files.
func (r Relation) String() string { return name(relationNames[:], r) }

// ParseRelation reads a relation's name; the error lists those that exist.
func ParseRelation(s string) (Relation, error) {
	return parse[Relation]("relation", relationNames[:], s)
}

// MarshalText writes the relation's name.
func (r Relation) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads the relation's name.
func (r *Relation) UnmarshalText(b []byte) (err error) {
	*r, err = ParseRelation(string(b))
	return err
}

// Channels is a set of channels; the empty set means "any".
type Channels uint16

// ChannelSet makes a set of the given channels.
func ChannelSet(cs ...Channel) Channels {
	var s Channels
	for _, c := range cs {
		s |= 1 << c
	}
	return s
}

// Has reports whether c is covered: it is in the set, or the set is empty.
func (s Channels) Has(c Channel) bool { return s == 0 || s&(1<<c) != 0 }

// Names lists the members.
func (s Channels) Names() []string { return setNames(uint16(s), channelNames[:]) }

// MarshalJSON writes the members' names.
func (s Channels) MarshalJSON() ([]byte, error) { return json.Marshal(s.Names()) }

// UnmarshalJSON reads a list of names.
func (s *Channels) UnmarshalJSON(b []byte) error {
	return unmarshalSet(b, func(c Channel) { *s |= 1 << c }, ParseChannel)
}

// Purposes is a set of purposes; the empty set means "any".
type Purposes uint16

// PurposeSet makes a set of the given purposes.
func PurposeSet(ps ...Purpose) Purposes {
	var s Purposes
	for _, p := range ps {
		s |= 1 << p
	}
	return s
}

// Has reports whether p is covered: it is in the set, or the set is empty.
func (s Purposes) Has(p Purpose) bool { return s == 0 || s&(1<<p) != 0 }

// Names lists the members.
func (s Purposes) Names() []string { return setNames(uint16(s), purposeNames[:]) }

// MarshalJSON writes the members' names.
func (s Purposes) MarshalJSON() ([]byte, error) { return json.Marshal(s.Names()) }

// UnmarshalJSON reads a list of names.
func (s *Purposes) UnmarshalJSON(b []byte) error {
	return unmarshalSet(b, func(p Purpose) { *s |= 1 << p }, ParsePurpose)
}

func setNames(s uint16, names []string) []string {
	out := make([]string, 0, bits.OnesCount16(s))
	for i := 1; i < len(names); i++ {
		if s&(1<<i) != 0 {
			out = append(out, names[i])
		}
	}
	return out
}

func unmarshalSet[T any](b []byte, add func(T), parse func(string) (T, error)) error {
	var names []string
	if err := json.Unmarshal(b, &names); err != nil {
		return err
	}
	for _, n := range names {
		v, err := parse(n)
		if err != nil {
			return err
		}
		add(v)
	}
	return nil
}
