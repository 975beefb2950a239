package books

import (
	"github.com/a-h/templ"

	"parley/internal/access"
	"parley/internal/console/frame"
	"parley/internal/db"
	"parley/internal/gate"
	"parley/internal/httpx/errand"
	"parley/internal/ledger"
	"parley/internal/prompt"
)

// Trunk is what the trunk says of itself.
type Trunk struct {
	Active   int64 // calls being dialled or talked
	Draining int64 // media ports that are still held after their call
	Placed   int64 // since the start, as are those below
	Answered int64
	Failed   int64
	Ghosts   int64 // answers nobody waited for, ended at once
	ByesLost int64 // hang-ups that the other side did not confirm
	Down     bool  // it does not answer
}

// Deps are the rooms behind the ledger and system pages.
type Deps struct {
	Frame   *frame.Frame
	DB      *db.DB
	Ledger  *ledger.Log
	Gate    *gate.Gate   // its policy is the one in force
	Prompts *prompt.Set  // nil = none loaded
	Trunk   func() Trunk // nil = no trunk
	Dir     string       // where data and recordings lie: its disk is watched; "" = not shown
}

// pages serves the ledger and system pages.
type pages struct {
	Deps
	check errand.Desk[ledger.Report] // the verification that runs, or ran last
}

// Routes gives the pages.
func Routes(d Deps) []frame.Route {
	p := &pages{Deps: d, check: errand.Desk[ledger.Report]{Clock: d.DB.Now}}
	return append(d.Frame.ToList("/ledger/entries", access.SeeLedger, p.entries), []frame.Route{
		frame.To("GET /ledger", access.SeeLedger, p.ledger),
		frame.To("GET /ledger/verify", access.SeeLedger, p.progress),
		frame.To("POST /ledger/verify", access.VerifyLedger, p.verify),
		frame.To("GET /system", access.SeeSystem, p.system),
	}...)
}

func sheet(title, menu string, body templ.Component) frame.Sheet {
	return frame.Sheet{Title: title, Menu: menu, Body: body}
}
