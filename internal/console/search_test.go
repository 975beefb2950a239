package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"parley/internal/complaint"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/party"
)

// search: one box finds whatever the reader may see, by id, number, telephone,
// whole name, case number and words of a case, and nothing else.
func (b *bank) search(t *testing.T, call, who contact.ID) {
	var p *party.Party
	var k *complaint.Case
	err := b.DB.Write(t.Context(), func(tx *db.Tx) (err error) {
		if p, err = b.Party.Get(t.Context(), tx, who); err != nil {
			return err
		}
		k, err = b.Complaints.Open(t.Context(), tx, complaint.Intake{Source: "staff", Party: who, Lang: "zh-CN", Subject: "利率说明与合同 100% 不一致", Words: "客户的话"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	m, err := b.Campaigns.Get(t.Context(), b.campaigns(t)[0])
	if err != nil {
		t.Fatal(err)
	}
	pt, _ := p.Point(party.Phone)
	customer, kase, contacts, camp := "/customers/"+who+`"`, "/complaints/"+k.ID+`"`, "/contacts/"+call, "/campaigns/"+m.ID+`"`
	for _, c := range []struct{ as, q, shows, lacks string }{
		{"chen", p.Ref, customer, ""}, {"chen", pt.Value, customer, ""}, {"chen", " " + pt.Value[:4] + "-" + pt.Value[4:], customer, ""},
		{"chen", p.Name, customer, ""}, {"chen", k.Number, kase, ""}, {"chen", "利率说明", kase, ""}, {"chen", "100% 不", kase, ""},
		{"chen", string([]rune(m.Name)[:3]), camp, ""}, {"chen", pt.Value, kase, ""},
		// Those whose role does not open a page do not find what is on it.
		{"li", p.Ref, "", customer}, {"li", pt.Value, "", customer}, {"li", p.Name, "", customer}, {"li", "利率说明", "", kase},
		{"wang", p.Ref, customer, kase}, {"qian", p.Ref, "", customer}, {"qian", m.Name, "", camp},
		// A percent sign is a character, not "anything".
		{"chen", "100%不", "", kase}, {"chen", "%", kase, ""}, {"chen", "_率说明", "", kase},
	} {
		page := b.as(t, c.as, "zh").post("/search", url.Values{"q": {c.q}}, http.StatusOK)
		if c.shows != "" && !strings.Contains(page, c.shows) && !strings.Contains(page, c.shows[:len(c.shows)-1]) {
			t.Errorf("%s looks for %q and does not find %s", c.as, c.q, c.shows)
		}
		if c.lacks != "" && strings.Contains(page, c.lacks) {
			t.Errorf("%s looks for %q and finds %s", c.as, c.q, c.lacks)
		}
		if c.q != p.Name && strings.Contains(page, p.Name) {
			t.Errorf("%q shows a customer's whole name", c.q)
		}
	}
	// What is found alone is opened; its id may stand in an address.
	for _, c := range []struct{ as, q, at string }{{"chen", call, contacts}, {"chen", who, "/customers/" + who}, {"li", m.ID, "/campaigns/" + m.ID}, {"zhao", k.ID, "/complaints/" + k.ID}} {
		r := b.as(t, c.as, "zh")
		r.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+"/search", strings.NewReader(url.Values{"q": {c.q}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err := r.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if to := res.Header.Get("Location"); to != c.at {
			t.Errorf("%s looks for %q and is led to %q (%d)", c.as, c.q, to, res.StatusCode)
		}
	}
	if page := b.as(t, "chen", "en").get("/search?q="+url.QueryEscape(pt.Value), http.StatusOK); strings.Contains(page, customer) {
		t.Error("a search can stand in an address")
	}
}
