// Package app is the composition root: it opens the rooms, joins them, runs
// their loops and stops them in order. Nothing but the commands imports it.
package app

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"parley/internal/access"
	"parley/internal/access/customer"
	"parley/internal/api"
	"parley/internal/apikey"
	"parley/internal/approval"
	"parley/internal/blob"
	"parley/internal/calendar"
	"parley/internal/campaign"
	"parley/internal/complaint"
	"parley/internal/consent"
	"parley/internal/db"
	"parley/internal/dialer"
	"parley/internal/disclosure"
	"parley/internal/errs"
	"parley/internal/gate"
	"parley/internal/holidays"
	"parley/internal/ledger"
	"parley/internal/outbound"
	"parley/internal/party"
	"parley/internal/policy"
	"parley/internal/prompt"
	"parley/internal/remedy"
	"parley/internal/rulebook"
	"parley/internal/telemetry"
	"parley/internal/template"
	"parley/internal/voice"
	"parley/internal/webhook"
)

// Options are what Open is told besides the configuration.
type Options struct {
	Config Config
	Clock  func() time.Time // the bank's clock; nil = the machine's
	Log    *slog.Logger
	// Simulated says that the trunk leads to a simulated carrier; every page says so.
	Simulated bool
}

// App is one bank's Parley with every room open.
type App struct {
	Config      Config
	Log         *slog.Logger
	Simulated   bool
	DB          *db.DB
	Ledger      *ledger.Log
	Party       *party.Store
	Consent     *consent.Store
	Rulebook    *rulebook.Store
	Holidays    *holidays.Store
	Templates   *template.Store
	Gate        *gate.Gate
	Campaigns   *campaign.Store
	Prompts     *prompt.Set
	Blobs       *blob.Store
	Complaints  *complaint.Desk
	Remedies    *remedy.Store
	Access      *access.Store
	Approvals   *approval.Store
	Disclosures *disclosure.Store
	APIKeys     *apikey.Store
	Customers   *customer.Store
	Webhooks    *webhook.Sender
	Sender      *outbound.Sender

	Voice  *voice.Endpoint // nil without a trunk
	Dialer *dialer.Dialer  // nil without a trunk

	door    *api.API // for other systems
	metrics *telemetry.Metrics
	health  *telemetry.Health
	codes   *codes
	met     met
	expect  func(number string) // tells a simulated carrier that a call is awaited; nil in life
	events  *Events
	closers []func() error
}

// errPending says that the schema is older than the program.
var errPending = errs.New(errs.Conflict, "schema_old", "数据库结构比程序旧。请先备份，再运行 parley migrate。",
	"The database schema is older than this program. Make a backup, then run `parley migrate`.")

// Open opens a bank's data and joins the rooms. It starts nothing: no call is
// placed and no port is listened on. A database without any schema gets one.
func Open(ctx context.Context, o Options) (a *App, err error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	a = &App{Config: o.Config, Log: o.Log, Simulated: o.Simulated, events: newEvents()}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	if a.DB, err = openDB(ctx, o.Config, o.Clock, o.Log); err != nil {
		return a, err
	}
	a.closers = append(a.closers, a.DB.Close)
	if err := a.migrated(ctx); err != nil {
		return a, err
	}
	keys, err := party.OpenKeyring(o.Config.Keys.Dir, o.Config.Keys.Create)
	if err != nil {
		return a, err
	}
	key, err := ledger.LoadKey(o.Config.Keys.Dir, o.Config.Keys.Origin, o.Config.Keys.Create)
	if err != nil {
		return a, err
	}
	if a.Ledger, err = ledger.Open(ctx, a.DB, ledger.Options{Key: key, Log: o.Log}); err != nil {
		return a, err
	}
	if a.Blobs, err = blob.Open(o.Config.Recordings.Dir, keys); err != nil {
		return a, err
	}
	set, err := o.Config.PolicySet()
	if err != nil {
		return a, err
	}
	if a.Prompts, err = o.Config.PromptSet(); err != nil {
		return a, err
	}
	return a, a.join(ctx, keys, set)
}

