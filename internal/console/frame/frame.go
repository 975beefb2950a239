// Package frame is what every room of the staff console shares: the door, the
// menu and page frame, staff names, and the words for what the bank's things
// are called. It decides nothing.
package frame

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/a-h/templ"

	"parley/internal/access"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/httpx"
	"parley/internal/httpx/ui"
	"parley/internal/httpx/words"
)

// Frame puts pages into the console.
type Frame struct {
	House *httpx.House
	Door  *Door
	DB    *db.DB // where exports are written into the ledger
	names names
}

// New makes the frame around the staff of store.
func New(h *httpx.House, store *access.Store) *Frame {
	return &Frame{House: h, Door: &Door{Store: store, Secure: h.Secure}, names: names{store: store}}
}

// Route is one page or action of the console, and what it takes to use it. It
// is the only way to add one, so that no page is without its permission and a
// test can walk them all.
type Route struct {
	Pattern string            // as http.ServeMux reads it
	Need    access.Permission // "" = none: the pages before sign-in
	Also    access.Permission // needed besides, "" = none
	Page    Page
}

// To makes a Route.
func To(pattern string, need access.Permission, page Page) Route {
	return Route{Pattern: pattern, Need: need, Page: page}
}

// Serve adds routes to mux, each behind the door its permission asks for.
func (f *Frame) Serve(mux *http.ServeMux, routes []Route) {
	for _, r := range routes {
		page := r.Page
		if r.Need != "" {
			page = f.Door.Need(r.Need, r.Also, page)
		}
		mux.Handle(r.Pattern, f.House.Handle(page))
	}
}

// Sheet is a page to be shown.
type Sheet struct {
	Title  string // in the reader's language
	Menu   string // href of the menu entry it belongs to
	Charts bool
	Sound  bool
	// Scripts are further files of static that the page needs.
	Scripts []string
	Status  int // 0 = 200
	Body    templ.Component
}

// Show renders a whole page. It is rendered before the first byte is sent, so
// that a failure becomes an error page and never half a page.
func (f *Frame) Show(w http.ResponseWriter, r *http.Request, s Sheet) error {
	shell := ui.Shell{Title: s.Title, Active: s.Menu, Charts: s.Charts, Sound: s.Sound, Scripts: s.Scripts, Menu: menu(Who(r.Context())), Find: May(r.Context(), access.Search)}
	if st := Who(r.Context()); st != nil {
		shell.Who = &ui.Who{Name: st.Name}
		for _, role := range st.Roles {
			shell.Who.Roles = append(shell.Who.Roles, string(role))
		}
	}
	return f.send(w, r, s.Status, templ.ComponentFunc(func(ctx context.Context, out io.Writer) error {
		return ui.Page(shell).Render(templ.WithChildren(ctx, s.Body), out)
	}))
}

// Part renders a piece of a page, for htmx to swap in.
func (f *Frame) Part(w http.ResponseWriter, r *http.Request, c templ.Component) error {
	return f.send(w, r, http.StatusOK, c)
}

func (f *Frame) send(w http.ResponseWriter, r *http.Request, status int, c templ.Component) error {
	var b bytes.Buffer
	if err := c.Render(r.Context(), &b); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if status != 0 {
		w.WriteHeader(status)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// Done leaves a sentence (a key below "flash.") and sends the reader on.
func (f *Frame) Done(w http.ResponseWriter, r *http.Request, to, key string, args ...string) error {
	httpx.SetFlash(w, r, httpx.Flash{Key: key, Args: args})
	httpx.Go(w, r, to)
	return nil
}

// entry is one line of the menu and who sees it.
type entry struct {
	href, icon, key string
	need            access.Permission
}

func entries() []entry {
	return []entry{
		{"/", "home", "nav.today", access.SeeToday},
		{"/board", "layout-dashboard", "nav.board", access.SeeBoard},
		{"/campaigns", "speakerphone", "nav.campaigns", access.SeeCampaigns},
		{"/scripts", "route", "nav.scripts", access.SeeScripts},
		{"/templates", "mail", "nav.templates", access.SeeTemplates},
		{"/contacts", "phone", "nav.contacts", access.SeeContacts},
		{"/customers", "users", "nav.customers", access.SeeCustomers},
		{"/consents", "phone-off", "nav.consents", access.SeeConsents},
		{"/complaints", "message-report", "nav.complaints", access.SeeComplaints},
		{"/approvals", "eye", "nav.approvals", access.SeeApprovals},
		{"/rules", "scale", "nav.rules", access.SeeRules},
		{"/calendars", "calendar", "nav.calendars", access.SeeRules},
		{"/ledger", "shield-lock", "nav.ledger", access.SeeLedger},
		{"/staff", "id", "nav.staff", access.SeeStaff},
		{"/api-keys", "key", "nav.api_keys", access.SeeAPI},
		{"/webhooks", "broadcast", "nav.webhooks", access.SeeAPI},
		{"/system", "server-2", "nav.system", access.SeeSystem},
	}
}

// letters lead to pages after g is pressed; they are the same in every language.
var letters = map[string]string{
	"/": "t", "/board": "b", "/campaigns": "c", "/contacts": "o", "/customers": "u", "/consents": "n", "/complaints": "m",
	"/approvals": "a", "/scripts": "s", "/rules": "r", "/calendars": "h", "/templates": "e", "/ledger": "l", "/staff": "p", "/access": "w", "/system": "y", "/api": "i",
}

func menu(st *access.Staff) []ui.Item {
	var out []ui.Item
	for _, e := range entries() {
		if st.May(e.need) {
			out = append(out, ui.Item{Href: e.href, Icon: e.icon, Key: e.key, Go: letters[e.href]})
		}
	}
	return out
}

// names remembers staff names for a moment: pages name the same few people again and again.
type names struct {
	store *access.Store
	mu    sync.Mutex
	at    time.Time
	known map[contact.ID]string
}

const namesFresh = 10 * time.Second

// Name says who an actor of the stores is: a member of staff by name, the
// customer or Parley itself in words, anything else as it is written.
func (f *Frame) Name(ctx context.Context, id string) string {
	switch id {
	case "":
		return "—"
	case "customer", "parley", "seed", "key9", "key2", "portal", "web":
		return words.T(ctx, "actor."+id)
	}
	n := &f.names
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.known[id]; !ok || time.Since(n.at) > namesFresh {
		if list, err := n.store.List(ctx); err == nil {
			n.at, n.known = time.Now(), make(map[contact.ID]string, len(list))
			for _, s := range list {
				n.known[s.ID] = s.Name
			}
		}
	}
	if name, ok := n.known[id]; ok {
		return name
	}
	if from, number, ok := strings.Cut(id, ":"); ok && from == "complaint" {
		return words.T(ctx, "actor.complaint", number)
	}
	return id
}

// May reports whether the reader may do p, so that a page offers only what
// will not be refused.
func May(ctx context.Context, p access.Permission) bool { return Who(ctx).May(p) }
