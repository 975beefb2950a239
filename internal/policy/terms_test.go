package policy_test

import (
	"testing"
	"time"

	"parley/internal/policy"
	"parley/packs"
)

// TestComplaintTerms: the desk's deadlines are the packs': 15, 30 and 60 days in
// China (投诉管理办法 18), a review within 30; eight weeks in the UK (DISP 1.6.2R).
func TestComplaintTerms(t *testing.T) {
	t.Parallel()
	now := at("2026-11-23T10:00:00+08:00")
	terms, ok := cn(t).ComplaintTerms(now, nil)
	if !ok || len(terms.Answer) != 3 {
		t.Fatalf("%+v", terms)
	}
	for i, want := range []struct{ rule, within, extends, due string }{
		{"CN-CMP-15", "15 days", "", "2026-12-08"}, {"CN-CMP-30", "30 days", "CN-CMP-15", "2026-12-23"}, {"CN-CMP-60", "60 days", "CN-CMP-30", "2027-01-22"},
	} {
		x := terms.Answer[i]
		due := x.DueFrom(now, time.FixedZone("CST", 8*3600)).Format("2006-01-02")
		if x.Rule != want.rule || x.Within.String() != want.within || x.Extends != want.extends || due != want.due || x.Zh == "" {
			t.Errorf("%+v due %s, want %+v", x, due, want)
		}
	}
	if x := terms.Answer[2]; x.Approver != "upper_institution" || !x.TellBefore {
		t.Errorf("%+v", x)
	}
	if terms.Review.Rule != "CN-CMP-REV" || terms.Ask.Within.N != 30 {
		t.Errorf("%+v", terms)
	}
	uk, err := policy.LoadFS(packs.All, "uk")
	if err != nil {
		t.Fatal(err)
	}
	terms = policy.TermsOf(uk, now, nil)
	if len(terms.Answer) != 1 || terms.Answer[0].Rule != "UK-FR-8W" || terms.Review.Rule != "CN-CMP-REV" {
		t.Errorf("%+v", terms)
	}
	us, err := policy.LoadFS(packs.All, "us")
	if err != nil {
		t.Fatal(err)
	}
	if terms = policy.TermsOf(us, now, nil); terms.Answer[0].Rule != "CN-CMP-15" { // it sets none for what a customer sends the bank
		t.Errorf("%+v", terms)
	}
}

// TestFirstContactTerms: a complainant in Beijing is contacted within one working
// day (CN-BJ-1WD); the rule, not the program, says where.
func TestFirstContactTerms(t *testing.T) {
	t.Parallel()
	now := at("2026-11-20T17:00:00+08:00") // a Friday
	set, err := policy.LoadFS(packs.FS)
	if err != nil {
		t.Fatal(err)
	}
	terms := policy.TermsOf(set, now, map[string]string{"region": "CN-BJ"})
	if len(terms.Contact) != 1 || terms.Contact[0].Rule != "CN-BJ-1WD" || terms.Contact[0].Days.Pin() != "CN 2026.1" {
		t.Fatalf("%+v", terms.Contact)
	}
	if due := terms.Contact[0].DueFrom(now, time.FixedZone("CST", 8*3600)); due.Format("2006-01-02 15:04:05.000000") != "2026-11-23 23:59:59.999999" {
		t.Errorf("due %s", due)
	}
	for _, region := range []string{"", "CN-SH", "北京"} {
		if terms := policy.TermsOf(set, now, map[string]string{"region": region}); len(terms.Contact) != 0 || len(terms.Answer) != 3 {
			t.Errorf("%s: %+v", region, terms)
		}
	}
	if terms := policy.TermsOf(nil, now, map[string]string{"region": "CN-BJ"}); len(terms.Contact) != 1 {
		t.Errorf("the packs that ship: %+v", terms.Contact)
	}
}

// TestExplainNamesTheGrade: the explanation of CN-CMP-60 says in both languages
// who must approve, in the words of the reading of the rule.
func TestExplainNamesTheGrade(t *testing.T) {
	t.Parallel()
	received := at("2026-11-23T10:00:00+08:00")
	v := cn(t).Review(&policy.Matter{About: policy.AboutComplaint, Now: received.Add(time.Hour), Attrs: map[string]string{"complexity": "special"},
		Events: map[string]int64{policy.EventReceived: received.UnixMicro()}})
	for lang, want := range map[string]string{"zh": "上级机构或总行高级管理人员", "en": "the upper institution or a senior manager of the head office"} {
		if policy.GradeWord("upper_institution", lang) != want || policy.GradeWord("board_of_ten", lang) != "board of ten" {
			t.Errorf("%s: %q, %q", lang, policy.GradeWord("upper_institution", lang), policy.GradeWord("board_of_ten", lang))
		}
		found := false
		var walk func(n policy.Node)
		walk = func(n policy.Node) {
			found = found || n.Text == want
			for _, c := range n.Nodes {
				walk(c)
			}
		}
		walk(cn(t).Tree(nil, v, lang))
		if !found {
			t.Errorf("%s: nobody reads who must approve", lang)
		}
	}
}
