// Package frametest is the console's house for tests of its rooms: staff who have
// signed in, and the requests that their browsers make.
package frametest

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"parley/internal/access"
	"parley/internal/console/frame"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/httpx"
)

// House is a console on a database, without rooms until Serve adds them.
type House struct {
	T     testing.TB
	Staff *access.Store
	Frame *frame.Frame
	IDs   map[string]contact.ID // of the staff, by sign-in name
	Lang  string                // what browsers ask for; "" = nothing, so Chinese

	tokens map[string]string
	mux    *http.ServeMux
	pages  http.Handler
}

// New opens a house for staff, each by sign-in name; 员工 and the name is what
// pages call them.
func New(t testing.TB, d *db.DB, staff map[string][]access.Role) *House {
	t.Helper()
	in := &httpx.House{BankZh: "守约银行", BankEn: "Parley Bank", Zone: httpx.Shanghai(), Clock: d.Now, Log: slog.New(slog.DiscardHandler)}
	h := &House{T: t, Staff: access.NewStore(d), IDs: map[string]contact.ID{}, tokens: map[string]string{}, mux: http.NewServeMux()}
	h.Frame = frame.New(in, h.Staff)
	h.Frame.DB = d
	h.pages = in.Wrap(h.mux)
	for login, roles := range staff {
		st, err := h.Staff.AddStaff(t.Context(), access.Staff{Login: login, Name: "员工" + login, Roles: roles}, "")
		if err != nil {
			t.Fatal(err)
		}
		h.IDs[login] = st.ID
		h.Enter(login)
	}
	return h
}

// Enter signs somebody in, once more where the session has ended.
func (h *House) Enter(login string) {
	h.T.Helper()
	token, _, err := h.Staff.Enter(h.T.Context(), h.IDs[login])
	if err != nil {
		h.T.Fatal(err)
	}
	h.tokens[login] = token
}

// Serve adds a room.
func (h *House) Serve(routes []frame.Route) { h.Frame.Serve(h.mux, routes) }

// Send makes a request as somebody; "" has not signed in.
func (h *House) Send(as string, r *http.Request) *httptest.ResponseRecorder {
	h.T.Helper()
	if as != "" {
		if h.tokens[as] == "" {
			h.T.Fatalf("nobody here is called %q", as)
		}
		r.AddCookie(&http.Cookie{Name: "parley", Value: h.tokens[as]})
	}
	r.Header.Set("Accept", "text/html")
	if h.Lang != "" {
		r.Header.Set("Accept-Language", h.Lang)
	}
	w := httptest.NewRecorder()
	h.pages.ServeHTTP(w, r)
	return w
}

// Do asks for a page as somebody; a form makes it a POST. It gives the status,
// where the answer leads and what it shows. header is names and values.
func (h *House) Do(as, path string, form url.Values, header ...string) (code int, to, body string) {
	h.T.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if form != nil {
		r = httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := h.Send(as, r)
	return w.Code, w.Header().Get("Location"), w.Body.String()
}

// See asks for a page that is to be shown, with all that it must show.
func (h *House) See(as, path string, want ...string) string {
	h.T.Helper()
	return h.Want(as, http.StatusOK, path, nil, want...)
}

// Want asks for a page, or sends a form to it, and expects a status and what the
// answer must show.
func (h *House) Want(as string, status int, path string, form url.Values, want ...string) string {
	h.T.Helper()
	code, _, body := h.Do(as, path, form)
	if code != status {
		h.T.Fatalf("%s as %s: %d, want %d\n%s", path, as, code, status, body)
	}
	for _, s := range want {
		if !strings.Contains(body, s) {
			h.T.Errorf("%s as %s does not show %q:\n%s", path, as, s, body)
		}
	}
	return body
}
