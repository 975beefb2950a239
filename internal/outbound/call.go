package outbound

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/gate"
	"parley/internal/party"
	"parley/internal/policy"
	"parley/internal/trace"
	"parley/internal/voice"
)

// attempt is one call on its way.
type attempt struct {
	s           *Sender
	job         Job
	id          contact.ID
	party       contact.ID
	point       contact.ID
	purpose     contact.Purpose
	to          string
	lang        string
	obligations []policy.Obligation
	started     time.Time // the bank's clock
	record      string    // path of the recording; empty = none wanted

	flow flow
	end  ending
}

// ending is how a call ended, before it is stored.
type ending struct {
	outcome  contact.Outcome
	code     int
	reason   string
	rang     time.Duration
	answered time.Time
	call     voice.End
	talked   bool
}

// Call makes one call with a permit and gives how it ended. The error says why
// nothing was sent (of kind Refused when the gate or an obligation forbids it),
// or that the outcome could not be stored; it is then Unknown.
func (s *Sender) Call(ctx context.Context, permit contact.ID, job Job) (contact.Outcome, error) {
	a, err := s.prepare(ctx, permit, job)
	if err != nil {
		return contact.NotSent, err
	}
	if s.o.Voice == nil {
		return contact.NotSent, errors.Join(errNoLine, s.gate.Void(ctx, permit, errNoLine.Code))
	}
	// Right before the wire: after this only the INVITE stands between the
	// permit and the customer.
	spent, err := s.gate.Spend(ctx, permit)
	if err != nil {
		return contact.NotSent, s.unspend(ctx, permit, err)
	}
	a.obligations, a.started = spent.Obligations, spent.At
	if err := Meets(job.Script, a.obligations); err != nil { // the rules have changed since it was reserved
		return contact.NotSent, s.unspend(ctx, permit, err)
	}
	if err := a.begin(ctx); err != nil {
		return contact.NotSent, s.unspend(ctx, permit, err)
	}
	ctx, span := trace.Start(trace.Contact(ctx, permit), "call", trace.String("script", job.Script.Hash()))
	a.talk(ctx)
	span.SetAttributes(trace.String("outcome", string(a.end.outcome)), trace.Int("code", a.end.code), trace.String("ended_by", string(a.end.call.By)))
	o, err := a.finish(context.WithoutCancel(ctx))
	trace.End(span, err)
	return o, err
}

var errNoLine = errs.New(errs.Busy, "no_line", "没有配置中继线路，打不了电话。", "No trunk is configured, so no calls can be placed.")

// prepare checks all that can be checked before the permit is spent; a permit
// that cannot be used is voided.
func (s *Sender) prepare(ctx context.Context, permit contact.ID, job Job) (*attempt, error) {
	d, err := s.gate.Decision(ctx, permit)
	if err != nil {
		return nil, err
	}
	a := &attempt{s: s, job: job, id: permit, party: d.Intent.Party, point: d.Intent.Point, purpose: d.Intent.Purpose}
	err = a.fit(ctx, d)
	if err != nil && d.State == gate.Reserved {
		err = errors.Join(err, s.gate.Void(ctx, permit, errs.Public(err).Code))
	}
	return a, err
}

// whom reads who is contacted, and where.
func (s *Sender) whom(ctx context.Context, id, point contact.ID) (who *party.Party, at party.Point, err error) {
	err = s.db.Read(ctx, func(tx *db.Tx) (err error) {
		if at, err = s.party.Value(ctx, tx, point); err == nil {
			who, err = s.party.Get(ctx, tx, id)
		}
		return err
	})
	return who, at, err
}

// fit finds out whom to call and whether the script fits the permit.
func (a *attempt) fit(ctx context.Context, d gate.Stored) error {
	s, sc := a.s, a.job.Script
	if d.Intent.Channel != contact.Voice || d.Intent.Script != sc.Hash() || d.Intent.CallerID != a.job.CallerID {
		return errs.New(errs.Refused, "permit_mismatch", "许可不适用于此次呼叫（渠道、脚本或主叫号码不同），未拨打。",
			"The permit is for another channel, script or caller id, so no call was made.")
	}
	if err := errors.Join(Meets(sc, d.Permit.Obligations()), a.job.complete()); err != nil {
		return err
	}
	who, point, err := s.whom(ctx, a.party, a.point)
	if err != nil {
		return err
	}
	if point.Kind != party.Phone || point.PartyID != a.party {
		return errs.New(errs.Invalid, "not_a_phone", "该联系方式不是此客户的电话号码。", "This contact point is not a telephone number of the customer.")
	}
	a.to, a.lang = point.Value, sc.Lang(who.Lang)
	for _, key := range sc.Prompts() {
		if s.prompts[a.lang+"/"+key] == nil {
			return errs.New(errs.Refused, "prompt_missing", "缺少提示音 "+a.lang+"/"+key+"，未拨打。",
				"The prompt "+a.lang+"/"+key+" is missing, so no call was made.")
		}
	}
	return nil
}

