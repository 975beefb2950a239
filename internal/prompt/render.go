package prompt

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"parley/internal/errs"
)

// DefaultCommand is a command template for Render that works with the free
// program espeak-ng. A bank puts its own text-to-speech program here.
const DefaultCommand = "espeak-ng -v {voice} -s {speed} -w {out} {spoken}"

// Rendered is one prompt as it was made.
type Rendered struct {
	Lang, Key, Path string
	Duration        time.Duration
	Level           Level
}

// Render makes <dir>/<lang>/<key>.wav for every prompt and language of the
// catalogue, as 8 kHz mono A-law, and reports what it made.
//
// command is split at blanks and run once per prompt, without a shell; in each
// word these are replaced:
//
//	{out}     file to write: a WAV of 16-bit PCM, A-law or µ-law at any rate
//	{text}    the prompt's text
//	{spoken}  the text as the voice needs it (zh_spoken, when there is one)
//	{voice}   the name of the language's voice, {speed} its speed
//	{lang}    zh or en
//
// Render resamples, trims and levels the sound itself; nothing can clip.
func Render(ctx context.Context, c *Catalogue, dir, command string) ([]Rendered, error) {
	argv := strings.Fields(command)
	if len(argv) == 0 || !strings.Contains(command, "{out}") ||
		!strings.Contains(command, "{text}") && !strings.Contains(command, "{spoken}") {
		return nil, errs.New(errs.Invalid, "prompt_command",
			"语音合成命令须包含 {out},以及 {text} 或 {spoken},例如:"+DefaultCommand,
			"The speech command must contain {out} and {text} or {spoken}, for example: "+DefaultCommand)
	}
	tmp, err := os.MkdirTemp("", "prompt")
	if err != nil {
		return nil, fmt.Errorf("rendering prompts: %w", err)
	}
	defer os.RemoveAll(tmp)
	var made []Rendered
	for _, lang := range c.Langs() {
		if err := os.MkdirAll(filepath.Join(dir, lang), 0o755); err != nil {
			return made, fmt.Errorf("rendering prompts: %w", err)
		}
		for _, key := range c.Keys() {
			a, err := c.sound(ctx, lang, key, argv, filepath.Join(tmp, "out.wav"))
			if err != nil {
				return made, failed(lang, key, err)
			}
			r := Rendered{Lang: lang, Key: key, Path: filepath.Join(dir, lang, key+".wav"),
				Duration: a.Duration(), Level: a.Level()}
			if err := replace(r.Path, EncodeALaw(a.Samples)); err != nil {
				return made, fmt.Errorf("writing prompt %s/%s: %w", lang, key, err)
			}
			made = append(made, r)
		}
	}
	return made, nil
}

func (c *Catalogue) sound(ctx context.Context, lang, key string, argv []string, out string) (Audio, error) {
	e := c.Entries[key]
	if e.Tone != nil {
		return Audio{Rate: Rate, Channels: 1, Samples: sine(e.Tone.Hz, e.Tone.Ms)}, nil
	}
	v := c.Voices[lang]
	fill := strings.NewReplacer("{out}", out, "{text}", e.Text(lang), "{spoken}", e.Spoken(lang),
		"{voice}", v.Name, "{speed}", strconv.Itoa(v.Speed), "{lang}", lang)
	args := make([]string, len(argv))
	for i, a := range argv {
		args[i] = fill.Replace(a)
	}
	_ = os.Remove(out) // the last prompt's sound must never pass for this one
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return Audio{}, fmt.Errorf("%s: %w: %s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	raw, err := os.ReadFile(out)
	if err != nil {
		return Audio{}, fmt.Errorf("%s wrote no file: %w", args[0], err)
	}
	a, err := Decode(raw)
	if err != nil {
		return Audio{}, fmt.Errorf("%s wrote what is not a usable WAV: %w", args[0], err)
	}
	if a = telephone(a); len(a.Samples) == 0 {
		return Audio{}, fmt.Errorf("%s made silence", args[0])
	}
	return a, nil
}

// replace writes a file so that nobody ever reads half of it.
func replace(path string, data []byte) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, data, 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

func failed(lang, key string, cause error) error {
	return errs.New(errs.Invalid, "prompt_render",
		"无法生成提示音 "+lang+"/"+key+";请检查语音合成命令。",
		"The prompt "+lang+"/"+key+" could not be made; check the speech command.").With(cause)
}
