package consent_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/internal/consent"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/ledger"
)

func logbook(t testing.TB, d *db.DB) *ledger.Log {
	t.Helper()
	key, err := ledger.NewKey("test.example/log")
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(ctx, d, ledger.Options{Origin: "test.example/log", Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestEveryEventIsInTheLedger(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := consent.NewStore(d, nil)
		p := contact.NewID()
		notice := consent.NoticeHash("text")
		want := map[string]contact.ID{}
		write(t, d, func(tx *db.Tx) error {
			g, err := s.Grant(ctx, tx, p, contact.Grant{Ground: contact.Consent, Purposes: marketing, Notice: notice}, "branch")
			if err != nil {
				return err
			}
			want["consent.granted"] = g.ID
			for k, typ := range map[contact.StopKind]string{contact.Withdrawal: "consent.withdrawn", contact.Refusal: "contact.refused",
				contact.DoNotContact: "contact.blocked", contact.Hold: "hold.set"} {
				st, err := s.Stop(ctx, tx, p, contact.Stop{Kind: k, Source: "portal"}, "x")
				if err != nil {
					return err
				}
				want[typ] = st.ID
			}
			want["stop.lifted"] = want["hold.set"]
			return s.Lift(ctx, tx, p, want["hold.set"], "li", "张小明 called")
		})
		recs, err := logbook(t, d).Recent(ctx, 100)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]contact.ID{}
		for _, r := range recs {
			got[r.Type] = r.ID
			if !bytes.Contains(r.Record, []byte(p)) {
				t.Errorf("%s does not say whose it is: %s", r.Type, r.Record)
			}
			if bytes.Contains(r.Record, []byte("张")) {
				t.Errorf("%s holds free text: %s", r.Type, r.Record)
			}
			if r.Type == "consent.granted" && !bytes.Contains(r.Record, []byte(`"sha256":"`+notice+`"`)) {
				t.Errorf("the grant does not cite its notice: %s", r.Record)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func bank() consent.Controller {
	return consent.Controller{
		Name: "示例银行", Identifier: "91110000EXAMPLE", Contact: "个人信息保护负责人", Address: "北京市西城区示例街1号",
		Jurisdiction: "CN", Storage: "中国境内，合同结束后五年删除", Withdraw: "按9、回复退订、网上银行或致电95000",
	}
}

// The fields ISO/IEC TS 27560 makes mandatory (cardinality 1 or 1..*) are all there and not empty.
func TestExport27560HasTheMandatoryFields(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := consent.NewStore(d, nil)
		p := contact.NewID()
		var g contact.Grant
		var out []byte
		write(t, d, func(tx *db.Tx) (err error) {
			h, err := s.PutNotice(ctx, tx, consent.Notice{Version: "2026-03", Lang: "zh-CN", Text: "我们将向您介绍……"})
			if err != nil {
				return err
			}
			if g, err = s.Grant(ctx, tx, p, contact.Grant{Ground: contact.Consent, Purposes: marketing, Channels: voice, Max: 2, Days: 30, Notice: h, How: "app"}, "app"); err != nil {
				return err
			}
			if _, err := s.Export27560(ctx, tx, p, g.ID); !errors.Is(err, consent.ErrController) {
				t.Errorf("exported without a controller: %v", err)
			}
			return nil
		})
		s.Controller = bank()
		write(t, d, func(tx *db.Tx) (err error) {
			if _, err := s.Stop(ctx, tx, p, contact.Stop{Kind: contact.Withdrawal, GrantID: g.ID, Source: "key9"}, "key9"); err != nil {
				return err
			}
			if _, err := s.Export27560(ctx, tx, p, "none"); !errors.Is(err, consent.ErrNoGrant) {
				t.Errorf("exported a grant that is not there: %v", err)
			}
			out, err = s.Export27560(ctx, tx, p, g.ID)
			return err
		})
		var doc any
		if err := json.Unmarshal(out, &doc); err != nil {
			t.Fatal(err)
		}
		for _, path := range [][]any{
			{"record_metadata", "schema_version"}, {"record_metadata", "record_id"}, {"record_metadata", "pii_principal_id"},
			{"privacy_notice", "sha256"}, {"privacy_notice", "language"},
			{"pii_processing", "purposes", 0, "purpose"}, {"pii_processing", "purposes", 0, "purpose_type"},
			{"pii_processing", "personal_data", 0, "pii"}, {"pii_processing", "personal_data", 0, "pii_type"},
			{"pii_processing", "storage_conditions"}, {"pii_processing", "pii_controllers", 0}, {"pii_processing", "recipients", 0},
			{"pii_processing", "withdrawal_method"}, {"pii_processing", "jurisdiction", 0}, {"pii_processing", "rights", 0},
			{"party_identification", 0, "party_name"}, {"party_identification", 0, "party_id"}, {"party_identification", 0, "party_role"},
			{"party_identification", 0, "party_contact"}, {"party_identification", 0, "party_address"},
			{"consent_events", 0, "consent_type"}, {"consent_events", 0, "event_state"}, {"consent_events", 0, "event_time"},
			{"consent_events", 0, "validity_duration"}, {"consent_events", 0, "entity_expressed"},
			{"x_parley", "channels", 0}, {"x_parley", "max_contacts"}, {"x_parley", "in_days"},
		} {
			if v := at(doc, path); v == nil || v == "" {
				t.Errorf("%v is missing in %s", path, out)
			}
		}
		if given, withdrawn := at(doc, []any{"consent_events", 0, "event_state"}), at(doc, []any{"consent_events", 1, "event_state"}); given != "given" || withdrawn != "withdrawn" {
			t.Errorf("states %v, %v", given, withdrawn)
		}
	})
}

// at follows keys and indexes into decoded JSON; nil if the way ends early.
func at(v any, path []any) any {
	for _, step := range path {
		switch s := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[s]
		case int:
			l, _ := v.([]any)
			if s >= len(l) {
				return nil
			}
			v = l[s]
		}
	}
	return v
}
