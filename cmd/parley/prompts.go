package main

import (
	"os"
	"path/filepath"

	"parley/internal/prompt"
)

type promptsCmd struct {
	Render promptsRenderCmd `cmd:"" help:"Make the WAV files of a prompt directory from the texts in its prompts.yaml."`
	Check  promptsCheckCmd  `cmd:"" help:"Say which prompts a directory lacks."`
}

type promptsRenderCmd struct {
	Dir     string `arg:"" help:"Directory with prompts.yaml; the files are written below it." type:"existingdir"`
	Command string `help:"Program that speaks; {voice}, {speed}, {text}, {spoken} and {out} are filled in." default:"${command}" placeholder:"CMD"`
}

func (c promptsRenderCmd) Run(e *env) error {
	raw, err := os.ReadFile(filepath.Join(c.Dir, "prompts.yaml"))
	if err != nil {
		return err
	}
	cat, err := prompt.ReadCatalogue(raw)
	if err != nil {
		return err
	}
	made, err := prompt.Render(e.ctx, cat, c.Dir, c.Command)
	for _, r := range made {
		e.printf("%s/%s  %.2f s  %s\n", r.Lang, r.Key, r.Duration.Seconds(), r.Path)
	}
	return err
}

type promptsCheckCmd struct{ configured }

func (c promptsCheckCmd) Run(e *env) error {
	conf, err := c.load()
	if err != nil {
		return err
	}
	set, err := conf.PromptSet()
	if err != nil {
		return err
	}
	missing := set.Missing(set.Keys())
	for _, m := range missing {
		e.printf("%s %s\n", e.say("缺少", "missing"), m)
	}
	if len(missing) > 0 {
		return errQuiet
	}
	e.printf("%s\n", e.say("提示音齐全。", "All prompts are there."))
	return nil
}
