package campaign

import "slices"

// Silence stands for "nothing was pressed" among the keys of a trial.
const Silence = "-"

// Heard is one step of a trial: what the listener would hear and did.
type Heard struct {
	Node    string
	Kind    string
	Prompts []string // in order
	Keys    string   // what was pressed here
	Silent  bool     // nothing was pressed
	Global  bool     // the key was one that works at any moment
}

// Trial is a call walked in text, without a line.
type Trial struct {
	Heard      []Heard
	Waits      string // the node that waits for a key; "" = the call is over
	Effective  bool   // it counts as an effective conversation
	Withdrawn  string // the scope of the withdrawal; "" = none
	Complained bool
	Lost       bool // it ran into a node that does not exist, or round and round
}

// trialMost ends a trial that goes round in circles.
const trialMost = 200

// Try walks the script for a listener who presses keys, one after the other;
// Silence is one who presses nothing. The walk is that of a real call; what is
// spoken after a tone is taken as said.
func (s *Script) Try(keys []string) Trial {
	t := &Trial{}
	last := ""
	for at := s.Start; ; {
		n := s.Nodes[at]
		if n == nil || n.Kind() == "" || len(t.Heard) >= trialMost {
			t.Lost = true
			return *t
		}
		t.Effective = t.Effective || n.Effective
		h := Heard{Node: at, Kind: n.Kind(), Prompts: n.Play}
		next := n.Next
		switch {
		case n.Gather != nil:
			var waits bool
			if next, keys, waits = s.tryGather(t, at, n, keys, &last); waits {
				t.Waits = at
				return *t
			}
			at = next
			continue
		case n.Branch != nil:
			if to, ok := n.Branch[last]; ok {
				next = to
			} else {
				next = n.Other
			}
		case n.Withdraw != nil:
			t.Withdrawn, h.Prompts = n.Withdraw.Scope, n.Withdraw.Confirm
		case n.Complain != nil:
			if !t.Complained { // one call opens one case
				h.Prompts = slices.Concat(n.Complain.Ask, n.Complain.Thanks)
			}
			t.Complained = true
		case n.Record != nil:
			h.Prompts = slices.Concat(n.Record.Ask, n.Record.Thanks)
		case n.Hangup != nil:
			h.Prompts = n.Hangup.Play
		}
		t.Heard = append(t.Heard, h)
		if n.Hangup != nil {
			break
		}
		at = next
	}
	if t.Withdrawn != "" || t.Complained {
		t.Effective = true
	}
	return *t
}

// tryGather asks as often as the node says, and gives where the answer leads
// and the keys that are left.
func (s *Script) tryGather(t *Trial, at string, n *Node, keys []string, last *string) (next string, rest []string, waits bool) {
	g := n.Gather
	*last = ""
	for try := range max(g.Tries, 1) {
		h := Heard{Node: at, Kind: "gather", Prompts: g.Play}
		if try > 0 {
			h.Prompts = slices.Concat(g.Again, g.Play)
		}
		for len(keys) > 0 && len(h.Keys) < max(g.Digits, 1) {
			k := keys[0]
			keys = keys[1:]
			if k == Silence || g.Until != "" && k == g.Until {
				h.Silent = h.Keys == ""
				break
			}
			h.Keys += k
		}
		done := len(h.Keys) >= max(g.Digits, 1) || h.Silent || h.Keys != "" && len(keys) > 0
		if to := s.Digits[h.Keys]; h.Keys != "" && to != "" {
			h.Global = true
			t.Heard = append(t.Heard, h)
			return to, keys, false
		}
		t.Heard = append(t.Heard, h)
		switch {
		case h.Keys != "" && done:
			*last = h.Keys
			return n.Next, keys, false
		case !done:
			return "", keys, true
		}
	}
	return n.Silent, keys, false
}
