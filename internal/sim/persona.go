package sim

import (
	"context"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strings"
	"time"
)

// Persona is how a simulated phone, or the person holding it, behaves.
type Persona string

// The personas. Those that press keys send RFC 4733 events, except where said.
const (
	Agrees       Persona = "agrees"         // listens to the end of each question and presses 1
	AgreesInband Persona = "agrees_inband"  // the same with audible tones instead of events
	OptsOut      Persona = "opts_out"       // presses 9 after the notice
	Complains    Persona = "complains"      // presses 2, speaks a complaint, presses #
	Listens      Persona = "listens"        // hears some of it, says "no, thank you" and hangs up
	HangsUp      Persona = "hangs_up"       // hangs up after a second or two
	SlowAnswer   Persona = "slow_answer"    // lets it ring long, then agrees
	Voicemail    Persona = "voicemail"      // a machine: greeting, tone, silence
	Ignores      Persona = "ignores"        // rings until the caller gives up
	Busy         Persona = "busy"           // 486
	SwitchedOff  Persona = "switched_off"   // 480
	NoSuchNumber Persona = "no_such_number" // 404
	Rejects      Persona = "rejects"        // rings, then 603
	Waits        Persona = "waits"          // has asked for the call: answers soon and listens to the end
)

// profile is a persona as data: how common it is, how long it rings and what
// follows. Times are those of real life; Config.Speed shortens them.
type profile struct {
	Persona
	weight    int                           // of 1000 numbers
	ringLeast time.Duration                 // rings at least this long …
	ringMore  time.Duration                 // … and this much longer in the median case
	code      int                           // final response when not answered; 0 rings on
	reason    string                        // of that response
	act       func(context.Context, *phone) // what an answered phone does; nil is never answered
}

// profiles lists all personas; the weights add up to 1000.
func profiles() [13]profile {
	const s = time.Second
	return [...]profile{
		{Agrees, 200, 2 * s, 3 * s, 0, "", agree},
		{AgreesInband, 40, 2 * s, 3 * s, 0, "", agree},
		{OptsOut, 90, 2 * s, 3 * s, 0, "", optOut},
		{Complains, 60, 2 * s, 3 * s, 0, "", complain},
		{Listens, 180, 2 * s, 3 * s, 0, "", decline},
		{HangsUp, 110, 2 * s, 3 * s, 0, "", hangUpEarly},
		{SlowAnswer, 50, 14 * s, 4 * s, 0, "", agree},
		{Voicemail, 60, 4 * s, 0, 0, "", voicemail},
		{Ignores, 50, 0, 0, 0, "", nil},
		{Busy, 50, 0, 0, 486, "Busy Here", nil},
		{SwitchedOff, 40, 0, 0, 480, "Temporarily Unavailable", nil},
		{NoSuchNumber, 30, 0, 0, 404, "Not Found", nil},
		{Rejects, 40, 2 * s, 2 * s, 603, "Decline", nil},
	}
}

// waiting is somebody who has just asked for this call: no number is like that
// by itself (Carrier.Expect).
func waiting() profile {
	return profile{Waits, 0, time.Second, time.Second, 0, "", hearOut}
}

// Personas lists every persona a number may have.
func Personas() []Persona {
	var all []Persona
	for _, p := range profiles() {
		all = append(all, p.Persona)
	}
	return all
}

// PersonaOf gives the persona of a number in the world of seed, as a carrier
// without overrides plays it: the same every time.
func PersonaOf(seed uint64, number string) Persona {
	at := dice(seed, number, 0).IntN(1000)
	for _, p := range profiles() {
		if at -= p.weight; at < 0 {
			return p.Persona
		}
	}
	return Agrees // unreachable while the weights add up to 1000
}

func profileOf(p Persona) (profile, bool) {
	if p == Waits {
		return waiting(), true
	}
	for _, q := range profiles() {
		if q.Persona == p {
			return q, true
		}
	}
	return profile{}, false
}

// ring draws how long this phone rings: people answer after a few seconds,
// a few of them much later (a log-normal tail, cut at six times the median).
func (p profile) ring(r *rand.Rand) time.Duration {
	tail := min(math.Exp(0.6*r.NormFloat64()), 6)
	return p.ringLeast + time.Duration(tail*float64(p.ringMore))
}

// dice gives the random numbers of one call: the same for a seed, a number and the
// count of calls it had before, whatever happens at the same time elsewhere.
func dice(seed uint64, number string, nth uint64) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(plain(number)))
	return rand.New(rand.NewPCG(seed^nth*0x9e3779b97f4a7c15, h.Sum64()))
}

func upTo(r *rand.Rand, d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d))) }

// plain is a number without the + that some write and some do not.
func plain(number string) string { return strings.TrimPrefix(number, "+") }

// What the personas do, and how long people take for it, by the line's time
// where they listen.
const (
	pause   = 900 * time.Millisecond // silence after which a listener takes it to be their turn
	bored   = 25 * time.Second       // a listener who hears nobody hangs up after this
	leave   = 6 * time.Second        // … or this long after the last word
	notice  = 7 * time.Second        // the time an identity notice takes
	reflect = 300 * time.Millisecond // before the first word or key
)

func agree(ctx context.Context, p *phone) {
	p.say(ctx, "hello")
	for range 3 { // identity, offer, confirmation: no script asks more
		if !p.untilPause(ctx, pause, bored) {
			return
		}
		p.press(ctx, '1')
	}
	p.untilQuiet(ctx)
}

func hearOut(ctx context.Context, p *phone) {
	p.say(ctx, "hello")
	p.untilPause(ctx, 2*time.Second, bored)
	p.untilQuiet(ctx)
}

func optOut(ctx context.Context, p *phone) {
	p.say(ctx, "hello")
	p.untilPause(ctx, pause, max(notice, p.scaled(12*time.Second)))
	p.press(ctx, '9')
	p.untilQuiet(ctx)
}

func complain(ctx context.Context, p *phone) {
	p.say(ctx, "hello")
	p.untilPause(ctx, pause, max(notice, p.scaled(12*time.Second)))
	p.press(ctx, '2')
	if !p.untilPause(ctx, pause, bored) { // "after the tone …"
		return
	}
	p.say(ctx, "complaint")
	p.press(ctx, '#')
	p.untilQuiet(ctx)
}

func decline(ctx context.Context, p *phone) {
	p.say(ctx, "hello")
	p.untilPause(ctx, pause, max(4*time.Second, p.scaled(10*time.Second)))
	p.say(ctx, "no_thanks")
}

func hangUpEarly(ctx context.Context, p *phone) {
	p.hearFor(ctx, time.Second+upTo(p.dice, time.Second))
}

func voicemail(ctx context.Context, p *phone) {
	p.say(ctx, "voicemail")
	p.say(ctx, "voicemail_beep")
	p.hearFor(ctx, max(10*time.Second, p.scaled(60*time.Second)))
}
