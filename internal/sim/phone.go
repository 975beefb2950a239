package sim

import (
	"context"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/emiago/diago"
	"github.com/emiago/diago/media"
	"github.com/zaf/g711"

	"parley/internal/prompt"
)

// phone is one answered telephone: an ear that measures what arrives and a
// mouth that sends a frame every 20 ms, speech or silence, as real phones do.
type phone struct {
	carrier *Carrier
	dialog  *diago.DialogServerSession
	call    *call
	dice    *rand.Rand
	log     *slog.Logger

	codec  media.Codec  // of the speech, as negotiated
	events *media.Codec // telephone-event, nil when the caller does not take it or the persona does not use it

	words chan utterance
	onset chan struct{} // a voice has begun to speak

	mu       sync.Mutex
	heard    time.Duration // the line's time: see line
	voiceAt  time.Duration // the line's time when a voice was last heard
	packetAt time.Time     // when sound last came, loud or not
}

// deaf is how long nothing at all may come, not even silence, before the clock
// goes on without it.
const deaf = 10 * time.Second

// line gives the time of the line: how much sound has come from the other side.
// People wait by what they hear, not by the clock, so that a machine that stood
// still for a moment, or is slow, does not seem to them a caller who has ended.
func (p *phone) line() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at()
}

func (p *phone) at() time.Duration { return p.heard + max(0, time.Since(p.packetAt)-deaf) }

// hearFor waits until the line has gone on for d.
func (p *phone) hearFor(ctx context.Context, d time.Duration) {
	for end := p.line() + d; p.line() < end && sleep(ctx, glance); {
	}
}

// glance is how often a waiting person looks at the line's time: a packet.
const glance = 20 * time.Millisecond

// utterance is something to send: encoded audio, one key as an event, or a
// key with the audio of its tones.
type utterance struct {
	audio []byte
	key   rune
	done  chan struct{}
}

// live runs the phone from its answer to its end and returns when both ear
// and mouth are at rest.
func (p *phone) live(ctx context.Context, act func(context.Context, *phone)) {
	var wg sync.WaitGroup
	ctx, stop := context.WithCancel(ctx)
	defer wg.Wait()
	defer stop()
	p.voiceAt, p.packetAt = -time.Hour, time.Now() // nobody has spoken yet
	wg.Go(func() { p.listen() })
	wg.Go(func() { defer stop(); p.speak(ctx) }) // a phone that cannot send hangs up
	sleep(ctx, reflect)
	act(ctx, p)
	p.carrier.hangUp(ctx, p.dialog, p.call)
	_ = p.dialog.DialogMedia.Close() // the ear wakes up
}

// listen is the ear. It ends when the media is closed.
func (p *phone) listen() {
	var keys diago.DTMFReader
	keys.OnDTMF(func(key rune) error {
		p.call.update(func(c *PhoneCall) { c.KeysHeard += string(key) })
		return nil
	})
	r, err := p.dialog.AudioReader(diago.WithAudioReaderDTMF(&keys))
	if err != nil {
		p.log.Warn("simulated phone cannot listen", "err", err)
		return
	}
	buf := make([]byte, media.RTPBufSize)
	for {
		n, err := r.Read(buf)
		if err != nil {
			return
		}
		if p.dialog.RTPPacketReader.PacketHeader.PayloadType == p.codec.PayloadType {
			p.hear(buf[:n])
		}
	}
}

