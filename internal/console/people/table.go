package people

import (
	"net/http"
	"slices"

	"parley/internal/access"
	"parley/internal/console/frame"
)

func (p *pages) accessPage(w http.ResponseWriter, r *http.Request) error {
	v := tableView{mine: frame.Who(r.Context()).Roles, must: p.Access.Options.Must}
	return p.show(w, r, frame.Sheet{Title: say(r.Context(), "access"), Menu: "/access", Body: accessPage(v)})
}

// tableView is the table of who may do what, with the reader's roles marked.
type tableView struct {
	mine, must []access.Role
}

func (v tableView) own(r access.Role) bool    { return slices.Contains(v.mine, r) }
func (v tableView) second(r access.Role) bool { return slices.Contains(v.must, r) }
