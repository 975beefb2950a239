// Package approvaltest opens the four-eyes room for tests of other rooms.
package approvaltest

import (
	"context"
	"path/filepath"
	"testing"

	"parley/internal/approval"
	"parley/internal/db"
	"parley/internal/party"
)

// Plain is a bank in which every account is a person of its own and may decide
// anything that he had no hand in: what is tested is the other room.
type Plain struct{}

// Person gives the account itself.
func (Plain) Person(_ context.Context, _ *db.Tx, account string) (string, error) { return account, nil }

// May is true.
func (Plain) May(context.Context, *db.Tx, string, string) (bool, error) { return true, nil }

// Keys makes a keyring that lives as long as the test.
func Keys(t testing.TB) *party.Keyring {
	t.Helper()
	k, err := party.OpenKeyring(filepath.Join(t.TempDir(), "keys"), true)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Open opens the room on d for the people of Plain.
func Open(t testing.TB, d *db.DB) *approval.Store {
	t.Helper()
	return approval.New(d, Plain{}, Keys(t))
}
