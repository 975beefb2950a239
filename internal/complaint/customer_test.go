package complaint_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"parley/internal/complaint"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
)

func (b *bank) web(t *testing.T, in complaint.Intake) *complaint.Case {
	t.Helper()
	in.Source = "web"
	var c *complaint.Case
	if err := b.db.Write(context.Background(), func(tx *db.Tx) (err error) {
		c, err = b.Open(context.Background(), tx, in)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return c
}

// A typed number holds nobody's marketing; shown to be the complainant's, it does.
func TestAClaimHoldsNothingUntilItIsProven(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		ctx := context.Background()
		held := func(want int) {
			t.Helper()
			if err := b.db.Read(ctx, func(tx *db.Tx) error {
				all, err := b.consent.Load(ctx, tx, []contact.ID{b.party}, false)
				if n := len(all[b.party].Stops); n != want {
					t.Errorf("%d stops, want %d", n, want)
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		c := b.web(t, complaint.Intake{Party: b.party, Claimed: true, Words: "不要再打"})
		held(0)
		if cs, err := b.ByCustomer(ctx, b.party, 10); err != nil || len(cs) != 0 {
			t.Errorf("what a stranger filed is listed as the customer's: %v %v", cs, err)
		}
		if _, err := b.Prove(ctx, c.ID, contact.NewID(), "customer", "code_call"); code(err) != "not_the_number" {
			t.Errorf("another number proves it: %v", err)
		}
		got, err := b.Prove(ctx, c.ID, b.party, "customer", "code_call")
		if err != nil || !got.Proven || got.Hold == "" || got.Cause == nil {
			t.Fatalf("%+v %v", got, err)
		}
		held(1)
		if _, err := b.Prove(ctx, c.ID, b.party, "customer", "code_call"); err != nil {
			t.Errorf("proving twice: %v", err)
		}
		held(1)
		if cs, err := b.ByCustomer(ctx, b.party, 10); err != nil || len(cs) != 1 || cs[0].ID != c.ID {
			t.Errorf("%v %v", cs, err)
		}
		if _, err := b.WithdrawCase(ctx, c.ID); err != nil {
			t.Fatal(err)
		}
		held(0)
		nobody := b.web(t, complaint.Intake{Claimed: true, Words: "没有写号码"})
		if _, err := b.Prove(ctx, nobody.ID, b.party, "customer", "code_mail"); err != nil {
			t.Errorf("a complaint without a number cannot be taken for one's own: %v", err)
		}
	})
}

func TestNumberAndQueryCode(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		ctx := context.Background()
		c := b.web(t, complaint.Intake{Claimed: true, Words: "吵"})
		q := c.QueryCode()
		for _, ok := range []string{q, strings.ToLower(q), strings.ReplaceAll(q, "-", " ")} {
			if got, err := b.ByNumberAndCode(ctx, " "+c.Number+" ", ok); err != nil || got.ID != c.ID {
				t.Errorf("%q: %v", ok, err)
			}
		}
		for _, bad := range []string{"", "AAAA-AAAA", q[:8], q + "A", c.Token} {
			if _, err := b.ByNumberAndCode(ctx, c.Number, bad); code(err) != "case_code_wrong" {
				t.Errorf("%q opens it: %v", bad, err)
			}
		}
		if _, err := b.ByNumberAndCode(ctx, "2026-999999", q); code(err) != "case_code_wrong" {
			t.Errorf("%v", err)
		}
	})
}

func TestAttachmentsAndRating(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		ctx := context.Background()
		files := []complaint.Attachment{{Name: "截图.png", Media: "image/png", Size: 7, SHA256: strings.Repeat("ab", 32)}}
		c := b.web(t, complaint.Intake{Party: b.party, Words: "见附件", Files: files})
		f, err := b.Get(ctx, c.ID)
		if err != nil || len(f.Files) != 1 || f.Files[0].Name != "截图.png" {
			t.Fatalf("%+v %v", f.Files, err)
		}
		if a, err := b.Attachment(ctx, c.ID, f.Files[0].ID); err != nil || a.SHA256 != files[0].SHA256 {
			t.Errorf("%+v %v", a, err)
		}
		if _, err := b.Attachment(ctx, contact.NewID(), f.Files[0].ID); code(err) != "no_such_attachment" {
			t.Errorf("another case opens it: %v", err)
		}
		err = b.db.Write(ctx, func(tx *db.Tx) error {
			_, err := b.Open(ctx, tx, complaint.Intake{Source: "web", Words: "x", Files: make([]complaint.Attachment, 11)})
			return err
		})
		if code(err) != "too_many_files" {
			t.Errorf("eleven files: %v", err)
		}
		if err := b.Rate(ctx, c.ID, 5, ""); code(err) != "rate_early" {
			t.Errorf("rated before the answer: %v", err)
		}
		if err := b.Rate(ctx, c.ID, 6, ""); !errors.Is(err, errs.New(errs.Invalid, "rating", "", "")) {
			t.Errorf("six of five: %v", err)
		}
	})
}
