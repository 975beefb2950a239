package rulebook

import (
	"testing"
	"testing/fstest"
)

// An edition's texts are a file system like any other.
func TestFilesAreAFileSystem(t *testing.T) {
	t.Parallel()
	f := Files{"cn.yaml": "version: 1\n", "cn_test.yaml": "", "bank.yaml": "x"}
	if err := fstest.TestFS(f.FS(), "cn.yaml", "cn_test.yaml", "bank.yaml"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.FS().Open("../cn.yaml"); err == nil {
		t.Error("a name that leads out of it opens")
	}
}
