// Package pgtemp starts a throw-away PostgreSQL server on this machine, for
// tests and benchmarks. It listens on a Unix socket only and stops by itself
// when nobody has been connected for a while.
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
	unlock, err := lock(dir + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if ping(ctx, url) == nil {
		return url, nil
	}
	if err := start(ctx, bin, dir, durable); err != nil {
		return "", err
	}
	for range 100 {
		if err = ping(ctx, url); err == nil {
			return url, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return "", fmt.Errorf("throw-away PostgreSQL did not come up (see %s/server.log): %w", dir, err)
}

func findBin() (string, error) {
	dirs, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	sort.Strings(dirs)
	if p, err := exec.LookPath("initdb"); err == nil {
		dirs = append(dirs, filepath.Dir(p))
	}
	for i := len(dirs) - 1; i >= 0; i-- {
		if _, err := os.Stat(filepath.Join(dirs[i], "initdb")); err == nil {
			return dirs[i], nil
		}
	}
	return "", ErrMissing
}

func lock(path string) (func(), error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
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
// looks a minute apart, so that an interrupted test run leaves nothing behind.
const supervise = `
"$1/pg_ctl" -D "$2/data" -l "$2/server.log" -o "-k $2 -c listen_addresses= $3" -w start || exit 1
idle=0
while sleep 60; do
  n=$("$1/psql" -h "$2" -U parley -Atc "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()" postgres) || break
  if [ "$n" = 0 ]; then idle=$((idle+1)); else idle=0; fi
  if [ $idle -ge 2 ]; then "$1/pg_ctl" -D "$2/data" -m fast stop; break; fi
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
	if _, err := os.Stat(filepath.Join(dir, "data", "PG_VERSION")); err != nil {
		cmd := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", filepath.Join(dir, "data"),
			"-U", "parley", "-A", "trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
		cmd.SysProcAttr = attr
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("initdb: %w: %s", err, out)
		}
	}
	opts := "-c max_connections=300 -c shared_buffers=256MB"
	if !durable {
		opts += " -c fsync=off -c full_page_writes=off -c synchronous_commit=off"
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
