// Package party keeps customers and where they can be reached. Personal data
// (name, ID number, phone, e-mail, attributes) is encrypted here and
// nowhere else, with a key per customer; look-ups by phone go by keyed hashes.
package party

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
)

// PointKind is a sort of address.
type PointKind string

// The kinds of contact point.
const (
	Phone PointKind = "phone"
	Email PointKind = "email"
)

// Point is one place where a customer can be reached. Its ID stays the same as
// long as the customer has that value.
type Point struct {
	ID      contact.ID
	PartyID contact.ID
	Kind    PointKind
	Value   string // E.164, a short service number, or an e-mail address
}

// Party is a customer.
type Party struct {
	ID       contact.ID
	Ref      string // the bank's customer number, unique
	Name     string
	IDNumber string
	Lang     string // BCP 47; empty = zh-CN
	Zone     string // IANA time zone; empty = Asia/Shanghai
	Region   string // a code of ISO 3166-2, such as CN-BJ; not secret, rules ask about it
	Attrs    map[string]string
	Points   []Point
}

// Point gives the customer's first point of a kind, and whether there is one.
func (p *Party) Point(k PointKind) (Point, bool) {
	for _, q := range p.Points {
		if q.Kind == k {
			return q, true
		}
	}
	return Point{}, false
}

// Errors of this room.
var (
	ErrNone   = errs.New(errs.NotFound, "no_such_party", "找不到这位客户。", "There is no such customer.")
	ErrErased = errs.New(errs.NotFound, "party_erased", "该客户的个人信息已按要求删除。", "This customer's personal data has been erased.")
	ErrNoRef  = errs.New(errs.Invalid, "no_customer_number", "客户缺少客户号。", "A customer needs a customer number.")
)

// Store keeps customers. It is safe for concurrent use.
type Store struct {
	db       *db.DB
	keys     *Keyring
	arrivals func(ctx context.Context, tx *db.Tx, came []Arrival) error // nil = nobody is told
}

// NewStore makes a store on d with the keys of k.
func NewStore(d *db.DB, k *Keyring) *Store { return &Store{db: d, keys: k} }

// Get gives a customer with all personal data, decrypted.
func (s *Store) Get(ctx context.Context, tx *db.Tx, id contact.ID) (*Party, error) {
	var out *Party
	err := s.Each(ctx, tx, []contact.ID{id}, func(p *Party) error { out = p; return nil })
	if err == nil && out == nil {
		err = s.missing(ctx, tx, id)
	}
	return out, err
}

// missing tells an erased customer from one who never was.
func (s *Store) missing(ctx context.Context, tx *db.Tx, id contact.ID) error {
	err := tx.QueryRow(ctx, "SELECT id FROM party WHERE id = $1", id).Scan(&id)
	switch {
	case err == nil:
		return ErrErased
	case errors.Is(err, sql.ErrNoRows):
		return ErrNone
	default:
		return err
	}
}

const columns = "id, lang, zone, region, datakey, body"

// Each calls fn for every customer of ids that exists and is not erased, in no
// particular order.
func (s *Store) Each(ctx context.Context, tx *db.Tx, ids []contact.ID, fn func(*Party) error) error {
	return tx.EachIn(ctx, func(rs *sql.Rows) error {
		p, err := s.scan(rs)
		if err != nil || p == nil {
			return err
		}
		return fn(p)
	}, "SELECT "+columns+" FROM party WHERE id", unique(ids), "")
}

// List gives up to n customers with ids after the given one, in the order they
// were first recorded, without those that are erased.
func (s *Store) List(ctx context.Context, tx *db.Tx, after contact.ID, n int) ([]*Party, error) {
	var out []*Party
	err := tx.Each(ctx, func(rs *sql.Rows) error {
		p, err := s.scan(rs)
		if p != nil {
			out = append(out, p)
		}
		return err
	}, "SELECT "+columns+" FROM party WHERE id > $1 ORDER BY id LIMIT $2", after, n)
	return out, err
}

// Slice reads a page (db.Cut) of the customers by customer number, which is its
// keyset. One who is erased has no Name, and a hash for a number.
func (s *Store) Slice(ctx context.Context, tx *db.Tx, desc bool, p db.Span) ([]*Party, error) {
	cond, tail := p.Seek(desc, 1, "ref")
	var args []any
	if p.At != "" {
		args = append(args, p.At)
	}
	var out []*Party
	err := tx.Each(ctx, func(rs *sql.Rows) error {
		q := &Party{}
		var wrapped, body sql.RawBytes
		if err := rs.Scan(&q.Ref, &q.ID, &q.Lang, &q.Zone, &q.Region, &wrapped, &body); err != nil {
			return err
		}
		out = append(out, q)
		return s.open(q, wrapped, body)
	}, "SELECT ref, "+columns+" FROM party WHERE 1 = 1"+cond+tail, args...)
	return out, err
}

