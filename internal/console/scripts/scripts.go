// Package scripts is where call scripts are written, looked at and tried: the
// text, the flow drawn from it, what is said in both languages, and its way to
// a second person.
package scripts

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"parley/internal/access"
	"parley/internal/campaign"
	"parley/internal/console/frame"
	"parley/internal/errs"
	"parley/internal/httpx"
	"parley/internal/httpx/wave"
	"parley/internal/prompt"
)

// Deps are the rooms behind the pages.
type Deps struct {
	Frame     *frame.Frame
	Campaigns *campaign.Store
	Prompts   *prompt.Set // nil = none loaded
}

// Room serves the script pages.
type Room struct{ Deps }

// New makes the room.
func New(d Deps) *Room { return &Room{d} }

// Routes gives the pages.
func (m *Room) Routes() []frame.Route {
	to := frame.To
	return []frame.Route{
		to("GET /scripts", access.SeeScripts, m.list),
		to("GET /scripts/new", access.EditScript, m.edit),
		to("GET /scripts/{id}", access.SeeScripts, m.show),
		to("GET /scripts/{id}/edit", access.EditScript, m.edit),
		to("POST /scripts", access.EditScript, m.save),
		to("POST /scripts/check", access.EditScript, m.check),
		to("POST /scripts/try", access.EditScript, m.try),
		to("GET /scripts/{id}/try", access.SeeScripts, m.tryStored),
		to("POST /scripts/{id}/submit", access.EditScript, m.submit),
		to("GET /prompts/{lang}/{file}", access.SeeScripts, m.sound),
	}
}

// texts gives what the prompts say; nil when nobody wrote that down.
func (m *Room) texts() *prompt.Catalogue {
	if m.Prompts == nil {
		return nil
	}
	return m.Prompts.Texts()
}

// exists reports whether a prompt can be played in every language.
func (m *Room) exists(key string) bool { return m.Prompts != nil && m.Prompts.Has(key) }

func (m *Room) list(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	shelves, err := m.Campaigns.Shelves(ctx)
	if err != nil {
		return err
	}
	rows := make([]row, len(shelves))
	for i, s := range shelves {
		rows[i] = row{Shelf: s}
		rows[i].script, rows[i].problems = campaign.Check([]byte(s.Newest.YAML), m.exists)
	}
	return m.Frame.Show(w, r, frame.Sheet{Title: say(ctx, "scripts"), Menu: menu, Body: m.listView(rows)})
}

const menu = "/scripts"

// row is one line of the list.
type row struct {
	campaign.Shelf
	script   *campaign.Script // nil = its text cannot be read
	problems []campaign.Problem
}

// leaf is one version of a script, looked at.
type leaf struct {
	*campaign.ScriptVersion
	drawing  *Drawing
	versions []*campaign.ScriptVersion
	more     int // the version to list older ones from; 0 = there are none
	trial    trial
}

const versionsShown = 12

func (m *Room) show(w http.ResponseWriter, r *http.Request) error {
	ctx, id := r.Context(), r.PathValue("id")
	l, err := m.leaf(r, id)
	if err != nil {
		return err
	}
	before, _ := strconv.Atoi(r.URL.Query().Get("before"))
	if l.versions, err = m.Campaigns.ScriptVersions(ctx, id, before, versionsShown); err != nil {
		return err
	}
	if n := len(l.versions); n == versionsShown && l.versions[n-1].Version > 1 {
		l.more = l.versions[n-1].Version
	}
	return m.Frame.Show(w, r, frame.Sheet{Title: title(ctx, l.drawing, id), Menu: menu, Scripts: []string{"script.js"}, Body: m.leafView(l)})
}

func (m *Room) leaf(r *http.Request, id string) (*leaf, error) {
	n, _ := strconv.Atoi(r.URL.Query().Get("v"))
	v, err := m.Campaigns.ScriptVersion(r.Context(), id, n)
	if err != nil {
		return nil, err
	}
	l := &leaf{ScriptVersion: v, drawing: m.draw(r.Context(), []byte(v.YAML))}
	l.trial = m.walk(r.Context(), l.drawing.script, r.URL.Query().Get("lang2"), r.URL.Query().Get("keys"))
	return l, nil
}

func title(ctx context.Context, d *Drawing, id string) string {
	if d.script == nil || d.script.Title.Zh == "" {
		return id
	}
	return Title(ctx, d.script)
}

// sheetText is the editor's form as it is shown.
type sheetText struct {
	script  string // "" = a new one
	base    *campaign.ScriptVersion
	yaml    string
	wrong   string // a sentence about the whole
	drawing *Drawing
	trial   trial
}

func (m *Room) edit(w http.ResponseWriter, r *http.Request) error {
	s := &sheetText{script: r.PathValue("id"), yaml: blank}
	if s.script != "" {
		v, err := m.Campaigns.ScriptVersion(r.Context(), s.script, 0)
		if err != nil {
			return err
		}
		s.base, s.yaml = v, v.YAML
	}
	return m.editor(w, r, s, 0)
}

func (m *Room) editor(w http.ResponseWriter, r *http.Request, s *sheetText, status int) error {
	ctx := r.Context()
	s.drawing = m.draw(ctx, []byte(s.yaml))
	if s.trial.keys == "" {
		s.trial = m.walk(ctx, s.drawing.script, "", "")
	}
	name := say(ctx, "new")
	if s.script != "" {
		name = say(ctx, "edit_of", title(ctx, s.drawing, s.script))
	}
	return m.Frame.Show(w, r, frame.Sheet{Title: name, Menu: menu, Status: status, Scripts: []string{"script.js"}, Body: m.editView(name, s)})
}

