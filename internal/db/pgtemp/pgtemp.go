// Package pgtemp starts a throw-away PostgreSQL server on this machine, for
// tests and benchmarks. It listens on a Unix socket only and stops by itself
// when no process that asked for it lives and nobody has been connected for a while.
package pgtemp

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"sort"
	"strconv"
	"sync"
	"syscall"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
)

// ErrMissing says that no PostgreSQL server program was found, and the mend.
var ErrMissing = errors.New("PostgreSQL's server programs (initdb, pg_ctl) are not installed: apt-get install postgresql, or name a server in PARLEY_TEST_POSTGRES")

// URL gives the address of a server's maintenance database, starting the
// server when none runs. Servers of one name are shared by all processes of
// this user. durable keeps fsync on, as a benchmark of durable work must;
// tests leave it off.
func URL(ctx context.Context, name string, durable bool) (string, error) {
	if u := os.Getenv("PARLEY_TEST_POSTGRES"); u != "" {
		return u, nil
	}
	bin, err := findBin()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("parley-pg-%s-%d", name, os.Getuid()))
	url := fmt.Sprintf("postgres://parley@/postgres?host=%s&port=5432", dir)
	if err := use(dir + ".users"); err != nil {
		return "", err
	}
	f, err := lock(dir+".lock", syscall.LOCK_EX)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if ping(ctx, url) == nil {
		return url, nil
	}
	if err := start(ctx, bin, dir, durable); err != nil {
		return "", err
	}
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		if err = ping(ctx, url); err == nil {
			return url, nil
		}
		if time.Now().After(end) || ctx.Err() != nil {
			return "", fmt.Errorf("throw-away PostgreSQL did not come up (see %s/server.log): %w", dir, err)
		}
	}
}

// patience is how long a server may take to come up: on a machine that is busy
// with other things, or after a crash, far longer than the second it needs.
const patience = 3 * time.Minute

// users are what this process holds of the servers it uses, by path.
var users struct {
	sync.Mutex
	held map[string]*os.File
}

// use keeps a server from stopping while this process lives: whoever stops one
// must have its file alone. So none stops between two tests, or between the
// moment its address is given and the moment somebody connects.
func use(path string) error {
	users.Lock()
	defer users.Unlock()
	if users.held[path] != nil {
		return nil
	}
	f, err := lock(path, syscall.LOCK_SH) // waits for a server that is just stopping
	if err != nil {
		return err
	}
	if users.held == nil {
		users.held = map[string]*os.File{}
	}
	users.held[path] = f
	return f.Chmod(0o644) // the server's user reads it
}

func findBin() (string, error) {
	dirs, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	sort.Strings(dirs)
	if p, err := exec.LookPath("initdb"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil { // psql is where it really is
			dirs = append(dirs, filepath.Dir(p))
		}
	}
	for i := len(dirs) - 1; i >= 0; i-- {
		if _, err := os.Stat(filepath.Join(dirs[i], "initdb")); err == nil {
			return dirs[i], nil
		}
	}
	return "", ErrMissing
}

// lock locks a file until it is closed, or its process has ended.
func lock(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		if err = syscall.Flock(int(f.Fd()), how); err == nil {
			return f, nil
		}
		if !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, err
		}
	}
}

func ping(ctx context.Context, url string) error {
	d, err := sql.Open("pgx", url)
	if err != nil {
		return err
	}
	defer d.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return d.PingContext(ctx)
}

// supervise runs the server and stops it when no client has been seen in two
// looks a minute apart and no process holds its file of users, so that an
// interrupted test run leaves nothing behind.
const supervise = `
"$1/pg_ctl" -D "$2/data" -l "$2/server.log" -o "-k $2 -c listen_addresses= $3" -w -t 170 start || exit 1
idle=0
alone() { ! command -v flock >/dev/null || flock -n -x 9; }
while sleep 60; do
  n=$("$1/psql" -h "$2" -U parley -Atc "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()" postgres) || {
    "$1/pg_ctl" -D "$2/data" status >/dev/null || break
    continue
  }
  if [ "$n" = 0 ]; then idle=$((idle+1)); else idle=0; fi
  if [ $idle -ge 2 ] && (alone && "$1/pg_ctl" -D "$2/data" -m fast stop) 9<"$2.users"; then break; fi
done`

func start(ctx context.Context, bin, dir string, durable bool) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	cred, err := unprivileged(dir)
	if err != nil {
		return err
	}
	attr := &syscall.SysProcAttr{Setsid: true, Credential: cred}
	data := filepath.Join(dir, "data")
	if _, err := os.Stat(filepath.Join(data, "PG_VERSION")); err != nil {
		fresh := data + ".new" // moved there whole: who is killed in between leaves no half one
		if err := errors.Join(os.RemoveAll(fresh), os.RemoveAll(data)); err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", fresh,
			"-U", "parley", "-A", "trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
		cmd.SysProcAttr = attr
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("initdb: %w: %s", err, out)
		}
		if err := os.Rename(fresh, data); err != nil {
			return err
		}
	}
	opts := "-c max_connections=300 -c shared_buffers=256MB"
	if !durable {
		// Nobody vacuums: a table that is analysed in the middle of a test is
		// planned otherwise from then on.
		opts += " -c fsync=off -c full_page_writes=off -c synchronous_commit=off -c autovacuum=off"
	}
	cmd := exec.Command("/bin/sh", "-c", supervise, "sh", bin, dir, opts)
	cmd.SysProcAttr = attr
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}

// unprivileged gives the user the server runs as: PostgreSQL refuses root.
func unprivileged(dir string) (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chown(dir, uid, gid)
}
