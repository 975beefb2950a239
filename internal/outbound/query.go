package outbound

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
)

// State is where an attempt stands.
type State string

// The states of an attempt.
const (
	Dialing State = "dialing" // it may be on the wire at this moment
	Ended   State = "ended"
	Unknown State = "unknown" // the process died with it; a person must find out
)

// Attempt is one contact that was made, as stored.
type Attempt struct {
	ID         contact.ID // also the decision's and the permit's
	Party      contact.ID
	Point      contact.ID
	Campaign   contact.ID
	Channel    contact.Channel
	Purpose    contact.Purpose
	Script     string // hash
	Lang       string
	CallerID   string
	State      State
	Outcome    contact.Outcome
	Code       int // SIP status
	Reason     string
	StartedAt  time.Time
	AnsweredAt time.Time // zero = not answered
	EndedAt    time.Time
	Rang       time.Duration // of a call that was not answered
	Talk       time.Duration
	EndedBy    string // local, remote, lost, error
	Digits     string // keys the person pressed
	Steps      []Step
	Withdrawn  time.Time // zero = not in this call
	Complaint  string    // number of the case; "pending" while it is not open yet
	SpokeFrom  time.Duration
	SpokeTo    time.Duration
	Recording  Recording
	Via        string // the system that made it; empty = Parley itself
}

// Step is one step of the script that was walked.
type Step = step

// Recording is a call's recording.
type Recording struct {
	SHA256   string // empty = none
	Size     int64
	Duration time.Duration
	Salvaged bool   // found after a crash; its end may be missing
	Error    string // why there is none
}

// ErrNoAttempt tells that there is no such attempt.
var ErrNoAttempt = errs.New(errs.NotFound, "no_such_attempt", "找不到这次联系。", "There is no such contact.")

const columns = `a.id, a.party_id, a.point_id, a.campaign_id, a.channel, a.purpose, a.script, a.lang, a.caller_id, a.state,
	a.outcome, a.code, a.reason, a.started_at, a.answered_at, a.ended_at, a.rang_us, a.talk_us, a.ended_by, a.digits, a.steps,
	a.withdrawn_at, a.complaint, a.span_from, a.span_to, a.via, r.sha256, r.size, r.duration_us, r.salvaged, r.error`

const from = ` FROM outbound_attempt a LEFT JOIN outbound_recording r ON r.attempt_id = a.id `

func scan(row interface{ Scan(...any) error }) (*Attempt, error) {
	var a Attempt
	var channel, purpose, steps string
	var started, answered, ended, rang, talk, withdrawn, spanFrom, spanTo int64
	var sum, failed sql.NullString
	var size, duration, salvaged sql.NullInt64
	if err := row.Scan(&a.ID, &a.Party, &a.Point, &a.Campaign, &channel, &purpose, &a.Script, &a.Lang, &a.CallerID, &a.State,
		&a.Outcome, &a.Code, &a.Reason, &started, &answered, &ended, &rang, &talk, &a.EndedBy, &a.Digits, &steps,
		&withdrawn, &a.Complaint, &spanFrom, &spanTo, &a.Via, &sum, &size, &duration, &salvaged, &failed); err != nil {
		return nil, err
	}
	var err error
	if a.Channel, err = contact.ParseChannel(channel); err != nil {
		return nil, fmt.Errorf("attempt %s: %w", a.ID, err)
	}
	if a.Purpose, err = contact.ParsePurpose(purpose); err != nil {
		return nil, fmt.Errorf("attempt %s: %w", a.ID, err)
	}
	if steps != "" {
		if err := json.Unmarshal([]byte(steps), &a.Steps); err != nil {
			return nil, fmt.Errorf("attempt %s: %w", a.ID, err)
		}
	}
	us := func(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
	a.StartedAt, a.AnsweredAt, a.EndedAt, a.Withdrawn = db.Time(started), db.Time(answered), db.Time(ended), db.Time(withdrawn)
	a.Rang, a.Talk, a.SpokeFrom, a.SpokeTo = us(rang), us(talk), us(spanFrom), us(spanTo)
	a.Recording = Recording{SHA256: sum.String, Size: size.Int64, Duration: us(duration.Int64), Salvaged: salvaged.Int64 != 0, Error: failed.String}
	return &a, nil
}

// Attempt gives one attempt.
func (s *Sender) Attempt(ctx context.Context, tx *db.Tx, id contact.ID) (*Attempt, error) {
	a, err := scan(tx.QueryRow(ctx, "SELECT "+columns+from+"WHERE a.id = $1", id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNoAttempt
	}
	return a, err
}

// latest is a key after every id, to start a page with.
const latest = "g"

func (s *Sender) page(ctx context.Context, tx *db.Tx, column string, id, before contact.ID, n int) ([]*Attempt, error) {
	if before == "" {
		before = latest
	}
	var out []*Attempt
	err := tx.Each(ctx, func(r *sql.Rows) error {
		a, err := scan(r)
		out = append(out, a)
		return err
	}, "SELECT "+columns+from+"WHERE a."+column+" = $1 AND a.id < $2 ORDER BY a.id DESC LIMIT $3", id, before, n)
	return out, err
}

// AttemptsByParty gives up to n attempts to reach a person, the latest first:
// those before the attempt named before ("" = from the latest).
func (s *Sender) AttemptsByParty(ctx context.Context, tx *db.Tx, party, before contact.ID, n int) ([]*Attempt, error) {
	return s.page(ctx, tx, "party_id", party, before, n)
}

// AttemptsByPoint is AttemptsByParty for one contact point.
func (s *Sender) AttemptsByPoint(ctx context.Context, tx *db.Tx, point, before contact.ID, n int) ([]*Attempt, error) {
	return s.page(ctx, tx, "point_id", point, before, n)
}

// AttemptsByCampaign is AttemptsByParty for one campaign.
func (s *Sender) AttemptsByCampaign(ctx context.Context, tx *db.Tx, campaign, before contact.ID, n int) ([]*Attempt, error) {
	return s.page(ctx, tx, "campaign_id", campaign, before, n)
}

// Open gives the attempts that are on the wire or unknown.
func (s *Sender) Open(ctx context.Context, tx *db.Tx) ([]*Attempt, error) {
	var out []*Attempt
	err := tx.Each(ctx, func(r *sql.Rows) error {
		a, err := scan(r)
		out = append(out, a)
		return err
	}, "SELECT "+columns+from+"WHERE a.state <> 'ended' ORDER BY a.id")
	return out, err
}

// Live gives how many attempts are on the wire now, by campaign.
func (s *Sender) Live(ctx context.Context, tx *db.Tx) (map[contact.ID]int64, error) {
	live := map[contact.ID]int64{}
	// Said so that both engines take the small index of open attempts.
	err := tx.Each(ctx, func(r *sql.Rows) error {
		var id contact.ID
		var n int64
		err := r.Scan(&id, &n)
		live[id] = n
		return err
	}, "SELECT campaign_id, count(*) FROM outbound_attempt WHERE state <> 'ended' AND state = 'dialing' GROUP BY campaign_id")
	return live, err
}

func idsOf(ctx context.Context, tx *db.Tx, q string, args ...any) ([]contact.ID, error) {
	var ids []contact.ID
	err := tx.Each(ctx, func(r *sql.Rows) error {
		var id string
		err := r.Scan(&id)
		ids = append(ids, id)
		return err
	}, q, args...)
	return ids, err
}
