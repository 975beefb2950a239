package access

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"parley/internal/db"
)

const back = "http://parley.test/signin/oidc/back"

// directory is the provider's list of people, with what a bank's provider says
// of them besides.
type directory struct {
	*storage.Storage
	say map[string]map[string]any // subject → claims
}

func (d *directory) SetUserinfoFromRequest(ctx context.Context, u *oidc.UserInfo, r op.IDTokenRequest, scopes []string) error {
	defer d.add(u, r.GetSubject())
	return d.Storage.SetUserinfoFromRequest(ctx, u, r, scopes)
}

func (d *directory) SetUserinfoFromToken(ctx context.Context, u *oidc.UserInfo, tokenID, subject, origin string) error {
	defer d.add(u, subject)
	return d.Storage.SetUserinfoFromToken(ctx, u, tokenID, subject, origin)
}

func (d *directory) add(u *oidc.UserInfo, subject string) {
	for k, v := range d.say[subject] {
		u.AppendClaims(k, v)
	}
}

// provider starts the example provider of zitadel/oidc, which we did not write.
func provider(t *testing.T, say map[string]map[string]any) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	issuer := "http://" + strings.Replace(l.Addr().String(), "127.0.0.1", "localhost", 1) + "/"
	d := &directory{Storage: storage.NewStorage(storage.NewUserStore(issuer)), say: say}
	srv := &httptest.Server{Listener: l, Config: &http.Server{Handler: exampleop.SetupServer(issuer, d, slog.New(slog.DiscardHandler), false)}}
	srv.Start()
	t.Cleanup(srv.Close)
	return issuer
}

// walk follows the browser's way through the provider's sign-in and gives what
// it brings back.
func walk(t *testing.T, address, user string) url.Values {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	var home url.Values
	browser := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), back) {
			home = r.URL.Query()
			return http.ErrUseLastResponse
		}
		return nil
	}}
	page, err := browser.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	page.Body.Close()
	id := page.Request.URL.Query().Get("authRequestID")
	done, err := browser.PostForm(page.Request.URL.ResolveReference(&url.URL{Path: "/login/username"}).String(),
		url.Values{"id": {id}, "username": {user}, "password": {"verysecure"}})
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(done.Body)
	done.Body.Close()
	if home == nil {
		t.Fatalf("the provider does not send the browser back: %d %s", done.StatusCode, body)
	}
	return home
}

