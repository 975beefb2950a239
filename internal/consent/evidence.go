package consent

import (
	"context"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/ledger"
)

// entryType names the ledger entry of a stop.
func entryType(k contact.StopKind) string {
	switch k {
	case contact.Withdrawal:
		return "consent.withdrawn"
	case contact.Refusal:
		return "contact.refused"
	case contact.DoNotContact:
		return "contact.blocked"
	default:
		return "hold.set"
	}
}

// The records of the ledger: ids and terms, never personal data. The reason of
// a lift is free text, so it stays in the event.
type (
	grantRecord struct {
		Party  contact.ID    `json:"party"`
		Seq    int64         `json:"seq"`
		Terms  contact.Grant `json:"terms"`
		Notice *notice       `json:"notice,omitempty"`
		By     string        `json:"by"`
	}
	notice struct {
		SHA256 string `json:"sha256"`
	}
	stopRecord struct {
		Party contact.ID   `json:"party"`
		Seq   int64        `json:"seq"`
		Stop  contact.Stop `json:"stop"`
		By    string       `json:"by"`
	}
	liftRecord struct {
		Party contact.ID `json:"party"`
		Seq   int64      `json:"seq"`
		Stop  contact.ID `json:"stop"`
		By    string     `json:"by"`
	}
)

// seal adds the ledger entries of the changes. An entry's id is that of the
// grant or stop it is about.
func seal(ctx context.Context, tx *db.Tx, changes []change) error {
	entries := make([]ledger.Entry, len(changes))
	for i, c := range changes {
		e := ledger.Entry{ID: c.ref()}
		switch c.Kind {
		case Granted:
			r := grantRecord{Party: c.party, Seq: c.Seq, Terms: *c.Grant, By: c.By}
			if c.Grant.Notice != "" {
				r.Notice = &notice{c.Grant.Notice}
			}
			e.Type, e.Record = "consent.granted", r
		case Stopped:
			e.Type, e.Record = entryType(c.Stop.Kind), stopRecord{c.party, c.Seq, *c.Stop, c.By}
		case Lifted:
			e.Type, e.Record = "stop.lifted", liftRecord{c.party, c.Seq, c.Ref, c.By}
		}
		entries[i] = e
	}
	return ledger.Append(ctx, tx, entries...)
}
