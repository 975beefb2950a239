package media

import (
	"net/netip"
	"time"

	"github.com/pion/rtp"
)

// Stats counts a session's packets. Lost, late and jitter are the incoming
// side's, as RFC 3550 defines them; times have the grain of one frame.
type Stats struct {
	Sent       uint64
	Unsent     uint64 // the kernel did not take them
	Received   uint64
	Lost       uint64
	Late       uint64 // more than 60 ms after their time, or after their second was written
	Duplicate  uint64
	Strangers  uint64 // from an address that is not the peer's; ignored
	Malformed  uint64 // from the peer, but not RTP
	Jitter     time.Duration
	LastPacket time.Duration // position at which the last packet came
}

// lateness is how many samples after its time a packet counts as late: 60 ms.
const lateness = 3 * FrameSamples

// receiver is the incoming half of a session.
type receiver struct {
	header rtp.Header
	began  bool
	ssrc   uint32
	first  int64 // extended sequence numbers (RFC 3550 A.1)
	high   int64
	unique uint64 // packets of this source that were not duplicates
	lost   uint64 // of sources before this one
	recent [8]uint64

	timed   bool
	transit int32 // of the packet before, in samples
	least   int32 // the smallest transit: a packet that was not delayed
	jitter  float64

	anchored bool
	anchorTS uint32
	anchor   int64 // sample of the recording that anchorTS belongs to

	events  [4]pressing // the last key presses
	eventsN int
	tones   *detector // set when the peer sends keys only as sound
	scratch [packetSize]byte
}

// accept takes one packet from the socket.
func (s *Session) accept(packet []byte, from netip.AddrPort, n int64) {
	if from != s.st.Remote {
		// Behind a NAT the first packet that is RTP shows the true address;
		// otherwise the address of the SDP is the only one that is believed.
		if !s.e.o.NAT || s.latched || len(packet) < 12 || packet[0]>>6 != 2 {
			s.stats.Strangers++
			return
		}
		s.st.Remote = from
	}
	r := &s.in
	at, err := r.header.Unmarshal(packet)
	if err != nil || r.header.Version != 2 {
		s.stats.Malformed++
		return
	}
	end := len(packet)
	if r.header.Padding {
		end -= int(packet[end-1])
	}
	if end < at {
		s.stats.Malformed++
		return
	}
	s.latched = true
	s.heard, s.alive = n, s.lived
	s.stats.Received++
	fresh, newest := r.count(r.header.SSRC, r.header.SequenceNumber)
	if !fresh {
		s.stats.Duplicate++
		return
	}
	payload := packet[at:end]
	switch pt := r.header.PayloadType; {
	case pt == s.st.Event && pt != 0:
		s.hearEvent(payload, newest)
	case pt == uint8(PCMA) || pt == uint8(PCMU):
		s.hear(Codec(pt), payload, n, newest)
	}
}

// count follows the sequence numbers; it tells whether the packet is not a
// duplicate, and whether it is the newest so far.
func (r *receiver) count(ssrc uint32, seq uint16) (fresh, newest bool) {
	if !r.began || ssrc != r.ssrc {
		if r.began {
			r.lost += r.missing()
		}
		r.began, r.ssrc, r.anchored = true, ssrc, false
		r.first, r.high, r.unique = int64(seq), int64(seq), 1
		r.recent = [8]uint64{}
		r.mark(r.high)
		return true, true
	}
	ext := r.high + int64(int16(seq-uint16(r.high)))
	if ext > r.high {
		if ext-r.high >= 512 { // the source started anew
			r.lost += r.missing()
			r.first, r.unique, r.anchored = ext, 0, false
			r.recent = [8]uint64{}
		}
		for p := r.high + 1; p < ext && p > ext-512; p++ {
			r.unmark(p)
		}
		r.high, newest = ext, true
	} else if r.high-ext >= 512 || r.marked(ext) {
		return false, false
	}
	r.first = min(r.first, ext)
	r.mark(ext)
	r.unique++
	return true, newest
}

func (r *receiver) mark(p int64)        { r.recent[p>>6&7] |= 1 << (p & 63) }
func (r *receiver) unmark(p int64)      { r.recent[p>>6&7] &^= 1 << (p & 63) }
func (r *receiver) marked(p int64) bool { return r.recent[p>>6&7]&(1<<(p&63)) != 0 }