// hear measures one packet of audio.
func (p *phone) hear(frame []byte) {
	const audible = 250 // mean amplitude, about -40 dBFS
	decode := g711.DecodeAlawFrame
	if p.codec.Name == media.CodecAudioUlaw.Name {
		decode = g711.DecodeUlawFrame
	}
	sum := 0
	for _, b := range frame {
		sum += int(math.Abs(float64(decode(b))))
	}
	voiced := sum > audible*len(frame)
	p.call.update(func(c *PhoneCall) {
		c.BytesHeard += int64(len(frame))
		if voiced {
			c.VoiceHeard += time.Duration(len(frame)) * time.Second / prompt.Rate
		}
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = p.at() + time.Duration(len(frame))*time.Second/prompt.Rate
	p.packetAt = time.Now()
	if !voiced {
		return
	}
	if p.heard-p.voiceAt > 200*time.Millisecond {
		select {
		case p.onset <- struct{}{}:
		default:
		}
	}
	p.voiceAt = p.heard
}

func (p *phone) sinceVoice() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at() - p.voiceAt
}

// untilPause waits until somebody has spoken and then been quiet for quiet, or
// until patience has run out. It reports false when the call ended meanwhile
// or nobody spoke at all.
func (p *phone) untilPause(ctx context.Context, quiet, patience time.Duration) bool {
	end := p.line() + patience
	select {
	case <-p.onset: // an old one
	default:
	}
	spoke := p.sinceVoice() < quiet
	for ctx.Err() == nil {
		select {
		case <-p.onset:
			spoke = true
		default:
		}
		switch since := p.sinceVoice(); {
		case spoke && since >= quiet:
			return true
		case p.line() >= end:
			return spoke // they talk on: one does not wait for ever
		}
		sleep(ctx, glance)
	}
	return false
}

// untilQuiet waits until nobody has spoken for so long that a person leaves, or
// the call ends.
func (p *phone) untilQuiet(ctx context.Context) {
	for start := p.line(); min(p.sinceVoice(), p.line()-start) < leave && sleep(ctx, glance); {
	}
}

// say speaks one of the recordings to its end.
func (p *phone) say(ctx context.Context, key string) {
	samples, err := p.carrier.words(key)
	if err != nil {
		p.log.Warn("simulated phone is at a loss for words", "key", key, "err", err)
		return
	}
	p.utter(ctx, utterance{audio: p.encode(samples)})
}

// press sends a key, as an event when the call has them, otherwise as tones.
func (p *phone) press(ctx context.Context, key rune) {
	if !sleep(ctx, reflect) {
		return
	}
	u := utterance{key: key}
	if p.events == nil {
		u.audio = p.encode(keyTones(key))
	}
	p.utter(ctx, u)
}

func (p *phone) encode(samples []int16) []byte {
	if p.codec.Name == media.CodecAudioUlaw.Name {
		return prompt.ULaw(samples)
	}
	return prompt.ALaw(samples)
}

// utter hands u to the mouth and waits until it is said or the call is over.
func (p *phone) utter(ctx context.Context, u utterance) {
	u.done = make(chan struct{})
	select {
	case p.words <- u:
	case <-ctx.Done():
		return
	}
	select {
	case <-u.done:
	case <-ctx.Done():
	}
}

// speak is the mouth. It ends with ctx or when nothing can be sent any more.
func (p *phone) speak(ctx context.Context) {
	w, err := p.dialog.AudioWriter()
	if err != nil {
		p.log.Warn("simulated phone cannot speak", "err", err)
		return
	}
	frame := int(p.codec.SampleTimestamp()) // one byte a sample
	silence := p.encode(make([]int16, frame))
	for ctx.Err() == nil {
		select {
		case u := <-p.words:
			if u.key != 0 { // noted first: the caller may act on it before its last packet
				p.call.update(func(c *PhoneCall) { c.KeysSent += string(u.key) })
			}
			if u.key != 0 && u.audio == nil {
				keys := media.NewRTPDTMFWriter(*p.events, p.dialog.RTPPacketWriter, w)
				err = keys.WriteDTMF(u.key)
			}
			for a := u.audio; len(a) > 0 && err == nil && ctx.Err() == nil; a = a[min(frame, len(a)):] {
				part := a[:min(frame, len(a))]
				if len(part) < frame {
					part = append(part[:len(part):len(part)], silence[len(part):]...)
				}
				_, err = w.Write(part)
			}
			if err == nil {
				close(u.done)
			}
		default:
			_, err = w.Write(silence) // takes 20 ms
		}
		if err != nil {
			return
		}
	}
}

// scaled shortens a real-life time to the carrier's speed.
func (p *phone) scaled(d time.Duration) time.Duration { return p.carrier.scaled(d) }

// keyTones is a key as its two tones (ITU-T Q.23): 120 ms, then 80 ms silence.
func keyTones(key rune) []int16 {
	low := [...]float64{697, 770, 852, 941}
	high := [...]float64{1209, 1336, 1477, 1633}
	out := make([]int16, prompt.Rate*200/1000)
	for row, keys := range [...]string{"123A", "456B", "789C", "*0#D"} {
		for col, k := range keys {
			if k != key {
				continue
			}
			for i := range prompt.Rate * 120 / 1000 {
				t := 2 * math.Pi * float64(i) / prompt.Rate
				out[i] = int16(8000 * (math.Sin(low[row]*t) + math.Sin(high[col]*t)) / 2 * 1.4)
			}
		}
	}
	return out
}

// sleep waits for d and reports whether ctx was still alive at the end of it.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
