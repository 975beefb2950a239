package roster

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"parley/internal/consent"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/party"
)

var consentFields = []string{"ref", "kind", "ground", "purposes", "channels", "products", "max", "days", "hours", "from", "until", "notice", "how"}

// Consents imports what customers agreed to, or refused: kind is grant (the
// default), withdrawal, refusal or do_not_contact. Customers are named by ref
// and must be in already.
func Consents(ctx context.Context, d *db.DB, people *party.Store, s *consent.Store, zone *time.Location, o Options) (Result, error) {
	return run(ctx, d, importer{kind: "consents", fields: consentFields,
		prepare: func(records []Record) (work, []Reject, error) {
			var rejects []Reject
			said := make([]statement, 0, len(records))
			for i := range records {
				st, rej := read(&records[i], zone)
				if rej != nil {
					rejects = append(rejects, *rej)
					continue
				}
				said = append(said, st)
			}
			return work{write: func(ctx context.Context, tx *db.Tx) ([]Reject, error) { return write(ctx, tx, people, s, said, o.By) }}, rejects, nil
		}}, o)
}

// statement is one row: a grant, or a stop when kind is set.
type statement struct {
	row   int
	ref   string
	kind  contact.StopKind
	grant contact.Grant
}

func read(r *Record, zone *time.Location) (statement, *Reject) {
	s := statement{row: r.Row, ref: r.Get("ref")}
	bad := func(field, zh, en string) (statement, *Reject) { return s, &Reject{r.Row, field, zh, en} }
	if s.ref == "" {
		return bad("ref", "缺少客户号。", "The customer number is missing.")
	}
	switch k := r.Get("kind"); k {
	case "", "grant":
	case string(contact.Withdrawal), string(contact.Refusal), string(contact.DoNotContact):
		s.kind = contact.StopKind(k)
	default:
		return bad("kind", "只能是 grant、withdrawal、refusal 或 do_not_contact。", "must be grant, withdrawal, refusal or do_not_contact.")
	}
	g := &s.grant
	if g.Ground = contact.Ground(r.Get("ground")); g.Ground == "" {
		g.Ground = contact.Consent
	}
	if err := each(r.Get("purposes"), func(n string) error {
		p, err := contact.ParsePurpose(n)
		g.Purposes |= contact.PurposeSet(p)
		return err
	}); err != nil {
		return bad("purposes", "用途不认识（"+err.Error()+"）。", err.Error())
	}
	if err := each(r.Get("channels"), func(n string) error {
		c, err := contact.ParseChannel(n)
		g.Channels |= contact.ChannelSet(c)
		return err
	}); err != nil {
		return bad("channels", "渠道不认识（"+err.Error()+"）。", err.Error())
	}
	if s.kind == "" && g.Purposes == 0 {
		return bad("purposes", "请写明同意的用途。", "say which purposes were agreed to.")
	}
	_ = each(r.Get("products"), func(n string) error { g.Products = append(g.Products, n); return nil })
	g.Notice, g.How = r.Get("notice"), r.Get("how")
	return terms(r, s, zone)
}

// terms reads the numbers, hours and days of a grant.
func terms(r *Record, s statement, zone *time.Location) (statement, *Reject) {
	g := &s.grant
	var err error
	for field, to := range map[string]*int{"max": &g.Max, "days": &g.Days} {
		if v := r.Get(field); v != "" {
			if *to, err = strconv.Atoi(v); err != nil || *to < 0 {
				return s, &Reject{r.Row, field, "应为不小于 0 的整数。", "must be a whole number, 0 or more."}
			}
		}
	}
	if err := each(r.Get("hours"), func(w string) error {
		from, to, ok := strings.Cut(w, "-")
		f, ok1 := minute(from)
		t, ok2 := minute(to)
		if !ok || !ok1 || !ok2 {
			return fmt.Errorf("hours %q are not like 18:00-20:00", w)
		}
		g.Hours = append(g.Hours, contact.Hours{From: f, To: t})
		return nil
	}); err != nil {
		return s, &Reject{r.Row, "hours", "时段应写作 18:00-20:00。", err.Error()}
	}
	for field, to := range map[string]*contact.Micros{"from": &g.From, "until": &g.Until} {
		if v := r.Get(field); v != "" {
			at, err := instant(v, zone)
			if err != nil {
				return s, &Reject{r.Row, field, "日期应写作 2026-11-23 或 2026-11-23 10:00:00。", "must be a date such as 2026-11-23 or 2026-11-23 10:00:00."}
			}
			*to = db.Micros(at)
		}
	}
	return s, nil
}