// unspend settles a permit that may have been spent for a call that certainly
// was not made.
func (s *Sender) unspend(ctx context.Context, permit contact.ID, cause error) error {
	if errs.Public(cause).Kind == errs.Refused && errs.Public(cause).Code != Unmet {
		return cause // the gate refused: it was not spent
	}
	err := s.gate.Settle(context.WithoutCancel(ctx), nil, permit, contact.NotSent)
	if errors.Is(err, gate.ErrNotSpent) {
		err = nil
	}
	return errors.Join(cause, err)
}

// begin makes the attempt durable. No INVITE leaves before.
func (a *attempt) begin(ctx context.Context) error {
	return a.s.begin(ctx, &Attempt{ID: a.id, Party: a.party, Point: a.point, Campaign: a.job.Campaign, Channel: contact.Voice,
		Purpose: a.purpose, Script: a.job.Script.Hash(), Lang: a.lang, CallerID: a.job.CallerID})
}

// begin stores an attempt as on its way, before anything of it leaves.
func (s *Sender) begin(ctx context.Context, a *Attempt) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO outbound_attempt (id, party_id, point_id, campaign_id, channel, purpose, script,
			lang, caller_id, state, outcome, code, reason, started_at, answered_at, ended_at, rang_us, talk_us, ended_by,
			digits, steps, withdrawn_at, complaint, span_from, span_to)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'dialing', '', 0, '', $10, 0, 0, 0, 0, '', '', '', 0, '', 0, 0)`,
			a.ID, a.Party, a.Point, a.Campaign, a.Channel.String(), a.Purpose.String(), a.Script, a.Lang, a.CallerID, tx.At())
		begun(a.Campaign).add(tx, a.ID, 1)
		return err
	})
}

// talk dials and, when somebody answers, runs the script.
func (a *attempt) talk(ctx context.Context) {
	s := a.s
	must := has(a.obligations, policy.Record)
	if must || a.job.Script.Meets["recording_notice"] != nil {
		a.record = s.spool(a.id)
	}
	_, ringing := trace.Start(ctx, "call.dial") // until it is answered or given up
	call, err := s.o.Voice.Dial(ctx, voice.Dial{To: a.to, From: a.job.CallerID, RingFor: s.ringFor(a.obligations),
		CallID: a.id, Record: a.record, MustRecord: must})
	if err != nil {
		a.failed(err)
		ringing.SetAttributes(trace.String("outcome", string(a.end.outcome)), trace.Int("code", a.end.code))
		ringing.End()
		return
	}
	ringing.End()
	_, talking := trace.Start(ctx, "call.talk") // from the answer to the hang-up
	defer talking.End()
	a.end.talked, a.end.answered = true, s.db.Now()
	a.end.code = 200
	limit, cancel := context.WithTimeout(ctx, a.job.Script.Limit)
	defer cancel()
	a.flow = flow{script: a.job.Script, values: a.job.Values, line: call, prompt: a.prompt, hooks: a, began: time.Now()} //nolint:forbidigo // how long the line has been open
	a.flow.run(limit)
	// The recording must be whole before it is stored, whatever ctx says.
	if err := call.Hangup(context.WithoutCancel(ctx)); err != nil {
		s.o.Log.Error("hanging up", "attempt", a.id, "error", err)
	}
	<-call.Done()
	a.end.call = call.End()
	a.end.reason = a.end.call.Reason
	a.end.outcome = a.flow.outcome()
}

// failed takes over why a call did not come to be.
func (a *attempt) failed(err error) {
	a.end.outcome, a.end.reason = contact.Unknown, err.Error()
	var f *voice.Failure
	if errors.As(err, &f) {
		a.end.outcome, a.end.code, a.end.reason, a.end.rang = f.Outcome, f.Code, f.Reason, f.Rang
	}
}

func (s *Sender) spool(id contact.ID) string { return filepath.Join(s.o.Spool, id+".wav") }

// notSent is the error of a call that the line did not take: it tells the
// dialer from a refusal by a rule.
func (a *attempt) notSent() error {
	if a.end.outcome != contact.NotSent {
		return nil
	}
	return fmt.Errorf("the call was not sent: %s", a.end.reason)
}
