// Package sim is the simulated world that demo, tests and benchmarks talk to:
// a carrier with telephones that behave like people, and fictitious customers.
// Nothing in it is real, and everything that shows it says so (Notice). The
// carrier is built on a SIP and media stack that Parley's own calls do not
// use, so the two check each other.
package sim

import (
	"embed"
	"io/fs"

	"parley/internal/prompt"
)

//go:embed speech/prompts.yaml speech/zh/*.wav speech/en/*.wav
var speech embed.FS

// Notice is the sentence every screen of a simulated world shows, in lang
// ("zh", otherwise English).
func Notice(lang string) string {
	if lang == "zh" {
		return "模拟环境:银行、客户、号码和通话均为虚构,不会拨打任何真实电话。"
	}
	return "Simulation: the bank, customers, numbers and calls are made up; no real telephone is ever called."
}

// Speech gives what the simulated phones say, as a set of prompts.
func Speech() (*prompt.Set, error) {
	sub, err := fs.Sub(speech, "speech")
	if err != nil {
		return nil, err
	}
	return prompt.Open(sub)
}
