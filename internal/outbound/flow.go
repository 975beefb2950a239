package outbound

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"parley/internal/campaign"
	"parley/internal/contact"
	"parley/internal/voice"
	"parley/internal/voice/media"
)

// line is what a script needs of a call; *voice.Call is one. It is an interface
// so that every path of a script can be walked without waiting for sound.
type line interface {
	PlayUntil(ctx context.Context, p *media.Prompt, keys string) (voice.Played, error)
	Gather(ctx context.Context, g voice.GatherSpec) (string, error)
	RecordMessage(ctx context.Context, most, silence time.Duration) (voice.Span, error)
}

// hooks are the steps of a script that change something beyond the call.
type hooks interface {
	// withdraw stores that the person wants no more of this.
	withdraw(ctx context.Context, scope string) error
	// complain stores that the person complained, durably, and reports whether
	// a case will be opened.
	complain(ctx context.Context, sp voice.Span) (bool, error)
}

// step is one line of what happened in a call.
type step struct {
	At     int64  `json:"at_ms"` // since the answer
	Node   string `json:"node"`
	Digits string `json:"digits,omitempty"`
	From   int64  `json:"from_ms,omitempty"` // words of the person in the recording
	To     int64  `json:"to_ms,omitempty"`
}

// flow walks a script in a call.
type flow struct {
	script *campaign.Script
	values map[string]string
	line   line
	prompt func(key string) *media.Prompt
	hooks  hooks
	began  time.Time

	steps     []step
	digits    string // every key the person pressed, in order
	effective bool
	withdrawn bool
	complaint bool
	// failedScope is that of a withdrawal that could not be stored.
	failedScope string
	at          string // the present node
	last        string // what was gathered last
	greeting    voice.Span
}

const everyKey = "0123456789*#ABCD"

// The first words of an answered phone. A person says a word or two and waits;
// a machine talks on. We judge late and in the person's favour: the call runs
// as if a person listened, and only the outcome says voicemail, when somebody
// spoke for most of four seconds from the answer on without a pause and never
// pressed a key.
const (
	greetingMost  = 4 * time.Second
	greetingPause = time.Second
	greetingAfter = 200 * time.Millisecond
)

// run walks the script until it hangs up, the call ends or ctx does.
func (f *flow) run(ctx context.Context) {
	listen, stop := context.WithCancel(ctx)
	defer stop()
	greeting := make(chan voice.Span, 1)
	go func() {
		defer close(greeting)
		select { // the line's clock must run before it can tell silence from not having begun
		case <-listen.Done():
		case <-time.After(greetingAfter):
			sp, _ := f.line.RecordMessage(listen, greetingMost, greetingPause) // an error only means that nothing was learned
			greeting <- sp
		}
	}()
	for f.at = f.script.Start; f.at != ""; {
		n := f.script.Nodes[f.at]
		f.steps = append(f.steps, step{At: time.Since(f.began).Milliseconds(), Node: f.at})
		f.effective = f.effective || n.Effective
		next, err := f.node(ctx, n)
		if err != nil {
			break
		}
		f.at = next
	}
	stop()
	f.greeting = <-greeting
}

// outcome says what the call counts as.
func (f *flow) outcome() contact.Outcome {
	if f.digits == "" && f.machine() {
		return contact.Voicemail
	}
	if f.effective || f.withdrawn || f.complaint {
		return contact.Effective
	}
	return contact.Connected
}

func (f *flow) machine() bool {
	sp := f.greeting
	return sp.Spoke && sp.To-sp.From >= greetingMost-100*time.Millisecond
}

// node does one step and gives the next; "" ends the call.
func (f *flow) node(ctx context.Context, n *campaign.Node) (string, error) {
	switch {
	case n.Play != nil:
		return f.say(ctx, n.Play, n.Next)
	case n.Gather != nil:
		return f.gather(ctx, n)
	case n.Branch != nil:
		if to, ok := n.Branch[f.last]; ok {
			return to, nil
		}
		return n.Other, nil
	case n.Withdraw != nil:
		return f.withdraw(ctx, n)
	case n.Complain != nil:
		return f.complain(ctx, n)
	case n.Record != nil:
		return f.record(ctx, n)
	case n.Spell != nil:
		return f.spell(ctx, n)
	default:
		return f.say(ctx, n.Hangup.Play, "")
	}
}

// global lists the keys that work now: all those of the script but the ones
// that lead to where we are.
func (f *flow) global() string {
	var keys []byte
	for k, to := range f.script.Digits {
		if to != f.at {
			keys = append(keys, k[0])
		}
	}
	slices.Sort(keys)
	return string(keys)
}

// say plays prompts to their end; only a key that works everywhere interrupts.
func (f *flow) say(ctx context.Context, keys []string, next string) (string, error) {
	for _, key := range keys {
		played, err := f.line.PlayUntil(ctx, f.prompt(key), f.global())
		if err != nil {
			return "", err
		}
		if played.Digit != 0 {
			if to, err := f.drain(ctx); to != "" || err != nil {
				return to, err
			}
		}
	}
	if to, err := f.drain(ctx); to != "" || err != nil {
		return to, err
	}
	return next, nil
}

