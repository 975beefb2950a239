package rules

import (
	_ "embed"
	"errors"
	"net/http"
	"strings"

	"parley/internal/console/frame"
	"parley/internal/errs"
	"parley/internal/httpx"
	"parley/internal/policy"
)

// example is the facts the page begins with.
//
//go:embed example.yaml
var example string

const maxFacts = 64 << 10

// verdict is what some facts come to.
type verdict struct {
	tree     policy.Node
	customer policy.CustomerView
}

func (p *pages) tryPage(w http.ResponseWriter, r *http.Request) error {
	return p.showTry(w, r, (&httpx.Form{}).Set("facts", example), nil)
}

// try judges facts that somebody wrote, under the rules in force. Nothing is kept.
func (p *pages) try(w http.ResponseWriter, r *http.Request) error {
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	raw := f.Text("facts", maxFacts)
	if !f.OK() {
		return p.showTry(w, r, f, nil)
	}
	facts, err := policy.ParseFacts("facts", []byte(strings.ReplaceAll(raw, "\r\n", "\n")))
	if err != nil {
		f.Notice = err.Error()
		return p.showTry(w, r, f, nil)
	}
	set, l := p.Gate.Policy(), lang(r.Context())
	v := set.Decide(facts)
	return p.showTry(w, r, f, &verdict{tree: set.Tree(facts, v, l), customer: set.ForCustomer(v, l)})
}

func (p *pages) showTry(w http.ResponseWriter, r *http.Request, f *httpx.Form, v *verdict) error {
	status := http.StatusOK
	if !f.OK() {
		status = http.StatusUnprocessableEntity
	}
	return p.Frame.Show(w, r, frame.Sheet{Title: say(r.Context(), "try"), Menu: "/rules", Status: status, Body: tryPage(f, v)})
}

// refused gives the sentence of a refusal that the reader can mend; ok is false
// for failures that are not the reader's.
func refused(err error) (e *errs.Error, ok bool) {
	ok = errors.As(err, &e) && e.Kind != errs.Internal && e.Kind != errs.NotFound
	return e, ok
}

func isNone(err error) bool {
	var e *errs.Error
	return errors.As(err, &e) && e.Code == "edition_unknown"
}
