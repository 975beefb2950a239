package gate

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/policy"
)

// Facts are packed as version 1, or as version 2 when there is more to say: the
// zone of the point, evidence of grants, a campaign's figures. Both are read.
const (
	factsVersion = 1
	factsMore    = 2
)

// appendFacts packs everything a verdict depended on but the budget, and the
// verdict itself, so that it can be judged again and its hash binds all of it:
// the class and verdict by their ids (which are hashes) and the person's own
// fields. The budget as it was read follows. A grant's notice and how it was
// obtained stay with the consent: rules read only what they are evidence of.
func appendFacts(b []byte, f *policy.Facts, v *policy.Verdict, class, verdict int64) []byte {
	more := f.PointZone != "" || f.Figures != nil || slices.ContainsFunc(f.Standing.Grants, func(g contact.Grant) bool { return g.Known() != 0 })
	version := byte(factsVersion)
	if more {
		version = factsMore
	}
	b = append(b, version)
	b = binary.LittleEndian.AppendUint64(b, uint64(class))
	b = binary.LittleEndian.AppendUint64(b, uint64(verdict))
	b = binary.AppendVarint(b, f.Now.UnixMicro())
	at := int64(0)
	if !v.At.IsZero() {
		at = v.At.UnixMicro()
	}
	b = binary.AppendVarint(b, at)
	b = appendText(b, v.Grant)
	b = appendText(b, f.Point)
	b = appendText(b, f.Product)
	b = appendText(b, f.Event)
	b = appendText(b, f.Zone)
	b = binary.AppendUvarint(b, uint64(len(f.Person)))
	if len(f.Person) > 0 {
		for _, k := range slices.Sorted(maps.Keys(f.Person)) {
			b = appendText(appendText(b, k), f.Person[k])
		}
	}
	b = appendStanding(b, &f.Standing)
	if more {
		b = appendMore(b, f)
	}
	return b
}

func appendMore(b []byte, f *policy.Facts) []byte {
	b = appendText(b, f.PointZone)
	for i := range f.Standing.Grants {
		b = append(b, byte(f.Standing.Grants[i].Known()))
	}
	if f.Figures == nil {
		return binary.AppendUvarint(b, 0)
	}
	b = binary.AppendUvarint(b, uint64(len(f.Figures))+1)
	for _, k := range slices.Sorted(maps.Keys(f.Figures)) {
		b = binary.AppendVarint(appendText(b, k), int64(f.Figures[k]))
	}
	return b
}

func readMore(r *reader, f *policy.Facts) {
	f.PointZone = r.text()
	for i := range f.Standing.Grants {
		f.Standing.Grants[i].Evidence = contact.Evidence(r.byte())
	}
	n := r.count()
	if n == 0 || r.err != nil {
		return
	}
	f.Figures = map[string]int{}
	for range n - 1 {
		k := r.text()
		f.Figures[k] = int(r.int())
	}
}

// facts is what appendFacts packed, and the budget.
type facts struct {
	policy.Facts
	class, verdict int64
	at             int64 // of the verdict, when Later
	grant          contact.ID
	log            log    // while it is short, Charges are too; see complete
	head           []byte // what stands before the log, as it is packed
}

// pack gives the facts in full: what the ledger has the sha256 of.
func (f *facts) pack() []byte { return f.log.append(slices.Clone(f.head)) }

func readFacts(raw []byte) (facts, error) { return unpackFacts(raw, nil, &slab{}) }

// unpackFacts is readFacts with memory for texts seen before and for charges,
// for callers that read many.
func unpackFacts(raw []byte, names map[string]string, room room) (facts, error) {
	var f facts
	r := &reader{b: raw, names: names}
	version := r.byte()
	if version != factsVersion && version != factsMore {
		return f, errPacked
	}
	word := func() int64 {
		if w := r.take(8); w != nil {
			return int64(binary.LittleEndian.Uint64(w))
		}
		return 0
	}
	f.class, f.verdict = word(), word()
	f.Now = time.UnixMicro(r.int()).UTC()
	f.at, f.grant = r.int(), r.text()
	f.Point, f.Product, f.Event, f.Zone = r.text(), r.text(), r.text(), r.text()
	for range r.count() {
		if f.Person == nil {
			f.Person = map[string]string{}
		}
		k := r.text()
		f.Person[k] = r.text()
	}
	f.Standing = readStanding(r)
	if version == factsMore {
		readMore(r, &f.Facts)
	}
	f.head = raw[:len(raw)-len(r.b)]
	if err := f.log.read(r, room); err != nil {
		return f, err
	}
	f.Charges = f.log.charges
	return f, r.err
}

