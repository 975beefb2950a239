package api

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
)

const (
	// remember is how long an answer is kept for a repeated request.
	remember = 24 * time.Hour
	// lease is how long a request may be under way before its process is taken
	// for dead and the request may run again.
	lease = time.Minute
	// maxWait is how long a repeated request waits for the first one's answer.
	maxWait = 10 * time.Second
	maxName = 128
)

// What a repeated request is refused for
// (draft-ietf-httpapi-idempotency-key-header, section 2.7).
var (
	errReused = errs.New(errs.Invalid, "idempotency_key_reused", "这个 Idempotency-Key 已用于另一个请求，请换一个。",
		"This Idempotency-Key was used for a different request. Use a new one.")
	errUnderWay = errs.New(errs.Conflict, "idempotency_in_progress", "相同的请求仍在处理，请稍后重试。",
		"The same request is still being worked on. Try again in a moment.")
	errName = errs.New(errs.Invalid, "idempotency_key_invalid", "Idempotency-Key 应为 1–128 个可见字符。",
		"An Idempotency-Key is 1 to 128 visible ASCII characters.")
)

// answer is what a request was answered with.
type answer struct {
	status int
	body   []byte
}

// claim is one request that is being worked on under its Idempotency-Key.
type claim struct {
	key, name string
	digest    []byte
	at        int64  // when it was claimed: who holds an older claim has lost it
	kept      bool   // the answer was stored with the facts, in their transaction
	done      answer // of an earlier request
	err       error
	release   bool // give the claim up instead of storing an answer
	finish    bool // store done
}

// requests keeps what was asked under an Idempotency-Key. Claims and answers of
// requests at the same time share a transaction, as the gate's decisions do.
type requests struct {
	db    *db.DB
	wait  time.Duration // for the answer of a request under way
	steps db.Group[*claim]
}

func newRequests(d *db.DB) *requests {
	q := &requests{db: d, wait: maxWait}
	q.steps.Do = q.commit
	return q
}

// begin claims a request, or gives the answer it had. It waits a while for one
// that is under way.
func (q *requests) begin(ctx context.Context, key contact.ID, name string, digest []byte) (*claim, error) {
	for i := range len(name) {
		if name[i] <= ' ' || name[i] > '~' {
			return nil, errName
		}
	}
	if name == "" || len(name) > maxName {
		return nil, errName
	}
	ctx, cancel := context.WithTimeout(ctx, q.wait)
	defer cancel()
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		c := &claim{key: key, name: name, digest: digest}
		q.steps.Join(c)
		if !errors.Is(c.err, errUnderWay) {
			return c, c.err
		}
		select {
		case <-ctx.Done():
			return nil, errUnderWay
		case <-time.After(pause):
		}
	}
}

// end stores the answer of a claimed request; nil gives the claim up, so that
// the request may be made again.
func (q *requests) end(c *claim, a *answer) error {
	if c.kept {
		return nil
	}
	next := &claim{key: c.key, name: c.name, at: c.at, release: a == nil, finish: a != nil}
	if a != nil {
		next.done = *a
	}
	q.steps.Join(next)
	return next.err
}

// keep stores the answer in the transaction that makes it true: together they
// happen exactly once, whatever crashes.
func (c *claim) keep(ctx context.Context, tx *db.Tx, a answer) error {
	if c == nil {
		return nil
	}
	n, err := tx.Exec(ctx, "UPDATE api_request SET status = $4, body = $5 WHERE key_id = $1 AND name = $2 AND claimed = $3 AND status = 0",
		c.key, c.name, c.at, a.status, string(a.body))
	if err == nil && n != 1 {
		err = errUnderWay // another process took the request over
	}
	if err == nil {
		tx.AfterCommit(func() { c.kept = true })
	}
	return err
}

// patience bounds one transaction: longer than any healthy one takes.
const patience = 30 * time.Second

func (q *requests) commit(group []*claim) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := q.db.Write(ctx, func(tx *db.Tx) error {
		for _, c := range group {
			if c.err = q.step(ctx, tx, c); c.err != nil && !isAnswer(c.err) {
				return c.err
			}
		}
		return nil
	})
	if err != nil {
		for _, c := range group {
			c.err = err
		}
	}
}

func isAnswer(err error) bool {
	var e *errs.Error
	return errors.As(err, &e)
}

func (q *requests) step(ctx context.Context, tx *db.Tx, c *claim) error {
	switch {
	case c.release:
		_, err := tx.Exec(ctx, "DELETE FROM api_request WHERE key_id = $1 AND name = $2 AND claimed = $3 AND status = 0", c.key, c.name, c.at)
		return err
	case c.finish:
		_, err := tx.Exec(ctx, "UPDATE api_request SET status = $4, body = $5 WHERE key_id = $1 AND name = $2 AND claimed = $3 AND status = 0",
			c.key, c.name, c.at, c.done.status, string(c.done.body))
		return err
	}
	c.at, c.done = tx.At(), answer{}
	n, err := tx.Exec(ctx, `INSERT INTO api_request (key_id, name, digest, claimed, status, body) VALUES ($1, $2, $3, $4, 0, '')
		ON CONFLICT (key_id, name) DO NOTHING`, c.key, c.name, c.digest, c.at)
	if err != nil || n == 1 {
		return err
	}
	return c.seen(ctx, tx)
}

// seen looks at the request that has the key already.
func (c *claim) seen(ctx context.Context, tx *db.Tx) error {
	var digest []byte
	var claimed int64
	var status int
	var body string
	err := tx.QueryRow(ctx, "SELECT digest, claimed, status, body FROM api_request WHERE key_id = $1 AND name = $2", c.key, c.name).
		Scan(&digest, &claimed, &status, &body)
	if errors.Is(err, sql.ErrNoRows) {
		return errUnderWay // it was given up at this moment: look again
	}
	if err != nil {
		return err
	}
	age := time.Duration(tx.At()-claimed) * time.Microsecond
	if stale := age >= remember || status == 0 && age >= lease; stale {
		n, err := tx.Exec(ctx, `UPDATE api_request SET digest = $4, claimed = $5, status = 0, body = ''
			WHERE key_id = $1 AND name = $2 AND claimed = $3`, c.key, c.name, claimed, c.digest, c.at)
		if err == nil && n == 0 {
			err = errUnderWay
		}
		return err
	}
	switch {
	case string(digest) != string(c.digest):
		return errReused
	case status == 0:
		return errUnderWay
	}
	c.done = answer{status: status, body: []byte(body)}
	return nil
}

// purge forgets requests older than a day, some at a time.
func (q *requests) purge(ctx context.Context) (int64, error) {
	var n int64
	err := q.db.Write(ctx, func(tx *db.Tx) (err error) {
		n, err = tx.Exec(ctx, `DELETE FROM api_request WHERE claimed < $1 AND (key_id, name) IN
			(SELECT key_id, name FROM api_request WHERE claimed < $1 ORDER BY claimed LIMIT 1000)`, tx.At()-remember.Microseconds())
		return err
	})
	return n, err
}
