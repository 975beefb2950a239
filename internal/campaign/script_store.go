package campaign

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"parley/internal/approval"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/ledger"
)

// ScriptState is where a version of a script stands: draft → submitted →
// approved → replaced by the next one that is approved.
type ScriptState string

// The states of a version.
const (
	ScriptDraft     ScriptState = "draft"
	ScriptSubmitted ScriptState = "submitted"
	ScriptApproved  ScriptState = "approved" // in use: what new campaigns are offered
	ScriptReplaced  ScriptState = "replaced" // a newer one is in use; campaigns that have it keep it
)

// ScriptVersion is one version of a script as it was written.
type ScriptVersion struct {
	Script    string
	Version   int
	State     ScriptState
	YAML      string
	Hash      string // sha256 (hex) of YAML
	MadeBy    string
	MadeAt    contact.Micros
	ChangedAt contact.Micros
	DecidedBy string
	DecidedAt contact.Micros
	Hands     []string
	Note      string
}

const versionColumns = "script, version, state, yaml, hash, made_by, made_at, changed_at, decided_by, decided_at, hands, note"

func scanVersion(row interface{ Scan(...any) error }) (*ScriptVersion, error) {
	var v ScriptVersion
	var hands string
	if err := row.Scan(&v.Script, &v.Version, &v.State, &v.YAML, &v.Hash, &v.MadeBy, &v.MadeAt, &v.ChangedAt, &v.DecidedBy, &v.DecidedAt,
		&hands, &v.Note); err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(hands), &v.Hands); err != nil {
		return nil, fmt.Errorf("script %s v%d: %w", v.Script, v.Version, err)
	}
	return &v, nil
}

// idForm is what a script may be called.
var idForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,59}$`)

var errNoScript = errs.New(errs.NotFound, "script_unknown", "没有这份话术，或没有这个版本。", "There is no such script, or no such version of it.")

// Shelf is a script with its newest version and the one in use.
type Shelf struct {
	Newest *ScriptVersion
	InUse  *ScriptVersion // nil = none was approved yet
}

// Shelves gives every script, by id.
func (s *Store) Shelves(ctx context.Context) ([]Shelf, error) {
	var out []Shelf
	err := s.db.Read(ctx, func(tx *db.Tx) error {
		out = nil
		return tx.Each(ctx, func(r *sql.Rows) error {
			v, err := scanVersion(r)
			if err != nil {
				return err
			}
			if len(out) == 0 || out[len(out)-1].Newest.Script != v.Script {
				out = append(out, Shelf{Newest: v})
			}
			if v.State == ScriptApproved {
				out[len(out)-1].InUse = v
			}
			return nil
		}, "SELECT "+versionColumns+` FROM campaign_script_version v WHERE v.state = 'approved'
			OR NOT EXISTS (SELECT 1 FROM campaign_script_version n WHERE n.script = v.script AND n.version > v.version)
			ORDER BY script, version DESC`)
	})
	return out, err
}

// ScriptVersion gives one version of a script; 0 is the newest.
func (s *Store) ScriptVersion(ctx context.Context, script string, version int) (*ScriptVersion, error) {
	var v *ScriptVersion
	err := s.db.Read(ctx, func(tx *db.Tx) (err error) {
		v, err = versionOf(ctx, tx, script, version, "")
		return err
	})
	return v, err
}

func versionOf(ctx context.Context, tx *db.Tx, script string, version int, suffix string) (*ScriptVersion, error) {
	q, args := "SELECT "+versionColumns+" FROM campaign_script_version WHERE script = $1 ORDER BY version DESC LIMIT 1", []any{script}
	if version > 0 {
		q, args = "SELECT "+versionColumns+" FROM campaign_script_version WHERE script = $1 AND version = $2", append(args, version)
	}
	v, err := scanVersion(tx.QueryRow(ctx, q+suffix, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errNoScript
	}
	return v, err
}

// ScriptVersions gives a script's versions before one (0 = from the newest),
// the newest first.
func (s *Store) ScriptVersions(ctx context.Context, script string, before, limit int) ([]*ScriptVersion, error) {
	if before <= 0 {
		before = 1 << 30
	}
	var out []*ScriptVersion
	err := s.db.Read(ctx, func(tx *db.Tx) error {
		out = nil
		return tx.Each(ctx, func(r *sql.Rows) error {
			v, err := scanVersion(r)
			out = append(out, v)
			return err
		}, "SELECT "+versionColumns+" FROM campaign_script_version WHERE script = $1 AND version < $2 ORDER BY version DESC LIMIT $3", script, before, limit)
	})
	return out, err
}

// maxScript bounds a script, in bytes.
const maxScript = 256 << 10

// SaveScript stores what somebody wrote as the draft of a script, mistakes and
// all, so that nothing is lost; only its id must be readable, and be script's
// own ("" = a new one). base is the version it was written on: when somebody
// else has saved since, it is refused.
func (s *Store) SaveScript(ctx context.Context, script string, base *ScriptVersion, yaml, by string) (*ScriptVersion, error) {
	if len(yaml) > maxScript {
		return nil, errs.New(errs.Invalid, "script_long", "话术太长，请控制在 256 KB 以内。", "The script is too long; keep it under 256 KB.")
	}
	id := ScriptID([]byte(yaml))
	if id == "" || script != "" && id != script {
		return nil, errs.New(errs.Invalid, "script_id", "正文里的 id 须写明，且与这份话术一致（"+script+"）；换名请另建一份。",
			"The text must have an id, and this script's own ("+script+"); make a new script for another id.")
	}
	if !idForm.MatchString(id) {
		return nil, errs.New(errs.Invalid, "script_id_form", "id 只用小写字母、数字和下划线，以字母开头。", "An id has small letters, digits and underscores and begins with a letter.")
	}
	var out *ScriptVersion
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		v, err := versionOf(ctx, tx, id, 0, tx.Dialect().ForUpdate())
		if errors.Is(err, errNoScript) {
			v, err = &ScriptVersion{Script: id}, nil
		} else if err == nil && script == "" {
			return errs.New(errs.Conflict, "script_exists", "已有同名话术；请打开它来修改。", "A script of this id exists; open it to change it.")
		}
		if err != nil {
			return err
		}
		if base != nil && (base.Version != v.Version || base.Hash != v.Hash) {
			return errs.New(errs.Conflict, "script_moved", "您编辑期间有人保存了这份话术；请另开页面查看最新版本，再把改动合并进来。",
				"Somebody saved this script while you were editing. Open the newest version beside this page and bring your changes into it.")
		}
		if v.State == ScriptSubmitted {
			return errs.New(errs.Conflict, "script_waits", "这个版本正在等待审批；请先撤回申请，或等审批完成。",
				"This version waits for approval; withdraw the request first, or wait for the decision.")
		}
		if v.State != ScriptDraft {
			v = &ScriptVersion{Script: id, Version: v.Version + 1, MadeBy: by, MadeAt: tx.At()}
		}
		v.State, v.YAML, v.Hash, v.ChangedAt = ScriptDraft, yaml, sum(yaml), tx.At()
		if !slices.Contains(v.Hands, by) {
			v.Hands = append(v.Hands, by)
		}
		out = v
		return s.putVersion(ctx, tx, v, "script.saved", by)
	})
	return out, err
}

func sum(text string) string {
	h := sha256.Sum256([]byte(text))
	return hex.EncodeToString(h[:])
}

// putVersion stores a version with its ledger entry; an empty kind writes none.
func (s *Store) putVersion(ctx context.Context, tx *db.Tx, v *ScriptVersion, kind, by string) error {
	hands, err := json.Marshal(v.Hands)
	if err != nil {
		return fmt.Errorf("script hands: %w", err)
	}
	if _, err := tx.Exec(ctx, "INSERT INTO campaign_script_version ("+versionColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (script, version) DO UPDATE SET state = excluded.state,
		yaml = excluded.yaml, hash = excluded.hash, changed_at = excluded.changed_at, decided_by = excluded.decided_by,
		decided_at = excluded.decided_at, hands = excluded.hands, note = excluded.note`, v.Script, v.Version, string(v.State), v.YAML, v.Hash,
		v.MadeBy, v.MadeAt, v.ChangedAt, v.DecidedBy, v.DecidedAt, string(hands), v.Note); err != nil {
		return err
	}
	if kind == "" {
		return nil
	}
	return ledger.Append(ctx, tx, ledger.Entry{Type: kind, ID: v.Script, Record: v.record(by)})
}

