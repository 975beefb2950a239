package media

import (
	"math"
	"strings"
	"time"
)

// keys are the sixteen keys in the order of their RFC 4733 event codes.
const keys = "0123456789*#ABCD"

// keypad is the keys by row and column frequency (ITU-T Q.23).
const keypad = "123A456B789C*0#D"

// rows and cols give the frequencies in hertz of Q.23.
var (
	rows = [4]float64{697, 770, 852, 941}
	cols = [4]float64{1209, 1336, 1477, 1633}
)

// event gives the RFC 4733 code of a key, -1 when it is none.
func event(key byte) int { return strings.IndexByte(keys, key) }

// ValidDigits tells whether every byte of s is a key of the keypad.
func ValidDigits(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return !strings.ContainsRune(keys, r) }) < 0
}

// Tones makes a prompt that sounds the given keys in band: each on for on,
// followed by silence of off. Q.24 asks for at least 40 ms of each.
func Tones(digits string, on, off time.Duration) *Prompt {
	var pcm []int16
	for i := range len(digits) {
		at := strings.IndexByte(keypad, digits[i])
		if at < 0 {
			continue
		}
		n := int(on * Rate / time.Second)
		for k := range n {
			t := 2 * math.Pi * float64(k) / Rate
			pcm = append(pcm, int16(8000*(math.Sin(t*rows[at/4])+math.Sin(t*cols[at%4])))) // -9 dBm0 each or so
		}
		pcm = append(pcm, make([]int16, int(off*Rate/time.Second))...)
	}
	return NewPrompt(Sound{Samples: pcm, Channels: 1, Rate: Rate})
}

// The limits of a key tone: thresholds known to work from years of open
// telephone switches; twist limits are those of ITU-T Q.24.
const (
	block        = 102   // samples: 12.75 ms, so that 40 ms of tone holds two whole blocks
	minEnergy    = 8.0e7 // about -30 dBm0 for one tone
	normalTwist  = 6.3   // column at most 8 dB above the row
	reverseTwist = 2.5   // row at most 4 dB above the column
	peakRatio    = 6.3   // the strongest of its group over every other
	purity       = 42.0  // of block/2: speech does not put all its energy in two tones
)

// detector finds key tones in sound, for peers that send keys only as sound.
type detector struct {
	coef [8]float64
	v1   [8]float64
	v2   [8]float64
	sum  float64 // energy of the block so far
	n    int     // samples in the block so far
	last byte    // what the block before held
	key  byte    // the key being pressed now
}

func newDetector() *detector {
	d := &detector{}
	for i := range 4 {
		d.coef[i] = 2 * math.Cos(2*math.Pi*rows[i]/Rate)
		d.coef[4+i] = 2 * math.Cos(2*math.Pi*cols[i]/Rate)
	}
	return d
}

// feed takes one sample and gives a key at the moment it is recognised, else 0.
func (d *detector) feed(v int16) byte {
	x := float64(v)
	d.sum += x * x
	for i := range d.coef {
		d.v1[i], d.v2[i] = d.coef[i]*d.v1[i]-d.v2[i]+x, d.v1[i]
	}
	if d.n++; d.n < block {
		return 0
	}
	hit := d.judge()
	d.v1, d.v2, d.sum, d.n = [8]float64{}, [8]float64{}, 0, 0
	// Two like blocks begin a key; two unlike it end it. One bad block within
	// a key (a lost packet) does not make two keys of it.
	var out byte
	if hit == d.last && hit != d.key {
		d.key = hit
		out = hit
	}
	d.last = hit
	return out
}

// judge gives the key of a full block, or 0.
func (d *detector) judge() byte {
	var e [8]float64
	for i := range e {
		e[i] = d.v1[i]*d.v1[i] + d.v2[i]*d.v2[i] - d.coef[i]*d.v1[i]*d.v2[i]
	}
	row, col := strongest(e[:4]), strongest(e[4:])
	r, c := e[row], e[4+col]
	if r < minEnergy || c < minEnergy || c > r*normalTwist || r > c*reverseTwist || r+c < purity*d.sum {
		return 0
	}
	for i := range 4 {
		if i != row && e[i]*peakRatio > r || i != col && e[4+i]*peakRatio > c {
			return 0
		}
	}
	return keypad[4*row+col]
}

func strongest(e []float64) int {
	best := 0
	for i := range e {
		if e[i] > e[best] {
			best = i
		}
	}
	return best
}