// OpenID Connect Core 1.0 against a provider we did not write: PKCE, state and
// nonce bind the answer; roles come from a claim; two accounts with one staff
// number are one person (ASVS 5.0 10.1.2, 10.2.1, 10.5.1, 10.5.3, 10.5.4).
func TestOIDC(t *testing.T) { //nolint:paralleltest // the provider's clients are one map for the whole process
	storage.RegisterClients(storage.WebClient("parley", "secret", back))
	say := map[string]map[string]any{
		"id1": {"groups": []string{"cards", "complaints"}, "staff": map[string]any{"number": "10086"}},
		"id2": {"groups": []string{"cards"}},
	}
	issuer := provider(t, say)
	const user1, user2 = "test-user@localhost", "test-user2"
	each(t, func(t *testing.T, s *Store, c *handClock) {
		ctx := context.Background()
		o := &OIDC{Issuer: issuer, ClientID: "parley", Secret: "secret", Redirect: back, Scopes: []string{"profile", "email"},
			RoleClaim: "groups", Roles: map[string]Role{"complaints": Handler}, NumberClaim: "staff.number", Second: true}
		s.Options.OIDC, s.Options.Must = o, Roles()
		sign := func(user string, mend func(v url.Values)) (Back, error) {
			token, address, err := s.AskOIDC(ctx, "/complaints", "")
			if err != nil {
				t.Fatal(err)
			}
			q, _ := url.Parse(address)
			if v := q.Query(); v.Get("code_challenge_method") != "S256" || v.Get("state") == "" || v.Get("nonce") == "" {
				t.Fatalf("the question is not bound: %v", v)
			}
			v := walk(t, address, user)
			if mend != nil {
				mend(v)
			}
			return s.AnswerOIDC(ctx, token, v.Get("state"), v.Get("code"), "Chrome")
		}
		b, err := sign(user1, nil)
		if err != nil || b.Step != StepIn || b.Next != "/complaints" || !b.Staff.May(HandleComplaint) || b.Staff.Number != "10086" {
			t.Fatalf("%+v %v", b, err)
		}
		if st, err := s.Session(ctx, b.Token); err != nil || st.ID != b.Staff.ID {
			t.Fatal(err)
		}
		if again, err := sign(user1, nil); err != nil || again.Staff.ID != b.Staff.ID {
			t.Fatalf("a second account for the same subject: %+v %v", again, err)
		}
		if _, err := sign(user2, nil); !errors.Is(err, errOIDCNoRole) {
			t.Fatalf("somebody without a role enters: %v", err)
		}
		if _, err := sign(user1, func(v url.Values) { v.Set("state", "forged") }); !errors.Is(err, ErrOIDC) {
			t.Fatalf("a forged state: %v", err)
		}
		if _, err := sign(user1, func(v url.Values) { v.Set("code", "forged") }); !errors.Is(err, ErrOIDC) {
			t.Fatalf("a forged code: %v", err)
		}
		// The code of another question: PKCE and nonce do not fit.
		_, elsewhere, err := s.AskOIDC(ctx, "/", "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sign(user1, func(v url.Values) { v.Set("code", walk(t, elsewhere, user1).Get("code")) }); !errors.Is(err, ErrOIDC) {
			t.Fatalf("a code of another question: %v", err)
		}
		token, address, err := s.AskOIDC(ctx, "/", "")
		if err != nil {
			t.Fatal(err)
		}
		v := walk(t, address, user1)
		if _, err := s.AnswerOIDC(ctx, token, v.Get("state"), v.Get("code"), ""); err != nil {
			t.Fatal(err)
		}
		if _, err := s.AnswerOIDC(ctx, token, v.Get("state"), v.Get("code"), ""); !errors.Is(err, ErrPending) {
			t.Fatalf("an answer is taken twice: %v", err)
		}
		// A local account of the same human has the same staff number: one pair of eyes.
		local, err := s.AddStaff(ctx, Staff{Login: "li", Name: "李", Roles: []Role{ComplaintApprover}, Number: "10086"}, secret)
		if err != nil || local.Person() != b.Staff.Person() {
			t.Fatalf("%q %q %v", local.Person(), b.Staff.Person(), err)
		}
		// Roles follow the provider at the next sign-in; a closed account stays closed.
		o.Roles = map[string]Role{"cards": CampaignManager}
		if b, err = sign(user1, nil); err != nil || b.Staff.May(HandleComplaint) || !b.Staff.May(EditCampaign) {
			t.Fatalf("%+v %v", b, err)
		}
		if err := s.Disable(ctx, b.Staff.ID, local.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := sign(user1, nil); !errors.Is(err, ErrOIDC) {
			t.Fatalf("a closed account enters through the provider: %v", err)
		}
		// An account whose name the provider's user happens to have is not his.
		if _, err := s.AddStaff(ctx, Staff{Login: user2, Roles: []Role{Admin}}, secret); err != nil {
			t.Fatal(err)
		}
		if _, err := sign(user2, nil); !errors.Is(err, errOIDCTaken) {
			t.Fatalf("a name taken at the provider opens another's account: %v", err)
		}
	})
}

// Without a role claim the provider only says who somebody is: the account is
// made here and connected by its holder, and second factors are asked for here
// where the provider does not.
func TestOIDCConnects(t *testing.T) { //nolint:paralleltest // as above
	storage.RegisterClients(storage.WebClient("parley", "secret", back))
	issuer := provider(t, nil)
	each(t, func(t *testing.T, s *Store, c *handClock) {
		ctx := context.Background()
		s.Options.OIDC = &OIDC{Issuer: issuer, ClientID: "parley", Secret: "secret", Redirect: back, Scopes: []string{"profile"}}
		s.Options.Must = []Role{Handler}
		st := add(t, s, "li", Handler)
		trip := func(link string) (Back, error) {
			token, address, err := s.AskOIDC(ctx, "/account", link)
			if err != nil {
				t.Fatal(err)
			}
			v := walk(t, address, "test-user2")
			return s.AnswerOIDC(ctx, token, v.Get("state"), v.Get("code"), "")
		}
		if _, err := trip(""); !errors.Is(err, errOIDCUnknown) {
			t.Fatalf("an unknown subject enters: %v", err)
		}
		if b, err := trip(st.ID); err != nil || !b.Linked || b.Token != "" {
			t.Fatalf("%+v %v", b, err)
		}
		if b, err := trip(""); err != nil || b.Staff.ID != st.ID || b.Step != StepEnrol {
			t.Fatalf("%+v %v, want the second factor to be asked for here", b, err)
		}
		other := add(t, s, "wang", Handler)
		if _, err := trip(other.ID); !errors.Is(err, errOIDCLinked) {
			t.Fatalf("one identity, two accounts: %v", err)
		}
		var n int
		if err := s.db.Read(ctx, func(tx *db.Tx) error {
			return tx.QueryRow(ctx, "SELECT count(*) FROM staff_identity").Scan(&n)
		}); err != nil || n != 1 {
			t.Fatal(n, err)
		}
	})
}