func (v *ScriptVersion) record(by string) map[string]any {
	return map[string]any{"script": v.Script, "version": v.Version, "sha256": v.Hash, "state": string(v.State), "by": by}
}

// ScriptApprovalKind is the kind under which scripts are put to a second person.
const ScriptApprovalKind = "script"

// ScriptApproval says what deciding about a script does; the composition root
// registers it with the permission that a decision needs.
func (s *Store) ScriptApproval(permission string) approval.Kind {
	return approval.Kind{Name: ScriptApprovalKind, Permission: permission, Apply: s.scriptApproved, Return: s.scriptReturned}
}

// SubmitScript puts the newest draft of a script to a second person. It must be
// free of mistakes; exists is as in Parse.
func (s *Store) SubmitScript(ctx context.Context, script string, exists func(string) bool, by, why string) (*ScriptVersion, error) {
	var out *ScriptVersion
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		v, err := versionOf(ctx, tx, script, 0, tx.Dialect().ForUpdate())
		if err != nil {
			return err
		}
		if v.State != ScriptDraft {
			return errs.New(errs.Conflict, "script_state", "只有草稿可以提交审批。", "Only a draft can be submitted.")
		}
		sc, err := Parse(script, []byte(v.YAML), exists)
		if err != nil {
			return err
		}
		before := ""
		if used, err := inUse(ctx, tx, script); err != nil {
			return err
		} else if used != nil {
			before = used.YAML
		}
		v.State, v.ChangedAt, v.Note = ScriptSubmitted, tx.At(), ""
		if !slices.Contains(v.Hands, by) {
			v.Hands = append(v.Hands, by)
		}
		if err := s.putVersion(ctx, tx, v, "script.submitted", by); err != nil {
			return err
		}
		out = v
		_, err = s.approvals.Ask(ctx, tx, approval.Ask{Kind: ScriptApprovalKind, Subject: script, Title: sc.Title.Zh + " · " + sc.Title.En + " · v" + strconv.Itoa(v.Version),
			Before: before, After: v.YAML, Content: v.Hash, Payload: []byte(strconv.Itoa(v.Version)), Reason: why, By: by, Hands: v.Hands})
		return err
	})
	return out, err
}

