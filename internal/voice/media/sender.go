package media

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/pion/rtp"
)

// The shape of a key press sent as RFC 4733 events: 100 ms, then 60 ms of rest.
// The end is told three times (2.5.1.4), since any packet may be lost.
const (
	pressTicks = 5
	pressEnds  = 3
	restTicks  = 3
)

// sender is the outgoing half of a session.
type sender struct {
	header rtp.Header
	base   uint32 // RTP time of the recording's start
	mark   bool   // the next packet follows a pause
	packet [12 + FrameSamples]byte
	quiet  [FrameSamples]byte
	codec  Codec
}

func newSender() sender {
	return sender{
		// The sequence starts low so that it does not wrap at once (RFC 3711 3.3.1).
		header: rtp.Header{Version: 2, SSRC: rand.Uint32(), SequenceNumber: uint16(rand.Uint32N(1 << 15))},
		base:   rand.Uint32(),
		mark:   true,
		codec:  255,
	}
}

// emit sends the packet of tick n and records what it holds.
func (s *Session) emit(n int64, io *batch) {
	at := s.position(n)
	switch {
	case s.st.Hold:
		s.out.mark = true
	case s.sending != nil:
		s.sendPress(at, io)
	default:
		frame := s.nextFrame()
		s.send(io, uint8(s.st.Codec), uint32(at), frame)
		if s.rec != nil {
			if s.rec.codec != s.st.Codec {
				frame = s.translated(frame)
			}
			s.rec.place(0, at, frame)
		}
	}
	if s.rec != nil {
		s.rec.advance(at + FrameSamples)
	}
}

func (s *Session) translated(frame []byte) []byte {
	out := s.in.scratch[:len(frame)]
	for i, b := range frame {
		out[i] = s.st.Codec.translate(s.rec.codec, b)
	}
	return out
}

// nextFrame gives the next 20 ms of the prompt, or silence.
func (s *Session) nextFrame() []byte {
	if p := s.playing; p != nil {
		all := p.prompt.frames(s.st.Codec)
		if p.at+FrameSamples <= len(all) {
			f := all[p.at : p.at+FrameSamples]
			p.at += FrameSamples
			if p.at >= len(all) {
				s.endPlaying(true)
			}
			return f
		}
		s.endPlaying(true)
	}
	if s.out.codec != s.st.Codec {
		s.out.codec = s.st.Codec
		for i := range s.out.quiet {
			s.out.quiet[i] = s.st.Codec.Silence()
		}
	}
	return s.out.quiet[:]
}

func (s *Session) send(io *batch, pt uint8, ts uint32, payload []byte) {
	h := &s.out.header
	h.PayloadType, h.Timestamp, h.Marker = pt, s.out.base+ts, s.out.mark
	size, err := h.MarshalTo(s.out.packet[:])
	if err != nil {
		return
	}
	size += copy(s.out.packet[size:], payload)
	h.SequenceNumber++
	s.out.mark = false
	if io.send(s.sock.fd, s.st.Remote, s.out.packet[:size]) {
		s.stats.Sent++
	} else {
		s.stats.Unsent++
	}
}

// Playing is a prompt on its way.
type Playing struct {
	prompt *Prompt
	at     int
	all    bool
	done   chan struct{}
}

// Done is closed when the prompt has ended or was stopped.
func (p *Playing) Done() <-chan struct{} { return p.done }

// All tells, after Done, whether the whole prompt was sent.
func (p *Playing) All() bool { return p.all }

// Play starts a prompt at the next tick; one that still plays is stopped.
func (s *Session) Play(prompt *Prompt) *Playing {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endPlaying(false)
	p := &Playing{prompt: prompt, done: make(chan struct{})}
	if s.closed {
		close(p.done)
		return p
	}
	s.playing = p
	return p
}

// Stop ends p, if it still plays.
func (s *Session) Stop(p *Playing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.playing == p {
		s.endPlaying(false)
	}
}

func (s *Session) endPlaying(all bool) {
	if p := s.playing; p != nil {
		p.all = all
		s.playing = nil
		close(p.done)
	}
}