// complete gives facts the charges that they share with those of earlier
// decisions.
func complete(ctx context.Context, tx *db.Tx, list []*facts, names map[string]string, room room) error {
	var short []*facts
	var ids []contact.ID
	for _, f := range list {
		if f.log.short {
			short, ids = append(short, f), append(ids, f.log.base.id)
		}
	}
	ids = distinct(ids)
	bases := make(map[contact.ID]*log, len(ids))
	err := tx.EachIn(ctx, func(rs *sql.Rows) error {
		var id string
		var raw []byte
		if err := rs.Scan(&id, &raw); err != nil {
			return err
		}
		f, err := unpackFacts(raw, names, room)
		bases[id] = &f.log
		return err
	}, "SELECT id, facts FROM gate_decision WHERE id", ids, "")
	if err != nil {
		return fmt.Errorf("facts of earlier decisions: %w", err)
	}
	for _, f := range short {
		base := bases[f.log.base.id]
		if base == nil {
			return fmt.Errorf("facts of decision %s: %w", f.log.base.id, ErrNoDecision)
		}
		if err := f.log.join(base); err != nil {
			return fmt.Errorf("facts of decision %s: %w", f.log.base.id, err)
		}
		f.Charges = f.log.charges
	}
	return nil
}

// withClass completes the intent with what its class has in common.
func (f *facts) withClass(in policy.Intent, party contact.ID) {
	in.Party, in.Point, in.Product, in.Event = party, f.Point, f.Product, f.Event
	f.Intent = in
}

var grounds = [...]contact.Ground{"", contact.Consent, contact.Request, contact.Contract, contact.Statute, contact.SoftOptIn}

var stopKinds = [...]contact.StopKind{"", contact.Withdrawal, contact.Refusal, contact.DoNotContact, contact.Hold}

// appendWord packs one of a few known words as a byte, another one as text after 0.
func appendWord[T ~string](b []byte, known []T, w T) []byte {
	if i := slices.Index(known, w); i > 0 {
		return append(b, byte(i))
	}
	return appendText(append(b, 0), string(w))
}

func readWord[T ~string](r *reader, known []T) T {
	i := int(r.byte())
	switch {
	case i == 0:
		return T(r.text())
	case i >= len(known):
		r.fail()
		return ""
	}
	return known[i]
}

func appendStanding(b []byte, s *contact.Standing) []byte {
	b = binary.AppendUvarint(b, uint64(len(s.Grants)))
	for i := range s.Grants {
		g := &s.Grants[i]
		b = appendText(b, g.ID)
		b = appendWord(b, grounds[:], g.Ground)
		b = binary.AppendUvarint(b, uint64(g.Purposes))
		b = binary.AppendUvarint(b, uint64(g.Channels))
		b = appendTexts(b, g.Points)
		b = appendTexts(b, g.Products)
		b = binary.AppendVarint(b, int64(g.Max))
		b = binary.AppendVarint(b, int64(g.Days))
		b = binary.AppendUvarint(b, uint64(len(g.Hours)))
		for _, h := range g.Hours {
			b = binary.AppendVarint(b, int64(h.From))
			b = binary.AppendVarint(b, int64(h.To))
			b = append(b, h.Days)
		}
		b = binary.AppendVarint(b, g.From)
		b = binary.AppendVarint(b, g.Until)
	}
	b = binary.AppendUvarint(b, uint64(len(s.Stops)))
	for i := range s.Stops {
		st := &s.Stops[i]
		b = appendText(b, st.ID)
		b = appendWord(b, stopKinds[:], st.Kind)
		b = binary.AppendUvarint(b, uint64(st.Purposes))
		b = binary.AppendUvarint(b, uint64(st.Channels))
		b = appendTexts(b, st.Points)
		b = appendText(b, st.GrantID)
		b = binary.AppendVarint(b, st.At)
		b = binary.AppendVarint(b, st.Until)
	}
	return b
}

func readStanding(r *reader) (s contact.Standing) {
	for range r.count() {
		g := contact.Grant{ID: r.text(), Ground: readWord(r, grounds[:])}
		g.Purposes, g.Channels = contact.Purposes(r.uint()), contact.Channels(r.uint())
		g.Points, g.Products = r.texts(), r.texts()
		g.Max, g.Days = int(r.int()), int(r.int())
		for range r.count() {
			g.Hours = append(g.Hours, contact.Hours{From: int(r.int()), To: int(r.int()), Days: r.byte()})
		}
		g.From, g.Until = r.int(), r.int()
		s.Grants = append(s.Grants, g)
	}
	for range r.count() {
		st := contact.Stop{ID: r.text(), Kind: readWord(r, stopKinds[:])}
		st.Purposes, st.Channels = contact.Purposes(r.uint()), contact.Channels(r.uint())
		st.Points, st.GrantID = r.texts(), r.text()
		st.At, st.Until = r.int(), r.int()
		s.Stops = append(s.Stops, st)
	}
	return s
}