// join makes the rooms that stand on others and ties the feedback between them.
func (a *App) join(ctx context.Context, keys *party.Keyring, set *policy.Set) error {
	zone, err := time.LoadLocation(a.Config.Bank.Zone)
	if err != nil {
		return err
	}
	a.Party = party.NewStore(a.DB, keys)
	a.Consent = consent.NewStore(a.DB, nil)
	a.Consent.Controller = consent.Controller{Name: a.Config.Bank.NameZh, Phone: a.Config.Bank.Hotline,
		Identifier: a.Config.Bank.Identifier, Contact: a.Config.Bank.Office, Address: a.Config.Bank.Address,
		Jurisdiction: a.Config.Bank.Country, Storage: a.Config.Bank.Storage, Withdraw: a.Config.Bank.Withdraw}
	a.Party.SetArrivals(func(ctx context.Context, tx *db.Tx, came []party.Arrival) error {
		who := make([]consent.Holder, len(came))
		for i, c := range came {
			who[i] = consent.Holder{Party: c.Party, Point: c.Point, Blind: c.Blind}
		}
		return a.Consent.Arrived(ctx, tx, who)
	})
	a.Gate = gate.New(a.DB, set, a.Consent, gate.Options{PermitTTL: a.Config.Gate.PermitTTL.Duration, Person: a.places, Log: a.Log})
	a.Consent.SetVoider(a.Gate)
	a.Access = access.NewStore(a.DB)
	a.APIKeys = apikey.NewStore(a.DB)
	private, err := a.Config.Webhooks.Networks()
	if err != nil {
		return err
	}
	hooks := webhook.NewStore(a.DB, a.Ledger, keys)
	hooks.AllowHTTP = a.Config.Webhooks.AllowHTTP
	a.Webhooks = webhook.NewSender(hooks, webhook.Options{Private: private, DisableAfter: a.Config.Webhooks.DisableAfter.Duration, Log: a.Log, Sent: a.sent})
	a.watch()
	a.Approvals = approval.New(a.DB, people{access.Eyes{Store: a.Access}, a.APIKeys}, keys)
	a.Disclosures = disclosure.New(a.DB, keys)
	a.Rulebook = rulebook.New(a.DB, a.Gate, a.Approvals)
	a.Holidays = holidays.New(a.DB, a.Approvals)
	a.Rulebook.Calendars = a.Holidays.Book
	a.Templates = template.New(a.DB, a.Approvals, zone)
	a.Campaigns = campaign.NewStore(a.DB, a.Approvals)
	a.Remedies = remedy.New(a.DB, a.Consent)
	a.Complaints = complaint.New(a.DB, a.Approvals, keys, a.Consent, causes{a}, a.Remedies, complaint.Options{
		BankZh: a.Config.Bank.NameZh, BankEn: a.Config.Bank.NameEn, Hotline: a.Config.Bank.Hotline, Zone: zone, Wordings: a.Templates, Grades: access.Grades(),
		Terms: func(now time.Time, attrs map[string]string) calendar.Terms {
			return policy.TermsOf(a.Gate.Policy(), now, attrs)
		},
		Region: a.regionOf,
		Days: func(ctx context.Context, tx *db.Tx) (*calendar.Days, error) {
			return a.Holidays.Days(ctx, tx, a.Config.Bank.Country)
		}})
	if a.Sender, err = a.sender(); err != nil {
		return err
	}
	a.codes = a.newCodes()
	if a.Customers, err = customer.New(a.DB, a.Party, customer.Options{Key: keys.CodeKey(), Courier: a.codes, Show: a.Simulated, Log: a.Log}); err != nil {
		return err
	}
	a.registerApprovals()
	if _, err := a.Holidays.Adopt(ctx, calendar.ShippedDocs()); err != nil {
		return err
	}
	if err := a.wordings(ctx); err != nil {
		return err
	}
	if err := a.rules(ctx); err != nil {
		return err
	}
	if err := a.identity(keys); err != nil {
		return err
	}
	return a.adopt(ctx)
}

// sender makes the way out, with the wires that are open now.
func (a *App) sender() (*outbound.Sender, error) {
	post, err := a.Config.mailer()
	if err != nil {
		return nil, err
	}
	return outbound.New(a.DB, a.Gate, a.Consent, a.Party, outbound.Options{Voice: a.Voice, Mail: post, Blobs: a.Blobs, Prompts: a.Prompts,
		Spool: filepath.Join(a.Config.Recordings.Dir, "spool"), Intake: intake{a}, Log: a.Log})
}

func openDB(ctx context.Context, c Config, clock func() time.Time, log *slog.Logger) (*db.DB, error) {
	if path := strings.TrimPrefix(c.Database.URL, "sqlite:"); !strings.Contains(path, "://") {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, errs.New(errs.Invalid, "database_dir", "数据库目录 "+filepath.Dir(path)+" 建不了，请检查权限。",
				"The database directory "+filepath.Dir(path)+" cannot be made; check its permissions.").With(err)
		}
	}
	d, err := db.Open(ctx, c.Database.URL, db.Options{Clock: clock, Log: log, MaxConns: c.Database.MaxConns})
	if err != nil {
		return nil, errs.New(errs.Internal, "database_down", "连不上数据库。请检查 database.url 和数据库服务。",
			"The database cannot be opened. Check database.url and the database server.").With(err)
	}
	return d, nil
}

// Migrate brings the schema of the configured database up to date and gives
// the number of migrations it applied.
func Migrate(ctx context.Context, c Config, log *slog.Logger) (int, error) {
	d, err := openDB(ctx, c, nil, log)
	if err != nil {
		return 0, err
	}
	n, err := d.Pending(ctx)
	if err == nil {
		err = d.Migrate(ctx)
	}
	return n, errors.Join(err, d.Close())
}

func (a *App) migrated(ctx context.Context) error {
	fresh, err := a.DB.Empty(ctx)
	if err != nil {
		return err
	}
	if fresh {
		return a.DB.Migrate(ctx)
	}
	n, err := a.DB.Pending(ctx)
	if err == nil && n > 0 {
		err = errPending
	}
	return err
}

// Close closes what Open opened, the last first.
func (a *App) Close() error {
	var err error
	for i := len(a.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, a.closers[i]())
	}
	a.closers = nil
	return err
}

// PromptSet opens the prompts the configuration names.
func (c *Config) PromptSet() (*prompt.Set, error) {
	if c.Prompts.Dir == "" {
		return prompt.Open(prompt.DemoFS())
	}
	return prompt.OpenDir(c.Prompts.Dir)
}
