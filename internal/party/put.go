package party

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"parley/internal/contact"
	"parley/internal/db"
)

// Batch is customers encrypted and ready to be written. Making it costs the
// processor, writing it the disk, so an import does the one for the next rows
// while it does the other.
type Batch struct{ rows []sealed }

type sealed struct {
	p       *Party
	id      contact.ID
	key     []byte // wrapped
	body    []byte
	blinds  [][]byte
	name    []byte // blind; nil = has none
	pointID []contact.ID
}

// Arrival is a contact point that has been recorded.
type Arrival struct {
	Party, Point contact.ID
	Blind        string // Store.Blind of its kind and value
}

// SetArrivals names who is told of contact points in the transaction that
// records them. It must be called before the store is used.
func (s *Store) SetArrivals(fn func(ctx context.Context, tx *db.Tx, came []Arrival) error) {
	s.arrivals = fn
}

// arrived tells of points as they stand in rows of contact_point.
func (s *Store) arrived(ctx context.Context, tx *db.Tx, points [][]any) error {
	if s.arrivals == nil || len(points) == 0 {
		return nil
	}
	came := make([]Arrival, len(points))
	for i, p := range points {
		came[i] = Arrival{Point: p[0].(contact.ID), Party: p[1].(contact.ID), Blind: hex.EncodeToString(p[2].([]byte))}
	}
	return s.arrivals(ctx, tx, came)
}

// Put records customers, by their Ref: a new one is added, a known one brought
// up to date, and one that has not changed is left alone. It fills the IDs of
// customers and points. Of two with the same Ref the later counts.
func (s *Store) Put(ctx context.Context, tx *db.Tx, ps []*Party) error {
	b, err := s.Seal(ps)
	if err != nil {
		return err
	}
	return s.PutSealed(ctx, tx, b)
}