// minute reads a time of day, up to 24:00.
func minute(v string) (int, bool) {
	if v == "24:00" {
		return 24 * 60, true
	}
	t, err := time.Parse("15:04", v)
	return t.Hour()*60 + t.Minute(), err == nil
}

// instant reads a day or a moment. A bare number between 1954 and 2119 is what
// XLSX stores for a date: days since 1899-12-30 (ECMA-376 part 1, 18.17.4.1).
func instant(v string, zone *time.Location) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.DateTime, "2006/1/2", time.RFC3339} {
		if t, err := time.ParseInLocation(layout, v, zone); err == nil {
			return t, nil
		}
	}
	if n, err := strconv.ParseFloat(v, 64); err == nil && n >= 20_000 && n < 80_000 {
		day := int(n)
		return time.Date(1899, 12, 30+day, 0, 0, int(math.Round((n-float64(day))*86400)), 0, zone), nil
	}
	return time.Time{}, fmt.Errorf("%q is not a date", v)
}

// each calls fn for every entry of a list written with commas, semicolons or blanks.
func each(list string, fn func(string) error) error {
	for _, n := range strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(",;、， |", r) }) {
		if err := fn(n); err != nil {
			return err
		}
	}
	return nil
}

// write records what was said, in the order of the file where it is about the
// same customer: a grant before a withdrawal is withdrawn, one after it is not.
func write(ctx context.Context, tx *db.Tx, people *party.Store, s *consent.Store, said []statement, by string) ([]Reject, error) {
	refs := make([]string, len(said))
	for i := range said {
		refs[i] = said[i].ref
	}
	ids, err := people.IDs(ctx, tx, refs)
	if err != nil {
		return nil, err
	}
	var rejects []Reject
	var grants []consent.PartyGrant
	waiting := map[contact.ID]bool{} // customers with a grant in grants
	flush := func() error {
		err := s.GrantMany(ctx, tx, grants, by)
		grants = nil
		clear(waiting)
		return err
	}
	for _, st := range said {
		id, ok := ids[st.ref]
		if !ok {
			rejects = append(rejects, Reject{st.row, "ref", "没有客户号为 " + st.ref + " 的客户，请先导入客户。", "There is no customer " + st.ref + "; import the customers first."})
			continue
		}
		if st.kind == "" {
			if err := consent.CheckGrant(st.grant, tx.At()); err != nil {
				e := errs.Public(err)
				rejects = append(rejects, Reject{st.row, "", e.Zh, e.En})
				continue
			}
			grants = append(grants, consent.PartyGrant{Party: id, Grant: st.grant})
			waiting[id] = true
			continue
		}
		if waiting[id] {
			if err := flush(); err != nil {
				return nil, err
			}
		}
		g := st.grant
		_, err := s.Stop(ctx, tx, id, contact.Stop{Kind: st.kind, Purposes: g.Purposes, Channels: g.Channels, At: g.From, Until: g.Until, Source: "import"}, by)
		if errors.Is(err, consent.ErrStop) { // said before anything was written
			e := errs.Public(err)
			rejects = append(rejects, Reject{st.row, "", e.Zh, e.En})
		} else if err != nil {
			return nil, err
		}
	}
	return rejects, flush()
}