// Sending is keys on their way.
type Sending struct {
	keys  string
	tick  int // of the current key: presses, ends, rest
	start uint32
	all   bool
	done  chan struct{}
}

// Done is closed when the keys have been sent or the session ended.
func (d *Sending) Done() <-chan struct{} { return d.done }

// All tells, after Done, whether all keys were sent.
func (d *Sending) All() bool { return d.all }

// ErrBusy tells that keys are being sent already.
var ErrBusy = errors.New("keys are being sent already")

// TakesEvents tells whether the peer agreed to RFC 4733 events.
func (s *Session) TakesEvents() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.st.Event != 0
}

// SendDigits sends keys as RFC 4733 events. For a peer that takes none, Play
// the prompt that Tones makes.
func (s *Session) SendDigits(digits string) (*Sending, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, ErrClosed
	case s.sending != nil:
		return nil, ErrBusy
	case digits == "" || !ValidDigits(digits):
		return nil, errors.New("not keys of a telephone: " + digits)
	}
	s.sending = &Sending{keys: digits, done: make(chan struct{})}
	return s.sending, nil
}

// sendPress sends this tick's packet of the current key.
func (s *Session) sendPress(at int64, io *batch) {
	d := s.sending
	if d.tick == 0 {
		d.start = uint32(at)
		s.out.mark = true
	}
	d.tick++
	if d.tick <= pressTicks+pressEnds {
		var p [4]byte
		p[0] = byte(event(d.keys[0]))
		p[1] = 10 // -10 dBm0
		if d.tick > pressTicks {
			p[1] |= 0x80 // the end
		}
		binary.BigEndian.PutUint16(p[2:], uint16(min(d.tick, pressTicks)*FrameSamples))
		s.send(io, s.st.Event, d.start, p[:])
		return
	}
	s.out.mark = d.tick == pressTicks+pressEnds+1
	s.send(io, uint8(s.st.Codec), uint32(at), s.silence())
	if d.tick < pressTicks+pressEnds+restTicks {
		return
	}
	d.tick = 0
	if d.keys = d.keys[1:]; d.keys == "" {
		d.all = true
		s.endSending()
	}
}

func (s *Session) silence() []byte {
	p := s.playing
	s.playing = nil
	f := s.nextFrame()
	s.playing = p
	return f
}

func (s *Session) endSending() {
	if d := s.sending; d != nil {
		s.sending = nil
		close(d.done)
	}
}

// Hearing waits for the other side to have spoken.
type Hearing struct {
	from    int64 // ticks
	to      int64
	most    int64
	quiet   int64 // ticks the session had lived when a voice was last heard, or it began
	silence int64
	origin  int64
	spoke   bool
	done    chan struct{}
}

// Done is closed when the words are over.
func (h *Hearing) Done() <-chan struct{} { return h.done }

// Span gives, after Done, where in the recording the words are, and whether any
// voice was heard.
func (h *Hearing) Span() (from, to time.Duration, spoke bool) {
	return time.Duration(h.from-h.origin) * Frame, time.Duration(h.to-h.origin) * Frame, h.spoke
}

// Hear waits until the other side has been silent for silence, pressed a key,
// or spoken for most. Before the first tick it counts from that.
func (s *Session) Hear(most, silence time.Duration) *Hearing {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endHearing()
	h := &Hearing{from: max(s.last, s.began), most: int64(most / Frame), quiet: s.lived, silence: int64(silence / Frame), origin: s.began,
		done: make(chan struct{})}
	s.hearing = h
	if s.closed {
		s.endHearing()
	}
	return h
}

// StopHearing ends h, if it still waits.
func (s *Session) StopHearing(h *Hearing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hearing == h {
		s.endHearing()
	}
}

func (s *Session) endHearing() {
	if h := s.hearing; h != nil {
		h.to = min(max(s.last, h.from), h.from+h.most) // a tick may come late
		s.hearing = nil
		close(h.done)
	}
}
