package party

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func FuzzBody(f *testing.F) {
	f.Add(encodeBody(&Party{}))
	f.Add(encodeBody(&Party{Ref: "r", Name: "张", Attrs: map[string]string{"a": "b"}, Points: []Point{{ID: "i", Kind: Phone, Value: "+86"}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var p, again Party
		if decodeBody(b, &p) != nil {
			return
		}
		if err := decodeBody(encodeBody(&p), &again); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(p, again); diff != "" {
			t.Fatal(diff)
		}
	})
}
