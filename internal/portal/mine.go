package portal

import (
	"context"
	"net/http"
	"strconv"

	"parley/internal/access/customer"
	"parley/internal/complaint"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/httpx"
	"parley/internal/httpx/ui"
)

// home is where every visitor starts: what they can find out and do here.
func (p *portal) home(w http.ResponseWriter, r *http.Request) error {
	s := in(r.Context())
	name := ""
	if s != nil {
		var err error
		if name, err = p.reached(r, s.Party, s.Point); err != nil {
			return err
		}
	}
	return show(w, r, http.StatusOK, p.homePage(s != nil, name))
}

// mostCases is more complaints than anybody has.
const mostCases = 100

func (p *portal) cases(w http.ResponseWriter, r *http.Request, s *customer.Session) error {
	list, err := p.Desk.ByCustomer(r.Context(), s.Party, mostCases)
	if err != nil {
		return err
	}
	return show(w, r, http.StatusOK, p.casesPage(list))
}

func (p *portal) evidenceList(w http.ResponseWriter, r *http.Request, s *customer.Session) error {
	list, err := p.Desk.ByCustomer(r.Context(), s.Party, mostCases)
	if err != nil {
		return err
	}
	return show(w, r, http.StatusOK, p.evidencePage(list))
}

// prove takes a complaint for the visitor's own: they hold its link and have
// shown the number it names. It takes a tap, so that nobody can make somebody
// else's complaint theirs by sending them a link.
func (p *portal) prove(w http.ResponseWriter, r *http.Request) error {
	f, err := p.Desk.ByToken(r.Context(), r.PathValue("token"))
	if err != nil {
		return err
	}
	s := in(r.Context())
	if s == nil {
		p.goIn(w, "/c/"+f.Case.Token)
		httpx.Go(w, r, "/my/enter")
		return nil
	}
	if _, err := p.Desk.Prove(r.Context(), f.Case.ID, s.Party, "customer", "code_"+string(s.Way)); err != nil {
		return err
	}
	httpx.Go(w, r, "/c/"+f.Case.Token)
	return nil
}

func (p *portal) rate(w http.ResponseWriter, r *http.Request) error {
	v, err := p.open(r)
	if err != nil {
		return err
	}
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	stars, text := 0, f.Maybe("text", 1000)
	if n := f.One("stars", "1", "2", "3", "4", "5"); n != "" {
		stars = int(n[0] - '0')
	}
	if !f.OK() && v.rateable() {
		v.Rating = f
		return show(w, r, http.StatusUnprocessableEntity, p.casePage(v))
	}
	if err := p.Desk.Rate(r.Context(), v.Case.ID, stars, text); err != nil {
		return err
	}
	httpx.Go(w, r, "/c/"+v.Case.Token)
	return nil
}

// rated gives how the complainant rated the handling; 0 = not yet.
func rated(f *complaint.File) int {
	for _, e := range f.Events {
		if n, ok := e.Data["stars"].(float64); ok && e.Kind == "rated" {
			return int(n)
		}
	}
	return 0
}

func (v *view) rateable() bool {
	return (v.Case.State == complaint.Answered || v.Case.State == complaint.Closed && !withdrawn(v.File)) && rated(v.File) == 0
}

// reached gives the number or address a visitor was reached at, masked.
func (p *portal) reached(r *http.Request, party, point contact.ID) (masked string, err error) {
	err = p.DB.Read(r.Context(), func(tx *db.Tx) error {
		points, err := p.points(r.Context(), tx, party)
		masked = points[point]
		return err
	})
	return masked, err
}

func starChoices(ctx context.Context) []ui.Choice {
	out := make([]ui.Choice, 5)
	for i := range out {
		n := strconv.Itoa(5 - i)
		out[i] = ui.Choice{Value: n, Word: say(ctx, "stars_"+n)}
	}
	return out
}
