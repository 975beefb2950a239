package approval

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"

	"parley/internal/contact"
	"parley/internal/db"
)

const columns = `id, kind, subject, title, hash, state, asked_by, asked_at, decided_by, decided_at, body, note`

// body is what is sealed of a request.
type body struct {
	Before  string `json:"before"`
	After   string `json:"after"`
	Payload []byte `json:"payload,omitempty"`
	Content string `json:"content,omitempty"`
	Reason  string `json:"reason"`
}

func (s *Store) insert(ctx context.Context, tx *db.Tx, r *Request) error {
	asker, err := s.people.Person(ctx, tx, r.By)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(body{r.Before, r.After, r.Payload, r.Content, r.Reason})
	if err != nil {
		return fmt.Errorf("approval request: %w", err)
	}
	sealed, err := s.seal.Seal(raw, "approval/"+r.ID+"/body")
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `INSERT INTO approval_request (id, kind, subject, title, hash, state, asked_by, asker, asked_at,
		decided_by, decided_at, body, note) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,'',0,$10,$11) ON CONFLICT DO NOTHING`,
		r.ID, r.Kind, r.Subject, r.Title, r.Hash, string(r.State), r.By, asker, r.AskedAt, sealed, []byte{})
	if err != nil {
		return err
	}
	if n == 0 { // somebody else asked about the same thing in this moment
		return errWaiting
	}
	r.Hands = append([]string{r.By}, r.Hands...)
	slices.Sort(r.Hands)
	r.Hands = slices.Compact(r.Hands)
	for _, hand := range r.Hands {
		person, err := s.people.Person(ctx, tx, hand)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO approval_hand (request_id, account, person) VALUES ($1, $2, $3)`, r.ID, hand, person); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) scan(row interface{ Scan(...any) error }) (*Request, error) {
	var r Request
	var state string
	var sealed, note []byte
	if err := row.Scan(&r.ID, &r.Kind, &r.Subject, &r.Title, &r.Hash, &state, &r.By, &r.AskedAt, &r.DecidedBy, &r.DecidedAt, &sealed, &note); err != nil {
		return nil, err
	}
	r.State = State(state)
	raw, err := s.seal.Open(sealed, "approval/"+r.ID+"/body")
	if err != nil {
		return nil, err
	}
	var b body
	if err := json.Unmarshal(raw, &b); err != nil {
		return nil, fmt.Errorf("approval request %s: %w", r.ID, err)
	}
	r.Before, r.After, r.Payload, r.Content, r.Reason = b.Before, b.After, b.Payload, b.Content, b.Reason
	if len(note) > 0 {
		raw, err := s.seal.Open(note, "approval/"+r.ID+"/note")
		if err != nil {
			return nil, err
		}
		r.Note = string(raw)
	}
	return &r, nil
}

// find gives the first request that fits, with its hands; nil when none does.
func (s *Store) find(ctx context.Context, tx *db.Tx, where string, args ...any) (*Request, error) {
	rs, err := s.query(ctx, tx, `SELECT `+columns+` FROM approval_request WHERE `+where, args...)
	if err != nil || len(rs) == 0 {
		return nil, err
	}
	r := rs[0]
	return r, tx.Each(ctx, func(row *sql.Rows) error {
		var hand string
		err := row.Scan(&hand)
		r.Hands = append(r.Hands, hand)
		return err
	}, `SELECT account FROM approval_hand WHERE request_id = $1 ORDER BY account`, r.ID)
}

func (s *Store) query(ctx context.Context, tx *db.Tx, q string, args ...any) ([]*Request, error) {
	var out []*Request
	err := tx.Each(ctx, func(row *sql.Rows) error {
		r, err := s.scan(row)
		out = append(out, r)
		return err
	}, q, args...)
	return out, err
}

func (s *Store) lastApproved(ctx context.Context, tx *db.Tx, kind string, subject contact.ID) (*Request, error) {
	return s.find(ctx, tx, `kind = $1 AND subject = $2 AND state = 'approved' ORDER BY id DESC LIMIT 1`, kind, subject)
}

// Waiting gives the request of a kind about a subject that waits for a
// decision; nil when none does.
func (s *Store) Waiting(ctx context.Context, tx *db.Tx, kind string, subject contact.ID) (*Request, error) {
	return s.find(ctx, tx, `kind = $1 AND subject = $2 AND state = 'pending'`, kind, subject)
}

// Last gives the newest request of a kind about a subject, in whatever state;
// nil when there never was one.
func (s *Store) Last(ctx context.Context, tx *db.Tx, kind string, subject contact.ID) (*Request, error) {
	return s.find(ctx, tx, `kind = $1 AND subject = $2 ORDER BY id DESC LIMIT 1`, kind, subject)
}

// Standing gives the approval that a subject stands on: the newest request of
// the kind, if it was approved and not revoked; nil otherwise.
func (s *Store) Standing(ctx context.Context, tx *db.Tx, kind string, subject contact.ID) (*Request, error) {
	r, err := s.Last(ctx, tx, kind, subject)
	if err != nil || r == nil || r.State != Approved {
		return nil, err
	}
	return r, nil
}

// Reader is who looks at requests.
type Reader struct {
	Account string
	All     bool // may see every request (auditor, compliance)
}

// decides gives the kinds an account may decide.
func (s *Store) decides(ctx context.Context, tx *db.Tx, account string) ([]string, error) {
	var out []string
	for _, name := range s.Kinds() {
		may, err := s.people.May(ctx, tx, account, s.kinds[name].Permission)
		if err != nil {
			return nil, err
		}
		if may {
			out = append(out, name)
		}
	}
	return out, nil
}

// Seen is a request as somebody sees it.
type Seen struct {
	*Request
	Mine   bool // he asked for it
	Hand   bool // he had a hand in it, asking included
	Decide bool // he may decide it now
	Revoke bool // he may take back its approval
}

// Get gives one request, to somebody who may decide it, had a hand in it, or
// sees all; to others there is none.
func (s *Store) Get(ctx context.Context, who Reader, id contact.ID) (*Seen, error) {
	var out *Seen
	err := s.db.Read(ctx, func(tx *db.Tx) error {
		r, err := s.find(ctx, tx, `id = $1`, id)
		if err != nil {
			return err
		}
		if r == nil {
			return ErrNone
		}
		k, err := s.kind(r.Kind)
		if err != nil {
			return err
		}
		may, err := s.people.May(ctx, tx, who.Account, k.Permission)
		if err != nil {
			return err
		}
		hand, err := s.hadHand(ctx, tx, r, who.Account)
		if err != nil {
			return err
		}
		if !may && !hand && !who.All {
			return ErrNone
		}
		me, err := s.people.Person(ctx, tx, who.Account)
		if err != nil {
			return err
		}
		asker, err := s.people.Person(ctx, tx, r.By)
		out = &Seen{Request: r, Mine: me == asker, Hand: hand, Decide: may && !hand && r.State == Pending,
			Revoke: may && !hand && r.State == Approved && k.Revocable}
		return err
	})
	return out, err
}

// notMine leaves out what the account ($1) or its person ($2) had a hand in.
const notMine = `
	AND NOT EXISTS (SELECT 1 FROM approval_hand h WHERE h.request_id = approval_request.id AND (h.account = $1 OR h.person = $2))`

// ForMe gives what waits for a decision that the account may take, the oldest
// first: of the kinds it may decide, without what its person had a hand in.
// kind narrows the list to one kind; empty = all.
func (s *Store) ForMe(ctx context.Context, account, kind string, p db.Span) ([]*Request, error) {
	var out []*Request
	err := s.db.Read(ctx, func(tx *db.Tx) error {
		kinds, me, err := s.reach(ctx, tx, account)
		if kinds = only(kinds, kind); err != nil || len(kinds) == 0 {
			return err
		}
		args := append([]any{account, me}, kinds...)
		cond, tail := p.Seek(false, len(args)+1, "id")
		if cond != "" {
			args = append(args, p.At)
		}
		out, err = s.query(ctx, tx, `SELECT `+columns+` FROM approval_request
			WHERE state = 'pending' AND kind IN `+db.In(3, len(kinds))+notMine+cond+tail, args...)
		return err
	})
	return out, err
}

// only narrows kinds to one; empty = no narrowing.
func only(kinds []any, kind string) []any {
	if kind == "" {
		return kinds
	}
	if slices.Contains(kinds, any(kind)) {
		return []any{kind}
	}
	return nil
}

// Count gives how many requests ForMe would give, up to a limit.
func (s *Store) Count(ctx context.Context, account string, limit int) (int, error) {
	n := 0
	err := s.db.Read(ctx, func(tx *db.Tx) error {
		kinds, me, err := s.reach(ctx, tx, account)
		if err != nil || len(kinds) == 0 {
			return err
		}
		args := append([]any{account, me, limit}, kinds...)
		return tx.QueryRow(ctx, `SELECT count(*) FROM (SELECT id FROM approval_request
			WHERE state = 'pending' AND kind IN `+db.In(4, len(kinds))+notMine+`
			LIMIT $3) AS waiting`, args...).Scan(&n)
	})
	return n, err
}

func (s *Store) reach(ctx context.Context, tx *db.Tx, account string) (kinds []any, person string, err error) {
	names, err := s.decides(ctx, tx, account)
	if err != nil {
		return nil, "", err
	}
	for _, n := range names {
		kinds = append(kinds, n)
	}
	person, err = s.people.Person(ctx, tx, account)
	return kinds, person, err
}

// FromMe gives what the account's person asked for, the newest first.
func (s *Store) FromMe(ctx context.Context, account, kind string, p db.Span) ([]*Request, error) {
	var out []*Request
	err := s.db.Read(ctx, func(tx *db.Tx) error {
		me, err := s.people.Person(ctx, tx, account)
		if err != nil {
			return err
		}
		args := []any{me, kind}
		cond, tail := p.Seek(true, len(args)+1, "id")
		if cond != "" {
			args = append(args, p.At)
		}
		out, err = s.query(ctx, tx, `SELECT `+columns+` FROM approval_request
			WHERE asker = $1 AND ($2 = '' OR kind = $2)`+cond+tail, args...)
		return err
	})
	return out, err
}

// Decided gives what has been decided of the kinds that the reader may decide,
// or of all kinds to one who sees all, the newest decision first. Its keyset is
// db.TimeKey of the decision.
func (s *Store) Decided(ctx context.Context, who Reader, kind string, p db.Span) ([]*Request, error) {
	var out []*Request
	err := s.db.Read(ctx, func(tx *db.Tx) error {
		kinds, _, err := s.reach(ctx, tx, who.Account)
		if err != nil {
			return err
		}
		if who.All {
			kinds = nil
			for _, n := range s.Kinds() {
				kinds = append(kinds, n)
			}
		}
		if kinds = only(kinds, kind); len(kinds) == 0 {
			return nil
		}
		args := kinds
		cond, tail := p.Seek(true, len(args)+1, "decided_at", "id")
		if cond != "" {
			at, id := p.TimeKey()
			args = append(args, at, id)
		}
		out, err = s.query(ctx, tx, `SELECT `+columns+` FROM approval_request
			WHERE decided_at > 0 AND kind IN `+db.In(1, len(kinds))+cond+tail, args...)
		return err
	})
	return out, err
}

// Open gives everything that waits, whoever may decide it, the oldest first,
// for one who sees all.
func (s *Store) Open(ctx context.Context, kind string, p db.Span) ([]*Request, error) {
	var out []*Request
	err := s.db.Read(ctx, func(tx *db.Tx) (err error) {
		args := []any{kind}
		cond, tail := p.Seek(false, len(args)+1, "id")
		if cond != "" {
			args = append(args, p.At)
		}
		out, err = s.query(ctx, tx, `SELECT `+columns+` FROM approval_request
			WHERE state = 'pending' AND ($1 = '' OR kind = $1)`+cond+tail, args...)
		return err
	})
	return out, err
}

// About gives every request about a subject, the oldest first.
func (s *Store) About(ctx context.Context, kind string, subject contact.ID) ([]*Request, error) {
	var out []*Request
	err := s.db.Read(ctx, func(tx *db.Tx) (err error) {
		out, err = s.query(ctx, tx, `SELECT `+columns+` FROM approval_request WHERE kind = $1 AND subject = $2 ORDER BY id`, kind, subject)
		return err
	})
	return out, err
}