func inUse(ctx context.Context, tx *db.Tx, script string) (*ScriptVersion, error) {
	v, err := scanVersion(tx.QueryRow(ctx, "SELECT "+versionColumns+" FROM campaign_script_version WHERE script = $1 AND state = 'approved'", script))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return v, err
}

// asked gives the version a request is about.
func asked(ctx context.Context, tx *db.Tx, r *approval.Request) (*ScriptVersion, error) {
	n, err := strconv.Atoi(string(r.Payload))
	if err != nil {
		return nil, fmt.Errorf("request %s: %w", r.ID, err)
	}
	v, err := versionOf(ctx, tx, r.Subject, n, tx.Dialect().ForUpdate())
	if err == nil && (v.State != ScriptSubmitted || v.Hash != r.Content) {
		err = errs.New(errs.Conflict, "version_moved", "话术在您查看之后已被修改；请重新查看后再审批。",
			"The script has changed since you looked at it; look again before you decide.")
	}
	return v, err
}

// scriptApproved is what an approval does: the version is in use from now on.
func (s *Store) scriptApproved(ctx context.Context, tx *db.Tx, r *approval.Request) (approval.Effect, error) {
	v, err := asked(ctx, tx, r)
	if err != nil {
		return approval.Effect{}, err
	}
	if _, err := tx.Exec(ctx, "UPDATE campaign_script_version SET state = 'replaced' WHERE script = $1 AND state = 'approved'", v.Script); err != nil {
		return approval.Effect{}, err
	}
	v.State, v.DecidedBy, v.DecidedAt = ScriptApproved, r.DecidedBy, r.DecidedAt
	if err := s.putVersion(ctx, tx, v, "", ""); err != nil {
		return approval.Effect{}, err
	}
	sc, err := Parse(v.Script, []byte(v.YAML), nil)
	if err != nil {
		return approval.Effect{}, err
	}
	if err := keepScript(ctx, tx, sc, v.MadeBy); err != nil {
		return approval.Effect{}, err
	}
	return approval.Effect{Type: "script.approved", ID: v.Script, Record: v.record(r.DecidedBy)}, nil
}

// scriptReturned is what sending back, or withdrawing, does.
func (s *Store) scriptReturned(ctx context.Context, tx *db.Tx, r *approval.Request) (approval.Effect, error) {
	v, err := asked(ctx, tx, r)
	if err != nil {
		return approval.Effect{}, err
	}
	v.State, v.Note, v.ChangedAt = ScriptDraft, r.Note, tx.At()
	return approval.Effect{Type: "script." + string(r.State), ID: v.Script, Record: v.record(r.DecidedBy)}, s.putVersion(ctx, tx, v, "", "")
}

// Ship puts scripts that come with the program on the shelf, as approved: they
// are the program's own, and campaigns that use them are approved on their own.
// A script that the bank has already is left as the bank wrote it. It gives how
// many were new.
func (s *Store) Ship(ctx context.Context, scripts []*Script) (int, error) {
	n := 0
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		n = 0
		for _, sc := range scripts {
			if _, err := versionOf(ctx, tx, sc.ID, 0, ""); !errors.Is(err, errNoScript) {
				if err != nil {
					return err
				}
				continue
			}
			v := &ScriptVersion{Script: sc.ID, Version: 1, State: ScriptApproved, YAML: string(sc.raw), Hash: sc.hash, MadeBy: "parley",
				MadeAt: tx.At(), ChangedAt: tx.At(), DecidedBy: "parley", DecidedAt: tx.At(), Hands: []string{}}
			if err := s.putVersion(ctx, tx, v, "script.shipped", "parley"); err != nil {
				return err
			}
			if err := keepScript(ctx, tx, sc, "parley"); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return n, err
}

// usable refuses a script whose versions are all still to be approved. A script
// that was never on the shelf (a file beside a campaign file) is approved with
// the campaign, whose approver reads it word by word.
func usable(ctx context.Context, tx *db.Tx, hash string) error {
	var versions, fit int
	if err := tx.QueryRow(ctx, `SELECT count(*), COALESCE(SUM(CASE WHEN state IN ('approved', 'replaced') THEN 1 ELSE 0 END), 0)
		FROM campaign_script_version WHERE hash = $1`, hash).Scan(&versions, &fit); err != nil {
		return err
	}
	if versions > 0 && fit == 0 {
		return errs.New(errs.Conflict, "script_not_approved", "所用话术版本还没有经另一人审批；请先审批话术，或选用已在用的版本。",
			"The script version has not been approved by a second person yet; have it approved first, or choose one in use.")
	}
	return nil
}
