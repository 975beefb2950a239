package outbound

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/campaign"
	"parley/internal/contact"
	"parley/internal/voice"
	"parley/internal/voice/media"
)

// phone is a scripted person: what they do while a prompt plays or a question
// waits. Keys are pressed in the order they are written here, each when the
// named prompt is played ("hang" hangs up).
type phone struct {
	names   map[*media.Prompt]string
	does    map[string]string // prompt → keys, "hang", or "" for nothing
	said    []string
	keys    []byte
	gone    bool
	speaks  voice.Span // what Record hears after "complain_ask"
	greets  voice.Span
	records int
}

func (p *phone) PlayUntil(_ context.Context, pr *media.Prompt, keys string) (voice.Played, error) {
	if i := slices.IndexFunc(p.keys, func(k byte) bool { return strings.IndexByte(keys, k) >= 0 }); i >= 0 {
		return voice.Played{Digit: p.keys[i]}, nil
	}
	if p.gone {
		return voice.Played{}, voice.ErrEnded
	}
	name := p.names[pr]
	time.Sleep(time.Second) // virtual: see walk
	p.said = append(p.said, name)
	do := p.does[name]
	delete(p.does, name)
	if do == "hang" {
		p.gone = true
		return voice.Played{}, voice.ErrEnded
	}
	p.keys = append(p.keys, do...)
	if i := strings.IndexAny(do, keys); i >= 0 && do != "" {
		return voice.Played{Digit: do[i]}, nil
	}
	return voice.Played{All: true}, nil
}

func (p *phone) Gather(_ context.Context, g voice.GatherSpec) (string, error) {
	var got []byte
	for len(p.keys) > 0 && len(got) < g.Max {
		k := p.keys[0]
		p.keys = p.keys[1:]
		if strings.IndexByte(g.Until, k) >= 0 {
			return string(got), nil
		}
		got = append(got, k)
	}
	if p.gone && len(got) == 0 {
		return "", voice.ErrEnded
	}
	return string(got), nil
}

func (p *phone) RecordMessage(ctx context.Context, most, _ time.Duration) (voice.Span, error) {
	if most == greetingMost {
		return p.greets, nil
	}
	p.records++
	if p.gone {
		return voice.Span{}, voice.ErrEnded
	}
	return p.speaks, nil
}

// wishes notes what a call changed.
type wishes struct {
	said      func() int // prompts so far
	scopes    []string
	complaint []voice.Span
	at        int
	fail      error
	closed    bool // no intake
}

func (w *wishes) withdraw(_ context.Context, scope string) error {
	w.scopes, w.at = append(w.scopes, scope), w.said()
	return w.fail
}

func (w *wishes) complain(_ context.Context, sp voice.Span) (bool, error) {
	w.complaint = append(w.complaint, sp)
	return !w.closed, w.fail
}

func walk(t *testing.T, script string, p *phone, w *wishes) *flow {
	t.Helper()
	return walkWith(t, script, nil, p, w)
}

func walkWith(t *testing.T, script string, values map[string]string, p *phone, w *wishes) *flow {
	t.Helper()
	all, err := campaign.DemoScripts(nil)
	if err != nil {
		t.Fatal(err)
	}
	prompts := map[string]*media.Prompt{}
	p.names = map[*media.Prompt]string{}
	for _, key := range all[script].Prompts() {
		prompts[key] = media.NewPrompt(media.Sound{Rate: 8000, Samples: make([]int16, 160), Channels: 1})
		p.names[prompts[key]] = key
	}
	w.said = func() int { return len(p.said) }
	var f *flow
	synctest.Test(t, func(t *testing.T) {
		f = &flow{script: all[script], values: values, line: p, prompt: func(k string) *media.Prompt { return prompts[k] }, hooks: w, began: time.Now()}
		f.run(t.Context())
	})
	return f
}

