// Package prompt keeps what a call says: short WAV files by language and key,
// and the catalogue of their texts. It can also make the files from the texts
// with any text-to-speech program. It knows nothing of calls.
//
// A set is a directory:
//
//	prompts.yaml          the catalogue (optional for playing, needed for rendering)
//	zh/hello_service.wav  8 kHz mono; A-law, µ-law or 16-bit PCM
//	en/hello_service.wav
package prompt

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"parley/internal/errs"
)

// Set is a loaded directory of prompts. It is read once and never changes, so
// it may be shared between calls.
type Set struct {
	wav   map[string]map[string][]byte // lang → key → file
	langs []string
	texts *Catalogue // nil = the directory has none
}

// OpenDir loads the prompts in a directory of the file system; see Open.
func OpenDir(dir string) (*Set, error) { return Open(os.DirFS(dir)) }

// Open loads every <lang>/<key>.wav of fsys. A file that a telephone call
// could not play is an error that names it, so that it is found when the
// prompts are loaded and not while a customer listens.
func Open(fsys fs.FS) (*Set, error) {
	files, err := fs.Glob(fsys, "*/*.wav")
	if err != nil {
		return nil, fmt.Errorf("listing prompts: %w", err)
	}
	s := &Set{wav: map[string]map[string][]byte{}}
	for _, f := range files {
		raw, err := fs.ReadFile(fsys, f)
		if err != nil {
			return nil, fmt.Errorf("reading prompt %s: %w", f, err)
		}
		a, err := Decode(raw)
		if err == nil {
			err = a.playable()
		}
		if err != nil {
			return nil, errs.New(errs.Invalid, "prompt_unplayable",
				"提示音文件 "+f+" 无法播放:须为 8 kHz 单声道 WAV(A 律、µ 律或 16 位 PCM)。",
				"The prompt file "+f+" cannot be played: it must be an 8 kHz mono WAV (A-law, µ-law or 16-bit PCM).").With(err)
		}
		lang, key := path.Dir(f), strings.TrimSuffix(path.Base(f), ".wav")
		if s.wav[lang] == nil {
			s.wav[lang] = map[string][]byte{}
			s.langs = append(s.langs, lang)
		}
		s.wav[lang][key] = raw
	}
	if len(files) == 0 {
		return nil, errs.New(errs.NotFound, "prompts_empty",
			"该目录中没有提示音;请先运行 parley prompts render。",
			"There are no prompts in this directory; run parley prompts render first.")
	}
	slices.Sort(s.langs)
	if _, err := fs.Stat(fsys, "prompts.yaml"); err == nil {
		if s.texts, err = ReadCatalogueFS(fsys); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Texts gives what the prompts say; nil when the set has no catalogue.
func (s *Set) Texts() *Catalogue { return s.texts }

// Langs lists the languages of the set in alphabetical order.
func (s *Set) Langs() []string { return slices.Clone(s.langs) }

// Keys lists the keys that exist in at least one language, in order.
func (s *Set) Keys() []string {
	var keys []string
	for _, l := range s.langs {
		for k := range s.wav[l] {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// Has reports whether key can be played in every language of the set.
func (s *Set) Has(key string) bool {
	for _, l := range s.langs {
		if s.wav[l][key] == nil {
			return false
		}
	}
	return len(s.langs) > 0
}

// Missing lists, as "lang/key", the prompts that the set lacks for keys.
func (s *Set) Missing(keys []string) []string {
	var missing []string
	for _, k := range keys {
		for _, l := range s.langs {
			if s.wav[l][k] == nil {
				missing = append(missing, l+"/"+k)
			}
		}
	}
	return missing
}

// WAV gives the file of a prompt. The caller must not change it. A prompt that
// does not exist in lang is an error: a customer is never addressed in a
// language that the script did not choose.
func (s *Set) WAV(lang, key string) ([]byte, error) {
	if raw := s.wav[lang][key]; raw != nil {
		return raw, nil
	}
	return nil, errs.New(errs.NotFound, "prompt_missing",
		"没有提示音 "+lang+"/"+key+";请补录或重新生成。",
		"There is no prompt "+lang+"/"+key+"; record or render it.")
}