// read takes the editor's form.
func (m *Room) read(w http.ResponseWriter, r *http.Request) (*sheetText, *httpx.Form, error) {
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return nil, nil, err
	}
	// Browsers send line ends as CR LF; the text is hashed as it is stored.
	s := &sheetText{script: f.Get("script"), yaml: strings.ReplaceAll(r.PostForm.Get("yaml"), "\r\n", "\n")}
	if n, err := strconv.Atoi(f.Get("version")); err == nil && s.script != "" {
		s.base = &campaign.ScriptVersion{Script: s.script, Version: n, Hash: f.Get("hash")}
	}
	return s, f, nil
}

// check says what is wrong with the text and draws it, while it is written.
func (m *Room) check(w http.ResponseWriter, r *http.Request) error {
	s, _, err := m.read(w, r)
	if err != nil {
		return err
	}
	if r.Header.Get("HX-Request") == "" {
		return m.editor(w, r, s, 0)
	}
	return m.Frame.Part(w, r, Checked(m.draw(r.Context(), []byte(s.yaml))))
}

// try walks the text for a listener who presses one more key.
func (m *Room) try(w http.ResponseWriter, r *http.Request) error {
	s, f, err := m.read(w, r)
	if err != nil {
		return err
	}
	sc, _ := campaign.Check([]byte(s.yaml), m.exists)
	s.trial = m.walk(r.Context(), sc, f.Get("lang2"), f.Get("keys")+f.Get("key"))
	if f.Get("key") == "again" {
		s.trial = m.walk(r.Context(), sc, f.Get("lang2"), "")
	}
	if r.Header.Get("HX-Request") == "" {
		return m.editor(w, r, s, 0)
	}
	return m.Frame.Part(w, r, m.trialView(s.trial, ""))
}

// tryStored is the trial of a stored version, for those who may not write.
func (m *Room) tryStored(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if r.Header.Get("HX-Request") == "" {
		q := r.URL.Query().Encode()
		httpx.Go(w, r, "/scripts/"+id+"?"+q+"#try")
		return nil
	}
	l, err := m.leaf(r, id)
	if err != nil {
		return err
	}
	return m.Frame.Part(w, r, m.trialView(l.trial, l.path()))
}

// path is where a version is looked at.
func (l *leaf) path() string { return "/scripts/" + l.Script + "/try?v=" + strconv.Itoa(l.Version) }

func (m *Room) save(w http.ResponseWriter, r *http.Request) error {
	s, _, err := m.read(w, r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	v, err := m.Campaigns.SaveScript(ctx, s.script, s.base, s.yaml, frame.Who(ctx).ID)
	if e := errs.Public(err); err != nil && (e.Kind == errs.Invalid || e.Kind == errs.Conflict) {
		s.wrong = wordsOf(ctx, e)
		return m.editor(w, r, s, httpx.Status(e.Kind))
	}
	if err != nil {
		return err
	}
	httpx.SetFlash(w, r, httpx.Flash{Key: "flash.script_saved", Args: []string{strconv.Itoa(v.Version)}})
	httpx.Go(w, r, "/scripts/"+v.Script)
	return nil
}

func (m *Room) submit(w http.ResponseWriter, r *http.Request) error {
	ctx, id := r.Context(), r.PathValue("id")
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	if _, err := m.Campaigns.SubmitScript(ctx, id, m.exists, frame.Who(ctx).ID, f.Get("reason")); err != nil {
		return err
	}
	return m.Frame.Done(w, r, "/scripts/"+id, "flash.script_submitted")
}

// sound plays a prompt, as plain PCM, which every browser knows.
func (m *Room) sound(w http.ResponseWriter, r *http.Request) error {
	missing := errs.New(errs.NotFound, "prompt_missing", "没有这个提示音。", "There is no such prompt.")
	key, wav := strings.CutSuffix(r.PathValue("file"), ".wav")
	if m.Prompts == nil || !wav {
		return missing
	}
	raw, err := m.Prompts.WAV(r.PathValue("lang"), key)
	if err != nil {
		return missing.With(err)
	}
	s, err := wave.Decode(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "audio/wav")
	w.Header().Set("Cache-Control", "private, max-age=300")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.PCM()))
	return nil
}

// blank is the text a new script begins with: the least that passes the checks.
const blank = `# 话术 / call script
id: my_script
title: {zh: 新话术, en: New script}
purpose: service            # service, marketing, fraud_alert, collection, statutory
synthetic: true             # 机器合成语音 / the voice is machine-made
langs: [zh, en]
meets:                      # 哪些提示音履行哪项义务 / which prompts meet which duty
  identity: [hello_service]
  ai_label: [hello_service]
  recording_notice: [hello_service]
  refusal_path: [refusal_path]
start: hello
digits: {"9": stop, "2": complain}   # 全程有效的按键 / keys that work at any moment
nodes:
  hello:
    play: [hello_service]
    next: offer
  offer:
    gather: {play: [card_renewal, refusal_path], digits: 1, timeout: 5s, tries: 2, again: [not_understood]}
    effective: true
    next: choice
    silent: bye
  choice:
    branch: {"1": done}
    other: bye
  done:
    play: [card_renewal_done]
    next: bye
  stop:
    withdraw: {scope: purpose, confirm: [withdraw_done]}
    next: bye
  complain:
    complain: {ask: [complain_ask, beep], max: 2m, silence: 4s, thanks: [complain_done]}
    next: bye
  bye:
    hangup: {play: [goodbye]}
`
