// Package portal holds the customer's own pages: why the bank contacted them
// and how to stop it, what they agreed to, complaints with their progress and
// answer, and the evidence of it all. No account, no script; an old phone is
// enough. A visitor is known by a one-time code, or by a case's own link.
package portal

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/a-h/templ"

	"parley/internal/access/customer"
	"parley/internal/complaint"
	"parley/internal/consent"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/disclosure"
	"parley/internal/errs"
	"parley/internal/gate"
	"parley/internal/httpx"
	"parley/internal/ledger"
	"parley/internal/limit"
	"parley/internal/outbound"
	"parley/internal/party"
)

// Blobs keeps attachments and recordings by the hash of their content.
type Blobs interface {
	complaint.Recordings
	Put(r io.Reader) (hash string, size int64, err error)
	Has(hash string) bool
}

// Attempts gives the contacts that were made with a person.
type Attempts interface {
	Attempt(ctx context.Context, tx *db.Tx, id contact.ID) (*outbound.Attempt, error)
	AttemptsByParty(ctx context.Context, tx *db.Tx, party, before contact.ID, n int) ([]*outbound.Attempt, error)
}

// Decisions gives why a contact was allowed, in the rules' own words.
type Decisions interface {
	DecisionIn(ctx context.Context, tx *db.Tx, id contact.ID) (gate.Stored, error)
}

// Sample is a fictitious customer that a visitor of a simulated bank may enter as.
type Sample struct {
	Number string // as one types it
	Calls  int    // how often they were contacted
}

// Deps are what the pages stand on. The bank's name, zone and clock, and
// whether the carrier is simulated, are the house's.
type Deps struct {
	House     *httpx.House
	DB        *db.DB
	Customers *customer.Store
	Desk      *complaint.Desk
	Party     *party.Store
	Consent   *consent.Store
	Attempts  Attempts
	Decisions Decisions
	Words     func() Rules // the rules' sentences for customers
	Ledger    *ledger.Log
	Blobs     Blobs
	Hotline   string // the number to call when the pages do not help; may be empty
	// Stopped gives the attempts that the case's block has stopped; may be nil.
	Stopped func(ctx context.Context, c *complaint.Case) ([]time.Time, error)
	Looks   *disclosure.Store // who saw a customer's data in the clear
	// Samples gives customers to enter as; nil in a real bank.
	Samples func(ctx context.Context) ([]Sample, error)
}

// portal is the pages with their dependencies.
type portal struct {
	Deps
	log     *slog.Logger
	filing  *limit.Limit
	looking *limit.Limit  // case number and query code
	bundles chan struct{} // evidence is built in memory: a few at a time
	uploads chan struct{} // so are attachments while they are looked at
}

// New makes the pages, to be mounted at /my, /my/, /complain, /complain/ and
// /c/ inside House.Wrap, which guards every POST against other sites.
func New(d Deps) (http.Handler, error) {
	if d.House == nil || d.DB == nil || d.Customers == nil || d.Desk == nil || d.Party == nil || d.Consent == nil || d.Attempts == nil ||
		d.Decisions == nil || d.Words == nil || d.Ledger == nil || d.Blobs == nil || d.Looks == nil {
		return nil, errors.New("portal: all but Hotline, Stopped and Samples are needed")
	}
	if _, err := book(); err != nil {
		return nil, err
	}
	log := d.House.Log
	if log == nil {
		log = slog.Default()
	}
	p := &portal{Deps: d, log: log, filing: limit.New(10, 10*time.Minute, 4096), looking: limit.New(10, time.Hour, 4096),
		bundles: make(chan struct{}, 4), uploads: make(chan struct{}, 4)}
	mux := http.NewServeMux()
	for pattern, h := range p.routes() {
		mux.Handle(pattern, h)
	}
	mux.Handle("/", p.page(func(http.ResponseWriter, *http.Request) error { return errNoPage }))
	return mux, nil
}

