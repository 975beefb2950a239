package app

import (
	"context"
	"maps"
	"slices"
	"sync"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/gate"
	"parley/internal/party"
	"parley/internal/phone"
	"parley/internal/policy"
	"parley/internal/region"
)

// places tells the gate what rules may ask about people. What is sealed is
// opened only where a rule asks it, and once for as long as it does not change.
func (a *App) places(ctx context.Context, tx *db.Tx, ids []contact.ID) (map[contact.ID]gate.Person, error) {
	places, err := a.Party.Places(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	set := a.Gate.Policy()
	known := map[contact.ID]acquaintance{}
	if asked := set.Attributes(); set.AsksPoint() || slices.ContainsFunc(asked, func(k string) bool { return k != "region" }) {
		if known, err = a.met.of(ctx, tx, a.Party, set, places, asked); err != nil {
			return nil, err
		}
	}
	out := make(map[contact.ID]gate.Person, len(places))
	for id, p := range places {
		k := known[id]
		person := gate.Person{Zone: p.Zone, Attrs: k.attrs, Points: k.zones}
		if p.Region != "" {
			if person.Attrs = maps.Clone(k.attrs); person.Attrs == nil {
				person.Attrs = make(map[string]string, 1)
			}
			person.Attrs["region"] = region.Of(p.Region) // stored in words by an older version
		}
		out[id] = person
	}
	return out, nil
}

// regionOf tells the complaint desk where a customer lives, as rules know it.
func (a *App) regionOf(ctx context.Context, tx *db.Tx, id contact.ID) (string, error) {
	places, err := a.Party.Places(ctx, tx, []contact.ID{id})
	return region.Of(places[id].Region), err
}

// acquaintance is what is known of a person that was sealed, as of at.
type acquaintance struct {
	at    int64
	attrs map[string]string // those that rules ask, read only
	zones map[contact.ID]string
}

// met remembers acquaintances, so that a person is not opened again for every
// contact.
type met struct {
	mu     sync.Mutex
	set    string // hash of the rules that asked
	people map[contact.ID]acquaintance
}

// mostMet bounds how many people are remembered; beyond it, it starts afresh.
const mostMet = 200_000

func (m *met) of(ctx context.Context, tx *db.Tx, s *party.Store, set *policy.Set, places map[contact.ID]party.Place, asked []string) (map[contact.ID]acquaintance, error) {
	out := make(map[contact.ID]acquaintance, len(places))
	var fresh []contact.ID
	m.mu.Lock()
	if m.set != set.Hash() || len(m.people) > mostMet {
		m.set, m.people = set.Hash(), map[contact.ID]acquaintance{}
	}
	for id, p := range places {
		if k, ok := m.people[id]; ok && k.at == p.At {
			out[id] = k
		} else {
			fresh = append(fresh, id)
		}
	}
	m.mu.Unlock()
	if len(fresh) == 0 {
		return out, nil
	}
	known, err := s.Known(ctx, tx, fresh, asked)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, k := range known {
		a := acquaintance{at: places[id].At, attrs: k.Attrs}
		if set.AsksPoint() {
			a.zones = zonesOf(k.Points)
		}
		if out[id] = a; m.set == set.Hash() {
			m.people[id] = a
		}
	}
	return out, nil
}

// zonesOf gives the zone of the phone numbers that tell it.
func zonesOf(points []party.Point) map[contact.ID]string {
	out := map[contact.ID]string{}
	for _, q := range points {
		if q.Kind != party.Phone {
			continue
		}
		if zone := phone.Guess(q.Value).Zone; zone != "" {
			out[q.ID] = zone
		}
	}
	return out
}