// Seal encrypts customers for PutSealed, on all processors.
func (s *Store) Seal(ps []*Party) (*Batch, error) {
	b := &Batch{rows: make([]sealed, len(ps))}
	workers := runtime.GOMAXPROCS(0)
	if len(ps) < 64 {
		workers = 1
	}
	var g errgroup.Group
	for w := range workers {
		g.Go(func() error {
			for i := w * len(ps) / workers; i < (w+1)*len(ps)/workers; i++ {
				if err := s.seal(&b.rows[i], ps[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return b, g.Wait()
}

// seal encrypts p as a new customer; one that turns out to be known is sealed
// again, under its own id.
func (s *Store) seal(r *sealed, p *Party) error {
	if p.Ref == "" {
		return ErrNoRef
	}
	fresh := *p
	fresh.ID = contact.NewID()
	fresh.Points = make([]Point, len(p.Points))
	*r = sealed{p: p, id: fresh.ID}
	for i, q := range p.Points {
		q.ID, q.PartyID = contact.NewID(), fresh.ID
		fresh.Points[i] = q
		r.pointID = append(r.pointID, q.ID)
		r.blinds = append(r.blinds, s.keys.blindPoint(q.Kind, q.Value))
	}
	if p.Name != "" {
		r.name = s.keys.blindName(p.Name)
	}
	key := newDataKey()
	var err error
	if r.key, err = s.keys.wrap(key, fresh.ID); err != nil {
		return err
	}
	r.body, err = sealBody(key, &fresh)
	return err
}

var (
	partyColumns = []string{"id", "ref", "lang", "zone", "region", "at", "datakey", "body"}
	pointColumns = []string{"id", "party_id", "blind"}
)

// PutSealed is Put for a batch made by Seal.
func (s *Store) PutSealed(ctx context.Context, tx *db.Tx, b *Batch) error {
	last := make(map[string]int, len(b.rows))
	refs := make([]string, len(b.rows))
	for i := range b.rows {
		refs[i] = b.rows[i].p.Ref
		last[refs[i]] = i
	}
	known, err := s.known(ctx, tx, refs)
	if err != nil {
		return err
	}
	var parties, points, names [][]any
	for i := range b.rows {
		r := &b.rows[i]
		if last[r.p.Ref] != i {
			continue
		}
		if old, ok := known[r.p.Ref]; ok {
			if err := s.update(ctx, tx, old, r.p); err != nil {
				return err
			}
			continue
		}
		r.p.ID = r.id
		parties = append(parties, []any{r.id, r.p.Ref, r.p.Lang, r.p.Zone, r.p.Region, tx.At(), r.key, r.body})
		if r.name != nil {
			names = append(names, []any{r.name, r.id})
		}
		for j := range r.p.Points {
			r.p.Points[j].ID, r.p.Points[j].PartyID = r.pointID[j], r.id
			points = append(points, []any{r.pointID[j], r.id, r.blinds[j]})
		}
	}
	for i := range b.rows { // earlier rows of the same customer
		if j := last[b.rows[i].p.Ref]; j != i {
			b.rows[i].p.ID = b.rows[j].p.ID
		}
	}
	if err := tx.Insert(ctx, "party", partyColumns, "", parties); err != nil {
		return err
	}
	if err := insertNames(ctx, tx, "", names); err != nil { // of new customers: none is there yet
		return err
	}
	// In the order of their index, so that neighbours share its pages.
	slices.SortFunc(points, func(a, b []any) int { return bytes.Compare(a[2].([]byte), b[2].([]byte)) })
	if err := tx.Insert(ctx, "contact_point", pointColumns, "", points); err != nil {
		return err
	}
	return s.arrived(ctx, tx, points)
}

// record is a customer as stored; party is nil if erased.
type record struct {
	id    contact.ID
	party *Party
	key   []byte
}

func (s *Store) known(ctx context.Context, tx *db.Tx, refs []string) (map[string]record, error) {
	out := map[string]record{}
	err := s.eachRef(ctx, tx, "ref, "+columns, refs, func(rs *sql.Rows, plain func(string) string) error {
		var p Party
		var ref string
		var wrapped, body sql.RawBytes
		if err := rs.Scan(&ref, &p.ID, &p.Lang, &p.Zone, &p.Region, &wrapped, &body); err != nil {
			return err
		}
		ref = plain(ref)
		if len(wrapped) == 0 {
			out[ref] = record{id: p.ID}
			return nil
		}
		key, err := s.keys.unwrap(wrapped, p.ID)
		if err != nil {
			return err
		}
		out[ref] = record{p.ID, &p, key}
		return openBody(key, body, &p)
	})
	return out, err
}

// update brings a known customer up to date.
func (s *Store) update(ctx context.Context, tx *db.Tx, old record, p *Party) error {
	p.ID = old.id
	ids := map[Point]contact.ID{}
	if old.party != nil {
		for _, q := range old.party.Points {
			ids[Point{Kind: q.Kind, Value: q.Value}] = q.ID
		}
	}
	var added [][]any
	for i := range p.Points {
		q := &p.Points[i]
		q.PartyID = p.ID
		at := Point{Kind: q.Kind, Value: q.Value}
		if id, ok := ids[at]; ok {
			q.ID = id
			delete(ids, at)
			continue
		}
		q.ID = contact.NewID()
		added = append(added, []any{q.ID, p.ID, s.keys.blindPoint(q.Kind, q.Value)})
	}
	if old.party != nil && same(old.party, p) {
		return nil
	}
	was := ""
	if old.party != nil {
		was = old.party.Name
	}
	if was != p.Name {
		if err := s.rename(ctx, tx, p.ID, was, p.Name); err != nil {
			return err
		}
	}
	for _, gone := range ids {
		if _, err := tx.Exec(ctx, "DELETE FROM contact_point WHERE id = $1", gone); err != nil {
			return err
		}
	}
	if err := tx.Insert(ctx, "contact_point", pointColumns, "", added); err != nil {
		return err
	}
	if err := s.arrived(ctx, tx, added); err != nil {
		return err
	}
	key := old.key
	if key == nil { // erased, and a customer again
		key = newDataKey()
	}
	wrapped, err := s.keys.wrap(key, p.ID)
	if err != nil {
		return err
	}
	body, err := sealBody(key, p)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE party SET ref = $1, lang = $2, zone = $3, region = $4, at = $5, datakey = $6, body = $7 WHERE id = $8`,
		p.Ref, p.Lang, p.Zone, p.Region, tx.At(), wrapped, body, p.ID)
	return err
}