func (p *portal) routes() map[string]http.Handler {
	return map[string]http.Handler{
		"GET /my":                             p.page(p.home),
		"GET /my/enter":                       p.page(p.enter),
		"POST /my/enter":                      p.page(p.ask),
		"GET /my/code":                        p.page(p.codePage),
		"POST /my/code":                       p.page(p.confirm),
		"GET /my/case":                        p.page(p.lookUp),
		"POST /my/case":                       p.page(p.openCase),
		"POST /my/leave":                      p.page(p.leave),
		"GET /my/left":                        p.page(p.left),
		"GET /my/contacts":                    p.mine(p.contacts),
		"GET /my/agreed":                      p.mine(p.agreed),
		"GET /my/cases":                       p.mine(p.cases),
		"GET /my/evidence":                    p.mine(p.evidenceList),
		"GET /my/looks":                       p.mine(p.looks),
		"GET /my/stopped":                     p.mine(p.stoppedPage),
		"POST /my/stop":                       p.mine(p.stopAll),
		"GET /my/stop":                        p.mine(p.stopAllPage),
		"POST /my/again":                      p.mine(p.again),
		"GET /my/contacts/{id}":               p.mine(p.contact),
		"POST /my/contacts/{id}/stop":         p.mine(p.stopContact),
		"GET /my/contacts/{id}/stop":          p.mine(p.toContact),
		"POST /my/contacts/{id}/recording":    p.mine(p.hear),
		"GET /my/contacts/{id}/recording":     p.mine(p.toContact),
		"GET /my/contacts/{id}/recording.wav": p.mine(p.sound),
		"GET /my/agreed/{id}":                 p.mine(p.terms),
		"POST /my/agreed/{id}":                p.mine(p.change),
		"POST /my/agreed/{id}/stop":           p.mine(p.stopGrant),
		"GET /my/agreed/{id}/stop":            p.mine(p.toGrant),
		"GET /complain":                       p.page(p.words),
		"POST /complain":                      p.page(p.saveWords),
		"GET /complain/files":                 p.page(p.files),
		"POST /complain/files":                p.page(p.addFiles),
		"POST /complain/files/remove":         p.page(p.removeFile),
		"GET /complain/check":                 p.page(p.checkAnswers),
		"POST /complain/send":                 p.page(p.send),
		"GET /c/{token}":                      p.page(p.progress),
		"GET /c/{token}/check":                p.page(p.check),
		"GET /c/{token}/evidence.zip":         p.page(p.evidence),
		"POST /c/{token}/accept":              p.page(p.accept),
		"POST /c/{token}/review":              p.page(p.review),
		"POST /c/{token}/withdraw":            p.page(p.withdraw),
		"POST /c/{token}/rate":                p.page(p.rate),
		"POST /c/{token}/mine":                p.page(p.prove),
	}
}

var errNoPage = errs.New(errs.NotFound, "no_page", "没有这个页面。请核对链接。", "There is no such page. Please check the link.")

// page is House.Handle, except that a refusal is told in the portal's own
// frame, with the way back to where the customer was instead of the staff's door.
func (p *portal) page(fn func(w http.ResponseWriter, r *http.Request) error) http.Handler {
	return p.House.Handle(func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Robots-Tag", "noindex")
		s, err := p.Customers.Who(r.Context(), cookie(r, meCookie))
		if err != nil {
			return err
		}
		r = r.WithContext(context.WithValue(r.Context(), sessionKey{}, s))
		err = fn(w, r)
		if err == nil || r.Context().Err() != nil {
			return err
		}
		e := errs.Public(err)
		if e.Kind == errs.Internal {
			return err
		}
		p.log.Info("refused", "request", httpx.From(r.Context()).ID, "code", e.Code)
		back := "/my"
		if t := r.PathValue("token"); t != "" && e.Kind != errs.NotFound {
			back = "/c/" + t
		}
		return show(w, r, httpx.Status(e.Kind), p.oops(e, back))
	})
}

// show renders whole pages only, so that a failure never leaves half of one.
func show(w http.ResponseWriter, r *http.Request, status int, c templ.Component) error {
	var b bytes.Buffer
	if err := c.Render(r.Context(), &b); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // a reader who has left is no failure
	return nil
}
