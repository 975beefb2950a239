package prompt

import (
	"embed"
	"io/fs"
)

//go:embed demo/prompts.yaml demo/zh/*.wav demo/en/*.wav
var demo embed.FS

// DemoFS is the directory of the prompts that the demo's fictitious bank
// 守约银行 (Parley Bank) speaks: catalogue and files.
func DemoFS() fs.FS {
	sub, err := fs.Sub(demo, "demo")
	if err != nil {
		panic(err) // the name is a constant: unreachable
	}
	return sub
}
