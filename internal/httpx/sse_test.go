package httpx

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestPublisherNeverWaits(t *testing.T) {
	t.Parallel()
	b := NewBroker(2)
	s := b.Subscribe("board")
	for i := range 100 {
		b.Publish(Event{Topic: "board", Data: i})
		b.Publish(Event{Topic: "other", Data: i})
	}
	if !s.Lost() || s.Lost() {
		t.Error("loss is told once")
	}
	if n := len(s.events); n != 2 {
		t.Errorf("%d events queued, want 2", n)
	}
	s.Close()
	b.Publish(Event{Topic: "board"})
	if b.Watched("board") || len(s.events) != 2 {
		t.Error("a closed subscription still gets events")
	}
}

// A page that lags is drawn anew instead of getting what is old.
func TestStreamStartsAfreshAfterLoss(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := NewBroker(1)
		ctx, cancel := context.WithCancel(t.Context())
		w := httptest.NewRecorder()
		drawn := make(chan Event, 100)
		hold := make(chan struct{}, 1)
		hold <- struct{}{}
		done := make(chan error, 1)
		go func() {
			done <- b.Stream(w, httptest.NewRequest("GET", "/", nil).WithContext(ctx), func(e Event) ([]Fragment, error) {
				<-hold
				drawn <- e
				return []Fragment{{Name: "figures", Body: "<p>\n</p>"}}, nil
			}, "board")
		}()
		synctest.Wait()
		b.Publish(Event{Topic: "board", Data: 1}) // taken, drawing waits
		synctest.Wait()
		for i := range 5 {
			b.Publish(Event{Topic: "board", Data: i})
		}
		close(hold)
		synctest.Wait()
		time.Sleep(keepAlive + time.Second)
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		close(drawn)
		var got []any
		for e := range drawn {
			got = append(got, e.Data)
		}
		// The start; then the loss is noticed: everything anew, the old ones gone.
		if len(got) < 2 || got[0] != nil || got[len(got)-1] != nil {
			t.Errorf("drew %v, want a fresh start at the beginning and at the end", got)
		}
		if body := w.Body.String(); !strings.Contains(body, "event: figures\ndata: <p>\ndata: </p>\n\n") || !strings.Contains(body, ": alive") {
			t.Errorf("stream is %q", body)
		}
	})
}

func TestClosingTheBrokerEndsStreams(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := NewBroker(1)
		done := make(chan error, 1)
		go func() {
			done <- b.Stream(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil), func(Event) ([]Fragment, error) { return nil, nil }, "x")
		}()
		synctest.Wait()
		b.Close()
		b.Close()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}
