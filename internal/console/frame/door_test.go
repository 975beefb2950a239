package frame

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"parley/internal/access"
	"parley/internal/db"
	"parley/internal/db/dbtest"
)

func TestDoor(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, base *db.DB) {
		s := access.NewStore(base)
		st, err := s.AddStaff(t.Context(), access.Staff{Login: "li", Name: "李", Roles: []access.Role{access.Auditor}}, "")
		if err != nil {
			t.Fatal(err)
		}
		token, _, err := s.Enter(t.Context(), st.ID)
		if err != nil {
			t.Fatal(err)
		}
		d := &Door{Store: s}
		in := httptest.NewRecorder()
		d.Open(in, token)
		ask := func(p access.Permission, cookie bool) (string, string, error) {
			r := httptest.NewRequest(http.MethodGet, "/campaigns?state=running", nil)
			if cookie {
				r.AddCookie(in.Result().Cookies()[0])
			}
			w := httptest.NewRecorder()
			saw := ""
			err := d.Need(p, "", func(_ http.ResponseWriter, r *http.Request) error { saw = Who(r.Context()).Login; return nil })(w, r)
			return saw, w.Header().Get("Location"), err
		}
		if _, to, err := ask(access.SeeCampaigns, false); err != nil || to != "/signin?next=%2Fcampaigns%3Fstate%3Drunning" {
			t.Errorf("stranger: %q %v", to, err)
		}
		if saw, _, err := ask(access.SeeCampaigns, true); err != nil || saw != "li" {
			t.Errorf("auditor: %q %v", saw, err)
		}
		if saw, _, err := ask(access.RunCampaign, true); err == nil || saw != "" {
			t.Errorf("auditor ran a campaign: %q %v", saw, err)
		}
	})
}

func TestNextStaysHere(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"/a?b=c": "/a?b=c", "": "/", "//evil": "/", "https://evil/": "/", `/\evil`: "/", "javascript:x": "/"} {
		if got := Next(in); got != want {
			t.Errorf("%q leads to %q", in, got)
		}
	}
}
