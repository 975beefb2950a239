package api

import (
	"encoding/base64"
	"encoding/json"
)

// Paged asks for one page of a list.
type Paged struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many items at most."`
	Cursor string `query:"cursor" maxLength:"400" doc:"next of the page before; empty = the first page."`
}

// Page is one page of a list.
type Page[T any] struct {
	Items []T    `json:"items" nullable:"false"`
	Next  string `json:"next,omitempty" doc:"Cursor of the next page; absent on the last one."`
}

// place is what a cursor says: in which list, with which filter, after what.
type place struct {
	List   string `json:"l"`
	Filter string `json:"f,omitempty"`
	After  string `json:"a"`
}

func (p place) cursor() string {
	b, err := json.Marshal(p)
	if err != nil { // three strings always marshal
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// after reads a cursor and checks that it is of this list and filter.
func (p Paged) after(list, filter string) (string, error) {
	if p.Cursor == "" {
		return "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(p.Cursor)
	if err != nil {
		return "", errCursor
	}
	var at place
	if err := json.Unmarshal(b, &at); err != nil || at.List != list || at.Filter != filter || at.After == "" {
		return "", errCursor
	}
	return at.After, nil
}

// page makes a page of up to p.Limit items from rows, of which one more was
// read than asked for, to know whether there is a next page.
func page[R, T any](p Paged, list, filter string, rows []R, key func(R) string, item func(R) T) Page[T] {
	out := Page[T]{Items: make([]T, 0, min(len(rows), p.Limit))}
	for i, r := range rows {
		if i == p.Limit {
			out.Next = place{list, filter, key(rows[i-1])}.cursor()
			break
		}
		out.Items = append(out.Items, item(r))
	}
	return out
}