// spellPause is the silence after each digit that is read out: time to write it down.
const spellPause = 350 * time.Millisecond

// spell reads a value out, digit by digit. The steps and the pressed keys,
// which are kept, do not hold it.
func (f *flow) spell(ctx context.Context, n *campaign.Node) (string, error) {
	before := n.Spell.Before
	for range n.Spell.Times {
		if to, err := f.say(ctx, before, ""); to != "" || err != nil {
			return to, err
		}
		for _, d := range []byte(f.values[n.Spell.Value]) {
			if to, err := f.say(ctx, []string{campaign.Digit(d)}, ""); to != "" || err != nil {
				return to, err
			}
			if to, err := f.heed(ctx, spellPause); to != "" || err != nil {
				return to, err
			}
		}
		before = n.Spell.Again
	}
	return n.Next, nil
}

// drain reads the keys that were pressed and not asked for.
func (f *flow) drain(ctx context.Context) (string, error) { return f.heed(ctx, time.Nanosecond) }

// heed waits as long as no key is pressed. None is lost: one that works
// everywhere leads to its node; others answered no question.
func (f *flow) heed(ctx context.Context, long time.Duration) (string, error) {
	for {
		got, err := f.line.Gather(ctx, voice.GatherSpec{Max: 1, Timeout: long, Between: time.Nanosecond})
		if got == "" {
			if errors.Is(err, voice.ErrEnded) {
				return "", err
			}
			return "", ctx.Err()
		}
		f.press(got)
		if strings.Contains(f.global(), got) {
			return f.script.Digits[got], nil
		}
	}
}

func (f *flow) press(digits string) {
	f.digits += digits
	f.steps[len(f.steps)-1].Digits += digits
}

func (f *flow) gather(ctx context.Context, n *campaign.Node) (string, error) {
	g := n.Gather
	f.last = ""
	for try := range g.Tries {
		prompts := g.Play
		if try > 0 {
			prompts = append(slices.Clone(g.Again), g.Play...)
		}
		for _, key := range prompts {
			played, err := f.line.PlayUntil(ctx, f.prompt(key), everyKey)
			if err != nil {
				return "", err
			}
			if played.Digit != 0 {
				break
			}
		}
		got, err := f.line.Gather(ctx, voice.GatherSpec{Max: g.Digits, Until: g.Until, Timeout: g.Timeout, Between: g.Between})
		if got != "" {
			f.press(got)
			if to := f.script.Digits[got]; to != "" {
				return to, nil
			}
			f.last = got
			return n.Next, nil
		}
		if err != nil {
			return "", err
		}
	}
	return n.Silent, nil
}

// withdraw stores the person's wish while they are on the line, and only then
// says that it is done.
func (f *flow) withdraw(ctx context.Context, n *campaign.Node) (string, error) {
	f.withdrawn = true
	// Whatever happens to the line now, the wish is kept.
	if err := f.hooks.withdraw(context.WithoutCancel(ctx), n.Withdraw.Scope); err != nil {
		f.failedScope = n.Withdraw.Scope // finish tries again; nothing false is said
		return n.Next, nil               //nolint:nilerr // as above
	}
	f.failedScope = ""
	return f.say(ctx, n.Withdraw.Confirm, n.Next)
}

func (f *flow) complain(ctx context.Context, n *campaign.Node) (string, error) {
	c := n.Complain
	if f.complaint { // one call opens one case
		return n.Next, nil
	}
	sp, next, err := f.listen(ctx, c.Ask, c.Max, c.Silence)
	if err != nil && next == "" && sp == (voice.Span{}) {
		return "", err // they hung up before they could speak
	}
	if next != "" {
		return next, nil
	}
	f.complaint = true
	opened, storeErr := f.hooks.complain(context.WithoutCancel(ctx), sp)
	if err != nil {
		return "", err
	}
	if storeErr != nil || !opened {
		return f.say(ctx, c.Sorry, n.Next)
	}
	return f.say(ctx, c.Thanks, n.Next)
}

func (f *flow) record(ctx context.Context, n *campaign.Node) (string, error) {
	_, next, err := f.listen(ctx, n.Record.Ask, n.Record.Max, n.Record.Silence)
	if next != "" || err != nil {
		return next, err
	}
	return f.say(ctx, n.Record.Thanks, n.Next)
}

// listen asks for words and marks where in the recording they are. A key that
// works everywhere, pressed during the question, leads on.
func (f *flow) listen(ctx context.Context, ask []string, most, silence time.Duration) (sp voice.Span, next string, err error) {
	if next, err = f.say(ctx, ask, ""); next != "" || err != nil {
		return sp, next, err
	}
	sp, err = f.line.RecordMessage(ctx, most, silence)
	last := &f.steps[len(f.steps)-1]
	last.From, last.To = sp.From.Milliseconds(), sp.To.Milliseconds()
	return sp, "", err
}
