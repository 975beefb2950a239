package media

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Recording is what is left of a call's sound: a stereo G.711 WAV with the bank
// on the left and the customer on the right, in time with each other.
type Recording struct {
	Path     string
	SHA256   string // of the whole file, hex; empty when Err is set
	Size     int64  // bytes
	Duration time.Duration
	Err      error // why it is not whole; the caller must not pass over it
}

// ErrDiskSlow tells that sound came faster than the disk took it.
var ErrDiskSlow = errors.New("the disk takes recordings slower than they are made")

const (
	window = 1 << 14 // samples kept for latecomers before they are written: 2 s
	chunk  = Rate    // samples written at a time: 1 s
	slack  = Rate / 2
)

// file is what a recording needs of its file; tests put a full disk here.
type file interface {
	io.ReadWriteSeeker
	io.WriterAt
	io.Closer
}

// recorder places the sound of both sides by time in a window and hands
// finished seconds to a writer, so that no clock ever waits for a disk.
type recorder struct {
	path  string
	f     file
	codec Codec
	w     *writer
	side  [2][]byte // windows of both sides' samples, rings
	base  int64     // first sample not yet handed to the writer
	head  int64     // samples so far
	fault func(error)

	full    atomic.Bool // the writer could not keep up
	wrote   int64       // bytes of sound in the file; the writer's
	written error       // first error; the writer's
}

// begin starts a recording in codec c; its header is completed at the end.
func (r *recorder) begin(c Codec) {
	r.codec = c
	for ch := range r.side {
		r.side[ch] = bytes.Repeat([]byte{c.Silence()}, window)
	}
	r.w.put(job{rec: r, data: codecHeader(c, 2, 0)})
}

// place puts coded sound of channel ch at sample pos. What is too late or too
// far ahead has no place; it reports whether any of it had.
func (r *recorder) place(ch int, pos int64, sound []byte) bool {
	if pos < r.base {
		sound = sound[min(r.base-pos, int64(len(sound))):]
		pos = r.base
	}
	sound = sound[:max(0, min(int64(len(sound)), r.base+window-pos))]
	n := copy(r.side[ch][pos&(window-1):], sound)
	copy(r.side[ch], sound[n:]) // round the ring's end
	return len(sound) > 0
}

// advance moves the end of the recording to sample head and writes what is ripe.
func (r *recorder) advance(head int64) {
	for r.head = max(head, r.head); r.head-r.base >= chunk+slack; {
		r.emit(r.base + chunk)
	}
}

// emit hands the sound up to sample to over to the writer.
func (r *recorder) emit(to int64) {
	data := r.w.buffer()[:2*(to-r.base)]
	out := data
	for p := r.base; p < to; {
		at := p & (window - 1)
		n := min(to-p, window-at)
		left, right := r.side[0][at:at+n], r.side[1][at:at+n]
		for i := range left {
			out[2*i], out[2*i+1] = left[i], right[i]
		}
		silence(left, r.codec)
		silence(right, r.codec)
		out = out[2*n:]
		p += n
	}
	r.base = to
	if !r.w.put(job{rec: r, data: data, pooled: true}) && !r.full.Swap(true) {
		r.fault(ErrDiskSlow)
	}
}

// silence makes a stretch of a ring silent again.
func silence(b []byte, c Codec) {
	for n := copy(b, quiet(c)); n < len(b); {
		n += copy(b[n:], b[:n])
	}
}

func quiet(c Codec) []byte { return []byte{c.Silence()} }

// end writes the rest and gives the finished recording through the channel.
func (r *recorder) end() <-chan Recording {
	done := make(chan Recording, 1)
	if r.side[0] == nil { // never begun: nobody answered
		r.w.finish(job{rec: r, drop: true, done: done})
		return done
	}
	for r.base < r.head {
		r.emit(min(r.head, r.base+chunk))
	}
	r.w.finish(job{rec: r, done: done})
	return done
}

// job is one piece of work for a writer.
type job struct {
	rec    *recorder
	data   []byte
	pooled bool
	drop   bool             // remove the file: the call was never answered
	done   chan<- Recording // set in a recording's last job
}

// writer does the slow work of recordings, in order, away from the clocks.
type writer struct {
	jobs chan job
	pool sync.Pool
}

func newWriter() *writer {
	return &writer{jobs: make(chan job, 4096), pool: sync.Pool{New: func() any { return new([2 * chunk]byte) }}}
}

func (w *writer) buffer() []byte { return w.pool.Get().(*[2 * chunk]byte)[:0] }

// put adds a job unless the queue is full.
func (w *writer) put(j job) bool {
	select {
	case w.jobs <- j:
		return true
	default:
		return false
	}
}

// finish adds a job that must not be lost, waiting if need be.
func (w *writer) finish(j job) { w.jobs <- j }

func (w *writer) run() {
	for j := range w.jobs {
		switch {
		case j.drop:
			_ = j.rec.f.Close()
			j.done <- Recording{Err: os.Remove(j.rec.path)}
		case j.done != nil:
			j.done <- j.rec.close()
		default:
			j.rec.write(j.data)
			if j.pooled {
				w.pool.Put((*[2 * chunk]byte)(j.data[:2*chunk]))
			}
		}
	}
}

// write appends to the file. After the first error nothing more is written: a
// recording with a hole in it would not be in time any more.
func (r *recorder) write(b []byte) {
	if r.written != nil {
		return
	}
	n, err := r.f.Write(b)
	r.wrote += int64(n)
	if err != nil {
		r.written = fmt.Errorf("write recording: %w", err)
		r.fault(r.written)
	}
}

// close completes the header and takes the hash of what is on the disk now.
func (r *recorder) close() Recording {
	sound := max(0, r.wrote-headerSize)
	out := Recording{Path: r.path, Size: r.wrote, Duration: time.Duration(sound/2) * time.Second / Rate, Err: r.written}
	if out.Err == nil && r.full.Load() {
		out.Err = ErrDiskSlow
	}
	if _, err := r.f.WriteAt(codecHeader(r.codec, 2, uint32(sound)), 0); err != nil && out.Err == nil {
		out.Err = fmt.Errorf("complete recording: %w", err)
	}
	h := sha256.New()
	if _, err := r.f.Seek(0, io.SeekStart); err == nil && out.Err == nil {
		if n, err := io.Copy(h, r.f); err != nil || n != r.wrote {
			out.Err = fmt.Errorf("read back recording: %d of %d bytes: %w", n, r.wrote, err)
		}
	}
	if err := r.f.Close(); err != nil && out.Err == nil {
		out.Err = fmt.Errorf("close recording: %w", err)
	}
	if out.Err == nil {
		out.SHA256 = hex.EncodeToString(h.Sum(nil))
	}
	return out
}

// createFile makes the file of a recording, readable by its owner only.
func createFile(path string) (file, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
}
