package roster

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/internal/consent"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/party"
)

var shanghai = time.FixedZone("CST", 8*3600)

// known imports customers A1 to A3.
func known(t testing.TB, d *db.DB) *party.Store {
	t.Helper()
	s := people(t, d)
	if _, err := Customers(t.Context(), d, s, Options{Path: file(t, "c.csv", "ref,name\nA1,一\nA2,二\nA3,三\n")}); err != nil {
		t.Fatal(err)
	}
	return s
}

func standing(t testing.TB, d *db.DB, s *party.Store, cs *consent.Store, ref string) contact.Standing {
	t.Helper()
	id := byRef(t, d, s, ref).ID
	var all map[contact.ID]contact.Standing
	if err := d.Read(context.Background(), func(tx *db.Tx) (err error) {
		all, err = cs.Load(context.Background(), tx, []contact.ID{id}, false)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return all[id]
}

func TestConsentsFromEveryForm(t *testing.T) {
	t.Parallel()
	const text = "ref;kind;purposes;channels;products;max;days;hours;from;until;how\n" +
		"A1;;marketing service;voice;卡,贷;2;30;18:00-20:00 09:00-24:00;2026-01-02;2030-01-01 10:00:00;柜面\n" +
		"A2;do_not_contact;;;;;;;;;\n"
	forms := map[string]func(t *testing.T) string{
		"utf-8":   func(t *testing.T) string { return file(t, "a.csv", text) },
		"bom":     func(t *testing.T) string { return file(t, "a.csv", "\xef\xbb\xbf"+text) },
		"gb18030": func(t *testing.T) string { return file(t, "a.csv", gb(t, text)) },
		"tab":     func(t *testing.T) string { return file(t, "a.csv", strings.ReplaceAll(text, ";", "\t")) },
		"comma": func(t *testing.T) string {
			return file(t, "a.csv", strings.ReplaceAll(strings.ReplaceAll(text, "卡,贷", "卡|贷"), ";", ","))
		},
		"xlsx": func(t *testing.T) string { // real dates, as spreadsheets keep them
			return workbook(t, []any{"ref", "kind", "purposes", "channels", "products", "max", "days", "hours", "from", "until", "how"},
				[]any{"A1", "", "marketing service", "voice", "卡,贷", 2, 30, "18:00-20:00 09:00-24:00", time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), time.Date(2030, 1, 1, 10, 0, 0, 0, time.UTC), "柜面"},
				[]any{"A2", "do_not_contact"})
		},
	}
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dbtest.Each(t, func(t *testing.T, d *db.DB) {
				s, cs := known(t, d), consent.NewStore(d, nil)
				res, err := Consents(t.Context(), d, s, cs, shanghai, Options{Path: form(t)})
				if err != nil || res.Rows != 2 || res.Rejected != 0 {
					t.Fatalf("%+v, %v", res, err)
				}
				st := standing(t, d, s, cs, "A1")
				if len(st.Grants) != 1 || len(st.Stops) != 0 {
					t.Fatalf("%+v", st)
				}
				g := st.Grants[0]
				if g.Ground != contact.Consent || g.Purposes != contact.PurposeSet(contact.Marketing, contact.Service) || g.Channels != contact.ChannelSet(contact.Voice) ||
					!slices.Equal(g.Products, []string{"卡", "贷"}) || g.Max != 2 || g.Days != 30 || g.How != "柜面" ||
					!slices.Equal(g.Hours, []contact.Hours{{From: 1080, To: 1200}, {From: 540, To: 1440}}) ||
					g.From != db.Micros(time.Date(2026, 1, 2, 0, 0, 0, 0, shanghai)) || g.Until != db.Micros(time.Date(2030, 1, 1, 10, 0, 0, 0, shanghai)) {
					t.Errorf("%+v", g)
				}
				if st := standing(t, d, s, cs, "A2"); len(st.Stops) != 1 || st.Stops[0].Kind != contact.DoNotContact {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}

func TestConsentRejects(t *testing.T) {
	t.Parallel()
	rows := []struct{ row, reject string }{
		{",,marketing,,,,,", "2 ref"},
		{"A9,,marketing,,,,,", "3 ref"}, // no such customer
		{"A1,maybe,marketing,,,,,", "4 kind"},
		{"A1,,selling,,,,,", "5 purposes"},
		{"A1,,,,,,,", "6 purposes"}, // a consent to nothing
		{"A1,,marketing,pigeon,,,,", "7 channels"},
		{"A1,,marketing,,,25:00-26:00,,", "8 hours"},
		{"A1,,marketing,,,18:00-20:00x,,", "9 hours"},
		{"A1,,marketing,,,,next week,", "10 from"},
		{"A1,,marketing,,,,,2026-13-01", "11 until"},
		{"A1,,marketing,,-1,,,", "12 max"},
		{"A1,,marketing,,2,,,", "13"},                      // a cap without days
		{"A1,,marketing,,,,2026-02-01,2026-01-01", "14"},   // ends before it begins
		{"A1,do_not_contact,,,,,,2001-01-01", "15"},        // a stop that is over
		{"A1,withdrawal,marketing,,,,2999-01-01,", "16"},   // and one to come
		{"A1,,marketing,,,,2026-01-01,2026-01-01,x", "17"}, // too many cells
	}
	text := "ref,kind,purposes,channels,max,hours,from,until\n"
	var want []string
	for _, r := range rows {
		text += r.row + "\n"
		want = append(want, r.reject)
	}
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, cs := known(t, d), consent.NewStore(d, nil)
		res, err := Consents(t.Context(), d, s, cs, shanghai, Options{Path: file(t, "in.csv", text+"A3,,marketing,,,,,\n")})
		if err != nil || res.Rejected != int64(len(rows)) {
			t.Fatalf("%+v, %v", res, err)
		}
		got := rejected(t, res.Rejects)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("rejects %q, want %q", got, want)
		}
		if st := standing(t, d, s, cs, "A1"); len(st.Grants)+len(st.Stops) != 0 {
			t.Errorf("a rejected row counts: %+v", st)
		}
		if st := standing(t, d, s, cs, "A3"); len(st.Grants) != 1 {
			t.Errorf("the good row: %+v", st)
		}
	})
}

// TestConsentsKeepTheOrderOfTheFile: what was taken back after it was given is
// not in force; what was given after a refusal is the later word.
func TestConsentsKeepTheOrderOfTheFile(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, cs := known(t, d), consent.NewStore(d, nil)
		_, err := Consents(t.Context(), d, s, cs, shanghai, Options{Path: file(t, "in.csv",
			"ref,kind,purposes\nA1,,marketing\nA2,withdrawal,marketing\nA1,withdrawal,marketing\nA2,,marketing\n")})
		if err != nil {
			t.Fatal(err)
		}
		kinds := func(ref string) (out []consent.EventKind) {
			var es []consent.Event
			id := byRef(t, d, s, ref).ID
			if err := d.Read(t.Context(), func(tx *db.Tx) (err error) { es, err = cs.History(t.Context(), tx, id); return err }); err != nil {
				t.Fatal(err)
			}
			for _, e := range es {
				out = append(out, e.Kind)
			}
			return out
		}
		if got := kinds("A1"); !slices.Equal(got, []consent.EventKind{consent.Granted, consent.Stopped}) {
			t.Errorf("A1: %v", got)
		}
		if got := kinds("A2"); !slices.Equal(got, []consent.EventKind{consent.Stopped, consent.Granted}) {
			t.Errorf("A2: %v", got)
		}
	})
}
