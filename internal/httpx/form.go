package httpx

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"parley/internal/errs"
)

// maxForm bounds what a form may send, in bytes.
const maxForm = 1 << 20

// Form reads a form's fields and keeps what is wrong with each, so that the
// page can be shown again with all that was typed. The zero Form is an empty
// one, for the first showing.
type Form struct {
	values map[string]string
	wrong  map[string]string // field → key of the sentence
	Notice string            // a sentence about the whole form
}

// ReadForm reads a posted form.
func ReadForm(w http.ResponseWriter, r *http.Request) (*Form, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return nil, errs.New(errs.Invalid, "bad_form", "表单无法读取，请返回重试。", "The form could not be read. Please go back and try again.").With(err)
	}
	f := &Form{values: map[string]string{}}
	for k, v := range r.PostForm {
		f.values[k] = strings.TrimSpace(strings.Join(v, ","))
	}
	return f, nil
}

// Get gives what was typed in the field.
func (f *Form) Get(field string) string {
	if f == nil {
		return ""
	}
	return f.values[field]
}

// Set fills a field, as for editing what exists.
func (f *Form) Set(field, value string) *Form {
	if f.values == nil {
		f.values = map[string]string{}
	}
	f.values[field] = value
	return f
}

// Has reports whether a box with this value is ticked, or a choice made.
func (f *Form) Has(field, value string) bool {
	for v := range strings.SplitSeq(f.Get(field), ",") {
		if v == value {
			return true
		}
	}
	return false
}

// Wrong notes that the field is wrong; key names the sentence in the words.
// The first thing wrong with a field stands.
func (f *Form) Wrong(field, key string) {
	if f.wrong == nil {
		f.wrong = map[string]string{}
	}
	if f.wrong[field] == "" {
		f.wrong[field] = key
	}
}

// Error gives the key of what is wrong with the field, or "".
func (f *Form) Error(field string) string {
	if f == nil {
		return ""
	}
	return f.wrong[field]
}

// Faults lists the fields with something wrong, in the order of their names.
func (f *Form) Faults() []string {
	if f == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(f.wrong))
}

// OK reports whether nothing is wrong.
func (f *Form) OK() bool { return len(f.wrong) == 0 && f.Notice == "" }

// Text reads a required text of at most max characters.
func (f *Form) Text(field string, max int) string {
	s := f.Get(field)
	switch {
	case s == "":
		f.Wrong(field, "form.required")
	case utf8.RuneCountInString(s) > max:
		f.Wrong(field, "form.too_long")
	}
	return s
}

// Maybe reads an optional text of at most max characters.
func (f *Form) Maybe(field string, max int) string {
	if f.Get(field) == "" {
		return ""
	}
	return f.Text(field, max)
}

// Int reads a whole number between lo and hi.
func (f *Form) Int(field string, lo, hi int) int {
	n, err := strconv.Atoi(f.Text(field, 20))
	if err != nil || n < lo || n > hi {
		f.Wrong(field, "form.not_in_range")
		return lo
	}
	return n
}

// One reads a choice of the given ones.
func (f *Form) One(field string, choices ...string) string {
	s := f.Text(field, 100)
	for _, c := range choices {
		if s == c {
			return s
		}
	}
	f.Wrong(field, "form.choose")
	return ""
}