func TestFlowsOfTheDemoScripts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script  string
		does    map[string]string
		said    string
		digits  string
		scopes  string
		outcome contact.Outcome
	}{
		"confirms": {"card_renewal", map[string]string{"card_renewal": "1"},
			"hello_service refusal_path card_renewal card_renewal_done goodbye", "1", "", contact.Effective},
		"says nothing": {"card_renewal", nil,
			"hello_service refusal_path card_renewal not_understood card_renewal goodbye", "", "", contact.Effective},
		"another key": {"card_renewal", map[string]string{"card_renewal": "7"},
			"hello_service refusal_path card_renewal goodbye", "7", "", contact.Effective},
		"hangs up in the notice": {"card_renewal", map[string]string{"hello_service": "hang"}, "hello_service", "", "", contact.Connected},
		"nine at once": {"card_renewal", map[string]string{"hello_service": "9"},
			"hello_service withdraw_done goodbye", "9", "purpose", contact.Effective},
		"nine after other keys": {"card_renewal", map[string]string{"hello_service": "3", "refusal_path": "59"},
			"hello_service refusal_path withdraw_done goodbye", "359", "purpose", contact.Effective},
		"nine at the question": {"deposit_offer", map[string]string{"deposit_offer": "9"},
			"hello_marketing refusal_path deposit_offer withdraw_done goodbye", "9", "purpose", contact.Effective},
		"nine during goodbye": {"deposit_offer", map[string]string{"goodbye": "9"},
			"hello_marketing refusal_path deposit_offer goodbye withdraw_done goodbye", "9", "purpose", contact.Effective},
		"nine and hangs up": {"deposit_offer", map[string]string{"refusal_path": "9", "withdraw_done": "hang"},
			"hello_marketing refusal_path withdraw_done", "9", "purpose", contact.Effective},
		"nine twice": {"deposit_offer", map[string]string{"refusal_path": "9", "withdraw_done": "9"},
			"hello_marketing refusal_path withdraw_done goodbye", "99", "purpose", contact.Effective},
		"a stray key answers no question": {"deposit_offer", map[string]string{"hello_marketing": "1"},
			"hello_marketing refusal_path deposit_offer goodbye", "1", "", contact.Effective},
		"complains": {"deposit_offer", map[string]string{"refusal_path": "2"},
			"hello_marketing refusal_path complain_ask beep complain_done goodbye", "2", "", contact.Effective},
		"complains, then refuses": {"deposit_offer", map[string]string{"refusal_path": "2", "complain_done": "9"},
			"hello_marketing refusal_path complain_ask beep complain_done withdraw_done goodbye", "29", "purpose", contact.Effective},
		"debtor": {"overdue_reminder", map[string]string{"identity_ask": "1", "overdue_remind": "1"},
			"hello_overdue identity_ask overdue_remind refusal_path overdue_promised goodbye", "11", "", contact.Effective},
		"somebody else": {"overdue_reminder", map[string]string{"identity_ask": "3"},
			"hello_overdue identity_ask not_the_person goodbye", "3", "number", contact.Effective},
		"nobody says who they are": {"overdue_reminder", nil,
			"hello_overdue identity_ask not_understood identity_ask goodbye", "", "", contact.Connected},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, w := &phone{does: c.does, speaks: voice.Span{From: time.Second, To: 3 * time.Second, Spoke: true}}, &wishes{}
			if c.script == "overdue_reminder" && c.does["overdue_remind"] == "1" {
				c.said = strings.Replace(c.said, " refusal_path", "", 1) // a key interrupts the question
			}
			f := walk(t, c.script, p, w)
			if got := strings.Join(p.said, " "); got != c.said {
				t.Errorf("said  %s\nwant  %s", got, c.said)
			}
			if f.digits != c.digits || strings.Join(w.scopes, " ") != c.scopes || f.outcome() != c.outcome {
				t.Errorf("digits %q scopes %v outcome %s", f.digits, w.scopes, f.outcome())
			}
			if i := slices.Index(p.said, "withdraw_done"); i >= 0 && w.at > i {
				t.Error("the withdrawal was confirmed before it was stored")
			}
			if strings.Contains(name, "complains") != (len(w.complaint) == 1) {
				t.Errorf("complaints %v", w.complaint)
			}
			if slices.Contains(p.said, "overdue_remind") && !strings.HasPrefix(f.digits, "1") {
				t.Error("the debt was named to somebody who did not say who they are")
			}
		})
	}
}

// A one-time code is heard and kept nowhere: not in the steps, not among the
// keys (ASVS 5.0 6.6.2: out-of-band codes; 16.2.5: secrets are not logged).
func TestACodeIsReadOutTwiceAndKeptNowhere(t *testing.T) {
	t.Parallel()
	p := &phone{}
	f := walkWith(t, "one_time_code", map[string]string{"code": "407193"}, p, &wishes{})
	digits := " digit_4 digit_0 digit_7 digit_1 digit_9 digit_3"
	want := "hello_code code_is" + digits + " code_again" + digits + " code_secret"
	if got := strings.Join(p.said, " "); got != want {
		t.Errorf("said  %s\nwant  %s", got, want)
	}
	raw, err := json.Marshal(f.steps)
	if err != nil || strings.Contains(string(raw), "407193") || f.digits != "" {
		t.Errorf("kept: %s %q %v", raw, f.digits, err)
	}
	if f.outcome() != contact.Effective {
		t.Errorf("outcome %s", f.outcome())
	}
}

// What could not be stored is not said to be done, and finish tries again.
func TestAWithdrawalThatFailsIsNotConfirmed(t *testing.T) {
	t.Parallel()
	p, w := &phone{does: map[string]string{"refusal_path": "9"}}, &wishes{fail: errors.New("disk full")}
	f := walk(t, "deposit_offer", p, w)
	if slices.Contains(p.said, "withdraw_done") || f.failedScope != "purpose" {
		t.Fatalf("said %v, left to do %q", p.said, f.failedScope)
	}
}

func TestAComplaintWithoutIntakeIsNotConfirmed(t *testing.T) {
	t.Parallel()
	p, w := &phone{does: map[string]string{"refusal_path": "2"}, speaks: voice.Span{From: 1, To: 2}}, &wishes{closed: true}
	f := walk(t, "deposit_offer", p, w)
	if slices.Contains(p.said, "complain_done") || !slices.Contains(p.said, "complain_sorry") || !f.complaint {
		t.Fatalf("said %v", p.said)
	}
}

// A person is never taken for a machine once they press a key, or when they
// pause as people do; a long greeting without a pause is a machine's.
func TestVoicemailIsJudgedInThePersonsFavour(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		greets voice.Span
		does   map[string]string
		want   contact.Outcome
	}{
		"a machine talks on": {voice.Span{To: greetingMost, Spoke: true}, nil, contact.Voicemail},
		"hello?":             {voice.Span{To: 1800 * time.Millisecond, Spoke: true}, nil, contact.Effective},
		"silence":            {voice.Span{To: greetingMost}, nil, contact.Effective},
		"talks and presses":  {voice.Span{To: greetingMost, Spoke: true}, map[string]string{"deposit_offer": "1"}, contact.Effective},
	} {
		f := walk(t, "deposit_offer", &phone{does: c.does, greets: c.greets}, &wishes{})
		if got := f.outcome(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
