package campaign

import (
	"embed"
	"fmt"
	"path"
)

//go:embed scripts/*.yaml
var scripts embed.FS

// DemoScripts gives the scripts that ship with Parley, by their id: a service
// call, an overdue reminder, an offer and the reading of a one-time code. exists is as in Parse.
func DemoScripts(exists func(key string) bool) (map[string]*Script, error) {
	files, err := scripts.ReadDir("scripts")
	if err != nil {
		return nil, fmt.Errorf("scripts: %w", err)
	}
	out := make(map[string]*Script, len(files))
	for _, f := range files {
		raw, err := scripts.ReadFile(path.Join("scripts", f.Name()))
		if err != nil {
			return nil, fmt.Errorf("scripts: %w", err)
		}
		s, err := Parse(f.Name(), raw, exists)
		if err != nil {
			return nil, err
		}
		out[s.ID] = s
	}
	return out, nil
}
