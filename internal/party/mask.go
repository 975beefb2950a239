package party

import "parley/internal/mask"

// Mask masks the value of a contact point.
func (p Point) Mask() string {
	if p.Kind == Email {
		return mask.Email(p.Value)
	}
	return mask.Phone(p.Value)
}