// Count gives the number of customers, erased ones included.
func (s *Store) Count(ctx context.Context, tx *db.Tx) (n int64, err error) {
	err = tx.QueryRow(ctx, "SELECT count(*) FROM party").Scan(&n)
	return n, err
}

// scan reads one row of columns; the party is nil if erased.
func (s *Store) scan(rs *sql.Rows) (*Party, error) {
	p, erased, err := s.scanAll(rs)
	if erased {
		return nil, err
	}
	return p, err
}

// scanAll reads one row of columns, of one who was erased what is left.
func (s *Store) scanAll(rs *sql.Rows) (p *Party, erased bool, err error) {
	p = &Party{}
	var wrapped, body sql.RawBytes
	if err := rs.Scan(&p.ID, &p.Lang, &p.Zone, &p.Region, &wrapped, &body); err != nil {
		return nil, false, err
	}
	return p, len(wrapped) == 0, s.open(p, wrapped, body)
}

// open decrypts what there is of a customer whose ID is set.
func (s *Store) open(p *Party, wrapped, body []byte) error {
	if len(wrapped) == 0 {
		return nil
	}
	key, err := s.keys.unwrap(wrapped, p.ID)
	if err != nil {
		return err
	}
	return openBody(key, body, p)
}

// Place is what rules ask about a customer and is not secret.
type Place struct {
	Zone   string // IANA; empty = Asia/Shanghai
	Region string
	Lang   string
	At     int64 // when anything about the customer changed last, in micros
}

// Places gives the place of each customer, without decrypting anything.
func (s *Store) Places(ctx context.Context, tx *db.Tx, ids []contact.ID) (map[contact.ID]Place, error) {
	out := make(map[contact.ID]Place, len(ids))
	err := tx.EachIn(ctx, func(rs *sql.Rows) error {
		var id string
		var p Place
		if err := rs.Scan(&id, &p.Zone, &p.Region, &p.Lang, &p.At); err != nil {
			return err
		}
		out[id] = p
		return nil
	}, "SELECT id, zone, region, lang, at FROM party WHERE id", unique(ids), "")
	return out, err
}

// Known is what rules may ask about a customer that is sealed.
type Known struct {
	Attrs  map[string]string // those asked for that the customer has
	Points []Point
}

// Known gives attributes and points of each customer; of those who were erased
// there are none.
func (s *Store) Known(ctx context.Context, tx *db.Tx, ids []contact.ID, attrs []string) (map[contact.ID]Known, error) {
	out := make(map[contact.ID]Known, len(ids))
	err := tx.EachIn(ctx, func(rs *sql.Rows) error {
		p, _, err := s.scanAll(rs)
		if err != nil {
			return err
		}
		k := Known{Points: p.Points}
		for _, name := range attrs {
			if v, ok := p.Attrs[name]; ok {
				if k.Attrs == nil {
					k.Attrs = map[string]string{}
				}
				k.Attrs[name] = v
			}
		}
		out[p.ID] = k
		return nil
	}, "SELECT "+columns+" FROM party WHERE id", unique(ids), "")
	return out, err
}

// ByRef gives the customer with the bank's number.
func (s *Store) ByRef(ctx context.Context, tx *db.Tx, ref string) (*Party, error) {
	ids, err := s.IDs(ctx, tx, []string{ref})
	if err != nil {
		return nil, err
	}
	id, ok := ids[ref]
	if !ok {
		return nil, ErrNone
	}
	return s.Get(ctx, tx, id)
}

// IDs gives the id of each customer number that is known.
func (s *Store) IDs(ctx context.Context, tx *db.Tx, refs []string) (map[string]contact.ID, error) {
	out := make(map[string]contact.ID, len(refs))
	err := s.eachRef(ctx, tx, "ref, id", refs, func(rs *sql.Rows, plain func(string) string) error {
		var ref, id string
		err := rs.Scan(&ref, &id)
		out[plain(ref)] = id
		return err
	})
	return out, err
}

// eachRef runs a query of columns over the customers with the bank's numbers:
// those that have the number, and those it was before they were erased. plain
// turns what is in the column ref back into the number that was asked for.
func (s *Store) eachRef(ctx context.Context, tx *db.Tx, columns string, refs []string, scan func(rs *sql.Rows, plain func(string) string) error) error {
	q := "SELECT " + columns + " FROM party WHERE ref"
	left := make(map[string]bool, len(refs))
	for _, r := range refs {
		left[r] = true
	}
	err := tx.EachIn(ctx, func(rs *sql.Rows) error {
		return scan(rs, func(r string) string { delete(left, r); return r })
	}, q, unique(refs), "")
	if err != nil || len(left) == 0 {
		return err
	}
	hidden := make(map[string]string, len(left))
	for r := range left {
		hidden[s.keys.erased(r)] = r
	}
	return tx.EachIn(ctx, func(rs *sql.Rows) error {
		return scan(rs, func(h string) string { return hidden[h] })
	}, q, slices.Sorted(maps.Keys(hidden)), "")
}

