package consent

import (
	"fmt"

	"parley/internal/contact"
	"parley/internal/errs"
)

// ErrGrant is a grant with terms that contradict themselves.
var ErrGrant = errs.New(errs.Invalid, "bad_grant", "授权条款有误，请更正后再提交。", "The terms of this grant contradict themselves.")

// ErrStop is a stop that says nothing that can be kept.
var ErrStop = errs.New(errs.Invalid, "bad_stop", "停止联系的要求有误，请更正后再提交。", "This stop cannot be recorded as it stands.")

// CheckGrant reports what is wrong with the terms of a grant; a zero From is
// taken as now.
func CheckGrant(g contact.Grant, now contact.Micros) error {
	bad := func(format string, args ...any) error { return ErrGrant.With(fmt.Errorf(format, args...)) }
	switch g.Ground {
	case contact.Consent, contact.Request, contact.Contract, contact.Statute, contact.SoftOptIn:
	default:
		return bad("ground %q is not one of consent, request, contract, statute, soft_opt_in", g.Ground)
	}
	if g.From == 0 {
		g.From = now
	}
	switch {
	case g.Until != 0 && g.Until <= g.From:
		return bad("it ends before it begins")
	case g.Purposes&^allPurposes != 0 || g.Channels&^allChannels != 0:
		return bad("it names a purpose or channel that does not exist")
	case g.Max < 0 || g.Days < 0 || (g.Max == 0) != (g.Days == 0):
		return bad("a cap needs both a number of contacts and a number of days")
	}
	for _, h := range g.Hours {
		if h.From < 0 || h.From > 1440 || h.To < 0 || h.To > 1440 || h.From == h.To || h.Days > 0x7f {
			return bad("hours are minutes of the day, 0 to 1440")
		}
	}
	return nil
}

func checkStop(s contact.Stop, now contact.Micros) error {
	bad := func(format string, args ...any) error { return ErrStop.With(fmt.Errorf(format, args...)) }
	switch s.Kind {
	case contact.Withdrawal, contact.Refusal, contact.DoNotContact, contact.Hold:
	default:
		return bad("kind %q is not one of withdrawal, refusal, do_not_contact, hold", s.Kind)
	}
	switch {
	case s.At > now:
		return bad("it begins in the future")
	case s.Until != 0 && s.Until <= now:
		return bad("it is over already")
	case s.Purposes&^allPurposes != 0 || s.Channels&^allChannels != 0:
		return bad("it names a purpose or channel that does not exist")
	}
	return nil
}
