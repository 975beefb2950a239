package calendar

import (
	"sync"

	"parley/packs"
)

// shipped reads the calendars in packs/calendars once; a test keeps them readable.
var shipped = sync.OnceValue(func() []*Calendar {
	cs, err := ReadFS(packs.FS, "calendars")
	if err != nil {
		panic("calendar: what ships is not readable: " + err.Error())
	}
	return cs
})

// Shipped gives the days of the calendars that come with Parley.
func Shipped() Book { return BookOf(shipped()) }

// ShippedDocs gives them as documents, in order of their ids.
func ShippedDocs() []*Calendar { return append([]*Calendar(nil), shipped()...) }