// erased is what stands for the number of a customer who was erased. The tilde
// puts them all at the end of the index, where looking for none is quick.
func (k *Keyring) erased(ref string) string {
	return "~" + base64.RawURLEncoding.EncodeToString(k.blind("ref", ref))
}

// Found is a contact point that matched.
type Found struct{ PartyID, PointID contact.ID }

// ByPoint finds who can be reached at a value; several customers may share it.
func (s *Store) ByPoint(ctx context.Context, tx *db.Tx, kind PointKind, value string) ([]Found, error) {
	var out []Found
	err := tx.Each(ctx, func(rs *sql.Rows) error {
		var f Found
		if err := rs.Scan(&f.PartyID, &f.PointID); err != nil {
			return err
		}
		out = append(out, f)
		return nil
	}, "SELECT party_id, id FROM contact_point WHERE blind = $1", s.keys.blindPoint(kind, value))
	slices.SortFunc(out, func(a, b Found) int { return strings.Compare(a.PointID, b.PointID) })
	return out, err
}

// Blind gives the keyed hash under which other rooms know a number or address
// without knowing it, in hex.
func (s *Store) Blind(kind PointKind, value string) string {
	return hex.EncodeToString(s.keys.blindPoint(kind, value))
}

// blindPoint hashes the form in which equal addresses are equal.
func (k *Keyring) blindPoint(kind PointKind, value string) []byte {
	if kind == Email {
		value = strings.ToLower(strings.TrimSpace(value))
	}
	return k.blind(string(kind), value)
}

// Value decrypts one contact point.
func (s *Store) Value(ctx context.Context, tx *db.Tx, pointID contact.ID) (Point, error) {
	var party string
	err := tx.QueryRow(ctx, "SELECT party_id FROM contact_point WHERE id = $1", pointID).Scan(&party)
	if errors.Is(err, sql.ErrNoRows) {
		return Point{}, errs.New(errs.NotFound, "no_such_point", "找不到这个联系方式。", "There is no such contact point.")
	}
	if err != nil {
		return Point{}, err
	}
	p, err := s.Get(ctx, tx, party)
	if err != nil {
		return Point{}, err
	}
	i := slices.IndexFunc(p.Points, func(q Point) bool { return q.ID == pointID })
	if i < 0 {
		return Point{}, errors.New("contact point " + pointID + " is not in its customer's body")
	}
	return p.Points[i], nil
}

// Erase makes a customer's personal data unreadable for good, in the database
// and in every copy of it, by dropping the key. The id stays, and a keyed hash of
// the customer number: a later import of the same customer meets the same
// refusals.
func (s *Store) Erase(ctx context.Context, tx *db.Tx, id contact.ID) error {
	p, err := s.Get(ctx, tx, id)
	if err != nil {
		return err
	}
	for _, q := range p.Points {
		if _, err := tx.Exec(ctx, "DELETE FROM contact_point WHERE id = $1", q.ID); err != nil {
			return err
		}
	}
	if err := s.rename(ctx, tx, id, p.Name, ""); err != nil {
		return err
	}
	empty := []byte{}
	_, err = tx.Exec(ctx, "UPDATE party SET ref = $1, datakey = $2, body = $3, lang = '', region = '', at = $4 WHERE id = $5",
		s.keys.erased(p.Ref), empty, empty, tx.At(), id)
	return err
}

// same reports whether a row of an import says what is recorded already.
func same(a, b *Party) bool {
	return a.Name == b.Name && a.IDNumber == b.IDNumber && a.Lang == b.Lang && a.Zone == b.Zone && a.Region == b.Region &&
		maps.Equal(a.Attrs, b.Attrs) && slices.EqualFunc(a.Points, b.Points, func(p, q Point) bool { return p.Kind == q.Kind && p.Value == q.Value })
}

func unique(ids []string) []string {
	out := slices.Clone(ids)
	slices.Sort(out)
	return slices.Compact(out)
}

// Owners gives the customer of each contact point that exists, without
// decrypting anything.
func (s *Store) Owners(ctx context.Context, tx *db.Tx, points []contact.ID) (map[contact.ID]contact.ID, error) {
	out := make(map[contact.ID]contact.ID, len(points))
	err := tx.EachIn(ctx, func(rs *sql.Rows) error {
		var id, owner string
		err := rs.Scan(&id, &owner)
		out[id] = owner
		return err
	}, "SELECT id, party_id FROM contact_point WHERE id", points, "")
	return out, err
}
