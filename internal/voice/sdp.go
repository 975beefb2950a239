package voice

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"

	"parley/internal/voice/media"
)

// eventPT is the payload type we offer for telephone-event; the peer may choose
// another for what we send.
const eventPT = 101

// The ways an answer may not fit our offer.
var (
	errNoSDP   = errors.New("answered without SDP")
	errNoAudio = errors.New("answered without audio")
	errNoCodec = errors.New("answered without a codec we offered")
)

// describe writes our session description (RFC 4566, RFC 3264). direction is
// sendrecv, or the mirror of a peer's hold.
func describe(ip string, port int, id, version uint64, codecs []media.Codec, direction string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "v=0\r\no=- %d %d IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio %d RTP/AVP", id, version, ip, ip, port)
	for _, c := range codecs {
		fmt.Fprintf(&b, " %d", c)
	}
	fmt.Fprintf(&b, " %d\r\n", eventPT)
	for _, c := range codecs {
		fmt.Fprintf(&b, "a=rtpmap:%d %s/8000\r\n", c, c)
	}
	fmt.Fprintf(&b, "a=rtpmap:%d telephone-event/8000\r\na=fmtp:%d 0-15\r\na=ptime:20\r\na=%s\r\n", eventPT, eventPT, direction)
	return []byte(b.String())
}

// agree reads the peer's description and gives the stream it leads to, and the
// direction to answer with when it was an offer.
func agree(body []byte, ours []media.Codec) (media.Stream, string, error) {
	var st media.Stream
	if len(body) == 0 {
		return st, "", errNoSDP
	}
	var d sdp.SessionDescription
	if err := d.Unmarshal(body); err != nil {
		return st, "", fmt.Errorf("unreadable SDP: %w", err)
	}
	m := audio(&d)
	if m == nil {
		return st, "", errNoAudio
	}
	addr, err := connection(&d, m)
	if err != nil {
		return st, "", err
	}
	st.Remote = netip.AddrPortFrom(addr, uint16(m.MediaName.Port.Value))
	if !chooseCodec(m, ours, &st) {
		return st, "", errNoCodec
	}
	answer := "sendrecv"
	switch direction(&d, m) {
	case "sendonly":
		st.Hold, answer = true, "recvonly"
	case "inactive":
		st.Hold, answer = true, "inactive"
	case "recvonly":
		answer = "sendonly"
	}
	if addr.IsUnspecified() { // hold as of RFC 2543
		st.Hold = true
	}
	return st, answer, nil
}

func audio(d *sdp.SessionDescription) *sdp.MediaDescription {
	for _, m := range d.MediaDescriptions {
		if m.MediaName.Media == "audio" && m.MediaName.Port.Value > 0 && m.MediaName.Port.Value < 1<<16 {
			return m
		}
	}
	return nil
}

func connection(d *sdp.SessionDescription, m *sdp.MediaDescription) (netip.Addr, error) {
	c := m.ConnectionInformation
	if c == nil {
		c = d.ConnectionInformation
	}
	if c == nil || c.Address == nil {
		return netip.Addr{}, errors.New("SDP without an address")
	}
	addr, err := netip.ParseAddr(c.Address.Address)
	if err != nil || !addr.Is4() {
		return netip.Addr{}, fmt.Errorf("SDP address %q is not IPv4", c.Address.Address)
	}
	return addr, nil
}

// chooseCodec takes the peer's first format that is ours, and its telephone-event.
func chooseCodec(m *sdp.MediaDescription, ours []media.Codec, st *media.Stream) bool {
	names := map[string]string{"0": "PCMU/8000", "8": "PCMA/8000"} // static types need no rtpmap (RFC 3551)
	for _, a := range m.Attributes {
		if pt, name, ok := strings.Cut(a.Value, " "); ok && a.Key == "rtpmap" {
			names[pt] = strings.ToUpper(name)
		}
	}
	found := false
	for _, pt := range m.MediaName.Formats {
		n, err := strconv.ParseUint(pt, 10, 7)
		if err != nil {
			continue
		}
		name := strings.TrimSuffix(names[pt], "/1")
		if name == "TELEPHONE-EVENT/8000" && n != 0 {
			st.Event = uint8(n)
		}
		for _, c := range ours {
			if !found && uint8(n) == uint8(c) && name == c.String()+"/8000" {
				st.Codec, found = c, true
			}
		}
	}
	return found
}

func direction(d *sdp.SessionDescription, m *sdp.MediaDescription) string {
	for _, as := range [][]sdp.Attribute{m.Attributes, d.Attributes} {
		for _, a := range as {
			switch a.Key {
			case "sendrecv", "sendonly", "recvonly", "inactive":
				return a.Key
			}
		}
	}
	return "sendrecv"
}
