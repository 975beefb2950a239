package apikey

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/db"
	"parley/internal/db/dbtest"
)

func ask(d *db.DB, scopes ...Scope) Key {
	return Key{Name: "催收外呼", Client: "city-dialer", Scopes: scopes, Expires: d.Now().Add(90 * 24 * time.Hour)}
}

// eachClock runs fn on each engine with a clock that fn moves, in microseconds.
func eachClock(t *testing.T, fn func(t *testing.T, d *db.DB, now *atomic.Int64)) {
	t.Helper()
	for _, engine := range dbtest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			var now atomic.Int64
			now.Store(time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC).UnixMicro())
			fn(t, dbtest.Open(t, dbtest.URL(t, engine), func() time.Time { return time.UnixMicro(now.Load()) }), &now)
		})
	}
}

// ASVS 5.0, 6.5.2 and 13.3.1: a secret is kept as a hash only, and shown once.
func TestKeyIsShownOnceAndKeptAsHash(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		s := NewStore(d)
		k, token, err := s.Create(ctx, ask(d, GateUse, GateRead), "admin")
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Check(ctx, token)
		if err != nil || got.ID != k.ID || !got.May(GateUse) || got.May(CustomersRead) {
			t.Fatalf("%+v, %v", got, err)
		}
		_, secret, _ := strings.Cut(strings.TrimPrefix(token, "parley_"), "_")
		var hash []byte
		var row string
		if err := d.Read(ctx, func(tx *db.Tx) error {
			return tx.QueryRow(ctx, "SELECT hash, id || prefix || name || client || scopes FROM api_key").Scan(&hash, &row)
		}); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(row, secret) || bytes.Contains(hash, []byte(secret)) || len(hash) != 32 {
			t.Error("the secret is in the database")
		}
		again, err := s.Get(ctx, k.ID)
		if err != nil || again.UsedAt.IsZero() || again.Prefix != k.Prefix {
			t.Errorf("after use: %+v, %v", again, err)
		}
		for _, bad := range []string{"", "parley_", token[:len(token)-1], token[:len(token)-1] + "!", "parley_aaaaaaaa_" + secret, secret} {
			if _, err := s.Check(ctx, bad); !errors.Is(err, ErrKey) {
				t.Errorf("%q: %v", bad, err)
			}
		}
	})
}

func TestRevokedExpiredAndWaitingKeysDoNotWork(t *testing.T) {
	t.Parallel()
	eachClock(t, func(t *testing.T, d *db.DB, now *atomic.Int64) {
		ctx := context.Background()
		s := NewStore(d)
		k, token, err := s.Create(ctx, ask(d, GateUse), "admin")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Check(ctx, token); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := s.Revoke(ctx, k.ID, "admin"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Check(ctx, token); !errors.Is(err, ErrKey) { // at once, although it was just seen
			t.Errorf("revoked: %v", err)
		}

		short := ask(d, GateUse)
		short.Expires = d.Now().Add(time.Hour)
		if _, token, err = s.Create(ctx, short, "admin"); err != nil {
			t.Fatal(err)
		}
		now.Store(short.Expires.Add(-time.Second).UnixMicro())
		if _, err := s.Check(ctx, token); err != nil {
			t.Errorf("a second before it expires: %v", err)
		}
		now.Store(short.Expires.UnixMicro())
		if _, err := s.Check(ctx, token); !errors.Is(err, ErrKey) { // although it was just seen
			t.Errorf("expired: %v", err)
		}

		wide, token, err := s.Create(ctx, ask(d, PersonalRead), "admin")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Check(ctx, token); !errors.Is(err, ErrKey) {
			t.Errorf("a wide key works without a second person: %v", err)
		}
		approve := func(by string) error {
			return d.Write(ctx, func(tx *db.Tx) error { return s.ApproveIn(ctx, tx, wide.ID, by) })
		}
		if err := approve("admin"); !errors.Is(err, ErrSelf) {
			t.Errorf("approved by its maker: %v", err)
		}
		if err := approve("other"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Check(ctx, token); err != nil {
			t.Errorf("approved: %v", err)
		}
	})
}

func TestBadKeysAreRefused(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		for want, change := range map[error]func(*Key){
			ErrScope: func(k *Key) { k.Scopes = []Scope{"all"} },
			ErrName:  func(k *Key) { k.Client = "City Dialer" },
			ErrLife:  func(k *Key) { k.Expires = d.Now().Add(MaxLife + time.Hour) },
			ErrRate:  func(k *Key) { k.Rate = -1 },
		} {
			k := ask(d, GateUse)
			change(&k)
			if _, _, err := NewStore(d).Create(context.Background(), k, "admin"); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}
	})
}

func TestListIsKeysetPaged(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		s := NewStore(d)
		var made []string
		for range 5 {
			k, _, err := s.Create(ctx, ask(d, GateUse), "admin")
			if err != nil {
				t.Fatal(err)
			}
			made = append([]string{k.ID}, made...)
		}
		var got []string
		for span := (db.Span{N: 2}); ; {
			read, err := s.List(ctx, span)
			if err != nil {
				t.Fatal(err)
			}
			page, _, after := db.Cut(read, span)
			for _, k := range page {
				got = append(got, k.ID)
			}
			if !after {
				break
			}
			span.At = page[1].ID
		}
		if strings.Join(got, " ") != strings.Join(made, " ") {
			t.Errorf("got %v, want %v", got, made)
		}
	})
}
