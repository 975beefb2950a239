package party

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"parley/internal/contact"
	"parley/internal/db"
)

// Address is where somebody can be reached, as it is written.
type Address struct {
	Kind  PointKind
	Value string
}

// findSizes are the lengths to which lists of Find are filled up, so that few
// statements are prepared.
var findSizes = []int{1, 8, 64}

// Find gives who has the bank's numbers, and who can be reached at addresses, of
// both those that are known, with one query for a few. It decrypts nothing.
func (s *Store) Find(ctx context.Context, tx *db.Tx, refs []string, at []Address) (map[string]contact.ID, map[Address][]Found, error) {
	ids, found := make(map[string]contact.ID, len(refs)), make(map[Address][]Found, len(at))
	byBlind := make(map[string][]Address, len(at))
	var blinds [][]byte
	for _, a := range at {
		blind := s.keys.blindPoint(a.Kind, a.Value)
		same := byBlind[string(blind)]
		if same == nil {
			blinds = append(blinds, blind)
		}
		if !slices.Contains(same, a) {
			byBlind[string(blind)] = append(same, a)
		}
	}
	scan := func(rs *sql.Rows) error {
		var ref, id, point string
		var blind []byte
		if err := rs.Scan(&ref, &id, &point, &blind); err != nil {
			return err
		}
		if point == "" {
			ids[ref] = id
			return nil
		}
		for _, a := range byBlind[string(blind)] {
			found[a] = append(found[a], Found{PartyID: id, PointID: point})
		}
		return nil
	}
	left := unique(refs)
	for len(left)+len(blinds) > 0 {
		args, n := fillUp(nil, &left, "") // nobody's number is empty
		args, m := fillUp(args, &blinds, []byte{})
		if err := tx.Each(ctx, scan, "SELECT ref, id, '', NULL FROM party WHERE ref IN "+db.In(1, n)+
			" UNION ALL SELECT '', party_id, id, blind FROM contact_point WHERE blind IN "+db.In(1+n, m), args...); err != nil {
			return nil, nil, err
		}
	}
	for _, fs := range found {
		slices.SortFunc(fs, func(a, b Found) int { return strings.Compare(a.PointID, b.PointID) })
	}
	return ids, found, s.erasedToo(ctx, tx, refs, ids)
}

// fillUp takes the next values of a list as parameters, repeating the last (none
// when there is none) up to one of findSizes, and gives how many there are.
func fillUp[T any](args []any, list *[]T, none T) ([]any, int) {
	size := findSizes[len(findSizes)-1]
	for _, k := range findSizes {
		if len(*list) <= k {
			size = k
			break
		}
	}
	for i := range size {
		if i < len(*list) {
			none = (*list)[i]
		}
		args = append(args, none)
	}
	*list = (*list)[min(size, len(*list)):]
	return args, size
}

// erasedToo adds those who had one of the numbers before they were erased.
func (s *Store) erasedToo(ctx context.Context, tx *db.Tx, refs []string, ids map[string]contact.ID) error {
	var missing []string
	for _, r := range refs {
		if _, ok := ids[r]; !ok {
			missing = append(missing, r)
		}
	}
	if missing == nil {
		return nil
	}
	more, err := s.IDs(ctx, tx, missing)
	for r, id := range more {
		ids[r] = id
	}
	return err
}