// missing is how many packets of this source did not come.
func (r *receiver) missing() uint64 {
	if !r.began {
		return 0
	}
	return uint64(max(0, r.high-r.first+1-int64(r.unique)))
}

// hear takes a packet of sound.
func (s *Session) hear(c Codec, sound []byte, n int64, newest bool) {
	r := &s.in
	late := r.time(int32(uint32(n*FrameSamples) - r.header.Timestamp))
	if s.began != 0 && s.rec != nil {
		if !s.record(c, sound, n, newest) {
			late = true
		}
	}
	if late {
		s.stats.Late++
	}
	if h := s.hearing; h != nil && loud(c, sound) {
		h.spoke, h.quiet = true, s.lived
	}
	if r.tones == nil || s.st.Event != 0 {
		return
	}
	for _, b := range sound {
		if key := r.tones.feed(c.Decode(b)); key != 0 {
			s.press(key)
		}
	}
}

// time keeps jitter (RFC 3550 6.4.1) and tells whether the packet was late.
func (r *receiver) time(transit int32) bool {
	if !r.timed {
		r.timed, r.transit, r.least = true, transit, transit
		return false
	}
	d := transit - r.transit
	if d < 0 {
		d = -d
	}
	r.transit = transit
	r.jitter += (float64(min(d, Rate)) - r.jitter) / 16
	if transit-r.least < 0 || transit-r.least > 2*Rate { // earlier than any, or a new time base
		r.least = transit
	}
	return transit-r.least > lateness
}

// record places sound by its RTP time; a gap stays silent. It reports whether
// the sound had a place.
func (s *Session) record(c Codec, sound []byte, n int64, newest bool) bool {
	r := &s.in
	now := s.position(n)
	at := r.anchor + int64(int32(r.header.Timestamp-r.anchorTS))
	if off := now - at; !r.anchored || newest && (off > window/2 || off < -window/2) {
		// The first packet, or a source whose clock jumped: it is now.
		r.anchored = true
		r.anchorTS = r.header.Timestamp
		r.anchor = max(0, now-int64(len(sound)))
		at = r.anchor
	}
	if c != s.rec.codec {
		for i, b := range sound {
			r.scratch[i] = c.translate(s.rec.codec, b)
		}
		sound = r.scratch[:len(sound)]
	}
	return s.rec.place(1, at, sound)
}

// hearEvent takes a telephone-event packet (RFC 4733 2.3).
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|     event     |E|R| volume    |          duration             |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// All packets of one press bear the time of its start, and the last is sent
// three times: the first one seen of any time and key is the press. Some peers
// (diago) keep the time for several presses in a row; then a marker after an end
// shows the next.
func (s *Session) hearEvent(payload []byte, newest bool) {
	if len(payload) < 4 || int(payload[0]) >= len(keys) {
		return
	}
	r := &s.in
	now := pressing{at: r.header.Timestamp, key: payload[0], ended: payload[1]&0x80 != 0}
	for i := range min(r.eventsN, len(r.events)) {
		e := &r.events[i]
		if e.at != now.at || e.key != now.key {
			continue
		}
		again := e.ended && !now.ended && newest && r.header.Marker
		e.ended = (e.ended || now.ended) && !again
		if again {
			s.press(keys[now.key])
		}
		return
	}
	r.events[r.eventsN%len(r.events)] = now
	r.eventsN++
	s.press(keys[now.key])
}

// pressing is one key press as far as it has been heard.
type pressing struct {
	at    uint32 // RTP time of its start
	key   byte   // RFC 4733 event
	ended bool
}

func (s *Session) press(key byte) {
	s.keys = append(s.keys, key)
	if s.hearing != nil {
		s.endHearing()
	}
}

// snapshot completes the counts.
func (s *Session) snapshot() Stats {
	st := s.stats
	st.Lost = s.in.lost + s.in.missing()
	st.Jitter = time.Duration(s.in.jitter) * time.Second / Rate
	if s.began != 0 && s.heard >= s.began {
		st.LastPacket = time.Duration(s.heard-s.began) * Frame
	}
	return st
}

// Stats gives the counts so far.
func (s *Session) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.snapshot()
}

// loud tells whether a packet holds more than background noise: a mean power
// above about -40 dBm0.
func loud(c Codec, sound []byte) bool {
	var sum int64
	for _, b := range sound {
		v := int64(c.Decode(b))
		sum += v * v
	}
	return len(sound) > 0 && sum/int64(len(sound)) > 230*230
}
